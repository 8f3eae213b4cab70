//! Schema inference of JSON: objects one a line, over several lines, or in one array.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::lattice::Fields;
use super::text::shape_of_time;
use super::{Schema, Seen, Shape};
use crate::code::Code;
use crate::error::Error;
use crate::source::{Cut, Elements, Keys, Layout, Splitter};

/// The columns of a JSON object, in order of their first appearance. Lines that cannot be read type nothing; if
/// they are most of all, that is a finding.
///
/// `complete` is whether the sample ends where the object does, `keys` what the keys are called in the table.
pub(crate) fn infer_json(sample: &[u8], complete: bool, keys: &Keys) -> Schema {
    let mut schema = Schema::default();
    let mut columns = Fields::default();
    let mut doubled = BTreeSet::new();
    let text = marked(sample);
    let records = records(&text, complete);
    let mut broken: Vec<Error> = Vec::new();
    for (line, record) in &records {
        // Several objects on a line are several rows.
        for value in serde_json::Deserializer::from_slice(record).into_iter::<Shape>() {
            match value {
                Ok(Shape::Struct(fields)) => {
                    schema.has_rows = true;
                    let mut names = BTreeSet::new();
                    for (key, shape) in fields.into_ordered() {
                        let name = keys.column(&key).into_owned();
                        schema.spell(&name, &key);
                        if names.insert(name.clone()) {
                            columns.add(name, shape);
                        } else {
                            doubled.insert(name);
                        }
                    }
                }
                Ok(_) => broken.push(broken_line(*line, "is not a JSON object")),
                Err(error) => broken.push(broken_line(*line, "is not JSON").because(error)),
            }
        }
    }
    // A few records that cannot be read are for those to decide who read them.
    if broken.len() * 2 > records.len() {
        schema.findings.extend(broken.into_iter().next());
    }
    if !complete && records.is_empty() && !text.bytes.trim_ascii().is_empty() {
        schema
            .findings
            .push(Error::new(Code::BadObject, "the first object is too long").help("write one JSON object a line"));
    }
    schema.findings.extend(doubled.iter().map(|name| two_spellings(name)));
    for (name, shape) in columns.into_ordered() {
        if name.trim().is_empty() {
            schema.findings.push(
                Error::new(Code::BadColumnName, "a field without a name was left out").help("give the field a name"),
            );
        } else {
            schema.columns.push((name, Seen::Values(shape)));
        }
    }
    schema
}

/// Letter case does not tell keys apart.
fn two_spellings(name: &str) -> Error {
    let message = format!("a line has the key `{name}` twice, in different letter case; only one of them is read");
    Error::new(Code::ColumnMismatch, message).help("rename one of them")
}

fn broken_line(line: u64, what: &str) -> Error {
    Error::new(Code::BadRecord, format!("line {line} {what}")).help("write one JSON object a line")
}

/// A text with the ends of its objects marked.
struct Marked {
    bytes: Bytes,
    cut: Cut,
}

fn marked(sample: &[u8]) -> Marked {
    let sample = sample.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(sample);
    let layout = Layout::of(sample);
    Marked { bytes: Elements::new(layout).mark(Bytes::copy_from_slice(sample)), cut: layout.cut() }
}

/// The records with their lines, without the last one of an incomplete sample: it may be cut.
fn records(text: &Marked, complete: bool) -> Vec<(u64, Vec<u8>)> {
    let mut splitter = Splitter::new(text.cut);
    let (mut rest, mut records) = (text.bytes.as_ref(), Vec::new());
    while !rest.is_empty() {
        let (taken, record) = splitter.take(rest);
        rest = &rest[taken..];
        records.extend(record);
    }
    if complete {
        records.extend(splitter.rest());
    }
    records.retain(|(_, record)| !record.trim_ascii().is_empty());
    records
}

