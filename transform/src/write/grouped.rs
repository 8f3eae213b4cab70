//! The rest of a result by partition, for results with more partitions than may be open at a time.
//!
//! Rows are dealt out to buckets, each of some partitions; what does not fit into memory waits in temporary files of each bucket.
//! A bucket is then small enough to be arranged in memory: each row is copied twice, where a sort of everything would compare and
//! merge rows many times.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::resort;
use super::scatter::{Partitions, size};
use crate::failure::of_execution;
use crate::runtime::WRITER;

const BUCKETS: usize = 64;
/// Bytes of rows that wait in memory at most, as a part of the memory, and in any case.
const SHARE: usize = 8;
const MOST_WAITING: usize = 96 << 20;
/// Buckets that are arranged while one is written.
const AHEAD: usize = 2;
/// Name of the column with the partition of each row.
const NUMBER: &str = "__unglue_partition";

/// Batches that were taken from a stream, and what is left of it, one partition after the other. `by` are the columns that are
/// partition keys. With more than `most` partitions the stream may end early.
pub(super) async fn grouped(
    taken: Vec<RecordBatch>,
    mut rest: SendableRecordBatchStream,
    partitions: &mut Partitions,
    by: Range<usize>,
    most: usize,
    context: &Arc<TaskContext>,
) -> crate::error::Result<SendableRecordBatchStream> {
    if by.is_empty() {
        // There is one partition only.
        let schema = rest.schema();
        let rows = stream::iter(taken.into_iter().map(Ok)).chain(rest);
        return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)));
    }
    let mut buckets = Buckets::new(&rest.schema(), context);
    let mut taken = taken.into_iter();
    loop {
        let batch = match taken.next() {
            Some(batch) => batch,
            None => match rest.try_next().await.map_err(of_execution)? {
                Some(batch) => batch,
                None => break,
            },
        };
        let numbers = partitions.numbers(&batch.columns()[by.clone()], batch.num_rows())?;
        buckets.deal(&batch, &numbers).map_err(of_execution)?;
        // Nothing will be written: rows only have to be counted.
        if partitions.len() > most.saturating_add(super::MOST_COUNTED) {
            break;
        }
    }
    buckets.into_stream(by, Arc::clone(context)).map_err(of_execution)
}

/// Rows dealt out by partition.
struct Buckets {
    /// Of the rows with their partition's number at the end.
    schema: SchemaRef,
    spill: SpillManager,
    memory: MemoryReservation,
    limit: usize,
    /// Rows that are read back at a time: a sort has no room for more in one piece.
    batch: usize,
    buckets: Vec<Bucket>,
}

#[derive(Default)]
struct Bucket {
    waiting: Vec<RecordBatch>,
    files: Vec<Arc<dyn SpillFile>>,
    bytes: usize,
}

impl Buckets {
    fn new(schema: &SchemaRef, context: &Arc<TaskContext>) -> Self {
        let number = Arc::new(Field::new(NUMBER, DataType::UInt32, false));
        let fields: Vec<_> = schema.fields().iter().cloned().chain([number]).collect();
        let schema = Arc::new(Schema::new(fields));
        let limit = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        Self {
            spill: SpillManager::new(context.runtime_env(), metrics, Arc::clone(&schema)),
            schema,
            memory: MemoryConsumer::new(WRITER).register(context.memory_pool()),
            limit,
            batch: context.session_config().batch_size(),
            buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(),
        }
    }

