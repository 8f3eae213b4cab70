use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast::{Statement, visit_relations};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;
use crate::diagnose::find::object_name;
use crate::hive::HiveType;
use crate::safety::tests::unmarked;
use crate::settings::{Settings, SortColumn, Spanned};
use crate::transform::SourceFile;

/// The tables of all tests of planning.
pub(crate) fn schema_of(name: &TableName) -> Option<SchemaRef> {
    let columns: &[(&str, &str)] = match name.to_string().as_str() {
        "raw.orders" => &[
            ("order_id", "bigint"),
            ("customer_id", "bigint"),
            ("amount", "decimal(12,2)"),
            ("ordered_at", "timestamp"),
            ("status", "string"),
            ("paid", "boolean"),
        ],
        "raw.customers" => &[("customer_id", "bigint"), ("name", "string"), ("segment", "string"), ("since", "date")],
        "raw.events" => &[
            ("id", "bigint"),
            ("payload", "struct<kind:string,at:timestamp,tags:array<string>>"),
            ("codes", "array<int>"),
            ("score", "double"),
        ],
        _ => return None,
    };
    let field = |(name, hive): &(&str, &str)| Field::new(*name, hive.parse::<HiveType>().unwrap().arrow(), true);
    Some(Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())))
}

pub(crate) fn table(name: &str) -> TableName {
    TableName::try_from(name.to_owned()).unwrap()
}

pub(crate) fn known() -> Vec<TableName> {
    ["raw.orders", "raw.customers", "raw.events"].map(table).to_vec()
}

/// A transform of `sales.result` from SQL text; its driving table is the first that the text names.
pub(crate) fn transform(sql: &str, settings: Settings) -> Transform {
    let file = SourceFile { path: "sql/sales/result.sql".to_owned(), text: sql.into() };
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
    let Some(Statement::Query(query)) = statements.pop() else { panic!("not a query: {sql}") };
    let text = Text::of_file(&file);
    let mut inputs: Vec<Input> = Vec::new();
    let _ = visit_relations(&query, |name| {
        let span = datafusion::sql::sqlparser::ast::Spanned::span(name);
        if let Ok(name) = TableName::try_from(object_name(name))
            && !inputs.iter().any(|input| input.name == name)
        {
            inputs.push(Input { name, at: text.location_of(span).unwrap() });
        }
        ControlFlow::<()>::Continue(())
    });
    Transform {
        target: table("sales.result"),
        driving: inputs.first().map(|input| input.name.clone()),
        file: file.clone(),
        settings,
        query,
        inputs,
        comments: BTreeMap::from([("order_id".to_owned(), "Order number".to_owned())]),
    }
}

fn planned(sql: &str, settings: Settings) -> Result<Planned, Vec<Error>> {
    plan(&transform(sql, settings), &schema_of, &known())
}

/// A setting's value that stands in a header line.
fn at_line(line: usize, text: &str, value: &str) -> Spanned<String> {
    let column = text[..text.find(value).unwrap()].chars().count() + 1;
    let at = Location {
        file: "sql/sales/result.sql".to_owned(),
        line,
        column,
        length: value.chars().count(),
        text: text.to_owned(),
    };
    Spanned { value: value.to_owned(), at: Some(at) }
}

fn partitioned_by(columns: &[&str]) -> Settings {
    let line = format!("-- @partition: {}", columns.join(", "));
    Settings { partition: columns.iter().map(|column| at_line(1, &line, column)).collect(), ..Settings::default() }
}

fn codes(errors: &[Error]) -> Vec<&'static str> {
    errors.iter().map(|error| error.code.as_str()).collect()
}

/// Line, column and length of an error.
fn place(error: &Error) -> (usize, usize, usize) {
    let at = error.at.as_ref().unwrap();
    (at.line, at.column, at.length)
}

