//! Schema inference of CSV: the header names the columns, the values type them.

use std::borrow::Cow;

use ::csv::ByteRecord;

use super::text::shape_of_text;
use super::{Schema, Seen, Shape};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::CsvOptions;
use crate::source::{Head, Heading, Quoting, Splitter, csv_fields, csv_reader, cut};
use crate::table::Column;

/// The columns of a CSV object; `columns` are those of its table, which name the fields where there is no header. Records with
/// another number of fields than the first are left to the reader to refuse.
///
/// # Errors
/// [`Code::ColumnMismatch`] for a header with blank or repeated names, [`Code::BadObject`] for text that is not UTF-8 or a
/// header longer than the sample.
pub(crate) fn infer_csv(sample: &[u8], complete: bool, options: &CsvOptions, columns: &[Column]) -> Result<Schema> {
    let Some(Rows { names, written, records: data, lines_before }) = rows(sample, complete, options, columns)? else {
        if complete {
            return Ok(Schema::default());
        }
        return Err(
            Error::new(Code::BadObject, "the header line is too long").help("check the quotes of the first line")
        );
    };
    if options.has_names() {
        check_names(&names)?;
    }
    let mut shapes = vec![Shape::Undecided; names.len()];
    for record in data.iter().filter(|record| record.len() == names.len()) {
        for (shape, field) in shapes.iter_mut().zip(record) {
            let text = utf8(field, record, lines_before)?;
            if options.null.as_deref() != Some(text) {
                *shape = std::mem::take(shape).join(shape_of_text(text));
            }
        }
    }
    let mut schema = Schema { has_rows: !data.is_empty(), ..Schema::default() };
    names.iter().zip(&written).for_each(|(name, written)| schema.spell(name, written));
    schema.columns = names.into_iter().zip(shapes.into_iter().map(Seen::Values)).collect();
    Ok(schema)
}

/// The rows of a sample.
pub(super) struct Rows {
    /// The names of their fields.
    pub(super) names: Vec<String>,
    /// The same as the header writes them, if there is one.
    written: Vec<String>,
    pub(super) records: Vec<ByteRecord>,
    /// Lines before the first of them.
    lines_before: u64,
}

/// The rows of a sample; `None` if it ends before them.
pub(super) fn rows(sample: &[u8], complete: bool, options: &CsvOptions, columns: &[Column]) -> Result<Option<Rows>> {
    let text = with_quotes(sample, complete, options)?;
    let Some(Heads { names, written, rows }) = heading(&text, complete, options, columns)? else { return Ok(None) };
    let lines_before = text[..text.len() - rows.len()].iter().filter(|byte| **byte == b'\n').count() as u64;
    Ok(Some(Rows { names, written, records: records(rows, complete, options, usize::MAX)?, lines_before }))
}

/// The text as it is, or with quotes where there are none.
fn with_quotes<'a>(sample: &'a [u8], complete: bool, options: &CsvOptions) -> Result<Cow<'a, [u8]>> {
    if options.quote.is_some() {
        return Ok(Cow::Borrowed(sample));
    }
    let mut quoting = Quoting::new(options)?;
    let mut text = quoting.quote(sample).to_vec();
    if complete {
        text.extend(quoting.finish());
    }
    Ok(Cow::Owned(text))
}

/// What the start of a text says.
struct Heads<'a> {
    /// The names of the fields.
    names: Vec<String>,
    /// The same as a header writes them.
    written: Vec<String>,
    /// The text of the rows.
    rows: &'a [u8],
}

fn heading<'a>(text: &'a [u8], complete: bool, options: &CsvOptions, columns: &[Column]) -> Result<Option<Heads<'a>>> {
    let mut heading = Heading::new(options, columns);
    let mut splitter = Splitter::new(cut(options)?);
    let (mut begin, mut end) = (0, 0);
    while end < text.len() {
        let (taken, record) = splitter.take(&text[end..]);
        end += taken;
        let record = match record {
            Some((_, record)) => record,
            None if complete && !splitter.in_quotes() => text[begin..end].to_vec(),
            None => break,
        };
        match heading.take(&record)? {
            Head::Passed => begin = end,
            Head::Names(names) => {
                let written = csv_fields(record.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&record), options);
                let written = written.unwrap_or_default().iter().map(|name| name.trim().to_owned()).collect();
                return Ok(Some(Heads { names, written, rows: &text[end..] }));
            }
            Head::Row(names) => return Ok(Some(Heads { names, written: Vec::new(), rows: &text[begin..] })),
        }
    }
    Ok(None)
}

/// The records of a sample, without the last one of an incomplete sample: it may be cut.
pub(super) fn records(sample: &[u8], complete: bool, options: &CsvOptions, limit: usize) -> Result<Vec<ByteRecord>> {
    let mut reader = csv_reader(options)?.from_reader(sample.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(sample));
    let mut records = Vec::new();
    let mut rest = reader.byte_records();
    while records.len() < limit {
        match rest.next() {
            Some(Ok(record)) => records.push(record),
            Some(Err(error)) => {
                return Err(Error::new(Code::BadObject, "the object cannot be read as CSV").because(error));
            }
            None => {
                if !complete {
                    records.pop();
                }
                break;
            }
        }
    }
    Ok(records)
}

fn check_names(names: &[String]) -> Result<()> {
    for (index, name) in names.iter().enumerate() {
        let wrong = if name.is_empty() {
            format!("column {} of the header has no name", index + 1)
        } else if names[..index].contains(name) {
            format!("the header has two columns `{name}`")
        } else {
            continue;
        };
        return Err(Error::new(Code::ColumnMismatch, wrong)
            .help("the header of the object must name every column, each by another name"));
    }
    Ok(())
}

