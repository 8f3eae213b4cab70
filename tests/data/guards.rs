//! What is refused before anything is visible: folders in one another, projected partitions, too many partitions.

use std::fs;

use crate::project::{Ended, Project};

/// The objects of `raw.items`, one for each text of `p`s.
fn put(project: &Project, object: &str, partitions: &[&str]) {
    let mut text = String::from("id,p\n");
    for (id, p) in partitions.iter().enumerate() {
        text.push_str(&format!("{id},{p}\n"));
    }
    project.put(&format!("raw/items/{object}.csv"), text);
}

/// The four ways to write a table that is partitioned by `p`, each with a further header.
fn ways(header: &str) -> [(&'static str, String); 4] {
    let rows = "SELECT id, p FROM raw.items";
    let counts = "SELECT p, count(*) AS n FROM raw.items GROUP BY p";
    [
        ("append", format!("-- @write: append\n{header}-- @partition: p\n{rows}")),
        ("overwrite", format!("-- @write: overwrite\n{header}-- @partition: p\n{rows}")),
        ("overwrite_partitions", format!("-- @write: overwrite_partitions\n{header}-- @partition: p\n{counts}")),
        ("merge", format!("-- @write: merge\n{header}-- @key: id, p\n-- @partition: p\n{rows}")),
    ]
}

/// What readers see, and every file that is not hidden.
fn state(project: &Project) -> impl PartialEq + std::fmt::Debug + use<> {
    (project.rows("marts.parted"), project.visible("marts"))
}

#[test]
fn too_many_partitions_in_every_way_to_write() {
    for (way, sql) in ways("-- @max_partitions: 2\n") {
        let project = Project::new(&[("marts/parted", &sql)]);
        put(&project, "1", &["a", "a", "b"]);
        project.run().clean();
        assert!(!project.rows("marts.parted").is_empty(), "{way}");
        let before = state(&project);

        put(&project, "2", &["c", "d", "e", "d", "f", "d"]);
        for _ in 0..2 {
            // The largest of those that would be written, or replaced.
            let most = if way == "overwrite" { "`d` (3 rows), `a` (2 rows)" } else { "`d` (3 rows), " };
            let parts = ["sql/marts/parted.sql:2", "more than 2 partitions", most, "@max_partitions"];
            project.run().fails("too-many-partitions", &parts);
            assert_eq!(state(&project), before, "{way}");
        }
        project.sql("marts/parted", sql.replace("-- @max_partitions: 2", "-- @max_partitions: 6"));
        project.until_quiet();
        let partitions: std::collections::BTreeSet<String> =
            project.rows("marts.parted").iter().filter_map(|row| Some(row.rsplit_once('|')?.1.to_owned())).collect();
        assert_eq!(partitions.into_iter().collect::<String>(), "abcdef", "{way}");
    }
}

/// An object that comes again with other content touches its former partitions and its new ones.
#[test]
fn too_many_partitions_in_a_correction() {
    let project =
        Project::new(&[("marts/parted", "-- @max_partitions: 2\n-- @partition: p\nSELECT id, p FROM raw.items")]);
    put(&project, "1", &["a", "b"]);
    project.run().clean();
    let before = state(&project);
    put(&project, "1", &["a", "c", "c", "d"]);
    project.run().fails("too-many-partitions", &["sql/marts/parted.sql:1", "more than 2 partitions", "`c` (2 rows)"]);
    assert_eq!(state(&project), before);
    put(&project, "1", &["c", "c", "d"]);
    project.until_quiet();
    assert_eq!(project.rows("marts.parted"), ["0|c", "1|c", "2|d"]);
}

/// Turns partition projection on or off, as someone would in the Glue console.
fn project_partitions(project: &Project, on: bool) {
    let (plain, projected) =
        ("\"classification\": \"parquet\"", "\"classification\": \"parquet\", \"Projection.ENABLED\": \"True\"");
    let entries = project.data().join("_unglue/_catalog/marts/parted");
    let mut changed = 0;
    for entry in fs::read_dir(entries).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace("\"classification\":\"parquet\"", plain).replace(projected, plain);
        changed += text.matches(plain).count();
        fs::write(&path, if on { text.replace(plain, projected) } else { text }).unwrap();
    }
    assert!(changed > 0, "the catalog's entries look differently");
}

fn projected(ended: Ended) {
    ended.fails("partition-projection", &["`marts.parted`", "Athena", "projection.enabled"]);
}

