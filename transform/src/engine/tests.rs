//! Runs from end to end: files in, table out, whatever fails on the way.

mod upkeep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::catalog::EmbeddedCatalog;
use crate::code::Code;
use crate::inputs::Input;
use crate::store::Bucket;

/// A store whose n-th write fails, before or after it takes effect; `fuse` counts down to it.
#[derive(Debug)]
struct Faulty<S> {
    inner: S,
    fuse: Arc<AtomicI64>,
    after: bool,
}

impl<S> Faulty<S> {
    /// Once the fuse has burnt down nothing is written any more, as if the process had died.
    async fn write<T>(&self, effect: impl Future<Output = object_store::Result<T>> + Send) -> object_store::Result<T> {
        let left = self.fuse.fetch_sub(1, Ordering::SeqCst);
        let dead = || object_store::Error::Generic { store: "faulty", source: "the process died".into() };
        match left {
            1 if self.after => {
                effect.await?;
                Err(dead())
            }
            ..=1 => Err(dead()),
            _ => effect.await,
        }
    }
}

impl<S> std::fmt::Display for Faulty<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Faulty<S> {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        self.write(self.inner.put_opts(path, payload, options)).await
    }
    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.write(self.inner.put_multipart_opts(path, options)).await
    }
    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(path, options).await
    }
    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.write(self.inner.copy_opts(from, to, options)).await
    }
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> object_store::Result<()> {
        self.write(self.inner.rename_opts(from, to, options)).await
    }
}

#[async_trait]
impl<S: MultipartStore> MultipartStore for Faulty<S> {
    async fn create_multipart(&self, path: &Path) -> object_store::Result<MultipartId> {
        self.write(self.inner.create_multipart(path)).await
    }
    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        index: usize,
        data: PutPayload,
    ) -> object_store::Result<PartId> {
        self.write(self.inner.put_part(path, id, index, data)).await
    }
    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> object_store::Result<PutResult> {
        self.write(self.inner.complete_multipart(path, id, parts)).await
    }
    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> object_store::Result<()> {
        self.inner.abort_multipart(path, id).await
    }
}

/// A data folder and a project.
struct World {
    root: DataRoot,
    fuse: Arc<AtomicI64>,
    sql: BTreeMap<String, String>,
    calls: AtomicI64,
    _folder: Option<tempfile::TempDir>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Uploads that are completed later, as on S3.
    Uploads,
    /// Hidden files that are renamed.
    Files,
}

const APPEND: &str = "-- @partition: day\nSELECT id, amount, CAST(at AS DATE) AS day FROM raw.t WHERE amount > 0";
const TOTAL: &str = "SELECT count(*) AS n, sum(id) AS ids FROM out.rows";
const BY_DAY: &str = "-- @partition: day\nSELECT day, count(*) AS n FROM out.rows GROUP BY day";

impl World {
    fn new(kind: Kind, after: bool) -> Self {
        let fuse = Arc::new(AtomicI64::new(i64::MAX));
        let (root, folder) = match kind {
            Kind::Uploads => {
                let store = Arc::new(Faulty { inner: InMemory::new(), fuse: Arc::clone(&fuse), after });
                let multipart = Some(Arc::clone(&store) as _);
                (DataRoot::new(Bucket { base: "memory://b/".into(), store, multipart }, Path::default()), None)
            }
            Kind::Files => {
                let folder = tempfile::tempdir().unwrap();
                let store = Arc::new(Faulty { inner: LocalFileSystem::new(), fuse: Arc::clone(&fuse), after });
                let prefix = Path::parse(folder.path().to_str().unwrap().trim_start_matches('/')).unwrap();
                (DataRoot::new(Bucket { base: "file:///".into(), store, multipart: None }, prefix), Some(folder))
            }
        };
        let sql = [("sql/out/rows.sql", APPEND), ("sql/out/total.sql", TOTAL), ("sql/out/by_day.sql", BY_DAY)];
        let sql = sql.map(|(file, text)| (file.to_owned(), text.to_owned())).into();
        Self { root, fuse, sql, calls: AtomicI64::new(0), _folder: folder }
    }

    async fn upload(&self, key: &str, text: &str) {
        self.root.store().put(&self.root.path(key).unwrap(), text.to_owned().into()).await.unwrap();
    }

    fn engine(&self) -> Engine {
        let limits = Limits { memory: 64 << 20, temp: std::env::temp_dir(), cores: 2 };
        Engine::new(self.root.clone(), Arc::new(EmbeddedCatalog::new(self.root.clone())), limits)
    }

