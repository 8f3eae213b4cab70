mod arrived;
mod crawler;
mod drift;
mod findings;

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::*;
use crate::catalog::EmbeddedCatalog;
use crate::format::Format;
use crate::hive::HiveType;
use crate::store::Bucket;
use crate::table::{Column, Partition, PartitionChange};

/// A data folder and its catalog.
struct Place {
    root: DataRoot,
    catalog: EmbeddedCatalog,
}

impl Place {
    fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        let bucket = Bucket { base: "memory://test/".to_owned(), store, multipart: None };
        let root = DataRoot::new(bucket, Path::parse(prefix).unwrap());
        Self { catalog: EmbeddedCatalog::new(root.clone()), root }
    }

    fn in_memory() -> Self {
        Self::new(Arc::new(InMemory::new()), "data")
    }

    /// A place with these objects.
    async fn with(objects: &[(&str, &[u8])]) -> Self {
        let place = Self::in_memory();
        for (path, content) in objects {
            place.put(path, content).await;
        }
        place
    }

    async fn put(&self, path: &str, content: &[u8]) {
        let path = self.root.path(path).unwrap();
        self.root.store().put(&path, content.to_vec().into()).await.unwrap();
    }

    async fn discover(&self) -> Discovery {
        discover(&self.root, &self.catalog, &Produced::default()).await.unwrap()
    }

    /// Discovers and expects a change of this one table without any finding.
    async fn discover_one(&self) -> TableChange {
        let discovery = self.discover().await;
        assert!(discovery.findings.is_empty(), "{:?}", discovery.findings);
        let [change] = discovery.tables.try_into().expect("one table");
        assert!(change.findings.is_empty(), "{:?}", change.findings);
        change
    }

    /// Discovers and expects these findings of one table, as codes.
    async fn findings(&self) -> (TableChange, Vec<Code>) {
        let discovery = self.discover().await;
        assert!(discovery.findings.is_empty(), "{:?}", discovery.findings);
        let [change] = discovery.tables.try_into().expect("one table");
        let codes = change.findings.iter().map(|finding| finding.code).collect();
        assert!(change.findings.iter().all(|finding| finding.object.is_some()), "{:?}", change.findings);
        (change, codes)
    }

    async fn quiet(&self) {
        let before = self.objects().await;
        let discovery = self.discover().await;
        assert!(discovery.tables.is_empty() && discovery.findings.is_empty(), "{discovery:?}");
        assert_eq!(self.objects().await, before, "nothing is written");
    }

    async fn objects(&self) -> usize {
        self.root.store().list(None).try_collect::<Vec<_>>().await.unwrap().len()
    }

    async fn table(&self, name: &str) -> Table {
        self.catalog.table(&self::name(name)).await.unwrap().expect("a table")
    }
}

fn name(text: &str) -> TableName {
    text.to_owned().try_into().unwrap()
}

