//! SQL files as editors save them, and settings where they have no effect.

use super::sorted;
use crate::project::Project;

const ITEMS: &str = "id,name,day\n1,a,2026-11-20\n2,b,2026-11-21\n";

#[test]
fn a_header_in_the_middle_of_the_file() {
    let project =
        Project::new(&[("marts/copy", "SELECT\n    id, -- Number\n    -- @partition: day\n    day\nFROM raw.items\n")]);
    project.put("raw/items/1.csv", ITEMS);
    for verb in ["check", "run"] {
        project.unglue(&[verb]).fails("misplaced-setting", &["sql/marts/copy.sql:3:", "@partition"]);
    }
    assert!(project.visible("marts").is_empty(), "a file with an error must not run");

    project.sql("marts/copy", "-- @partition: day\nSELECT id, day FROM raw.items\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[&["1|2026-11-20", "2|2026-11-21"]]));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends() {
    let sql = "\u{FEFF}-- @partition: day\r\n-- @description: Items\r\nSELECT\r\n    id, -- Number\r\n    day\r\nFROM raw.items\r\n";
    let project = Project::new(&[("marts/copy", sql)]);
    project.put("raw/items/1.csv", ITEMS);
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[&["1|2026-11-20", "2|2026-11-21"]]));
    let catalog = project.catalog();
    let table = catalog.as_array().unwrap().iter().find(|table| table["name"] == "marts.copy").unwrap();
    assert_eq!(table["description"], "Items");
    assert_eq!(table["columns"][0]["comment"], "Number");

    let wrong = sql.replace("    id,", "    idd,");
    project.sql("marts/copy", wrong);
    project.unglue(&["check"]).fails("unknown-column", &["sql/marts/copy.sql:4:5", "`idd`"]);
}

#[test]
fn a_sql_file_that_is_not_utf8() {
    let project = Project::new(&[("marts/copy", b"SELECT id, 'caf\xE9' AS word FROM raw.items".as_slice())]);
    project.put("raw/items/1.csv", ITEMS);
    project.run().fails("not-utf8", &["sql/marts/copy.sql"]);
    assert!(project.visible("marts").is_empty());
    project.sql("marts/copy", "SELECT id, 'café' AS word FROM raw.items");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), sorted(&[&["1|café", "2|café"]]));
}

#[test]
fn an_empty_project() {
    let project = Project::new::<&str>(&[]);
    std::fs::create_dir(project.folder().join("sql")).unwrap();
    project.run().fails("empty-project", &[]);
}

#[test]
fn a_broken_file_stops_only_itself() {
    let project =
        Project::new(&[("marts/good", "SELECT id FROM raw.items"), ("marts/bad", "SELECT idd FROM raw.items")]);
    project.put("raw/items/1.csv", ITEMS);
    project.run().fails("unknown-column", &["sql/marts/bad.sql:1:8", "`id`"]);
    assert_eq!(project.rows("marts.good"), sorted(&[&["1", "2"]]));
    assert!(project.visible("marts/bad").is_empty());
}
