//! Reading ahead: small objects are fetched whole, some of them before they are asked for.
//!
//! A reader takes one object after the other. On S3 each costs tens of milliseconds, whatever its size; of small objects that
//! would be all of the time. A small Parquet object is one request here, instead of one for its footer and one for each column.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::future::{BoxFuture, Shared};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::pinned::pinned;

/// Objects of more bytes are left to their readers.
pub(crate) const SMALL: u64 = 2 << 20;
/// Objects that are fetched beyond the one that is read.
const AHEAD: usize = 32;
/// One part in so many of the memory, and bytes in any case, for objects that were fetched.
const SHARE: usize = 16;
const MOST_BYTES: usize = 32 << 20;

/// A store of objects that are read in a known order.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    inner: Arc<dyn ObjectStore>,
    small: Arc<[ObjectMeta]>,
    places: HashMap<Path, usize>,
    most_bytes: usize,
    fetched: Mutex<Fetched>,
}

/// An object, or nothing if it could not be fetched: whoever reads it then asks for it once more, and gets the error.
type Whole = Shared<BoxFuture<'static, Option<(ObjectMeta, Attributes, Bytes)>>>;

#[derive(Default)]
struct Fetched {
    /// Whether each object was asked for before.
    begun: Vec<bool>,
    held: HashMap<usize, Whole>,
    /// What is held, the oldest first.
    order: VecDeque<usize>,
    bytes: usize,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}

impl ReadAhead {
    /// The store with its objects in the order in which they will be read, within a memory limit in bytes.
    pub(crate) fn new<'a>(
        inner: Arc<dyn ObjectStore>,
        objects: impl IntoIterator<Item = &'a ObjectMeta>,
        memory: usize,
    ) -> Self {
        let small: Arc<[ObjectMeta]> = objects.into_iter().filter(|meta| meta.size <= SMALL).cloned().collect();
        let places = small.iter().enumerate().map(|(place, meta)| (meta.location.clone(), place)).collect();
        let fetched = Fetched { begun: vec![false; small.len()], ..Fetched::default() };
        Self { inner, small, places, most_bytes: (memory / SHARE).min(MOST_BYTES), fetched: Mutex::new(fetched) }
    }

    /// Begins to fetch the first objects.
    pub(crate) fn start(&self) {
        if !self.small.is_empty() {
            drop(self.whole(0));
        }
    }

    /// The object at a place, if it is held, or nobody has asked for it before; those after it are begun.
    fn whole(&self, place: usize) -> Option<Whole> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = fetched.held.get(&place).cloned().or_else(|| self.begin(&mut fetched, place));
        let mut room = self.most_bytes / 2;
        for next in (place + 1..self.small.len()).take(AHEAD) {
            let Some(left) = room.checked_sub(self.bytes(next)) else { break };
            room = left;
            self.begin(&mut fetched, next);
        }
        whole
    }

    fn bytes(&self, place: usize) -> usize {
        // None is larger than `SMALL`.
        self.small[place].size as usize
    }

    /// Begins to fetch an object, unless that was done before, or there is no room.
    fn begin(&self, fetched: &mut Fetched, place: usize) -> Option<Whole> {
        if self.bytes(place) > self.most_bytes || std::mem::replace(&mut fetched.begun[place], true) {
            return None;
        }
        while fetched.bytes + self.bytes(place) > self.most_bytes {
            let Some(oldest) = fetched.order.pop_front() else { break };
            self.forget(fetched, oldest);
        }
        let (inner, meta) = (Arc::clone(&self.inner), self.small[place].clone());
        let task = SpawnedTask::spawn(async move {
            let result = inner.get_opts(&meta.location, pinned(&meta)).await.ok()?;
            let (meta, attributes) = (result.meta.clone(), result.attributes.clone());
            Some((meta, attributes, result.bytes().await.ok()?))
        });
        let whole: Whole = task.join().map(|joined| joined.ok().flatten()).boxed().shared();
        fetched.held.insert(place, whole.clone());
        fetched.order.push_back(place);
        fetched.bytes += self.bytes(place);
        Some(whole)
    }

    fn forget(&self, fetched: &mut Fetched, place: usize) {
        if fetched.held.remove(&place).is_some() {
            fetched.bytes -= self.bytes(place);
        }
    }
}

/// Whether bytes are asked for, of any version or the one that was listed, and nothing else.
fn is_plain(options: &GetOptions, listed: &ObjectMeta) -> bool {
    (options.if_match.is_none() || options.if_match == listed.e_tag)
        && (options.version.is_none() || options.version == listed.version)
        && options.if_none_match.is_none()
        && options.if_modified_since.is_none()
        && options.if_unmodified_since.is_none()
        && !options.head
}

impl fmt::Display for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} small objects read ahead", self.inner, self.small.len())
    }
}

