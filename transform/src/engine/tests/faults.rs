//! A store that can fail at any of its effects, and that keeps its callers waiting in seeded ways.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
};

use super::*;

/// What happens at an effect instead of its success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process dies before it.
    CrashBefore,
    /// The process dies after it.
    CrashAfter,
    /// The store answers 503 and has done nothing.
    Status503,
    /// The store answers 500 and has done nothing.
    Status500,
    /// No answer comes, but it was done.
    TimeoutWithEffect,
    /// No answer comes, and nothing was done.
    TimeoutWithout,
    /// It was done, the answer was lost, and the client's own retry is told that it is there already, or not any more.
    RetriedByClient,
}

impl Fault {
    pub(super) const ALL: [Self; 7] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Status503,
        Self::Status500,
        Self::TimeoutWithEffect,
        Self::TimeoutWithout,
        Self::RetriedByClient,
    ];
}

/// Called after each effect; what it finds wrong is a violation.
pub(super) type Watch = Arc<dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// The faults of a store.
#[derive(Default)]
pub(super) struct Faults {
    requests: AtomicU64,
    effects: AtomicU64,
    planned: Mutex<BTreeMap<u64, Fault>>,
    dead: AtomicBool,
    watch: Mutex<Option<Watch>>,
    violations: Mutex<Vec<String>>,
    pace: Mutex<Option<Dice>>,
    /// The request that waits to be let on; 0 is none.
    hold: AtomicU64,
    held: AtomicBool,
}

/// Numbers that are the same for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Other numbers, as fixed by the seed as these.
    pub(super) fn split(&mut self) -> Self {
        Self::new(self.below(u64::MAX))
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faults")
    }
}

impl Faults {
    /// Begins anew: the n-th effect from now on, from 1, has a fault.
    pub(super) fn plan(&self, faults: &[(u64, Fault)]) {
        *self.planned.lock().unwrap() = faults.iter().copied().collect();
        self.effects.store(0, Ordering::SeqCst);
        self.requests.store(0, Ordering::SeqCst);
        self.dead.store(false, Ordering::SeqCst);
    }

    /// How many effects there were since.
    pub(super) fn effects(&self) -> u64 {
        self.effects.load(Ordering::SeqCst)
    }

    /// How many requests there were in all; a listing takes one for every thousand names.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Whether a planned fault has not come.
    pub(super) fn is_pending(&self) -> bool {
        !self.planned.lock().unwrap().is_empty()
    }

    pub(super) fn watch(&self, watch: Option<Watch>) {
        *self.watch.lock().unwrap() = watch;
    }

    /// What the watch has found wrong.
    pub(super) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    /// From now on every request waits for others first, mostly a little, at times long.
    pub(super) fn pace(&self, dice: Dice) {
        *self.pace.lock().unwrap() = Some(dice);
    }

    /// The n-th request from now on, from 1, waits until it is let on.
    pub(super) fn hold(&self, request: u64) {
        self.requests.store(0, Ordering::SeqCst);
        self.hold.store(request, Ordering::SeqCst);
    }

    /// Whether a request waits.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    pub(super) fn let_on(&self) {
        self.held.store(false, Ordering::SeqCst);
    }

    async fn wait(&self) -> object_store::Result<()> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if self.hold.load(Ordering::SeqCst) == number {
            self.held.store(true, Ordering::SeqCst);
            while self.is_held() {
                tokio::task::yield_now().await;
            }
        }
        let turns = match self.pace.lock().unwrap().as_mut() {
            None => 0,
            Some(dice) => {
                let most = if dice.below(12) == 0 { 400 } else { 6 };
                dice.below(most)
            }
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        self.alive()
    }

    fn alive(&self) -> object_store::Result<()> {
        if self.dead.load(Ordering::SeqCst) { Err(failure("the process died")) } else { Ok(()) }
    }

    pub(super) async fn effect<T>(
        &self,
        on_retry: Option<fn(&Path) -> object_store::Error>,
        path: &Path,
        effect: impl Future<Output = object_store::Result<T>> + Send,
    ) -> object_store::Result<T> {
        self.wait().await?;
        let number = self.effects.fetch_add(1, Ordering::SeqCst) + 1;
        let fault = self.planned.lock().unwrap().remove(&number);
        let outcome = match fault {
            None => effect.await,
            Some(Fault::CrashBefore) => {
                self.dead.store(true, Ordering::SeqCst);
                return Err(failure("the process died"));
            }
            Some(Fault::CrashAfter) => {
                effect.await?;
                self.dead.store(true, Ordering::SeqCst);
                Err(failure("the process died"))
            }
            Some(Fault::Status503) => Err(failure("503 Slow Down")),
            Some(Fault::Status500) => Err(failure("500 Internal Server Error")),
            Some(Fault::TimeoutWithout) => Err(failure("timed out")),
            Some(Fault::TimeoutWithEffect) => {
                effect.await?;
                Err(failure("timed out"))
            }
            Some(Fault::RetriedByClient) => {
                let outcome = effect.await?;
                match on_retry {
                    Some(answer) => Err(answer(path)),
                    None => Ok(outcome),
                }
            }
        };
        let watch = self.watch.lock().unwrap().clone();
        if let Some(watch) = watch
            && let Some(violation) = watch().await
        {
            self.violations.lock().unwrap().push(violation);
        }
        outcome
    }
}

