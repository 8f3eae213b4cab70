//! Queries over `raw.orders`, partitioned by `day`, and by `hour` where they have it.

use super::{Crossing, Reason};

pub(super) const ACCEPTED: &[&str] = &[
    // What may append may do this, too.
    "SELECT order_id, status AS day FROM raw.orders",
    "SELECT o.order_id, c.since AS day FROM raw.orders AS o LEFT JOIN raw.customers AS c ON c.customer_id = o.customer_id",
    "SELECT o.order_id, o.status AS day, c.name FROM raw.customers AS c RIGHT JOIN raw.orders AS o ON c.customer_id = o.customer_id",
    "SELECT order_id, (SELECT max(name) FROM raw.customers AS c WHERE c.customer_id = o.customer_id) AS day FROM raw.orders AS o",
    // Grouped by the partition, or by more.
    "SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status",
    "SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY 1",
    "SELECT status AS day, paid, sum(amount) AS total, min(order_id) AS first FROM raw.orders GROUP BY status, paid",
    "SELECT CAST(ordered_at AS DATE) AS day, count(*) AS n FROM raw.orders GROUP BY CAST(ordered_at AS DATE)",
    "SELECT date_trunc('day', ordered_at) AS day, extract(hour FROM ordered_at) AS hour, count(*) AS n FROM raw.orders GROUP BY 1, 2",
    "SELECT coalesce(status, 'none') AS day, customer_id, count(*) AS n FROM raw.orders GROUP BY status, customer_id",
    "SELECT customer_id + order_id AS day, count(*) AS n FROM raw.orders GROUP BY order_id, customer_id",
    "SELECT CASE WHEN status = 'new' THEN 'open' WHEN paid THEN 'paid' ELSE 'rest' END AS day, count(*) AS n \
     FROM raw.orders GROUP BY status, paid",
    "SELECT 'all' AS day, count(*) AS n, sum(amount) AS total FROM raw.orders",
    "SELECT 'all' AS day, status, count(*) AS n FROM raw.orders GROUP BY status",
    "SELECT status AS day, count(DISTINCT customer_id) AS customers FROM raw.orders GROUP BY status",
    "SELECT status AS day, array_agg(order_id ORDER BY order_id) AS ids FROM raw.orders GROUP BY status",
    "SELECT status AS day, count(*) FILTER (WHERE paid) AS n FROM raw.orders WHERE amount > 0 GROUP BY status",
    // Conditions above aggregates let groups come and go.
    "SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status HAVING count(*) > 1",
    "SELECT status AS day, paid, count(*) AS n FROM raw.orders GROUP BY status, paid HAVING status <> 'new' AND max(amount) > 5",
    "SELECT g.s AS day, g.n FROM (SELECT status AS s, count(*) AS n FROM raw.orders GROUP BY status) AS g WHERE g.n = 2 AND g.s IS NOT NULL",
    "SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status HAVING count(*) > (SELECT count(*) FROM raw.events) - 3",
    "SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status HAVING status IN (SELECT segment FROM raw.customers) OR count(*) > 1",
    // Aggregates over aggregates, and CTEs.
    "SELECT g.day, max(g.n) AS most FROM (SELECT status AS day, customer_id, count(*) AS n FROM raw.orders GROUP BY status, customer_id) AS g \
     GROUP BY g.day",
    "WITH o AS (SELECT *, CAST(ordered_at AS DATE) AS d FROM raw.orders), g AS (SELECT d, count(*) AS n FROM o GROUP BY d) \
     SELECT d AS day, n FROM g WHERE n > 1",
    "WITH g AS (SELECT status, paid, count(*) AS n FROM raw.orders GROUP BY status, paid) \
     SELECT upper(g.status) AS day, g.paid AS hour, g.n FROM g",
    // DISTINCT.
    "SELECT DISTINCT status AS day FROM raw.orders",
    "SELECT DISTINCT status AS day, customer_id, paid FROM raw.orders",
    "SELECT DISTINCT o.day, o.n FROM (SELECT status AS day, paid, count(*) AS n FROM raw.orders GROUP BY status, paid) AS o",
    // Windows, one and several, by the partition or by more.
    "SELECT order_id, status AS day, row_number() OVER (PARTITION BY status ORDER BY order_id, amount, customer_id, ordered_at, paid) AS r \
     FROM raw.orders",
    "SELECT order_id, status AS day, sum(amount) OVER (PARTITION BY paid, status) AS s, count(*) OVER (PARTITION BY status) AS n FROM raw.orders",
    "SELECT order_id, date_trunc('day', ordered_at) AS day, count(*) OVER (PARTITION BY date_trunc('day', ordered_at)) AS n FROM raw.orders",
    "SELECT order_id, upper(status) AS day, count(*) OVER (PARTITION BY status) AS n FROM raw.orders",
    "SELECT order_id, status AS day, paid AS hour, sum(amount) OVER (PARTITION BY status, paid, customer_id) AS s FROM raw.orders",
    "SELECT order_id, status AS day FROM raw.orders \
     QUALIFY row_number() OVER (PARTITION BY status ORDER BY order_id, amount, customer_id, ordered_at, paid) = 1",
    "SELECT o.order_id, o.day, max(o.r) OVER (PARTITION BY o.day) AS last FROM (SELECT order_id, status AS day, \
     rank() OVER (PARTITION BY status ORDER BY amount) AS r FROM raw.orders) AS o",
    "SELECT status AS day, count(*) AS n, rank() OVER (PARTITION BY status ORDER BY count(*)) AS r FROM raw.orders GROUP BY status, customer_id",
    "SELECT o.order_id, o.day FROM (SELECT order_id, status AS day, paid, count(*) OVER (PARTITION BY status) AS n FROM raw.orders) AS o \
     WHERE o.paid AND o.n > 1",
    // Joins above aggregates, as far as the partition does not come from the other table.
    "SELECT g.day, g.n, c.name FROM (SELECT status AS day, customer_id, count(*) AS n FROM raw.orders GROUP BY status, customer_id) AS g \
     LEFT JOIN raw.customers AS c ON c.customer_id = g.customer_id",
    "SELECT g.day, g.n, c.name FROM raw.customers AS c JOIN (SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status) AS g ON c.customer_id = g.n",
    "SELECT g.day, g.n, c.name FROM raw.customers AS c RIGHT JOIN (SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status) AS g ON c.customer_id < g.n",
    "SELECT g.day, g.n FROM (SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status) AS g \
     LEFT ANTI JOIN raw.customers AS c ON c.customer_id = g.n",
    "SELECT g.day, g.n FROM (SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status) AS g \
     WHERE EXISTS (SELECT 1 FROM raw.customers AS c WHERE c.customer_id = g.n)",
    "SELECT customer_id AS day, g.n, c.name FROM (SELECT customer_id, count(*) AS n FROM raw.orders GROUP BY customer_id) AS g \
     JOIN raw.customers AS c USING (customer_id)",
    "SELECT c.name AS day, count(*) AS n FROM raw.orders AS o JOIN raw.customers AS c ON c.customer_id = o.customer_id GROUP BY c.name",
    "SELECT g.day, g.n, (SELECT max(name) FROM raw.customers AS c WHERE c.customer_id = g.n) AS name \
     FROM (SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status) AS g",
    "SELECT g.day, l.n FROM (SELECT status AS day, max(customer_id) AS c FROM raw.orders GROUP BY status) AS g, \
     LATERAL (SELECT count(*) AS n FROM raw.customers AS c WHERE c.customer_id = g.c) AS l",
    // Set operations with a branch that does not change.
    "SELECT status AS day, order_id FROM raw.orders UNION ALL SELECT name, customer_id FROM raw.customers",
    "SELECT name AS day, customer_id AS n FROM raw.customers UNION ALL SELECT status, count(*) FROM raw.orders GROUP BY status",
    "SELECT status AS day, order_id FROM raw.orders UNION SELECT name, customer_id FROM raw.customers",
    "SELECT u.day, count(*) AS n FROM (SELECT status AS day FROM raw.orders UNION ALL SELECT segment FROM raw.customers UNION ALL SELECT NULL) AS u \
     GROUP BY u.day",
    // Unnesting below, where rows are still rows.
    "SELECT o.id AS day, o.paid AS hour, max(o.n) AS n FROM (SELECT paid, order_id AS n, unnest(make_array(order_id, customer_id)) AS id FROM raw.orders) AS o \
     GROUP BY o.id, o.paid",
    "SELECT o.id AS day, count(*) AS n FROM (SELECT unnest(make_array(order_id, customer_id)) AS id FROM raw.orders) AS o GROUP BY o.id",
    // Sorted on the way.
    "SELECT g.day, g.n FROM (SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status ORDER BY n) AS g ORDER BY g.day",
];

