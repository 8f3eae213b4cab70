use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use datafusion::datasource::listing::FileRange;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::basic::ZstdLevel;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

use super::*;
use crate::panic::unpanicked;

const ROWS: i64 = 500;

/// Columns with and without dictionaries, nested, and of NULLs alone.
fn rows() -> RecordBatch {
    let lists = (0..ROWS).map(|row| (row % 7 > 0).then(|| (0..row % 5).map(Some).collect::<Vec<_>>()));
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        (
            "name",
            Arc::new(StringArray::from_iter((0..ROWS).map(|row| (row % 3 > 0).then(|| format!("name {}", row % 9))))),
        ),
        ("text", Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("{}", row * 7_919 % 1_000))))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        ("none", Arc::new(Int64Array::new_null(ROWS as usize))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn zstd() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .set_column_dictionary_enabled("text".into(), false)
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(50)
        .set_max_row_group_row_count(Some(200))
        .set_bloom_filter_enabled(true)
}

fn file(properties: WriterPropertiesBuilder) -> Vec<u8> {
    let rows = rows();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties.build())).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap()
}

/// Readers of an object, and it.
async fn stored(bytes: Vec<u8>) -> (SharedDecompressors, ObjectMeta) {
    let store = InMemory::new();
    let path = Path::from("object.parquet");
    store.put(&path, bytes.into()).await.unwrap();
    let meta = store.head(&path).await.unwrap();
    (SharedDecompressors::new(Arc::new(store)), meta)
}

fn reader(readers: &dyn ParquetFileReaderFactory, file: PartitionedFile) -> Box<dyn AsyncFileReader> {
    readers.create_reader(0, file, None, &ExecutionPlanMetricsSet::new()).unwrap()
}

/// All rows, and the codecs that the reader saw.
async fn read(reader: Box<dyn AsyncFileReader>) -> Result<(RecordBatch, Vec<Compression>)> {
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
    let columns = builder.metadata().row_groups().iter().flat_map(|group| group.columns());
    let codecs = columns.map(|column| column.compression()).collect();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<_> = builder.build()?.try_collect().await?;
    Ok((concat_batches(&schema, &batches)?, codecs))
}

#[tokio::test]
async fn small_objects_are_read_as_if_they_were_not_compressed() {
    let (readers, meta) = stored(file(zstd())).await;
    let (rows_read, codecs) = read(reader(&readers, meta.into())).await.unwrap();
    assert_eq!(rows_read, rows());
    assert_eq!(codecs, [Compression::UNCOMPRESSED; 15]);
    assert_eq!(readers.idle.lock().unwrap().len(), 1, "one decompressor was enough");
}

#[tokio::test]
async fn columns_of_other_codecs_are_as_they_are() {
    let mixed = zstd().set_column_compression("name".into(), Compression::SNAPPY);
    let (readers, meta) = stored(file(mixed)).await;
    let (rows_read, codecs) = read(reader(&readers, meta.into())).await.unwrap();
    assert_eq!(rows_read, rows());
    assert_eq!(codecs[..3], [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::UNCOMPRESSED]);
    for other in [zstd().set_compression(Compression::SNAPPY), zstd().set_writer_version(WriterVersion::PARQUET_2_0)] {
        let (readers, meta) = stored(file(other)).await;
        let (rows_read, codecs) = read(reader(&readers, meta.into())).await.unwrap();
        assert_eq!(rows_read, rows());
        assert!(!codecs.contains(&Compression::UNCOMPRESSED), "{codecs:?}");
    }
}

#[tokio::test]
async fn a_part_of_an_object_is_read_as_it_is() {
    let one_group = zstd().set_max_row_group_row_count(None);
    for (properties, is_one) in [(one_group, true), (zstd(), false)] {
        let (readers, meta) = stored(file(properties)).await;
        let end = meta.size as i64;
        for (start, end, is_whole) in [(0, end, true), (0, end - 1, false), (1, end, false)] {
            let mut part = PartitionedFile::new_from_meta(meta.clone());
            part.range = Some(FileRange { start, end });
            let (_, codecs) = read(reader(&readers, part)).await.unwrap();
            assert_eq!(codecs.contains(&Compression::UNCOMPRESSED), is_whole && is_one, "{start}..{end}");
        }
    }
}

#[tokio::test]
async fn what_becomes_large_is_read_as_it_is() {
    let zeros =
        RecordBatch::try_from_iter([("zeros", Arc::new(Int64Array::from(vec![0; 3 << 20])) as ArrayRef)]).unwrap();
    let properties = zstd()
        .set_data_page_row_count_limit(1 << 20)
        .set_write_batch_size(1 << 20)
        .set_dictionary_enabled(false)
        .set_bloom_filter_enabled(false)
        .set_max_row_group_row_count(None);
    let mut writer = ArrowWriter::try_new(Vec::new(), zeros.schema(), Some(properties.build())).unwrap();
    writer.write(&zeros).unwrap();
    let (readers, meta) = stored(writer.into_inner().unwrap()).await;
    assert!(meta.size < SMALL, "{}", meta.size);
    let (rows_read, codecs) = read(reader(&readers, meta.into())).await.unwrap();
    assert_eq!(rows_read, zeros);
    assert!(!codecs.contains(&Compression::UNCOMPRESSED));
}

#[tokio::test]
async fn another_reader_than_that_of_the_footer_finds_the_columns() {
    let (readers, meta) = stored(file(zstd())).await;
    let footer = reader(&readers, meta.clone().into()).get_metadata(None).await.unwrap();
    let (start, length) = footer.row_group(1).column(2).byte_range();
    let range = start..start + length;
    let bytes = reader(&readers, meta.clone().into()).get_bytes(range.clone()).await.unwrap();
    assert_eq!(bytes.len() as u64, length);
    let mut same = reader(&readers, meta.into());
    same.get_metadata(None).await.unwrap();
    assert_eq!(same.get_bytes(range.clone()).await.unwrap(), bytes);
    assert_eq!(same.get_bytes(range.start + 9..range.end - 4).await.unwrap(), bytes.slice(9..bytes.len() - 4));
    for outside in [range.start..range.end + 1, u64::MAX - 1..u64::MAX] {
        same.get_bytes(outside).await.unwrap_err();
    }
}

/// Whatever is wrong with an object: an error where the library has one, and never rows that it does not read.
#[tokio::test]
async fn a_damaged_object_is_as_the_library_finds_it() {
    let whole = file(zstd().set_bloom_filter_enabled(false));
    let mut damaged = 0;
    for place in (4..whole.len() - 8).step_by(3) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        let (readers, meta) = stored(bytes).await;
        let as_it_is = unpanicked(read(reader(&readers.readers, meta.clone().into())).map(wrapped)).await;
        let here = unpanicked(read(reader(&readers, meta.into())).map(wrapped)).await;
        damaged += usize::from(here.is_err());
        match (as_it_is, here) {
            (Ok((expected, _)), Ok((rows, _))) => assert_eq!(rows, expected, "byte {place}"),
            (Err(_), Err(_)) => {}
            (as_it_is, here) => {
                panic!("byte {place}: {:?}, and here {:?}", as_it_is.map(|_| ()), here.map(|_| ()));
            }
        }
    }
    assert!(damaged > 100, "{damaged}");
}

fn wrapped<T>(result: Result<T>) -> crate::error::Result<T> {
    result.map_err(|error| crate::error::Error::new(crate::code::Code::BadObject, error.to_string()))
}