#[test]
fn tells_columns_partition_keys_and_comments() {
    let sql = "SELECT o.order_id, CAST(o.ordered_at AS DATE) AS day, o.amount AS \"Amount\", e.payload\n\
               FROM raw.orders AS o JOIN raw.events AS e ON e.id = o.order_id";
    let planned = planned(sql, partitioned_by(&["day"])).unwrap();
    let shown = |columns: &[Column]| -> Vec<String> {
        columns.iter().map(|column| format!("{} {}", column.name, column.hive_type)).collect()
    };
    let payload = "payload struct<kind:string,at:timestamp,tags:array<string>>";
    assert_eq!(shown(&planned.columns), ["order_id bigint", "amount decimal(12,2)", payload]);
    assert_eq!(shown(&planned.partition_keys), ["day date"]);
    assert_eq!(planned.columns[0].comment.as_deref(), Some("Order number"));
    assert_eq!(planned.columns[1].comment, None);
    let names: Vec<&String> = planned.plan.schema().fields().iter().map(|field| field.name()).collect();
    assert_eq!(names, ["order_id", "day", "amount", "payload"]);
}

#[test]
fn plans_the_same_query_over_other_sources() {
    let transform = transform("SELECT order_id FROM raw.orders", Settings::default());
    let source = |name: &TableName| {
        schema_of(name).map(|schema| Arc::new(LogicalTableSource::new(schema)) as Arc<dyn TableSource>)
    };
    let plan = plan_with(&transform, &session::planner().state(), &source).unwrap();
    assert_eq!(plan.schema().field(0).name(), "order_id");
    let errors = plan_with(&transform, &session::planner().state(), &|_| None).unwrap_err();
    assert_eq!(codes(&errors), ["unknown-table"]);
    assert_eq!(place(&errors[0]), (1, 22, 10));
}

#[test]
fn reports_every_unknown_table_with_the_nearest_name() {
    let errors =
        planned("SELECT *\nFROM raw.ordrs AS o\nJOIN web.pages AS p ON true", Settings::default()).unwrap_err();
    assert_eq!(codes(&errors), ["unknown-table", "unknown-table"]);
    assert_eq!((place(&errors[0]), place(&errors[1])), ((2, 6, 9), (3, 6, 9)));
    assert_eq!(errors[0].help.as_deref(), Some("did you mean `raw.orders`?"));
    assert!(errors[1].help.as_deref().unwrap().contains("unglue catalog"));
    assert_eq!(errors[0].transform.as_deref(), Some("sales.result"));
}

#[test]
fn derives_the_write_mode() {
    let mode = |sql: &str| planned(sql, Settings::default()).unwrap().write;
    assert_eq!(mode("SELECT order_id FROM raw.orders WHERE paid"), WriteMode::Append);
    assert_eq!(mode("SELECT count(*) AS n FROM raw.orders"), WriteMode::Overwrite);
    assert_eq!(mode("SELECT 1 AS one"), WriteMode::Overwrite);
}

#[test]
fn tells_the_clause_that_rules_out_append() {
    let planned =
        planned("SELECT status, count(*) AS n\nFROM raw.orders\nGROUP BY status", Settings::default()).unwrap();
    assert!(planned.reason.contains("raw.orders"), "{}", planned.reason);
    let at = planned.reason_at.unwrap();
    assert_eq!((at.line, at.column, at.length), (3, 1, 8));
}

fn written(write: WriteMode) -> Settings {
    let setting = at_line(1, "-- @write: append", "append");
    Settings { write: Some(Spanned { value: write, at: setting.at }), ..Settings::default() }
}

#[test]
fn keeps_a_written_mode_that_fits() {
    let unsafe_query = "SELECT status, count(*) AS n FROM raw.orders GROUP BY status";
    assert_eq!(planned(unsafe_query, written(WriteMode::Overwrite)).unwrap().write, WriteMode::Overwrite);
    assert_eq!(planned("SELECT paid FROM raw.orders", written(WriteMode::Append)).unwrap().write, WriteMode::Append);
    assert_eq!(
        planned("SELECT paid FROM raw.orders", written(WriteMode::Overwrite)).unwrap().write,
        WriteMode::Overwrite
    );
}

#[test]
fn refuses_append_without_a_table() {
    let errors = planned("SELECT 1 AS one", written(WriteMode::Append)).unwrap_err();
    assert_eq!(codes(&errors), ["bad-driving-table"]);
    assert_eq!(place(&errors[0]), (1, 12, 6));
}

