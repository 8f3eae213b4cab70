//! What was written is read back, by partition, in order, in files of the asked size.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use bytes::Bytes;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression as Codec;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::hive::HiveType;
use crate::settings::{Compression, Settings, SortColumn, Spanned};
use crate::store::{Bucket, DataRoot};
use crate::table::Column;

struct Written {
    store: Arc<InMemory>,
    files: Vec<WrittenFile>,
}

fn columns() -> Vec<Column> {
    let column = |name: &str, hive_type| Column { name: name.into(), hive_type, comment: None };
    vec![column("id", HiveType::BigInt), column("name", HiveType::String)]
}

/// Writes rows of (id, name, partition) that come sorted by partition, `batch` rows at a time, and publishes the files.
async fn write_rows(
    rows: &[(i64, String, Option<String>)],
    batch: usize,
    settings: &Settings,
    memory: usize,
) -> Result<Written> {
    let store = Arc::new(InMemory::new());
    let bucket =
        Bucket { base: "memory://b/".into(), store: Arc::clone(&store) as _, multipart: Some(Arc::clone(&store) as _) };
    let root = DataRoot::new(bucket, Path::default());
    let stage = Stage::new(root, Path::from("unused"));
    let file_schema =
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("name", DataType::Utf8, true)]));
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("p", DataType::Utf8, true),
    ]));
    let batches: Vec<_> = rows
        .chunks(batch)
        .map(|rows| {
            let ids: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>());
            let names: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1.as_str())).collect::<StringArray>());
            let keys: ArrayRef = Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>());
            Ok(RecordBatch::try_new(Arc::clone(&schema), vec![ids, names, keys]).unwrap())
        })
        .collect();
    let stream = Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)));
    let destination = |values: &[Option<String>], index: usize| {
        Ok(Path::parse(format!("t/{}/{index}.parquet", crate::partition::encode_path(["p"], values))).unwrap())
    };
    let spec = WriteSpec {
        file_schema,
        partition_keys: 1,
        origins: None,
        properties: properties(settings, &columns(), "run").unwrap(),
        dictionaries_asked: !settings.dictionary.is_empty(),
        sorted: false,
        target_file_size: settings.target_file_size.value,
        max_partitions: settings.max_partitions.value,
        destination: &destination,
        attempt: "a",
    };
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(memory));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&pool)).build_arc().unwrap();
    let context = Arc::new(TaskContext::default().with_runtime(runtime));
    let files = write(stream, &spec, &stage, context).await?;
    assert_eq!(pool.reserved(), 0);
    for file in &files {
        assert!(store.get(&Path::parse(&file.staged.path).unwrap()).await.is_err(), "visible before it is published");
        stage.publish(&file.staged).await.unwrap();
        stage.publish(&file.staged).await.unwrap();
    }
    Ok(Written { store, files })
}

impl Written {
    async fn bytes(&self, file: &WrittenFile) -> Bytes {
        self.store.get(&Path::parse(&file.staged.path).unwrap()).await.unwrap().bytes().await.unwrap()
    }

    async fn read(&self) -> Vec<(i64, String, Option<String>)> {
        let mut rows = Vec::new();
        for file in &self.files {
            let bytes = self.bytes(file).await;
            assert_eq!(bytes.len() as u64, file.staged.size);
            let before = rows.len();
            for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let ids = batch.column(0).as_primitive::<Int64Type>();
                let names = batch.column(1).as_string::<i32>();
                rows.extend(
                    (0..batch.num_rows())
                        .map(|row| (ids.value(row), names.value(row).to_owned(), file.partition[0].clone())),
                );
            }
            assert_eq!((rows.len() - before) as u64, file.rows);
        }
        rows
    }
}

fn rows(partitions: usize, each: usize) -> Vec<(i64, String, Option<String>)> {
    (0..partitions * each)
        .map(|row| (row as i64, format!("name {}", row * 7919 % 1000), Some(format!("p/{:05}", row / each))))
        .collect()
}

#[tokio::test]
async fn rows_come_back_by_partition_whatever_the_batches() {
    let mut wanted = rows(30, 70);
    wanted.insert(0, (-1, "null".into(), None));
    for batch in [1, 64, 5000] {
        let written = write_rows(&wanted, batch, &Settings::default(), 64 << 20).await.unwrap();
        assert_eq!(written.read().await, wanted, "{batch} rows a batch");
        assert_eq!(written.files.len(), 31, "one file a partition");
        assert!(written.files[1].staged.path.starts_with("t/p=p%2F00000/"), "{}", written.files[1].staged.path);
    }
}

