//! Temporary files, open only while they are written or read.
//!
//! DataFusion's own stay open as long as they exist. What is far larger than the memory is spilled to many files, and a process may
//! have some thousand open, in a Lambda function 1,024 at most.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use futures::{Stream, TryFutureExt, TryStreamExt};
use tempfile::{Builder, TempDir, TempPath};
use tokio_util::io::ReaderStream;

/// Bytes that are read at a time.
const READ: usize = 128 << 10;

/// Makes temporary files in a folder of their own, which goes with the last of them.
pub(super) struct TemporaryFiles {
    folder: Arc<TempDir>,
}

impl TemporaryFiles {
    /// Files below a folder, which is made where only it is missing.
    pub(super) fn below(folder: &Path) -> io::Result<Self> {
        if !folder.exists() {
            // Another process may be faster.
            fs::create_dir(folder).or_else(|error| if folder.is_dir() { Ok(()) } else { Err(error) })?;
        }
        Ok(Self { folder: Arc::new(Builder::new().prefix("unglue-").tempdir_in(folder)?) })
    }
}

impl TempFileFactory for TemporaryFiles {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        let file = Builder::new().tempfile_in(self.folder.path())?;
        Ok(Arc::new(TemporaryFile { path: file.into_temp_path(), _folder: Arc::clone(&self.folder) }))
    }
}

/// Deleted with its last reference.
struct TemporaryFile {
    path: TempPath,
    _folder: Arc<TempDir>,
}

impl SpillFile for TemporaryFile {
    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn size(&self) -> Option<u64> {
        Some(fs::metadata(&self.path).ok()?.len())
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let opened = tokio::fs::File::open(self.path.to_path_buf());
        let stream = opened.map_ok(|file| ReaderStream::with_capacity(file, READ)).try_flatten_stream();
        Ok(Box::pin(stream.map_err(DataFusionError::IoError)))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(Writer(OpenOptions::new().append(true).open(&self.path)?)))
    }
}

struct Writer(File);

impl Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The files that this process has open.
    #[cfg(target_os = "linux")]
    fn open() -> HashSet<std::path::PathBuf> {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        links.filter_map(|link| fs::read_link(link.unwrap().path()).ok()).collect()
    }

    #[tokio::test]
    async fn gives_back_what_was_written() {
        let below = tempfile::tempdir().unwrap();
        let files = TemporaryFiles::below(&below.path().join("new")).unwrap();
        let file = files.create_temp_file("").unwrap();
        for part in [&b"first, "[..], b"second"] {
            let mut writer = file.open_writer().unwrap();
            writer.write_all(part).unwrap();
            writer.finish().unwrap();
        }
        assert_eq!(file.size(), Some(13));
        let read: Vec<Bytes> = file.read_stream().unwrap().try_collect().await.unwrap();
        assert_eq!(read.concat(), b"first, second");
        drop(file);
        drop(files);
        assert_eq!(fs::read_dir(below.path().join("new")).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_file_is_open_that_only_waits() {
        let below = tempfile::tempdir().unwrap();
        let files = TemporaryFiles::below(below.path()).unwrap();
        let waiting: Vec<_> = (0..100).map(|_| files.create_temp_file("").unwrap()).collect();
        waiting.iter().for_each(|file| file.open_writer().unwrap().write_all(b"rows").unwrap());
        let open = open();
        assert!(!waiting.iter().any(|file| open.contains(file.path().unwrap())), "{open:?}");
        let _writer = waiting[7].open_writer().unwrap();
        assert!(self::open().contains(waiting[7].path().unwrap()), "open files are not seen at all");
    }
}