fn described(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| format!("{}:{}", column.name, column.hive_type)).collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn parquet_of(columns: Vec<(&str, arrow::array::ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut buffer = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut buffer, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    buffer
}

#[tokio::test]
async fn a_new_csv_table() {
    let place = Place::with(&[
        ("raw/orders/a.csv", b"Id;Amount\n1;2.5\n"),
        ("raw/orders/_SUCCESS", b""),
        ("raw/orders/.hidden.csv", b"x"),
        ("raw/orders/_temporary/0/part.csv", b"x"),
        ("raw/orders/empty.csv", b""),
        ("raw/orders/later/b.csv", b"amount;id;day\n3;2;2026-11-22\n"),
    ])
    .await;
    let preview = diff(&place.root, &place.catalog, &Produced::default()).await.unwrap();
    assert!(preview.is_change());
    assert_eq!(place.catalog.tables().await.unwrap(), [], "a diff writes nothing");

    let change = place.discover_one().await;
    assert!(change.created);
    assert_eq!((change.objects, change.skipped), (2, 4));
    assert_eq!(described(&change.columns_added), ["id:bigint", "amount:double", "day:date"]);
    let json = serde_json::to_value(&change).unwrap();
    assert_eq!(json, serde_json::to_value(&preview.tables[0]).unwrap(), "diff and discover say the same");
    assert_eq!(json["table"], "raw.orders");
    assert_eq!(json["columns_added"][0], serde_json::json!({"name": "id", "type": "bigint"}));

    let table = place.table("raw.orders").await;
    assert_eq!(described(&table.columns), ["id:bigint", "amount:double", "day:date"]);
    assert_eq!(table.partition_keys, []);
    assert!(matches!(&table.format, Format::Csv(options) if options.delimiter == ';' && options.quote == Some('"')));
    assert_eq!(table.location, "memory://test/data/raw/orders/");
    assert_eq!(table.parameters["classification"], "csv");
    assert_eq!(table.parameters["unglue.catalog"], "discover");
    place.quiet().await;
}

#[tokio::test]
async fn every_format_and_compression() {
    let csv = b"a,b\n1,x\n";
    let json = b"{\"a\":1,\"b\":\"x\"}\n";
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz2.write_all(csv).unwrap();
    let parquet = parquet_of(vec![
        ("a", Arc::new(Int64Array::from(vec![1])) as _),
        ("b", Arc::new(StringArray::from(vec!["x"])) as _),
    ]);
    let place = Place::with(&[
        ("d/bz2/x.csv.bz2", &bz2.finish().unwrap()),
        ("d/gz/x.CSV.gz", &gzip(csv)),
        ("d/gz/y.csv", csv),
        ("d/json/x.json", json),
        ("d/jsonl/x.jsonl.gz", &[gzip(json), gzip(json)].concat()),
        ("d/parquet/x.parquet", &parquet),
        ("d/tsv/x.tsv", b"a\tb\n1\tx\n"),
        ("d/zst/x.ndjson.zst", &zstd::encode_all(&json[..], 3).unwrap()),
    ])
    .await;
    let discovery = place.discover().await;
    let names: Vec<_> = discovery.tables.iter().map(|change| change.table.table.as_str()).collect();
    assert_eq!(names, ["bz2", "gz", "json", "jsonl", "parquet", "tsv", "zst"]);
    for change in &discovery.tables {
        assert!(change.findings.is_empty(), "{:?}", change.findings);
        assert_eq!(described(&change.columns_added), ["a:bigint", "b:string"], "{}", change.table);
    }
    assert!(matches!(place.table("d.tsv").await.format, Format::Csv(options) if options.delimiter == '\t'));
    assert_eq!(place.table("d.zst").await.parameters["classification"], "json");
    assert_eq!(place.table("d.parquet").await.parameters["classification"], "parquet");
    place.quiet().await;
}

#[tokio::test]
async fn partitions_are_found_and_typed() {
    let place = Place::with(&[
        ("raw/t/Day=2026-11-22/n=1/code=01/x.csv", b"a\n1\n"),
        ("raw/t/Day=2026-11-23/n=-20/code=2/sub/x.csv", b"a\n1\n"),
        ("raw/t/Day=__HIVE_DEFAULT_PARTITION__/n=3/code=3/x.csv", b"a\n1\n"),
        ("raw/t/Day=2026-11-24/n=3/code=3/empty.csv", b""),
    ])
    .await;
    let change = place.discover_one().await;
    let value = |text: &str| Some(text.to_owned());
    assert_eq!(
        change.partitions_added,
        [
            vec![None, value("3"), value("3")],
            vec![value("2026-11-22"), value("1"), value("01")],
            vec![value("2026-11-23"), value("-20"), value("2")],
        ]
    );
    let table = place.table("raw.t").await;
    assert_eq!(described(&table.partition_keys), ["day:date", "n:bigint", "code:string"]);
    assert_eq!(described(&table.columns), ["a:bigint"]);
    let partitions = place.catalog.partitions(&table.name).await.unwrap();
    assert_eq!(partitions[1].location, "memory://test/data/raw/t/Day=2026-11-22/n=1/code=01/");
    place.quiet().await;

    place.put("raw/t/Day=2026-12-01/n=4/code=4/x.csv", b"a\n2\n").await;
    let change = place.discover_one().await;
    assert!(!change.created);
    assert_eq!(change.columns_added, []);
    assert_eq!(change.partitions_added, [vec![value("2026-12-01"), value("4"), value("4")]]);
    assert_eq!(place.catalog.partitions(&table.name).await.unwrap().len(), 4);
    assert_eq!(place.table("raw.t").await, table, "the definition is not touched");
    place.quiet().await;
}

async fn odd_values_survive(place: Place) {
    let values = ["a/b", "a=b", "100%", "%2F", "a b+c", "it's", "~é 日🎉", "10:30", "."];
    for value in values {
        let folder = crate::partition::encode_path(["k"], &[Some(value.to_owned())]);
        place.put(&format!("raw/t/{folder}/f %+é=.csv"), b"a\n1\n").await;
    }
    let change = place.discover_one().await;
    let mut expected: Vec<_> = values.iter().map(|value| vec![Some((*value).to_owned())]).collect();
    expected.sort();
    assert_eq!(change.partitions_added, expected);
    for partition in place.catalog.partitions(&name("raw.t")).await.unwrap() {
        let path = place.root.path_of(&format!("{}f %+é=.csv", partition.location)).unwrap();
        assert!(place.root.read(&path).await.unwrap().is_some(), "{}", partition.location);
    }
    place.quiet().await;
}

#[tokio::test]
async fn odd_partition_values_in_memory() {
    odd_values_survive(Place::in_memory()).await;
}

#[tokio::test]
async fn odd_partition_values_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    odd_values_survive(Place::new(Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap()), "my data")).await;
}

