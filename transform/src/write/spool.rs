//! Pages of files that are not complete: in memory as long as there is room, then in temporary files.
//!
//! A Parquet file is written column by column, so that the pages of all columns have to wait for the end of their row group.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::spill_file::SpillFile;
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result};

/// A temporary file is deleted once all of its pages were taken out: the smaller it is, the sooner.
const SEGMENT: u64 = 32 << 20;

/// The pages of all open files.
pub(super) struct Spool {
    /// Bytes that may stay in memory.
    room: usize,
    resident: AtomicUsize,
    disk: Arc<DiskManager>,
    /// The file that is being written to.
    current: Mutex<Option<Arc<Segment>>>,
}

struct Segment {
    /// The open file, and the bytes written to it.
    content: Mutex<(File, u64)>,
    /// Deletes the file in the end.
    _file: Arc<dyn SpillFile>,
}

impl Spool {
    pub(super) fn new(room: usize, disk: Arc<DiskManager>) -> Self {
        Self { room, resident: AtomicUsize::new(0), disk, current: Mutex::new(None) }
    }

    /// Whether pages go to disk by now.
    pub(super) fn is_full(&self) -> bool {
        self.resident.load(Ordering::Relaxed) > self.room / 4 * 3
    }

    /// Takes room in memory, if there is any.
    fn reserve(&self, bytes: usize) -> bool {
        let taken = self.resident.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |resident| {
            resident.checked_add(bytes).filter(|resident| *resident <= self.room)
        });
        taken.is_ok()
    }

    /// Writes a page to disk; returns where it is.
    fn write(&self, page: &Bytes) -> Result<(Arc<Segment>, u64)> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let segment = match current.take() {
            Some(segment) => segment,
            None => Arc::new(Segment::create(&self.disk)?),
        };
        let at = segment.append(page)?;
        if at + (page.len() as u64) < SEGMENT {
            *current = Some(Arc::clone(&segment));
        }
        Ok((segment, at))
    }
}

impl Segment {
    fn create(disk: &Arc<DiskManager>) -> Result<Self> {
        let file = disk.create_tmp_file("Parquet pages").map_err(|error| ParquetError::External(Box::new(error)))?;
        let path = file.path().ok_or_else(|| ParquetError::General("temporary files are not on a disk".to_owned()))?;
        let opened = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { content: Mutex::new((opened, 0)), _file: file })
    }

    /// Returns where the page is.
    fn append(&self, page: &Bytes) -> Result<u64> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, length) = &mut *content;
        let at = *length;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(page)?;
        *length += page.len() as u64;
        Ok(at)
    }

    fn read(&self, at: u64, bytes: usize) -> Result<Bytes> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, _) = &mut *content;
        let mut page = vec![0; bytes];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut page)?;
        Ok(page.into())
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pages of up to {} bytes in memory", self.room)
    }
}

/// Makes the stores of columns; a type of its own, because each keeps a share of the spool.
#[derive(Debug)]
pub(super) struct Spooled(pub(super) Arc<Spool>);

impl PageStoreFactory for Spooled {
    fn create(&self, _args: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        Ok(Box::new(ColumnPages { spool: Arc::clone(&self.0), pages: Vec::new() }))
    }
}

/// The pages of one column of a row group.
struct ColumnPages {
    spool: Arc<Spool>,
    pages: Vec<Page>,
}

enum Page {
    Memory(Bytes),
    Disk { segment: Arc<Segment>, at: u64, bytes: usize },
    Taken,
}

impl PageStore for ColumnPages {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let key = PageKey::new(self.pages.len() as u64);
        self.pages.push(match self.spool.reserve(value.len()) {
            true => Page::Memory(value),
            false => {
                let (segment, at) = self.spool.write(&value)?;
                Page::Disk { segment, at, bytes: value.len() }
            }
        });
        Ok(key)
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let page = usize::try_from(key.get()).ok().and_then(|index| self.pages.get_mut(index));
        match page.map_or(Page::Taken, |page| std::mem::replace(page, Page::Taken)) {
            Page::Memory(page) => {
                self.spool.resident.fetch_sub(page.len(), Ordering::Relaxed);
                Ok(page)
            }
            Page::Disk { segment, at, bytes } => segment.read(at, bytes),
            Page::Taken => Err(ParquetError::General("a page was taken twice".to_owned())),
        }
    }

    fn memory_size(&self) -> usize {
        let in_memory = |page: &Page| if let Page::Memory(page) = page { page.len() } else { 0 };
        self.pages.iter().map(in_memory).sum()
    }
}

impl Drop for ColumnPages {
    /// Pages that nobody took, because the run has failed.
    fn drop(&mut self) {
        let left = self.memory_size();
        self.spool.resident.fetch_sub(left, Ordering::Relaxed);
    }
}
