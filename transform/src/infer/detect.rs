//! How a CSV object is written: what divides and quotes its fields, and whether it has a header.

use super::Shape;
use super::csv::records;
use super::text::shape_of_text;
use crate::format::CsvOptions;

/// Delimiters that are looked for, in order of preference.
const DELIMITERS: [char; 5] = [',', '\t', ';', '|', '\u{1}'];

/// Records that are looked at.
const RECORDS: usize = 100;

/// How an object looks to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detected {
    /// Delimiter, quote, escape and comment.
    pub(crate) options: CsvOptions,
    /// Whether the first record is a header; `None` if it may be either.
    pub(crate) header: Option<bool>,
}

/// How a text is written, if most of its records have as many fields as the first; `None` if nothing divides that.
///
/// `complete` is whether the sample ends where the object does.
pub(crate) fn detect_csv(sample: &[u8], complete: bool) -> Option<Detected> {
    let mut best: Option<((usize, usize), CsvOptions)> = None;
    for options in candidates(sample) {
        let Ok(records) = records(sample, complete, &options, RECORDS) else { continue };
        let Some((first, rest)) = records.split_first() else { continue };
        let consistent = rest.iter().filter(|record| record.len() == first.len()).count();
        if first.len() < 2 || consistent * 2 < rest.len() {
            continue;
        }
        let score = (consistent * RECORDS / rest.len().max(1), first.len());
        if best.as_ref().is_none_or(|(best, _)| score > *best) {
            best = Some((score, options));
        }
    }
    let (_, options) = best?;
    Some(Detected { header: has_header(sample, complete, &options), options })
}

/// Whether the first record is a header: none of its fields is a number, a date or the like, and some of those below are. `None`
/// if all are texts.
pub(crate) fn has_header(sample: &[u8], complete: bool, options: &CsvOptions) -> Option<bool> {
    let records = records(sample, complete, options, RECORDS).ok()?;
    let (first, rest) = records.split_first()?;
    if first.iter().any(is_typed) {
        return Some(false);
    }
    let is_typed_below = |index: usize| {
        let fields: Vec<&[u8]> =
            rest.iter().filter_map(|record| record.get(index)).filter(|field| !field.is_empty()).collect();
        !fields.is_empty() && fields.into_iter().all(is_typed)
    };
    if (0..first.len()).any(is_typed_below) {
        return Some(true);
    }
    // No header has a name twice, or none.
    let is_odd = |(index, field): (usize, &[u8])| {
        field.trim_ascii().is_empty() || first.iter().take(index).any(|other| other == field)
    };
    (!rest.is_empty() && first.len() > 1 && first.iter().enumerate().any(is_odd)).then_some(false)
}

fn is_typed(field: &[u8]) -> bool {
    let shape = std::str::from_utf8(field).map_or(Shape::String, |text| shape_of_text(text.trim()));
    !matches!(shape, Shape::String | Shape::Undecided)
}

/// The ways to write that come into question, the usual ones first.
fn candidates(sample: &[u8]) -> Vec<CsvOptions> {
    let text = sample.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(sample);
    let comment = is_commented(text).then_some('#');
    let quote = if is_in_single_quotes(text) { '\'' } else { '"' };
    let mut candidates = Vec::new();
    for escape in [None, Some('\\')] {
        let escaped_quote = [b'\\', quote as u8];
        if escape.is_some() && !text.windows(2).any(|two| two == escaped_quote) {
            break;
        }
        for delimiter in DELIMITERS {
            candidates.push(CsvOptions { delimiter, quote: Some(quote), escape, comment, ..CsvOptions::default() });
        }
    }
    candidates
}

/// Whether the first line is a remark: it begins with `#`, and what follows does not look like the rows of such a header.
fn is_commented(text: &[u8]) -> bool {
    if !text.starts_with(b"#") {
        return false;
    }
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty());
    let count = |line: &[u8]| DELIMITERS.map(|delimiter| line.iter().filter(|byte| **byte == delimiter as u8).count());
    let first = lines.next().map(count);
    match lines.find(|line| !line.starts_with(b"#")).map(count) {
        Some(next) => first != Some(next),
        None => false,
    }
}