#[tokio::test]
async fn empty_folders_on_disk_are_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("raw/empty")).unwrap();
    let place = Place::new(Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap()), "");
    place.quiet().await;
    let absent = Place::new(Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap()), "absent");
    absent.quiet().await;

    // A name that no object store path can hold is a finding of its table; others go on.
    place.put("raw/good/a.csv", b"a\n1\n").await;
    std::fs::create_dir_all(folder.path().join("raw/odd")).unwrap();
    std::fs::write(folder.path().join("raw/odd/a\nb.csv"), "a\n1\n").unwrap();
    let discovery = place.discover().await;
    assert_eq!(discovery.tables.len(), 2);
    assert!(discovery.tables[0].created);
    assert_eq!(discovery.tables[1].findings[0].code, Code::BadObject);
}

#[tokio::test]
async fn the_catalog_s_definition_is_kept() {
    let place = Place::with(&[("raw/t/a.csv", b"id,name,amount\n1,x,2\n")]).await;
    place.discover_one().await;
    let mut table = place.table("raw.t").await;
    table.description = Some("by hand".to_owned());
    table.parameters.insert("owner".to_owned(), "me".to_owned());
    table.columns[0].comment = Some("the id".to_owned());
    table.columns[0].hive_type = HiveType::String;
    table.columns[2].hive_type = HiveType::Decimal(12, 2);
    table.columns.push(Column { name: "gone".to_owned(), hive_type: HiveType::Date, comment: None });
    let table = place.catalog.put_table(&table).await.unwrap();
    place.quiet().await;

    place.put("raw/t/b.csv", b"new,AMOUNT,id\ntrue,2.5,7\n").await;
    let change = place.discover_one().await;
    assert!(!change.created);
    assert_eq!(described(&change.columns_added), ["new:boolean"]);
    let after = place.table("raw.t").await;
    assert_eq!(after.columns[..4], table.columns[..]);
    assert_eq!(described(&after.columns[4..]), ["new:boolean"]);
    assert_eq!((after.description, after.parameters), (table.description, table.parameters));
    place.quiet().await;
}

