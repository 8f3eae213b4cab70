//! Objects whose names are odd: they are read, once, under the names that they have.

use super::{copying, sorted};

/// Names as they lie on the disk; nothing in them is an escape for anything else.
pub(crate) const NAMES: [&str; 20] = [
    "with space",
    "plus+plus",
    "percent%",
    "100%25",
    "slash%2Fslash",
    "plus%2Bplus",
    "tilde~",
    "ünï-日本-🎉",
    "n\u{303}fd",
    "key=value",
    "hash#1",
    "what?",
    "star*",
    "[brackets]",
    "{braces}",
    "quote'quote",
    "double\"quote",
    "back\\slash",
    "semi;colon&and",
    "colon:at@",
];

#[test]
fn objects_with_odd_names_are_read_once() {
    let project = copying();
    let mut rows = Vec::new();
    for (id, name) in NAMES.iter().enumerate() {
        project.put(&format!("raw/items/{name}.csv"), format!("id,name\n{id},plain\n"));
        rows.push(format!("{id}|plain"));
    }
    let receipts = project.run().clean().runs();
    assert_eq!(receipts[0]["inputs"].as_array().unwrap().len(), NAMES.len());
    project.until_quiet();
    rows.sort();
    assert_eq!(project.rows("marts.copy"), rows);
}

#[test]
fn folders_with_odd_names_are_looked_into() {
    let project = copying();
    let mut rows = Vec::new();
    for (id, name) in NAMES.iter().filter(|name| !name.contains('=')).enumerate() {
        project.put(&format!("raw/items/{name}/part 1.csv"), format!("id,name\n{id},below\n"));
        rows.push(format!("{id}|below"));
    }
    project.until_quiet();
    rows.sort();
    assert_eq!(project.rows("marts.copy"), rows);
}

#[test]
fn parquet_objects_with_odd_names() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    let project = copying();
    for (id, name) in (0_i64..).zip(NAMES) {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["plain"]));
        project.put(&format!("raw/items/{name}.parquet"), crate::pack::parquet(&[("id", ids), ("name", names)]));
    }
    project.until_quiet();
    let mut rows: Vec<String> = (0..NAMES.len()).map(|id| format!("{id}|plain")).collect();
    rows.sort();
    assert_eq!(project.rows("marts.copy"), rows);
}

#[test]
fn an_error_names_the_object_as_it_is() {
    for name in NAMES {
        let project = copying();
        project.put("raw/items/0.csv", "id,name\n1,a\n");
        project.put(&format!("raw/items/{name}.csv"), "id,name\n2\n");
        project.run().fails("bad-record", &[&format!("raw/items/{name}.csv:2")]);
    }
}

#[test]
fn a_data_folder_with_an_odd_name() {
    let project = copying();
    let odd = "my data+50%/ünï #1";
    let at = project.folder().join(odd);
    std::fs::create_dir_all(at.join("raw/items")).unwrap();
    std::fs::write(at.join("raw/items/1.csv"), "id,name\n1,a\n").unwrap();
    project.unglue(&["run", "--data", odd]).clean();
    let catalog = project.unglue(&["catalog", "show", "--json", "--data", odd]).clean().json();
    assert_eq!(crate::rows::local_rows(&catalog, "marts.copy").sorted(), sorted(&[&["1|a"]]));
    let again = project.unglue(&["run", "--json", "--data", odd]).clean().runs();
    assert!(again.is_empty(), "{again:?}");
}
