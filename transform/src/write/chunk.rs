//! One column of a row group: its pages while they are encoded, and what is put into the file in the end.

use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowLeafColumn};
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::SerializedRowGroupWriter;

use super::compress::Compression;
use super::spool::{Page, Spool};

/// Pages that are complete.
#[derive(Default)]
struct Pages {
    /// Of the page whose values come next.
    header: Bytes,
    dictionary: Option<Page>,
    data: Vec<Page>,
    /// Bytes as they came from the column writer.
    raw: u64,
    /// Bytes as they will lie in the file.
    bytes: u64,
    uncompressed: u64,
}

impl Pages {
    /// Bytes in memory.
    fn resident(&self) -> usize {
        self.dictionary.iter().chain(&self.data).map(Page::resident).sum()
    }
}

/// Bytes of memory of a column writer at most: without values, and for each byte that it has encoded and not yet made a page of.
const LEAST_MEMORY: usize = 8 << 10;
const MEMORY_FOR_BYTE: usize = 3;

/// A column writer, and the pages that it has completed.
pub(super) struct OpenChunk {
    writer: ArrowColumnWriter,
    pages: Arc<Mutex<Pages>>,
}

impl OpenChunk {
    pub(super) fn write(&mut self, values: &ArrowLeafColumn) -> Result<()> {
        self.writer.write(values)
    }

    /// Bytes of memory. Of what an encoder has set aside only what it has written to counts: a megabyte for each column of integers
    /// would be counted otherwise, of which a few pages are touched.
    pub(super) fn memory(&self) -> usize {
        let pages = lock(&self.pages);
        let unfinished = self.writer.get_estimated_total_bytes().saturating_sub(pages.raw as usize);
        let resident = pages.resident();
        drop(pages);
        resident + (self.writer.memory_size() - resident).min(LEAST_MEMORY + MEMORY_FOR_BYTE * unfinished)
    }

    /// Bytes that it will have in the file, roughly.
    pub(super) fn bytes(&self) -> u64 {
        let pages = lock(&self.pages);
        (self.writer.get_estimated_total_bytes() as u64).saturating_sub(pages.raw) + pages.bytes
    }

    pub(super) fn close(self, compression: &Compression) -> Result<Chunk> {
        let mut close = self.writer.close()?.close().clone();
        let pages = mem::take(&mut *lock(&self.pages));
        if let Some(codec) = compression.codec() {
            close.bytes_written = pages.bytes;
            close.metadata = close
                .metadata
                .into_builder()
                .set_compression_codec(codec.into())
                .set_total_compressed_size(signed(pages.bytes)?)
                .set_total_uncompressed_size(signed(pages.uncompressed)?)
                .build()?;
            let mut offset = 0;
            let locations = close.offset_index.iter_mut().flat_map(|index| &mut index.page_locations);
            for (location, page) in locations.zip(&pages.data) {
                location.offset = signed(offset)?;
                location.compressed_page_size = signed(page.len())?;
                offset += page.len();
            }
        }
        // The column writer knows its dictionary last; in the file it comes first.
        let close = close.update_dictionary_location(pages.dictionary.as_ref().map_or(0, Page::len) as usize)?;
        Ok(Chunk { close, pages: InFileOrder(pages.dictionary.into_iter().chain(pages.data).collect()) })
    }
}

fn signed<T: TryFrom<u64>>(bytes: u64) -> Result<T> {
    T::try_from(bytes).map_err(|_| ParquetError::General(format!("{bytes} bytes are more than Parquet can say")))
}

fn lock(pages: &Mutex<Pages>) -> MutexGuard<'_, Pages> {
    pages.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the chunks of one column.
pub(super) struct Chunks {
    spool: Arc<Spool>,
    compression: Arc<Compression>,
    /// Pages of column writers that are being made.
    made: Mutex<Vec<Arc<Mutex<Pages>>>>,
}

impl Chunks {
    pub(super) fn new(spool: &Arc<Spool>, compression: &Arc<Compression>) -> Self {
        Self { spool: Arc::clone(spool), compression: Arc::clone(compression), made: Mutex::default() }
    }

    /// The chunks of writers that were made by this factory, in one go.
    pub(super) fn open(&self, writers: Vec<ArrowColumnWriter>) -> Vec<OpenChunk> {
        let made = mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        writers.into_iter().zip(made).map(|(writer, pages)| OpenChunk { writer, pages }).collect()
    }

    pub(super) fn compression(&self) -> &Compression {
        &self.compression
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("column chunks")
    }
}

impl PageStoreFactory for Chunks {
    fn create(&self, _args: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        let pages = Arc::default();
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&pages));
        Ok(Box::new(Incoming {
            spool: Arc::clone(&self.spool),
            compression: Arc::clone(&self.compression),
            pages,
            puts: 0,
        }))
    }
}

/// Takes the pages of a column writer, each in two pieces: the header, then the values.
struct Incoming {
    spool: Arc<Spool>,
    compression: Arc<Compression>,
    pages: Arc<Mutex<Pages>>,
    puts: u64,
}

impl PageStore for Incoming {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let key = PageKey::new(self.puts);
        self.puts += 1;
        let mut pages = lock(&self.pages);
        pages.raw += value.len() as u64;
        if key.get().is_multiple_of(2) {
            pages.header = value;
            return Ok(key);
        }
        let page = self.compression.page(&mem::take(&mut pages.header), &value)?;
        pages.bytes += page.bytes.len() as u64;
        pages.uncompressed += page.uncompressed;
        let kept = self.spool.keep(page.bytes)?;
        if page.is_dictionary {
            pages.dictionary = Some(kept)
        } else {
            pages.data.push(kept)
        }
        Ok(key)
    }

    fn take(&mut self, _key: PageKey) -> Result<Bytes> {
        Err(ParquetError::General("pages are taken from their chunk".to_owned()))
    }

    fn memory_size(&self) -> usize {
        lock(&self.pages).resident()
    }
}

/// One column of a row group that is complete.
pub(super) struct Chunk {
    close: ColumnCloseResult,
    pages: InFileOrder,
}

impl Chunk {
    /// Bytes in the file.
    pub(super) fn bytes(&self) -> u64 {
        self.close.bytes_written
    }

    /// Puts it into the row group that is being written.
    pub(super) fn append(self, row_group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<()> {
        row_group.append_column(&self.pages, self.close)
    }
}

/// The pages of a chunk, the dictionary first.
struct InFileOrder(Vec<Page>);

impl Length for InFileOrder {
    fn len(&self) -> u64 {
        self.0.iter().map(Page::len).sum()
    }
}

impl ChunkReader for InFileOrder {
    type T = Reader;

    fn get_read(&self, _start: u64) -> Result<Reader> {
        Ok(Reader { pages: self.0.clone().into_iter(), current: Bytes::new() })
    }

    fn get_bytes(&self, _start: u64, _length: usize) -> Result<Bytes> {
        Err(ParquetError::General("a chunk is read from its start".to_owned()))
    }
}

struct Reader {
    pages: std::vec::IntoIter<Page>,
    current: Bytes,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pages.next() {
                Some(page) => self.current = page.read()?,
                None => return Ok(0),
            }
        }
        let bytes = into.len().min(self.current.len());
        self.current.copy_to_slice(&mut into[..bytes]);
        Ok(bytes)
    }
}
