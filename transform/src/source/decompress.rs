//! Decompressing small Parquet objects with few decompressors.
//!
//! Parquet's reader makes a zstd compressor and a decompressor for each column of each row group, and each of them asks the
//! processor what it can do, which a virtual machine answers in 20 µs and more. Of thousands of small objects that is a fifth
//! of the time. Their pages are decompressed here instead, and the reader is told that they are not compressed.

use std::collections::VecDeque;
use std::fmt;
use std::io::Cursor;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use zstd::bulk::Decompressor;

use crate::ahead::SMALL;
use crate::page::{DATA, DICTIONARY, Header};

/// Bytes without compression of an object that is read in this way.
const MOST: usize = 16 << 20;

/// Readers of Parquet objects, of which those of small ones share their decompressors.
pub(super) struct SharedDecompressors {
    readers: DefaultParquetFileReaderFactory,
    idle: Arc<Idle>,
}

type Idle = Mutex<Vec<Decompressor<'static>>>;

impl SharedDecompressors {
    pub(super) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { readers: DefaultParquetFileReaderFactory::new(store), idle: Arc::default() }
    }
}

impl fmt::Debug for SharedDecompressors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedDecompressors").finish_non_exhaustive()
    }
}

impl ParquetFileReaderFactory for SharedDecompressors {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let size = file.object_meta.size;
        let range = file.range.as_ref().map(|range| range.start..range.end);
        let inner = self.readers.create_reader(partition, file, hint, metrics)?;
        let is_whole = range.as_ref().is_none_or(|range| range.start <= 0 && range.end as u64 >= size);
        if size > SMALL || !is_whole {
            return Ok(inner);
        }
        Ok(Box::new(SmallObject { inner, idle: Arc::clone(&self.idle), has_range: range.is_some(), chunks: None }))
    }
}

/// A Parquet object whose reader sees it without compression.
struct SmallObject {
    inner: Box<dyn AsyncFileReader + Send>,
    idle: Arc<Idle>,
    /// DataFusion reads the row groups whose first column lies in a range, though it be all of the object: without compression, only the
    /// first of them is sure to.
    has_range: bool,
    /// What stands for its column chunks, in the order of their places; empty: it is read as it is; `None`: not known yet.
    chunks: Option<Vec<Chunk>>,
}

/// A column chunk: where the reader finds it, and what it is made of.
struct Chunk {
    place: Range<u64>,
    bytes: Bytes,
    /// `None`: it is as it is.
    pages: Option<Vec<Page>>,
}

/// A page: its header, as it would be without compression, and where its values are in the chunk.
struct Page {
    header: Vec<u8>,
    values: Range<usize>,
    uncompressed: usize,
}

impl Chunk {
    /// Pages of a zstd chunk; `None` where they are not all as expected: the reader is to say what is wrong then.
    fn pages(bytes: &[u8]) -> Option<Vec<Page>> {
        let mut pages = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (header, values) = Header::parse(rest)?;
            let (DATA | DICTIONARY, true) = (header.page_type, header.compressed <= values.len()) else { return None };
            let start = bytes.len() - values.len();
            pages.push(Page {
                header: header.resized(header.uncompressed),
                values: start..start + header.compressed,
                uncompressed: header.uncompressed,
            });
            rest = &values[header.compressed..];
        }
        Some(pages)
    }

    /// Bytes that the reader sees.
    fn length(&self) -> usize {
        match &self.pages {
            Some(pages) => pages.iter().map(|page| page.header.len() + page.uncompressed).sum(),
            None => self.bytes.len(),
        }
    }

    /// What the reader sees.
    fn decompressed(&self, decompressor: &mut Decompressor) -> Result<Bytes> {
        let Some(pages) = &self.pages else { return Ok(self.bytes.clone()) };
        let mut out = Vec::with_capacity(self.length());
        for page in pages {
            out.extend_from_slice(&page.header);
            let end = out.len() + page.uncompressed;
            // A page of NULLs alone may have no values.
            if page.uncompressed > 0 {
                let mut behind = Cursor::new(&mut out);
                behind.set_position(behind.get_ref().len() as u64);
                decompressor.decompress_to_buffer(&self.bytes[page.values.clone()], &mut behind)?;
            }
            if out.len() != end {
                return Err(ParquetError::General("a page has not the size that its header says".to_owned()));
            }
        }
        Ok(out.into())
    }
}

impl SmallObject {
    /// The footer as the reader is to see it.
    async fn open(&mut self, options: Option<&ArrowReaderOptions>) -> Result<Arc<ParquetMetaData>> {
        let metadata = self.inner.get_metadata(options).await?;
        let columns: Vec<_> = metadata.row_groups().iter().flat_map(|group| group.columns()).collect();
        let stays_in_range = !self.has_range || metadata.num_row_groups() <= 1;
        let chunks = if stays_in_range && columns.iter().any(|column| is_zstd(column)) && are_within(&columns, SMALL) {
            let ranges = columns.iter().map(|column| byte_range(column)).collect();
            let bytes = self.inner.get_byte_ranges(ranges).await?;
            arranged(&columns, bytes)
        } else {
            None
        };
        let metadata = match &chunks {
            Some(chunks) => Arc::new(without_compression(&metadata, chunks)?),
            None => metadata,
        };
        self.chunks = Some(chunks.unwrap_or_default());
        Ok(metadata)
    }

