//! The partitioned Parquet writer: a stream of batches in; staged files with rows, bytes and statistics out.
//!
//! Batches are gathered into a buffer, whose rows are arranged by partition; then each column is encoded into all open files, the
//! columns side by side. What is encoded waits in memory, then in temporary files, until a row group of its file is complete.
//! Where there are more partitions than can be open at a time, the rest of the stream is grouped by partition first.

mod chunk;
mod columns;
mod compress;
mod encodings;
mod file;
mod grouped;
mod resort;
mod scatter;
mod spool;
mod statistics;
#[cfg(feature = "testing")]
pub(crate) mod steps;
mod too_many;
mod upload;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::TryStreamExt;
use object_store::path::Path;
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::TypePtr;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::failure::of_execution;
use crate::origins::Origin;
use crate::runtime::WRITER;
use crate::stage::{PART_SIZE, Stage, Staged};
use columns::{Columns, Encoding, Piece};
pub(crate) use file::properties;
use file::{OpenFile, ROW_GROUP_ROWS};
use scatter::{Buffer, Partitions, Rows};
use spool::Spool;
pub(crate) use statistics::ColumnStatistics;
use too_many::too_many;
pub(crate) use too_many::too_many_touched;
use upload::{Room, Upload};

/// Values of a partition's keys, in their order; empty for an unpartitioned table.
pub(crate) type PartitionValues = Vec<Option<String>>;

/// The path of the n-th file, by its partition.
pub(crate) type Destination<'a> = dyn Fn(&[Option<String>], usize) -> Result<Path> + Send + Sync + 'a;

/// Partitions beyond those that may be written that are still counted, for the error to name the largest.
const MOST_COUNTED: usize = 100_000;

/// Rows of a buffer at most: so many that each partition gets some, and few enough for a column of them to stay in the cache, and
/// to take less than a megabyte (see `.cargo/config.toml`).
const BUFFER_ROWS: usize = 32 << 10;
/// Bytes of a buffer at most, as a part of the memory.
const BUFFER_SHARE: usize = 32;
/// Bytes of encoded pages that stay in memory at most, as a part of the memory, and in any case; and of files on their way.
const PAGES_SHARE: usize = 16;
const MOST_PAGES: usize = 64 << 20;
/// Files that are open at a time.
const MOST_OPEN: usize = 256;
/// Memory that a column of an open file needs, roughly, as long as it is not known.
const MEMORY_FOR_COLUMN: usize = 32 << 10;
/// Bytes of a page before compression: the more columns are open at a time, the less, so that their pages together take no more
/// than a part of the memory.
const PAGE_BYTES: RangeInclusive<usize> = 16 << 10..=256 << 10;
const UNFINISHED_SHARE: usize = 8;
/// Bytes of a row group at most, and where pages are on disk already.
const ROW_GROUP_BYTES: u64 = 64 << 20;
const CROWDED_ROW_GROUP_BYTES: u64 = PART_SIZE as u64;
/// Files that are completed and sent at a time.
const MOST_FINISHING: usize = 16;
/// Row groups that would be smaller than this on average are a reason to sort.
const LEAST_GROUP: u64 = 1 << 20;

/// What to write, and where.
pub(crate) struct WriteSpec<'a> {
    /// Schema of the files: the first columns of the stream. Those after them are the partition keys; columns after these are
    /// not written.
    pub(crate) file_schema: SchemaRef,
    /// How many columns are partition keys.
    pub(crate) partition_keys: usize,
    /// Where rows are traced to: the column after the partition keys numbers these.
    pub(crate) origins: Option<Arc<[Origin]>>,
    /// Parquet settings, but for what is decided by the data.
    pub(crate) properties: WriterProperties,
    /// Whether the settings say which columns have dictionaries.
    pub(crate) dictionaries_asked: bool,
    /// Whether the stream comes sorted by its partition keys.
    pub(crate) sorted: bool,
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

/// Writes a stream: the columns of the file, then the partition keys.
///
/// # Errors
/// [`Code::TooManyPartitions`] with the values that have the most rows; errors of the stream and the storage. Whatever was
/// staged is given up.
pub(crate) async fn write(
    stream: SendableRecordBatchStream,
    spec: &WriteSpec<'_>,
    stage: &Stage,
    context: Arc<TaskContext>,
) -> Result<Vec<WrittenFile>> {
    let mut writer = Writer::new(spec, stage, context, stream.schema())?;
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
    context: Arc<TaskContext>,
    memory: MemoryReservation,
    /// Of the memory, what may be used at most, in bytes.
    limit: usize,
    spool: Arc<Spool>,
    /// For what is on its way to the storage.
    room: Room,
    /// Schema of the files as Parquet has it.
    schema: TypePtr,
    partitions: Partitions,
    /// Rows of each partition.
    rows: Vec<u64>,
    /// Whether rows come one partition after the other, from the start or by now.
    sorted: bool,
    encoder: Encoder,
    /// The open files by their numbers.
    open: BTreeMap<usize, OpenFile>,
    /// The open file of each partition.
    current: BTreeMap<u32, usize>,
    /// Files that are complete once what is being encoded is.
    ending: BTreeSet<usize>,
    finishing: VecDeque<SpawnedTask<Result<WrittenFile>>>,
    files: Vec<WrittenFile>,
    /// Files begun so far.
    begun: usize,
    /// The partition of the last rows, where they come one partition after the other.
    last: Option<u32>,
    /// Whether what is encoded takes more memory than there is.
    is_crowded: bool,
    properties: Arc<WriterProperties>,
}

