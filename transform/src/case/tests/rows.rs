//! What passes and what fails.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use super::*;
use crate::case::compare::compare;

/// A query that gives the rows as they are.
const SAME: &str = "SELECT id, name, price FROM raw.t";

async fn same(expected: &str) -> Vec<String> {
    told(&tested(SAME, &[("raw.t.csv", ROWS), ("expect.csv", expected)], &KnownColumns::new()).await)
}

#[tokio::test]
async fn rows_are_a_multiset_of_the_named_columns() {
    for expected in [
        "id,name,price\n1,a,1.5\n2,,2\n",
        "id,name,price\n2,,2\n1,a,1.5\n",
        "price,id\n2,2\n1.50,1\n",
        "NAME , ID\r\na,1\r\n\"\",2",
        "id\n\n2\n\n1\n\n",
    ] {
        assert_eq!(same(expected).await, ["ok"], "{expected}");
    }
}

#[tokio::test]
async fn what_differs_fails() {
    for (expected, difference) in [
        ("id,name,price\n1,b,1.5\n2,,2\n", &["2: 1|b|1.5 / 1|a|1.5"][..]),
        ("id,name,price\n1,,1.5\n2,,2\n", &["2: 1|NULL|1.5 / 1|a|1.5"]),
        ("id,name,price\n1,a,1.5\n2,NULL,2\n", &["3: 2|NULL|2.0 / 2|NULL|2.0"]),
        ("id,name,price\n1,a,1.5\n", &[" / 2|NULL|2.0"]),
        ("id,name,price\n1,a,1.5\n2,,2\n3,c,3\n", &["4: 3|c|3.0 / "]),
        ("id\n1\n1\n2\n", &["3: 1 / "]),
        ("id\n1\n1\n", &["3: 1 / ", " / 2"]),
        ("id,name,price\n", &[" / 1|a|1.5", " / 2|NULL|2.0"]),
    ] {
        assert_eq!(same(expected).await, difference, "{expected}");
    }
    let twice = "id,name,price\n1,a,1.5\n1,a,1.5\n";
    let files = [("raw.t.csv", twice), ("expect.csv", "id\n1\n")];
    assert_eq!(told(&tested(SAME, &files, &KnownColumns::new()).await), [" / 1"]);
}

#[tokio::test]
async fn null_is_not_an_empty_text() {
    let null = "{\"id\": 1, \"name\": null}\n";
    let empty = "{\"id\": 1, \"name\": \"\"}\n";
    let known = known(&[("id", "bigint"), ("name", "string")]);
    for (rows, expected, passes) in
        [(null, null, true), (empty, empty, true), (null, empty, false), (empty, null, false)]
    {
        let files = [("raw.t.jsonl", rows), ("expect.jsonl", expected)];
        let outcome = tested("SELECT id, name FROM raw.t", &files, &known).await;
        assert_eq!(told(&outcome) == ["ok"], passes, "{rows}{expected}");
    }
    // CSV has no empty text: as in every other CSV object, it is NULL.
    let files = [("raw.t.jsonl", empty), ("expect.csv", "id,name\n1,\"\"\n")];
    assert_ne!(told(&tested("SELECT id, name FROM raw.t", &files, &known).await), ["ok"]);
}

/// Expected values are read in the types of the result, and say no more than those can.
#[tokio::test]
async fn values_are_compared_in_the_types_of_the_result() {
    let sql = "SELECT CAST(price AS DECIMAL(12, 2)) AS price, CAST(1 AS SMALLINT) AS n, DATE '2026-01-02' AS day, \
               CAST('2026-01-02 03:04:05.1' AS TIMESTAMP) AS at, id = 1 AS first, 0.1 + 0.2 AS sum \
               FROM raw.t WHERE id = 1";
    let cases = [
        ("price,n,day,at,first,sum\n1.5,1,2026-01-02,2026-01-02T03:04:05.100,true,0.3\n", "ok"),
        ("price\n1.500\n", "ok"),
        ("price\n1.51\n", "2: 1.51 / "),
        ("price\n1.505\n", "bad-fixture expect.csv:2:1"),
        ("price\n15e-1\n", "bad-fixture expect.csv:2:1"),
        ("price\nmuch\n", "bad-record expect.csv:2:1"),
        ("n\n1.0\n", "bad-record expect.csv:2:1"),
        ("day\n2026-01-02 10:00:00\n", "bad-fixture expect.csv:2:1"),
        ("at\n2026-01-02 03:04:05.1000001\n", "bad-fixture expect.csv:2:1"),
        ("first\n1\n", "bad-record expect.csv:2:1"),
        ("sum\n0.3000001\n", "2: 0.3000001 / "),
        ("sum\n0.30000000000000004\n", "ok"),
    ];
    for (expected, first) in cases {
        let files = [("raw.t.csv", ROWS), ("expect.csv", expected)];
        let told = told(&tested(sql, &files, &KnownColumns::new()).await);
        assert_eq!(told[0], first, "{expected} {told:?}");
    }
}

