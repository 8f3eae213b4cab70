//! Tables read as the catalog declares them, from objects as people upload them.

mod nested;
mod orc;
mod parquet;
mod rescue;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionContext;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::*;
use crate::catalog::{Catalog, EmbeddedCatalog};
use crate::failure::of_execution;
use crate::format::{CsvOptions, JsonOptions};
use crate::inputs::described;
use crate::pinned::PinnedStore;
use crate::store::{Bucket, DataRoot};
use crate::table::{Partition, TableName};

/// A table `raw.t` over the given objects (keys below `raw/t/`), and SQL over it.
struct World {
    store: Arc<dyn ObjectStore>,
    root: DataRoot,
    catalog: EmbeddedCatalog,
}

impl World {
    async fn new(format: Format, columns: &[(&str, &str)], keys: &[(&str, &str)], objects: &[(&str, Vec<u8>)]) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let bucket = Bucket { base: "memory://b/".into(), store: Arc::clone(&store), multipart: None };
        let root = DataRoot::new(bucket, Path::default());
        let catalog = EmbeddedCatalog::new(root.clone());
        let columns_of = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, hive)| Column { name: (*name).into(), hive_type: hive.parse().unwrap(), comment: None })
                .collect()
        };
        let name = TableName::new("raw", "t").unwrap();
        let table = Table {
            location: root.table_location(&name),
            name: name.clone(),
            columns: columns_of(columns),
            partition_keys: columns_of(keys),
            format,
            description: None,
            parameters: Default::default(),
            version: None,
        };
        catalog.put_table(&table).await.unwrap();
        let mut partitions: Vec<Partition> = Vec::new();
        for (key, content) in objects {
            store.put(&Path::parse(format!("raw/t/{key}")).unwrap(), content.clone().into()).await.unwrap();
            if let Some((folder, _)) = key.rsplit_once('/')
                && !keys.is_empty()
            {
                partitions.push(Partition {
                    values: partition::decode_path(folder).into_iter().map(|(_, value)| value).collect(),
                    location: format!("{}{folder}/", table.location),
                    parameters: Default::default(),
                });
            }
        }
        if !partitions.is_empty() {
            catalog.add_partitions(&table, &partitions).await.unwrap();
        }
        Self { store, root, catalog }
    }

    async fn input(&self) -> Input {
        let table = described(&self.catalog, &TableName::new("raw", "t").unwrap()).await.unwrap();
        Input::list(&self.root, &self.catalog, table, &[], None).await.unwrap()
    }

    async fn session(&self) -> SessionContext {
        let input = self.input().await;
        let metas: Vec<_> = input.objects.iter().map(|object| object.meta.clone()).collect();
        let url = ObjectStoreUrl::parse("unglue://inputs").unwrap();
        let env = Arc::new(RuntimeEnv::default());
        let pinned = PinnedStore::new(Arc::clone(&self.store), &metas, Arc::new(AtomicU64::new(0)));
        env.register_object_store(url.as_ref(), Arc::new(pinned));
        let limits = crate::Limits { memory: 64 << 20, temp: std::path::PathBuf::new(), cores: 2 };
        let state = crate::session::executor(env, &limits, chrono::DateTime::UNIX_EPOCH, crate::session::Joins::Hashed);
        let session = SessionContext::new_with_state(state);
        // DataFusion wants a default schema for a bare table name.
        let catalog = Arc::new(datafusion::catalog::MemoryCatalogProvider::new());
        datafusion::catalog::CatalogProvider::register_schema(
            catalog.as_ref(),
            "public",
            Arc::new(datafusion::catalog::MemorySchemaProvider::new()),
        )
        .unwrap();
        session.register_catalog("datafusion", catalog);
        session.register_table("t", Arc::new(SourceTable::new(input, url))).unwrap();
        session
    }

    async fn query(&self, sql: &str) -> crate::Result<Vec<RecordBatch>> {
        let frame = self.session().await.sql(sql).await.map_err(of_execution)?;
        frame.collect().await.map_err(of_execution)
    }

    /// Rows as text, sorted, fields between bars.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let batches = self.query(sql).await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let mut rows: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .skip(1)
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("|"))
            .collect();
        rows.sort();
        rows
    }

    async fn plan(&self, sql: &str) -> String {
        let frame = self.session().await.sql(sql).await.unwrap();
        let plan = frame.create_physical_plan().await.unwrap();
        datafusion::physical_plan::displayable(plan.as_ref()).indent(true).to_string()
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const COLUMNS: &[(&str, &str)] = &[("id", "bigint"), ("name", "string"), ("amount", "double")];

async fn csv(objects: &[(&str, &str)]) -> World {
    let objects: Vec<_> = objects.iter().map(|(key, text)| (*key, text.as_bytes().to_vec())).collect();
    World::new(Format::Csv(CsvOptions::default()), COLUMNS, &[], &objects).await
}

#[tokio::test]
async fn csv_columns_are_found_by_header() {
    let world = csv(&[
        ("a.csv", "id,name,amount\n1,one,1.5\n"),
        ("b.csv", "\u{feff}Amount,\"NAME\",id\r\n2.5,two,2\r\n"),
        ("c.csv", "name,extra,id\nthree,\"x\ny\",3"),
        ("empty.csv", ""),
        ("header.csv", "id,name,amount\n"),
    ])
    .await;
    assert_eq!(world.rows("SELECT id, name, amount FROM t").await, ["1|one|1.5", "2|two|2.5", "3|three|"]);
    assert_eq!(world.rows("SELECT count(*) FROM t").await, ["3"], "no column is needed to count");
    assert_eq!(world.rows("SELECT amount FROM t WHERE id = 2").await, ["2.5"]);
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_the_first_value() {
    let text = |text: &str| format!("\u{feff}{text}").into_bytes();
    let headless = Format::Csv(CsvOptions { header_lines: 0, ..CsvOptions::default() });
    let json = text("{\"id\":1,\"name\":\"a\",\"amount\":2.5}\n");
    for (format, object) in
        [(headless, ("a.csv", text("1,a,2.5\n"))), (Format::Json(JsonOptions::default()), ("a.json", json))]
    {
        let world = World::new(format, COLUMNS, &[], &[object]).await;
        assert_eq!(world.rows("SELECT id, name, amount FROM t").await, ["1|a|2.5"]);
    }
}

#[tokio::test]
async fn compressed_objects_are_read_to_the_last_member() {
    let mut members = gzip("id,name,amount\n1,a,1\n");
    members.extend(gzip("2,b,2\n"));
    let mut zstd_members = zstd::encode_all("id,name,amount\n3,c,3\n".as_bytes(), 3).unwrap();
    zstd_members.extend(zstd::encode_all("4,d,4\n".as_bytes(), 3).unwrap());
    let bzip = |text: &str| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let mut bzip_members = bzip("id,name,amount\n5,e,5\n");
    bzip_members.extend(bzip("6,f,6\n"));
    let objects = [("a.csv.gz", members), ("b.csv.zst", zstd_members), ("c.csv.bz2", bzip_members)];
    let world = World::new(Format::Csv(CsvOptions::default()), COLUMNS, &[], &objects).await;
    assert_eq!(world.rows("SELECT id FROM t").await, ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn bad_records_are_located() {
    let cases = [
        ("id,name,amount\n1,a,1\n2,\"b\nb\",x\n", 3, "column `amount`: `x` is not a double"),
        ("id,name,amount\n\n1,a,1\n2,b\n", 4, "the record has 2 fields, the header has 3"),
        ("id,name,amount\n1,a,1,9\n", 2, "the record has 4 fields, the header has 3"),
        ("id,name,amount\n9223372036854775808,a,1\n", 2, "column `id`: `9223372036854775808` is not a bigint"),
    ];
    for (text, line, message) in cases {
        let error = csv(&[("bad.csv", text)]).await.query("SELECT * FROM t").await.unwrap_err();
        assert_eq!(error.code, crate::Code::BadRecord, "{error}");
        assert_eq!(error.message, message);
        let place = error.object.unwrap();
        assert_eq!((place.object.as_str(), place.line), ("raw/t/bad.csv", Some(line)), "{text}");
    }
}

#[tokio::test]
async fn a_bad_record_is_found_behind_many_good_ones() {
    let mut text = "{\"id\": 0}\n".repeat(5000);
    text.push_str("{\"id\": 1, \"name\": }\n{\"id\": 2}\n");
    let world = World::new(Format::Json(JsonOptions::default()), COLUMNS, &[], &[("x.jsonl.gz", gzip(&text))]).await;
    let error = world.query("SELECT * FROM t").await.unwrap_err();
    assert_eq!((error.code, error.object.unwrap().line), (crate::Code::BadRecord, Some(5001)));
}

#[tokio::test]
async fn truncated_compression_is_an_error_and_not_fewer_rows() {
    let text = format!("id,name,amount\n{}", "1,abcdefgh,2.5\n".repeat(20_000));
    let whole = [("x.csv.gz", gzip(&text)), ("x.csv.zst", zstd::encode_all(text.as_bytes(), 3).unwrap())];
    for (key, bytes) in whole {
        let cut = bytes[..bytes.len() - 7].to_vec();
        let world = World::new(Format::Csv(CsvOptions::default()), COLUMNS, &[], &[(key, cut)]).await;
        let error = world.query("SELECT count(*) FROM t").await.unwrap_err();
        assert_eq!(error.code, crate::Code::BadObject, "{key}: {error}");
        assert_eq!(error.object.unwrap().object, format!("raw/t/{key}"));
    }
}

#[tokio::test]
async fn json_keys_may_be_spelt_in_their_own_way() {
    let objects = [
        ("a.json", b"\xEF\xBB\xBF{\"ID\":1,\"Name\":\"a\"}\n{\"Id\":2}\n".to_vec()),
        ("b.json", b"{\"id\":3,\"amount\":null}".to_vec()),
    ];
    let world = World::new(Format::Json(JsonOptions::default()), COLUMNS, &[], &objects).await;
    assert_eq!(world.rows("SELECT id, name, amount FROM t").await, ["1|a|", "2||", "3||"]);
    assert_eq!(world.rows("SELECT count(*) FROM t").await, ["3"]);
}

#[tokio::test]
async fn a_json_key_that_comes_late_is_not_lost() {
    let mut text = "{\"id\":1}\n".repeat(100_000);
    text.push_str("{\"id\":2,\"Name\":\"late\"}\n");
    let world = World::new(Format::Json(JsonOptions::default()), COLUMNS, &[], &[("a.json", text.into_bytes())]).await;
    assert_eq!(world.rows("SELECT id, name FROM t WHERE name IS NOT NULL").await, ["2|late"]);
}

#[tokio::test]
async fn partitions_are_typed_and_pruned() {
    let keys = [("day", "date"), ("region", "string")];
    let object = |id: u32| format!("id,name,amount\n{id},x,1\n").into_bytes();
    let objects = [
        ("day=2026-11-01/region=a%2Fb/1.csv", object(1)),
        ("day=2026-11-02/region=__HIVE_DEFAULT_PARTITION__/2.csv", object(2)),
        ("day=2026-11-02/region=c/3.csv", b"not,a,known\nheader".to_vec()),
        ("day=2026-11-02/region=c/_hidden.csv", object(9)),
    ];
    let world = World::new(Format::Csv(CsvOptions::default()), COLUMNS, &keys, &objects).await;
    assert_eq!(world.rows("SELECT id, day, region FROM t WHERE day = DATE '2026-11-01'").await, ["1|2026-11-01|a/b"]);
    assert_eq!(world.rows("SELECT id FROM t WHERE region IS NULL").await, ["2"]);
    assert_eq!(world.rows("SELECT id FROM t WHERE day > DATE '2027-01-01'").await, Vec::<String>::new());
    // The broken object is in the only partition that was never read.
    let error = world.query("SELECT id FROM t").await.unwrap_err();
    assert_eq!(error.code, crate::Code::ColumnMismatch);
}

fn parquet_of(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn parquet_is_read_by_name_with_filters_and_projection_pushed_down() {
    use arrow::array::{Int32Array, StringArray};
    let batch = RecordBatch::try_from_iter([
        ("NAME", Arc::new(StringArray::from(vec!["a", "b"])) as _),
        ("Id", Arc::new(Int32Array::from(vec![1, 2])) as _),
    ])
    .unwrap();
    let world = World::new(Format::Parquet, COLUMNS, &[], &[("x.parquet", parquet_of(&batch))]).await;
    assert_eq!(world.rows("SELECT id, name, amount FROM t WHERE id > 1").await, ["2|b|"]);
    let plan = world.plan("SELECT name FROM t WHERE id > 1").await;
    assert!(plan.contains("predicate=id@0 > 1"), "{plan}");
    assert!(!plan.contains("FilterExec"), "{plan}");
    assert!(plan.contains("projection=[name]"), "{plan}");
}

#[tokio::test]
async fn parquet_of_other_types_or_columns_is_refused() {
    use arrow::array::{Int32Array, StringArray};
    let strings = RecordBatch::try_from_iter([("id", Arc::new(StringArray::from(vec!["1"])) as _)]).unwrap();
    let others = RecordBatch::try_from_iter([("zzz", Arc::new(Int32Array::from(vec![1])) as _)]).unwrap();
    for (batch, message) in [
        (strings, "column `id` is string in the object, bigint in the table"),
        (others, "the object has none of the table's columns; it has `zzz`"),
    ] {
        let world = World::new(Format::Parquet, COLUMNS, &[], &[("x.parquet", parquet_of(&batch))]).await;
        let error = world.query("SELECT id FROM t").await.unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (crate::Code::ColumnMismatch, message));
    }
}

#[tokio::test]
async fn an_object_that_changes_under_the_reader_is_an_error() {
    let world = csv(&[("a.csv", "id,name,amount\n1,a,1\n")]).await;
    let session = world.session().await;
    world.store.put(&Path::parse("raw/t/a.csv").unwrap(), "id,name,amount\n2,b,2\n".into()).await.unwrap();
    let error = of_execution(session.sql("SELECT * FROM t").await.unwrap().collect().await.unwrap_err());
    assert_eq!(error.code, crate::Code::ObjectChanged, "{error}");
    world.store.delete(&Path::parse("raw/t/a.csv").unwrap()).await.unwrap();
    let error = of_execution(session.sql("SELECT * FROM t").await.unwrap().collect().await.unwrap_err());
    assert_eq!(error.code, crate::Code::ObjectGone, "{error}");
}

#[tokio::test]
async fn a_json_column_of_several_kinds_is_text() {
    let objects = [("a.json", b"{\"name\":1}\n{\"name\":\"x\"}\n{\"name\":true}\n{\"name\":1.50}\n".to_vec())];
    let world = World::new(Format::Json(JsonOptions::default()), COLUMNS, &[], &objects).await;
    assert_eq!(world.rows("SELECT name FROM t").await, ["1", "1.50", "true", "x"]);
}

#[tokio::test]
async fn broken_parquet_is_found_among_good_objects() {
    use arrow::array::Int64Array;
    let good = parquet_of(&RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap());
    let mut lying = good.clone();
    let length = lying.len();
    lying[length - 8..length - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    for bad in [b"PAR1".to_vec(), good[..length - 5].to_vec(), lying] {
        let world = World::new(Format::Parquet, COLUMNS, &[], &[("a.parquet", good.clone()), ("b.parquet", bad)]).await;
        let input = world.input().await;
        let error = first_unreadable_parquet(&world.store, &[input]).await.unwrap();
        assert_eq!(error.code, crate::Code::BadObject, "{error}");
        assert_eq!(error.object.unwrap().object, "raw/t/b.parquet");
    }
}