/// Where the columns are.
enum Encoder {
    /// How to encode is decided by the first rows.
    Undecided,
    Idle(Columns),
    Busy(Encoding),
}

impl<'a> Writer<'a> {
    fn new(spec: &'a WriteSpec<'a>, stage: &'a Stage, context: Arc<TaskContext>, schema: SchemaRef) -> Result<Self> {
        let columns = spec.file_schema.fields().len();
        let keys = Schema::new(schema.fields()[columns..columns + spec.partition_keys].to_vec());
        // The Arrow schema is left out of the files: the Parquet types say all that Hive types can.
        let parquet = ArrowSchemaConverter::new().schema_root("arrow_schema").convert(&spec.file_schema);
        let pool = context.memory_pool();
        let limit = if let MemoryLimit::Finite(bytes) = pool.memory_limit() { bytes } else { usize::MAX };
        let pages = (limit / PAGES_SHARE).min(MOST_PAGES);
        Ok(Self {
            spec,
            stage,
            memory: MemoryConsumer::new(WRITER).register(pool),
            limit,
            spool: Arc::new(Spool::new(pages, Arc::clone(&context.runtime_env().disk_manager))),
            room: Room::new(pages),
            context,
            schema: parquet.map_err(unwritable)?.root_schema_ptr(),
            partitions: Partitions::new(Arc::new(keys))?,
            rows: Vec::new(),
            sorted: spec.sorted,
            encoder: Encoder::Undecided,
            open: BTreeMap::new(),
            current: BTreeMap::new(),
            ending: BTreeSet::new(),
            finishing: VecDeque::new(),
            files: Vec::new(),
            begun: 0,
            last: None,
            is_crowded: false,
            properties: Arc::new(spec.properties.clone()),
        })
    }

    async fn run(&mut self, mut stream: SendableRecordBatchStream) -> Result<()> {
        let most = self.spec.max_partitions;
        let mut buffer = Buffer::default();
        while let Some(batch) = stream.try_next().await.map_err(of_execution)? {
            let numbers = self.partitions.numbers(self.keys(&batch), batch.num_rows())?;
            self.rows.resize(self.partitions.len(), 0);
            for number in &numbers {
                self.rows[*number as usize] += 1;
            }
            if self.partitions.len() > most {
                // Only counted from here on: the error names the largest of all.
                if self.partitions.len() > most.saturating_add(MOST_COUNTED) {
                    break;
                }
                continue;
            }
            buffer.push(batch, &numbers);
            if !self.sorted && self.partitions.len() > self.most_open() {
                stream = self.regroup(std::mem::take(&mut buffer), stream).await?;
            } else if self.is_full(&buffer) {
                if self.is_crowded && !self.end_groups().await? {
                    stream = self.regroup(std::mem::take(&mut buffer), stream).await?;
                } else {
                    self.flush(std::mem::take(&mut buffer)).await?;
                }
            }
        }
        if self.partitions.len() > most {
            return Err(too_many(most, &self.rows_by_values()));
        }
        if buffer.rows() > 0 {
            self.flush(buffer).await?;
        }
        self.end_all().await
    }

