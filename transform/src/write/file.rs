//! Parquet settings, and one open Parquet file.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};

use super::chunk::Chunk;
use super::upload::{Room, Upload};
use super::{PartitionValues, WrittenFile, statistics, unwritable};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::origins::{Counter, KEY, Origin, Origins};
use crate::settings::{Compression, Settings};
use crate::stage::PART_SIZE;
use crate::table::Column;
use crate::write::ColumnStatistics;

/// Rows of a row group at most.
pub(super) const ROW_GROUP_ROWS: usize = 1 << 20;
/// A dictionary larger than this does not pay for itself in the sizes of files that partitions have.
const DICTIONARY_BYTES: usize = 64 << 10;
/// What the footer of a file takes, roughly.
const FOOTER_BYTES: usize = 16 << 10;

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

/// A Parquet file that is being written: row groups in, parts of an upload out.
pub(super) struct OpenFile {
    partition: PartitionValues,
    writer: SerializedFileWriter<Vec<u8>>,
    upload: Upload,
    /// For what is on its way, of all files.
    room: Room,
    /// Bytes that the upload has.
    sent: u64,
    rows: u64,
    origins: Counter,
    /// Row groups that have ended, as long as all of them are less than a part.
    waiting: Vec<Vec<Chunk>>,
    waiting_bytes: u64,
    /// Rows of the row group that is open.
    pub(super) group_rows: usize,
    /// Roughly the bytes that it will have.
    pub(super) group_bytes: u64,
}

impl OpenFile {
    /// A file for a partition, whose upload begins while its first values are encoded.
    pub(super) fn new(
        partition: PartitionValues,
        schema: &TypePtr,
        properties: &Arc<WriterProperties>,
        upload: Upload,
        room: Room,
    ) -> Result<Self> {
        let writer = SerializedFileWriter::new(Vec::new(), Arc::clone(schema), Arc::clone(properties));
        Ok(Self {
            partition,
            writer: writer.map_err(unwritable)?,
            upload,
            room,
            sent: 0,
            rows: 0,
            origins: Counter::default(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            group_rows: 0,
            group_bytes: 0,
        })
    }

    /// Bytes so far, with an estimate for the row group in progress.
    pub(super) fn bytes(&self) -> u64 {
        self.sent + self.waiting_bytes + self.group_bytes + self.writer.inner().len() as u64
    }

    /// Counts rows of the open row group; `origins` are the numbers of what each was derived from.
    pub(super) fn count(&mut self, rows: usize, origins: Option<&[i32]>) {
        self.rows += rows as u64;
        self.group_rows += rows;
        if let Some(origins) = origins {
            self.origins.count(origins.iter().map(|number| number.unsigned_abs()));
        }
    }

    /// Adds a row group. It is sent once there is enough for a part.
    pub(super) async fn add(&mut self, group: Vec<Chunk>) -> Result<()> {
        self.group_bytes = 0;
        if group.is_empty() {
            return Ok(());
        }
        let bytes = group.iter().map(Chunk::bytes).sum::<u64>();
        self.waiting.push(group);
        self.waiting_bytes += bytes;
        if self.waiting_bytes < PART_SIZE as u64 {
            return Ok(());
        }
        // Pages may be on disk: there has to be room before they are read.
        let room = self.room.take(self.waiting_bytes).await?;
        self.put_groups()?;
        let part = mem::take(self.writer.inner_mut());
        self.sent += part.len() as u64;
        self.upload.send(part.into(), room).await
    }

    fn put_groups(&mut self) -> Result<()> {
        let bytes = usize::try_from(mem::take(&mut self.waiting_bytes)).unwrap_or_default();
        self.writer.inner_mut().reserve_exact(bytes + FOOTER_BYTES);
        for group in mem::take(&mut self.waiting) {
            let mut row_group = self.writer.next_row_group().map_err(unwritable)?;
            for chunk in group {
                chunk.append(&mut row_group).map_err(unwritable)?;
            }
            row_group.close().map_err(unwritable)?;
        }
        Ok(())
    }

    /// The staged file. Rows that were traced have their origins put into the footer. On an error nothing stays staged.
    pub(super) async fn finish(mut self, origins: Option<Arc<[Origin]>>) -> Result<WrittenFile> {
        let room = self.room.take(self.waiting_bytes).await;
        match room.and_then(|room| Ok((room, self.complete(origins)?))) {
            Ok((_room, (last, statistics))) => {
                let staged = self.upload.finish(last).await?;
                Ok(WrittenFile { staged, partition: self.partition, rows: self.rows, statistics })
            }
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    fn complete(&mut self, origins: Option<Arc<[Origin]>>) -> Result<(Bytes, Vec<ColumnStatistics>)> {
        self.put_groups()?;
        if let Some(names) = origins {
            let text = Origins::new(&names, &self.origins).encode()?;
            self.writer.append_key_value_metadata(KeyValue::new(KEY.to_owned(), text));
        }
        let metadata = self.writer.finish().map_err(unwritable)?;
        Ok((mem::take(self.writer.inner_mut()).into(), statistics::of(&metadata)))
    }

    pub(super) async fn abort(self) {
        self.upload.abort().await;
    }
}
