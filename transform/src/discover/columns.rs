//! The columns of a table, from samples of its objects.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::Schema;

use super::format::{self, Family};
use super::sample::{Content, Sample};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::{CsvOptions, Format, JsonOptions};
use crate::infer::{self, Seen, detect_csv, has_header, infer_csv, infer_declared, infer_json};
use crate::source::{self, Keys};
use crate::store::DataRoot;
use crate::table::{Column, TableName};

/// The schema of one object.
pub(super) struct ObjectSchema<'a> {
    pub(super) sample: &'a Sample,
    pub(super) columns: Vec<(String, Seen)>,
    /// How it writes their names.
    pub(super) spelled: BTreeMap<String, String>,
    pub(super) has_rows: bool,
}

/// A column of several objects.
pub(super) struct Union<'a> {
    pub(super) name: String,
    pub(super) seen: Seen,
    /// The object that showed it first.
    pub(super) sample: &'a Sample,
}

/// That a table has nothing to tell its types from.
pub(super) fn no_rows_yet(root: &DataRoot, name: &TableName) -> Error {
    Error::new(Code::UnreadableTable, format!("the table `{name}` has no rows yet, so it is not created"))
        .help("add an object with at least one row")
        .in_object(root.table_location(name), None)
}

/// What the objects of a table tell that is not in the catalog yet.
pub(super) struct NewTable {
    pub(super) columns: Vec<Column>,
    /// Columns without any value.
    pub(super) undecided: Vec<String>,
    /// How the objects write names that have capitals.
    pub(super) spelled: Vec<String>,
    pub(super) format: Format,
}

/// The columns and format of a table that is not in the catalog yet; `None` if its objects have no row that can be read.
///
/// # Errors
/// [`Code::UnreadableTable`] if its objects are of several formats, its CSV objects are written in different ways, or no column
/// is left.
pub(super) fn of_new_table(keys: &[Column], samples: &[Sample], findings: &mut Vec<Error>) -> Result<Option<NewTable>> {
    let Some(first) = samples.first() else { return Ok(None) };
    if let Some(other) = samples.iter().find(|sample| sample.family() != first.family()) {
        let error = format::several(&first.below, first.family(), &other.below, other.family());
        return Err(error.in_object(&other.url, None));
    }
    let format = match first.family() {
        Family::Csv => Format::Csv(csv_options(samples)?),
        Family::Json => Format::Json(JsonOptions::default()),
        Family::Parquet => Format::Parquet,
        Family::Avro => Format::Avro,
        Family::Orc => Format::Orc,
    };
    let schemas = schemas(&format, &[], &Keys::default(), samples, findings);
    if !schemas.iter().any(|schema| schema.has_rows) {
        return Ok(None);
    }
    let spelled = spelled(&schemas);
    let union = union(schemas, findings);
    let undecided = |column: &Union<'_>| column.seen.is_undecided().then(|| column.name.clone());
    let undecided = union.iter().filter_map(undecided).collect();
    let columns = columns(union, keys, findings);
    if columns.is_empty() {
        return Err(
            Error::new(Code::UnreadableTable, "no column is left that a table could have").in_object(&first.url, None)
        );
    }
    Ok(Some(NewTable { columns, undecided, spelled, format }))
}

/// How the objects of a new CSV table are written.
fn csv_options(samples: &[Sample]) -> Result<CsvOptions> {
    let mut first: Option<(CsvOptions, &Sample)> = None;
    let (mut with_header, mut without) = (None, None);
    for sample in samples {
        let Content::Text { text, complete, tabs, .. } = &sample.content else { continue };
        let (options, header) = match detect_csv(text, *complete) {
            Some(detected) if !tabs => (Some(detected.options), detected.header),
            _ => {
                let options = CsvOptions { delimiter: if *tabs { '\t' } else { ',' }, ..CsvOptions::default() };
                let header = has_header(text, *complete, &options);
                (tabs.then_some(options), header)
            }
        };
        match header {
            Some(true) => with_header = Some(sample),
            Some(false) => without = Some(sample),
            None => {}
        }
        match (&mut first, options) {
            (None, Some(options)) => first = Some((options, sample)),
            (Some((expected, other)), Some(options)) if expected.delimiter != options.delimiter => {
                return Err(Error::new(
                    Code::UnreadableTable,
                    format!(
                        "the fields of the table's objects are divided in different ways: `{}` by {:?}, `{}` by {:?}",
                        other.below, expected.delimiter, sample.below, options.delimiter
                    ),
                )
                .help("give each way a table of its own")
                .in_object(&sample.url, None));
            }
            // What only some of the objects need does the others no harm.
            (Some((expected, _)), Some(options)) => {
                expected.escape = expected.escape.or(options.escape);
                expected.comment = expected.comment.or(options.comment);
            }
            (_, None) => {}
        }
    }
    let options = first.map(|(options, _)| options).unwrap_or_default();
    match (with_header, without) {
        (Some(with), Some(without)) => Err(Error::new(
            Code::UnreadableTable,
            format!("some of the table's objects have a header, others not: `{}`, `{}`", with.below, without.below),
        )
        .help("write a header into each object, or into none")
        .in_object(&without.url, None)),
        (None, Some(_)) => Ok(CsvOptions { header_lines: 0, ..options }),
        // A table of texts alone keeps its header.
        _ => Ok(options),
    }
}