    /// What `unglue run` does.
    async fn run(&self, full_refresh: bool) -> Result<Vec<Outcome>> {
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
        let stamp = Stamp { at: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(call), seed: call.to_string() };
        Ok(engine.run(&project, &checked, &names, full_refresh, &stamp, &|_| {}).await)
    }

    /// Runs of each transform that succeeded, and the first error.
    async fn runs(&self) -> (Vec<String>, Option<Error>) {
        self.invoke(false).await
    }

    async fn invoke(&self, full_refresh: bool) -> (Vec<String>, Option<Error>) {
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
    async fn rows(&self, table: &str) -> Vec<String> {
        let catalog = EmbeddedCatalog::new(self.root.clone());
        let name = TableName::new("out", table).unwrap();
        if catalog.table(&name).await.unwrap().is_none() {
            return Vec::new();
        }
        let input = Input::list(&self.root, &catalog, &name).await.unwrap();
        let mut rows = Vec::new();
        for object in input.objects {
            let bytes = self.root.read(&object.meta.location).await.unwrap().unwrap();
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

    /// Where a partition lies.
    async fn location(&self, table: &str, value: &str) -> String {
        let catalog = EmbeddedCatalog::new(self.root.clone());
        let partitions = catalog.partitions(&TableName::new("out", table).unwrap()).await.unwrap();
        partitions.into_iter().find(|known| known.values == [Some(value.to_owned())]).unwrap().location
    }

    /// The values of a table's partitions.
    async fn partitions(&self, table: &str) -> Vec<String> {
        let catalog = EmbeddedCatalog::new(self.root.clone());
        let partitions = catalog.partitions(&TableName::new("out", table).unwrap()).await.unwrap();
        partitions.into_iter().map(|partition| partition.values[0].clone().unwrap_or_default()).collect()
    }

    async fn two_days(kind: Kind, after: bool) -> Self {
        let world = Self::new(kind, after);
        world.upload("raw/t/1.csv", "id,at,amount\n1,2026-11-01,1.5\n2,2026-11-02,2\n3,2026-11-02,-1\n").await;
        world.upload("raw/t/2.csv", "id,at,amount\n4,2026-11-02,4\n").await;
        world
    }
}

const ROWS: [&str; 3] = ["1|1.5|2026-11-01", "2|2.0|2026-11-02", "4|4.0|2026-11-02"];

#[tokio::test]
async fn only_new_files_are_processed() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = World::two_days(kind, false).await;
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 2", "out.by_day 2", "out.total 2"]);
        assert_eq!(world.rows("rows").await, ROWS);
        assert_eq!(world.rows("total").await, ["3|7"]);
        assert_eq!(world.rows("by_day").await, ["1|2026-11-01", "2|2026-11-02"]);

        assert_eq!(world.runs().await.0, Vec::<String>::new(), "a second run does nothing");

        world.upload("raw/t/3.csv", "amount,id,at\n5,5,2026-11-03\n").await;
        assert_eq!(world.runs().await.0, ["out.rows 1", "out.by_day 3", "out.total 3"]);
        assert_eq!(world.rows("rows").await, [&ROWS[..], &["5|5.0|2026-11-03"]].concat());
        assert_eq!(world.rows("total").await, ["4|12"]);
        assert_eq!(world.rows("by_day").await.len(), 3);
    }
}

#[tokio::test]
async fn a_death_at_any_write_loses_and_doubles_nothing() {
    let mut points = 0;
    for kind in [Kind::Uploads, Kind::Files] {
        for after in [false, true] {
            for write in 1.. {
                let world = World::two_days(kind, after).await;
                world.fuse.store(write, Ordering::SeqCst);
                let (_, failed) = world.runs().await;
                let died = world.fuse.load(Ordering::SeqCst) <= 0;
                world.fuse.store(i64::MAX, Ordering::SeqCst);
                // What a reader sees in between is whole files of right rows, none twice.
                let seen = world.rows("rows").await;
                assert!(seen.iter().all(|row| ROWS.contains(&row.as_str())), "{kind:?} {after} {write}: {seen:?}");
                assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{kind:?} {after} {write}: {seen:?}");
                if !died {
                    assert!(failed.is_none(), "{failed:?}");
                    break;
                }
                points += 1;
                let (_, failed) = world.runs().await;
                assert!(failed.is_none(), "{kind:?} {after} {write}: {failed:?}");
                assert_eq!(world.rows("rows").await, ROWS, "{kind:?} {after} {write}");
                assert_eq!(world.rows("total").await, ["3|7"], "{kind:?} {after} {write}");
                assert_eq!(world.rows("by_day").await, ["1|2026-11-01", "2|2026-11-02"], "{kind:?} {after} {write}");
                let open = Ledger::new(world.root.clone(), &TableName::new("out", "rows").unwrap());
                assert_eq!(open.open_runs().await.unwrap(), Vec::<String>::new(), "{kind:?} {after} {write}");
            }
        }
    }
    eprintln!("{points} writes were interrupted");
    assert!(points > 60, "only {points} writes were interrupted");
}

#[tokio::test]
async fn two_workers_at_once_double_nothing() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = World::two_days(kind, false).await;
        let (a, b, c) = futures::join!(world.runs(), world.runs(), world.runs());
        let quiet = world.runs().await;
        assert!(quiet.1.is_none(), "{quiet:?}");
        assert_eq!(world.rows("rows").await, ROWS, "{a:?} {b:?} {c:?}");
        assert_eq!(world.rows("total").await, ["3|7"]);
        assert_eq!(world.rows("by_day").await, ["1|2026-11-01", "2|2026-11-02"]);
    }
}

