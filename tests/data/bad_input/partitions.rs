//! Partition values of every kind: as folders on the disk, as values in the catalog, and read back by the next transform.

use std::collections::{BTreeMap, BTreeSet};

use super::sorted;
use crate::project::Project;

/// Values with the folder that Hive gives them.
const VALUES: [(&str, &str); 14] = [
    ("plain", "k=plain"),
    ("a/b", "k=a%2Fb"),
    ("a=b", "k=a%3Db"),
    ("100%", "k=100%25"),
    ("%2F", "k=%252F"),
    ("it's", "k=it%27s"),
    ("say \"hi\"", "k=say %22hi%22"),
    ("two words", "k=two words"),
    ("two\nlines", "k=two%0Alines"),
    ("a:b?c#d", "k=a%3Ab%3Fc%23d"),
    ("[x]{y}", "k=%5Bx%5D%7By}"),
    ("back\\slash", "k=back%5Cslash"),
    ("日本 ünï", "k=日本 ünï"),
    ("..", "k=.."),
];

fn json_lines() -> String {
    let mut text = String::new();
    for (id, (value, _)) in VALUES.iter().enumerate() {
        text.push_str(&format!("{}\n", serde_json::json!({"id": id, "k": value})));
    }
    // Hive knows no empty string in a partition key: both are its NULL partition.
    text.push_str("{\"id\": 100, \"k\": null}\n{\"id\": 101, \"k\": \"\"}\n{\"id\": 102, \"k\": \"__HIVE_DEFAULT_PARTITION__\"}\n");
    text
}

fn expected() -> Vec<String> {
    let plain = VALUES.iter().enumerate().map(|(id, (value, _))| format!("{id}|{value}"));
    let odd = ["100|NULL", "101|NULL", "102|__HIVE_DEFAULT_PARTITION__"].map(str::to_owned);
    let mut rows: Vec<String> = plain.chain(odd).collect();
    rows.sort();
    rows
}

#[test]
fn odd_values_are_written_and_read_back() {
    let project = Project::new(&[
        ("marts/parted", "-- @partition: k\nSELECT id, k FROM raw.items"),
        ("marts/read_back", "SELECT id, k FROM marts.parted"),
        ("marts/picked", "SELECT id FROM marts.parted WHERE k IN ('a/b', '%2F', '100%', 'it''s', '..')"),
        ("marts/nulls", "SELECT id FROM marts.parted WHERE k IS NULL"),
    ]);
    project.put("raw/items/1.json", json_lines());
    project.until_quiet();

    let mut folders: BTreeSet<String> = VALUES.iter().map(|(_, folder)| (*folder).to_owned()).collect();
    folders.insert("k=__HIVE_DEFAULT_PARTITION__".to_owned());
    folders.insert("k=%5F_HIVE_DEFAULT_PARTITION__".to_owned());
    let visible: BTreeSet<String> = project
        .visible("marts/parted")
        .into_iter()
        .map(|(file, _)| file.split_once('/').unwrap().0.to_owned())
        .collect();
    assert_eq!(visible, folders, "the folders on the disk");

    assert_eq!(project.rows("marts.parted"), expected(), "values in the catalog");
    assert_eq!(project.rows("marts.read_back"), expected(), "read by the next transform");
    assert_eq!(project.rows("marts.picked"), sorted(&[&["1", "13", "3", "4", "5"]]), "pruned by value");
    assert_eq!(project.rows("marts.nulls"), ["100", "101"]);

    // More rows for the same values go into the same partitions.
    project.put("raw/items/2.json", json_lines());
    project.until_quiet();
    let twice: Vec<String> = expected().into_iter().flat_map(|row| [row.clone(), row]).collect();
    assert_eq!(project.rows("marts.parted"), twice);
    assert_eq!(project.rows("marts.read_back"), twice);
}

#[test]
fn folders_that_others_wrote() {
    let project = Project::new(&[("marts/copy", "SELECT id, k FROM raw.items")]);
    for (id, (_, folder)) in VALUES.iter().enumerate() {
        project.put(&format!("raw/items/{folder}/1.csv"), format!("id,name\n{id},x\n"));
    }
    project.put("raw/items/k=__HIVE_DEFAULT_PARTITION__/1.csv", "id,name\n100,x\n");
    project.until_quiet();
    let mut rows: Vec<String> = VALUES.iter().enumerate().map(|(id, (value, _))| format!("{id}|{value}")).collect();
    rows.push("100|NULL".to_owned());
    rows.sort();
    assert_eq!(project.rows("marts.copy"), rows);
}