#[test]
fn reports_unknown_columns_of_all_settings() {
    let line = "-- @any: nope";
    let nope = || vec![at_line(1, line, "nope")];
    let settings = Settings {
        partition: nope(),
        sort: vec![Spanned {
            value: SortColumn { column: "statu".to_owned(), descending: true },
            at: nope()[0].at.clone(),
        }],
        key: nope(),
        latest_by: nope().pop(),
        bloom_filter: nope(),
        dictionary: nope(),
        not_null: nope(),
        unique: nope(),
        ..written(WriteMode::Merge)
    };
    let errors = planned("SELECT status FROM raw.orders", settings).unwrap_err();
    assert_eq!(codes(&errors), ["unknown-column"; 8]);
    assert!(errors.iter().all(|error| place(error) == (1, 10, 4)));
    assert!(errors.iter().any(|error| error.help.as_deref() == Some("did you mean `status`?")));
}

#[test]
fn settings_name_columns_in_any_letter_case() {
    let settings =
        Settings { not_null: vec![at_line(1, "-- @not_null: STATUS", "STATUS")], ..partitioned_by(&["Paid"]) };
    let planned = planned("SELECT status, paid FROM raw.orders", settings).unwrap();
    assert_eq!(planned.partition_keys[0].name, "paid");
    assert_eq!(planned.columns.len(), 1);
}

#[test]
fn merging_needs_a_key_and_only_merging_takes_one() {
    let key = || vec![at_line(1, "-- @key: order_id", "order_id")];
    let merge = |settings: Settings| Settings { write: written(WriteMode::Merge).write, ..settings };
    let keyed = || Settings { key: key(), ..Settings::default() };
    let sql = "-- 1\nSELECT order_id, status FROM raw.orders";
    assert!(planned(sql, merge(keyed())).is_ok());
    assert_eq!(codes(&planned(sql, merge(Settings::default())).unwrap_err()), ["bad-value"]);
    let lonely = planned(sql, keyed()).unwrap_err();
    assert_eq!((codes(&lonely), place(&lonely[0])), (vec!["bad-value"], (1, 10, 8)));
    for settings in [
        Settings { latest_by: Some(at_line(1, "-- @latest_by: status", "status")), ..Settings::default() },
        Settings { delete_when: Some(at_line(1, "-- @delete_when: true", "true")), ..Settings::default() },
    ] {
        assert_eq!(codes(&planned(sql, settings).unwrap_err()), ["bad-value"]);
    }
    let total = "SELECT status, count(*) AS n FROM raw.orders GROUP BY status";
    assert_eq!(
        codes(&planned(total, merge(Settings { key: key(), ..Settings::default() })).unwrap_err())[1],
        "not-incremental"
    );
    let nested = merge(Settings { key: vec![at_line(1, "-- @key: payload", "payload")], ..Settings::default() });
    assert_eq!(codes(&planned("SELECT id, payload FROM raw.events", nested).unwrap_err()), ["type-mismatch"]);
}

#[test]
fn deletes_by_a_condition_over_a_row() {
    let settings = |text: &str| Settings {
        key: vec![at_line(1, "-- @key: order_id", "order_id")],
        delete_when: Some(at_line(2, &format!("-- @delete_when: {text}"), text)),
        ..written(WriteMode::Merge)
    };
    let sql = "-- 1\n-- 2\nSELECT order_id, status FROM raw.orders";
    assert!(planned(sql, settings("status = 'gone'")).unwrap().delete_when.is_some());
    let wrong = planned(sql, settings("staus = 'gone'")).unwrap_err();
    assert_eq!((codes(&wrong), place(&wrong[0])), (vec!["unknown-column"], (2, 18, 5)));
    assert_eq!(codes(&planned(sql, settings("order_id")).unwrap_err()), ["type-mismatch"]);
}

#[test]
fn overwriting_partitions_needs_partitions_that_the_query_is_computed_by() {
    let mode = |partition: &[&str]| Settings {
        write: written(WriteMode::OverwritePartitions).write,
        ..partitioned_by(partition)
    };
    let by_status = "SELECT status, count(*) AS n FROM raw.orders GROUP BY status";
    assert!(planned(by_status, mode(&["status"])).is_ok());
    assert_eq!(codes(&planned(by_status, mode(&[])).unwrap_err()), ["bad-value"]);
    let by_amount = "SELECT max(status) AS status, count(*) AS n FROM raw.orders";
    assert_eq!(codes(&planned(by_amount, mode(&["status"])).unwrap_err()), ["not-incremental"]);
}

