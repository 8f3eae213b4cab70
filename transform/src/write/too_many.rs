//! The refusal of more partitions than a run may write.

use std::collections::BTreeMap;

use super::PartitionValues;
use crate::code::Code;
use crate::error::Error;

/// The error for more partitions than a run may write, with the rows of each.
pub(super) fn too_many(most: usize, partitions: &BTreeMap<PartitionValues, u64>) -> Error {
    more_than(most, "the run would write", &format!("among them {}", largest(partitions)))
}

/// The error for more partitions than a run may replace, with the rows of each because of which it would.
pub(crate) fn too_many_touched(most: usize, partitions: &BTreeMap<PartitionValues, u64>) -> Error {
    more_than(most, "the run would replace", &format!("for rows in {}", largest(partitions)))
}

fn more_than(most: usize, what: &str, which: &str) -> Error {
    let partitions = if most == 1 { "partition" } else { "partitions" };
    Error::new(Code::TooManyPartitions, format!("{what} more than {most} {partitions}, {which}"))
        .help("partition by something coarser, or raise `@max_partitions`")
}

/// The partitions with the most rows.
fn largest(partitions: &BTreeMap<PartitionValues, u64>) -> String {
    let mut largest: Vec<_> = partitions.iter().collect();
    largest.sort_by_key(|(values, rows)| (std::cmp::Reverse(**rows), (*values).clone()));
    let named = largest.iter().take(5).map(|(values, rows)| {
        let values: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
        format!("`{}` ({rows} row{})", values.join("/"), if **rows == 1 { "" } else { "s" })
    });
    named.collect::<Vec<_>>().join(", ")
}