    fn keys<'b>(&self, batch: &'b RecordBatch) -> &'b [ArrayRef] {
        let columns = self.spec.file_schema.fields().len();
        &batch.columns()[columns..columns + self.spec.partition_keys]
    }

    fn rows_by_values(&self) -> BTreeMap<PartitionValues, u64> {
        (0..).zip(&self.rows).map(|(number, rows)| (self.partitions.values(number).clone(), *rows)).collect()
    }

    /// How many files may be open.
    fn most_open(&self) -> usize {
        let file = MEMORY_FOR_COLUMN * self.spec.file_schema.flattened_fields().len().max(1);
        (self.limit / 4 / file).clamp(1, MOST_OPEN)
    }

    fn is_full(&self, buffer: &Buffer) -> bool {
        let small_file = usize::try_from(self.spec.target_file_size / 4).unwrap_or(usize::MAX);
        buffer.rows() >= BUFFER_ROWS || buffer.bytes() >= (self.limit / BUFFER_SHARE).min(small_file)
    }

    /// What is left of the stream, and rows that were taken from it, one partition after the other.
    async fn regroup(&mut self, buffer: Buffer, rest: SendableRecordBatchStream) -> Result<SendableRecordBatchStream> {
        self.sorted = true;
        for number in buffer.numbers() {
            // They come once more.
            self.rows[*number as usize] -= 1;
        }
        // What the open files have in memory goes to disk, to make room for the sort.
        self.end_groups().await?;
        let columns = self.spec.file_schema.fields().len();
        let keys = columns..columns + self.spec.partition_keys;
        let most = self.spec.max_partitions;
        grouped::grouped(buffer.into_batches(), rest, &mut self.partitions, keys, most, &self.context).await
    }

    /// Begins to encode the rows of a buffer.
    async fn flush(&mut self, buffer: Buffer) -> Result<()> {
        self.settle().await?;
        let bytes = buffer.bytes();
        let (rows, ranges) = if self.sorted { buffer.sorted() } else { buffer.arranged(self.partitions.len()) };
        let origins = match &self.spec.origins {
            Some(_) => rows.column(self.spec.file_schema.fields().len() + self.spec.partition_keys)?,
            None => Vec::new(),
        };
        let mut origins = origins.iter().flat_map(numbers).copied();
        let columns = match std::mem::replace(&mut self.encoder, Encoder::Undecided) {
            Encoder::Idle(columns) => columns,
            _ => self.decide(&rows, &ranges)?,
        };
        let mut pieces = Vec::new();
        for (partition, range) in ranges {
            if self.sorted {
                self.end_others(partition, &mut pieces);
            }
            let number = self.file_for(partition, range.len(), &mut pieces)?;
            if let Some(file) = self.open.get_mut(&number) {
                let own: Option<Vec<i32>> =
                    self.spec.origins.is_some().then(|| origins.by_ref().take(range.len()).collect());
                file.count(range.len(), own.as_deref());
            }
            pieces.push(Piece { file: number, rows: range, ends: false });
        }
        // Twice: the rows, and what is gathered of them while they are encoded.
        self.memory.grow(2 * bytes);
        self.encoder = Encoder::Busy(columns.encode(rows, pieces));
        Ok(())
    }

    /// Decides by the first rows how columns are encoded.
    fn decide(&mut self, rows: &Rows, ranges: &[(u32, Range<usize>)]) -> Result<Columns> {
        let schema = &self.spec.file_schema;
        let largest = ranges.iter().map(|(_, range)| range).max_by_key(|range| range.len());
        let mut sample = Vec::with_capacity(schema.fields().len());
        for index in 0..schema.fields().len() {
            sample.push(rows.sample(index, largest.map_or(0, |range| range.start), encodings::SAMPLE)?);
        }
        let chosen = encodings::chosen(&self.spec.properties, &self.schema, self.spec.dictionaries_asked, &sample)?;
        let open = ranges.len().min(self.most_open()) * schema.flattened_fields().len().max(1);
        let page = (self.limit / UNFINISHED_SHARE / open.max(1)).clamp(*PAGE_BYTES.start(), *PAGE_BYTES.end());
        let chosen = chosen.into_builder().set_data_page_size_limit(page).build();
        self.properties = Arc::new(chosen.clone());
        Columns::new(schema, chosen, &self.spool)
    }

    /// The file that rows of a partition go to. One that is full ends, as does a row group.
    fn file_for(&mut self, partition: u32, rows: usize, pieces: &mut Vec<Piece>) -> Result<usize> {
        let most_bytes = if self.spool.is_full() { CROWDED_ROW_GROUP_BYTES } else { ROW_GROUP_BYTES };
        if let Some(&number) = self.current.get(&partition)
            && let Some(file) = self.open.get_mut(&number)
        {
            let is_full = file.bytes() >= self.spec.target_file_size;
            if is_full || file.group_rows + rows > ROW_GROUP_ROWS || file.group_bytes >= most_bytes {
                file.group_rows = 0;
                pieces.push(Piece { file: number, rows: 0..0, ends: true });
            }
            if !is_full {
                return Ok(number);
            }
            self.ending.insert(number);
        }
        let number = self.begun;
        self.begun += 1;
        let values = self.partitions.values(partition).clone();
        let path = (self.spec.destination)(&values, number)?;
        let upload = Upload::begin(self.stage, path, self.spec.attempt, number);
        let file = OpenFile::new(values, &self.schema, &self.properties, upload, self.room.clone())?;
        self.open.insert(number, file);
        self.current.insert(partition, number);
        Ok(number)
    }

    /// Ends the files of all partitions that came before one, now that rows come sorted. Files from before that wait for
    /// their rows of the sorted part stay open.
    fn end_others(&mut self, partition: u32, pieces: &mut Vec<Piece>) {
        let Some(former) = self.last.replace(partition).filter(|former| *former != partition) else { return };
        if let Some(number) = self.current.remove(&former) {
            pieces.push(Piece { file: number, rows: 0..0, ends: true });
            self.ending.insert(number);
        }
    }

    /// Ends all row groups, so that only pages are left of them. Returns whether they were large enough to go on like that.
    async fn end_groups(&mut self) -> Result<bool> {
        self.settle().await?;
        let bytes: u64 = self.open.values().map(|file| file.group_bytes).sum();
        let are_large = self.sorted || bytes >= LEAST_GROUP * self.open.len() as u64;
        let mut pieces = Vec::new();
        for (number, file) in &mut self.open {
            file.group_rows = 0;
            pieces.push(Piece { file: *number, rows: 0..0, ends: true });
        }
        self.end(pieces).await?;
        self.is_crowded = false;
        Ok(are_large)
    }

    /// Ends all files.
    async fn end_all(&mut self) -> Result<()> {
        self.settle().await?;
        while !self.open.is_empty() {
            // Some at a time, so that some are sent while others are encoded.
            let next: Vec<usize> = self.open.keys().copied().take(MOST_FINISHING).collect();
            self.ending.extend(&next);
            self.end(next.into_iter().map(|file| Piece { file, rows: 0..0, ends: true }).collect()).await?;
        }
        while let Some(task) = self.finishing.pop_front() {
            self.files.push(finished(task).await?);
        }
        self.memory.free();
        Ok(())
    }

    async fn end(&mut self, pieces: Vec<Piece>) -> Result<()> {
        if let Encoder::Idle(columns) = std::mem::replace(&mut self.encoder, Encoder::Undecided) {
            self.encoder = Encoder::Busy(columns.encode(Rows::default(), pieces));
        }
        self.settle().await
    }

    /// Waits for what is being encoded. Row groups that have ended are added to their files.
    async fn settle(&mut self) -> Result<()> {
        let encoding = match std::mem::replace(&mut self.encoder, Encoder::Undecided) {
            Encoder::Busy(encoding) => encoding,
            other => {
                self.encoder = other;
                return Ok(());
            }
        };
        let (columns, groups, size) = encoding.finish().await?;
        self.encoder = Encoder::Idle(columns);
        for (number, group) in groups {
            if let Some(file) = self.open.get_mut(&number) {
                file.add(group).await?;
            }
        }
        for (number, bytes) in size.files {
            if let Some(file) = self.open.get_mut(&number) {
                file.group_bytes = bytes;
            }
        }
        for number in std::mem::take(&mut self.ending) {
            let Some(file) = self.open.remove(&number) else { continue };
            self.current.retain(|_, current| *current != number);
            if self.finishing.len() >= MOST_FINISHING
                && let Some(task) = self.finishing.pop_front()
            {
                self.files.push(finished(task).await?);
            }
            self.finishing.push_back(SpawnedTask::spawn(file.finish(self.spec.origins.clone())));
        }
        self.memory.free();
        if self.memory.try_grow(size.memory).is_err() {
            self.is_crowded = true;
            self.memory.grow(size.memory);
        }
        self.memory.grow(self.room.taken());
        Ok(())
    }

    /// Nothing was committed, so that whatever stays behind is rubbish that no reader sees: errors are only logged.
    async fn give_up(&mut self) {
        self.encoder = Encoder::Undecided;
        for file in std::mem::take(&mut self.open).into_values() {
            file.abort().await;
        }
        while let Some(task) = self.finishing.pop_front() {
            self.files.extend(finished(task).await.ok());
        }
        for file in &self.files {
            if let Err(error) = self.stage.discard(&file.staged).await {
                tracing::warn!(%error, "a staged file could not be removed");
            }
        }
    }
}

async fn finished(task: SpawnedTask<Result<WrittenFile>>) -> Result<WrittenFile> {
    task.join().await.map_err(|error| Error::new(Code::Internal, error.to_string()))?
}

/// The numbers of origins of some rows.
fn numbers(column: &ArrayRef) -> &[i32] {
    column.as_primitive_opt::<Int32Type>().map_or(&[], |numbers| numbers.values())
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(Code::Internal, error.to_string())
}

fn unwritable(error: ParquetError) -> Error {
    match error {
        // Of the temporary files.
        ParquetError::External(inner) => of_execution(DataFusionError::External(inner)),
        error => Error::new(Code::Internal, format!("the result cannot be written as Parquet: {error}")).because(error),
    }
}

#[cfg(test)]
mod tests;
