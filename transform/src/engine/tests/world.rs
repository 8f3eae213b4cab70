//! A data folder with a project in a store that can fail at any of its effects.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::catalog::EmbeddedCatalog;
use crate::inputs::Input;
use crate::store::Bucket;

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
    effects: AtomicU64,
    planned: Mutex<BTreeMap<u64, Fault>>,
    dead: AtomicBool,
    watch: Mutex<Option<Watch>>,
    violations: Mutex<Vec<String>>,
    pace: Mutex<Option<Dice>>,
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
        self.dead.store(false, Ordering::SeqCst);
    }

    /// How many effects there were since.
    pub(super) fn effects(&self) -> u64 {
        self.effects.load(Ordering::SeqCst)
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

    async fn wait(&self) -> object_store::Result<()> {
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

    async fn effect<T>(
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
struct Faulty<S> {
    inner: Arc<S>,
    faults: Arc<Faults>,
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
        let (inner, faults, prefix) = (Arc::clone(&self.inner), Arc::clone(&self.faults), prefix.cloned());
        let listed = async move {
            match faults.wait().await {
                Ok(()) => inner.list(prefix.as_ref()),
                Err(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
            }
        };
        futures::stream::once(listed).flatten().boxed()
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

/// A data folder and a project.
pub(super) struct World {
    /// As the engine sees it.
    pub(super) root: DataRoot,
    /// As a reader sees it: without faults.
    pub(super) clean: DataRoot,
    pub(super) faults: Arc<Faults>,
    pub(super) sql: BTreeMap<String, String>,
    /// Tells the processes of one data folder apart.
    process: u64,
    calls: AtomicI64,
    memory: Option<Arc<InMemory>>,
    _folder: Option<tempfile::TempDir>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Uploads that are completed later, as on S3.
    Uploads,
    /// Hidden files that are renamed.
    Files,
}

pub(super) const APPEND: &str =
    "-- @partition: day\nSELECT id, amount, CAST(at AS DATE) AS day FROM raw.t WHERE amount > 0";
const TOTAL: &str = "SELECT count(*) AS n, sum(id) AS ids FROM out.rows";
const BY_DAY: &str = "-- @partition: day\nSELECT day, count(*) AS n FROM out.rows GROUP BY day";

impl World {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Uploads => Self::over(Arc::new(InMemory::new())),
            Kind::Files => {
                let faults = Arc::new(Faults::default());
                let folder = tempfile::tempdir().unwrap();
                let inner = Arc::new(LocalFileSystem::new());
                let prefix = Path::parse(folder.path().to_str().unwrap().trim_start_matches('/')).unwrap();
                let root = |store: Arc<dyn ObjectStore>| {
                    DataRoot::new(Bucket { base: "file:///".into(), store, multipart: None }, prefix.clone())
                };
                let store = Arc::new(Faulty { inner: Arc::clone(&inner), faults: Arc::clone(&faults) });
                Self::with(root(store), root(inner), faults, None, Some(folder))
            }
        }
    }

    fn over(memory: Arc<InMemory>) -> Self {
        let faults = Arc::new(Faults::default());
        let root = |store: Arc<dyn ObjectStore>, multipart: Arc<dyn MultipartStore>| {
            let bucket = Bucket { base: "memory://b/".into(), store, multipart: Some(multipart) };
            DataRoot::new(bucket, Path::default())
        };
        let store = Arc::new(Faulty { inner: Arc::clone(&memory), faults: Arc::clone(&faults) });
        let faulty = root(Arc::clone(&store) as _, store);
        let clean = root(Arc::clone(&memory) as _, Arc::clone(&memory) as _);
        Self::with(faulty, clean, faults, Some(memory), None)
    }

    fn with(
        root: DataRoot,
        clean: DataRoot,
        faults: Arc<Faults>,
        memory: Option<Arc<InMemory>>,
        folder: Option<tempfile::TempDir>,
    ) -> Self {
        let sql = [("sql/out/rows.sql", APPEND), ("sql/out/total.sql", TOTAL), ("sql/out/by_day.sql", BY_DAY)];
        let sql = sql.map(|(file, text)| (file.to_owned(), text.to_owned())).into();
        Self { root, clean, faults, sql, process: 0, calls: AtomicI64::new(0), memory, _folder: folder }
    }

    /// A copy of a world in memory in which nothing is under way.
    pub(super) fn fork(&self) -> Self {
        let memory = self.memory.as_ref().unwrap().fork();
        let fork = Self::over(Arc::new(memory));
        fork.calls.store(self.calls.load(Ordering::SeqCst), Ordering::SeqCst);
        Self { sql: self.sql.clone(), ..fork }
    }

    /// Another process over the same data folder in memory.
    pub(super) fn process(&self, number: u64) -> Self {
        let memory = self.memory.as_ref().unwrap();
        Self { sql: self.sql.clone(), process: number, ..Self::over(Arc::clone(memory)) }
    }

    /// The process dies at its n-th effect from now on.
    pub(super) fn dies_at(&self, effect: u64, after: bool) {
        self.faults.plan(&[(effect, if after { Fault::CrashAfter } else { Fault::CrashBefore })]);
    }

    /// Whether it has died; from now on there are no faults.
    pub(super) fn revived(&self) -> bool {
        let died = !self.faults.is_pending();
        self.faults.plan(&[]);
        died
    }

    pub(super) async fn upload(&self, key: &str, text: &str) {
        self.clean.store().put(&self.clean.path(key).unwrap(), text.to_owned().into()).await.unwrap();
    }

    pub(super) fn engine(&self) -> Engine {
        let limits = Limits { memory: 64 << 20, temp: std::env::temp_dir(), cores: 2 };
        Engine::new(self.root.clone(), Arc::new(EmbeddedCatalog::new(self.root.clone())), limits)
    }

    /// What `unglue run` does.
    pub(super) async fn run(&self, full_refresh: bool) -> Result<Vec<Outcome>> {
        let files = self.sql.iter().map(|(file, text)| (file.clone(), text.clone().into_bytes())).collect();
        let (project, errors) = Project::parse(files);
        assert!(errors.is_empty(), "{errors:?}");
        let engine = self.engine();
        engine.discover(&project).await?;
        let checked = engine.check(&project).await?;
        if let Some(error) = checked.errors.into_iter().next() {
            return Err(error);
        }
        let checked = engine.check(&project).await?;
        let names = project.transforms().iter().map(|transform| transform.target.clone()).collect();
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let seed = format!("{} {call}", self.process);
        let stamp = Stamp { at: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(call), seed };
        Ok(engine.run(&project, &checked, &names, full_refresh, &stamp, &|_| {}).await)
    }

    /// Runs of each transform that succeeded, and the first error.
    pub(super) async fn runs(&self) -> (Vec<String>, Option<Error>) {
        self.invoke(false).await
    }

    pub(super) async fn invoke(&self, full_refresh: bool) -> (Vec<String>, Option<Error>) {
        match self.run(full_refresh).await {
            Err(error) => (Vec::new(), Some(error)),
            Ok(outcomes) => {
                let mut done = Vec::new();
                let mut failed = None;
                for outcome in outcomes {
                    for run in outcome.runs {
                        match run {
                            Ok(receipt) => done.push(format!("{} {}", receipt.transform, receipt.inputs.len())),
                            Err(error) => failed = failed.or(Some(error)),
                        }
                    }
                }
                (done, failed)
            }
        }
    }

    /// What a reader of the catalog sees: rows of a table as text, sorted; empty for an unknown table.
    pub(super) async fn rows(&self, table: &str) -> Vec<String> {
        rows(&self.clean, table).await
    }

    /// Where a partition lies.
    pub(super) async fn location(&self, table: &str, value: &str) -> String {
        let catalog = EmbeddedCatalog::new(self.clean.clone());
        let partitions = catalog.partitions(&TableName::new("out", table).unwrap()).await.unwrap();
        partitions.into_iter().find(|known| known.values == [Some(value.to_owned())]).unwrap().location
    }

    /// The values of a table's partitions.
    pub(super) async fn partitions(&self, table: &str) -> Vec<String> {
        let catalog = EmbeddedCatalog::new(self.clean.clone());
        let partitions = catalog.partitions(&TableName::new("out", table).unwrap()).await.unwrap();
        partitions.into_iter().map(|partition| partition.values[0].clone().unwrap_or_default()).collect()
    }

    /// The runs of a table that began and did not end.
    pub(super) async fn open_runs(&self, table: &str) -> Vec<String> {
        Ledger::new(self.clean.clone(), &TableName::new("out", table).unwrap()).open_runs().await.unwrap()
    }

    /// The ledger of a table, for people who look into a failure: claims, and how runs ended.
    pub(super) async fn ledger(&self, table: &str) -> String {
        let folder = self.clean.path(&format!("_unglue/out/{table}")).unwrap();
        let mut lines = Vec::new();
        let mut objects = self.clean.store().list(Some(&folder));
        while let Some(Ok(object)) = objects.next().await {
            let text = self.clean.read(&object.location).await.unwrap().unwrap();
            let text = String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ");
            let path = object.location.as_ref().strip_prefix(folder.as_ref()).unwrap_or_default().to_owned();
            lines.push(format!("{path}: {}", text.chars().take(700).collect::<String>()));
        }
        lines.sort();
        lines.join("\n")
    }

    pub(super) async fn two_days(kind: Kind) -> Self {
        let world = Self::new(kind);
        world.upload("raw/t/1.csv", "id,at,amount\n1,2026-11-01,1.5\n2,2026-11-02,2\n3,2026-11-02,-1\n").await;
        world.upload("raw/t/2.csv", "id,at,amount\n4,2026-11-02,4\n").await;
        world
    }
}

/// The rows of a table of the database `out` as text, the values of the partition last; sorted.
pub(super) async fn rows(root: &DataRoot, table: &str) -> Vec<String> {
    let catalog = EmbeddedCatalog::new(root.clone());
    let name = TableName::new("out", table).unwrap();
    if catalog.table(&name).await.unwrap().is_none() {
        return Vec::new();
    }
    let input = Input::list(root, &catalog, &name).await.unwrap();
    let mut rows = Vec::new();
    for object in input.objects {
        let bytes = root.read(&object.meta.location).await.unwrap().unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                let values = batch
                    .columns()
                    .iter()
                    .map(|column| arrow::util::display::array_value_to_string(column, row).unwrap());
                let partition = object.partition.iter().map(|value| value.clone().unwrap_or("NULL".into()));
                rows.push(values.chain(partition).collect::<Vec<_>>().join("|"));
            }
        }
    }
    rows.sort();
    rows
}