#[test]
fn typed_values() {
    let select = "SELECT id, CAST(n AS INT) AS n, CAST(d AS DATE) AS d, CAST(t AS TIMESTAMP) AS t, \
                  CAST(m AS DECIMAL(8, 2)) AS m, b = 'yes' AS b FROM raw.items";
    let project = Project::new(&[
        ("marts/parted", format!("-- @partition: n, d, t, m, b\n{select}")),
        ("marts/read_back", "SELECT id, n + 1 AS n, d, t, m * 2 AS m, NOT b AS b FROM marts.parted".to_owned()),
    ]);
    project.put(
        "raw/items/1.csv",
        "id,n,d,t,m,b\n\
         1,7,2026-11-22,2026-11-22 10:00:00,1.50,yes\n\
         2,-7,1969-12-31,1969-12-31 23:59:59.5,-0.01,no\n\
         3,,,,,\n",
    );
    project.until_quiet();
    let rows = project.rows("marts.parted");
    let expected =
        ["1|7|2026-11-22|2026-11-22 10:00:00|1.50|true", "2|-7|1969-12-31|1969-12-31 23:59:59.500000|-0.01|false"];
    assert_eq!(rows[..2], expected);
    assert!(rows[2].starts_with("3|NULL|NULL|NULL|NULL|"), "{rows:?}");
    let back = project.rows("marts.read_back");
    assert_eq!(back[0], "1|8|2026-11-22|2026-11-22T10:00:00|3.00|false");
    assert_eq!(back[1], "2|-6|1969-12-31|1969-12-31T23:59:59.500|-0.02|true");
}

#[test]
fn a_folder_whose_value_is_not_of_its_type() {
    let project = Project::new(&[("marts/copy", "SELECT id, day FROM raw.items")]);
    project.put("raw/items/day=2026-11-22/1.csv", "id\n1\n");
    project.run().clean();
    project.put("raw/items/day=tomorrow/1.csv", "id\n2\n");
    project.run().fails("bad-partition-value", &["raw/items/day=tomorrow/1.csv", "`tomorrow`", "date"]);
    assert_eq!(project.rows("marts.copy"), ["1|2026-11-22"]);
    std::fs::remove_dir_all(project.data().join("raw/items/day=tomorrow")).unwrap();
    project.put("raw/items/day=2026-11-23/1.csv", "id\n2\n");
    project.until_quiet();
    assert_eq!(project.rows("marts.copy"), ["1|2026-11-22", "2|2026-11-23"]);
}

#[test]
fn a_folder_of_other_keys() {
    let project = Project::new(&[("marts/copy", "SELECT id, day FROM raw.items")]);
    project.put("raw/items/day=2026-11-22/1.csv", "id\n1\n");
    project.run().clean();
    project.put("raw/items/region=eu/1.csv", "id\n2\n");
    project.run().fails("bad-partition-value", &["raw/items", "region=eu/1.csv", "day="]);
    assert_eq!(project.rows("marts.copy"), ["1|2026-11-22"]);
}

#[test]
fn every_partition_lies_where_its_values_say() {
    let project = Project::new(&[("marts/parted", "-- @partition: a, b\nSELECT id, a, b FROM raw.items")]);
    project.put("raw/items/1.csv", "id,a,b\n1,x,1\n2,x,2\n3,y,1\n4,,1\n");
    project.until_quiet();
    let catalog = project.catalog();
    let table = catalog.as_array().unwrap().iter().find(|table| table["name"] == "marts.parted").unwrap().clone();
    let folder = format!("file://{}/marts/parted/", project.data().canonicalize().unwrap().display());
    let found: BTreeMap<String, String> = table["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| {
            (partition["values"].to_string(), partition["location"].as_str().unwrap().replace(&folder, ""))
        })
        .collect();
    let expected = [
        ("[\"x\",\"1\"]", "a=x/b=1/"),
        ("[\"x\",\"2\"]", "a=x/b=2/"),
        ("[\"y\",\"1\"]", "a=y/b=1/"),
        ("[null,\"1\"]", "a=__HIVE_DEFAULT_PARTITION__/b=1/"),
    ];
    assert_eq!(found, expected.map(|(values, place)| (values.to_owned(), place.to_owned())).into());
}
