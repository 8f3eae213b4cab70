//! The partitioned Parquet writer: a stream of batches in; staged files with rows, bytes and statistics out.
//!
//! The stream comes sorted by partition (and by `@sort` within each), so that one file is open at a time and memory is
//! bounded by one row group, whatever the number of partitions.

mod file;
mod statistics;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::origins::Origin;
use crate::partition;
use crate::stage::{Stage, Staged};
use file::OpenFile;
pub(crate) use file::properties;
pub(crate) use statistics::ColumnStatistics;

/// Values of a partition's keys, in their order; empty for an unpartitioned table.
pub(crate) type PartitionValues = Vec<Option<String>>;

/// The path of the n-th file, by its partition.
pub(crate) type Destination<'a> = dyn Fn(&[Option<String>], usize) -> Result<Path> + Send + Sync + 'a;

/// Partitions beyond those that may be written that are still counted, for the error to name the largest.
const MOST_COUNTED: usize = 100_000;

/// What to write, and where.
pub(crate) struct WriteSpec<'a> {
    /// Schema of the files: the first columns of the stream. Those after them are the partition keys; columns after these are
    /// not written.
    pub(crate) file_schema: SchemaRef,
    /// How many columns are partition keys.
    pub(crate) partition_keys: usize,
    /// Where rows are traced to: the column after the partition keys numbers these.
    pub(crate) origins: Option<&'a [Origin]>,
    /// Parquet settings.
    pub(crate) properties: Arc<parquet::file::properties::WriterProperties>,
    /// A file is closed once it has about this many bytes.
    pub(crate) target_file_size: u64,
    /// With more partitions than this nothing is written.
    pub(crate) max_partitions: usize,
    /// Where the n-th file goes, by its partition.
    pub(crate) destination: &'a Destination<'a>,
    /// Distinguishes this attempt from others of the same run.
    pub(crate) attempt: &'a str,
}

/// One written file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WrittenFile {
    /// Where it is and will be.
    pub(crate) staged: Staged,
    /// Its partition.
    pub(crate) partition: PartitionValues,
    /// Rows.
    pub(crate) rows: u64,
    /// Per column.
    pub(crate) statistics: Vec<ColumnStatistics>,
}

/// Writes a stream that is sorted by its partition keys: the last columns of each batch.
///
/// # Errors
/// [`Code::TooManyPartitions`] with the values that have the most rows; errors of the stream and the storage. Whatever was
/// staged is given up.
pub(crate) async fn write(
    stream: SendableRecordBatchStream,
    spec: &WriteSpec<'_>,
    stage: &Stage,
    memory: MemoryReservation,
) -> Result<Vec<WrittenFile>> {
    let mut writer = Writer { spec, stage, memory, files: Vec::new(), rows: BTreeMap::new(), open: None };
    match writer.run(stream).await {
        Ok(()) => Ok(writer.files),
        Err(error) => {
            writer.give_up().await;
            Err(error)
        }
    }
}

struct Writer<'a> {
    spec: &'a WriteSpec<'a>,
    stage: &'a Stage,
    memory: MemoryReservation,
    files: Vec<WrittenFile>,
    rows: BTreeMap<PartitionValues, u64>,
    open: Option<(PartitionValues, OpenFile)>,
}

impl Writer<'_> {
    async fn run(&mut self, mut stream: SendableRecordBatchStream) -> Result<()> {
        let most = self.spec.max_partitions;
        let columns = self.spec.file_schema.fields().len();
        while let Some(batch) = stream.try_next().await.map_err(crate::failure::of_execution)? {
            let keys = &batch.columns()[columns..columns + self.spec.partition_keys];
            for range in ranges(keys, batch.num_rows())? {
                let partition = values_at(keys, range.start)?;
                *self.rows.entry(partition.clone()).or_default() += range.len() as u64;
                if self.rows.len() > most {
                    // Only counted from here on: the error names the largest of all.
                    continue;
                }
                let rows = batch.slice(range.start, range.len());
                let indices: Vec<usize> = (0..columns).collect();
                let origins = self.spec.origins.map(|_| rows.column(columns + self.spec.partition_keys).clone());
                let rows = rows.project(&indices).map_err(internal)?;
                self.add(partition, rows, origins).await?;
            }
            if self.rows.len() > most.saturating_add(MOST_COUNTED) {
                break;
            }
        }
        if self.rows.len() > most {
            return Err(too_many(most, &self.rows));
        }
        self.close().await
    }

    async fn add(&mut self, partition: PartitionValues, rows: RecordBatch, origins: Option<ArrayRef>) -> Result<()> {
        let full = self
            .open
            .as_ref()
            .is_some_and(|(current, file)| *current != partition || file.bytes() >= self.spec.target_file_size);
        if full {
            self.close().await?;
        }
        if self.open.is_none() {
            let index = self.files.len();
            let path = (self.spec.destination)(&partition, index)?;
            let staged = self.stage.create(path, self.spec.attempt, index).await?;
            self.open = Some((partition, OpenFile::new(staged, self.spec)?));
        }
        if let Some((_, file)) = &mut self.open {
            file.write(&rows, origins.as_ref(), &mut self.memory).await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if let Some((partition, file)) = self.open.take() {
            let (staged, rows, statistics) = file.finish(self.spec.origins).await?;
            self.files.push(WrittenFile { staged, partition, rows, statistics });
            self.memory.free();
        }
        Ok(())
    }

    /// Nothing was committed, so that whatever stays behind is rubbish that no reader sees: errors are only logged.
    async fn give_up(&mut self) {
        if let Some((_, file)) = self.open.take() {
            file.abort().await;
        }
        for file in &self.files {
            if let Err(error) = self.stage.discard(&file.staged).await {
                tracing::warn!(%error, "a staged file could not be removed");
            }
        }
    }
}

/// The error for more partitions than a run may write, with the rows of each.
fn too_many(most: usize, partitions: &BTreeMap<PartitionValues, u64>) -> Error {
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

/// Runs of rows with equal keys.
fn ranges(keys: &[ArrayRef], rows: usize) -> Result<Vec<Range<usize>>> {
    if rows == 0 {
        return Ok(Vec::new());
    }
    if keys.is_empty() {
        return Ok(std::iter::once(0..rows).collect());
    }
    Ok(arrow::compute::partition(keys).map_err(internal)?.ranges())
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

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(Code::Internal, error.to_string())
}

#[cfg(test)]
mod tests;