#[tokio::test]
async fn tables_that_others_look_after() {
    let place = Place::with(&[
        ("out/skipped/a.csv", b"a\n1\n"),
        ("out/target/a.csv", b"a\n1\n"),
        ("out/moved/a.csv", b"a\n1\n"),
        ("raw/t/a.csv", b"a\n1\n"),
    ])
    .await;
    place.discover().await;
    let mut target = place.table("out.target").await;
    target.parameters.insert("unglue.transform".to_owned(), "x".to_owned());
    place.catalog.put_table(&target).await.unwrap();
    let mut moved = place.table("out.moved").await;
    moved.location = "memory://test/data/elsewhere/".to_owned();
    place.catalog.put_table(&moved).await.unwrap();
    for table in ["out/skipped", "out/target", "out/moved", "raw/t"] {
        place.put(&format!("{table}/b.csv"), b"a,b\n1,2\n").await;
    }
    let produced = Produced::new([name("out.skipped")].into(), Vec::new());
    let discovery = discover(&place.root, &place.catalog, &produced).await.unwrap();
    let changed: Vec<_> = discovery.tables.iter().map(|change| change.table.to_string()).collect();
    assert_eq!(changed, ["raw.t"]);
}

#[tokio::test]
async fn what_transforms_have_written_is_no_source() {
    let csv: &[u8] = b"a\n1\n";
    let place = Place::with(&[
        ("out/removed/a.csv", csv),
        ("_unglue/out/removed/runs/r1/commit.json", b"{}"),
        ("out/never_ran/a.csv", csv),
        ("_unglue/out/never_ran/runs/r1/intent.json", b"{}"),
        ("other/here/a.csv", csv),
        ("other/mixed/a.csv", csv),
        ("other/mixed/part/b.csv", b"a,b\n1,2\n"),
        ("raw/owned/a.csv", csv),
    ])
    .await;
    // A transform that is gone wrote here, with an `@location`.
    let owned = Place::with(&[("x/y/a.csv", csv)]).await;
    owned.discover().await;
    let owned = Table { location: place.root.table_location(&name("raw.owned")), ..owned.table("x.y").await };
    let parameters = [(OWNER.to_owned(), "out.elsewhere".to_owned())].into();
    let owned = Table { name: name("out.elsewhere"), parameters, version: None, ..owned };
    place.catalog.put_table(&owned).await.unwrap();

    let locations = ["other/here/", "other/mixed/part/"].map(|below| place.root.absolute(below)).to_vec();
    let produced = Produced::new(BTreeSet::new(), locations);
    let preview = diff(&place.root, &place.catalog, &produced).await.unwrap();
    let discovery = discover(&place.root, &place.catalog, &produced).await.unwrap();
    for discovery in [preview, discovery] {
        assert!(discovery.findings.is_empty(), "{discovery:?}");
        let tables: Vec<_> = discovery
            .tables
            .iter()
            .map(|c| (c.table.to_string(), c.created, c.columns_added.len(), c.findings.len()))
            .collect();
        assert_eq!(tables, [("other.mixed".to_owned(), true, 1, 0), ("out.never_ran".to_owned(), true, 1, 0)]);
    }
    let again = discover(&place.root, &place.catalog, &produced).await.unwrap();
    assert!(again.tables.is_empty() && again.findings.is_empty(), "{again:?}");
}

#[tokio::test]
async fn large_objects_are_seen_by_their_start() {
    let mut text = b"\xEF\xBB\xBFid,text\n".to_vec();
    for row in 0..200_000 {
        writeln!(text, "{row},\"some text, number {}\"", row * 7919 % 104_729).unwrap();
    }
    text.extend_from_slice(b"not a number,x\n");
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bz2.write_all(&text).unwrap();
    let objects: [(&str, Vec<u8>); 4] = [
        ("x.csv", text.clone()),
        ("x.csv.gz", gzip(&text)),
        ("x.csv.zst", zstd::encode_all(&text[..], 1).unwrap()),
        ("x.csv.bz2", bz2.finish().unwrap()),
    ];
    for (file, content) in &objects {
        let place = Place::with(&[(&format!("raw/t/{file}"), content)]).await;
        let change = place.discover_one().await;
        assert_eq!(described(&change.columns_added), ["id:bigint", "text:string"], "{file}");
    }
}

