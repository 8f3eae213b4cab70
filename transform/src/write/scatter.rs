//! Which partition each row goes to, and the order in which the rows of one partition lie together.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::scalar::ScalarValue;

use super::PartitionValues;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::failure::of_execution;
use crate::partition;

/// The partitions of a result, numbered as they appear.
pub(super) struct Partitions {
    /// Numbers the distinct values of the keys; `None` where there are no keys.
    groups: Option<Box<dyn GroupValues>>,
    /// The partition of each group: groups whose values have one text are one partition.
    of_group: Vec<Option<u32>>,
    numbers: HashMap<PartitionValues, u32>,
    values: Vec<PartitionValues>,
    /// The group of each row of a batch, kept for its capacity.
    scratch: Vec<usize>,
}

impl Partitions {
    /// Of rows with these keys.
    pub(super) fn new(keys: SchemaRef) -> Result<Self> {
        let groups = match keys.fields().is_empty() {
            true => None,
            false => Some(new_group_values(keys, &GroupOrdering::None).map_err(of_execution)?),
        };
        Ok(Self { groups, of_group: Vec::new(), numbers: HashMap::new(), values: Vec::new(), scratch: Vec::new() })
    }

    /// How many there are so far.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn values(&self, number: u32) -> &PartitionValues {
        &self.values[number as usize]
    }

    /// Numbers that rows with these keys belong to.
    pub(super) fn numbers(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let Some(groups) = &mut self.groups else {
            if self.values.is_empty() {
                self.values.push(Vec::new());
            }
            return Ok(vec![0; rows]);
        };
        groups.intern(keys, &mut self.scratch).map_err(of_execution)?;
        self.of_group.resize(groups.len(), None);
        let mut numbers = Vec::with_capacity(rows);
        for (row, group) in self.scratch.iter().enumerate() {
            let number = match self.of_group[*group] {
                Some(number) => number,
                None => {
                    let values = values_at(keys, row)?;
                    let next = self.values.len() as u32;
                    let number = *self.numbers.entry(values).or_insert_with_key(|values| {
                        self.values.push(values.clone());
                        next
                    });
                    self.of_group[*group] = Some(number);
                    number
                }
            };
            numbers.push(number);
        }
        Ok(numbers)
    }
}

/// Hive cannot tell an empty string from NULL in a partition, so both are NULL.
fn values_at(keys: &[ArrayRef], row: usize) -> Result<PartitionValues> {
    keys.iter()
        .map(|key| {
            let value = ScalarValue::try_from_array(key, row).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
            Ok(partition::text_of(&value)?.filter(|text| !text.is_empty()))
        })
        .collect()
}

/// Rows that were gathered before they are written.
#[derive(Default)]
pub(super) struct Buffer {
    batches: Vec<RecordBatch>,
    /// The partition of each row.
    numbers: Vec<u32>,
    bytes: usize,
}

impl Buffer {
    pub(super) fn push(&mut self, batch: RecordBatch, numbers: &[u32]) {
        self.bytes += batch.columns().iter().map(size).sum::<usize>();
        self.batches.push(batch);
        self.numbers.extend_from_slice(numbers);
    }

    pub(super) fn rows(&self) -> usize {
        self.numbers.len()
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    pub(super) fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }

    /// The rows of one partition together, in the order in which they came.
    pub(super) fn arranged(self, partitions: usize) -> (Rows, Vec<(u32, Range<usize>)>) {
        let mut ends = vec![0; partitions];
        for number in &self.numbers {
            ends[*number as usize] += 1;
        }
        let mut ranges = Vec::new();
        let mut next = 0;
        for (number, end) in ends.iter_mut().enumerate() {
            let first = next;
            next += *end;
            if next > first {
                ranges.push((number as u32, first..next));
            }
            *end = first;
        }
        if ranges.len() == 1 {
            return (Rows { batches: self.batches, order: None }, ranges);
        }
        let mut order = vec![0; self.numbers.len()];
        for (row, number) in (0_u32..).zip(&self.numbers) {
            let at = &mut ends[*number as usize];
            order[*at] = row;
            *at += 1;
        }
        (Rows { batches: self.batches, order: Some(order.into()) }, ranges)
    }

    /// The rows as they came, which is sorted by partition.
    pub(super) fn sorted(self) -> (Rows, Vec<(u32, Range<usize>)>) {
        let mut ranges: Vec<(u32, Range<usize>)> = Vec::new();
        for (row, number) in self.numbers.iter().enumerate() {
            match ranges.last_mut() {
                Some((last, range)) if last == number => range.end = row + 1,
                _ => ranges.push((*number, row..row + 1)),
            }
        }
        (Rows { batches: self.batches, order: None }, ranges)
    }
}

/// Rows in the order in which they are written.
#[derive(Default)]
pub(super) struct Rows {
    batches: Vec<RecordBatch>,
    /// The rows by their number in all batches; `None`: as they lie.
    order: Option<UInt32Array>,
}

impl Rows {
    /// A column, in pieces that follow one another.
    ///
    /// # Errors
    /// [`Code::Internal`].
    pub(super) fn column(&self, index: usize) -> Result<Vec<ArrayRef>> {
        let columns = self.batches.iter().map(|batch| batch.column(index));
        let Some(order) = &self.order else { return Ok(columns.map(Arc::clone).collect()) };
        // Copying the column into one piece first takes half the time of gathering from many.
        let columns: Vec<_> = columns.map(AsRef::as_ref).collect();
        let whole = arrow::compute::concat(&columns).map_err(super::internal)?;
        Ok(vec![arrow::compute::take(&whole, order, None).map_err(super::internal)?])
    }

    /// Some rows of a column, from one on.
    ///
    /// # Errors
    /// [`Code::Internal`].
    pub(super) fn sample(&self, index: usize, first: usize, most: usize) -> Result<ArrayRef> {
        let column = self.column(index)?;
        let columns: Vec<_> = column.iter().map(AsRef::as_ref).collect();
        let whole = arrow::compute::concat(&columns).map_err(super::internal)?;
        Ok(whole.slice(first, most.min(whole.len() - first)))
    }

    /// Roughly the bytes of a column.
    pub(super) fn weight(&self, index: usize) -> usize {
        self.batches.iter().map(|batch| size(batch.column(index))).sum()
    }
}

/// Bytes of a column's own values: its buffers may be those of a larger one.
pub(super) fn size(column: &ArrayRef) -> usize {
    column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
}
