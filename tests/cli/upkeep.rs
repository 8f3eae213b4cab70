//! `unglue history`, `doctor` and `gc`, from tables that are as they should be to tables that are not.

use crate::project::{MORE_ORDERS, Project};

const ORDERS_SQL: &str =
    "-- @partition: day\nSELECT order_id, status, CAST(ordered_at AS DATE) AS day FROM raw.orders\n";
const STATUSES_SQL: &str = "SELECT status, count(*) AS orders FROM sales.orders GROUP BY status\n";

/// Orders of the first day, with other content than when they first arrived.
const CHANGED_ORDERS: &str = "order_id,customer_id,ordered_at,amount,status\n1,7,2026-11-20 08:15:00,49.90,refunded\n";

/// Two tables; the orders arrived on two days, and then those of the first day changed.
fn shop() -> Project {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", ORDERS_SQL);
    project.write("sql/marts/statuses.sql", STATUSES_SQL);
    project.run_well();
    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS);
    project.write("data/raw/orders/orders-2026-11-20.csv", CHANGED_ORDERS);
    project.run_well();
    project
}

/// The ids of the runs of a table, in order.
fn runs(project: &Project, table: &str) -> Vec<String> {
    let intents = project.files(&format!("data/_unglue/{table}/runs"));
    let intents = intents.iter().filter_map(|path| path.strip_suffix("/intent.json"));
    intents.filter_map(|path| Some(path.rsplit('/').next()?.to_owned())).collect()
}

/// Takes the last run's end out of the ledger, as if the program had been killed just before.
fn reopen(project: &Project, table: &str) {
    let run_id = runs(project, table).pop().expect("a run");
    project.remove(&format!("data/_unglue/{table}/runs/{run_id}/done.json"));
}

#[test]
fn history() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", ORDERS_SQL);
    insta::assert_snapshot!("history_of_nothing", project.run(["history"]));
    project.run_well();
    insta::assert_snapshot!("history", project.run(["history"]));
    let run_id = runs(&project, "sales/orders").pop().expect("a run");
    insta::assert_snapshot!("history_of_one", project.run(["history", "--run", &run_id]));
    insta::assert_snapshot!("history_json", project.run(["history", "--json"]).steady_json());
    let one = project.run(["history", "--run", &run_id, "--json"]);
    insta::assert_snapshot!("history_of_one_json", one.steady_json());

    let project = shop();
    assert_eq!(project.run(["history"]).stdout.lines().count(), 5);
    assert_eq!(project.run(["history", "--limit", "2"]).stdout.lines().count(), 2);
    assert_eq!(project.run(["history", "statuses"]).stdout.lines().count(), 2);
    // A file with errors has a past, too.
    project.write("sql/sales/orders.sql", "-- @compresion: none\nSELECT 1\n");
    assert_eq!(project.run(["history", "sales.orders"]).stdout.lines().count(), 3);
}

#[test]
fn history_of_open_and_damaged_runs() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", ORDERS_SQL);
    project.run_well();
    reopen(&project, "sales/orders");
    insta::assert_snapshot!("history_not_visible", project.run(["history"]));
    let run_id = runs(&project, "sales/orders").pop().expect("a run");
    project.remove(&format!("data/_unglue/sales/orders/runs/{run_id}/commit.json"));
    insta::assert_snapshot!("history_not_committed", project.run(["history"]));
    insta::assert_snapshot!("history_of_one_not_committed", project.run(["history", "--run", &run_id]));
    project.write(&format!("data/_unglue/sales/orders/runs/{run_id}/intent.json"), "{");
    insta::assert_snapshot!("history_damaged", project.run(["history"]));
}

#[test]
fn gc() {
    let project = shop();
    let before = project.files("data/sales");
    insta::assert_snapshot!("gc_too_young", project.run(["gc"]));
    insta::assert_snapshot!("gc_dry_run", project.run(["gc", "--older-than", "0s", "--dry-run"]));
    insta::assert_snapshot!("gc_json", project.run(["gc", "--older-than", "0s", "--dry-run", "--json"]).steady_json());
    assert_eq!(project.files("data/sales"), before, "nothing is deleted yet");
    insta::assert_snapshot!("gc_now", project.run(["gc", "--older-than", "0s"]));
    let left = project.files("data/sales");
    assert!(left.len() < before.len() && left.iter().all(|file| before.contains(file)), "{left:?}");
    insta::assert_snapshot!("gc_again", project.run(["gc", "--older-than", "0s"]));
    assert_eq!(project.run(["doctor"]).code, 0);
    assert!(project.run_well().stdout.lines().all(|line| line.ends_with("up to date")));
}

#[test]
fn gc_beside_open_runs_and_errors() {
    let project = shop();
    project.write("data/raw/orders/orders-2026-11-22.csv", "order_id,ordered_at,status\nfive,2026-11-22,open\n");
    assert_eq!(project.run(["run"]).code, 1);
    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS.replace("paid", "open"));
    assert_eq!(project.run(["run"]).code, 1);
    project.write("sql/marts/wrong.sql", "SELECT\n");
    insta::assert_snapshot!("gc_beside_an_open_run", project.run(["gc", "--older-than", "0s"]));
}

#[test]
fn doctor() {
    let project = shop();
    insta::assert_snapshot!("doctor_of_sound_tables", project.run(["doctor"]));
    reopen(&project, "sales/orders");
    let foreign = "data/sales/orders/day=2026-11-21/rows.parquet";
    project.write(foreign, "someone's");
    insta::assert_snapshot!("doctor", project.run(["doctor"]));
    insta::assert_snapshot!("doctor_repair", project.run(["doctor", "--repair"]));
    insta::assert_snapshot!("doctor_json", project.run(["doctor", "--json"]).steady_json());
    project.remove(foreign);
    assert_eq!(project.run(["doctor"]).code, 0);
}

#[test]
fn doctor_finds_what_is_lost() {
    let project = shop();
    for file in project.files("data/sales/orders").iter().filter(|file| file.contains("/v-")) {
        project.remove(file);
    }
    let statuses = runs(&project, "marts/statuses").remove(0);
    project.write(&format!("data/_unglue/marts/statuses/runs/{statuses}/done.json"), "{");
    insta::assert_snapshot!("doctor_of_lost_files", project.run(["doctor"]));
}

#[test]
fn doctor_points_the_catalog_back() {
    let project = shop();
    let rows = project.run(["catalog", "show", "--json"]).stdout;
    for file in project.files("data/_unglue/_catalog/sales/orders") {
        project.remove(&file);
    }
    insta::assert_snapshot!("doctor_without_the_table", project.run(["doctor", "--repair"]));
    assert_eq!(project.run(["doctor"]).code, 0);
    assert_eq!(project.run(["catalog", "show", "--json"]).stdout, rows);
}

#[test]
fn doctor_compares_the_columns() {
    let project = shop();
    project.write(
        "sql/sales/orders.sql",
        ORDERS_SQL.replace("order_id, status", "order_id AS id, upper(status) AS status"),
    );
    insta::assert_snapshot!("doctor_of_columns", project.run(["doctor", "sales.orders"]));
    project.write("sql/sales/orders.sql", "SELECT nothing FROM raw.orders");
    insta::assert_snapshot!("doctor_of_an_error", project.run(["doctor", "sales.orders"]));
}
