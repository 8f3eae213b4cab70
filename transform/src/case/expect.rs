//! What a case expects: rows in the types of the result, or an error.

use std::collections::BTreeMap;

use super::fixture::fits;
use super::survey::{Survey, whole_line};
use crate::code::Code;
use crate::error::{Error, Location, Result};
use crate::hive::HiveType;
use crate::nearest::nearest;
use crate::span::location;
use crate::table::{Column, TableName};
use crate::transform::SourceFile;

/// Stem of the file that says what is expected.
pub(super) const EXPECT: &str = "expect";

/// An error that is expected.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    /// What its message must contain.
    pub(super) texts: Vec<String>,
    /// Where the case says so.
    pub(super) at: Location,
}

impl Refusal {
    /// Whether one of the errors is the expected one.
    pub(super) fn is_met(&self, errors: &[Error]) -> bool {
        let is_meant = |error: &Error| {
            error.code == self.code && self.texts.iter().all(|text| error.message.contains(text.as_str()))
        };
        errors.iter().any(is_meant)
    }

    /// That something else came.
    pub(super) fn unmet(&self, came: &str) -> Error {
        let texts: Vec<String> = self.texts.iter().map(|text| format!(" with the text `{text}`")).collect();
        let message = format!("the error `{}`{} is expected, but {came}", self.code, texts.join(" and"));
        Error::new(Code::TestFailed, message).at(self.at.clone()).help("correct the query, or what is expected")
    }
}

/// The content of `expect.error`: a code, and below it texts that the message must contain.
///
/// # Errors
/// [`Code::BadFixture`] at what is not a code.
pub(super) fn refusal(file: &SourceFile) -> Result<Refusal> {
    let mut lines = file.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((index, first)) = lines.next() else {
        return Err(Error::new(Code::BadFixture, "the file does not name an error")
            .at(whole_line(file, 1))
            .help("write the code of an error, such as `check-failed`; `unglue explain` lists all codes"));
    };
    let text = first.trim();
    let column = first.chars().take_while(|c| c.is_whitespace()).count() + 1;
    let at = location(file, index + 1, column, text.chars().count());
    let Some(code) = Code::parse(text) else {
        let help = match nearest(text, Code::ALL.iter().map(|code| code.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`unglue explain` lists all codes".to_owned(),
        };
        return Err(Error::new(Code::BadFixture, format!("`{text}` is not the code of an error")).at(at).help(help));
    };
    Ok(Refusal { code, texts: lines.map(|(_, line)| line.trim().to_owned()).collect(), at })
}

/// The columns of expected rows, in the order of their file and of the types of the result. All of the result's columns for a
/// file that names none.
///
/// # Errors
/// [`Code::BadFixture`] at a column that the result does not have, or at a value that no column of its type holds.
pub(super) fn columns(
    file: &SourceFile,
    survey: &Survey,
    target: &TableName,
    result: &[Column],
) -> Result<Vec<Column>> {
    fits(survey, result, &target.to_string())?;
    if survey.columns.is_empty() {
        return Ok(result.to_vec());
    }
    let types: BTreeMap<&str, &Column> = result.iter().map(|column| (column.name.as_str(), column)).collect();
    for record in &survey.records {
        for (name, value) in &record.values {
            let Some(column) = types.get(name.as_str()).filter(|column| is_lossy(value, &column.hive_type)) else {
                continue;
            };
            let message = format!("column `{name}`: no {} is `{value}`", column.hive_type);
            return Err(Error::new(Code::BadFixture, message)
                .at(whole_line(file, record.line))
                .help("write the value as the query gives it"));
        }
    }
    Ok(survey.columns.iter().filter_map(|(name, _)| types.get(name.as_str()).copied().cloned()).collect())
}

/// Whether a text says more than a value of the type can: the reader would drop it, and the row could seem to be met.
fn is_lossy(text: &str, hive_type: &HiveType) -> bool {
    match hive_type {
        HiveType::Decimal(_, scale) => text.contains(['e', 'E']) || digits_after_point(text) > usize::from(*scale),
        HiveType::Date => text.trim().len() > "2026-01-01".len(),
        HiveType::Timestamp => digits_after_point(text) > 6,
        _ => false,
    }
}

/// Digits behind the point, without zeros at the end.
fn digits_after_point(text: &str) -> usize {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
    fraction[..end].trim_end_matches('0').len()
}