#[tokio::test]
async fn a_failed_run_leaves_the_table_as_it_was_and_a_mended_object_completes_it() {
    let world = World::two_days(Kind::Uploads, false).await;
    world.runs().await;
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n6,2026-11-03,x\n").await;
    world.upload("raw/t/4.csv", "id,at,amount\n7,2026-11-03,7\n").await;
    let (_, failed) = world.runs().await;
    assert_eq!(failed.unwrap().code, Code::BadRecord);
    assert_eq!(world.rows("rows").await, ROWS);
    let uploads: Vec<_> = world.root.store().list(Some(&world.root.path("out").unwrap())).try_collect().await.unwrap();
    let before = uploads.len();
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    let (done, failed) = world.runs().await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(done[..2], ["out.rows 1", "out.rows 1"], "the rest of the failed run, then the mended object");
    assert_eq!(world.rows("rows").await, [&ROWS[..], &["5|5.0|2026-11-03", "7|7.0|2026-11-03"]].concat());
    assert!(before > 0);
}

/// A transform that appends `raw.t` to `out.rows` alone, with a setting.
fn appending(world: &mut World, setting: &str) {
    world.sql = [("sql/out/rows.sql".to_owned(), format!("{setting}{APPEND}"))].into();
}

#[tokio::test]
async fn the_rows_of_an_object_with_other_content_are_replaced() {
    for kind in [Kind::Uploads, Kind::Files] {
        let mut world = World::two_days(kind, false).await;
        appending(&mut world, "");
        world.runs().await;
        world.upload("raw/t/2.csv", "id,at,amount\n9,2026-11-09,9\n").await;
        world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 1", "out.rows 1"], "the new object, then the changed one");
        let expected = ["1|1.5|2026-11-01", "2|2.0|2026-11-02", "5|5.0|2026-11-03", "9|9.0|2026-11-09"];
        assert_eq!(world.rows("rows").await, expected);
        assert_eq!(world.runs().await.0, Vec::<String>::new());
        // Once more, now in a file that was itself written by a correction; and back to what it was before.
        world.upload("raw/t/1.csv", "id,at,amount\n1,2026-11-01,1\n3,2026-11-09,3\n").await;
        world.runs().await;
        let expected = ["1|1.0|2026-11-01", "3|3.0|2026-11-09", "5|5.0|2026-11-03", "9|9.0|2026-11-09"];
        assert_eq!(world.rows("rows").await, expected);
        world.upload("raw/t/2.csv", "id,at,amount\n4,2026-11-02,4\n").await;
        world.runs().await;
        let expected = ["1|1.0|2026-11-01", "3|3.0|2026-11-09", "4|4.0|2026-11-02", "5|5.0|2026-11-03"];
        assert_eq!(world.rows("rows").await, expected);
    }
}

