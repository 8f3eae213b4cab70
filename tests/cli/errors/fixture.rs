//! Errors of tests of the SQL.

use super::assert_error;
use crate::project::Project;

/// A shop with one SQL file and one test case of it.
fn test(files: &[(&str, &str)]) -> crate::output::Output {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", "-- @assert: amount >= 0\nSELECT order_id, amount\nFROM raw.orders\n");
    for (file, text) in files {
        project.write(&format!("sql/sales/orders.test/free_orders/{file}"), text);
    }
    project.run(["test"])
}

#[test]
fn bad_test() {
    assert_error("bad-test", &test(&[("raw.order.csv", "order_id,amount\n1,0\n"), ("expect.csv", "order_id\n1\n")]));
}

#[test]
fn bad_fixture() {
    let files = [("raw.orders.csv", "order_id,amount\n1,0\n"), ("expect.csv", "order_id,amuont\n1,0\n")];
    assert_error("bad-fixture", &test(&files));
}

#[test]
fn test_failed() {
    let files = [("raw.orders.csv", "order_id,amount\n1,0\n"), ("expect.error", "check-failed\n")];
    assert_error("test-failed", &test(&files));
}
