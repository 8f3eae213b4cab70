//! Pages of files that are not complete: in memory as long as there is room, then in temporary files.
//!
//! A Parquet file is written column by column, so that the pages of all columns have to wait for the end of their row group.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::spill_file::SpillFile;
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

/// A temporary file.
pub(super) struct Segment {
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

    /// Keeps a page until it is read.
    pub(super) fn keep(self: &Arc<Self>, page: Bytes) -> Result<Page> {
        if self.reserve(page.len()) {
            return Ok(Page::Resident(Arc::new(Resident { spool: Arc::clone(self), page })));
        }
        let (segment, at) = self.write(&page)?;
        Ok(Page::OnDisk { segment, at, bytes: page.len() })
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

    fn read(&self, at: u64, bytes: usize) -> io::Result<Bytes> {
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

/// A page that waits.
#[derive(Clone)]
pub(super) enum Page {
    /// In memory.
    Resident(Arc<Resident>),
    /// In a temporary file.
    OnDisk { segment: Arc<Segment>, at: u64, bytes: usize },
}

/// A page in memory; its room is given back with it.
pub(super) struct Resident {
    spool: Arc<Spool>,
    page: Bytes,
}

impl Page {
    /// Bytes in the file.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Resident(resident) => resident.page.len() as u64,
            Self::OnDisk { bytes, .. } => *bytes as u64,
        }
    }

    /// Bytes of memory.
    pub(super) fn resident(&self) -> usize {
        if let Self::Resident(resident) = self { resident.page.len() } else { 0 }
    }

    pub(super) fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Resident(resident) => Ok(resident.page.clone()),
            Self::OnDisk { segment, at, bytes } => segment.read(*at, *bytes),
        }
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.spool.resident.fetch_sub(self.page.len(), Ordering::Relaxed);
    }
}
