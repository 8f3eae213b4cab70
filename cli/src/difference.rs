//! How the rows that a query gave differ from those that a test expects, as lines of text.

use transform::{Difference, RowDifference};

use handlers::words::count;

/// Rows that are shown; the rest is counted.
const SHOWN: usize = 20;
/// Characters of a value that agrees; one that differs is shown whole.
const WIDTH: usize = 40;

/// How many rows differ.
pub(crate) fn summary(difference: &Difference) -> String {
    let both = |row: &&RowDifference| row.expected.is_some() && row.found.is_some();
    let differ = difference.rows.iter().filter(both).count();
    let missing = difference.rows.iter().filter(|row| row.found.is_none()).count();
    let unexpected = difference.rows.iter().filter(|row| row.expected.is_none()).count();
    let mut parts = Vec::new();
    for (number, what) in [(differ, "different"), (missing, "missing"), (unexpected, "unexpected")] {
        if number > 0 {
            parts.push(format!("{} {what}", count(number as u64, "row")));
        }
    }
    parts.join(", ")
}

/// The rows that differ as a table with the columns' names, each with its place in the file of expected rows.
pub(crate) fn lines(difference: &Difference) -> Vec<String> {
    let rows = &difference.rows[..difference.rows.len().min(SHOWN)];
    let mut table: Vec<Line> = vec![Line::Row("", difference.columns.clone())];
    for row in rows {
        table.push(Line::Text(match &row.at {
            Some(at) => format!("--> {}:{}", at.file, at.line),
            None => "--> expected by no line".to_owned(),
        }));
        let is_different = |column: &String| row.differing.contains(column);
        let different: Vec<bool> = difference.columns.iter().map(is_different).collect();
        let cells = |values: &[Option<String>]| {
            values.iter().zip(&different).map(|(value, whole)| cell(value.as_deref(), *whole)).collect()
        };
        if let Some(expected) = &row.expected {
            table.push(Line::Row(if row.found.is_some() { "expected" } else { "missing" }, cells(expected)));
        }
        if let Some(found) = &row.found {
            table.push(Line::Row(if row.expected.is_some() { "found" } else { "unexpected" }, cells(found)));
        }
        if !row.differing.is_empty() {
            table.push(Line::Marks(different));
        }
    }
    let left = difference.rows.len() - rows.len();
    if left > 0 {
        table.push(Line::Text(format!("and {} more", count(left as u64, "row"))));
    }
    aligned(&table, difference.columns.len())
}

enum Line {
    Text(String),
    /// A label and a cell for each column.
    Row(&'static str, Vec<String>),
    /// Marks below the columns that differ.
    Marks(Vec<bool>),
}

fn aligned(table: &[Line], columns: usize) -> Vec<String> {
    let mut widths = vec![0; columns];
    for line in table {
        if let Line::Row(_, cells) = line {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
    }
    let row = |label: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("     {label:<10}  {}", cells.join("  ")).trim_end().to_owned()
    };
    let text = |line: &Line| match line {
        Line::Text(text) => format!("     {text}"),
        Line::Row(label, cells) => row(label, cells),
        Line::Marks(marks) => {
            let mark =
                |(is_different, width): (&bool, &usize)| if *is_different { "^".repeat(*width) } else { String::new() };
            row("", &marks.iter().zip(&widths).map(mark).collect::<Vec<_>>())
        }
    };
    table.iter().map(text).collect()
}

/// A value on one line. Text that could be taken for something else stands in quotes.
fn cell(value: Option<&str>, whole: bool) -> String {
    let Some(value) = value else { return "NULL".to_owned() };
    let mut text: String =
        value.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
    if !whole && text.chars().count() > WIDTH {
        text = text.chars().take(WIDTH - 1).chain(['…']).collect();
    }
    if text.is_empty() || text == "NULL" || text != text.trim() { format!("'{text}'") } else { text }
}
