//! Objects that come, come again, change and go.

use super::{events, exact, object, put};
use crate::project::Project;

const APPENDING: &str = "SELECT id, name FROM raw.items";

fn appending(header: &str) -> Project {
    Project::new(&[("facts/items", format!("{header}{APPENDING}"))])
}

#[test]
fn a_second_run_does_nothing() {
    let project = events();
    for n in 0..3 {
        put(&project, n);
    }
    let first = project.run().clean();
    assert_eq!(first.runs().len(), 3);
    let files = (project.visible("facts"), project.visible("marts"));
    let ledger = project.visible("_unglue");
    for _ in 0..2 {
        let again = project.run().clean();
        assert!(again.runs().is_empty(), "{again}");
        assert_eq!(again.json()["up_to_date"].as_array().unwrap().len(), 3);
    }
    assert_eq!((project.visible("facts"), project.visible("marts")), files);
    assert_eq!(project.visible("_unglue"), ledger, "a run with nothing to do must record nothing");
    exact(&project, 3);
}

#[test]
fn only_new_objects_are_read() {
    let project = events();
    put(&project, 0);
    project.run().clean();
    put(&project, 1);
    let runs = project.run().clean().runs();
    let of = |name: &str| runs.iter().find(|run| run["transform"] == name).unwrap();
    assert_eq!(of("facts.events")["inputs"].as_array().unwrap().len(), 1);
    assert_eq!(of("facts.events")["rows_read"], 400);
    assert_eq!(of("marts.total")["inputs"].as_array().unwrap().len(), 2);
    exact(&project, 2);
}

#[test]
fn changed_content_takes_the_place_of_the_former() {
    let project = appending("");
    project.put("raw/items/1.csv", "id,name\n1,a\n2,b\n");
    project.put("raw/items/2.csv", "id,name\n3,c\n");
    project.run().clean();
    project.put("raw/items/1.csv", "id,name\n1,changed\n");
    project.put("raw/items/3.csv", "id,name\n4,d\n");
    project.until_quiet();
    assert_eq!(project.rows("facts.items"), ["1|changed", "3|c", "4|d"]);
    // The source need not be there any more for rows to be kept.
    project.remove("raw/items/2.csv");
    project.put("raw/items/3.csv", "id,name\n5,e\n");
    project.until_quiet();
    assert_eq!(project.rows("facts.items"), ["1|changed", "3|c", "5|e"]);
}

#[test]
fn changed_content_is_refused_if_asked_for() {
    let project = appending("-- @changed_input: reject\n");
    project.put("raw/items/1.csv", "id,name\n1,a\n");
    project.run().clean();
    project.put("raw/items/1.csv", "id,name\n1,changed\n");
    project.put("raw/items/2.csv", "id,name\n2,b\n");
    for _ in 0..2 {
        project.run().fails("changed-input", &["raw/items/1.csv", "@changed_input"]);
        let rows = project.rows("facts.items");
        assert!(!rows.contains(&"1|changed".to_owned()) && rows.contains(&"1|a".to_owned()), "{rows:?}");
    }
    // The way out that the message names: another name.
    project.remove("raw/items/1.csv");
    project.put("raw/items/3.csv", "id,name\n3,c\n");
    project.until_quiet();
    assert_eq!(project.rows("facts.items"), ["1|a", "2|b", "3|c"]);
}

#[test]
fn changed_content_is_appended_if_asked_for() {
    let project = appending("-- @changed_input: append\n");
    project.put("raw/items/1.csv", "id,name\n1,a\n");
    project.run().clean();
    project.put("raw/items/1.csv", "id,name\n1,changed\n");
    project.until_quiet();
    assert_eq!(project.rows("facts.items"), ["1|a", "1|changed"]);
}

#[test]
fn content_that_changes_before_it_was_read_is_simply_read() {
    let project = appending("");
    project.put("raw/items/1.csv", "id,name\n1\n");
    project.run().fails("bad-record", &["raw/items/1.csv:2"]);
    project.put("raw/items/1.csv", "id,name\n1,a\n");
    project.until_quiet();
    assert_eq!(project.rows("facts.items"), ["1|a"]);
}

#[test]
fn deleted_objects_leave_appended_rows_and_rebuilt_tables() {
    let project = events();
    for n in 0..3 {
        put(&project, n);
    }
    project.until_quiet();
    project.remove("raw/events/002.csv");
    project.until_quiet();
    assert_eq!(project.rows("facts.events").len(), 1200, "rows that were appended stay");
    assert_eq!(project.rows("marts.total"), [super::total(2)], "an overwritten table follows its source");
    project.remove("raw/events/001.csv");
    project.remove("raw/events/000.csv");
    project.until_quiet();
    assert_eq!(project.rows("marts.total"), ["0|NULL"]);
    assert!(project.rows("marts.by_day").is_empty());
}

#[test]
fn an_object_that_is_deleted_after_a_failed_run() {
    let project = appending("");
    project.put("raw/items/1.csv", "id,name\n1,a\n");
    project.put("raw/items/2.csv", "id,name\n2\n");
    project.run().fails("bad-record", &["raw/items/2.csv:2"]);
    assert!(project.rows("facts.items").is_empty());
    project.remove("raw/items/2.csv");
    project.until_quiet();
    assert_eq!(project.rows("facts.items"), ["1|a"]);
}

#[test]
fn a_lookup_that_changes_leaves_appended_rows() {
    let project = Project::new(&[(
        "facts/named",
        "SELECT i.id, n.name FROM raw.items AS i LEFT JOIN raw.names AS n ON n.id = i.id",
    )]);
    project.put("raw/names/names.csv", "id,name\n1,one\n");
    project.put("raw/items/1.csv", "id\n1\n2\n");
    project.until_quiet();
    assert_eq!(project.rows("facts.named"), ["1|one", "2|NULL"]);
    project.put("raw/names/names.csv", "id,name\n1,eins\n2,zwei\n");
    let quiet = project.run().clean();
    assert!(quiet.runs().is_empty(), "a lookup does not trigger: {quiet}");
    project.put("raw/items/2.csv", "id\n2\n");
    project.until_quiet();
    assert_eq!(project.rows("facts.named"), ["1|one", "2|NULL", "2|zwei"]);
}

#[test]
fn sql_that_changes_rebuilds_what_is_overwritten() {
    let project = events();
    put(&project, 0);
    project.until_quiet();
    project.sql("marts/total", "SELECT count(*) AS n FROM raw.events WHERE id < 10");
    project.until_quiet();
    assert_eq!(project.rows("marts.total"), ["10"]);
}

#[test]
fn a_table_partitioned_in_another_way_shows_no_old_rows() {
    let project = events();
    project.put("raw/events/a.csv", "id,day\n1,2026-11-01\n2,2026-11-02\n");
    project.until_quiet();
    project.put("raw/events/a.csv", "id,day\n1,2026-11-02\n");
    project.unglue(&["run", "by_day", "--json"]).clean();
    assert_eq!(project.rows("marts.by_day"), ["1|1|2026-11-02"], "the partition that vanished is gone");
}

#[test]
fn a_data_folder_that_is_moved_goes_on() {
    let project = events();
    put(&project, 0);
    project.until_quiet();
    let elsewhere = project.folder().join("elsewhere");
    std::fs::rename(project.data(), &elsewhere).unwrap();
    std::fs::write(elsewhere.join("raw/events/001.csv"), object(1)).unwrap();
    project.unglue(&["run", "--data", "elsewhere"]).clean();
    std::fs::rename(&elsewhere, project.data()).unwrap();
    project.until_quiet();
    exact(&project, 2);
}