#[test]
fn ways_to_write_that_do_not_fit_are_refused_at_the_clause() {
    let refused = |write: WriteMode, marked: &str| {
        let (sql, line, column, length) = unmarked(marked);
        let settings = match write {
            WriteMode::Merge => Settings { key: vec![at_line(1, "-- @key: day", "day")], ..written(write) },
            _ => Settings { write: written(write).write, ..partitioned_by(&["day"]) },
        };
        let errors = planned(&sql, settings).unwrap_err();
        assert_eq!(codes(&errors), ["not-incremental"], "{sql}");
        assert_eq!(place(&errors[0]), (line, column, length), "{sql}");
        assert!(errors[0].help.is_some(), "{sql}");
        errors[0].message.clone()
    };
    for marked in [
        "-- 1\nSELECT status AS day, count(*) AS n\nFROM raw.orders\n«GROUP BY» status",
        "-- 1\nSELECT status AS day,\n    «row_number() OVER (PARTITION BY status ORDER BY order_id)» AS n\nFROM raw.orders",
        "-- 1\nSELECT o.status AS day FROM raw.orders AS o\n    «FULL OUTER JOIN» raw.customers AS c ON c.customer_id = o.customer_id",
        "-- 1\nSELECT «DISTINCT» status AS day, paid FROM raw.orders",
    ] {
        assert!(refused(WriteMode::Merge, marked).starts_with("`@write: merge` does not fit: "));
    }
    for marked in [
        "-- 1\nSELECT paid, max(status) AS day\nFROM raw.orders\n«GROUP BY» paid",
        "-- 1\nWITH o AS (\n    SELECT customer_id, min(status) AS day FROM raw.orders «GROUP BY» customer_id\n)\n\
         SELECT day, count(*) AS n FROM o GROUP BY day",
        "-- 1\nSELECT status AS day,\n    sum(amount) OVER (PARTITION BY status) AS s,\n    «sum(amount) OVER (PARTITION BY paid)» AS t\nFROM raw.orders",
        "-- 1\nSELECT o.n, «c.since» AS day\nFROM (SELECT customer_id, count(*) AS n FROM raw.orders GROUP BY customer_id) AS o\n\
         JOIN raw.customers AS c ON c.customer_id = o.customer_id",
        "-- 1\nSELECT status AS day, order_id FROM raw.orders\nORDER BY order_id\n«LIMIT» 10",
    ] {
        assert!(
            refused(WriteMode::OverwritePartitions, marked)
                .starts_with("`@write: overwrite_partitions` does not fit: ")
        );
    }
}

#[test]
fn refuses_partition_columns_that_cannot_be() {
    let errors =
        planned("SELECT id, score, payload FROM raw.events", partitioned_by(&["score", "payload"])).unwrap_err();
    assert_eq!(codes(&errors), ["type-mismatch", "type-mismatch"]);
    assert_eq!((place(&errors[0]), place(&errors[1])), ((1, 16, 5), (1, 23, 7)));
    let errors = planned("SELECT status, paid FROM raw.orders", partitioned_by(&["status", "paid"])).unwrap_err();
    assert_eq!(codes(&errors), ["all-partition-columns"]);
    assert_eq!(place(&errors[0]), (1, 16, 6));
}

#[test]
fn reports_settings_checks_and_mode_together() {
    let settings = Settings {
        write: written(WriteMode::Append).write,
        not_null: vec![at_line(2, "-- @not_null: sttus", "sttus")],
        assert: vec![at_line(3, "-- @assert: n > 'x' + 1", "n > 'x' + 1"), at_line(4, "-- @assert: m > 0", "m > 0")],
        ..Settings::default()
    };
    let errors = planned(
        "-- @write: append\n-- 2\n-- 3\n-- 4\nSELECT status, count(*) AS n FROM raw.orders GROUP BY 1",
        settings,
    )
    .unwrap_err();
    assert_eq!(codes(&errors), ["unknown-column", "type-mismatch", "unknown-column", "not-incremental"]);
    let places: Vec<_> = errors.iter().map(place).collect();
    assert_eq!(places, [(2, 15, 5), (3, 17, 7), (4, 13, 1), (5, 46, 8)]);
}

