//! `--json`: the whole of each document, without the values that differ from run to run.

use crate::project::{MORE_ORDERS, Project};

fn shop() -> Project {
    let project = Project::shop();
    project.write(
        "sql/sales/orders.sql",
        "-- @description: Orders\n-- @partition: status\n-- @not_null: order_id\n\
         SELECT order_id, status FROM raw.orders -- one row per order\n",
    );
    project.write("sql/marts/statuses.sql", "SELECT status, count(*) AS orders FROM sales.orders GROUP BY status\n");
    project
}

#[test]
fn runs() {
    let project = shop();
    let first = project.run(["run", "--json"]);
    assert_eq!(first.code, 0, "{first}");
    insta::assert_snapshot!("run", first.steady_json());
    let receipt = &first.json()["runs"][0];
    assert!(receipt["run_id"].is_string() && receipt["seconds"].is_f64() && receipt["peak_memory"].is_u64());
    assert!(receipt["bytes"].as_u64() > Some(0) && receipt["inputs"][0]["bytes"].as_u64() == Some(149), "{receipt:#}");

    let second = project.run(["run", "--json"]);
    insta::assert_snapshot!("run_of_nothing", second.steady_json());
    assert_eq!((second.code, second.stderr.as_str()), (0, ""));
}

#[test]
fn runs_that_fail() {
    let project = shop();
    project.run_well();
    project.write("data/raw/orders/orders-2026-11-21.csv", "order_id,status\nfour,paid\n");
    project.write("data/raw/photos/cat.jpg", "a picture");
    project.write("sql/marts/wrong.sql", "SELECT custmer_id FROM raw.orders\n");
    let output = project.run(["run", "--json"]);
    assert_eq!(output.code, 1, "{output}");
    insta::assert_snapshot!(output.steady_json());
}

#[test]
fn plans() {
    let project = shop();
    project.run_well();
    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS);
    let output = project.run(["plan", "--json"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output}");
    let first = &output.json()[0];
    assert!(first["estimated_memory"].is_u64() && first["estimated_seconds"].is_f64(), "{first:#}");
    insta::assert_snapshot!(output.steady_json());
}

#[test]
fn checks() {
    let project = shop();
    project.run_well();
    let right = project.run(["check", "--json"]);
    assert_eq!((right.code, right.json(), right.stderr.as_str()), (0, serde_json::json!([]), ""));
    project.write("sql/marts/wrong.sql", "SELECT order_id,\n  custmer_id\nFROM raw.orders\n");
    let wrong = project.run(["check", "--format", "json"]);
    assert_eq!((wrong.code, wrong.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(wrong.steady_json());
    assert_eq!(wrong.json()[0]["at"]["line"], 2);
}

#[test]
fn catalogs() {
    let project = shop();
    project.write("data/raw/photos/cat.jpg", "a picture");
    let changes = project.run(["catalog", "--json"]);
    assert_eq!(changes.code, 1, "{changes}");
    insta::assert_snapshot!("catalog", changes.steady_json());
    let again = project.run(["catalog", "diff", "--json"]);
    insta::assert_snapshot!("catalog_again", again.steady_json());
}

#[test]
fn tables() {
    let project = shop();
    project.run_well();
    let output = project.run(["catalog", "show", "--json"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output}");
    insta::assert_snapshot!(output.steady_json());
}
