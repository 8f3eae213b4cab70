//! A table of a case: its columns by the catalog or by its rows.

use super::KnownColumns;
use super::survey::{Survey, survey};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::{CsvOptions, Format};
use crate::hive::is_nested;
use crate::infer::{infer_csv, infer_json};
use crate::nearest::nearest;
use crate::source::Keys;
use crate::table::{Column, Table};
use crate::transform::{Input, SourceFile};

/// The definition of a table that the query reads, for a case in `folder`.
///
/// # Errors
/// [`Code::BadTest`] if nothing tells its columns, [`Code::BadFixture`] if its file cannot be one of the table.
pub(super) fn table(
    input: &Input,
    file: Option<&SourceFile>,
    known: &KnownColumns,
    folder: &str,
    location: String,
) -> Result<Table> {
    let known = known.get(&input.name);
    let (columns, format) = match (file, known) {
        (None, Some(known)) => (known.clone(), Format::Csv(CsvOptions::default())),
        (Some(file), Some(known)) => {
            let survey = survey(file)?;
            fits(&survey, known, &input.name.to_string())?;
            (known.clone(), survey.format)
        }
        (Some(file), None) => {
            let survey = survey(file)?;
            (inferred(file, &survey, input)?, survey.format)
        }
        (None, None) => {
            let message = format!("the case `{folder}` has no rows for `{}`, whose columns are not known", input.name);
            return Err(Error::new(Code::BadTest, message)
                .at(input.at.clone())
                .help(format!("add `{folder}/{}.csv`; a header alone is a table without rows", input.name)));
        }
    };
    Ok(Table {
        name: input.name.clone(),
        columns,
        partition_keys: Vec::new(),
        format,
        location,
        description: None,
        parameters: [].into(),
        version: None,
    })
}

/// Whether all columns of a file are columns of a table, and can be read from its format.
///
/// # Errors
/// [`Code::BadFixture`] at the name of the first that is not.
pub(super) fn fits(survey: &Survey, known: &[Column], table: &str) -> Result<()> {
    for (name, at) in &survey.columns {
        let Some(column) = known.iter().find(|column| column.name == *name) else {
            let names: Vec<&str> = known.iter().map(|column| column.name.as_str()).collect();
            let help = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its columns are `{}`", names.join("`, `")),
            };
            let error = Error::new(Code::BadFixture, format!("`{name}` is not a column of `{table}`"));
            return Err(error.at(at.clone()).help(help));
        };
        if is_nested(&column.hive_type) && matches!(survey.format, Format::Csv(_)) {
            let message = format!("CSV cannot hold the column `{name}`, which is of type {}", column.hive_type);
            return Err(Error::new(Code::BadFixture, message).at(at.clone()).help("write the rows as `.jsonl`"));
        }
    }
    Ok(())
}

/// The columns that a file's own values show.
fn inferred(file: &SourceFile, survey: &Survey, input: &Input) -> Result<Vec<Column>> {
    let in_file = |error: Error| Error { code: Code::BadFixture, ..error }.in_object(&file.path, None);
    let schema = match &survey.format {
        Format::Csv(options) => infer_csv(file.text.as_bytes(), true, options, &[]).map_err(in_file)?,
        _ => infer_json(file.text.as_bytes(), true, &Keys::default()),
    };
    if let Some(finding) = schema.findings.into_iter().next() {
        return Err(in_file(finding));
    }
    if schema.columns.is_empty() {
        let message = format!("the columns of `{}` are not known, and the file names none", input.name);
        return Err(in_file(Error::new(Code::BadFixture, message)).help("write a row, or the header of a `.csv`"));
    }
    let columns = schema.columns.into_iter().map(|(name, seen)| {
        let hive_type = seen.hive_type().map_err(in_file)?;
        Ok(Column { name, hive_type, comment: None })
    });
    columns.collect()
}
