//! What the fields of a CSV object are: named by its header, or the table's columns in their order.

use super::records::{Cut, Symbols};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::CsvOptions;
use crate::table::Column;

/// Takes the records at the start of an object, until it is known what their fields are.
#[derive(Debug)]
pub(crate) struct Heading<'a> {
    options: &'a CsvOptions,
    columns: &'a [Column],
    /// Lines of the header that were taken.
    taken: u32,
}

/// What a record is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Part of the header, or nothing.
    Passed,
    /// The names of the fields of all records that follow.
    Names(Vec<String>),
    /// The first row, with the names of its fields.
    Row(Vec<String>),
}

impl<'a> Heading<'a> {
    pub(crate) fn new(options: &'a CsvOptions, columns: &'a [Column]) -> Self {
        Self { options, columns, taken: 0 }
    }

    /// The same after some lines of the header.
    pub(crate) fn again(options: &'a CsvOptions, columns: &'a [Column], lines: u32) -> Self {
        Self { options, columns, taken: lines }
    }

    /// Lines of the header that were taken.
    pub(crate) fn lines(&self) -> u32 {
        self.taken
    }

    /// # Errors
    /// [`Code::BadObject`] if the record is not UTF-8.
    pub(crate) fn take(&mut self, record: &[u8]) -> Result<Head> {
        let record = record.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(record);
        let is_blank = record.trim_ascii().is_empty();
        let is_comment =
            self.options.comment.is_some_and(|comment| record.first() == u8::try_from(comment).ok().as_ref());
        let is_last = self.taken + 1 >= self.options.header_lines;
        if self.taken < self.options.header_lines && !(self.options.has_names() && is_last) {
            self.taken += 1;
            return Ok(Head::Passed);
        }
        if is_blank || is_comment {
            return Ok(Head::Passed);
        }
        let Some(fields) = csv_fields(record, self.options) else {
            return Err(Error::new(Code::BadObject, "the first record is not UTF-8 text")
                .help("save the object as UTF-8 and upload it again"));
        };
        if self.options.has_names() {
            return Ok(Head::Names(fields.iter().map(|name| name.trim().to_lowercase()).collect()));
        }
        let names = self.columns.iter().map(|column| column.name.clone());
        let beyond = (self.columns.len()..fields.len()).map(unnamed);
        Ok(Head::Row(names.chain(beyond).take(fields.len()).collect()))
    }
}

/// The name of a field, counted from 0, that nothing names; Glue's crawler calls it so as well.
pub(crate) fn unnamed(index: usize) -> String {
    format!("col{index}")
}

/// One of the symbols that the CSV decoder takes.
///
/// # Errors
/// [`Code::NotSupported`] for a character that is not ASCII.
pub(crate) fn byte(symbol: char) -> Result<u8> {
    u8::try_from(symbol).ok().filter(u8::is_ascii).ok_or_else(|| {
        Error::new(Code::NotSupported, format!("`{symbol}` cannot delimit or quote fields"))
            .help("use an ASCII character")
    })
}

/// The symbols that cut a CSV object into records. Text without quotes has them by the time it is cut.
///
/// # Errors
/// As [`byte`].
pub(crate) fn symbols(options: &CsvOptions) -> Result<Symbols> {
    Ok(Symbols {
        delimiter: byte(options.delimiter)?,
        quote: byte(options.quote.unwrap_or('"'))?,
        escape: options.quote.and(options.escape).map(byte).transpose()?,
        comment: options.comment.map(byte).transpose()?,
    })
}

/// How a CSV object is cut.
///
/// # Errors
/// As [`byte`].
pub(crate) fn cut(options: &CsvOptions) -> Result<Cut> {
    symbols(options).map(Cut::Csv)
}

/// The fields of one CSV record; `None` for a blank line or bytes that are not UTF-8.
pub(crate) fn csv_fields(record: &[u8], options: &CsvOptions) -> Option<Vec<String>> {
    let mut reader = reader(options).ok()?.from_reader(record);
    let fields = reader.records().next()?.ok()?;
    Some(fields.iter().map(str::to_owned).collect())
}

/// A reader of the records of a text, without knowledge of a header.
///
/// # Errors
/// As [`byte`].
pub(crate) fn reader(options: &CsvOptions) -> Result<csv::ReaderBuilder> {
    let symbols = symbols(options)?;
    let mut reader = csv::ReaderBuilder::new();
    reader
        .has_headers(false)
        .flexible(true)
        .delimiter(symbols.delimiter)
        .quote(symbols.quote)
        .escape(symbols.escape)
        .comment(symbols.comment);
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(options: &CsvOptions, text: &str) -> Vec<Head> {
        let columns: Vec<Column> = ["a", "b"]
            .map(|name| Column { name: name.to_owned(), hive_type: crate::hive::HiveType::Int, comment: None })
            .into();
        let mut heading = Heading::new(options, &columns);
        let mut heads = Vec::new();
        for record in text.split_inclusive('\n') {
            heads.push(heading.take(record.as_bytes()).unwrap());
            if heads.last() != Some(&Head::Passed) {
                break;
            }
        }
        heads
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn fields_are_named_by_the_header_or_by_the_table() {
        let named = CsvOptions::default();
        assert_eq!(heads(&named, "\n \nX, y\n"), [Head::Passed, Head::Passed, Head::Names(names(&["x", "y"]))]);
        let later = CsvOptions { header_lines: 3, comment: Some('#'), ..named.clone() };
        let passed = || Head::Passed;
        assert_eq!(
            heads(&later, "Report\n\n# c\nx,y\n"),
            [passed(), passed(), passed(), Head::Names(names(&["x", "y"]))],
            "a comment is no line of the header's end"
        );
        let none = CsvOptions { header_lines: 0, ..named.clone() };
        assert_eq!(heads(&none, "1\n"), [Head::Row(names(&["a"]))], "fields that are missing are NULL");
        assert_eq!(heads(&none, "1,2,3,4\n"), [Head::Row(names(&["a", "b", "col2", "col3"]))]);
        let by_position = CsvOptions { by_position: true, ..named };
        assert_eq!(heads(&by_position, "x,y\n1,2\n"), [passed(), Head::Row(names(&["a", "b"]))]);
    }
}
