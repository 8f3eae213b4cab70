use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::*;

const COLUMNS: [(&str, &str); 4] = [("id", "bigint"), ("text", "string"), ("other", "bigint"), ("noise", "bigint")];
/// Rows of an object.
const ROWS: i64 = 20_000;

/// An object that is much smaller than what is in it. Eight of them have more than the megabyte from which on DataFusion deals out
/// parts of objects.
fn object(number: i64, group: usize, codec: Compression) -> Vec<u8> {
    let ids = number * ROWS..(number + 1) * ROWS;
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("text", Arc::new(StringArray::from_iter_values(ids.clone().map(|id| format!("{:0100}", id % 3))))),
        ("other", Arc::new(Int64Array::from_iter(ids.clone().map(|id| (id % 10 > 0).then_some(id % 10))))),
        (
            "noise",
            Arc::new(Int64Array::from_iter_values(
                ids.map(|id| (id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)),
            )),
        ),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(group))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap()
}

/// However an object is cut into row groups, and the objects into parts for the cores: each row is read once.
#[tokio::test]
async fn every_row_of_small_objects_is_read_once() {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(3).unwrap());
    for codec in [zstd, Compression::SNAPPY, Compression::UNCOMPRESSED] {
        for (objects, group) in [(1, 4000), (1, 30_000), (8, 4000), (8, 30_000)] {
            let keys: Vec<String> = (0..objects).map(|number| format!("{number}.parquet")).collect();
            let contents = (0..).zip(&keys).map(|(number, key)| (key.as_str(), object(number, group, codec)));
            let world = World::new(Format::Parquet, &COLUMNS, &[], &contents.collect::<Vec<_>>()).await;
            let ids = 0..objects * ROWS;
            let all = format!("{}|{}|{}", ids.end, ids.clone().sum::<i64>(), ids.end / 10 * 9);
            assert_eq!(
                world.rows("SELECT count(*), sum(id), count(other) FROM t").await,
                [all],
                "{codec} {objects} {group}"
            );
            let some = ids.clone().filter(|id| id % 10 == 7 && *id > 2500);
            let some = format!("{}|{}", some.clone().count(), some.clone().filter(|id| id % 3 == 1).count());
            let sql = "SELECT count(*), count(*) FILTER (WHERE text LIKE '%1') FROM t WHERE other = 7 AND id > 2500";
            assert_eq!(world.rows(sql).await, [some], "{codec} {objects} {group}");
        }
    }
}
