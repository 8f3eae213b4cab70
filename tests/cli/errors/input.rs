//! Errors of the data.

use super::assert_error;
use crate::project::{MORE_ORDERS, Project};

/// A shop with one SQL file, `sql/sales/orders.sql`, that was run once.
fn ran(sql: &str) -> Project {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", sql);
    project.run_well();
    project
}

#[test]
fn bad_record() {
    let project = ran("SELECT order_id, amount FROM raw.orders\n");
    let rows = "order_id,customer_id,ordered_at,amount,status\n4,7,2026-11-21 11:00:00,20.00,paid\n5,7,2026-11-21 11:00:00,paid\n";
    project.write("data/raw/orders/orders-2026-11-21.csv", rows);
    assert_error("bad-record", &project.run(["run"]));
}

#[test]
fn bad_object() {
    let project = Project::shop();
    project.write("data/raw/events/events.parquet", "not Parquet at all\n");
    project.write("sql/sales/orders.sql", "SELECT order_id FROM raw.orders\n");
    assert_error("bad-object", &project.run(["catalog"]));
}

#[test]
fn column_mismatch() {
    let project = ran("SELECT order_id FROM raw.orders\n");
    project.write("data/raw/orders/people.csv", "name,town\nAda,London\n");
    assert_error("column-mismatch", &project.run(["catalog"]));
}

#[test]
fn bad_partition_value() {
    let project = Project::shop();
    project.write("data/raw/events/day=2026-11-20/events.csv", "event_id\n1\n");
    project.write("sql/sales/events.sql", "SELECT event_id, day FROM raw.events\n");
    project.run_well();
    project.write("data/raw/events/day=yesterday/events.csv", "event_id\n2\n");
    assert_error("bad-partition-value", &project.run(["catalog"]));
}

#[test]
fn unreadable_table() {
    let project = Project::shop();
    project.write("data/raw/photos/cat.jpg", b"\xff\xd8\xff\xe0 a picture");
    assert_error("unreadable-table", &project.run(["catalog"]));
}

#[test]
fn misplaced_object() {
    let project = Project::shop();
    project.write("data/raw/orders.csv", "order_id\n1\n");
    assert_error("misplaced-object", &project.run(["catalog"]));
}

#[test]
fn too_many_partitions() {
    let project = Project::shop();
    project.write(
        "sql/sales/orders.sql",
        "-- @partition: status\n-- @max_partitions: 1\nSELECT order_id, status FROM raw.orders\n",
    );
    assert_error("too-many-partitions", &project.run(["run"]));
}

#[test]
fn check_failed() {
    let project = Project::shop();
    project.write(
        "sql/sales/orders.sql",
        "-- @assert: amount >= 10\n-- @not_null: order_id\nSELECT order_id, amount FROM raw.orders\n",
    );
    assert_error("check-failed", &project.run(["run"]));
}

#[test]
fn value_out_of_range() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", "SELECT order_id, CAST(status AS BIGINT) AS status FROM raw.orders\n");
    assert_error("value-out-of-range", &project.run(["run"]));
}

#[test]
fn changed_input() {
    let project = ran("-- @changed_input: reject\nSELECT order_id FROM raw.orders\n");
    project.write("data/raw/orders/orders-2026-11-20.csv", MORE_ORDERS);
    assert_error("changed-input", &project.run(["run"]));
}
