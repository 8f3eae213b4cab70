//! An object store that serves only the objects a run has fixed, and only in the version that it fixed.
//!
//! DataFusion's readers send no condition, so that a file replaced between two requests would be read as a mixture. Here
//! every request carries the etag or version that was listed, and a path that was not listed does not exist.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct PinnedStore {
    inner: Arc<dyn ObjectStore>,
    /// What each object is asked for with.
    pins: HashMap<Path, GetOptions>,
    bytes_read: Arc<AtomicU64>,
}

/// Asks for an object in the version that was listed. A version id names one for good; an etag only holds as a condition.
pub(crate) fn pinned(meta: &ObjectMeta) -> GetOptions {
    let if_match = meta.e_tag.clone().filter(|_| meta.version.is_none());
    GetOptions { if_match, version: meta.version.clone(), ..GetOptions::default() }
}

impl PinnedStore {
    /// Serves the given objects of a store; the bytes it hands out are added to `bytes_read`.
    pub(crate) fn new<'a>(
        inner: Arc<dyn ObjectStore>,
        objects: impl IntoIterator<Item = &'a ObjectMeta>,
        bytes_read: Arc<AtomicU64>,
    ) -> Self {
        let pins = objects.into_iter().map(|meta| (meta.location.clone(), pinned(meta))).collect();
        Self { inner, pins, bytes_read }
    }

    fn refused(&self, action: &'static str) -> Error {
        Error::NotSupported { source: format!("{action} through a store of fixed inputs").into() }
    }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pinned objects of {}", self.pins.len(), self.inner)
    }
}

#[async_trait]
impl ObjectStore for PinnedStore {
    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        let Some(pin) = self.pins.get(location) else {
            return Err(Error::NotFound {
                path: location.to_string(),
                source: "not among the inputs of this run".into(),
            });
        };
        options.version.clone_from(&pin.version);
        options.if_match.clone_from(&pin.if_match);
        let result = self.inner.get_opts(location, options).await?;
        self.bytes_read.fetch_add(result.range.end - result.range.start, Ordering::Relaxed);
        Ok(result)
    }

    fn list(&self, _prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let refused = self.refused("listing");
        stream::once(async move { Err(refused) }).boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        Err(self.refused("listing"))
    }

    async fn put_opts(&self, _location: &Path, _payload: PutPayload, _options: PutOptions) -> Result<PutResult> {
        Err(self.refused("writing"))
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(self.refused("writing"))
    }

    fn delete_stream(&self, _locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let refused = self.refused("deleting");
        stream::once(async move { Err(refused) }).boxed()
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(self.refused("copying"))
    }
}