fn utf8<'a>(field: &'a [u8], record: &ByteRecord, lines_before: u64) -> Result<&'a str> {
    std::str::from_utf8(field).map_err(|error| {
        let line = record.position().map(|position| position.line() + lines_before);
        let place = line.map(|line| format!(" at line {line}")).unwrap_or_default();
        Error::new(Code::BadObject, format!("the text is not UTF-8{place}"))
            .because(error)
            .help("save the object as UTF-8 and upload it again, or declare its encoding in the catalog: `serialization.encoding`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str, delimiter: char) -> Vec<(String, String)> {
        let options = CsvOptions { delimiter, ..CsvOptions::default() };
        let schema = infer_csv(text.as_bytes(), true, &options, &[]).unwrap();
        schema.columns.into_iter().map(|(name, seen)| (name, seen.hive_type().unwrap().to_string())).collect()
    }

    fn expected(columns: &[(&str, &str)]) -> Vec<(String, String)> {
        columns.iter().map(|(name, hive_type)| ((*name).to_owned(), (*hive_type).to_owned())).collect()
    }

    #[test]
    fn values_type_the_columns() {
        let text = "\u{feff}ID, Amount ,at,day,ok,code,none,mixed\r\n\
                    1,2,2026-11-22 10:00:00,2026-11-22,true,007,,1\r\n\
                    ,2.5,2026-11-22,2026-11-23,FALSE,7,,x\r\n";
        assert_eq!(
            schema(text, ','),
            expected(&[
                ("id", "bigint"),
                ("amount", "double"),
                ("at", "timestamp"),
                ("day", "date"),
                ("ok", "boolean"),
                ("code", "string"),
                ("none", "string"),
                ("mixed", "string"),
            ])
        );
    }

    #[test]
    fn quotes_blank_lines_and_ragged_records() {
        let text = "a;b\n\n\"1\";\"two\nlines; \"\"quoted\"\"\"\n2\n3;x;y\n";
        assert_eq!(schema(text, ';'), expected(&[("a", "bigint"), ("b", "string")]));
        assert_eq!(
            schema("größe,a b.c\n1,2", ','),
            expected(&[("größe", "bigint"), ("a b.c", "bigint")]),
            "names are kept"
        );
    }

    #[test]
    fn rows_or_none() {
        let rows = |text: &str| infer_csv(text.as_bytes(), true, &CsvOptions::default(), &[]).unwrap().has_rows;
        assert!(rows("a,b\n1,2"));
        assert!(!rows("a,b\n"));
        assert!(!rows(""));
        assert!(!rows("\n\n"));
        assert_eq!(schema("a,b", ','), expected(&[("a", "string"), ("b", "string")]));
    }

    #[test]
    fn the_cut_record_of_an_incomplete_sample_is_not_looked_at() {
        let text = b"a,b\n1,2\n3,45\n2026-1";
        let schema = infer_csv(text, false, &CsvOptions::default(), &[]).unwrap();
        assert_eq!(schema.columns[0].1, Seen::Values(Shape::BigInt));
        // Cut within quotes: the newline is no end of a record.
        let schema = infer_csv(b"a,b\n1,\"x\n2,\"", false, &CsvOptions::default(), &[]).unwrap();
        assert!(!schema.has_rows);
        // Cut within a character.
        let schema = infer_csv(b"a,b\n1,2\n3,\xC3", false, &CsvOptions::default(), &[]).unwrap();
        assert!(schema.has_rows);
        let error = infer_csv(b"a,b", false, &CsvOptions::default(), &[]).unwrap_err();
        assert_eq!(error.code, Code::BadObject);
    }

    #[test]
    fn headers_that_name_no_columns() {
        for text in ["a,,b\n1,2,3", "a,b,\n1,2,3", "a,A\n1,2", "a, a \n1,2", "\" \"\n1"] {
            let error = infer_csv(text.as_bytes(), true, &CsvOptions::default(), &[]).expect_err(text);
            assert_eq!(error.code, Code::ColumnMismatch, "{text}");
        }
        let error = infer_csv(b"a,b\n1,caf\xE9\n", true, &CsvOptions::default(), &[]).unwrap_err();
        assert_eq!(error.code, Code::BadObject);
        assert!(error.message.contains("line 2"), "{error}");
        let options = CsvOptions { delimiter: '§', ..CsvOptions::default() };
        assert_eq!(infer_csv(b"a", true, &options, &[]).unwrap_err().code, Code::NotSupported);
    }

    #[test]
    fn without_a_header_the_table_names_the_fields() {
        let columns = [Column { name: "x".to_owned(), hive_type: crate::hive::HiveType::Int, comment: None }];
        let options = CsvOptions { header_lines: 0, null: Some("\\N".to_owned()), ..CsvOptions::default() };
        let names = |columns: &[Column]| {
            let schema = infer_csv(b"1,\\N\n2,3.5\n", true, &options, columns).unwrap();
            schema
                .columns
                .into_iter()
                .map(|(name, seen)| format!("{name}:{}", seen.hive_type().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&columns), ["x:bigint", "col1:double"]);
        assert_eq!(names(&[]), ["col0:bigint", "col1:double"]);
        let unquoted = CsvOptions { quote: None, escape: Some('\\'), ..CsvOptions::default() };
        let schema = infer_csv(b"a,b\n5\" x,1\\,5\nb,2", true, &unquoted, &[]).unwrap();
        assert_eq!(schema.columns[1].1, Seen::Values(Shape::String));
        let cut = infer_csv(b"a,b\nx,1\nb,2x", false, &unquoted, &[]).unwrap();
        assert_eq!(cut.columns[1].1, Seen::Values(Shape::BigInt));
    }
}
