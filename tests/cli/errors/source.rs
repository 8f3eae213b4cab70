//! Errors of the project's files and headers.

use super::{assert_error, printed_codes, snapshot};
use crate::project::Project;

/// Checks a shop with one SQL file, `sql/sales/orders.sql`.
fn check(sql: &str) -> crate::output::Output {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", sql);
    project.check()
}

#[test]
fn empty_project() {
    assert_error("empty-project", &Project::shop().check());
}

#[test]
fn bad_path() {
    let project = Project::cataloged();
    project.write("sql/orders.sql", "SELECT order_id FROM raw.orders\n");
    assert_error("bad-path", &project.check());
}

#[test]
fn not_utf8() {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", b"SELECT order_id -- caf\xe9\nFROM raw.orders\n");
    assert_error("not-utf8", &project.check());
}

#[test]
fn duplicate_target() {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", "SELECT order_id FROM raw.orders\n");
    project.write("sql/sales/orders.SQL", "SELECT order_id FROM raw.orders\n");
    // Names that differ in letter case only are wrong by themselves, too.
    let output = project.check();
    assert_eq!(printed_codes(&output), ["bad-path", "duplicate-target"], "{output}");
    snapshot("duplicate-target", &output);
}

#[test]
fn dependency_cycle() {
    let project = Project::cataloged();
    project.write("sql/marts/first.sql", "SELECT order_id\nFROM marts.second\n");
    project.write("sql/marts/second.sql", "SELECT order_id\nFROM marts.first\n");
    assert_error("dependency-cycle", &project.check());
}

#[test]
fn reads_own_target() {
    assert_error(
        "reads-own-target",
        &check("SELECT o.order_id\nFROM raw.orders AS o\nJOIN sales.orders AS old ON old.order_id = o.order_id\n"),
    );
}

#[test]
fn misplaced_setting() {
    assert_error("misplaced-setting", &check("SELECT order_id\n-- @write: append\nFROM raw.orders\n"));
}

#[test]
fn unknown_key() {
    assert_error("unknown-key", &check("-- @partitions: status\nSELECT order_id, status FROM raw.orders\n"));
}

#[test]
fn duplicate_key() {
    assert_error(
        "duplicate-key",
        &check("-- @not_null: order_id\n-- @not_null: status\nSELECT order_id, status FROM raw.orders\n"),
    );
}

#[test]
fn bad_value() {
    assert_error("bad-value", &check("-- @compression: zstd(40)\nSELECT order_id FROM raw.orders\n"));
}

#[test]
fn not_supported() {
    assert_error("not-supported", &check("-- @dialect: spark\nSELECT order_id FROM raw.orders\n"));
}

#[test]
fn bad_driving_table() {
    assert_error("bad-driving-table", &check("-- @driving: raw.customers\nSELECT order_id FROM raw.orders\n"));
}

#[test]
fn all_partition_columns() {
    assert_error("all-partition-columns", &check("-- @partition: status\nSELECT status FROM raw.orders\n"));
}

#[test]
fn unknown_transform() {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", "SELECT order_id FROM raw.orders\n");
    assert_error("unknown-transform", &project.run(["run", "sales.ordrs"]));
}