    /// Ranges of what the reader sees; `None` where it sees the object as it is.
    fn decompressed(&self, ranges: &[Range<u64>]) -> Result<Option<Vec<Bytes>>> {
        let Some(chunks) = self.chunks.as_ref().filter(|chunks| !chunks.is_empty()) else { return Ok(None) };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut decompressor = idle.map_or_else(Decompressor::new, Ok)?;
        let parts = ranges.iter().map(|range| {
            let outside = || ParquetError::General("a range is in no column".to_owned());
            let chunk = &chunks[chunks.partition_point(|chunk| chunk.place.end <= range.start).min(chunks.len() - 1)];
            let start = range.start.checked_sub(chunk.place.start).ok_or_else(outside)?;
            if range.end > chunk.place.end || range.end < range.start {
                return Err(outside());
            }
            let end = start + range.end - range.start;
            Ok(chunk.decompressed(&mut decompressor)?.slice(start as usize..end as usize))
        });
        let parts = parts.collect::<Result<_>>()?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(decompressor);
        Ok(Some(parts))
    }
}

impl AsyncFileReader for SmallObject {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let parts = self.get_byte_ranges(vec![range]).await?;
            parts.into_iter().next().ok_or_else(|| ParquetError::General("a range is missing".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            // DataFusion may get the footer from one reader, and the columns from another.
            if self.chunks.is_none() {
                self.open(None).await?;
            }
            match self.decompressed(&ranges)? {
                Some(parts) => Ok(parts),
                None => self.inner.get_byte_ranges(ranges).await,
            }
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        self.open(options).boxed()
    }
}

fn is_zstd(column: &ColumnChunkMetaData) -> bool {
    matches!(column.compression(), Compression::ZSTD(_))
}

/// As [`ColumnChunkMetaData::byte_range`], which panics.
fn byte_range(column: &ColumnChunkMetaData) -> Range<u64> {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let start = u64::try_from(start).unwrap_or(u64::MAX);
    start..start.saturating_add(u64::try_from(column.compressed_size()).unwrap_or(u64::MAX))
}

/// Whether all columns are where an object of so many bytes can have them, and are not more than it.
fn are_within(columns: &[&ColumnChunkMetaData], size: u64) -> bool {
    let mut ranges = columns.iter().map(|column| byte_range(column));
    let bytes: u64 = ranges.clone().map(|range| range.end - range.start).fold(0, u64::saturating_add);
    bytes <= size && ranges.all(|range| range.end <= size)
}

/// The chunks of an object one behind the other, as the reader is to find them; `None`: it is better read as it is.
fn arranged(columns: &[&ColumnChunkMetaData], bytes: Vec<Bytes>) -> Option<Vec<Chunk>> {
    let mut place = 0;
    let mut chunks = Vec::with_capacity(columns.len());
    for (column, bytes) in columns.iter().zip(bytes) {
        let pages = if is_zstd(column) { Some(Chunk::pages(&bytes)?) } else { None };
        let mut chunk = Chunk { place: 0..0, bytes, pages };
        let length = chunk.length();
        chunk.place = place..place + length as u64;
        place = chunk.place.end;
        if place > MOST as u64 {
            return None;
        }
        chunks.push(chunk);
    }
    Some(chunks)
}

/// A footer whose columns are at the places of the chunks. Indexes and filters are of no use for an object that is there as a whole.
fn without_compression(metadata: &ParquetMetaData, chunks: &[Chunk]) -> Result<ParquetMetaData> {
    let mut chunks: VecDeque<_> = chunks.iter().collect();
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let mut columns = Vec::with_capacity(group.num_columns());
        for (column, chunk) in group.columns().iter().zip(chunks.drain(..group.num_columns().min(chunks.len()))) {
            let start = chunk.place.start as i64;
            let dictionary = column.dictionary_page_offset();
            let dictionary_bytes = match &chunk.pages {
                Some(pages) => pages.first().map_or(0, |page| (page.header.len() + page.uncompressed) as i64),
                None => column.data_page_offset() - dictionary.unwrap_or(0),
            };
            let data = if dictionary.is_some() { start + dictionary_bytes } else { start };
            let codec = if chunk.pages.is_some() { Compression::UNCOMPRESSED } else { column.compression() };
            let column = column.clone().into_builder();
            columns.push(
                column
                    .set_compression(codec)
                    .set_total_compressed_size((chunk.place.end - chunk.place.start) as i64)
                    .set_dictionary_page_offset(dictionary.map(|_| start))
                    .set_data_page_offset(data)
                    .set_index_page_offset(None)
                    .set_bloom_filter_offset(None)
                    .set_bloom_filter_length(None)
                    .set_column_index_offset(None)
                    .set_column_index_length(None)
                    .set_offset_index_offset(None)
                    .set_offset_index_length(None)
                    .build()?,
            );
        }
        groups.push(group.clone().into_builder().set_column_metadata(columns).build()?);
    }
    let builder = metadata.clone().into_builder().set_column_index(None).set_offset_index(None);
    Ok(builder.set_row_groups(groups).build())
}

#[cfg(test)]
mod tests;
