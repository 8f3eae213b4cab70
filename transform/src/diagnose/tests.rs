use crate::plan::plan;
use crate::plan::tests::{known, schema_of, transform};
use crate::safety::tests::unmarked;
use crate::settings::Settings;

/// Wrong queries with the place of the fault marked: code, and a part of the message or help.
const WRONG: &[(&str, &str, &str)] = &[
    // Columns.
    (
        "SELECT «o.custmer_id» FROM raw.orders AS o",
        "unknown-column",
        "`custmer_id` is not a column of `raw.orders`; did you mean `customer_id`?",
    ),
    (
        "SELECT\n    o.order_id,\n    «o.custmer_id»,\n    o.status\nFROM raw.orders AS o",
        "unknown-column",
        "did you mean `customer_id`?",
    ),
    (
        "SELECT «ordr_id» FROM raw.orders",
        "unknown-column",
        "`ordr_id` is not a column of `raw.orders`; did you mean `order_id`?",
    ),
    ("SELECT «raw.orders.zzz» FROM raw.orders", "unknown-column", "its columns are `order_id`"),
    ("SELECT order_id AS ü, 'ä' AS b, «orderid» FROM raw.orders", "unknown-column", "did you mean `order_id`?"),
    ("SELECT «\"Order_Id\"» FROM raw.orders", "unknown-column", "did you mean `order_id`?"),
    ("SELECT «x.order_id» FROM raw.orders AS o", "unknown-column", "`x` is not a table or alias of FROM; FROM has `o`"),
    ("SELECT «ordes.order_id» FROM raw.orders AS orders", "unknown-column", "did you mean `orders.order_id`?"),
    (
        "SELECT o.order_id FROM raw.orders AS o JOIN raw.customers AS c ON c.customer_id = «o.cust_id»",
        "unknown-column",
        "is not a column of `raw.orders`",
    ),
    (
        "SELECT order_id FROM raw.orders AS o JOIN raw.customers AS c USING («custmer_id»)",
        "unknown-column",
        "did you mean `customer_id`?",
    ),
    ("SELECT order_id FROM raw.orders WHERE\n  «ammount» > 5", "unknown-column", "did you mean `amount`?"),
    ("SELECT status FROM raw.orders GROUP BY «statu»", "unknown-column", "did you mean `status`?"),
    ("SELECT status, count(*) AS n FROM raw.orders GROUP BY status HAVING «cnt» > 1", "unknown-column", "`cnt`"),
    ("SELECT order_id FROM raw.orders ORDER BY «ammount»", "unknown-column", "did you mean `amount`?"),
    ("SELECT sum(«ammount») AS s FROM raw.orders", "unknown-column", "did you mean `amount`?"),
    (
        "SELECT row_number() OVER (PARTITION BY «statuss») AS r FROM raw.orders",
        "unknown-column",
        "did you mean `status`?",
    ),
    (
        "WITH a AS (SELECT order_id FROM raw.orders) SELECT «a.status» FROM a",
        "unknown-column",
        "is not a column of `a`",
    ),
    (
        "WITH a AS (SELECT «oder_id» FROM raw.orders) SELECT order_id FROM a",
        "unknown-column",
        "did you mean `order_id`?",
    ),
    (
        "SELECT order_id FROM raw.orders AS o WHERE EXISTS (SELECT 1 FROM raw.customers AS c WHERE «c.nam» = 'x')",
        "unknown-column",
        "`nam` is not a column of `raw.customers`; did you mean `name`?",
    ),
    ("SELECT order_id FROM raw.orders LIMIT «order_id»", "unknown-column", "none can be named here"),
    ("SELECT «e.payload.knd» AS k FROM raw.events AS e", "unknown-column", "`knd` is not a field"),
    ("SELECT id, «e.payload['knd']» AS k FROM raw.events AS e", "unknown-column", "`knd` is not a field"),
    (
        "SELECT «customer_id» FROM raw.orders AS o JOIN raw.customers AS c ON true",
        "ambiguous-column",
        "it is a column of `raw.orders` and of `raw.customers`; write `o.customer_id` or `c.customer_id`",
    ),
    (
        "SELECT o.order_id FROM raw.orders AS o JOIN raw.customers AS c ON true WHERE «customer_id» = 1",
        "ambiguous-column",
        "customer_id",
    ),
    // Tables.
    ("SELECT order_id FROM «raw.ordrs»", "unknown-table", "did you mean `raw.orders`?"),
    (
        "SELECT order_id FROM raw.orders AS o\nJOIN «raw.customer» AS c ON true",
        "unknown-table",
        "did you mean `raw.customers`?",
    ),
    ("SELECT order_id FROM «orders» AS o", "unknown-table", "`database.table`"),
    ("SELECT * FROM «generate_series»(1, 3)", "file-access", "table function"),
    ("SELECT a.order_id FROM raw.orders JOIN «raw.orders» ON true", "ambiguous-column", "give each an alias"),
    // Functions.
    (
        "SELECT «uper»(status) AS s FROM raw.orders",
        "unknown-function",
        "there is no function `uper`; did you mean `upper`?",
    ),
    ("SELECT order_id FROM raw.orders WHERE «is_nice»(status)", "unknown-function", "there is no function `is_nice`"),
    ("SELECT order_id, «row_number»() AS r FROM raw.orders", "unknown-function", "needs OVER"),
    // Types.
    ("SELECT order_id, «status * 2» AS x FROM raw.orders", "type-mismatch", "the types do not fit: string * bigint"),
    ("SELECT order_id, upper(status) AS s,\n  abs(«(status) + paid») AS x FROM raw.orders", "type-mismatch", ""),
    (
        "SELECT order_id FROM raw.orders WHERE «ordered_at > 5»",
        "type-mismatch",
        "the types do not fit: timestamp > bigint",
    ),
    (
        "SELECT order_id FROM raw.orders WHERE paid AND («paid = 5») AND order_id = 1",
        "type-mismatch",
        "boolean = bigint",
    ),
    (
        "SELECT order_id FROM raw.orders WHERE «amount»",
        "type-mismatch",
        "a condition must be a boolean, this is decimal(12, 2)",
    ),
    ("SELECT «abs(status)» AS x FROM raw.orders", "type-mismatch", "`abs` cannot be called with (string)"),
    (
        "SELECT abs(order_id) AS y, 1 + «abs(order_id, 2)» AS x FROM raw.orders",
        "type-mismatch",
        "`abs` cannot be called with (bigint, bigint)",
    ),
    (
        "SELECT sum(order_id) AS y, status, «sum(status)» AS x FROM raw.orders GROUP BY status",
        "type-mismatch",
        "`sum` cannot be called with (string)",
    ),
    ("SELECT status FROM raw.orders GROUP BY status HAVING «sum(paid)» > 1", "type-mismatch", "`sum`"),
    ("SELECT «CASE WHEN paid THEN 1 ELSE ordered_at END» AS x FROM raw.orders", "type-mismatch", "CASE"),
    ("SELECT order_id, «CAST(paid AS DATE)» AS x FROM raw.orders", "type-mismatch", "cannot CAST boolean to date"),
    ("SELECT order_id, «paid::DATE» AS x FROM raw.orders", "type-mismatch", "cannot CAST boolean to date"),
    ("SELECT order_id FROM raw.orders WHERE «order_id IN (1, ordered_at)»", "type-mismatch", "compatible types"),
    ("SELECT «-status» AS x FROM raw.orders", "type-mismatch", "signed numeric"),
    ("SELECT «NOT amount» AS x FROM raw.orders", "type-mismatch", "boolean"),
    ("SELECT order_id FROM raw.orders WHERE «amount LIKE 'x%'» AND paid", "type-mismatch", "LIKE"),
    (
        "SELECT o.order_id FROM raw.orders AS o JOIN raw.customers AS c ON o.customer_id = c.customer_id AND «c.since = o.paid»",
        "type-mismatch",
        "date = boolean",
    ),
    (
        "WITH a AS (SELECT order_id FROM raw.orders), b AS (SELECT «abs(status)» AS x FROM raw.orders) SELECT x FROM b",
        "type-mismatch",
        "`abs`",
    ),
    ("SELECT o.x FROM (SELECT «paid + 1» AS x FROM raw.orders) AS o", "type-mismatch", "boolean + bigint"),
    (
        "SELECT order_id FROM raw.orders WHERE customer_id IN (SELECT «abs(name)» FROM raw.customers)",
        "type-mismatch",
        "`abs`",
    ),
    (
        "SELECT order_id FROM raw.orders UNION ALL SELECT «name * 2» FROM raw.customers",
        "type-mismatch",
        "the types do not fit: string * bigint",
    ),
    // Names and types of the result.
    ("SELECT order_id AS a, «status AS a» FROM raw.orders", "duplicate-column", "two columns are called `a`"),
    (
        "SELECT o.customer_id, o.status, «c.customer_id» FROM raw.orders AS o JOIN raw.customers AS c ON true",
        "duplicate-column",
        "`customer_id`",
    ),
    ("SELECT order_id, «status AS Order_Id» FROM raw.orders", "duplicate-column", "`order_id`"),
    ("SELECT *, «status AS order_id» FROM raw.orders", "duplicate-column", "`order_id`"),
    ("SELECT order_id, «status AS \"ORDER_ID\"» FROM raw.orders", "duplicate-column", "letter case does not count"),
    ("SELECT o.*,\n  «c.*»\nFROM raw.orders AS o JOIN raw.customers AS c ON true", "duplicate-column", "`customer_id`"),
    ("SELECT *, «abs(amount)» FROM raw.orders", "bad-column-name", "`abs(amount)` has no usable name; name it with AS"),
    ("SELECT DISTINCT status, «1» FROM raw.orders", "bad-column-name", "name it with AS"),
    ("SELECT order_id, «amount AS \"net amount\"» FROM raw.orders", "bad-column-name", "name it with AS"),
    ("SELECT order_id, «NULL AS nothing» FROM raw.orders", "unsupported-type", "the column `nothing` is always NULL"),
    ("SELECT *, «INTERVAL '1 day' AS i», 1 AS one FROM raw.orders", "unsupported-type", "the column `i`"),
    // The rest.
    ("SELECT sum(order_id) AS s, «status» FROM raw.orders", "invalid-query", "must appear in GROUP BY"),
    ("SELECT 1 + «sum(sum(order_id))» AS s FROM raw.orders", "invalid-query", "nested"),
    (
        "SELECT order_id FROM raw.orders UNION ALL «SELECT customer_id, name FROM raw.customers»",
        "invalid-query",
        "1 and 2",
    ),
    (
        "SELECT e.id, u.code FROM raw.events AS e CROSS JOIN unnest(«e.codes») AS u(code)",
        "invalid-query",
        "write `unnest(...)` in the SELECT list",
    ),
    (
        "SELECT o.order_id FROM raw.orders AS o, LATERAL («SELECT name FROM raw.customers AS c WHERE c.customer_id = o.customer_id LIMIT 1») AS l",
        "invalid-query",
        "as a join",
    ),
    ("SELECT order_id, «$1» AS x FROM raw.orders", "invalid-query", "`$1` has no value"),
    ("SELECT CAST(status AS DATE) AS d, «CAST(status AS FOO)» AS x FROM raw.orders", "invalid-query", "FOO"),
];