#[async_trait]
impl ObjectStore for ReadAhead {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let place = self.places.get(location).copied().filter(|place| is_plain(&options, &self.small[*place]));
        let Some((place, whole)) = place.and_then(|place| Some((place, self.whole(place)?))) else {
            return self.inner.get_opts(location, options).await;
        };
        let Some((meta, attributes, bytes)) = whole.await else {
            return self.inner.get_opts(location, options).await;
        };
        let range = match &options.range {
            None => {
                // Whoever reads all of an object does so once.
                let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
                self.forget(&mut fetched, place);
                fetched.order.retain(|held| *held != place);
                0..meta.size
            }
            Some(GetRange::Bounded(range)) => range.start.min(meta.size)..range.end.min(meta.size),
            Some(GetRange::Offset(start)) => (*start).min(meta.size)..meta.size,
            Some(GetRange::Suffix(length)) => meta.size.saturating_sub(*length)..meta.size,
        };
        let part = bytes.slice(range.start as usize..range.end as usize);
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(part) }).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;
    use crate::pinned::PinnedStore;

    /// A store of so many objects of 10 bytes, read ahead, with what was read of it so far.
    async fn store(objects: usize, memory: usize) -> (ReadAhead, Vec<ObjectMeta>, Arc<InMemory>, Arc<AtomicU64>) {
        let inner = Arc::new(InMemory::new());
        for object in 0..objects {
            inner
                .put(&Path::from(format!("{object:04}")), format!("content-{:02}", object % 100).into())
                .await
                .unwrap();
        }
        let mut metas: Vec<ObjectMeta> = inner.list(None).try_collect().await.unwrap();
        metas.sort_by(|a, b| a.location.cmp(&b.location));
        let read = Arc::new(AtomicU64::new(0));
        let pinned = PinnedStore::new(Arc::clone(&inner) as _, &metas, Arc::clone(&read));
        (ReadAhead::new(Arc::new(pinned), &metas, memory), metas, inner, read)
    }

    #[tokio::test]
    async fn objects_are_fetched_before_they_are_asked_for_and_once() {
        let (store, metas, _, read) = store(100, 1 << 30).await;
        for (place, meta) in metas.iter().enumerate() {
            let bytes = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
            assert_eq!(bytes, format!("content-{place:02}"));
            tokio::task::yield_now().await;
            assert_eq!(read.load(Ordering::Relaxed) as usize, 10 * (place + 1 + AHEAD).min(100), "after {place}");
        }
        let fetched = store.fetched.lock().unwrap();
        assert_eq!((fetched.bytes, fetched.held.len(), fetched.order.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn all_ranges_of_an_object_are_one_request() {
        let (store, metas, _, read) = store(1, 1 << 30).await;
        let object = &metas[0].location;
        assert_eq!(store.get_range(object, 0..3).await.unwrap(), "con");
        assert_eq!(store.get_ranges(object, &[1..2, 8..10]).await.unwrap(), ["o", "00"]);
        for (range, expected) in
            [(GetRange::Suffix(2), "00"), (GetRange::Offset(7), "-00"), (GetRange::Suffix(90), "content-00")]
        {
            let result = store.get_opts(object, GetOptions::new().with_range(Some(range))).await.unwrap();
            assert_eq!(result.bytes().await.unwrap(), expected);
        }
        assert_eq!(read.load(Ordering::Relaxed), 10);
    }

    #[tokio::test]
    async fn an_object_is_served_in_the_version_that_was_listed_only() {
        let (store, metas, _, read) = store(2, 1 << 30).await;
        store.start();
        tokio::task::yield_now().await;
        assert_eq!(read.load(Ordering::Relaxed), 20, "before anyone has asked");
        let first = store.get_opts(&metas[0].location, pinned(&metas[0])).await.unwrap();
        assert_eq!(first.bytes().await.unwrap(), "content-00");
        assert_eq!(read.load(Ordering::Relaxed), 20);
        let other = GetOptions { if_match: Some("other".to_owned()), ..GetOptions::default() };
        // The store beneath decides.
        assert!(!is_plain(&other, &metas[1]));
        assert!(!is_plain(&GetOptions::new().with_head(true), &metas[1]));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_read_all_the_same() {
        for memory in [0, 10 * SHARE, 45 * SHARE] {
            let (store, metas, ..) = store(50, memory).await;
            for _ in 0..2 {
                for (place, meta) in metas.iter().enumerate() {
                    assert_eq!(store.get_range(&meta.location, 8..10).await.unwrap(), format!("{place:02}"));
                }
            }
            assert!(store.fetched.lock().unwrap().bytes <= memory / SHARE);
        }
    }

    #[tokio::test]
    async fn an_object_that_changed_is_an_error_as_without() {
        let (store, metas, inner, _) = store(3, 1 << 30).await;
        inner.put(&metas[1].location, "changed".into()).await.unwrap();
        inner.delete(&metas[2].location).await.unwrap();
        store.get(&metas[0].location).await.unwrap();
        let changed = store.get(&metas[1].location).await.unwrap_err();
        assert!(matches!(changed, object_store::Error::Precondition { .. }), "{changed}");
        let gone = store.get(&metas[2].location).await.unwrap_err();
        assert!(matches!(gone, object_store::Error::NotFound { .. }), "{gone}");
    }
}