    /// Deals out the rows of a batch; `numbers` are their partitions.
    fn deal(&mut self, batch: &RecordBatch, numbers: &[u32]) -> Result<()> {
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns.push(Arc::new(UInt32Array::from(numbers.to_vec())));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let mut ends = [0; BUCKETS];
        for number in numbers {
            ends[*number as usize % BUCKETS] += 1;
        }
        let mut first = 0;
        let ranges = ends.map(|rows| {
            let range = first..first + rows;
            first += rows;
            range
        });
        let mut next = ranges.clone().map(|range| range.start);
        let mut order = vec![0; numbers.len()];
        for (row, number) in (0_u32..).zip(numbers) {
            let at = &mut next[*number as usize % BUCKETS];
            order[*at] = row;
            *at += 1;
        }
        let arranged = take_record_batch(&batch, &UInt32Array::from(order))?;
        for (bucket, range) in self.buckets.iter_mut().zip(ranges).filter(|(_, range)| !range.is_empty()) {
            bucket.waiting.push(arranged.slice(range.start, range.len()));
        }
        let bytes: usize = arranged.columns().iter().map(size).sum();
        let is_full = self.memory.size() + bytes > (self.limit / SHARE).min(MOST_WAITING);
        if is_full || self.memory.try_grow(bytes).is_err() {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes all rows that wait to files of their buckets.
    fn spill(&mut self) -> Result<()> {
        for bucket in self.buckets.iter_mut().filter(|bucket| !bucket.waiting.is_empty()) {
            let whole = concat_batches(&self.schema, &std::mem::take(&mut bucket.waiting))?;
            bucket.bytes += whole.columns().iter().map(size).sum::<usize>();
            let rows = whole.num_rows();
            let pieces = (0..rows).step_by(self.batch).map(|first| whole.slice(first, self.batch.min(rows - first)));
            let pieces: Vec<_> = pieces.collect();
            bucket.files.extend(self.spill.spill_record_batch_and_finish(&pieces, "rows by partition")?);
        }
        self.memory.free();
        Ok(())
    }

    /// The rows bucket by bucket, those of a partition together.
    fn into_stream(mut self, by: Range<usize>, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = Arc::new(Schema::new(self.schema.fields()[..self.schema.fields().len() - 1].to_vec()));
        let mut parts = Vec::with_capacity(BUCKETS);
        for Bucket { waiting, files, bytes } in std::mem::take(&mut self.buckets) {
            let in_memory: usize = waiting.iter().flat_map(RecordBatch::columns).map(size).sum();
            if in_memory + bytes > 0 {
                parts.push((files, waiting, in_memory + bytes));
            }
        }
        let most = self.limit / SHARE / (AHEAD + 1);
        let shared = Arc::new(self);
        let arranged = stream::iter(parts).map(move |(files, waiting, bytes)| {
            let (shared, by, context) = (Arc::clone(&shared), by.clone(), Arc::clone(&context));
            let task = SpawnedTask::spawn(async move {
                if bytes > most {
                    shared.sorted(files, waiting, by, &context)
                } else {
                    shared.arranged(files, waiting).await
                }
            });
            async move { task.join().await.map_err(|error| DataFusionError::External(Box::new(error)))? }
        });
        let stream = arranged.buffered(AHEAD).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    /// Rows of a bucket that fits into memory.
    async fn arranged(
        &self,
        files: Vec<Arc<dyn SpillFile>>,
        waiting: Vec<RecordBatch>,
    ) -> Result<SendableRecordBatchStream> {
        let batches: Vec<_> = self.of_bucket(files, waiting).try_collect().await?;
        let whole = concat_batches(&self.schema, &batches)?;
        drop(batches);
        // Nothing could be done where there is no room: it is on record, for others to make way.
        let memory = self.memory.new_empty();
        memory.grow(2 * whole.columns().iter().map(size).sum::<usize>());
        let last = whole.num_columns() - 1;
        let order = sort_to_indices(whole.column(last), None, None)?;
        let rows = whole.project(&(0..last).collect::<Vec<_>>())?;
        let arranged = take_record_batch(&rows, &order)?;
        let schema = arranged.schema();
        let slices = (0..arranged.num_rows()).step_by(super::BUFFER_ROWS).map(move |first| {
            memory.resize(arranged.columns().iter().map(size).sum());
            Ok(arranged.slice(first, super::BUFFER_ROWS.min(arranged.num_rows() - first)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(slices))))
    }

    /// Rows of a bucket that does not, because its partitions are large.
    fn sorted(
        &self,
        files: Vec<Arc<dyn SpillFile>>,
        waiting: Vec<RecordBatch>,
        by: Range<usize>,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let all: Vec<usize> = (0..self.schema.fields().len() - 1).collect();
        let schema = Arc::new(self.schema.project(&all)?);
        let rows = self.of_bucket(files, waiting).map(move |batch| Ok(batch?.project(&all)?));
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        resort::sorted(rows, by, context)
    }

    /// The rows of a bucket in the order in which they came.
    fn of_bucket(
        &self,
        files: Vec<Arc<dyn SpillFile>>,
        waiting: Vec<RecordBatch>,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let spill = self.spill.clone();
        let spilled =
            stream::iter(files).map(move |file| spill.read_spill_as_stream_unbuffered(file, None)).try_flatten();
        spilled.chain(stream::iter(waiting.into_iter().map(Ok))).boxed()
    }
}
