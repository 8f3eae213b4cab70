//! What is written is read back, and what others wrote survives.

use std::collections::BTreeMap;

use aws_sdk_glue::types::{Order, SerDeInfo};
use transform::{CsvOptions, JsonOptions, TableName};

use super::*;
use crate::glue::convert::{describe, glue_values, table};

fn column(name: &str, hive_type: &str) -> Column {
    Column { name: name.to_owned(), hive_type: hive_type.parse().unwrap(), comment: None }
}

fn orders(format: Format) -> Table {
    Table {
        name: TableName::new("shop", "orders").unwrap(),
        columns: vec![column("id", "bigint"), column("note", "string")],
        partition_keys: vec![column("day", "date")],
        format,
        location: "s3://lake/shop/orders/".to_owned(),
        description: Some("Orders".to_owned()),
        parameters: BTreeMap::from([("classification".to_owned(), "x".to_owned())]),
        version: None,
    }
}

/// What Glue has after a definition was put.
fn stored(input: &TableInput) -> types::Table {
    types::Table::builder()
        .name(input.name())
        .set_description(input.description.clone())
        .set_owner(input.owner.clone())
        .retention(input.retention)
        .set_storage_descriptor(input.storage_descriptor.clone())
        .set_partition_keys(input.partition_keys.clone())
        .set_table_type(input.table_type.clone())
        .set_parameters(input.parameters.clone())
        .build()
        .unwrap()
}

fn created(wanted: &Table) -> types::Table {
    stored(&table_input(wanted, None).unwrap())
}

fn replaced(wanted: &Table, present: &types::Table) -> types::Table {
    stored(&table_input(wanted, Some(present)).unwrap())
}

fn descriptor(table: &types::Table) -> &StorageDescriptor {
    table.storage_descriptor.as_ref().unwrap()
}

fn serde(table: &types::Table) -> (&str, Vec<(&str, &str)>) {
    let serde = descriptor(table).serde_info.as_ref().unwrap();
    let mut parameters: Vec<(&str, &str)> =
        serde.parameters.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    parameters.sort_unstable();
    (serde.serialization_library.as_deref().unwrap(), parameters)
}

fn parameter<'a>(table: &'a types::Table, key: &str) -> Option<&'a str> {
    table.parameters.as_ref()?.get(key).map(String::as_str)
}

#[test]
fn every_type_and_format_is_read_back() {
    let types = [
        "boolean",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "float",
        "double",
        "decimal(38,10)",
        "string",
        "varchar(10)",
        "char(3)",
        "binary",
        "date",
        "timestamp",
        "array<int>",
        "map<string,double>",
        "struct<a:int,b:array<struct<c:date>>>",
    ];
    let options = |delimiter, quote| Format::Csv(CsvOptions { delimiter, quote: Some(quote), ..CsvOptions::default() });
    let formats = [
        Format::Parquet,
        Format::Json(JsonOptions::default()),
        options(',', '"'),
        options('\t', '\''),
        options('\u{1}', '"'),
        options('7', '"'),
    ];
    for format in formats {
        let mut wanted = orders(format);
        wanted.columns.extend(types.iter().enumerate().map(|(index, text)| column(&format!("c{index}"), text)));
        wanted.columns[0].comment = Some("Grüße".to_owned());
        assert_eq!(table(&wanted.name, &created(&wanted)).unwrap(), wanted);
        wanted.columns.truncate(0);
        wanted.columns.push(column("only_text", "string"));
        assert_eq!(table(&wanted.name, &created(&wanted)).unwrap(), wanted);
    }
}

