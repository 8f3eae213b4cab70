//! Files of rows as text.

use super::*;
use crate::case::survey::survey;

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { path: format!("sql/sales/t.test/c/{name}"), text: text.into() }
}

/// Columns with their places, and records with their lines.
fn found(name: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let survey = survey(&file(name, text)).unwrap();
    let columns = survey.columns.iter().map(|(name, at)| format!("{name} {}:{}+{}", at.line, at.column, at.length));
    let records = survey.records.iter().map(|record| {
        let values: Vec<String> = record.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {}", record.line, values.join(" "))
    });
    (columns.collect(), records.collect())
}

#[test]
fn records_know_their_lines() {
    let (columns, records) = found("raw.t.csv", "id, Name\r\n1,\"a\nb\"\n\n\"\",\n");
    assert_eq!(columns, ["id 1:1+2", "name 1:4+5"]);
    assert_eq!(records, ["2 id=1 name=a\nb", "5 "]);
    let (columns, records) = found("raw.t.csv", "\n \nid\n1");
    assert_eq!((columns, records), (vec!["id 3:1+2".to_owned()], vec!["4 id=1".to_owned()]));
    assert_eq!(found("raw.t.csv", "a;b\n1;2,5\n").1, ["2 a=1 b=2,5"]);
    assert_eq!(found("raw.t.tsv", "a\tb\n1;0\t2\n").1, ["2 a=1;0 b=2"]);
}

#[test]
fn json_is_an_object_a_line() {
    let (columns, records) = found("raw.t.jsonl", "{\"b\": 1.50, \"A\": null}\n\n{\"c\":[1], \"a\":\"x\"}\r\n");
    assert_eq!(columns, ["b 1:2+3", "a 1:13+3", "c 3:2+3"]);
    assert_eq!(records, ["1 b=1.5", "3 a=x"]);
    assert_eq!(found("raw.t.json", "").0, Vec::<String>::new());
}

#[test]
fn what_is_no_record_is_told_with_its_place() {
    for (name, text, wanted) in [
        ("expect.csv", "", "bad-fixture expect.csv:1:1"),
        ("expect.csv", "\n\n", "bad-fixture expect.csv:1:1"),
        ("expect.csv", "a,,c\n1,2,3\n", "bad-fixture expect.csv:1:3"),
        ("expect.csv", "a,b,A\n1,2,3\n", "bad-fixture expect.csv:1:5"),
        ("expect.csv", "a,b\n1,2\n3\n", "bad-fixture expect.csv:3:1"),
        ("expect.csv", "a,b\n1,2,3\n", "bad-fixture expect.csv:2:1"),
        ("expect.csv", "a,b\n1,\"2\n3,4\n", "bad-fixture expect.csv:2:1"),
        ("expect.jsonl", "{\"a\":1}\n[{\"a\":1}]\n", "bad-fixture expect.jsonl:2:1"),
        ("expect.jsonl", "{\"a\":1}\n{\"a\":1,}\n", "bad-fixture expect.jsonl:2:8"),
        ("expect.jsonl", "{\"a\":1, \"A\":2}\n", "bad-fixture expect.jsonl:1:9"),
        ("expect.json", "[\n  {\"a\":1}\n]\n", "bad-fixture expect.json:1:1"),
    ] {
        assert_eq!(place(&survey(&file(name, text)).unwrap_err()), wanted, "{text}");
    }
}
