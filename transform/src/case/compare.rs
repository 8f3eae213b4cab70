//! Expected and found rows, compared as multisets: in any order, each as often as it comes.

use arrow::array::RecordBatch;
use serde::Serialize;

use super::value::{equal, text};

/// Pairs of rows that are looked at to see which differ by a little only.
const MOST_PAIRS: usize = 250_000;

/// How the rows that a query gave differ from those that are expected.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The columns that were compared, in the order of the expected rows.
    pub columns: Vec<String>,
    /// Number of rows that are expected.
    pub expected: usize,
    /// Number of rows that the query gave.
    pub found: usize,
    /// The rows that differ: first those that are expected, in the order of their file, then those that nobody expects.
    pub rows: Vec<RowDifference>,
}

/// A row that is expected and not there, there and not expected, or both: two rows that agree in most columns.
#[derive(Debug, Serialize)]
pub struct RowDifference {
    /// Where the expected row stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<ExpectedAt>,
    /// The values of the row that is expected; `None` inside is NULL.
    pub expected: Option<Vec<Option<String>>>,
    /// The values of the row that the query gave.
    pub found: Option<Vec<Option<String>>>,
    /// The columns that differ, if there are both.
    pub differing: Vec<String>,
}

/// A line of a file with expected rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpectedAt {
    /// The file, as the user knows it.
    pub file: String,
    /// 1-based line.
    pub line: usize,
}

/// Compares rows of the same columns; `places` are those of the expected ones. `None` if they are the same.
pub(super) fn compare(expected: &RecordBatch, found: &RecordBatch, places: &[ExpectedAt]) -> Option<Difference> {
    let mut unexpected: Vec<usize> = (0..found.num_rows()).collect();
    let mut missing = Vec::new();
    for row in 0..expected.num_rows() {
        match unexpected.iter().position(|&other| differing(expected, row, found, other).is_empty()) {
            Some(place) => drop(unexpected.remove(place)),
            None => missing.push(row),
        }
    }
    if missing.is_empty() && unexpected.is_empty() {
        return None;
    }
    let columns: Vec<String> = expected.schema().fields().iter().map(|field| field.name().clone()).collect();
    // The order of rows is not the query's, so it says nothing.
    unexpected.sort_by_cached_key(|&row| values(found, row));
    let pairs = pairs(expected, &missing, found, &unexpected);
    let mut rows: Vec<RowDifference> = missing
        .iter()
        .map(|&row| {
            let pair = pairs.iter().find(|(of, _)| *of == row).map(|(_, other)| *other);
            let differing = pair.map(|other| differing(expected, row, found, other)).unwrap_or_default();
            RowDifference {
                at: places.get(row).cloned(),
                expected: Some(values(expected, row)),
                found: pair.map(|other| values(found, other)),
                differing: differing.iter().map(|&column| columns[column].clone()).collect(),
            }
        })
        .collect();
    let alone = unexpected.iter().filter(|row| pairs.iter().all(|(_, other)| other != *row));
    rows.extend(alone.map(|&row| RowDifference {
        at: None,
        expected: None,
        found: Some(values(found, row)),
        differing: Vec::new(),
    }));
    Some(Difference { columns, expected: expected.num_rows(), found: found.num_rows(), rows })
}

/// Missing rows with unexpected ones that agree in at least half of the columns, the most similar first.
fn pairs(expected: &RecordBatch, missing: &[usize], found: &RecordBatch, unexpected: &[usize]) -> Vec<(usize, usize)> {
    if missing.len().saturating_mul(unexpected.len()) > MOST_PAIRS {
        return Vec::new();
    }
    let all = missing.iter().flat_map(|&row| unexpected.iter().map(move |&other| (row, other)));
    let mut candidates: Vec<(usize, usize, usize)> =
        all.map(|(row, other)| (differing(expected, row, found, other).len(), row, other)).collect();
    candidates.retain(|(differing, _, _)| differing * 2 <= expected.num_columns());
    candidates.sort_by_key(|(differing, row, _)| (*differing, *row));
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (_, row, other) in candidates {
        if pairs.iter().all(|(paired, with)| *paired != row && *with != other) {
            pairs.push((row, other));
        }
    }
    pairs
}

/// The columns in which two rows differ.
fn differing(expected: &RecordBatch, row: usize, found: &RecordBatch, other: usize) -> Vec<usize> {
    let columns = expected.columns().iter().zip(found.columns()).enumerate();
    columns.filter(|(_, (a, b))| !equal(a, row, b, other)).map(|(index, _)| index).collect()
}

fn values(batch: &RecordBatch, row: usize) -> Vec<Option<String>> {
    batch.columns().iter().map(|column| text(column, row)).collect()
}
