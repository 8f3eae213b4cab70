//! All buckets as one store: the first segment of a path is the bucket, the rest the key.
//!
//! The catalog says where tables lie, in whichever bucket; the engine knows one store. Which buckets may be used is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use transform::Bucket;

/// The base of all URLs.
const BASE: &str = "s3://";
/// Keys that S3 deletes in one request.
const DELETED_AT_ONCE: usize = 1000;

/// Opens a bucket.
pub type Open = dyn Fn(&str) -> Result<AmazonS3> + Send + Sync;

/// Buckets that are opened when they are first used.
pub struct Buckets {
    /// The buckets that may be used; `None`: whatever the credentials allow.
    allowed: Option<BTreeSet<String>>,
    open: Box<Open>,
    opened: Mutex<BTreeMap<String, Arc<AmazonS3>>>,
}

impl Buckets {
    /// These buckets.
    pub fn new(allowed: Option<BTreeSet<String>>, open: Box<Open>) -> Self {
        Self { allowed, open, opened: Mutex::default() }
    }

    /// As the engine has its store.
    pub fn into_bucket(self) -> Bucket {
        let buckets = Arc::new(self);
        Bucket { base: BASE.to_owned(), store: Arc::clone(&buckets) as _, multipart: Some(buckets) }
    }

    /// A bucket, and the key in it.
    fn at(&self, path: &Path) -> Result<(Arc<AmazonS3>, String, Path)> {
        let text = path.as_ref();
        let (bucket, key) = text.split_once('/').unwrap_or((text, ""));
        Ok((self.bucket(bucket)?, bucket.to_owned(), Path::parse(key)?))
    }