#[test]
fn plans_asserts_over_the_final_columns() {
    let settings = Settings {
        assert: vec![
            at_line(1, "-- @assert: amount >= 0", "amount >= 0"),
            at_line(1, "-- @assert: \"amount\" < 9", "\"amount\" < 9"),
        ],
        ..Settings::default()
    };
    let planned = planned("SELECT order_id, amount AS \"Amount\" FROM raw.orders", settings).unwrap();
    assert_eq!(planned.asserts[0].0, "amount >= 0");
    let columns = planned.asserts[0].1.column_refs();
    assert_eq!(columns.iter().map(|column| column.flat_name()).collect::<Vec<_>>(), ["amount"]);
}

#[test]
fn refuses_asserts_that_are_no_condition_of_a_row() {
    let refused = |text: &str| {
        let line = format!("-- @assert: {text}");
        let settings = Settings { assert: vec![at_line(7, &line, text)], ..Settings::default() };
        let errors = planned("SELECT order_id, amount, status FROM raw.orders", settings).unwrap_err();
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        (errors[0].code.as_str(), place(&errors[0]))
    };
    assert_eq!(refused("amount + 1"), ("type-mismatch", (7, 13, 10)));
    assert_eq!(refused("amount > 0 AND amnt < 5"), ("unknown-column", (7, 28, 4)));
    assert_eq!(refused("sum(amount) > 0"), ("invalid-query", (7, 13, 15)));
    assert_eq!(refused("row_number() OVER () > 1"), ("invalid-query", (7, 13, 24)));
    assert_eq!(refused("amount > (SELECT max(amount) FROM raw.orders)").0, "invalid-query");
    assert_eq!(refused("amount > (SELECT 1)").0, "invalid-query");
    assert_eq!(refused("amount >").0, "syntax");
    assert_eq!(refused("amount > 0, status = 'x'").0, "syntax");
    assert_eq!(refused("lenth(status) > 1"), ("unknown-function", (7, 13, 5)));
}

#[test]
fn deep_and_long_queries_do_not_exhaust_the_stack() {
    let run = |sql: &str| {
        let transform = transform(sql, Settings::default());
        plan(&transform, &schema_of, &known()).map(drop).map_err(|errors| codes(&errors))
    };
    let chain = |length: usize| vec!["order_id = 1"; length].join(" OR ");
    let select = |condition: &str| format!("SELECT order_id FROM raw.orders WHERE {condition}");
    assert_eq!(run(&select(&chain(400))), Ok(()));
    assert_eq!(run(&select(&chain(10_000))), Err(vec!["query-too-complex"]));
    let sum = vec!["order_id"; 10_000].join(" + ");
    assert_eq!(run(&format!("SELECT {sum} AS s FROM raw.orders")), Err(vec!["query-too-complex"]));
    let list = (0..100_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(run(&select(&format!("order_id IN ({list})"))), Ok(()));
    let unions = vec!["SELECT order_id FROM raw.orders"; 2_000].join(" UNION ALL ");
    assert_eq!(run(&unions), Err(vec!["query-too-complex"]));
    let joins = (0..600).map(|n| format!(" CROSS JOIN raw.customers AS c{n}")).collect::<String>();
    assert_eq!(run(&format!("SELECT order_id FROM raw.orders{joins}")), Err(vec!["query-too-complex"]));
}

#[test]
fn faults_in_long_queries_are_found_in_reasonable_time() {
    let chain = vec!["order_id = 1"; 400].join(" OR ");
    let sql = format!("SELECT order_id FROM raw.orders WHERE {chain} OR\nstatus + 1 = 2");
    let errors = planned(&sql, Settings::default()).unwrap_err();
    assert_eq!(codes(&errors), ["type-mismatch"]);
    assert_eq!(place(&errors[0]), (2, 1, 10));
}
