//! Where objects lie: URLs of the catalog to object stores and paths, and back.
//!
//! A location is raw text, `s3://bucket/key` or `file:///folder/file`: nothing in it is percent-encoded, because keys may
//! hold `%` themselves (Hive encodes partition values with it).

use std::fmt;
use std::sync::Arc;

use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::table::TableName;

/// One object store under its base URL, `s3://bucket/`, `file:///` or `memory://name/`.
#[derive(Clone)]
pub struct Bucket {
    /// Base URL, ending in `/`.
    pub base: String,
    /// The store; its paths are relative to `base`.
    pub store: Arc<dyn ObjectStore>,
    /// The same store's low-level multipart uploads, where it has them: they can be completed by another process.
    /// A local disk has none; files are staged hidden and renamed.
    pub multipart: Option<Arc<dyn MultipartStore>>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.base).finish()
    }
}

/// The data folder of a project: a bucket and a prefix in it.
///
/// Database `d`'s table `t` lives under `d/t/`, unglue's own records under `_unglue/`.
#[derive(Debug, Clone)]
pub struct DataRoot {
    bucket: Bucket,
    prefix: Path,
}

impl DataRoot {
    /// A folder of a bucket.
    pub fn new(bucket: Bucket, prefix: Path) -> Self {
        Self { bucket, prefix }
    }

    /// The object store.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.bucket.store
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Whether objects are listed in the order of their names: a local disk has none.
    pub(crate) fn lists_in_order(&self) -> bool {
        !self.bucket.base.starts_with("file:")
    }

    /// Path of the folder itself.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Path of a folder or object below this one; `below` is raw text with `/` between segments.
    ///
    /// # Errors
    /// [`Code::Storage`] if a segment is empty, `.` or `..`.
    pub fn path(&self, below: &str) -> Result<Path> {
        let separator = if self.prefix.as_ref().is_empty() { "" } else { "/" };
        parse(&format!("{}{separator}{below}", self.prefix))
    }

    /// Where a table's objects lie unless the catalog says otherwise.
    pub fn table_location(&self, name: &TableName) -> String {
        let separator = if self.prefix.as_ref().is_empty() { "" } else { "/" };
        format!("{}{}{separator}{}/{}/", self.bucket.base, self.prefix, name.database, name.table)
    }

    /// URL of an object of this bucket.
    pub fn url(&self, path: &Path) -> String {
        format!("{}{path}", self.bucket.base)
    }

    /// Path of a URL of this bucket; a final `/` is dropped.
    ///
    /// # Errors
    /// [`Code::NotSupported`] for a URL of another bucket, [`Code::Storage`] for one that no path can name.
    pub fn path_of(&self, url: &str) -> Result<Path> {
        let Some(key) = url.strip_prefix(&self.bucket.base) else {
            return Err(Error::new(
                Code::NotSupported,
                format!("`{url}` lies outside the data folder's bucket `{}`", self.bucket.base),
            ));
        };
        parse(key.trim_end_matches('/'))
    }

