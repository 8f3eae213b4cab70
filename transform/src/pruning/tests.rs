use std::sync::Arc;

use arrow::datatypes::Schema;

use super::*;
use crate::format::Format;
use crate::plan::plan;
use crate::plan::tests::{known, schema_of, transform};
use crate::settings::Settings;
use crate::source::fields;

/// A table of which nothing but the keys matters here.
fn visits(parameters: &[(&str, &str)]) -> Table {
    let column =
        |(name, hive): (&str, &str)| Column { name: name.into(), hive_type: hive.parse().unwrap(), comment: None };
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Table {
        name: TableName::new("raw", "visits").unwrap(),
        columns: vec![column(("customer_id", "bigint"))],
        partition_keys: [("day", "date"), ("shop", "string"), ("hour", "int")].map(column).to_vec(),
        format: Format::Parquet,
        location: "memory://b/raw/visits/".into(),
        description: None,
        parameters: parameters.iter().map(owned).collect(),
        version: None,
    }
}

fn conditions_of(sql: &str, now: Option<&str>) -> Conditions {
    let table = visits(&[]);
    let all = fields(table.columns.iter().chain(&table.partition_keys));
    let schema = |name: &TableName| {
        if *name == table.name { Some(Arc::new(Schema::new(all.clone()))) } else { schema_of(name) }
    };
    let planned = plan(&transform(sql, Settings::default()), &schema, &known()).unwrap();
    conditions(&planned.plan, now.map(|now| now.parse().unwrap()))
}

/// What is asked of the keys of `raw.visits`, a condition after the other.
fn asked_at(sql: &str, now: Option<&str>) -> Vec<String> {
    let all = conditions_of(sql, now);
    let conditions = all.get(&visits(&[]).name).map_or(&[][..], Vec::as_slice);
    let told = |condition: PartitionCondition| {
        let test = match condition.test {
            PartitionTest::In(values) => format!("in {}", values.join(" ")),
            PartitionTest::Less(value) => format!("< {value}"),
            PartitionTest::LessOrEqual(value) => format!("<= {value}"),
            PartitionTest::Greater(value) => format!("> {value}"),
            PartitionTest::GreaterOrEqual(value) => format!(">= {value}"),
        };
        format!("{} {test}", condition.key)
    };
    let mut told: Vec<String> = of_conditions(&visits(&[]), conditions).conditions.into_iter().map(told).collect();
    told.sort();
    told
}

fn asked(sql: &str) -> Vec<String> {
    asked_at(sql, None)
}

fn asked_where(condition: &str) -> Vec<String> {
    asked(&format!("SELECT customer_id FROM raw.visits WHERE {condition}"))
}

const NOTHING: [&str; 0] = [];

#[test]
fn comparisons_of_keys_with_fixed_values() {
    assert_eq!(
        asked_where("day = DATE '2026-11-01' AND shop = 'a' AND hour >= 7"),
        ["day in 2026-11-01", "hour >= 7", "shop in a"]
    );
    assert_eq!(asked_where("day = '2026-11-01'"), ["day in 2026-11-01"], "the text is cast, not the key");
    assert_eq!(asked_where("'b' > shop"), ["shop < b"]);
    assert_eq!(asked_where("hour BETWEEN 3 AND 5"), ["hour <= 5", "hour >= 3"]);
    assert_eq!(asked_where("hour IN (1, 2)"), ["hour in 1 2"]);
    assert_eq!(asked_where("hour IN (1, 2, 3, 4, 5, 6)"), ["hour in 1 2 3 4 5 6"]);
    assert_eq!(asked_where("shop = 'a' OR shop = 'b'"), ["shop in a b"]);
    assert_eq!(asked_where("day >= DATE '2026-11-30' - INTERVAL '1 month'"), ["day >= 2026-10-30"]);
}

#[test]
fn what_is_no_such_comparison_asks_nothing() {
    for condition in [
        "customer_id = 7",
        "shop <> 'a'",
        "shop NOT IN ('a', 'b')",
        "shop IS NULL",
        "shop LIKE 'a%'",
        "shop = ''",
        "shop = 'a' OR hour = 3",
        "shop = 'a' OR customer_id = 3",
        "upper(shop) = 'A'",
        "hour = customer_id",
        "hour > 2.5",
    ] {
        assert_eq!(asked_where(condition), NOTHING, "{condition}");
    }
    assert_eq!(asked_where("hour IS NOT NULL AND shop = 'a'"), ["shop in a"]);
}

#[test]
fn what_depends_on_the_time_counts_once_it_is_known() {
    let sql = "SELECT customer_id FROM raw.visits WHERE day >= current_date() - INTERVAL '7 days'";
    assert_eq!(asked(sql), NOTHING);
    assert_eq!(asked_at(sql, Some("2026-11-25T10:00:00Z")), ["day >= 2026-11-18"]);
}

#[test]
fn conditions_count_where_the_table_is_read_and_at_each_such_place() {
    assert_eq!(
        asked(
            "SELECT o.order_id FROM raw.orders o JOIN raw.visits v ON o.customer_id = v.customer_id WHERE v.shop = 'a'"
        ),
        ["shop in a"]
    );
    assert_eq!(
        asked(
            "SELECT o.order_id FROM raw.orders o LEFT JOIN raw.visits v ON o.customer_id = v.customer_id AND v.shop = 'a'"
        ),
        ["shop in a"]
    );
    assert_eq!(
        asked(
            "SELECT v.customer_id FROM raw.visits v LEFT JOIN raw.orders o ON o.customer_id = v.customer_id AND v.shop = 'a'"
        ),
        NOTHING,
        "rows of other shops are in the result, without an order"
    );
    assert_eq!(asked("WITH v AS (SELECT * FROM raw.visits) SELECT customer_id FROM v WHERE shop = 'a'"), ["shop in a"]);
    assert_eq!(
        asked("SELECT customer_id FROM raw.visits WHERE shop = 'a' UNION ALL SELECT customer_id FROM raw.visits"),
        NOTHING
    );
    assert_eq!(
        asked(
            "SELECT customer_id FROM raw.visits WHERE shop = 'a' AND hour = 1 \
             UNION ALL SELECT customer_id FROM raw.visits WHERE shop = 'a' AND hour = 2"
        ),
        ["shop in a"]
    );
    let in_subquery =
        "SELECT customer_id FROM raw.visits WHERE shop = 'a' AND hour < (SELECT max(hour) FROM raw.visits)";
    assert_eq!(asked(in_subquery), NOTHING);
    assert_eq!(asked("SELECT shop, count(*) AS n FROM raw.visits GROUP BY shop HAVING count(*) > 1"), NOTHING);
}

#[test]
fn only_tables_of_unglue_are_known_to_spell_values_in_one_way() {
    assert!(!of_conditions(&visits(&[]), &[]).canonical);
    assert!(of_conditions(&visits(&[(OWNER, "sql/raw/visits.sql")]), &[]).canonical);
}