/// The schema of each object that can be read, in a format and with the columns that the table has by now.
pub(super) fn schemas<'a>(
    format: &Format,
    columns: &[Column],
    keys: &Keys,
    samples: &'a [Sample],
    findings: &mut Vec<Error>,
) -> Vec<ObjectSchema<'a>> {
    let mut schemas = Vec::with_capacity(samples.len());
    for sample in samples {
        let schema = match (&sample.content, format) {
            (Content::Declared { schema, rows, .. }, Format::Orc) => {
                let known = Schema::new(source::fields(columns));
                Ok(infer_declared(&source::orc_by_place(&known, schema), *rows))
            }
            (Content::Declared { schema, rows, .. }, _) => Ok(infer_declared(schema, *rows)),
            (Content::Text { text, complete, .. }, Format::Csv(options)) => {
                infer_csv(text, *complete, options, columns)
            }
            (Content::Text { text, complete, .. }, _) => Ok(infer_json(text, *complete, keys)),
        };
        match schema {
            Ok(infer::Schema { columns, spelled, has_rows, findings: found }) => {
                findings.extend(found.into_iter().map(|finding| finding.in_object(&sample.url, None)));
                schemas.push(ObjectSchema { sample, columns, spelled, has_rows });
            }
            Err(error) => findings.push(error.in_object(&sample.url, None)),
        }
    }
    schemas
}

/// How names are written where they appear first, as far as they have capitals.
pub(super) fn spelled(schemas: &[ObjectSchema<'_>]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let names = schemas.iter().flat_map(|schema| schema.columns.iter().map(|(name, _)| (name, &schema.spelled)));
    let first = names.filter(|(name, _)| known.insert(*name));
    let written = first.filter_map(|(name, spelled)| spelled.get(name).filter(|written| *written != name));
    written.cloned().collect()
}

/// The columns of all objects, in order of their first appearance.
pub(super) fn union<'a>(schemas: Vec<ObjectSchema<'a>>, findings: &mut Vec<Error>) -> Vec<Union<'a>> {
    let mut union: Vec<Union<'a>> = Vec::new();
    for schema in schemas {
        for (name, seen) in schema.columns {
            let Some(known) = union.iter_mut().find(|known| known.name == name) else {
                union.push(Union { name, seen, sample: schema.sample });
                continue;
            };
            match known.seen.join(&seen) {
                Some(joined) => known.seen = joined,
                None => findings.push(
                    Error::new(
                        Code::ColumnMismatch,
                        format!("the column `{name}` is of another type than in `{}`", known.sample.below),
                    )
                    .help("write the column with one type")
                    .in_object(&schema.sample.url, None),
                ),
            }
        }
    }
    union
}

/// The columns that a table can have: those of a type that Hive knows which are no partition keys.
pub(super) fn columns(union: Vec<Union<'_>>, keys: &[Column], findings: &mut Vec<Error>) -> Vec<Column> {
    let mut columns = Vec::with_capacity(union.len());
    for Union { name, seen, sample } in union {
        if keys.iter().any(|key| key.name == name) {
            findings.push(
                Error::new(
                    Code::ColumnMismatch,
                    format!("the column `{name}` is also a partition key; its values in the objects are not read"),
                )
                .help("rename the column or the folders")
                .in_object(&sample.url, None),
            );
            continue;
        }
        match seen.hive_type() {
            Ok(hive_type) => columns.push(Column { name, hive_type, comment: None }),
            Err(error) => findings.push(
                Error::new(Code::UnsupportedType, format!("the column `{name}` was left out: {}", error.message))
                    .help("rename its fields, or write it as text")
                    .in_object(&sample.url, None),
            ),
        }
    }
    columns
}