#[tokio::test]
async fn an_object_with_other_content_is_added_or_refused_where_the_header_says_so() {
    let mut world = World::two_days(Kind::Uploads, false).await;
    appending(&mut world, "-- @changed_input: reject\n");
    world.runs().await;
    world.upload("raw/t/2.csv", "id,at,amount\n9,2026-11-09,9\n").await;
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    let (_, failed) = world.runs().await;
    assert_eq!(failed.unwrap().code, Code::ChangedInput);
    assert_eq!(world.rows("rows").await, [&ROWS[..], &["5|5.0|2026-11-03"]].concat(), "others are not held up");
    appending(&mut world, "-- @changed_input: append\n");
    assert!(world.runs().await.1.is_none());
    assert_eq!(world.rows("rows").await, [&ROWS[..], &["5|5.0|2026-11-03", "9|9.0|2026-11-09"]].concat());
}

#[tokio::test]
async fn an_open_run_does_not_append_to_a_table_that_is_now_rebuilt() {
    let mut world = World::two_days(Kind::Uploads, false).await;
    world.fuse.store(6, Ordering::SeqCst);
    assert!(world.runs().await.1.is_some());
    world.fuse.store(i64::MAX, Ordering::SeqCst);
    world.sql = [("sql/out/rows.sql".into(), "SELECT max(id) AS id FROM raw.t".into())].into();
    assert!(world.runs().await.1.is_none());
    assert_eq!(world.rows("rows").await, ["4"]);
}

#[tokio::test]
async fn the_definition_may_grow_but_not_break() {
    let mut world = World::two_days(Kind::Uploads, false).await;
    world.runs().await;
    world.sql.insert("sql/out/rows.sql".into(), APPEND.replace("amount,", "amount, 'x' AS added, -- New\n"));
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    assert!(world.runs().await.1.is_none());
    let catalog = EmbeddedCatalog::new(world.root.clone());
    let table = catalog.table(&TableName::new("out", "rows").unwrap()).await.unwrap().unwrap();
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "amount", "added"]);
    assert_eq!(table.columns[2].comment.as_deref(), Some("New"));

    world
        .sql
        .insert("sql/out/rows.sql".into(), APPEND.replace("amount,", "CAST(amount AS INT) AS amount, 'x' AS added,"));
    world.upload("raw/t/4.csv", "id,at,amount\n6,2026-11-03,6\n").await;
    assert_eq!(world.runs().await.1.unwrap().code, Code::SchemaChanged);
}

#[tokio::test]
async fn checks_and_limits_stop_a_run_before_anything_is_visible() {
    let cases = [
        ("-- @assert: amount < 2\n", Code::CheckFailed),
        ("-- @not_null: nothing\n", Code::CheckFailed),
        ("-- @max_partitions: 1\n", Code::TooManyPartitions),
    ];
    for (header, code) in cases {
        let mut world = World::two_days(Kind::Uploads, false).await;
        let query = APPEND.replace("amount,", "amount, NULLIF(id, 4) AS nothing,");
        world.sql = [("sql/out/rows.sql".to_owned(), format!("{header}{query}"))].into();
        let (_, failed) = world.runs().await;
        let failed = failed.unwrap();
        assert_eq!(failed.code, code, "{failed}");
        assert_eq!(failed.transform.as_deref(), Some("out.rows"));
        assert_eq!(world.rows("rows").await, Vec::<String>::new());
        let visible: Vec<_> =
            world.root.store().list(Some(&world.root.path("out").unwrap())).try_collect().await.unwrap();
        assert_eq!(visible, Vec::new());
    }
}

#[tokio::test]
async fn a_table_of_someone_else_is_never_written() {
    let mut world = World::two_days(Kind::Uploads, false).await;
    world.runs().await;
    // Found in the data folder before there was a transform of this name.
    world.upload("out/other/x.csv", "id\n1\n").await;
    world.runs().await;
    world.sql.insert("sql/out/other.sql".into(), "SELECT id FROM raw.t".into());
    let (_, failed) = world.runs().await;
    assert_eq!(failed.unwrap().code, Code::ForeignTable);

    // Not found before, because the folder belonged to a transform from the first run on.
    let world = World::two_days(Kind::Uploads, false).await;
    world.upload("out/rows/x.csv", "id\n1\n").await;
    let failed = world.runs().await.1.unwrap();
    assert_eq!((failed.code, failed.object.unwrap().object), (Code::ForeignTable, "memory://b/out/rows/x.csv".into()));
}