    /// URL relative to the data folder, where it lies inside it: what the embedded catalog keeps, so that a data folder can
    /// be moved as a whole.
    pub fn relative<'a>(&self, url: &'a str) -> Option<&'a str> {
        let inside = url.strip_prefix(&self.bucket.base)?.strip_prefix(self.prefix.as_ref())?;
        if self.prefix.as_ref().is_empty() { Some(inside) } else { inside.strip_prefix('/') }
    }

    /// The URL of a text that [`DataRoot::relative`] gave.
    pub fn absolute(&self, relative: &str) -> String {
        let separator = if self.prefix.as_ref().is_empty() { "" } else { "/" };
        format!("{}{}{separator}{relative}", self.bucket.base, self.prefix)
    }

    /// Reads a small object whole; `None` if it does not exist.
    ///
    /// # Errors
    /// The storage's own, as [`Code`] has them.
    pub async fn read(&self, path: &Path) -> Result<Option<bytes::Bytes>> {
        match self.bucket.store.get(path).await {
            Ok(result) => Ok(Some(result.bytes().await.map_err(|error| storage(&self.url(path), error))?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(storage(&self.url(path), error)),
        }
    }

    /// Creates a small object; `false` if it exists already, whoever made it.
    ///
    /// # Errors
    /// The storage's own, as [`Code`] has them.
    pub async fn create(&self, path: &Path, content: Vec<u8>) -> Result<bool> {
        match self.bucket.store.put_opts(path, content.into(), object_store::PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(storage(&self.url(path), error)),
        }
    }
}

fn parse(key: &str) -> Result<Path> {
    Path::parse(key).map_err(|error| {
        Error::new(Code::Storage, format!("the key `{key}` cannot be used: {error}"))
            .help("rename the object or folder")
    })
}

/// The engine's error for a store's, by what the reader must do.
pub fn storage(object: &str, error: object_store::Error) -> Error {
    use object_store::Error as E;
    let (code, message) = match &error {
        E::NotFound { .. } if is_missing_bucket(&error.to_string()) => return refused(object, error),
        E::NotFound { .. } => (Code::ObjectGone, "the object does not exist (any more)".to_owned()),
        E::Precondition { .. } | E::NotModified { .. } => {
            (Code::ObjectChanged, "the object was replaced while it was being read".to_owned())
        }
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => return refused(object, error),
        other => match io_kind(other) {
            Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem) => {
                (Code::PermissionDenied, "the folder or file may not be read or written".to_owned())
            }
            Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) => {
                (Code::DiskFull, "no space is left".to_owned())
            }
            Some(std::io::ErrorKind::NotFound) => (Code::ObjectGone, "the object does not exist (any more)".to_owned()),
            _ => return refused(object, error),
        },
    };
    let error = Error::new(code, message).in_object(object, None).because(error);
    match code {
        Code::PermissionDenied => error.help("correct the permissions and run again"),
        Code::DiskFull => error.help("free some space and run again"),
        _ => error,
    }
}

/// The store's message with the operating system's, which it may leave out.
fn with_cause(error: &object_store::Error) -> String {
    let message = error.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let cause = cause.to_string();
    if message.contains(&cause) { message } else { format!("{message}: {cause}") }
}

/// What the storage refused. Stores give a server's answer as text only: its status, and often XML that says more.
fn refused(object: &str, error: object_store::Error) -> Error {
    use object_store::Error as E;
    let answer = error.to_string();
    let denied = matches!(error, E::PermissionDenied { .. } | E::Unauthenticated { .. })
        || ["403 Forbidden", "401 Unauthorized"].iter().any(|status| answer.contains(status));
    let refusal = if is_missing_bucket(&answer) {
        Error::new(Code::NotFound, "the bucket does not exist").help("correct `--data`, or create the bucket")
    } else if denied {
        let reason = xml_text(&answer, "Message").unwrap_or(&answer);
        Error::new(Code::PermissionDenied, format!("the storage refuses: {}", reason.trim_end_matches('.')))
            .help("check the credentials, and what they may do in the bucket")
    } else {
        Error::new(Code::Storage, with_cause(&error))
            .help("run again; if it stays, mend what the storage complains about")
    };
    refusal.in_object(object, None).because(error)
}

fn is_missing_bucket(answer: &str) -> bool {
    xml_text(answer, "Code") == Some("NoSuchBucket")
}

/// The text of the first element of this name.
fn xml_text<'a>(xml: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    Some(rest.split_once(&format!("</{element}>"))?.0)
}

/// The operating system's error at the bottom of a chain of causes.
pub(crate) fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut cause = Some(error);
    let mut found = None;
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            found = Some(io.kind());
            // A library's error in the dress of an I/O error may have a real one below it.
            if io.kind() != std::io::ErrorKind::Other {
                break;
            }
        }
        cause = current.source();
    }
    found
}