#[test]
fn finds_the_place_of_every_fault() {
    let mut wrong = Vec::new();
    for (marked, code, text) in WRONG {
        let (sql, line, column, length) = unmarked(marked);
        let errors = match plan(&transform(&sql, Settings::default()), &schema_of, &known()) {
            Ok(_) => {
                wrong.push(format!("{sql}\n  is accepted"));
                continue;
            }
            Err(errors) => errors,
        };
        let error = &errors[0];
        let found = error.at.as_ref().map(|at| (at.line, at.column, at.length));
        let said = format!("{}; {}", error.message, error.help.as_deref().unwrap_or_default());
        if error.code.as_str() != *code
            || found != Some((line, column, length))
            || !said.contains(text)
            || errors.len() != 1
        {
            wrong.push(format!(
                "{marked}\n  {} {found:?}, not {code} {:?}: {errors:?}",
                error.code,
                (line, column, length)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_are_lower_case_and_without_full_stop() {
    for (marked, ..) in WRONG {
        let (sql, ..) = unmarked(marked);
        let errors = plan(&transform(&sql, Settings::default()), &schema_of, &known()).unwrap_err();
        for error in errors {
            let first = error.message.chars().next().unwrap();
            let shouted = error.message.chars().nth(1).is_some_and(char::is_uppercase);
            assert!(!first.is_uppercase() || shouted, "{}", error.message);
            assert!(!error.message.ends_with('.') && !error.message.contains('\n'), "{}", error.message);
        }
    }
}

#[test]
fn reports_several_unknown_columns_at_once() {
    let sql = "SELECT ordr_id,\n  statu\nFROM raw.orders";
    let errors = plan(&transform(sql, Settings::default()), &schema_of, &known()).unwrap_err();
    let places: Vec<_> = errors.iter().filter_map(|error| error.at.as_ref()).map(|at| (at.line, at.column)).collect();
    assert_eq!(places, [(1, 8), (2, 3)]);
}

#[test]
fn shows_the_whole_line() {
    let sql = "SELECT\r\n  nope\r\nFROM raw.orders";
    let errors = plan(&transform(sql, Settings::default()), &schema_of, &known()).unwrap_err();
    let at = errors[0].at.as_ref().unwrap();
    assert_eq!((at.file.as_str(), at.line, at.column, at.length), ("sql/sales/result.sql", 2, 3, 4));
    assert_eq!(at.text, "  nope");
}
