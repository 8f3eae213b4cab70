//! Fields of nested values, whose names depend on letter case no more than those of columns.

use arrow::array::{ArrayRef, Int32Array, ListArray, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;

use super::*;
use crate::schema_change::{POLICY, RESCUED};

/// As Athena declares what producers write in their own way.
const NESTED: &[(&str, &str)] =
    &[("id", "bigint"), ("person", "struct<firstname:string,age:bigint>"), ("items", "array<struct<sku:string>>")];

const FIELDS: &str =
    "SELECT id, get_field(person, 'firstname'), get_field(person, 'age'), get_field(items[1], 'sku') FROM t";

fn items(skus: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("SKU", DataType::Utf8, true));
    let rows = skus.len();
    let structs: ArrayRef = Arc::new(StructArray::from(vec![(field, skus)]));
    let element = Arc::new(Field::new_list_field(structs.data_type().clone(), true));
    Arc::new(ListArray::new(element, OffsetBuffer::from_lengths(vec![1; rows]), structs, None))
}

fn people() -> RecordBatch {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("Ada"), None]));
    let ages: ArrayRef = Arc::new(Int32Array::from(vec![36, 7]));
    let person = StructArray::from(vec![
        (Arc::new(Field::new("Age", DataType::Int32, true)), ages),
        (Arc::new(Field::new("firstName", DataType::Utf8, true)), names),
    ]);
    RecordBatch::try_from_iter([
        ("Id", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        ("person", Arc::new(person) as _),
        ("items", items(Arc::new(StringArray::from(vec!["a", "b"])))),
    ])
    .unwrap()
}

#[tokio::test]
async fn of_parquet() {
    let objects = [("x.parquet", parquet_of(&people()))];
    let world = World::new(Format::Parquet, NESTED, &[], &objects).await;
    assert_eq!(world.rows(FIELDS).await, ["1|Ada|36|a", "2||7|b"]);
    assert_eq!(world.rows("SELECT id FROM t WHERE get_field(person, 'age') > 10").await, ["1"]);
    assert_eq!(world.rows("SELECT count(*) FROM t WHERE get_field(person, 'firstname') IS NULL").await, ["1"]);
    assert_eq!(
        world.rows("SELECT person FROM t WHERE id = 1").await,
        ["{firstname: Ada, age: 36}"],
        "in the order and with the names of the table"
    );
}

#[tokio::test]
async fn of_parquet_whose_table_rescues() {
    let columns: Vec<_> = NESTED.iter().copied().chain([(RESCUED, "string")]).collect();
    let world = World::new(Format::Parquet, &columns, &[], &[("x.parquet", parquet_of(&people()))]).await;
    let mut table = world.catalog.table(&TableName::new("raw", "t").unwrap()).await.unwrap().unwrap();
    table.parameters.insert(POLICY.to_owned(), "rescue".to_owned());
    world.catalog.put_table(&table).await.unwrap();
    let select = FIELDS.replace(" FROM", &format!(", {RESCUED} FROM"));
    assert_eq!(world.rows(&select).await, ["1|Ada|36|a|", "2||7|b|"], "all of it fits");
}

#[tokio::test]
async fn of_json() {
    let text = r#"{"ID":1,"Person":{"FirstName":"Ada","AGE":36},"items":[{"Sku":"a","more":1}]}
{"person":{"firstname":null,"age":7},"id":2,"Items":[{"SKU":"b"}]}"#;
    let objects = [("a.json", text.into())];
    let world = World::new(Format::Json(JsonOptions::default()), NESTED, &[], &objects).await;
    assert_eq!(world.rows(FIELDS).await, ["1|Ada|36|a", "2||7|b"]);
}

#[tokio::test]
async fn columns_of_other_keys() {
    let keys = [("id", "order.ID"), ("name", "Customer")].map(|(column, key)| (column.to_owned(), key.to_owned()));
    let format = Format::Json(JsonOptions { keys: keys.into(), dots: false });
    let text = "{\"order.ID\":1,\"customer\":\"a\",\"amount\":2.5}\n{\"ORDER.id\":2,\"name\":\"another key\"}\n";
    let world = World::new(format, COLUMNS, &[], &[("a.json", text.into())]).await;
    assert_eq!(world.rows("SELECT id, name, amount FROM t").await, ["1|a|2.5", "2||"]);
    let world = World::new(
        Format::Json(JsonOptions { keys: [].into(), dots: true }),
        &[("order_id", "bigint")],
        &[],
        &[("a.json", b"{\"Order.Id\":7}".to_vec())],
    )
    .await;
    assert_eq!(world.rows("SELECT order_id FROM t").await, ["7"]);
}
