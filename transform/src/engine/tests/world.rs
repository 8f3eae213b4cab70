//! A data folder with a project, in a store that can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::{FutureExt, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::faults::{Fault, Faults, Faulty};
use super::*;
use crate::catalog::EmbeddedCatalog;
use crate::inputs::{Input, described};
use crate::record::Done;
use crate::store::Bucket;

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
    /// The runs that were announced, as the receivers have them.
    pub(super) announced: Arc<Mutex<Vec<String>>>,
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
        let (calls, announced) = (AtomicI64::new(0), Arc::default());
        Self { root, clean, faults, sql, process: 0, calls, announced, memory, _folder: folder }
    }

    /// A copy of a world in memory in which nothing is under way.
    pub(super) fn fork(&self) -> Self {
        let memory = self.memory.as_ref().unwrap().fork();
        let fork = Self::over(Arc::new(memory));
        fork.calls.store(self.calls.load(Ordering::SeqCst), Ordering::SeqCst);
        fork.announced.lock().unwrap().clone_from(&self.announced.lock().unwrap());
        Self { sql: self.sql.clone(), ..fork }
    }

    /// Another process over the same data folder in memory.
    pub(super) fn process(&self, number: u64) -> Self {
        let memory = self.memory.as_ref().unwrap();
        let announced = Arc::clone(&self.announced);
        Self { sql: self.sql.clone(), process: number, announced, ..Self::over(Arc::clone(memory)) }
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
        let (faults, announced) = (Arc::clone(&self.faults), Arc::clone(&self.announced));
        let announce: Announce = Arc::new(move |receipt: Receipt| {
            let (faults, announced) = (Arc::clone(&faults), Arc::clone(&announced));
            async move {
                let told = async {
                    announced.lock().unwrap().push(receipt.run_id.clone());
                    Ok(())
                };
                let told = faults.effect(None, &Path::from("announcement"), told).await;
                told.map_err(|error| crate::store::storage("announcement", error))
            }
            .boxed()
        });
        Engine::new(self.root.clone(), Arc::new(EmbeddedCatalog::new(self.root.clone())), limits).announcing(announce)
    }

    /// What `unglue run` does.
    pub(super) async fn run(&self, full_refresh: bool) -> Result<Vec<Outcome>> {
        self.asked(&if full_refresh { Asked::Rebuild } else { Asked::Due }).await
    }

    /// What the handler of arrivals does with objects of `raw.t`.
    pub(super) async fn arrive(&self, objects: &[&str]) -> Result<Vec<Outcome>> {
        self.delivered(objects, false).await
    }

    /// The same, for the first time or once more.
    pub(super) async fn delivered(&self, objects: &[&str], again: bool) -> Result<Vec<Outcome>> {
        let urls = objects.iter().map(|object| self.clean.absolute(object)).collect();
        let tables = BTreeMap::from([(TableName::new("raw", "t").unwrap(), Arrived::Objects(urls))]);
        self.asked(&Asked::Arrived { tables, again }).await
    }

    async fn asked(&self, asked: &Asked) -> Result<Vec<Outcome>> {
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
        Ok(engine.run(&project, &checked, &names, asked, &stamp, &|_| {}).await)
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

    /// The runs of a table that succeeded.
    pub(super) async fn succeeded(&self, table: &str) -> BTreeSet<String> {
        let ledger = Ledger::new(self.clean.clone(), &TableName::new("out", table).unwrap());
        let mut succeeded = BTreeSet::new();
        for run_id in ledger.runs().await.unwrap().into_keys() {
            if let Some(Done::Succeeded { .. }) = ledger.done(&run_id).await.unwrap() {
                succeeded.insert(run_id);
            }
        }
        succeeded
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
            let mut record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            for tedious in ["receipt", "table"] {
                if let Some(record) = record.as_object_mut()
                    && let Some(mut inner) = record.remove(tedious)
                    && let Some(inputs) = inner.get_mut("inputs")
                {
                    record.insert("inputs".to_owned(), inputs.take());
                }
            }
            lines.push(format!("{path}: {record}"));
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
    let table = described(&catalog, &name).await.unwrap();
    let input = Input::list(root, &catalog, table, &[], None).await.unwrap();
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
