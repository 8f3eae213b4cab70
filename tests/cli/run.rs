//! `unglue init`, `plan` and `run`, from an empty folder to tables.

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::project::{MORE_ORDERS, Project};

/// Rows of `sales.orders` of both days; a lookup, and so incremental.
const ORDERS_SQL: &str = "-- @partition: day\n\
    SELECT o.order_id, o.status, CAST(o.ordered_at AS DATE) AS day\n\
    FROM raw.orders AS o\n\
    LEFT JOIN raw.customers AS c ON c.customer_id = o.customer_id\n";

/// Two levels of aggregates above it. By name they would run in another order.
const DAILY_SQL: &str = "SELECT day, count(*) AS orders\nFROM sales.orders\nGROUP BY day\n";
const BEST_SQL: &str = "SELECT max(orders) AS most\nFROM marts.daily\n";

fn shop() -> Project {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", ORDERS_SQL);
    project.write("sql/marts/daily.sql", DAILY_SQL);
    project.write("sql/marts/best.sql", BEST_SQL);
    project
}

/// The rows of all Parquet files below a folder, as text, sorted.
fn rows(project: &Project, folder: &str) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for file in project.files(folder) {
        let reader = SerializedFileReader::new(File::open(project.path(&file)).expect("a file")).expect("Parquet");
        rows.extend(reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row").to_string()));
    }
    rows.sort();
    rows
}

#[test]
fn a_new_project_works_at_once() {
    let project = Project::empty();
    insta::assert_snapshot!("init", project.run(["init"]));
    insta::assert_snapshot!("init_test_before_data_is_known", project.run(["test"]));
    insta::assert_snapshot!("init_check_before_data_is_known", project.check());
    insta::assert_snapshot!("init_plan_before_data_is_known", project.run(["plan"]));
    insta::assert_snapshot!("init_run", project.run(["run"]));
    insta::assert_snapshot!("init_run_again", project.run(["run"]));
    insta::assert_snapshot!("init_check", project.check());
    insta::assert_snapshot!("init_test", project.run(["test"]));
    insta::assert_snapshot!("init_again", project.run(["init"]));
}

#[test]
fn new_files_alone_are_processed() {
    let project = shop();
    assert_eq!(project.run(["catalog"]).code, 0);
    insta::assert_snapshot!("plan_before", project.run(["plan"]));
    insta::assert_snapshot!("first_run", project.run(["run"]));
    insta::assert_snapshot!("second_run", project.run(["run"]));
    insta::assert_snapshot!("plan_after", project.run(["plan"]));

    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS);
    insta::assert_snapshot!("plan_of_a_new_file", project.run(["plan"]));
    insta::assert_snapshot!("run_of_a_new_file", project.run(["run"]));
    assert_eq!(project.run_well().stdout.matches("up to date").count(), 3);
    let statuses = [
        "{order_id: 1, status: \"paid\"}",
        "{order_id: 2, status: \"open\"}",
        "{order_id: 3, status: \"paid\"}",
        "{order_id: 4, status: \"paid\"}",
    ];
    assert_eq!(rows(&project, "data/sales/orders"), statuses);
}

#[test]
fn an_arrival_is_planned() {
    let project = shop();
    project.run_well();
    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS);
    project.write("sql/marts/people.sql", "SELECT customer_id, name FROM raw.customers\n");
    let arrival = "raw/orders/orders-2026-11-21.csv";
    insta::assert_snapshot!("arrival", project.run(["plan", "--arrival", arrival]));
    // Rows that were joined before stay as they are.
    insta::assert_snapshot!("arrival_of_a_lookup", project.run(["plan", "--arrival", "raw/customers/customers.csv"]));
    insta::assert_snapshot!("arrival_outside_of_tables", project.run(["plan", "--arrival", "elsewhere.csv"]));
    let url = format!("file://{}/data/{arrival}", project.path("").canonicalize().expect("the folder").display());
    let by_url = project.run(["plan", "--arrival", &url]);
    assert_eq!(by_url.stdout, project.run(["plan", "--arrival", arrival]).stdout);
}

