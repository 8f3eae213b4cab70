//! A file of rows as its text shows it: the columns that it names, and its records with their lines.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::code::Code;
use crate::error::{Error, Location, Result};
use crate::format::{CsvOptions, Format, JsonOptions};
use crate::infer::detect_csv;
use crate::source::{Splitter, UNCLOSED, csv_fields, cut};
use crate::span::location;
use crate::transform::SourceFile;

/// What a file of rows shows without any types.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) format: Format,
    /// The columns in the order of the file, in lower case, with the place where each is named first.
    pub(super) columns: Vec<(String, Location)>,
    pub(super) records: Vec<Record>,
}

/// One row of a file.
#[derive(Debug)]
pub(super) struct Record {
    /// 1-based line where it begins.
    pub(super) line: usize,
    /// Its values as they are written, by column; NULL is left out, and so are nested values.
    pub(super) values: BTreeMap<String, String>,
}

/// Takes a file of rows apart.
///
/// # Errors
/// [`Code::BadFixture`] at the line that is no record, or at a header that is none.
pub(super) fn survey(file: &SourceFile) -> Result<Survey> {
    let lower = file.path.to_ascii_lowercase();
    if lower.ends_with(".tsv") {
        return csv(file, '\t');
    }
    if lower.ends_with(".csv") {
        // As `unglue catalog` does.
        return csv(file, detect_csv(file.text.as_bytes(), true).map_or(',', |detected| detected.options.delimiter));
    }
    json(file)
}

/// A whole line.
pub(super) fn whole_line(file: &SourceFile, line: usize) -> Location {
    location(file, line, 1, usize::MAX)
}

fn csv(file: &SourceFile, delimiter: char) -> Result<Survey> {
    let options = CsvOptions { delimiter, ..CsvOptions::default() };
    let mut records = csv_records(file, &options)?.into_iter();
    let Some((header_line, header)) = records.next() else {
        return Err(Error::new(Code::BadFixture, "the file has no header")
            .at(whole_line(file, 1))
            .help("name the columns in the first line; a header alone is a table without rows"));
    };
    let mut columns: Vec<(String, Location)> = Vec::new();
    for (index, field) in header.iter().enumerate() {
        let name = field.trim().to_lowercase();
        let at = header_place(file, header_line, &header[..=index], delimiter);
        let (wrong, help) = if name.is_empty() {
            (format!("column {} of the header has no name", index + 1), "name it, or remove it from all records")
        } else if columns.iter().any(|(known, _)| *known == name) {
            (format!("the header has two columns `{name}`"), "rename or remove one of them")
        } else {
            columns.push((name, at));
            continue;
        };
        return Err(Error::new(Code::BadFixture, wrong).at(at).help(help));
    }
    let mut found = Vec::new();
    for (line, fields) in records {
        if fields.len() != columns.len() {
            let message = format!("the record has {} fields, the header has {}", fields.len(), columns.len());
            return Err(Error::new(Code::BadFixture, message)
                .at(whole_line(file, line))
                .help("write one field for each column, and quote fields that hold the delimiter"));
        }
        let values = columns.iter().map(|(name, _)| name.clone()).zip(fields).filter(|(_, value)| !value.is_empty());
        found.push(Record { line, values: values.collect() });
    }
    Ok(Survey { format: Format::Csv(options), columns, records: found })
}

/// The records of a CSV file with their lines, the header first; blank lines are passed over as the reader does.
fn csv_records(file: &SourceFile, options: &CsvOptions) -> Result<Vec<(usize, Vec<String>)>> {
    let mut splitter = Splitter::new(cut(options)?);
    let mut records = Vec::new();
    let mut rest = file.text.as_bytes();
    while !rest.is_empty() {
        let (taken, record) = splitter.take(rest);
        rest = &rest[taken..];
        records.extend(record);
    }
    let unclosed = splitter.in_quotes();
    let last = splitter.rest();
    if let (true, Some((line, _))) = (unclosed, &last) {
        return Err(Error::new(Code::BadFixture, UNCLOSED)
            .at(whole_line(file, line_number(*line)))
            .help("close the quote"));
    }
    records.extend(last);
    let mut found = Vec::new();
    for (line, record) in records {
        // No header is made of spaces; a record may be.
        let is_before_header = found.is_empty() && record.trim_ascii().is_empty();
        if let (false, Some(fields)) = (is_before_header, csv_fields(&record, options)) {
            found.push((line_number(line), fields));
        }
    }
    Ok(found)
}

/// The place of the last of some fields of a header.
fn header_place(file: &SourceFile, line: usize, fields: &[String], delimiter: char) -> Location {
    let whole = whole_line(file, line);
    let (mut start, mut end, mut next) = (0, 0, 0);
    for field in fields {
        // A field with doubled quotes is not found as it is.
        let found = whole.text[next..].find(field.as_str()).map(|found| next + found);
        start = found.unwrap_or(next);
        end = found.map_or(next, |found| found + field.len());
        next = whole.text[end..].find(delimiter).map_or(whole.text.len(), |found| end + found + delimiter.len_utf8());
    }
    location(file, line, whole.text[..start].chars().count() + 1, whole.text[start..end].chars().count())
}

fn json(file: &SourceFile) -> Result<Survey> {
    let mut columns: Vec<(String, Location)> = Vec::new();
    let mut records = Vec::new();
    for (index, text) in file.text.split('\n').enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = index + 1;
        let object: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            Error::new(Code::BadFixture, "the line is not a JSON object")
                .at(location(file, line, error.column().max(1), 1))
                .help("write one JSON object a line")
                .because(error)
        })?;
        let mut values = BTreeMap::new();
        let mut keys: Vec<(usize, String)> = object.keys().map(|key| (key_offset(text, key), key.clone())).collect();
        keys.sort();
        let mut names = Vec::new();
        for (offset, key) in keys {
            let name = key.to_ascii_lowercase();
            let at = location(file, line, text[..offset].chars().count() + 1, key.chars().count() + 2);
            if names.contains(&name) {
                let message = format!("the line has the key `{name}` twice, in different letter case");
                return Err(Error::new(Code::BadFixture, message).at(at).help("rename or remove one of them"));
            }
            if let Some(value) = object.get(&key).and_then(written) {
                values.insert(name.clone(), value);
            }
            if columns.iter().all(|(known, _)| *known != name) {
                columns.push((name.clone(), at));
            }
            names.push(name);
        }
        records.push(Record { line, values });
    }
    Ok(Survey { format: Format::Json(JsonOptions::default()), columns, records })
}

/// Where a key stands in its line, as far as it is written without escapes.
fn key_offset(text: &str, key: &str) -> usize {
    text.find(&format!("\"{key}\"")).unwrap_or(0)
}

fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn line_number(line: u64) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX)
}