#[tokio::test]
async fn nested_values() {
    let known = known(&[("id", "bigint"), ("tags", "array<string>"), ("at", "struct<x:double,y:string>")]);
    let rows = "{\"id\": 1, \"tags\": [\"a\", null], \"at\": {\"x\": 0.1, \"y\": \"z\"}}\n";
    let sql = "SELECT id, tags, named_struct('x', at['x'] + 0.2, 'y', at['y']) AS at FROM raw.t";
    for (expected, first) in [
        ("{\"id\": 1, \"tags\": [\"a\", null], \"at\": {\"x\": 0.3, \"y\": \"z\"}}", "ok"),
        ("{\"tags\": [\"a\", null]}", "ok"),
        ("{\"tags\": [null, \"a\"]}", "1: [, a] / "),
        ("{\"tags\": [\"a\"]}", "1: [a] / "),
        ("{\"at\": {\"x\": 0.31, \"y\": \"z\"}}", "1: {x: 0.31, y: z} / "),
    ] {
        let files = [("raw.t.jsonl", rows), ("expect.jsonl", expected)];
        assert_eq!(told(&tested(sql, &files, &known).await)[0], first, "{expected}");
    }
    let files = [("raw.t.jsonl", rows), ("expect.csv", "id,tags\n1,a\n")];
    assert_eq!(told(&tested(sql, &files, &known).await), ["bad-fixture expect.csv:1:4"]);
}

/// The whole path: partitions, a location elsewhere, `now()`, sorting; and a run that makes no table.
#[tokio::test]
async fn the_transform_runs_as_anywhere_else() {
    let sql = "-- @partition: name\n-- @sort: id desc\n-- @location: s3://elsewhere/t/\n\
               SELECT id, name, now() AS seen_at FROM raw.t";
    let expected = "id,name,seen_at\n1,a,2026-01-01 00:00:00\n2,,2026-01-01 00:00:00\n";
    let files = [("raw.t.csv", ROWS), ("expect.csv", expected)];
    assert_eq!(told(&tested(sql, &files, &KnownColumns::new()).await), ["ok"]);

    let total = "SELECT count(*) AS n, sum(price) AS total FROM raw.t";
    let files = [("raw.t.csv", ROWS), ("expect.csv", "n,total\n2,3.5\n")];
    assert_eq!(told(&tested(total, &files, &KnownColumns::new()).await), ["ok"]);

    let known = known(&[("id", "bigint"), ("name", "string"), ("price", "double")]);
    assert_eq!(told(&tested(SAME, &[("expect.csv", "id\n")], &known).await), ["ok"]);
    assert_eq!(told(&tested(SAME, &[("expect.jsonl", "")], &known).await), ["ok"]);
    assert_eq!(told(&tested(SAME, &[("expect.csv", "id\n1\n")], &known).await), ["2: 1 / "]);
    assert_eq!(told(&tested(total, &[("expect.csv", "n,total\n0,\n")], &known).await), ["ok"]);
    let header = [("raw.t.csv", "id,name,price\n"), ("expect.csv", "id\n")];
    assert_eq!(told(&tested(SAME, &header, &KnownColumns::new()).await), ["ok"]);
}

#[tokio::test]
async fn known_types_win_and_columns_may_be_left_out() {
    let known = known(&[("id", "string"), ("name", "string"), ("price", "decimal(10,3)")]);
    let sql = "SELECT id || '!' AS id, name, price FROM raw.t";
    let files =
        [("raw.t.csv", "price,id\n1.5,007\n"), ("expect.jsonl", "{\"id\":\"007!\",\"name\":null,\"price\":1.5}\n")];
    assert_eq!(told(&tested(sql, &files, &known).await), ["ok"]);
    let files = [("raw.t.csv", "id,prise\n1,2\n"), ("expect.csv", "id\n1!\n")];
    assert_eq!(told(&tested(sql, &files, &known).await), ["bad-fixture raw.t.csv:1:4"]);
    let files = [("raw.t.csv", "id,price\n1,2\n2,cheap\n"), ("expect.csv", "id\n1!\n")];
    assert_eq!(told(&tested(sql, &files, &known).await), ["bad-record raw.t.csv:3:1"]);
}

