//! Schema inference of CSV: the header names the columns, the values type them.

use ::csv::{ByteRecord, ReaderBuilder};

use super::text::shape_of_text;
use super::{Schema, Seen, Shape};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::table::CsvOptions;

/// Delimiters that are looked for, in order of preference.
const DELIMITERS: [char; 4] = [',', '\t', ';', '|'];

/// Records that are looked at to find the delimiter.
const DETECTION_RECORDS: usize = 100;

/// The delimiter with which most records have as many fields as the header; `None` if none divides the header.
///
/// `complete` is whether the sample ends where the object does.
pub(crate) fn detect_delimiter(sample: &[u8], complete: bool) -> Option<char> {
    let mut best = None;
    for delimiter in DELIMITERS {
        let options = CsvOptions { delimiter, ..CsvOptions::default() };
        let Ok(records) = records(sample, complete, &options, DETECTION_RECORDS) else { continue };
        let Some((header, data)) = records.split_first() else { continue };
        let consistent = data.iter().filter(|record| record.len() == header.len()).count();
        if header.len() < 2 || consistent * 2 < data.len() {
            continue;
        }
        let score = (consistent * DETECTION_RECORDS / data.len().max(1), header.len());
        if best.is_none_or(|(best_score, _)| score > best_score) {
            best = Some((score, delimiter));
        }
    }
    best.map(|(_, delimiter)| delimiter)
}

/// The columns of a CSV object. Records with another number of fields than the header are left to the reader to refuse.
///
/// # Errors
/// [`Code::ColumnMismatch`] for a header with blank or repeated names, [`Code::BadObject`] for text that is not UTF-8 or a
/// header longer than the sample.
pub(crate) fn infer_csv(sample: &[u8], complete: bool, options: &CsvOptions) -> Result<Schema> {
    let records = records(sample, complete, options, usize::MAX)?;
    let Some((header, data)) = records.split_first() else {
        if complete {
            return Ok(Schema::default());
        }
        return Err(
            Error::new(Code::BadObject, "the header line is too long").help("check the quotes of the first line")
        );
    };
    let names = column_names(header)?;
    let mut shapes = vec![Shape::Undecided; names.len()];
    for record in data.iter().filter(|record| record.len() == names.len()) {
        for (shape, field) in shapes.iter_mut().zip(record) {
            *shape = std::mem::take(shape).join(shape_of_text(utf8(field, record)?));
        }
    }
    let columns = names.into_iter().zip(shapes.into_iter().map(Seen::Values)).collect();
    Ok(Schema { columns, has_rows: !data.is_empty(), ..Schema::default() })
}

/// The records of a sample, without the last one of an incomplete sample: it may be cut.
fn records(sample: &[u8], complete: bool, options: &CsvOptions, limit: usize) -> Result<Vec<ByteRecord>> {
    let symbol = |symbol: char| {
        u8::try_from(symbol).ok().filter(u8::is_ascii).ok_or_else(|| {
            Error::new(Code::NotSupported, format!("`{symbol}` cannot delimit or quote fields"))
                .help("use an ASCII character")
        })
    };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(symbol(options.delimiter)?)
        .quote(symbol(options.quote)?)
        .from_reader(sample.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(sample));
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

fn column_names(header: &ByteRecord) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for (index, field) in header.iter().enumerate() {
        let name = utf8(field, header)?.trim().to_lowercase();
        let wrong = if name.is_empty() {
            format!("column {} of the header has no name", index + 1)
        } else if names.contains(&name) {
            format!("the header has two columns `{name}`")
        } else {
            names.push(name);
            continue;
        };
        return Err(Error::new(Code::ColumnMismatch, wrong)
            .help("the first line of the object must name every column, each by another name"));
    }
    Ok(names)
}

fn utf8<'a>(field: &'a [u8], record: &ByteRecord) -> Result<&'a str> {
    std::str::from_utf8(field).map_err(|error| {
        let line = record.position().map(::csv::Position::line);
        let place = line.map(|line| format!(" at line {line}")).unwrap_or_default();
        Error::new(Code::BadObject, format!("the text is not UTF-8{place}"))
            .because(error)
            .help("save the object as UTF-8 and upload it again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str, delimiter: char) -> Vec<(String, String)> {
        let options = CsvOptions { delimiter, ..CsvOptions::default() };
        let schema = infer_csv(text.as_bytes(), true, &options).unwrap();
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
        let rows = |text: &str| infer_csv(text.as_bytes(), true, &CsvOptions::default()).unwrap().has_rows;
        assert!(rows("a,b\n1,2"));
        assert!(!rows("a,b\n"));
        assert!(!rows(""));
        assert!(!rows("\n\n"));
        assert_eq!(schema("a,b", ','), expected(&[("a", "string"), ("b", "string")]));
    }

    #[test]
    fn the_cut_record_of_an_incomplete_sample_is_not_looked_at() {
        let text = b"a,b\n1,2\n3,45\n2026-1";
        let schema = infer_csv(text, false, &CsvOptions::default()).unwrap();
        assert_eq!(schema.columns[0].1, Seen::Values(Shape::BigInt));
        // Cut within quotes: the newline is no end of a record.
        let schema = infer_csv(b"a,b\n1,\"x\n2,\"", false, &CsvOptions::default()).unwrap();
        assert!(!schema.has_rows);
        // Cut within a character.
        let schema = infer_csv(b"a,b\n1,2\n3,\xC3", false, &CsvOptions::default()).unwrap();
        assert!(schema.has_rows);
        let error = infer_csv(b"a,b", false, &CsvOptions::default()).unwrap_err();
        assert_eq!(error.code, Code::BadObject);
    }

    #[test]
    fn headers_that_name_no_columns() {
        for text in ["a,,b\n1,2,3", "a,b,\n1,2,3", "a,A\n1,2", "a, a \n1,2", "\" \"\n1"] {
            let error = infer_csv(text.as_bytes(), true, &CsvOptions::default()).expect_err(text);
            assert_eq!(error.code, Code::ColumnMismatch, "{text}");
        }
        let error = infer_csv(b"a,b\n1,caf\xE9\n", true, &CsvOptions::default()).unwrap_err();
        assert_eq!(error.code, Code::BadObject);
        assert!(error.message.contains("line 2"), "{error}");
        let options = CsvOptions { delimiter: '§', quote: '"' };
        assert_eq!(infer_csv(b"a", true, &options).unwrap_err().code, Code::NotSupported);
    }

    #[test]
    fn delimiters() {
        let detect = |text: &str| detect_delimiter(text.as_bytes(), true);
        assert_eq!(detect("a,b\n1,2\n"), Some(','));
        assert_eq!(detect("a\tb\n1,5\t2,5\n"), Some('\t'));
        assert_eq!(detect("a;b\n1,5;2,5\n3,5;4,5\n"), Some(';'));
        assert_eq!(detect("a|b|c\nx,y|z|\n"), Some('|'));
        assert_eq!(detect("name,note\nx,\"a;b;c\"\ny,d;e\n"), Some(','));
        assert_eq!(detect("last, first;age\na, b;1\nc;2\nd;3\n"), Some(';'), "the comma divides some records only");
        assert_eq!(detect("a;b"), Some(';'));
        assert_eq!(detect("single\n1\n2\n"), None);
        assert_eq!(detect("single\n1,5\n2,5\n"), None);
        assert_eq!(detect(""), None);
    }
}
