//! The columns of a table, from samples of its objects.

use super::format::Family;
use super::sample::{Content, Sample};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::infer::{Schema, Seen, detect_delimiter, infer_csv, infer_json, infer_parquet};
use crate::store::DataRoot;
use crate::table::{Column, CsvOptions, Format, Table, TableName};

/// The schema of one object.
struct ObjectSchema<'a> {
    sample: &'a Sample,
    columns: Vec<(String, Seen)>,
    has_rows: bool,
}

/// A column of several objects.
struct Union<'a> {
    name: String,
    seen: Seen,
    /// The object that showed it first.
    sample: &'a Sample,
}

/// That a table has nothing to tell its types from.
pub(super) fn no_rows_yet(root: &DataRoot, name: &TableName) -> Error {
    Error::new(Code::UnreadableTable, format!("the table `{name}` has no rows yet, so it is not created"))
        .help("add an object with at least one row")
        .in_object(root.table_location(name), None)
}

/// The columns and format of a table that is not in the catalog yet; `None` if its objects have no row that can be read.
///
/// # Errors
/// [`Code::UnreadableTable`] if the fields of its CSV objects are divided in different ways, or no column is left.
pub(super) fn of_new_table(
    family: Family,
    keys: &[Column],
    samples: &[Sample],
    findings: &mut Vec<Error>,
) -> Result<Option<(Vec<Column>, Format)>> {
    let format = match family {
        Family::Csv => Format::Csv(csv_options(samples)?),
        Family::Json => Format::Json,
        Family::Parquet => Format::Parquet,
    };
    let schemas = schemas(&format, samples, findings);
    if !schemas.iter().any(|schema| schema.has_rows) {
        return Ok(None);
    }
    let columns = columns(union(schemas, findings), keys, findings);
    match samples.first() {
        Some(first) if columns.is_empty() => {
            Err(Error::new(Code::UnreadableTable, "no column is left that a table could have")
                .in_object(&first.url, None))
        }
        _ => Ok(Some((columns, format))),
    }
}

/// The columns that a table of the catalog lacks. What does not fit its declared types is a finding.
pub(super) fn added(table: &Table, samples: &[Sample], findings: &mut Vec<Error>) -> Vec<Column> {
    let mut schemas = schemas(&table.format, samples, findings);
    schemas.retain(|schema| {
        // A header without any known column is more likely a row of data than a set of new columns, and a Parquet object
        // without one belongs to another table. Keys of JSON may all be missing.
        let names_nothing = table.format != Format::Json
            && !schema.columns.is_empty()
            && !schema.columns.iter().any(|(name, _)| table.columns.iter().any(|column| column.name == *name));
        if names_nothing {
            let (message, help) = match table.format {
                Format::Csv(_) => {
                    ("the header names no column of the table", "the first line of the object must name the columns")
                }
                _ => ("the object has none of the table's columns", "move it to the table that it belongs to"),
            };
            findings.push(Error::new(Code::ColumnMismatch, message).help(help).in_object(&schema.sample.url, None));
        }
        !names_nothing
    });
    for column in &table.columns {
        let misfit = schemas.iter().find_map(|schema| {
            let (_, seen) = schema.columns.iter().find(|(name, _)| *name == column.name)?;
            (!seen.fits(&column.hive_type)).then_some((schema.sample, seen))
        });
        if let Some((sample, seen)) = misfit {
            let what = match seen.hive_type() {
                Ok(hive_type) => format!("looks like {hive_type}"),
                Err(_) => "is of a type that no table has".to_owned(),
            };
            findings.push(
                Error::new(
                    Code::ColumnMismatch,
                    format!("the column `{}` {what}, but the table declares {}", column.name, column.hive_type),
                )
                .help("mend the object, or change the column's type in the catalog")
                .in_object(&sample.url, None),
            );
        }
    }
    let mut union = union(schemas, findings);
    union.retain(|found| !table.columns.iter().any(|column| column.name == found.name));
    columns(union, &table.partition_keys, findings)
}

/// How the fields of a new table's objects are divided.
fn csv_options(samples: &[Sample]) -> Result<CsvOptions> {
    let mut first: Option<(char, &Sample)> = None;
    for sample in samples {
        let Content::Text { text, complete, encoding } = &sample.content else { continue };
        let detected = if encoding.tabs { Some('\t') } else { detect_delimiter(text, *complete) };
        match (first, detected) {
            (None, Some(delimiter)) => first = Some((delimiter, sample)),
            (Some((expected, other)), Some(delimiter)) if expected != delimiter => {
                return Err(Error::new(
                    Code::UnreadableTable,
                    format!(
                        "the fields of the table's objects are divided in different ways: `{}` by {expected:?}, `{}` by {delimiter:?}",
                        other.below, sample.below
                    ),
                )
                .help("give each way a table of its own")
                .in_object(&sample.url, None));
            }
            _ => {}
        }
    }
    let default = CsvOptions::default();
    Ok(CsvOptions { delimiter: first.map_or(default.delimiter, |(delimiter, _)| delimiter), ..default })
}

/// The schema of each object that can be read.
fn schemas<'a>(format: &Format, samples: &'a [Sample], findings: &mut Vec<Error>) -> Vec<ObjectSchema<'a>> {
    let mut schemas = Vec::with_capacity(samples.len());
    for sample in samples {
        let schema = match (&sample.content, format) {
            (Content::Parquet { schema, rows }, _) => Ok(infer_parquet(schema, *rows)),
            (Content::Text { text, complete, .. }, Format::Csv(options)) => infer_csv(text, *complete, options),
            (Content::Text { text, complete, .. }, _) => Ok(infer_json(text, *complete)),
        };
        match schema {
            Ok(Schema { columns, has_rows, findings: found }) => {
                findings.extend(found.into_iter().map(|finding| finding.in_object(&sample.url, None)));
                schemas.push(ObjectSchema { sample, columns, has_rows });
            }
            Err(error) => findings.push(error.in_object(&sample.url, None)),
        }
    }
    schemas
}

/// The columns of all objects, in order of their first appearance.
fn union<'a>(schemas: Vec<ObjectSchema<'a>>, findings: &mut Vec<Error>) -> Vec<Union<'a>> {
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
fn columns(union: Vec<Union<'_>>, keys: &[Column], findings: &mut Vec<Error>) -> Vec<Column> {
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
