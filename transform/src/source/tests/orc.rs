//! ORC objects, as this library and others write them.

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};

use orc_rust::proto::{CompressionKind, PostScript};
use prost::Message;

use super::*;

fn orc(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
    let batch = batch.unwrap();
    let mut content = Vec::new();
    let mut writer = orc_rust::ArrowWriterBuilder::new(&mut content, batch.schema()).try_build().unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    content
}

fn ids(ids: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(ids.to_vec()))
}

async fn world(objects: &[(&str, Vec<u8>)]) -> World {
    World::new(Format::Orc, COLUMNS, &[], objects).await
}

#[tokio::test]
async fn columns_are_found_by_name() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![3]));
    let world = world(&[
        ("a.orc", orc(vec![("Name", names), ("ID", ids(&[1, 2]))])),
        ("b.orc", orc(vec![("other", ids(&[9])), ("id", narrow)])),
        ("c.orc", orc(vec![("id", ids(&[]))])),
    ])
    .await;
    assert_eq!(world.rows("SELECT id, name, amount FROM t").await, ["1|a|", "2||", "3||"]);
    assert_eq!(world.rows("SELECT count(*) FROM t").await, ["3"]);
    assert_eq!(world.rows("SELECT amount FROM t WHERE id > 2").await, [""]);
}

#[tokio::test]
async fn columns_without_names_are_found_by_place() {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let world = world(&[("a", orc(vec![("_col0", ids(&[1])), ("_col1", names)]))]).await;
    assert_eq!(world.rows("SELECT id, name, amount FROM t").await, ["1|a|"]);
}

#[tokio::test]
async fn times_and_booleans() {
    let columns = [("at", "timestamp"), ("day", "date"), ("ok", "boolean")];
    // 1677 and 2263 are beyond 64 bits of nanoseconds.
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
        Some(-9_300_000_000_123_456),
        Some(9_300_000_000_123_456),
        None,
    ]));
    let day: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]));
    let ok: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
    let object = orc(vec![("at", at), ("day", day), ("ok", ok)]);
    let world = World::new(Format::Orc, &columns, &[], &[("a.orc", object)]).await;
    assert_eq!(
        world.rows("SELECT * FROM t").await,
        ["1675-04-18T02:39:59.876544|1969-12-31|true", "2264-09-14T21:20:00.123456||false", "|2024-10-04|",]
    );
}

#[tokio::test]
async fn what_is_damaged_is_named() {
    let good = orc(vec![("id", ids(&(0..5000).collect::<Vec<_>>()))]);
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    let mut longer = good.clone();
    let end = longer.len() - 1;
    longer[end] = 255;
    let mut scrambled = good.clone();
    scrambled[3..60].fill(0xFF);
    for (name, object) in [("cut", cut), ("footer", longer), ("stripe", scrambled), ("short", b"ORC".to_vec())] {
        let world = world(&[(name, object)]).await;
        let error = world.query("SELECT id FROM t").await.unwrap_err();
        assert_eq!(error.code, crate::Code::BadObject, "{name}: {error}");
        assert_eq!(error.object.unwrap().object, format!("raw/t/{name}"));
    }
    let other = orc(vec![("else", ids(&[1]))]);
    let error = world(&[("a.orc", other)]).await.query("SELECT id FROM t").await.unwrap_err();
    assert_eq!(error.code, crate::Code::ColumnMismatch, "{error}");
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let error = world(&[("a.orc", orc(vec![("id", texts)]))]).await.query("SELECT id FROM t").await.unwrap_err();
    assert_eq!(error.message, "column `id` is string in the object, bigint in the table");
}

#[tokio::test]
async fn blocks_of_an_exabyte_are_not_asked_for() {
    let good = orc(vec![("id", ids(&[1]))]);
    let end = good.len() - 1;
    let start = end - usize::from(good[end]);
    let mut postscript = PostScript::decode(&good[start..end]).unwrap();
    postscript.set_compression(CompressionKind::Lz4);
    postscript.compression_block_size = Some(1 << 60);
    let postscript = postscript.encode_to_vec();
    let object = [&good[..start], &postscript, &[u8::try_from(postscript.len()).unwrap()]].concat();
    let error = world(&[("a.orc", object)]).await.query("SELECT id FROM t").await.unwrap_err();
    assert_eq!(error.code, crate::Code::BadObject);
    assert!(error.message.contains("blocks of 1152921504606846976 bytes"), "{error}");
}

#[tokio::test]
async fn any_byte_may_be_wrong_without_a_panic() {
    let good = orc(vec![("id", ids(&(0..300).collect::<Vec<_>>()))]);
    for place in 0..good.len() {
        let mut object = good.clone();
        object[place] ^= 0xA5;
        // Either it still can be read, with the bytes as they are, or it says what is wrong.
        if let Err(error) = world(&[("a.orc", object)]).await.query("SELECT id FROM t").await {
            assert!(
                matches!(error.code, crate::Code::BadObject | crate::Code::ColumnMismatch),
                "byte {place}: {error}"
            );
        }
    }
}
