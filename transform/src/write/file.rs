//! One open Parquet file: encoded in memory, sent to the stage part by part.

use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use datafusion::execution::memory_pool::MemoryReservation;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::{WriteSpec, statistics};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::origins::{Counter, KEY, Origin, Origins};
use crate::settings::{Compression, Settings};
use crate::stage::{PART_SIZE, Staged, StagedWriter};
use crate::table::Column;
use crate::write::ColumnStatistics;

/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// A dictionary larger than this does not pay for itself in the sizes of files that partitions have.
const DICTIONARY_BYTES: usize = 64 << 10;

/// Parquet settings of a transform.
///
/// # Errors
/// [`Code::BadValue`] for a compression level that the codec does not have.
pub(crate) fn properties(settings: &Settings, columns: &[Column], run_id: &str) -> Result<WriterProperties> {
    let bad_level = |error: ParquetError| Error::new(Code::BadValue, error.to_string());
    let compression = match settings.compression.value {
        Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level).map_err(bad_level)?),
        Compression::Snappy => Codec::SNAPPY,
        Compression::Gzip => Codec::GZIP(GzipLevel::default()),
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Uncompressed => Codec::UNCOMPRESSED,
    };
    let position = |name: &str| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let sorting = settings
        .sort
        .iter()
        .filter_map(|sort| {
            let column_idx = i32::try_from(position(&sort.value.column)?).ok()?;
            Some(SortingColumn { column_idx, descending: sort.value.descending, nulls_first: sort.value.descending })
        })
        .collect::<Vec<_>>();
    // Leaves and columns are numbered alike only where no column is nested.
    let flat = columns.iter().all(|column| !crate::hive::is_nested(&column.hive_type));
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("unglue ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_sorting_columns((flat && !sorting.is_empty()).then_some(sorting))
        .set_key_value_metadata(Some(vec![KeyValue::new("unglue.run_id".to_owned(), run_id.to_owned())]));
    if !settings.dictionary.is_empty() {
        builder = builder.set_dictionary_enabled(false);
        for column in &settings.dictionary {
            builder = builder.set_column_dictionary_enabled(path(&column.value), true);
        }
    }
    for column in &settings.bloom_filter {
        builder = builder.set_column_bloom_filter_enabled(path(&column.value), true);
    }
    Ok(builder.build())
}

fn path(column: &str) -> ColumnPath {
    ColumnPath::from(column.to_lowercase())
}

/// A Parquet file that is being written.
pub(super) struct OpenFile {
    writer: ArrowWriter<Vec<u8>>,
    staged: StagedWriter,
    sent: u64,
    rows: u64,
    origins: Counter,
}

impl OpenFile {
    pub(super) fn new(staged: StagedWriter, spec: &WriteSpec<'_>) -> Result<Self> {
        // The Arrow schema is left out of the file: the Parquet types say all that Hive types can.
        let options =
            ArrowWriterOptions::new().with_properties(spec.properties.as_ref().clone()).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&spec.file_schema), options)
            .map_err(unwritable)?;
        Ok(Self { writer, staged, sent: 0, rows: 0, origins: Counter::default() })
    }

    /// Bytes so far, with an estimate for the row group in progress.
    pub(super) fn bytes(&self) -> u64 {
        self.sent + (self.writer.inner().len() + self.writer.in_progress_size()) as u64
    }

    /// Writes rows; `origins` are the numbers of what each was derived from.
    pub(super) async fn write(
        &mut self,
        rows: &RecordBatch,
        origins: Option<&ArrayRef>,
        memory: &mut MemoryReservation,
    ) -> Result<()> {
        self.rows += rows.num_rows() as u64;
        if let Some(numbers) = origins.and_then(|origins| origins.as_primitive_opt::<Int32Type>()) {
            self.origins.count(numbers.values().iter().map(|number| number.unsigned_abs()));
        }
        self.writer.write(rows).map_err(unwritable)?;
        if memory.try_resize(self.writer.memory_size() + self.writer.inner().capacity()).is_err() {
            self.writer.flush().map_err(unwritable)?;
        }
        if self.writer.inner().len() >= PART_SIZE {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        let part = mem::take(self.writer.inner_mut());
        self.sent += part.len() as u64;
        self.staged.write(part.into()).await
    }

    /// The staged file, its rows and statistics. Rows that were traced have their origins put into the footer.
    pub(super) async fn finish(mut self, origins: Option<&[Origin]>) -> Result<(Staged, u64, Vec<ColumnStatistics>)> {
        if let Some(names) = origins {
            let text = Origins::new(names, &self.origins).encode()?;
            self.writer.append_key_value_metadata(KeyValue::new(KEY.to_owned(), text));
        }
        let metadata = self.writer.finish().map_err(unwritable)?;
        let statistics = statistics::of(&metadata);
        self.send().await?;
        Ok((self.staged.finish().await?, self.rows, statistics))
    }

    pub(super) async fn abort(self) {
        self.staged.abort().await;
    }
}

fn unwritable(error: ParquetError) -> Error {
    Error::new(Code::Internal, format!("the result cannot be written as Parquet: {error}")).because(error)
}
