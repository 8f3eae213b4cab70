//! `unglue catalog`, `catalog show`, `catalog diff`, `catalog set`

use crate::project::{MORE_ORDERS, Project};

#[test]
fn tables_and_columns_are_found_once() {
    let project = Project::shop();
    insta::assert_snapshot!("new", project.run(["catalog"]));
    insta::assert_snapshot!("again", project.run(["catalog"]));
    project.write("data/raw/orders/orders-2026-11-21.csv", MORE_ORDERS);
    insta::assert_snapshot!("new_object", project.run(["catalog"]));
    project.write("data/raw/orders/orders-2026-11-22.csv", "order_id,channel\n5,web\n");
    insta::assert_snapshot!("new_column", project.run(["catalog"]));
}

#[test]
fn a_difference_is_told_and_not_made() {
    let project = Project::shop();
    insta::assert_snapshot!("diff", project.run(["catalog", "diff"]));
    assert_eq!(project.files("data/_unglue"), Vec::<String>::new());
    assert_eq!(project.run(["catalog"]).code, 0);
    insta::assert_snapshot!("no_difference", project.run(["catalog", "diff"]));
}

#[test]
fn partitions_are_found() {
    let project = Project::shop();
    project.write("data/raw/events/day=2026-11-20/events.jsonl", "{\"event\": 1, \"kind\": \"view\"}\n");
    project.write("data/raw/events/day=2026-11-21/events.jsonl", "{\"event\": 2, \"kind\": \"click\"}\n");
    insta::assert_snapshot!("partitions", project.run(["catalog"]));
    insta::assert_snapshot!("partitions_shown", project.run(["catalog", "show"]));
}

#[test]
fn an_empty_catalog() {
    insta::assert_snapshot!(Project::shop().run(["catalog", "show"]));
}

/// What the SQL files say about their tables is in the catalog.
#[test]
fn descriptions_and_comments_are_shown() {
    let project = Project::shop();
    project.write(
        "sql/sales/orders.sql",
        "-- @description: Orders, cleaned\n\
         -- @partition: day\n\
         SELECT\n    \
             order_id, -- Order number\n    \
             CAST(amount AS DECIMAL(12, 2)) AS amount, -- In euros\n    \
             status,\n    \
             CAST(ordered_at AS DATE) AS day -- Day of the order\n\
         FROM raw.orders\n",
    );
    project.run_well();
    insta::assert_snapshot!(project.run(["catalog", "show"]));
}

/// A table that is told to keep what does not fit it.
#[test]
fn parameters_of_a_table_are_set() {
    let project = Project::cataloged();
    let set = project.run(["catalog", "set", "raw.orders", "unglue.schema_change=rescue", "team = sales"]);
    assert_eq!(set.code, 0, "{set}");
    assert!(set.stdout.contains("team = sales") && set.stdout.contains("unglue.schema_change = rescue"), "{set}");
    let again = project.run(["catalog", "set", "raw.orders", "team=sales"]);
    assert!(again.code == 0 && again.stderr.contains("already"), "{again}");
    let removed = project.run(["catalog", "set", "raw.orders", "team="]);
    assert!(removed.code == 0 && !removed.stdout.contains("team"), "{removed}");
    for (arguments, message) in [
        (["raw.order", "a=b"], "the catalog has no table `raw.order`"),
        (["orders", "a=b"], "`orders` is not `database.table`"),
        (["raw.orders", "unglue.schema_change=sometimes"], "is `sometimes`"),
        (["raw.orders", "unglue.transform=x"], "cannot be set"),
    ] {
        let refused = project.run(["catalog", "set", arguments[0], arguments[1]]);
        assert!(refused.code != 0 && refused.stderr.contains(message), "{refused}");
    }

    let format = project.run(["catalog", "set", "raw.orders", "quoteChar=none", "serialization.null.format=-"]);
    assert!(format.stdout.contains("quoteChar = none") && format.stdout.contains("null.format = -"), "{format}");
    let usual = project.run(["catalog", "set", "raw.orders", "quoteChar=", "serialization.null.format="]);
    assert!(usual.code == 0 && !usual.stdout.contains("quoteChar"), "{usual}");
    let odd = project.run(["catalog", "set", "raw.orders", "field.delim=||"]);
    assert!(odd.code != 0 && odd.stderr.contains("the parameter `field.delim` cannot be `||`"), "{odd}");

    project.write("data/raw/orders/orders-2026-11-22.csv", "order_id,amount,channel\nx,5.00,web\n9,6.00,\n");
    project.write("sql/sales/all.sql", "SELECT order_id, amount, _rescued_data FROM raw.orders\n");
    project.run_well();
    let shown = project.run(["catalog", "show"]);
    assert!(shown.stdout.contains("_rescued_data"), "{shown}");
}

/// A column that has its values from a key of another name.
#[test]
fn a_column_of_another_key() {
    let project = Project::cataloged();
    project.write("data/raw/events/1.jsonl", "{\"id\":1,\"timestamp\":\"2026-11-22T10:00:00Z\"}\n");
    assert_eq!(project.run(["catalog"]).code, 0);
    let set = project.run(["catalog", "set", "raw.events", "mapping.at=timestamp"]);
    assert!(set.code == 0 && set.stdout.contains("mapping.at = timestamp"), "{set}");
    let told = project.run(["catalog", "diff"]);
    assert!(told.stdout.contains("raw.events: 1 new column (at)"), "{told}");
    project.write("sql/sales/events.sql", "SELECT id, at FROM raw.events\n");
    project.run_well();
    let shown = project.run(["catalog", "show"]);
    assert!(shown.stdout.contains("sales.events"), "{shown}");
}