#[test]
fn partitions_of_projected_tables_are_not_replaced() {
    for (way, sql) in ways("") {
        let project = Project::new(&[("marts/parted", &sql)]);
        put(&project, "1", &["a", "b"]);
        project.run().clean();
        project_partitions(&project, true);
        let before = state(&project);
        put(&project, "2", &["a", "c"]);
        projected(project.unglue(&["check"]));
        projected(project.run());
        projected(project.unglue(&["run", "--full-refresh"]));
        assert_eq!(state(&project), before, "{way}");
        project_partitions(&project, false);
        project.until_quiet();
        assert_ne!(state(&project), before, "{way}");
    }
}

#[test]
fn projected_tables_may_grow() {
    let rows = |header: &str| format!("{header}-- @partition: p\nSELECT id, p FROM raw.items");
    for changed_input in ["append", "reject"] {
        let project = Project::new(&[("marts/parted", rows(&format!("-- @changed_input: {changed_input}\n")))]);
        put(&project, "1", &["a", "b"]);
        project.run().clean();
        project_partitions(&project, true);
        put(&project, "2", &["a", "c"]);
        project.until_quiet();
        let grown = ["0|a", "0|a", "1|b", "1|c"];
        assert_eq!(project.rows("marts.parted"), grown);
        // A rebuild is refused, and nothing of it is left for later.
        projected(project.unglue(&["run", "--full-refresh"]));
        put(&project, "3", &["d"]);
        project.until_quiet();
        assert_eq!(project.rows("marts.parted"), [&grown[..2], &["0|d"], &grown[2..]].concat());
    }
}

/// The URL of a folder of the data folder.
fn url(project: &Project, below: &str) -> String {
    format!("file://{}/{below}", fs::canonicalize(project.data()).unwrap().display())
}

#[test]
fn tables_in_the_folders_of_others_are_refused() {
    let project = Project::new(&[("marts/right", "SELECT id FROM raw.items")]);
    put(&project, "1", &["a"]);
    project.run().clean();
    let copy = |location: &str| format!("-- 1\n-- @location: {location}\nSELECT id FROM raw.items");
    for (below, part) in [
        ("raw/items/", "which is the folder of `raw.items`"),
        ("raw/items", "which is the folder of `raw.items`"),
        ("raw/items/copies/", "which lies in the folder of `raw.items`"),
        ("raw/", "which holds the folder of `raw.items`"),
        ("marts/right/more/", "which lies in the folder of `marts.right`"),
        ("marts/", "which holds the folder of `marts.right`"),
        ("_unglue/x/", "which lies in the folder of unglue's own records"),
    ] {
        project.sql("marts/wrong", copy(&url(&project, below)));
        for verb in ["check", "run"] {
            let place = "sql/marts/wrong.sql:2:15";
            project.unglue(&[verb]).fails("overlapping-locations", &["`marts.wrong`", part, place, "@location"]);
        }
        assert_eq!(project.visible("").len(), 2, "{below}");
    }
    // The other one of the two says where it lies.
    project.sql("marts/a_first", copy(&url(&project, "marts/wrong/x/")));
    project.sql("marts/wrong", "SELECT id FROM raw.items");
    let ended = project.unglue(&["check"]);
    ended.fails(
        "overlapping-locations",
        &["`marts.a_first`", "which lies in the folder of `marts.wrong`", "a_first.sql:2:15"],
    );
    // Folders whose names only begin alike are not in one another.
    project.sql("marts/a_first", copy(&url(&project, "raw/items_2/")));
    project.until_quiet();
    assert_eq!(project.rows("marts.a_first"), ["0"]);
    let tables = project.catalog().to_string();
    assert!(!tables.contains("raw.items_2"), "the target became a source: {tables}");
}

#[test]
fn the_table_of_a_removed_file_is_no_source() {
    let project = Project::new(&[("marts/old", "SELECT id FROM raw.items")]);
    put(&project, "1", &["a"]);
    project.run().clean();
    fs::rename(project.folder().join("sql/marts/old.sql"), project.folder().join("sql/marts/new.sql")).unwrap();
    project.until_quiet();
    // Also when the catalog has forgotten it.
    fs::remove_dir_all(project.data().join("_unglue/_catalog/marts/old")).unwrap();
    project.until_quiet();
    assert_eq!(project.rows("marts.new"), ["0"]);
    let tables = project.catalog().to_string();
    assert!(!tables.contains("marts.old"), "what a transform wrote became a source: {tables}");
}
