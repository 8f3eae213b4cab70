//! What was written is read back, by partition, in order, in files of the asked size.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use bytes::Bytes;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelector};
use parquet::basic::Compression as Codec;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::hive::HiveType;
use crate::origins::Origins;
use crate::settings::{Compression, Settings, SortColumn, Spanned};
use crate::store::{Bucket, DataRoot};
use crate::table::Column;

struct Written {
    store: Arc<InMemory>,
    files: Vec<WrittenFile>,
    /// Whether anything was on the temporary disk.
    spilled: bool,
}

type Row = (i64, String, Option<String>);

fn columns() -> Vec<Column> {
    let column = |name: &str, hive_type| Column { name: name.into(), hive_type, comment: None };
    vec![column("id", HiveType::BigInt), column("name", HiveType::String)]
}

/// Writes rows of (id, name, partition), `batch` rows at a time, and publishes the files. Each row's id is its origin, too.
async fn write_rows(rows: &[Row], batch: usize, settings: &Settings, memory: usize) -> Result<Written> {
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
        Field::new("origin", DataType::Int32, true),
    ]));
    let batches: Vec<_> = rows
        .chunks(batch)
        .map(|rows| {
            let ids: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>());
            let names: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1.as_str())).collect::<StringArray>());
            let keys: ArrayRef = Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>());
            let origins: ArrayRef = Arc::new(rows.iter().map(|row| origin_of(row.0)).collect::<Int32Array>());
            Ok(RecordBatch::try_new(Arc::clone(&schema), vec![ids, names, keys, origins]).unwrap())
        })
        .collect();
    let stream = Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)));
    let destination = |values: &[Option<String>], index: usize| {
        Ok(Path::parse(format!("t/{}/{index}.parquet", crate::partition::encode_path(["p"], values))).unwrap())
    };
    let spec = WriteSpec {
        file_schema,
        partition_keys: 1,
        origins: Some((0..ORIGINS).map(origin).collect()),
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
    let disk = Arc::clone(&context.runtime_env().disk_manager);
    let files = write(stream, &spec, &stage, context).await?;
    let spilled = !disk.temp_dir_paths().is_empty();
    assert_eq!(pool.reserved(), 0);
    for file in &files {
        assert!(store.get(&Path::parse(&file.staged.path).unwrap()).await.is_err(), "visible before it is published");
        stage.publish(&file.staged).await.unwrap();
        stage.publish(&file.staged).await.unwrap();
    }
    Ok(Written { store, files, spilled })
}

/// Origins that there are.
const ORIGINS: i32 = 3;

fn origin_of(id: i64) -> Option<i32> {
    i32::try_from(id.rem_euclid(i64::from(ORIGINS))).ok()
}

fn origin(number: i32) -> Origin {
    Origin { folder: "f".into(), object: number.to_string() }
}

impl Written {
    async fn bytes(&self, file: &WrittenFile) -> Bytes {
        self.store.get(&Path::parse(&file.staged.path).unwrap()).await.unwrap().bytes().await.unwrap()
    }

    async fn read(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for file in &self.files {
            let bytes = self.bytes(file).await;
            assert_eq!(bytes.len() as u64, file.staged.size);
            let before = rows.len();
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            let origins = Origins::of(reader.metadata()).unwrap();
            for batch in reader.build().unwrap() {
                let batch = batch.unwrap();
                let ids = batch.column(0).as_primitive::<Int64Type>();
                let names = batch.column(1).as_string::<i32>();
                rows.extend(
                    (0..batch.num_rows())
                        .map(|row| (ids.value(row), names.value(row).to_owned(), file.partition[0].clone())),
                );
            }
            assert_eq!((rows.len() - before) as u64, file.rows);
            let ends = origins.ranges().skip(1).map(|(first, _)| first).chain([file.rows]);
            for ((first, name), end) in origins.ranges().zip(ends) {
                let of_run = &rows[before + first as usize..before + end as usize];
                let wanted = &origins.names()[name as usize];
                assert!(
                    of_run.iter().all(|row| origin(origin_of(row.0).unwrap()) == *wanted),
                    "rows know their origin"
                );
            }
        }
        rows
    }
}

