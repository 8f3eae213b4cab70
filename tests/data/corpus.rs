//! The corpus of odd and broken objects: what becomes of each, record by record.
//!
//! Each case is an object that arrives beside a good one, in a table of its own with a transform that puts aside what cannot be
//! read (`@on_bad_record: quarantine`). One project has them all, so that none disturbs the others. Of each it is told which
//! rows come out, how many records are put aside, or with which error the object is refused: nothing else may happen, and no
//! record may be in neither place.

mod binary;
mod compressed;
mod csv;
mod json;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::project::{Ended, Project};

/// An object, and what becomes of it.
struct Case {
    /// Name of its table.
    name: String,
    /// Name of the object.
    object: &'static str,
    content: Vec<u8>,
    becomes: Becomes,
}

/// What becomes of an object.
#[derive(Clone, Copy)]
enum Becomes {
    /// These rows, `id|name`, sorted; and so many records are put aside.
    Rows(&'static [&'static str], u64),
    /// So many rows, and records put aside.
    Count(usize, u64),
    /// The object is refused with this code.
    Refused(&'static str),
}

/// The rows of the object that lies there already.
const FIRST: [&str; 1] = ["1|a"];

fn case(name: &str, object: &'static str, content: impl AsRef<[u8]>, becomes: Becomes) -> Case {
    Case { name: name.to_owned(), object, content: content.as_ref().to_vec(), becomes }
}

/// The object that lies in the table of a case already: of the same format.
fn first(case: &Case) -> (&'static str, Vec<u8>) {
    if case.name.starts_with("json") {
        ("0.json", b"{\"id\":1,\"name\":\"a\"}\n".to_vec())
    } else if case.name.starts_with("parquet") {
        ("0.parquet", binary::parquet_rows(&[(1, "a")]))
    } else if case.name.starts_with("avro") {
        ("0.avro", binary::avro_rows(&[(1, "a")], None))
    } else if case.name.starts_with("orc") {
        ("0.orc", binary::orc_rows(&[(1, "a")]))
    } else {
        ("0.csv", b"id,name\n1,a\n".to_vec())
    }
}

/// Runs all cases in one project, and compares what became of each.
#[track_caller]
fn check(cases: &[Case]) {
    let project = Project::new::<&str>(&[]);
    for case in cases {
        let table = &case.name;
        let (object, content) = first(case);
        project.put(&format!("raw/{table}/{object}"), content);
        project
            .sql(&format!("out/{table}"), format!("-- @on_bad_record: quarantine\nSELECT id, name FROM raw.{table}"));
    }
    project.until_quiet();
    for case in cases {
        project.put(&format!("raw/{}/{}", case.name, case.object), &case.content);
    }
    let ended = project.run();
    assert!(!ended.stderr.contains("panicked"), "a panic reached the user:\n{ended}");
    let catalog = project.catalog();
    let receipts: BTreeMap<String, Value> = ended
        .runs()
        .into_iter()
        .map(|receipt| (receipt["transform"].as_str().expect("a name").to_owned(), receipt))
        .collect();
    let mut wrong: Vec<String> = Vec::new();
    for case in cases {
        let became = became(case, &project, &catalog, &ended, &receipts);
        let expected = expected(case);
        if became != expected {
            wrong.push(format!("{} ({}): expected {expected}, but there is {became}", case.name, case.object));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}\n\n{}", wrong.len(), cases.len(), wrong.join("\n"), ended.stderr);
}

fn expected(case: &Case) -> String {
    match case.becomes {
        Becomes::Rows(rows, rejected) => {
            let mut rows: Vec<&str> = rows.iter().copied().chain(FIRST).collect();
            rows.sort_unstable();
            format!("{rows:?}, {rejected} put aside")
        }
        Becomes::Count(rows, rejected) => format!("{} rows, {rejected} put aside", rows + FIRST.len()),
        Becomes::Refused(code) => format!("error[{code}]"),
    }
}

fn became(
    case: &Case,
    project: &Project,
    catalog: &Value,
    ended: &Ended,
    receipts: &BTreeMap<String, Value>,
) -> String {
    let place = format!("raw/{}/{}", case.name, case.object);
    let errors = ended.errors();
    if let Some(error) = errors.iter().find(|error| error.contains(&place)) {
        return error.split(']').next().map(|code| format!("{code}]")).unwrap_or_default();
    }
    let table = format!("out.{}", case.name);
    let rows = crate::rows::local_rows(catalog, &table).sorted();
    let receipt = receipts.get(&table);
    let rejected = receipt.and_then(|receipt| receipt["rejected"].as_u64()).unwrap_or(0);
    if let Some(file) = receipt.and_then(|receipt| receipt["quarantine"].as_str()) {
        let kept = kept(project, file);
        if kept != (rejected, place.clone()) {
            return format!("{kept:?} in the quarantine, {rejected} in the receipt");
        }
    }
    match case.becomes {
        Becomes::Count(..) => format!("{} rows, {rejected} put aside", rows.len()),
        _ => format!("{rows:?}, {rejected} put aside"),
    }
}

/// The number of records in a file of the quarantine, and the object that all of them are from. Each must say what is wrong.
fn kept(project: &Project, url: &str) -> (u64, String) {
    let path = url.split_once("/data/").expect("a file of the data folder").1;
    let text = std::fs::read_to_string(project.data().join(path)).expect("the file that the receipt names");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let mut objects: Vec<&str> = Vec::new();
    for record in &records {
        let text = |field: &str| record[field].as_str().expect("a text");
        assert!(!text("reason").is_empty() && record["line"].as_u64().is_some(), "{record}");
        assert!(text("object").starts_with("file:///"), "{record}");
        objects.push(text("object").split_once("/data/").expect("an object of the data folder").1);
    }
    objects.dedup();
    (records.len() as u64, objects.join(" and "))
}