/// Whether the fields are in single quotes: most of those of the first lines, and none in double ones.
fn is_in_single_quotes(text: &[u8]) -> bool {
    let fields = || {
        let lines = text.split(|byte| *byte == b'\n').take(RECORDS);
        let is_delimiter = |byte: &u8| DELIMITERS.iter().any(|delimiter| *byte == *delimiter as u8);
        lines.flat_map(move |line| line.split(is_delimiter)).map(<[u8]>::trim_ascii).filter(|field| !field.is_empty())
    };
    let single = fields().filter(|field| field.len() > 1 && field.starts_with(b"'") && field.ends_with(b"'")).count();
    single * 2 > fields().count() && !fields().any(|field| field.starts_with(b"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter(text: &str) -> Option<char> {
        detect_csv(text.as_bytes(), true).map(|detected| detected.options.delimiter)
    }

    #[test]
    fn delimiters() {
        assert_eq!(delimiter("a,b\n1,2\n"), Some(','));
        assert_eq!(delimiter("a\tb\n1,5\t2,5\n"), Some('\t'));
        assert_eq!(delimiter("a;b\n1,5;2,5\n3,5;4,5\n"), Some(';'));
        assert_eq!(delimiter("a|b|c\nx,y|z|\n"), Some('|'));
        assert_eq!(delimiter("a\u{1}b\n1\u{1}2\n"), Some('\u{1}'));
        assert_eq!(delimiter("name,note\nx,\"a;b;c\"\ny,d;e\n"), Some(','));
        assert_eq!(delimiter("last, first;age\na, b;1\nc;2\nd;3\n"), Some(';'), "the comma divides some records only");
        assert_eq!(delimiter("a;b"), Some(';'));
        assert_eq!(delimiter("single\n1\n2\n"), None);
        assert_eq!(delimiter("single\n1,5\n2,5\n"), None);
        assert_eq!(delimiter(""), None);
    }

    #[test]
    fn quotes_escapes_and_remarks() {
        let options = |text: &str| detect_csv(text.as_bytes(), true).expect(text).options;
        assert_eq!(options("'a','b'\n'x','it,s'\n").quote, Some('\''));
        assert_eq!(options("a,b\n\"it's\",'x'\n").quote, Some('"'));
        assert_eq!(options("a,b\n1,\"say \\\"hi, you\\\"\"\n").escape, Some('\\'));
        assert_eq!(options("a,b\n1,\"C:\\dir\\\"\n").escape, None, "the closing quote after a backslash");
        assert_eq!(options("# made by x, on 2026-11-22, with love\na,b\n1,2\n").comment, Some('#'));
        assert_eq!(options("#id,name\n1,x\n").comment, None);
    }

    #[test]
    fn headers() {
        let header = |text: &str| detect_csv(text.as_bytes(), true).expect(text).header;
        assert_eq!(header("id,name\n1,x\n"), Some(true));
        assert_eq!(header("1,x\n2,y\n"), Some(false));
        assert_eq!(header("1,x"), Some(false));
        assert_eq!(header("x,2026-11-22\ny,2026-11-23\n"), Some(false));
        assert_eq!(header("first,last\nAda,Lovelace\n"), None, "all are texts");
        assert_eq!(header("Ada,\nGrace,Hopper\n"), Some(false), "no header has a blank name");
        assert_eq!(header("x,x\ny,z\n"), Some(false));
        assert_eq!(header("a,,b\n1,2,3\n"), Some(true), "a bad one");
        assert_eq!(header("a,b\n"), None);
        assert_eq!(header("a,b\n,\nx,1\n"), Some(true));
        assert_eq!(header("a,b\nx,1\ny,n/a\n"), None, "not every value below is a number");
    }
}