#[tokio::test]
async fn an_empty_partition_value_is_null() {
    let rows = [(1, "a".to_owned(), Some(String::new()))];
    let written = write_rows(&rows, 10, &Settings::default(), 64 << 20).await.unwrap();
    assert_eq!(written.files[0].partition, [None]);
    assert!(written.files[0].staged.path.starts_with("t/p=__HIVE_DEFAULT_PARTITION__/"));
}

#[tokio::test]
async fn files_have_about_the_asked_size_and_several_parts() {
    let name = |row: i64| format!("{:064x}", row.wrapping_mul(0x1E37_79B9_7F4A_7C15));
    let rows: Vec<_> = (0..150_000).map(|row| (row, name(row), None)).collect();
    let mut settings = Settings {
        target_file_size: Spanned::unwritten(2 << 20),
        compression: Spanned::unwritten(Compression::Uncompressed),
        ..Settings::default()
    };
    let small = write_rows(&rows, 1000, &settings, 256 << 20).await.unwrap();
    let sizes: Vec<u64> = small.files.iter().map(|file| file.staged.size).collect();
    let (_, full) = sizes.split_last().unwrap();
    assert!(full.len() >= 4 && full.iter().all(|size| (1_800_000..2_500_000).contains(size)), "{sizes:?}");
    assert_eq!(small.read().await, rows);

    settings.target_file_size = Spanned::unwritten(1 << 30);
    let rows: Vec<_> = (0..400_000).map(|row| (row, name(row), None)).collect();
    // So little memory that row groups are closed early, and more than one upload part.
    let large = write_rows(&rows, 8192, &settings, 4 << 20).await.unwrap();
    assert_eq!(large.files.len(), 1);
    assert!(large.files[0].staged.size > 2 * PART_SIZE as u64);
    assert_eq!(large.read().await, rows);
}

#[tokio::test]
async fn too_many_partitions_are_named_by_their_rows() {
    let mut rows = rows(3, 5);
    rows.extend((0..20).map(|row| (row, "x".into(), Some("zz".into()))));
    rows.push((0, "x".into(), Some("zzz".into())));
    let settings = Settings { max_partitions: Spanned::unwritten(4), ..Settings::default() };
    let Err(error) = write_rows(&rows, 7, &settings, 64 << 20).await else { panic!("five partitions were written") };
    assert_eq!(error.code, Code::TooManyPartitions);
    assert!(
        error.message.contains("more than 4 partitions, among them `zz` (20 rows), `p/00000` (5 rows)"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn settings_reach_the_file() {
    let column = |name: &str| Spanned::unwritten(name.to_owned());
    let settings = Settings {
        compression: Spanned::unwritten(Compression::Gzip),
        dictionary: vec![column("NAME")],
        bloom_filter: vec![column("id")],
        sort: vec![Spanned::unwritten(SortColumn { column: "id".into(), descending: true })],
        ..Settings::default()
    };
    let written = write_rows(&rows(1, 100), 10, &settings, 64 << 20).await.unwrap();
    let reader = SerializedFileReader::new(written.bytes(&written.files[0]).await).unwrap();
    let group = reader.metadata().row_group(0);
    let (id, name) = (group.column(0), group.column(1));
    assert!(matches!(id.compression(), Codec::GZIP(_)));
    assert!(id.dictionary_page_offset().is_none() && name.dictionary_page_offset().is_some());
    assert!(id.bloom_filter_offset().is_some() && name.bloom_filter_offset().is_none());
    let sorting = &group.sorting_columns().unwrap()[0];
    assert!((sorting.column_idx, sorting.descending, sorting.nulls_first) == (0, true, true));
    let metadata = reader.metadata().file_metadata();
    assert!(metadata.created_by().unwrap().starts_with("unglue "));
    let pairs = metadata.key_value_metadata().unwrap();
    assert!(pairs.iter().any(|pair| pair.key == "unglue.run_id" && pair.value.as_deref() == Some("run")));
    let statistics = &written.files[0].statistics;
    assert_eq!(
        statistics[0],
        ColumnStatistics { column: "id".into(), nulls: 0, min: Some("0".into()), max: Some("99".into()) }
    );
    assert_eq!(statistics[1].min.as_deref(), Some("name 0"));
}