#[tokio::test]
async fn now_is_bound_to_the_run() {
    let mut world = World::two_days(Kind::Uploads, false).await;
    world.sql = [("sql/out/rows.sql".into(), "SELECT id, CAST(now() AS TIMESTAMP) AS at FROM raw.t".into())].into();
    // The first attempt dies while it stages; the second, at a later time, carries the same run on.
    world.fuse.store(6, Ordering::SeqCst);
    assert!(world.runs().await.1.is_some());
    world.fuse.store(i64::MAX, Ordering::SeqCst);
    world.runs().await;
    let times: BTreeSet<String> = world.rows("rows").await.iter().map(|row| row[2..].to_owned()).collect();
    assert_eq!(times, BTreeSet::from(["1970-01-01T00:00:00".to_owned()]));
}

#[tokio::test]
async fn a_full_refresh_rebuilds_and_later_files_are_still_added_once() {
    for kind in [Kind::Uploads, Kind::Files] {
        for write in (1..).step_by(3) {
            let mut world = World::two_days(kind, write % 2 == 0).await;
            world.runs().await;
            // Rows that the new definition would not give.
            world.sql.insert("sql/out/rows.sql".into(), APPEND.replace("amount > 0", "amount > 1.7"));
            assert_eq!(world.runs().await.0, Vec::<String>::new(), "what was appended stays");
            world.fuse.store(write, Ordering::SeqCst);
            world.invoke(true).await;
            let died = world.fuse.load(Ordering::SeqCst) <= 0;
            world.fuse.store(i64::MAX, Ordering::SeqCst);
            world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-02,5\n").await;
            let (_, failed) = world.runs().await;
            assert!(failed.is_none(), "{kind:?} {write}: {failed:?}");
            world.invoke(true).await;
            world.upload("raw/t/4.csv", "id,at,amount\n6,2026-11-02,6\n7,2026-11-07,7\n").await;
            world.runs().await;
            let rows =
                ["2|2.0|2026-11-02", "4|4.0|2026-11-02", "5|5.0|2026-11-02", "6|6.0|2026-11-02", "7|7.0|2026-11-07"];
            assert_eq!(world.rows("rows").await, rows, "{kind:?} {write}");
            assert_eq!(world.rows("total").await, ["5|24"], "{kind:?} {write}");
            if !died {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_bad_header_and_a_bad_query_are_told_in_one_pass() {
    let world = World::two_days(Kind::Uploads, false).await;
    world.runs().await;
    let sql = b"-- @compresion: snappy\n-- @driving: raw.nothing\nSELECT idd FROM raw.t".to_vec();
    let (project, errors) = Project::parse(vec![("sql/out/new.sql".into(), sql)]);
    let checked = world.engine().check(&project).await.unwrap();
    let codes: Vec<_> = errors.iter().chain(&checked.errors).map(|error| error.code).collect();
    assert_eq!(codes, [Code::UnknownKey, Code::BadDriving, Code::UnknownColumn]);
    assert!(checked.planned.is_empty(), "it must not run");
}

const BY_DAY_IN_PLACE: &str = "-- @write: overwrite_partitions\n-- @partition: day\n\
     SELECT CAST(at AS DATE) AS day, count(*) AS n, sum(amount) AS total FROM raw.t GROUP BY CAST(at AS DATE) HAVING count(*) > 1";

#[tokio::test]
async fn only_touched_partitions_are_replaced() {
    for kind in [Kind::Uploads, Kind::Files] {
        let mut world = World::two_days(kind, false).await;
        world.sql = [("sql/out/rows.sql".to_owned(), BY_DAY_IN_PLACE.to_owned())].into();
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 2"]);
        assert_eq!(world.rows("rows").await, ["3|5.0|2026-11-02"], "one row is too few");
        let location = world.location("rows", "2026-11-02").await;
        // By itself the new row would not pass HAVING; together with the old one it does.
        world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-01,5\n").await;
        assert_eq!(world.runs().await.0, ["out.rows 1"]);
        assert_eq!(world.rows("rows").await, ["2|6.5|2026-11-01", "3|5.0|2026-11-02"]);
        assert_eq!(world.location("rows", "2026-11-02").await, location, "it was not touched");
        // A changed object touches the partitions that its former content was in, too.
        world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-02,5\n").await;
        assert_eq!(world.runs().await.0, ["out.rows 1"]);
        assert_eq!(world.rows("rows").await, ["4|10.0|2026-11-02"]);
        assert_eq!(world.runs().await.0, Vec::<String>::new());
    }
}

const MERGE: &str = "-- @write: merge\n-- @key: id\n-- @latest_by: at\n-- @delete_when: amount < 0\n-- @partition: day\n\
     SELECT id, amount, CAST(at AS TIMESTAMP) AS at, CAST(at AS DATE) AS day FROM raw.t";

#[tokio::test]
async fn merging_keeps_the_latest_row_of_a_key_wherever_it_lies() {
    for kind in [Kind::Uploads, Kind::Files] {
        let mut world = World::two_days(kind, false).await;
        world.sql = [("sql/out/rows.sql".to_owned(), MERGE.to_owned())].into();
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 2"]);
        let row = |id: i64, amount: &str, day: &str| format!("{id}|{amount}|{day}T00:00:00|{day}");
        let (a, b, d) = (row(1, "1.5", "2026-11-01"), row(2, "2.0", "2026-11-02"), row(4, "4.0", "2026-11-02"));
        assert_eq!(world.rows("rows").await, [a.clone(), b.clone(), d.clone()], "the row to delete is not there");
        // Key 1 moves to another day, key 4 goes, an older row of key 2 changes nothing.
        let changes = "id,at,amount\n1,2026-11-05,7\n4,2026-11-06,-1\n2,2026-11-01,9\n8,2026-11-02,8\n";
        world.upload("raw/t/3.csv", changes).await;
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 1"]);
        assert_eq!(world.rows("rows").await, [row(1, "7.0", "2026-11-05"), b, row(8, "8.0", "2026-11-02")]);
        assert_eq!(world.partitions("rows").await, ["2026-11-02", "2026-11-05"], "an empty partition goes");
        assert_eq!(world.runs().await.0, Vec::<String>::new());
        let (_, failed) = world.invoke(true).await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(world.rows("rows").await.len(), 3, "a rebuild gives the same rows");
    }
}

#[tokio::test]
async fn without_latest_by_the_later_object_wins() {
    let mut world = World::two_days(Kind::Uploads, false).await;
    let merge = MERGE.replace("-- @latest_by: at\n", "");
    world.sql = [("sql/out/rows.sql".to_owned(), merge)].into();
    let (_, failed) = world.runs().await;
    assert!(failed.is_none(), "{failed:?}");
    world.upload("raw/t/0.csv", "id,at,amount\n2,2026-11-01,9\n").await;
    let (_, failed) = world.runs().await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(world.rows("rows").await[1], "2|9.0|2026-11-01T00:00:00|2026-11-01");
    world.upload("raw/t/5.csv", "id,at,amount\n6,2026-11-01,9\n6,2026-11-01,10\n").await;
    assert_eq!(world.runs().await.1.unwrap().code, Code::CheckFailed, "two rows of one object with one key");
    world.upload("raw/t/5.csv", "id,at,amount\n,2026-11-01,9\n").await;
    assert_eq!(world.runs().await.1.unwrap().code, Code::CheckFailed, "a key that is NULL");
}

#[tokio::test]
async fn a_replaced_partition_replaces_its_rows_downstream() {
    let mut world = World::two_days(Kind::Uploads, false).await;
    let by_day = BY_DAY_IN_PLACE.replace(" HAVING count(*) > 1", " HAVING sum(amount) > 0");
    let copy = "-- @write: append\nSELECT day, n FROM out.by_day";
    world.sql = [("sql/out/by_day.sql".to_owned(), by_day), ("sql/out/rows.sql".to_owned(), copy.to_owned())].into();
    assert_eq!(world.runs().await.0, ["out.by_day 2", "out.rows 2"]);
    assert_eq!(world.rows("rows").await, ["2026-11-01|1", "2026-11-02|3"]);
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-01,5\n6,2026-11-03,6\n").await;
    assert_eq!(
        world.runs().await.0,
        ["out.by_day 1", "out.rows 1", "out.rows 1"],
        "the new partition, then the replaced one"
    );
    assert_eq!(world.rows("rows").await, ["2026-11-01|2", "2026-11-02|3", "2026-11-03|1"]);
    // A partition that is there no more takes its rows with it.
    world.upload("raw/t/4.csv", "id,at,amount\n7,2026-11-02,-100\n").await;
    assert_eq!(world.runs().await.0, ["out.by_day 1", "out.rows 1"]);
    assert_eq!(world.rows("rows").await, ["2026-11-01|2", "2026-11-03|1"]);
    assert_eq!(world.runs().await.0, Vec::<String>::new());
}