#[tokio::test]
async fn the_oldest_and_the_newest_objects_are_sampled() {
    let place = Place::in_memory();
    for index in 0..40 {
        place.put(&format!("raw/t/{index:02}.json"), format!("{{\"a\":1,\"c{index:02}\":1}}").as_bytes()).await;
    }
    let change = place.discover_one().await;
    let names: Vec<_> = change.columns_added.iter().map(|column| column.name.clone()).collect();
    let expected: Vec<_> =
        std::iter::once("a".to_owned()).chain((0..8).chain(32..40).map(|index| format!("c{index:02}"))).collect();
    assert_eq!(names, expected);
    place.quiet().await;
}

#[tokio::test]
async fn json_keys_may_be_spelt_differently_in_each_object() {
    let place =
        Place::with(&[("raw/t/a.json", b"{\"userId\":1,\"p q\":1}"), ("raw/t/b.json", b"{\"USERID\":2.5}")]).await;
    let change = place.discover_one().await;
    assert_eq!(described(&change.columns_added), ["userid:double", "p q:bigint"]);
}

#[tokio::test]
async fn parquet_by_its_footers() {
    let a = parquet_of(vec![
        ("Id", Arc::new(Int32Array::from(vec![1])) as _),
        ("span", Arc::new(Time64MicrosecondArray::from(vec![1])) as _),
        ("k", Arc::new(StringArray::from(vec!["x"])) as _),
    ]);
    let b = parquet_of(vec![
        ("id", Arc::new(Int64Array::from(vec![1])) as _),
        ("name", Arc::new(StringArray::from(vec!["x"])) as _),
    ]);
    let c = parquet_of(vec![("name", Arc::new(Int64Array::from(vec![1])) as _)]);
    let place = Place::with(&[("raw/t/k=1/a.parquet", &a), ("raw/t/k=1/b.parquet", &b), ("raw/t/k=1/c.pq", &c)]).await;
    let (change, codes) = place.findings().await;
    assert_eq!(codes, [Code::UnsupportedType, Code::ColumnMismatch, Code::ColumnMismatch], "{:?}", change.findings);
    assert!(change.findings[1].message.contains("`name`"), "{}", change.findings[1]);
    assert!(change.findings[2].message.contains("partition key"), "{}", change.findings[2]);
    assert_eq!(described(&change.columns_added), ["id:bigint", "name:string"]);

    let mut wide_footer = Vec::new();
    let schema = Schema::new(
        (0..3000)
            .map(|index| Field::new(format!("c{index}"), DataType::Timestamp(TimeUnit::Nanosecond, None), true))
            .collect::<Vec<_>>(),
    );
    let batch = RecordBatch::new_empty(Arc::new(schema));
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut wide_footer, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert!(wide_footer.len() > 64 * 1024, "more than one read is needed");
    let no_rows = Place::with(&[("raw/t/a.parquet", &wide_footer)]).await;
    assert_eq!(no_rows.findings().await.1, [Code::UnreadableTable]);
    let place = Place::with(&[("raw/t/a.parquet", &wide_footer), ("raw/t/b.parquet", &b)]).await;
    let change = place.discover_one().await;
    assert_eq!(change.columns_added.len(), 3002);

    for broken in [
        &b"PAR1"[..],
        b"PAR1\xFF\xFF\xFF\x7FPAR1",
        &b[..b.len() - 4],
        b"a,b\n1,2\n",
        &[b"PAR1\x10\0\0\0".as_slice(), b"PAR1"].concat(),
    ] {
        let place = Place::with(&[("raw/t/x.parquet", broken)]).await;
        assert_eq!(place.findings().await.1, [Code::BadObject], "{broken:?}");
    }
}

#[tokio::test]
async fn several_at_once_create_a_table_once() {
    let place = Place::with(&[("raw/t/k=1/a.csv", b"a\n1\n"), ("raw/t/k=2/a.csv", b"a\n1\n")]).await;
    let skip = Produced::default();
    let all = futures::future::join_all((0..4).map(|_| discover(&place.root, &place.catalog, &skip))).await;
    for result in all {
        result.unwrap();
    }
    assert_eq!(place.catalog.partitions(&name("raw.t")).await.unwrap().len(), 2);
    place.quiet().await;
}