fn crosses(column: &str, clause: Crossing) -> Reason {
    Reason::CrossesPartitions { column: column.to_owned(), clause }
}

/// Not computed by `day`, below so many other aggregates.
fn aggregate(below: usize) -> Reason {
    crosses("day", Crossing::Aggregate { below })
}

fn window(column: &str, function: &str, by: &[&str]) -> Reason {
    let by = by.iter().map(|name| (*name != "?").then(|| (*name).to_owned())).collect();
    crosses(column, Crossing::Window { function: function.to_owned(), by })
}

/// With the reason, and the clause at fault marked.
pub(super) fn refused() -> Vec<(&'static str, Reason)> {
    let lookup = || crosses("day", Crossing::Lookup);
    let types = || crosses("day", Crossing::Types);
    vec![
        // Aggregates.
        ("SELECT «max(status)» AS day, count(*) AS n FROM raw.orders", aggregate(0)),
        ("SELECT customer_id, max(status) AS day FROM raw.orders «GROUP BY» customer_id", aggregate(0)),
        (
            "SELECT customer_id, any_value(status) AS day, count(*) AS n\nFROM raw.orders\n«GROUP BY» customer_id",
            aggregate(0),
        ),
        ("SELECT status || max(status) AS day FROM raw.orders «GROUP BY» status", aggregate(0)),
        ("SELECT count(*) AS day FROM raw.orders «GROUP BY» status", aggregate(0)),
        (
            "SELECT g.day, count(*) AS n FROM (SELECT customer_id, max(status) AS day FROM raw.orders\n«GROUP BY» customer_id) AS g GROUP BY g.day",
            aggregate(1),
        ),
        (
            "WITH g AS (SELECT paid, min(status) AS day FROM raw.orders «GROUP BY» paid), h AS (SELECT day, count(*) AS n FROM g GROUP BY day)\n\
             SELECT day, n FROM h",
            aggregate(1),
        ),
        ("SELECT status AS day, count(*) AS n FROM raw.orders «GROUP BY» ROLLUP (status)", aggregate(0)),
        ("SELECT status AS day, paid, count(*) AS n FROM raw.orders «GROUP BY» CUBE (status, paid)", aggregate(0)),
        (
            "SELECT status AS day, paid, count(*) AS n FROM raw.orders «GROUP BY» GROUPING SETS ((status, paid), (status))",
            aggregate(0),
        ),
        // Windows.
        (
            "SELECT order_id, status AS day, «row_number() OVER (ORDER BY order_id)» AS r FROM raw.orders",
            window("day", "row_number", &[]),
        ),
        (
            "SELECT order_id, status AS day,\n  «count(*) OVER (PARTITION BY paid)» AS n FROM raw.orders",
            window("day", "count", &["paid"]),
        ),
        (
            "SELECT status AS day, sum(amount) OVER (PARTITION BY status) AS s, «sum(amount) OVER (PARTITION BY paid)» AS t FROM raw.orders",
            window("day", "sum", &["paid"]),
        ),
        (
            "SELECT status AS day, customer_id AS hour, «sum(amount) OVER (PARTITION BY status)» AS s FROM raw.orders",
            window("hour", "sum", &["status"]),
        ),
        (
            "SELECT order_id, status AS day, «count(*) OVER (PARTITION BY upper(status))» AS n FROM raw.orders",
            window("day", "count", &["?"]),
        ),
        (
            "SELECT order_id, «row_number() OVER (PARTITION BY status ORDER BY order_id)» AS day FROM raw.orders",
            window("day", "row_number", &["status"]),
        ),
        (
            "SELECT status AS day FROM raw.orders QUALIFY «rank() OVER (ORDER BY amount)» = 1",
            window("day", "rank", &[]),
        ),
        (
            "SELECT o.day, max(o.r) OVER (PARTITION BY o.day) AS last FROM (SELECT status AS day,\n\
             «max(amount) OVER (PARTITION BY paid)» AS r FROM raw.orders) AS o",
            window("day", "max", &["paid"]),
        ),
        (
            "SELECT o.day, count(*) AS n FROM (SELECT status AS day, «lag(amount) OVER w» AS r FROM raw.orders WINDOW w AS (ORDER BY order_id)) AS o \
             GROUP BY o.day",
            window("day", "lag", &[]),
        ),
        ("SELECT 'all' AS day, «count(*) OVER ()» AS n FROM raw.orders", window("day", "count", &[])),
        // What is looked up for the result of an aggregate.
        (
            "SELECT g.n, «c.since» AS day FROM (SELECT customer_id, count(*) AS n FROM raw.orders GROUP BY customer_id) AS g\n\
             JOIN raw.customers AS c ON c.customer_id = g.n",
            lookup(),
        ),
        (
            "SELECT g.n, «coalesce(c.name, g.status)» AS day FROM (SELECT status, count(*) AS n FROM raw.orders GROUP BY status) AS g\n\
             LEFT JOIN raw.customers AS c ON c.customer_id = g.n",
            lookup(),
        ),
        (
            "SELECT o.status, «(SELECT max(since) FROM raw.customers AS c WHERE c.customer_id = o.customer_id)» AS day\n\
             FROM (SELECT status, max(customer_id) AS customer_id FROM raw.orders AS o GROUP BY status) AS o",
            lookup(),
        ),
        // Types.
        (
            "SELECT CAST(u.x AS VARCHAR) AS day, count(*) AS n FROM (SELECT order_id AS x FROM raw.orders\n\
             «UNION ALL» SELECT score FROM raw.events) AS u GROUP BY CAST(u.x AS VARCHAR)",
            types(),
        ),
        // Zero and minus zero are one group, of which either may stand for both, and they are not the same text.
        (
            "SELECT «CAST(g.x AS VARCHAR)» AS day, g.n FROM (SELECT CAST(amount AS DOUBLE) * 0.0 AS x, count(*) AS n FROM raw.orders GROUP BY 1) AS g",
            crosses("day", Crossing::Float),
        ),
        (
            "SELECT «CAST(g.x AS VARCHAR)» AS day, g.paid\nFROM (SELECT DISTINCT CAST(amount AS DOUBLE) * 0.0 AS x, paid FROM raw.orders) AS g",
            crosses("day", Crossing::Float),
        ),
        (
            "SELECT «CAST(o.x AS VARCHAR)» AS day, count(*) OVER (PARTITION BY o.x) AS n FROM (SELECT CAST(amount AS DOUBLE) * 0.0 AS x FROM raw.orders) AS o",
            crosses("day", Crossing::Float),
        ),
        // What needs all rows, whatever the partition.
        ("SELECT order_id, status AS day FROM raw.orders ORDER BY amount «LIMIT» 3", Reason::Limit),
        ("SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status «LIMIT» 3", Reason::Limit),
        (
            "SELECT o.status AS day, count(*) AS n FROM (SELECT status FROM raw.orders «LIMIT» 5) AS o GROUP BY o.status",
            Reason::Limit,
        ),
        (
            "SELECT «DISTINCT» ON (customer_id) customer_id, status AS day FROM raw.orders ORDER BY customer_id, status",
            Reason::Distinct,
        ),
        ("SELECT status AS day FROM raw.orders «EXCEPT» SELECT name FROM raw.customers", Reason::SetOperation),
        ("SELECT status AS day FROM raw.orders UNION ALL SELECT upper(status) FROM «raw.orders»", Reason::ReadTwice),
        (
            "SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status HAVING count(*) > (SELECT avg(order_id) FROM «raw.orders»)",
            Reason::ReadTwice,
        ),
        (
            "SELECT a.day, a.n FROM (SELECT status AS day, count(*) AS n FROM raw.orders GROUP BY status) AS a\n\
             JOIN (SELECT status AS day FROM «raw.orders» GROUP BY status) AS b ON a.day = b.day",
            Reason::ReadTwice,
        ),
        (
            "SELECT c.name AS day, g.n FROM raw.customers AS c «LEFT JOIN» (SELECT status, count(*) AS n FROM raw.orders GROUP BY status) AS g \
             ON g.n = c.customer_id",
            Reason::OuterJoin,
        ),
        (
            "SELECT g.status AS day FROM (SELECT status FROM raw.orders GROUP BY status) AS g «FULL JOIN» raw.customers AS c ON true",
            Reason::OuterJoin,
        ),
        (
            "SELECT c.name AS day FROM raw.customers AS c «LEFT JOIN» raw.orders AS o ON c.customer_id = o.customer_id",
            Reason::OuterJoin,
        ),
        (
            "SELECT CAST(«now()» AS DATE) AS day, count(*) AS n FROM raw.orders GROUP BY 1",
            Reason::UnstablePartition { column: "day".to_owned(), function: "now".to_owned() },
        ),
    ]
}
