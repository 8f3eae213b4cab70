//! Tables that keep what fits none of their columns.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, StructArray};
use serde_json::{Value, json};

use super::*;
use crate::schema_change::{POLICY, RESCUED};

/// The table of [`COLUMNS`] with the further column.
async fn rescuing(format: Format, keys: &[(&str, &str)], objects: &[(&str, Vec<u8>)]) -> World {
    let columns: Vec<_> = COLUMNS.iter().copied().chain([(RESCUED, "string")]).collect();
    let world = World::new(format, &columns, keys, objects).await;
    let mut table = world.catalog.table(&TableName::new("raw", "t").unwrap()).await.unwrap().unwrap();
    table.parameters.insert(POLICY.to_owned(), "add, rescue".to_owned());
    world.catalog.put_table(&table).await.unwrap();
    world
}

/// Rows as `id|name|amount`, each with what was kept of it; the object's URL is checked and left out.
async fn kept(world: &World) -> Vec<(String, Value)> {
    let row = "concat_ws('|', CAST(id AS varchar), name, CAST(amount AS varchar))";
    let batches = world.query(&format!("SELECT {row} AS row, {RESCUED} FROM t")).await.unwrap();
    let mut rows = Vec::new();
    for batch in batches {
        let (row, kept) = (batch.column(0), batch.column(1));
        let text = |array: &ArrayRef, index: usize| {
            let array = arrow::compute::cast(array, &DataType::Utf8).unwrap();
            let array = array.as_string::<i32>();
            array.is_valid(index).then(|| array.value(index).to_owned())
        };
        for index in 0..batch.num_rows() {
            let mut value: Value =
                text(kept, index).map_or(Value::Null, |text| serde_json::from_str(&text).expect("JSON"));
            if let Some(object) = value.as_object_mut() {
                let path = object.remove("_file_path").unwrap();
                assert!(path.as_str().unwrap().starts_with("memory://b/raw/t/"), "{path}");
            }
            rows.push((text(row, index).unwrap(), value));
        }
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

fn row(row: &str, kept: Value) -> (String, Value) {
    (row.to_owned(), kept)
}

#[tokio::test]
async fn fields_of_csv_without_a_column_and_values_of_other_types() {
    let text = "name,id,amount,Note,more\na,1,1.5,,\n\"b\n\",x,2.5,\"say \"\"hi\"\"\",7\nc,3,n/a,,8\n\n";
    let world = rescuing(Format::Csv(CsvOptions::default()), &[], &[("a.csv", text.into())]).await;
    assert_eq!(
        kept(&world).await,
        [
            row("1|a|1.5", Value::Null),
            row("3|c", json!({"amount": "n/a", "more": "8"})),
            row("b\n|2.5", json!({"id": "x", "note": "say \"hi\"", "more": "7"})),
        ]
    );
    assert_eq!(world.rows("SELECT count(*) FROM t").await, ["3"]);
    assert_eq!(world.rows(&format!("SELECT count({RESCUED}) FROM t")).await, ["2"], "whatever else is asked for");
    let error = world.query("SELECT id FROM t").await.unwrap_err();
    assert_eq!(error.code, crate::Code::BadRecord, "who does not ask for it is told of values that would be lost");
}

#[tokio::test]
async fn csv_without_anything_to_keep_is_as_it_was() {
    let objects = [("a.csv", b"id,name,amount\n1,a,1\n".to_vec()), ("b.csv", b"amount,id\n2,2\n".to_vec())];
    let world = rescuing(Format::Csv(CsvOptions::default()), &[], &objects).await;
    assert_eq!(kept(&world).await, [row("1|a|1.0", Value::Null), row("2|2.0", Value::Null)]);
    let error = csv_error("id,name,amount\n1,a\n").await;
    assert_eq!(error.message, "the record has 2 fields, the header has 3");
    assert_eq!(error.object.unwrap().line, Some(2));
}

async fn csv_error(text: &str) -> Error {
    let world = rescuing(Format::Csv(CsvOptions::default()), &[], &[("a.csv", text.into())]).await;
    world.query("SELECT * FROM t").await.unwrap_err()
}

#[tokio::test]
async fn keys_of_json_keep_every_digit() {
    let text = r#"{"id":1,"name":"a","amount":1,"Extra":123456789012345678901234567890.10}
        {"id":"x","name":{"first":"b"},"amount":2.5}{"id":3,"deep":{"a":[1,{"b":null}]},"amount":"n/a"}
        {"id":4,"name":null}
    "#;
    let world = rescuing(Format::Json(JsonOptions::default()), &[], &[("a.json", text.into())]).await;
    let select = format!("SELECT {RESCUED} FROM t WHERE id = 1");
    assert_eq!(
        world.rows(&select).await,
        [r#"{"Extra":123456789012345678901234567890.10,"_file_path":"memory://b/raw/t/a.json"}"#]
    );
    let kept: Vec<_> = kept(&world).await.into_iter().skip(1).collect();
    assert_eq!(
        kept,
        [
            row("2.5", json!({"id": "x", "name": {"first": "b"}})),
            row("3", json!({"deep": {"a": [1, {"b": null}]}, "amount": "n/a"})),
            row("4", Value::Null),
        ]
    );
    let error =
        rescuing(Format::Json(JsonOptions::default()), &[], &[("a.json", b"{\"id\":1}\n{\"id\":\n".to_vec())]).await;
    let error = error.query("SELECT * FROM t").await.unwrap_err();
    assert_eq!((error.code, error.object.unwrap().line), (crate::Code::BadRecord, Some(2)));
}

#[tokio::test]
async fn a_nested_value_with_more_fields_is_kept_whole() {
    let columns = [("id", "bigint"), ("s", "struct<a:bigint>"), ("l", "array<struct<a:bigint>>"), (RESCUED, "string")];
    let text = r#"{"id":1,"s":{"a":1},"l":[{"a":1}]}
        {"id":2,"s":{"a":2,"b":3},"l":[{"a":1},{"c":2}]}
    "#;
    let world = World::new(Format::Json(JsonOptions::default()), &columns, &[], &[("a.json", text.into())]).await;
    let mut table = world.catalog.table(&TableName::new("raw", "t").unwrap()).await.unwrap().unwrap();
    table.parameters.insert(POLICY.to_owned(), "rescue".to_owned());
    world.catalog.put_table(&table).await.unwrap();
    assert_eq!(
        world.rows(&format!("SELECT id, s['a'] AS a, l[1]['a'] AS b, {RESCUED} FROM t")).await,
        ["1|1|1|", r#"2|2|1|{"l":[{"a":1},{"c":2}],"s":{"a":2,"b":3},"_file_path":"memory://b/raw/t/a.json"}"#]
    );
}

/// With a column that the table lacks, of a struct if its writer can.
fn batch(nested: bool) -> RecordBatch {
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    let extra: ArrayRef = match nested {
        true => Arc::new(StructArray::try_from(vec![("deep", inner)]).unwrap()),
        false => inner,
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ID", Arc::new(StringArray::from(vec![Some("1"), Some("x")]))),
        ("name", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("amount", Arc::new(Float64Array::from(vec![1.5, 2.5]))),
        ("Extra", extra),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

#[tokio::test]
async fn parquet_and_orc_with_other_columns_and_types() {
    let mut parquet = Vec::new();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(&mut parquet, batch(true).schema(), None).unwrap();
    writer.write(&batch(true)).unwrap();
    writer.close().unwrap();
    let mut orc = Vec::new();
    let mut writer = orc_rust::ArrowWriterBuilder::new(&mut orc, batch(false).schema()).try_build().unwrap();
    writer.write(&batch(false)).unwrap();
    writer.close().unwrap();
    let (nested, plain) = ([json!({"deep": 7}), json!({"deep": 8})], [json!(7), json!(8)]);
    for (format, object, [first, second]) in [(Format::Parquet, parquet, nested), (Format::Orc, orc, plain)] {
        let world = rescuing(format.clone(), &[("day", "date")], &[("day=2026-11-25/a", object)]).await;
        assert_eq!(
            kept(&world).await,
            [row("1|a|1.5", json!({"Extra": first})), row("2.5", json!({"ID": "x", "Extra": second})),],
            "{format}"
        );
        assert_eq!(
            world.rows(&format!("SELECT count({RESCUED}) FROM t WHERE day = DATE '2026-11-25'")).await,
            ["2"],
            "{format}"
        );
        let error = world.query("SELECT id FROM t").await.unwrap_err();
        assert!(error.to_string().contains("column `id` is string in the object, bigint in the table"), "{error}");
    }
}