/// Shows each value of a column, as JSON.
pub(super) fn values(sample: &[u8], complete: bool, keys: &Keys, column: &str, mut look: impl FnMut(&str, &Shape)) {
    for (_, record) in records(&marked(sample), complete) {
        let fields = serde_json::from_slice::<serde_json::Map<String, Value>>(&record).unwrap_or_default();
        let value = fields.into_iter().find(|(key, _)| keys.column(key) == column);
        let text = value.map(|(_, value)| value.to_string());
        if let Some((text, Ok(shape))) = text.as_ref().map(|text| (text, serde_json::from_str(text))) {
            look(text, &shape);
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

/// Takes the shape of a JSON value without building the value.
struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Undecided)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Boolean)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::BigInt)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Shape, E> {
        Ok(if i64::try_from(number).is_ok() { Shape::BigInt } else { Shape::Double })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Double)
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(shape_of_time(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Shape, A::Error> {
        let mut all = Shape::Undecided;
        while let Some(element) = elements.next_element()? {
            all = all.join(element);
        }
        Ok(Shape::List(Box::new(all)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Shape, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, shape)) = members.next_entry()? {
            fields.add(name, shape);
        }
        Ok(Shape::Struct(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(sample: &[u8], complete: bool) -> Schema {
        infer_json(sample, complete, &Keys::default())
    }

    fn columns(text: &str) -> Vec<String> {
        let schema = inferred(text.as_bytes(), true);
        assert!(schema.findings.is_empty(), "{:?}", schema.findings);
        schema.columns.into_iter().map(|(name, seen)| format!("{name}:{}", seen.hive_type().unwrap())).collect()
    }

    #[test]
    fn values_type_the_columns() {
        let text = "\u{feff}{\"Id\":1,\"amount\":1,\"big\":9223372036854775808,\"at\":\"2026-11-22T10:00:00Z\",\"text\":\"12\"}\r\n\
                    \n\
                    {\"amount\":2.5,\"ok\":true,\"Id\":null,\"none\":null,\"day\":\"2026-11-22\",\"big\":1}";
        assert_eq!(
            columns(text),
            [
                "id:bigint",
                "amount:double",
                "big:double",
                "at:timestamp",
                "text:string",
                "ok:boolean",
                "none:string",
                "day:date"
            ]
        );
    }

    #[test]
    fn letter_case_does_not_tell_keys_apart() {
        let schema = inferred(b"{\"userId\":1}\n{\"USERID\":2.5}", true);
        assert_eq!(schema.columns, [("userid".to_owned(), Seen::Values(Shape::Double))]);
        assert!(schema.findings.is_empty());
        let schema = inferred(b"{\"userId\":1,\"USERID\":\"x\"}", true);
        assert_eq!(schema.columns, [("userid".to_owned(), Seen::Values(Shape::BigInt))]);
        assert_eq!(schema.findings.len(), 1);
        assert_eq!(schema.findings[0].code, Code::ColumnMismatch);
    }

    #[test]
    fn nested_values() {
        let text = r#"{"s":{"b":1,"a":[]},"l":[1,2.5],"m":[1,"x"],"n":{"x":1}}
                      {"s":{"a":[{"c":true}],"d":null},"l":null,"n":3}"#;
        assert_eq!(
            columns(text),
            [
                "s:struct<b:bigint,a:array<struct<c:boolean>>,d:string>",
                "l:array<double>",
                "m:array<string>",
                "n:string"
            ]
        );
    }

    #[test]
    fn numbers() {
        assert_eq!(
            columns(r#"{"a":-9223372036854775808,"b":-9223372036854775809,"c":1.0,"d":1e3,"e":18446744073709551616}"#),
            ["a:bigint", "b:double", "c:double", "d:double", "e:double"]
        );
    }

    #[test]
    fn broken_lines_are_found() {
        let cases = [
            ("{\"a\":\n{\"a\":2\n{\"a\":3}", 1),
            ("7\n[1]\n", 1),
            ("\n{\n  \"a\": 1,\n", 2),
            ("[\n7]", 2),
            ("{\"a\":1e400}", 1),
            ("{\"a\":NaN}", 1),
        ];
        for (text, line) in cases {
            let schema = inferred(text.as_bytes(), true);
            assert_eq!(schema.findings.len(), 1, "{text}");
            assert_eq!(schema.findings[0].code, Code::BadRecord, "{text}");
            assert!(schema.findings[0].message.starts_with(&format!("line {line} ")), "{:?}", schema.findings);
        }
        for text in
            ["{\"a\":1}\n{\"a\":\n{\"a\":2}", "{\n  \"a\": 1\n}\n", "[{\"a\":1},\n{\"a\":2}]", "{\"a\":1}{\"a\":2}"]
        {
            assert_eq!(columns(text), ["a:bigint"], "{text}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(inferred(deep.as_bytes(), true).findings[0].code, Code::BadRecord);
        assert_eq!(inferred(b"{\"a\":\"\xFF\"}", true).findings[0].code, Code::BadRecord, "not UTF-8");
    }

    #[test]
    fn the_cut_line_of_an_incomplete_sample_is_not_looked_at() {
        let schema = inferred(b"{\"a\":1}\n{\"a\":2}\n{\"b\":", false);
        assert!(schema.findings.is_empty());
        assert_eq!(schema.columns, [("a".to_owned(), Seen::Values(Shape::BigInt))]);
        assert_eq!(inferred(b"{\"a\":1", false).findings[0].code, Code::BadObject);
        assert!(!inferred(b"\n \n", true).has_rows);
        assert!(inferred(b"{}", true).has_rows);
    }

    #[test]
    fn names_that_hive_type_text_cannot_hold() {
        let schema = inferred(br#"{"ok":{"a b":1},"":2,"deep":{"x":{}}}"#, true);
        assert_eq!(schema.findings[0].code, Code::BadColumnName);
        for (name, seen) in &schema.columns {
            assert_eq!(seen.hive_type().unwrap_err().code, Code::UnsupportedType, "{name}");
        }
    }
}