/// A join on equal columns spills; one on anything else holds a table, and that is said before the run.
#[test]
fn a_plan_knows_what_cannot_spill() {
    let project = Project::empty();
    let sized = |name: &str, megabytes: usize| {
        let line = "1,some text of a row that is not looked at here\n";
        let rows = line.repeat((megabytes << 20) / line.len());
        project.write(&format!("data/raw/{name}/1.csv"), format!("id,text\n{rows}"));
    };
    sized("events", 1);
    sized("people", 130);
    project.write("sql/marts/met.sql", "SELECT id FROM raw.events");
    assert_eq!(project.run(["catalog"]).code, 0);
    let plan = |condition: &str| {
        let sql =
            format!("-- @write: overwrite\nSELECT e.id, p.text FROM raw.events e JOIN raw.people p ON {condition}");
        project.write("sql/marts/met.sql", sql);
        project.run(["plan", "--memory", "200MB"])
    };
    assert_eq!(plan("e.id = p.id").code, 0);
    let refused = plan("e.id < p.id");
    assert_eq!(refused.code, 1);
    for said in ["out-of-memory", "marts.met", "more than the limit", "join on equal columns"] {
        assert!(refused.stdout.contains(said) || refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
}

#[test]
fn one_of_them_by_name() {
    let project = shop();
    insta::assert_snapshot!("by_name", project.run(["run", "sales.orders"]));
    insta::assert_snapshot!("by_table_alone", project.run(["run", "best", "daily"]));
    insta::assert_snapshot!("plan_by_name", project.run(["plan", "marts.daily"]));
}

/// What reads from a table whose run failed would be wrong or stale; what does not, runs.
#[test]
fn a_failure_stops_what_follows() {
    let project = shop();
    project.run_well();
    project.write("sql/marts/people.sql", "SELECT customer_id, name FROM raw.customers\n");
    project.write("data/raw/orders/orders-2026-11-21.csv", "order_id,ordered_at,status\n4,yesterday,paid\n");
    insta::assert_snapshot!("failure", project.run(["run"]));
    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS);
    insta::assert_snapshot!("after_the_failure", project.run(["run"]));
}

/// So does an error in a SQL file.
#[test]
fn an_error_stops_what_follows() {
    let project = shop();
    project.write("sql/sales/orders.sql", ORDERS_SQL.replace("o.status", "o.stauts"));
    insta::assert_snapshot!("error_upstream", project.run(["run"]));
    insta::assert_snapshot!("error_upstream_by_name", project.run(["run", "marts.best"]));
}

#[test]
fn an_edited_query() {
    let project = shop();
    project.run_well();
    project.write("sql/sales/orders.sql", ORDERS_SQL.replace("o.status", "upper(o.status) AS status"));
    project.write("sql/marts/daily.sql", DAILY_SQL.replace("count(*)", "count(*) + 100"));
    insta::assert_snapshot!("edited_plan", project.run(["plan"]));
    insta::assert_snapshot!("edited_run", project.run(["run"]));
}

/// What can only be rebuilt stops with an error, and is rebuilt when asked for.
#[test]
fn a_full_refresh() {
    let project = shop();
    project.run_well();
    insta::assert_snapshot!("full_refresh", project.run(["run", "--full-refresh", "sales.orders"]));
    let renamed = ORDERS_SQL.replace("o.order_id", "o.order_id AS number").replace("day", "status");
    project
        .write("sql/sales/orders.sql", renamed.replace("o.status, CAST(o.ordered_at AS DATE) AS status", "o.status"));
    project.remove("sql/marts/daily.sql");
    project.remove("sql/marts/best.sql");
    insta::assert_snapshot!("changed_definition", project.run(["run"]));
    insta::assert_snapshot!("changed_definition_rebuilt", project.run(["run", "--full-refresh"]));
    assert_eq!(project.run_well().stdout, "sales.orders: up to date\n");
}

#[test]
fn a_column_is_added_to_a_table_that_grows() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", "SELECT order_id, status FROM raw.orders\n");
    project.run_well();
    project.write(
        "sql/sales/orders.sql",
        "SELECT order_id, amount * 2 AS twice, -- Two of them\n  status FROM raw.orders\n",
    );
    project.write("sql/sales/all.sql", "SELECT order_id, twice, status FROM sales.orders\n");
    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS);
    insta::assert_snapshot!("column_added", project.run(["run"]));
    insta::assert_snapshot!("column_added_shown", project.run(["catalog", "show"]));
    assert_eq!(
        rows(&project, "data/sales/all"),
        [
            "{order_id: 1, twice: null, status: \"paid\"}",
            "{order_id: 2, twice: null, status: \"open\"}",
            "{order_id: 3, twice: null, status: \"paid\"}",
            "{order_id: 4, twice: 40.0, status: \"paid\"}",
        ]
    );
}

#[test]
fn nothing_in_the_data_folder() {
    let project = shop();
    std::fs::remove_dir_all(project.path("data/raw")).expect("the data");
    insta::assert_snapshot!(project.run(["run"]));
}