    fn bucket(&self, name: &str) -> Result<Arc<AmazonS3>> {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(name)) {
            return Err(Error::PermissionDenied {
                path: name.to_owned(),
                source: format!(
                    "the bucket `{name}` is not one of those that this function was given: add it to `ExtraBuckets`"
                )
                .into(),
            });
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(name) {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new((self.open)(name)?);
        opened.insert(name.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3")
    }
}

/// A path as the engine has it.
fn outside(bucket: &str, key: &Path) -> Result<Path> {
    Ok(Path::parse(format!("{bucket}/{key}"))?)
}

fn meta_outside(bucket: &str, meta: ObjectMeta) -> Result<ObjectMeta> {
    Ok(ObjectMeta { location: outside(bucket, &meta.location)?, ..meta })
}

#[async_trait]
impl ObjectStore for Buckets {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (store, _, key) = self.at(path)?;
        store.put_opts(&key, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let (store, _, key) = self.at(path)?;
        store.put_multipart_opts(&key, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let (store, bucket, key) = self.at(path)?;
        let result = store.get_opts(&key, options).await?;
        Ok(GetResult { meta: meta_outside(&bucket, result.meta)?, ..result })
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // The stream outlives the borrow of the store: what it needs of it is looked up in between.
        let opened: Vec<(String, Arc<AmazonS3>)> = {
            let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.iter().map(|(name, store)| (name.clone(), Arc::clone(store))).collect()
        };
        let by_name: BTreeMap<String, Arc<AmazonS3>> = opened.into_iter().collect();
        paths
            .try_ready_chunks(DELETED_AT_ONCE)
            .map_err(|error| error.1)
            .and_then(move |paths| std::future::ready(grouped(&by_name, paths)))
            .map_ok(|groups| {
                stream::iter(groups).flat_map(|(store, bucket, keys)| {
                    let deleted = store.delete_stream(stream::iter(keys).map(Ok).boxed());
                    deleted.map(move |key| outside(&bucket, &key?))
                })
            })
            .try_flatten()
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (store, bucket, key) = self.at(prefix.unwrap_or(&Path::default()))?;
        let listed = store.list_with_delimiter((!key.as_ref().is_empty()).then_some(&key)).await?;
        Ok(ListResult {
            common_prefixes: listed.common_prefixes.iter().map(|key| outside(&bucket, key)).collect::<Result<_>>()?,
            objects: listed.objects.into_iter().map(|meta| meta_outside(&bucket, meta)).collect::<Result<_>>()?,
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (store, bucket, from) = self.at(from)?;
        let (_, target, to) = self.at(to)?;
        if bucket != target {
            return Err(Error::NotSupported { source: "objects are copied within a bucket only".into() });
        }
        store.copy_opts(&from, &to, options).await
    }
}

impl Buckets {
    fn listed(&self, prefix: Option<&Path>, offset: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let inner = || -> Result<_> {
            let (store, bucket, key) = self.at(prefix.unwrap_or(&Path::default()))?;
            let key = (!key.as_ref().is_empty()).then_some(key);
            let listed = match offset {
                Some(offset) => store.list_with_offset(key.as_ref(), &self.at(offset)?.2),
                None => store.list(key.as_ref()),
            };
            Ok(listed.map(move |meta| meta_outside(&bucket, meta?)).boxed())
        };
        inner().unwrap_or_else(|error| std::future::ready(Err(error)).into_stream().boxed())
    }
}

/// Keys by their buckets.
type Group = (Arc<AmazonS3>, String, Vec<Path>);

fn grouped(opened: &BTreeMap<String, Arc<AmazonS3>>, paths: Vec<Path>) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<String, Vec<Path>> = BTreeMap::new();
    for path in paths {
        let (bucket, key) = path.as_ref().split_once('/').unwrap_or((path.as_ref(), ""));
        groups.entry(bucket.to_owned()).or_default().push(Path::parse(key)?);
    }
    let with_store = groups.into_iter().map(|(bucket, keys)| match opened.get(&bucket) {
        Some(store) => Ok((Arc::clone(store), bucket, keys)),
        None => Err(Error::Generic {
            store: "S3",
            source: format!("nothing was read of the bucket `{bucket}` from which objects are to be deleted").into(),
        }),
    });
    with_store.collect()
}

#[async_trait]
impl MultipartStore for Buckets {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        let (store, _, key) = self.at(path)?;
        store.create_multipart(&key).await
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, index: usize, data: PutPayload) -> Result<PartId> {
        let (store, _, key) = self.at(path)?;
        store.put_part(&key, id, index, data).await
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        let (store, _, key) = self.at(path)?;
        store.complete_multipart(&key, id, parts).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        let (store, _, key) = self.at(path)?;
        store.abort_multipart(&key, id).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::aws::AmazonS3Builder;
    use transform::{Code, storage};

    use super::*;

    fn buckets() -> Buckets {
        let open = |name: &str| {
            let builder = AmazonS3Builder::new().with_bucket_name(name).with_region("us-east-1");
            // Nothing listens there: what comes so far was let through.
            builder.with_endpoint("http://127.0.0.1:9").with_allow_http(true).with_skip_signature(true).build()
        };
        Buckets::new(Some(BTreeSet::from(["lake".to_owned()])), Box::new(open))
    }

    #[tokio::test]
    async fn other_buckets_are_refused_by_name() {
        let buckets = buckets();
        let path = Path::from("secret/a.csv");
        let refused = [
            buckets.get(&path).await.map(|_| ()),
            buckets.put(&path, "x".into()).await.map(|_| ()),
            buckets.list(Some(&path)).try_collect::<Vec<_>>().await.map(|_| ()),
            buckets.create_multipart(&path).await.map(|_| ()),
        ];
        for outcome in refused {
            let error = storage(path.as_ref(), outcome.unwrap_err());
            assert_eq!(error.code, Code::PermissionDenied);
            assert!(error.message.contains("`secret`") && error.message.contains("ExtraBuckets"), "{error}");
        }
    }

    #[tokio::test]
    async fn objects_are_copied_within_a_bucket_only() {
        let both = Buckets { allowed: None, ..buckets() };
        let copied = both.copy(&Path::from("one/a"), &Path::from("two/a")).await;
        assert!(matches!(copied, Err(Error::NotSupported { .. })), "{copied:?}");
    }

    #[test]
    fn a_path_is_a_bucket_and_a_key() {
        let (_, bucket, key) = buckets().at(&Path::from("lake/raw/t/a b.csv")).unwrap();
        assert_eq!((bucket.as_str(), key.as_ref()), ("lake", "raw/t/a b.csv"));
        assert_eq!(outside(&bucket, &key).unwrap(), Path::from("lake/raw/t/a b.csv"));
    }
}
