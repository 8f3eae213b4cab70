//! Staging: files are written where no reader sees them, and published by anyone who holds the commit record.
//!
//! On a store with low-level multipart uploads a staged file is an upload that is not completed. On a local disk it is a
//! file in the ledger's folder, which is renamed into place.

use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error as StoreError, MultipartUpload, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::store::{DataRoot, storage};

/// Size of an uploaded part in bytes. S3 takes at least 5 MiB for all but the last.
pub(crate) const PART_SIZE: usize = 8 << 20;

/// A complete file that no reader sees yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Staged {
    /// Path at which it will become visible.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Where it is until then.
    pub(crate) held: Held,
}

/// Where a staged file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Held {
    /// An upload that is not completed, with its parts in order.
    Upload { id: String, parts: Vec<String> },
    /// A hidden file.
    File { path: String },
}

/// Where a run stages its files.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    root: DataRoot,
    /// Folder of hidden files, inside the run's folder of the ledger.
    folder: Path,
}

impl Stage {
    pub(crate) fn new(root: DataRoot, folder: Path) -> Self {
        Self { root, folder }
    }

    /// Begins a file that is to appear at `path`; `index` is unique within this attempt of the run, and `attempt` within
    /// the run, so that two workers on one run never write to the same hidden file.
    pub(crate) async fn create(&self, path: Path, attempt: &str, index: usize) -> Result<StagedWriter> {
        let object = self.root.url(&path);
        let target = match &self.root.bucket().multipart {
            Some(store) => {
                let id = store.create_multipart(&path).await.map_err(|error| storage(&object, error))?;
                Target::Upload { store: Arc::clone(store), id, parts: Vec::new() }
            }
            None => {
                let hidden = Path::parse(format!("{}/{attempt}-{index}", self.folder))
                    .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
                let upload = self.root.store().put_multipart(&hidden).await.map_err(|error| storage(&object, error))?;
                Target::File { upload, path: hidden }
            }
        };
        Ok(StagedWriter { path, object, size: 0, target })
    }

    /// Makes a staged file visible. May be repeated, by anyone, also after it has succeeded.
    ///
    /// # Errors
    /// The storage's; nothing is known then, and the call is to be repeated.
    pub(crate) async fn publish(&self, staged: &Staged) -> Result<Published> {
        let path = parse(&staged.path)?;
        let object = self.root.url(&path);
        let outcome = match (&staged.held, &self.root.bucket().multipart) {
            (Held::Upload { id, parts }, Some(store)) => {
                let parts = parts.iter().map(|content_id| PartId { content_id: content_id.clone() }).collect();
                store.complete_multipart(&path, id, parts).await.map(|_| ())
            }
            (Held::File { path: hidden }, _) => self.root.store().rename_if_not_exists(&parse(hidden)?, &path).await,
            (Held::Upload { .. }, None) => {
                return Err(
                    Error::new(Code::Internal, "the run was staged on another kind of storage").in_object(object, None)
                );
            }
        };
        let Err(error) = outcome else { return Ok(Published::Visible) };
        // A repeated completion fails in a way of the store's own; what counts is whether the file is there.
        match self.root.store().head(&path).await {
            Ok(meta) if meta.size == staged.size => {
                self.discard_hidden(staged).await?;
                Ok(Published::Visible)
            }
            Err(StoreError::NotFound { .. }) if is_gone(&error) => Ok(Published::Lost),
            _ => Err(storage(&object, error)),
        }
    }

    async fn discard_hidden(&self, staged: &Staged) -> Result<()> {
        match &staged.held {
            Held::File { path } => self.delete(path).await,
            Held::Upload { .. } => Ok(()),
        }
    }

    /// Removes a file, visible or hidden, if it is there.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        match self.root.store().delete(&parse(path)?).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(storage(path, error)),
        }
    }

    /// Gives up a staged file, so that nobody can publish it any more. One that is visible already stays.
    pub(crate) async fn discard(&self, staged: &Staged) -> Result<()> {
        let (Held::Upload { id, .. }, Some(store)) = (&staged.held, &self.root.bucket().multipart) else {
            return self.discard_hidden(staged).await;
        };
        match store.abort_multipart(&parse(&staged.path)?, id).await {
            Ok(()) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(storage(&staged.path, error)),
        }
    }
}

/// What became of a staged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// Readers see it.
    Visible,
    /// The storage has forgotten it (uploads that are not completed expire): its rows must be written again.
    Lost,
}

/// Whether an error says that an upload or a file does not exist: for uploads some stores have only a text for it.
fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::NotFound { .. })
        || ["NoSuchUpload", "MultipartUpload not found"].iter().any(|text| error.to_string().contains(text))
}

fn parse(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|error| Error::new(Code::CatalogDamaged, format!("bad path `{path}`: {error}")))
}

/// A file being staged.
pub(crate) struct StagedWriter {
    path: Path,
    object: String,
    size: u64,
    target: Target,
}

enum Target {
    Upload { store: Arc<dyn MultipartStore>, id: String, parts: Vec<String> },
    File { upload: Box<dyn MultipartUpload>, path: Path },
}

impl StagedWriter {
    /// Appends a part of at least [`PART_SIZE`] bytes, or the last one.
    pub(crate) async fn write(&mut self, part: Bytes) -> Result<()> {
        self.size += part.len() as u64;
        let payload = PutPayload::from_bytes(part);
        match &mut self.target {
            Target::Upload { store, id, parts } => {
                let stored = store.put_part(&self.path, id, parts.len(), payload).await;
                parts.push(stored.map_err(|error| storage(&self.object, error))?.content_id);
            }
            Target::File { upload, .. } => {
                upload.put_part(payload).await.map_err(|error| storage(&self.object, error))?;
            }
        }
        Ok(())
    }

    /// The staged file, complete.
    pub(crate) async fn finish(self) -> Result<Staged> {
        let held = match self.target {
            Target::Upload { id, parts, .. } => Held::Upload { id, parts },
            Target::File { mut upload, path } => {
                upload.complete().await.map_err(|error| storage(&self.object, error))?;
                Held::File { path: path.to_string() }
            }
        };
        Ok(Staged { path: self.path.to_string(), size: self.size, held })
    }

    /// Gives the file up. Failing to do so leaves rubbish that readers do not see, so errors are only logged.
    pub(crate) async fn abort(self) {
        let outcome = match self.target {
            Target::Upload { store, id, .. } => store.abort_multipart(&self.path, &id).await,
            Target::File { mut upload, .. } => upload.abort().await,
        };
        if let Err(error) = outcome {
            tracing::warn!(object = self.object, %error, "an unfinished upload could not be aborted");
        }
    }
}
