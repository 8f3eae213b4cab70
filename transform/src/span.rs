//! Places in a file of the project: from lines and columns, from the parser's spans, from byte ranges.

use std::ops::Range;

use datafusion::sql::sqlparser::tokenizer::Span;

use crate::error::Location;
use crate::transform::SourceFile;

/// The place `length` characters long at a 1-based line and column, drawn back into the file where it lies outside.
pub(crate) fn location(file: &SourceFile, line: usize, column: usize, length: usize) -> Location {
    let line = line.max(1);
    let text = file.text.split('\n').nth(line - 1).unwrap_or_default();
    let text = text.strip_suffix('\r').unwrap_or(text);
    let width = text.chars().count();
    let column = column.clamp(1, width.max(1));
    let length = length.min((width + 1).saturating_sub(column)).max(1);
    Location { file: file.path.clone(), line, column, length, text: text.to_owned() }
}

/// The place of a token or a piece of the syntax tree; of several lines it marks the first.
pub(crate) fn from_span(file: &SourceFile, span: Span) -> Location {
    let start = span.start;
    let length = match span.end.line.cmp(&start.line) {
        std::cmp::Ordering::Greater => usize::MAX,
        _ => number(span.end.column).saturating_sub(number(start.column)),
    };
    location(file, number(start.line), number(start.column), length)
}

/// The place of a range of bytes of the text; of several lines it marks the first.
pub(crate) fn from_bytes(file: &SourceFile, range: Range<usize>) -> Location {
    let before = file.text.get(..range.start).unwrap_or(&file.text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    let marked = file.text.get(range).unwrap_or_default();
    let length = marked.split('\n').next().map_or(1, |first| first.chars().count());
    location(file, line, column, length)
}

fn number(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: "sql/a/b.sql".to_owned(), text: text.into() }
    }

    #[test]
    fn a_place_never_passes_the_end_of_its_line() {
        let at = location(&file("ab\r\ncäd\r\n"), 2, 2, 99);
        assert_eq!((at.line, at.column, at.length, at.text.as_str()), (2, 2, 2, "cäd"));
        let at = location(&file("ab"), 1, 9, 3);
        assert_eq!((at.column, at.length), (2, 1));
        let at = location(&file(""), 1, 1, 1);
        assert_eq!((at.line, at.column, at.length, at.text.as_str()), (1, 1, 1, ""));
    }

    #[test]
    fn bytes_become_characters() {
        let at = from_bytes(&file("x = 1\näöü = 'b'\n"), 15..18);
        assert_eq!((at.line, at.column, at.length), (2, 7, 3));
    }
}
