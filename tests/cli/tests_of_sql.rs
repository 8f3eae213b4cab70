//! `unglue test`

use crate::project::Project;

const ORDERS_SQL: &str = "-- @partition: day\n\
    -- @assert: amount >= 0\n\
    SELECT o.order_id, c.segment, o.amount, o.status, CAST(o.ordered_at AS DATE) AS day\n\
    FROM raw.orders AS o\n\
    LEFT JOIN raw.customers AS c ON c.customer_id = o.customer_id\n";
const ORDERS: &str = "order_id,customer_id,ordered_at,amount,status\n\
    1,7,2026-11-20 08:15:00,49.90,paid\n\
    2,,2026-11-20 09:30:00,10.00,open\n";
const EXPECTED: &str = "order_id,segment,amount,status,day\n\
    1,retail,49.9,paid,2026-11-20\n\
    2,,10,open,2026-11-20\n";

/// Two transforms with a test each, and no data.
fn shop() -> Project {
    let project = Project::empty();
    project.write("sql/sales/orders.sql", ORDERS_SQL);
    project.write("sql/sales/orders.test/raw.customers.csv", "customer_id,segment\n7,retail\n");
    project.write("sql/sales/orders.test/guests/raw.orders.csv", ORDERS);
    project.write("sql/sales/orders.test/guests/expect.csv", EXPECTED);
    project.write("sql/marts/days.sql", "SELECT day, count(*) AS orders\nFROM sales.orders\nGROUP BY day\n");
    project.write("sql/marts/days.test/one_day/sales.orders.csv", "day\n2026-11-20\n2026-11-20\n");
    project.write("sql/marts/days.test/one_day/expect.csv", "day,orders\n2026-11-20,2\n");
    project
}

#[test]
fn tests_pass_without_data() {
    let project = shop();
    insta::assert_snapshot!("passes", project.run(["test"]));
    insta::assert_snapshot!("by_name", project.run(["test", "orders"]));
    assert_eq!(project.files("data"), Vec::<String>::new(), "a test writes nothing");
}

/// What is expected and what came stand below each other, with the place of each expected row.
#[test]
fn tests_fail_with_the_rows_that_differ() {
    let project = shop();
    let expected = "order_id,status,segment,amount\n1,paid,retail,49.90\n2,open,guest,10\n3,paid,,\n";
    project.write("sql/sales/orders.test/guests/expect.csv", expected);
    project.write(
        "sql/sales/orders.test/guests/raw.orders.csv",
        format!("{ORDERS}4,8,2026-11-21 00:00:00,1,\"a status\nof two lines, which is much too long to be shown\"\n"),
    );
    project.write("sql/marts/days.test/one_day/expect.csv", "orders\n1\n");
    let output = project.run(["test"]);
    assert_eq!((output.code, output.stderr.as_str()), (1, ""), "{output}");
    insta::assert_snapshot!("fails", output);
    insta::assert_snapshot!("fails_as_json", project.run(["test", "--json"]).steady_json());
}

#[test]
fn many_rows_are_not_all_shown() {
    let project = shop();
    let rows: Vec<String> = (0..30).map(|row| format!("2026-11-20,{row}\n")).collect();
    project.write("sql/marts/days.test/one_day/expect.csv", format!("day,orders\n{}", rows.concat()));
    let output = project.run(["test", "days"]);
    assert!(output.stdout.contains("29 rows missing"), "{output}");
    assert_eq!(output.stdout.matches("     missing ").count(), 20, "{output}");
    assert!(output.stdout.contains("and 9 rows more"), "{output}");
}

#[test]
fn errors_of_the_query_and_of_the_files() {
    let project = shop();
    project.write("sql/sales/orders.test/late/expect.error", "check-failed\namount >= 0\n");
    project.write("sql/sales/orders.test/late/raw.orders.csv", ORDERS.replace("10.00", "-10"));
    project.write("sql/sales/orders.test/none/raw.orders.csv", ORDERS);
    project.write("sql/sales/orders.test/text/raw.orders.csv", ORDERS.replace("49.90", "free"));
    project.write("sql/sales/orders.test/text/expect.csv", EXPECTED);
    project.write("sql/sales/orders.test/today/raw.orders.csv", ORDERS);
    project.write("sql/sales/orders.test/today/expect.csv", EXPECTED.replace("paid,2026-11-20", "paid,today"));
    project.write("sql/sales/order.test/none/expect.csv", EXPECTED);
    project.write("sql/marts/days.test/one_day/sales.orders.csv", "date\n2026-11-20\n");
    project.write("sql/marts/days.test/two_days/sales.orders.csv", "date\n2026-11-20\n");
    project.write("sql/marts/days.test/two_days/expect.csv", "day,orders\n");
    let output = project.run(["test"]);
    assert_eq!(output.code, 1, "{output}");
    insta::assert_snapshot!("errors", output);
}

/// A file that cannot be parsed is told once, and its tests count as failed.
#[test]
fn a_sql_file_with_errors() {
    let project = shop();
    project.write("sql/sales/orders.sql", ORDERS_SQL.replace("@partition", "@partiton"));
    insta::assert_snapshot!("sql_with_errors", project.run(["test"]));
    insta::assert_snapshot!("sql_with_errors_by_name", project.run(["test", "sales.orders"]));
    let other = project.run(["test", "marts.days"]);
    assert_eq!((other.code, other.stderr.as_str()), (0, ""), "{other}");
}

/// The types of the catalog count, and those of the project's own tables.
#[test]
fn types_are_those_of_the_tables() {
    let project = Project::cataloged();
    project.write("sql/sales/orders.sql", "SELECT order_id, CAST(amount AS DECIMAL(9, 2)) AS amount FROM raw.orders\n");
    project.write("sql/sales/orders.test/all/raw.orders.csv", "order_id,amount\n1,1\n");
    project.write("sql/sales/orders.test/all/expect.csv", "order_id,amount\n1,1.00\n");
    project.write("sql/marts/total.sql", "SELECT sum(amount) AS total FROM sales.orders\n");
    project.write("sql/marts/total.test/all/sales.orders.csv", "amount\n0.1\n0.2\n");
    // A sum of doubles would not be 0.30 exactly, and a third decimal would be none of a decimal(19,2).
    project.write("sql/marts/total.test/all/expect.csv", "total\n0.30\n");
    let output = project.run(["test"]);
    assert_eq!(output.code, 0, "{output}");
    project.write("sql/marts/total.test/all/expect.csv", "total\n0.301\n");
    insta::assert_snapshot!("decimal", project.run(["test", "total"]));
}

#[test]
fn no_tests() {
    let project = Project::shop();
    project.write("sql/sales/orders.sql", ORDERS_SQL);
    insta::assert_snapshot!("none", project.run(["test"]));
}