#[test]
fn a_new_table_is_one_that_athena_reads() {
    let parquet = created(&orders(Format::Parquet));
    assert_eq!(serde(&parquet).0, "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe");
    let formats = |table: &types::Table| {
        let descriptor = descriptor(table);
        (descriptor.input_format.clone().unwrap(), descriptor.output_format.clone().unwrap())
    };
    let hive = "org.apache.hadoop.hive.ql.io";
    let of_parquet = ["Input", "Output"].map(|way| format!("{hive}.parquet.MapredParquet{way}Format"));
    assert_eq!(formats(&parquet), of_parquet.into());
    assert_eq!(parquet.table_type.as_deref(), Some("EXTERNAL_TABLE"));
    assert_eq!(parameter(&parquet, "EXTERNAL"), Some("TRUE"));
    assert_eq!(parameter(&parquet, "skip.header.line.count"), None);

    let json = created(&orders(Format::Json(JsonOptions::default())));
    assert_eq!(serde(&json).0, "org.openx.data.jsonserde.JsonSerDe");
    let of_text = (TEXT_INPUT.to_owned(), format!("{hive}.HiveIgnoreKeyTextOutputFormat"));
    assert_eq!(formats(&json), of_text);

    let csv = created(&orders(Format::Csv(CsvOptions::default())));
    assert_eq!(formats(&csv), of_text);
    assert_eq!(parameter(&csv, "skip.header.line.count"), Some("1"));
    let (lazy, open) =
        ("org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "org.apache.hadoop.hive.serde2.OpenCSVSerde");
    assert_eq!(
        serde(&csv),
        (lazy, vec![("field.delim", ","), ("serialization.format", ","), ("serialization.null.format", "")]),
        "for the bigint"
    );
    let mut texts = orders(Format::Csv(CsvOptions::default()));
    texts.columns.remove(0);
    assert_eq!(serde(&created(&texts)), (open, vec![("quoteChar", "\""), ("separatorChar", ",")]));
}

const TEXT_INPUT: &str = "org.apache.hadoop.mapred.TextInputFormat";

#[test]
fn what_unglue_does_not_know_survives() {
    let wanted = orders(Format::Csv(CsvOptions { delimiter: ';', ..CsvOptions::default() }));
    let mut present = created(&wanted);
    present.owner = Some("data team".to_owned());
    present.retention = 7;
    present.table_type = Some("MANAGED_TABLE".to_owned());
    let parameters = present.parameters.as_mut().unwrap();
    parameters.remove("EXTERNAL");
    parameters.remove("skip.header.line.count");
    let known = present.storage_descriptor.as_mut().unwrap();
    known.location = Some("s3a://lake/shop/orders".to_owned());
    known.compressed = true;
    known.number_of_buckets = 4;
    known.bucket_columns = Some(vec!["id".to_owned()]);
    known.sort_columns = Some(vec![Order::builder().column("id").sort_order(1).build().unwrap()]);
    known.parameters = Some(HashMap::from([("skip.header.line.count".to_owned(), "1".to_owned())]));
    let by_hand = [("field.delim", ";"), ("serialization.null.format", ""), ("mapkey.delim", ":")];
    let by_hand = by_hand.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    known.serde_info = Some(SerDeInfo::builder().name("mine").set_parameters(Some(by_hand)).build());
    known.serde_info.as_mut().unwrap().serialization_library =
        Some("org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe".to_owned());
    let first = &mut known.columns.as_mut().unwrap()[0];
    first.name = "ID".to_owned();
    first.r#type = Some("BIGINT".to_owned());
    first.parameters = Some(HashMap::from([("classified".to_owned(), "no".to_owned())]));

    let mut changed = table(&wanted.name, &present).unwrap();
    assert_eq!(changed, wanted, "all of this means the same to unglue");
    changed.columns.push(column("amount", "decimal(12,2)"));
    changed.description = Some("All orders".to_owned());
    let after = replaced(&changed, &present);

    let mut expected = present.clone();
    expected.description = Some("All orders".to_owned());
    let amount = types::Column::builder().name("amount").r#type("decimal(12,2)").build().unwrap();
    expected.storage_descriptor.as_mut().unwrap().columns.as_mut().unwrap().push(amount);
    assert_eq!(after, expected);
}

#[test]
fn another_format_or_location_replaces_only_these() {
    let csv = orders(Format::Csv(CsvOptions::default()));
    let mut present = created(&csv);
    present.storage_descriptor.as_mut().unwrap().number_of_buckets = 4;
    let wanted = Table { format: Format::Parquet, location: "s3://lake/shop/orders/v2/".to_owned(), ..csv };
    let after = replaced(&wanted, &present);
    assert_eq!(table(&wanted.name, &after).unwrap(), wanted);
    assert_eq!(parameter(&after, "skip.header.line.count"), None);
    assert_eq!(descriptor(&after).number_of_buckets, 4);
}

#[test]
fn texts_that_glue_refuses_are_made_to_fit() {
    let mut long = orders(Format::Parquet);
    long.columns[0].comment = Some("ä".repeat(200));
    long.columns[1].comment = Some("two\nlines".to_owned());
    long.partition_keys[0].comment = Some(String::new());
    long.description = Some("x".repeat(3000));
    long.parameters.insert("EXTERNAL".to_owned(), "TRUE".to_owned());
    let fitted = fitted(&long);
    assert_eq!(fitted.columns[0].comment.as_deref(), Some(format!("{}…", "ä".repeat(126)).as_str()));
    assert_eq!(fitted.columns[1].comment.as_deref(), Some("two lines"));
    assert_eq!(fitted.partition_keys[0].comment, None);
    assert_eq!(fitted.description.as_ref().unwrap().len(), 2048);
    assert_eq!(table(&fitted.name, &created(&fitted)).unwrap(), fitted);
}

#[test]
fn a_partition_is_like_its_table_but_for_its_place() {
    let mut of = created(&orders(Format::Parquet));
    let of_table = HashMap::from([("recordCount".to_owned(), "100".to_owned())]);
    of.storage_descriptor.as_mut().unwrap().parameters = Some(of_table);
    let wanted = Partition {
        values: vec![None],
        location: "s3://lake/shop/orders/day=x/".to_owned(),
        parameters: BTreeMap::from([("rows".to_owned(), "3".to_owned())]),
    };
    let input = partition_input(&wanted, &of, None);
    assert_eq!(input.values.clone().unwrap(), glue_values(&[None]));
    assert_eq!(describe(&[None]), "(NULL)");
    let descriptor = input.storage_descriptor.clone().unwrap();
    assert_eq!(descriptor.serde_info, of.storage_descriptor.as_ref().unwrap().serde_info);
    assert_eq!(descriptor.columns.as_ref().map(Vec::len), Some(2));
    assert_eq!(descriptor.location.as_deref(), Some("s3://lake/shop/orders/day=x/"));
    assert_eq!(descriptor.parameters, None, "the table's counts are not the partition's");

    let written = StorageDescriptor::builder().location("s3://lake/shop/orders/day=x").build();
    let present = types::Partition::builder().values("").storage_descriptor(written).build();
    let input = partition_input(&wanted, &of, Some(&present));
    assert_eq!(input.values.unwrap(), [""], "the values stay as they are written");
    assert_eq!(input.storage_descriptor.unwrap().location.as_deref(), Some("s3://lake/shop/orders/day=x"));
}