fn failure(text: &str) -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: text.to_owned().into() }
}

fn exists(path: &Path) -> object_store::Error {
    object_store::Error::AlreadyExists { path: path.to_string(), source: "it is there".into() }
}

fn gone(path: &Path) -> object_store::Error {
    object_store::Error::NotFound { path: path.to_string(), source: "NoSuchUpload".into() }
}

/// A store with faults.
#[derive(Debug)]
pub(super) struct Faulty<S> {
    pub(super) inner: Arc<S>,
    pub(super) faults: Arc<Faults>,
}

impl<S> std::fmt::Display for Faulty<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Faulty<S> {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        let on_retry = (options.mode == PutMode::Create).then_some(exists as fn(&Path) -> object_store::Error);
        self.faults.effect(on_retry, path, self.inner.put_opts(path, payload, options)).await
    }
    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.faults.effect(None, path, self.inner.put_multipart_opts(path, options)).await
    }
    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.faults.wait().await?;
        self.inner.get_opts(path, options).await
    }
    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let (inner, faults) = (Arc::clone(&self.inner), Arc::clone(&self.faults));
        paths
            .then(move |path| {
                let (inner, faults) = (Arc::clone(&inner), Arc::clone(&faults));
                async move {
                    let path = path?;
                    faults.effect(Some(gone), &path, inner.delete(&path)).await.map(|()| path.clone())
                }
            })
            .boxed()
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
        pages(&self.faults, move || inner.list(prefix.as_ref()))
    }
    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (inner, prefix, offset) = (Arc::clone(&self.inner), prefix.cloned(), offset.clone());
        pages(&self.faults, move || inner.list_with_offset(prefix.as_ref(), &offset))
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.faults.wait().await?;
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.faults.effect(Some(exists), to, self.inner.copy_opts(from, to, options)).await
    }
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> object_store::Result<()> {
        self.faults.effect(Some(gone), to, self.inner.rename_opts(from, to, options)).await
    }
}

/// A listing that takes a request for every thousand names, as on S3, when they are read.
fn pages(
    faults: &Arc<Faults>,
    list: impl FnOnce() -> BoxStream<'static, object_store::Result<ObjectMeta>> + Send + 'static,
) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
    let (first, next) = (Arc::clone(faults), Arc::clone(faults));
    let listed = async move {
        match first.wait().await {
            Ok(()) => list(),
            Err(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
        }
    };
    let named = futures::stream::once(listed).flatten().enumerate();
    let paged = named.then(move |(index, meta)| {
        let next = Arc::clone(&next);
        async move {
            if index > 0 && index % 1000 == 0 {
                next.wait().await?;
            }
            meta
        }
    });
    paged.boxed()
}

#[async_trait]
impl<S: MultipartStore> MultipartStore for Faulty<S> {
    async fn create_multipart(&self, path: &Path) -> object_store::Result<MultipartId> {
        self.faults.effect(None, path, self.inner.create_multipart(path)).await
    }
    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        index: usize,
        data: PutPayload,
    ) -> object_store::Result<PartId> {
        self.faults.effect(None, path, self.inner.put_part(path, id, index, data)).await
    }
    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> object_store::Result<PutResult> {
        self.faults.effect(Some(gone), path, self.inner.complete_multipart(path, id, parts)).await
    }
    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> object_store::Result<()> {
        self.faults.effect(Some(gone), path, self.inner.abort_multipart(path, id)).await
    }
}
