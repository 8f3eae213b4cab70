//! Errors of a query.

use super::assert_error;
use crate::output::Output;
use crate::project::Project;

/// Checks a shop with one SQL file, `sql/sales/orders.sql`.
fn check(sql: &str) -> Output {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", sql);
    project.check()
}

#[test]
fn syntax() {
    assert_error("syntax", &check("SELECT\n    order_id,\n    status\nFORM raw.orders\n"));
}

#[test]
fn not_a_select() {
    assert_error("not-a-select", &check("-- A table of orders\nCREATE TABLE x AS SELECT order_id FROM raw.orders\n"));
}

#[test]
fn several_statements() {
    assert_error("several-statements", &check("SELECT order_id FROM raw.orders;\nSELECT name FROM raw.customers;\n"));
}

#[test]
fn file_access() {
    assert_error("file-access", &check("SELECT *\nFROM '/etc/passwd'\n"));
}

#[test]
fn unknown_table() {
    assert_error("unknown-table", &check("SELECT order_id\nFROM raw.ordrs\n"));
}

#[test]
fn unknown_column() {
    assert_error("unknown-column", &check("SELECT\n    o.order_id,\n    o.custmer_id\nFROM raw.orders AS o\n"));
}

#[test]
fn ambiguous_column() {
    assert_error(
        "ambiguous-column",
        &check("SELECT customer_id\nFROM raw.orders AS o\nJOIN raw.customers AS c ON c.customer_id = o.customer_id\n"),
    );
}

#[test]
fn unknown_function() {
    assert_error("unknown-function", &check("SELECT order_id, uper(status) AS status FROM raw.orders\n"));
}

#[test]
fn type_mismatch() {
    assert_error("type-mismatch", &check("SELECT order_id, status * 2 AS twice FROM raw.orders\n"));
}

#[test]
fn duplicate_column() {
    assert_error("duplicate-column", &check("SELECT\n    order_id,\n    status AS Order_Id\nFROM raw.orders\n"));
}

#[test]
fn bad_column_name() {
    assert_error("bad-column-name", &check("SELECT order_id, amount * 2 FROM raw.orders\n"));
}

#[test]
fn unsupported_type() {
    assert_error("unsupported-type", &check("SELECT order_id, ordered_at - ordered_at AS waited FROM raw.orders\n"));
}

#[test]
fn invalid_query() {
    assert_error("invalid-query", &check("SELECT\n    sum(amount) AS amount,\n    status\nFROM raw.orders\n"));
}

#[test]
fn query_too_complex() {
    let nested = format!("{}amount{}", "(".repeat(2_000), ")".repeat(2_000));
    assert_error(
        "query-too-complex",
        &check(&format!("SELECT\n    order_id,\n    {nested} AS amount\nFROM raw.orders\n")),
    );
}

#[test]
fn not_incremental() {
    assert_error(
        "not-incremental",
        &check("-- @write: append\nSELECT status, count(*) AS orders\nFROM raw.orders\nGROUP BY status\n"),
    );
}

#[test]
fn schema_changed() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", "SELECT order_id, amount FROM raw.orders\n");
    project.run_well();
    project.write("sql/sales/orders.sql", "SELECT order_id, CAST(amount AS BIGINT) AS amount FROM raw.orders\n");
    assert_error("schema-changed", &project.check());
}

#[test]
fn foreign_table() {
    let project = Project::cataloged();
    project.write("sql/raw/orders.sql", "SELECT customer_id FROM raw.customers\n");
    assert_error("foreign-table", &project.check());
}

#[test]
fn overlapping_locations() {
    let project = Project::cataloged();
    let folder = std::fs::canonicalize(project.path("data")).expect("the data folder");
    let location = format!("-- @location: file://{}/raw/orders/daily/", folder.display());
    project.write("sql/sales/orders.sql", format!("{location}\nSELECT order_id FROM raw.orders\n"));
    assert_error("overlapping-locations", &project.check());
}

#[test]
fn partition_projection() {
    let project = Project::shop();
    project.write(
        "sql/sales/orders.sql",
        "-- @write: overwrite\n-- @partition: status\nSELECT order_id, status FROM raw.orders\n",
    );
    project.run_well();
    for entry in project.files("data/_unglue/_catalog/sales/orders") {
        let text = std::fs::read_to_string(project.path(&entry)).expect("an entry of the catalog");
        let parameter = "\"unglue.transform\"";
        project.write(&entry, text.replace(parameter, &format!("\"projection.enabled\":\"true\",{parameter}")));
    }
    assert_error("partition-projection", &project.check());
}