fn rows(partitions: usize, each: usize) -> Vec<Row> {
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

/// Rows by partition, in the order in which they were given within each.
fn by_partition(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.sort_by(|left, right| left.2.cmp(&right.2));
    rows
}

/// What was read, ordered by the partition alone.
async fn read_by_partition(written: &Written) -> Vec<Row> {
    by_partition(&written.read().await)
}

/// Rows whose partitions come in turn.
fn mixed(partitions: usize, each: usize) -> Vec<Row> {
    (0..partitions * each)
        .map(|row| (row as i64, format!("name {}", row * 7919 % 1000), Some(format!("{:05}", row % partitions))))
        .collect()
}

#[tokio::test]
async fn rows_in_any_order_give_one_file_a_partition() {
    let wanted = mixed(40, 300);
    for batch in [7, 8192] {
        let written = write_rows(&wanted, batch, &Settings::default(), 256 << 20).await.unwrap();
        assert_eq!(written.files.len(), 40);
        assert_eq!(read_by_partition(&written).await, by_partition(&wanted), "{batch} rows a batch");
        assert!(!written.spilled);
    }
}

#[tokio::test]
async fn more_partitions_than_can_be_open_are_sorted_and_still_give_one_file_each() {
    // The first come in turn, so that their files are open when the others appear; then all of them come once more.
    let mut wanted = mixed(200, 5);
    wanted.extend(mixed(MOST_OPEN + 150, 9));
    let settings = Settings { max_partitions: Spanned::unwritten(5000), ..Settings::default() };
    let written = write_rows(&wanted, 100, &settings, 256 << 20).await.unwrap();
    assert_eq!(written.files.len(), MOST_OPEN + 150);
    let mut partitions: Vec<_> = written.files.iter().map(|file| file.partition.clone()).collect();
    partitions.sort();
    partitions.dedup();
    assert_eq!(partitions.len(), MOST_OPEN + 150);
    let sorted = |mut rows: Vec<Row>| {
        rows.sort_by(|left, right| (&left.2, left.0, &left.1).cmp(&(&right.2, right.0, &right.1)));
        rows
    };
    assert_eq!(sorted(written.read().await), sorted(wanted));
}

/// Some of the rows that are grouped wait on disk, and one partition is too large to be arranged in memory.
#[tokio::test]
async fn a_large_partition_among_many_is_sorted() {
    let mut wanted = mixed(400, 200);
    wanted.extend((0..150_000).map(|row| (row, format!("large {row}"), Some("00007".into()))));
    let settings = Settings { max_partitions: Spanned::unwritten(5000), ..Settings::default() };
    let written = write_rows(&wanted, 4096, &settings, 64 << 20).await.unwrap();
    assert!(written.spilled);
    assert_eq!(written.files.len(), 400, "one file a partition");
    let sorted = |mut rows: Vec<Row>| {
        rows.sort_by(|left, right| (&left.2, left.0, &left.1).cmp(&(&right.2, right.0, &right.1)));
        rows
    };
    assert!(sorted(written.read().await) == sorted(wanted), "rows are lost or doubled");
}

#[tokio::test]
async fn pages_go_to_disk_where_memory_is_short() {
    let mut state = 1_u64;
    let mut text = || {
        // Numbers that do not compress.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:x}")
    };
    let wanted: Vec<Row> = (0..60_000).map(|row| (row, text(), Some(format!("{}", row % 3)))).collect();
    let written = write_rows(&wanted, 1000, &Settings::default(), 4 << 20).await.unwrap();
    assert!(written.spilled);
    assert_eq!(written.files.len(), 3);
    assert_eq!(read_by_partition(&written).await, by_partition(&wanted));
}

/// Pages are compressed on their way, after their column writer has noted their sizes and places.
#[tokio::test]
async fn places_and_sizes_of_pages_are_those_in_the_file() {
    let wanted: Vec<Row> = (0..150_000).map(|row| (row * row, format!("name {}", row % 90), None)).collect();
    for codec in
        [Compression::Zstd(3), Compression::Snappy, Compression::Gzip, Compression::Lz4, Compression::Uncompressed]
    {
        let settings = Settings {
            compression: Spanned::unwritten(codec),
            bloom_filter: vec![Spanned::unwritten("name".to_owned())],
            ..Settings::default()
        };
        let written = write_rows(&wanted, 8192, &settings, 256 << 20).await.unwrap();
        assert_eq!(written.read().await, wanted);
        let bytes = written.bytes(&written.files[0]).await;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap();
        let metadata = Arc::clone(builder.metadata());
        let group = metadata.row_group(0);
        let pages = &metadata.offset_index().unwrap()[0];
        let mut end = 4;
        for (column, pages) in group.columns().iter().zip(pages) {
            let first = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            assert_eq!(first, end, "columns follow one another");
            end = first + column.compressed_size();
            let mut next = column.data_page_offset();
            for page in pages.page_locations() {
                assert_eq!(page.offset, next, "pages follow one another");
                next += i64::from(page.compressed_page_size);
            }
            assert_eq!(next, end);
            let plain = column.compressed_size() == column.uncompressed_size();
            assert_eq!(plain, codec == Compression::Uncompressed, "{codec:?}: {column:?}");
        }
        assert!(pages.iter().all(|pages| pages.page_locations().len() > 3));
        assert!(group.column(1).dictionary_page_offset().is_some());
        let skipped = [RowSelector::skip(123_450), RowSelector::select(10), RowSelector::skip(26_540)];
        let reader = builder.with_row_selection(skipped.to_vec().into()).build().unwrap();
        let ids: Vec<i64> =
            reader.flat_map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
        assert_eq!(ids, (123_450..123_460).map(|row| row * row).collect::<Vec<i64>>(), "{codec:?}");
    }
}
