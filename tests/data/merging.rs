//! What stays of rows with one key: ties, NULL, late rows, deletions, objects that come again.

use crate::project::Project;

/// A table of `id`, `v`, `at`, and those that go.
fn merging(header: &str) -> Project {
    let sql = format!("-- @write: merge\n-- @key: id\n{header}SELECT id, v, at, gone FROM raw.items");
    Project::new(&[("marts/merged", sql)])
}

/// Puts an object of rows `id,v,at,gone` and runs.
#[track_caller]
fn arrive(project: &Project, object: &str, rows: &[&str]) {
    project.put(&format!("raw/items/{object}.csv"), format!("id,v,at,gone\n{}\n", rows.join("\n")));
    project.until_quiet();
}

const LATEST: &str = "-- @latest_by: at\n-- @delete_when: gone\n";

#[test]
fn the_latest_row_of_a_key_stays_whichever_came_first() {
    let rows = ["1,a,10,false", "1,b,10,false", "1,c,,false", "2,a,,false", "2,b,5,false", "3,z,1,false", "3,,1,false"];
    let expected = ["1|b|10|false", "2|b|5|false", "3|z|1|false"];
    // In one object, one object for each row, and these in the other order.
    let project = merging(LATEST);
    arrive(&project, "all", &rows);
    assert_eq!(project.rows("marts.merged"), expected);
    let orders: [Vec<&str>; 2] = [rows.to_vec(), rows.iter().rev().copied().collect()];
    for order in orders {
        let project = merging(LATEST);
        // So that the types are known from the start.
        arrive(&project, "0", &["9,x,0,true"]);
        for (number, row) in order.iter().enumerate() {
            arrive(&project, &format!("{}", number + 1), &[row]);
        }
        assert_eq!(project.rows("marts.merged"), expected, "{order:?}");
    }
}

#[test]
fn a_key_goes_by_the_latest_row_only_and_is_not_remembered() {
    let project = merging(LATEST);
    arrive(&project, "1", &["1,a,10,false", "2,a,10,false"]);
    arrive(&project, "2", &["1,b,9,true", "2,b,11,true", "3,b,1,true"]);
    assert_eq!(project.rows("marts.merged"), ["1|a|10|false"], "a late deletion changes nothing");
    arrive(&project, "3", &["2,c,12,false", "1,c,20,true", "1,d,15,false"]);
    assert_eq!(project.rows("marts.merged"), ["2|c|12|false"]);
    arrive(&project, "4", &["1,e,14,false"]);
    assert_eq!(project.rows("marts.merged"), ["1|e|14|false", "2|c|12|false"], "as the docs say");
    project.unglue(&["run", "--full-refresh"]).clean();
    assert_eq!(project.rows("marts.merged"), ["2|c|12|false"]);
}

#[test]
fn without_latest_by_one_object_has_one_row_of_a_key() {
    let project = merging("-- @delete_when: gone\n");
    arrive(&project, "1", &["1,a,,false", "2,a,,false"]);
    for rows in ["1,b,,false\n1,c,,false", "3,b,,false\n3,b,,false", "4,b,,false\n1,a,,false\n4,b,,false"] {
        project.put("raw/items/2.csv", format!("id,v,at,gone\n{rows}\n"));
        project.run().fails("check-failed", &["@key", "@latest_by"]);
        assert_eq!(project.rows("marts.merged").len(), 2);
    }
    arrive(&project, "2", &["1,b,,false", "2,,,true"]);
    assert_eq!(project.rows("marts.merged").len(), 1);
    // An object that comes again is merged; what it does not have any more stays.
    arrive(&project, "1", &["5,a,,false"]);
    let rows = project.rows("marts.merged");
    let ids: Vec<&str> = rows.iter().filter_map(|row| row.split('|').next()).collect();
    assert_eq!(ids, ["1", "5"]);
}

#[test]
fn a_key_that_is_null_is_refused() {
    let project = merging(LATEST);
    project.put("raw/items/1.csv", "id,v,at,gone\n1,a,1,false\n,b,2,false\n");
    project.run().fails("check-failed", &["@key: id is never NULL"]);
    assert!(project.rows("marts.merged").is_empty());
}

/// The former content of an object counts, also where it gave no row of its partition.
#[test]
fn a_changed_object_touches_partitions_that_had_no_rows() {
    let project = Project::new(&[(
        "marts/often",
        "-- @write: overwrite_partitions\n-- @partition: p\nSELECT p, count(*) AS n FROM raw.items GROUP BY p HAVING count(*) > 1",
    )]);
    project.put("raw/items/1.csv", "id,p\n1,a\n");
    project.until_quiet();
    project.put("raw/items/2.csv", "id,p\n2,a\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.often"), ["2|a"]);
    project.put("raw/items/1.csv", "id,p\n1,b\n");
    project.until_quiet();
    assert!(project.rows("marts.often").is_empty(), "only one row of `a` is left");
    // A rebuild does not say which partitions got no row.
    project.put("raw/items/3.csv", "id,p\n3,c\n");
    project.unglue(&["run", "--full-refresh"]).clean();
    project.put("raw/items/4.csv", "id,p\n4,c\n5,b\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.often"), ["2|b", "2|c"]);
    project.put("raw/items/3.csv", "id,p\n3,a\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.often"), ["2|a", "2|b"]);
    // What was computed anew because of that is known no better.
    project.put("raw/items/3.csv", "id,p\n3,d\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.often"), ["2|b"]);
}