#[tokio::test]
async fn errors_are_expected_too() {
    let sql = "-- @assert: price < 2\n-- @not_null: id\nSELECT id, price FROM raw.t";
    for (expected, first) in [
        ("check-failed", "ok"),
        ("\n  check-failed\r\n\n@assert: price < 2\n1 row\n", "ok"),
        ("check-failed\n@not_null\n", "test-failed expect.error:1:1"),
        ("bad-record\n", "test-failed expect.error:1:1"),
        (" check-faild\n", "bad-fixture expect.error:1:2"),
        ("", "bad-fixture expect.error:1:1"),
    ] {
        let files = [("raw.t.csv", ROWS), ("expect.error", expected)];
        assert_eq!(told(&tested(sql, &files, &KnownColumns::new()).await)[0], first, "{expected}");
    }
    let unmet = [("raw.t.csv", "id,price\n1,1\n"), ("expect.error", "check-failed")];
    assert_eq!(told(&tested(sql, &unmet, &KnownColumns::new()).await), ["test-failed expect.error:1:1"]);
    let unexpected = [("raw.t.csv", ROWS), ("expect.csv", "id\n1\n")];
    assert_eq!(told(&tested(sql, &unexpected, &KnownColumns::new()).await), ["check-failed t.sql:1:13"]);
}

/// Without a catalog the columns are those of the rows, and an error in the query says so.
#[tokio::test]
async fn a_column_that_only_the_rows_lack() {
    let files = [("raw.t.csv", "id\n1\n"), ("expect.csv", "id\n1\n")];
    let CaseOutcome::Failed { errors } = tested(SAME, &files, &KnownColumns::new()).await else { panic!("it passed") };
    assert!(errors.iter().all(|error| error.code == Code::UnknownColumn), "{errors:?}");
    let help = errors[0].help.as_ref().unwrap();
    assert!(help.contains("`raw.t`") && help.contains("the test's own rows"), "{help}");
}

type Row = (Option<i64>, Option<String>, Option<f64>);

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        ("b", Arc::new(rows.iter().map(|row| row.1.clone()).collect::<StringArray>())),
        ("c", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// Rows of few values, so that many are alike.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let number = proptest::option::of(0_i64..3);
    let text = proptest::option::of(prop_oneof![Just(String::new()), Just("x".to_owned())]);
    let float = proptest::option::of(prop_oneof![Just(f64::NAN), Just(0.0), Just(0.5)]);
    proptest::collection::vec((number, text, float), 0..12)
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter((rows, shuffled) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))) {
        prop_assert!(compare(&batch(&rows), &batch(&shuffled), &[]).is_none());
    }

    #[test]
    fn a_row_more_on_either_side_is_found(rows in rows(), place in any::<prop::sample::Index>(), extra in any::<prop::sample::Index>()) {
        prop_assume!(!rows.is_empty());
        let mut more = rows.clone();
        more.insert(place.index(rows.len() + 1), rows[extra.index(rows.len())].clone());
        let missing = compare(&batch(&more), &batch(&rows), &[]).unwrap();
        prop_assert!(missing.rows.len() == 1 && missing.rows[0].found.is_none());
        let unexpected = compare(&batch(&rows), &batch(&more), &[]).unwrap();
        prop_assert!(unexpected.rows.len() == 1 && unexpected.rows[0].expected.is_none());
    }

    #[test]
    fn a_changed_value_is_found(rows in rows(), place in any::<prop::sample::Index>()) {
        prop_assume!(!rows.is_empty());
        let mut changed = rows.clone();
        let row = &mut changed[place.index(rows.len())];
        row.0 = if row.0.is_some() { None } else { Some(0) };
        let difference = compare(&batch(&rows), &batch(&changed), &[]).unwrap();
        prop_assert_eq!(difference.rows.len(), 1);
        prop_assert_eq!(&difference.rows[0].differing, &["a"]);
    }
}
