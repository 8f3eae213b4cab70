//! Definitions as other tools write them, and those that unglue refuses.

use aws_sdk_glue::types::{
    Column as GlueColumn, Partition as GluePartition, SerDeInfo, StorageDescriptor, Table as GlueTable, TableIdentifier,
};
use transform::{CsvOptions, JsonOptions};

use super::*;

fn name() -> TableName {
    TableName::new("shop", "orders").unwrap()
}

fn map(entries: &[(&str, &str)]) -> Option<HashMap<String, String>> {
    Some(entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn columns(columns: &[(&str, &str)]) -> Option<Vec<GlueColumn>> {
    let column =
        |(name, hive_type): &(&str, &str)| GlueColumn::builder().name(*name).r#type(*hive_type).build().unwrap();
    Some(columns.iter().map(column).collect())
}

const HIVE: &str = "org.apache.hadoop.hive";

/// A table with a SerDe, its parameters, an input format and parameters of the table.
fn glue(serde: &str, parameters: &[(&str, &str)], input: &str, table: &[(&str, &str)]) -> GlueTable {
    let serde = SerDeInfo::builder().serialization_library(serde).set_parameters(map(parameters)).build();
    let descriptor = StorageDescriptor::builder()
        .set_columns(columns(&[("id", "bigint"), ("Name", "string")]))
        .location("s3://landing/shop/orders")
        .input_format(input)
        .output_format(format!("{HIVE}.ql.io.HiveIgnoreKeyTextOutputFormat"))
        .serde_info(serde)
        .build();
    GlueTable::builder()
        .name("orders")
        .database_name("shop")
        .version_id("3")
        .table_type("EXTERNAL_TABLE")
        .storage_descriptor(descriptor)
        .set_partition_keys(columns(&[("day", "date")]))
        .set_parameters(map(table))
        .build()
        .unwrap()
}

const TEXT: &str = "org.apache.hadoop.mapred.TextInputFormat";
const LAZY: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";
const OPEN_CSV: &str = "org.apache.hadoop.hive.serde2.OpenCSVSerde";
const OPENX: &str = "org.openx.data.jsonserde.JsonSerDe";
const PARQUET: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
const HEADER: (&str, &str) = ("skip.header.line.count", "1");

fn read(glue: &GlueTable) -> Table {
    table(&name(), glue).unwrap()
}

#[track_caller]
fn refused(glue: &GlueTable, why: &str) {
    let error = table(&name(), glue).unwrap_err();
    assert_eq!(error.code, Code::UnsupportedTable);
    assert_eq!(error.message, format!("the table `shop.orders` cannot be read: {why}"));
}

#[test]
fn a_csv_table_of_a_crawler() {
    let written = [
        ("skip.header.line.count", "1"),
        ("classification", "csv"),
        ("delimiter", ","),
        ("columnsOrdered", "true"),
        ("areColumnsQuoted", "false"),
        ("UPDATED_BY_CRAWLER", "landing"),
        ("recordCount", "12"),
    ];
    let table = read(&glue(LAZY, &[("field.delim", ",")], TEXT, &written));
    assert_eq!(table.format, Format::Csv(CsvOptions { null: Some("\\N".to_owned()), ..CsvOptions::default() }));
    assert_eq!(table.location, "s3://landing/shop/orders/", "with a slash at the end");
    assert_eq!(table.version.as_deref(), Some("3"));
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("{} {}", column.name, column.hive_type)).collect();
    assert_eq!(columns, ["id bigint", "name string"], "names are lower-case");
    assert_eq!(table.partition_keys[0].name, "day");
    assert_eq!(table.parameters.len(), written.len() - 1, "the header line is part of the format: {table:?}");
    assert_eq!(table.parameters["recordCount"], "12");
}

#[test]
fn a_parquet_table_of_athena() {
    let input = format!("{HIVE}.ql.io.parquet.MapredParquetInputFormat");
    let written = [("EXTERNAL", "TRUE"), ("parquet.compression", "SNAPPY"), ("transient_lastDdlTime", "1767225600")];
    let table = read(&glue(PARQUET, &[("serialization.format", "1")], &input, &written));
    assert_eq!(table.format, Format::Parquet);
    let parameters: Vec<&str> = table.parameters.keys().map(String::as_str).collect();
    assert_eq!(parameters, ["parquet.compression", "transient_lastDdlTime"]);
}

#[test]
fn a_json_table_of_terraform() {
    let mut written = glue(OPENX, &[("serialization.format", "1")], TEXT, &[]);
    written.table_type = None;
    written.parameters = None;
    written.partition_keys = None;
    let descriptor = written.storage_descriptor.as_mut().unwrap();
    descriptor.location = Some("s3a://landing/shop/orders/".to_owned());
    descriptor.input_format = None;
    let table = read(&written);
    assert_eq!(
        (table.format, table.location.as_str()),
        (Format::Json(JsonOptions::default()), "s3://landing/shop/orders/")
    );
    assert_eq!((table.partition_keys.len(), table.parameters.len()), (0, 0));
}

#[test]
fn the_ways_to_say_what_delimits_csv() {
    let options = |serde, parameters: &[(&str, &str)]| match read(&glue(serde, parameters, TEXT, &[HEADER])).format {
        Format::Csv(options) => (options.delimiter, options.quote.expect("quotes")),
        other => panic!("{other}"),
    };
    assert_eq!(options(LAZY, &[]), ('\u{1}', '"'), "Hive's default");
    assert_eq!(options(LAZY, &[("serialization.format", "1")]), ('\u{1}', '"'), "the number of a character");
    assert_eq!(options(LAZY, &[("serialization.format", ";")]), (';', '"'));
    assert_eq!(options(LAZY, &[("field.delim", "\t"), ("serialization.format", ",")]), ('\t', '"'));
    assert_eq!(options(LAZY, &[("field.delim", "9")]), ('\t', '"'));
    assert_eq!(options(OPEN_CSV, &[]), (',', '"'));
    assert_eq!(options(OPEN_CSV, &[("separatorChar", "|"), ("quoteChar", "'"), ("escapeChar", "\\")]), ('|', '\''));
    assert_eq!(options(OPEN_CSV, &[("separatorChar", "\\t")]), ('\t', '"'));
}

#[test]
fn the_header_line_may_be_declared_in_any_place() {
    let lines = |written: &types::Table| match read(written).format {
        Format::Csv(options) => (options.header_lines, options.has_names()),
        other => panic!("{other}"),
    };
    let mut written = glue(OPEN_CSV, &[HEADER], TEXT, &[]);
    assert_eq!(lines(&written), (1, true));
    written.storage_descriptor.as_mut().unwrap().serde_info.as_mut().unwrap().parameters = None;
    assert_eq!(lines(&written), (0, false), "fields in the order of the columns");
    written.storage_descriptor.as_mut().unwrap().parameters = map(&[HEADER]);
    assert_eq!(lines(&written), (1, true));
    assert_eq!(lines(&glue(LAZY, &[], TEXT, &[("skip.header.line.count", "3")])), (3, true));
    assert_eq!(lines(&glue(LAZY, &[], TEXT, &[HEADER, ("unglue.columns", "position")])), (1, false));
}

#[test]
fn what_text_serdes_declare() {
    let options = |serde, parameters: &[(&str, &str)]| match read(&glue(serde, parameters, TEXT, &[])).format {
        Format::Csv(options) => options,
        other => panic!("{other}"),
    };
    let usual = CsvOptions { header_lines: 0, ..CsvOptions::default() };
    let hive = CsvOptions { delimiter: ',', null: Some("\\N".to_owned()), ..usual.clone() };
    let comma = ("field.delim", ",");
    assert_eq!(options(LAZY, &[comma]), hive, "Hive's NULL");
    assert_eq!(options(LAZY, &[comma, ("serialization.null.format", "")]), usual);
    let null = Some("NULL".to_owned());
    assert_eq!(options(LAZY, &[comma, ("serialization.null.format", "NULL")]).null, null);
    assert_eq!(options(OPEN_CSV, &[("serialization.null.format", "NULL")]).null, null);
    assert_eq!(options(OPEN_CSV, &[]), usual, "its default for escapes is passed over");
    assert_eq!(options(OPEN_CSV, &[("escapeChar", "\\")]).escape, Some('\\'));
    let escaped = CsvOptions { quote: None, escape: Some('\\'), ..hive.clone() };
    assert_eq!(options(LAZY, &[comma, ("escape.delim", "\\")]), escaped);
    assert_eq!(options(LAZY, &[comma, ("quoteChar", "")]).quote, None);
    assert_eq!(options(LAZY, &[comma, ("serialization.encoding", "latin1")]).encoding.as_deref(), Some("latin1"));
    assert_eq!(options(LAZY, &[comma, ("serialization.encoding", "UTF-8")]).encoding, None);
    assert_eq!(options(OPEN_CSV, &[("unglue.comment", "#")]).comment, Some('#'));
}

#[test]
fn json_of_other_keys() {
    let serde = [("mapping.TS", "timestamp"), ("dots.in.keys", "TRUE"), ("ignore.malformed.json", "TRUE")];
    let written = glue(OPENX, &serde, TEXT, &[("mapping.ts", "what the SerDe says counts"), ("mapping.id", "ID")]);
    let keys = [("ts", "timestamp"), ("id", "ID")].map(|(column, key)| (column.to_owned(), key.to_owned()));
    assert_eq!(read(&written).format, Format::Json(JsonOptions { keys: keys.into(), dots: true }));
}

#[test]
fn avro_of_a_crawler() {
    let avro = format!("{HIVE}.serde2.avro.AvroSerDe");
    let input = format!("{HIVE}.ql.io.avro.AvroContainerInputFormat");
    let written = glue(&avro, &[("avro.schema.literal", "{}")], &input, &[("compressionType", "null")]);
    assert_eq!(read(&written).format, Format::Avro);
}

#[test]
fn orc_by_names() {
    let orc = format!("{HIVE}.ql.io.orc.OrcSerde");
    let input = format!("{HIVE}.ql.io.orc.OrcInputFormat");
    assert_eq!(read(&glue(&orc, &[], &input, &[])).format, Format::Orc);
    assert_eq!(read(&glue(&orc, &[("orc.column.index.access", "FALSE")], &input, &[])).format, Format::Orc);
    let by_place = glue(&orc, &[("orc.column.index.access", "true")], &input, &[]);
    refused(&by_place, "its parameter `orc.column.index.access` is `true`");
}

#[test]
fn encodings_that_are_not_known() {
    let regex = format!("{HIVE}.serde2.RegexSerDe");
    refused(&glue(&regex, &[], "", &[]), &format!("its SerDe (`SerdeInfo.SerializationLibrary`) is `{regex}`"));
    refused(&glue("", &[], "", &[]), "its definition names no SerDe (`SerdeInfo.SerializationLibrary`)");
    let links = format!("{HIVE}.ql.io.SymlinkTextInputFormat");
    refused(&glue(PARQUET, &[], &links, &[]), &format!("its `InputFormat` is `{links}`"));
    refused(&glue(OPENX, &[("mapping.", "x")], TEXT, &[]), "its parameter `mapping.` names no column");
    let csv = |parameter: (&str, &str)| glue(LAZY, &[parameter], TEXT, &[HEADER]);
    refused(&csv(("line.delim", "\u{2}")), "its parameter `line.delim` is `\\u{2}`");
    refused(&csv(("skip.footer.line.count", "1")), "its parameter `skip.footer.line.count` is `1`");
    refused(&csv(("quoteChar", "''")), "its parameter `quoteChar` is `\\'\\'`, which is not one character");
    refused(&csv(("unglue.columns", "both")), "its parameter `unglue.columns` is `both`");
    let many = glue(LAZY, &[], TEXT, &[("skip.header.line.count", "some")]);
    refused(&many, "its parameter `skip.header.line.count` is `some`");
}

#[test]
fn tables_that_are_no_folders_of_rows() {
    let parquet = || glue(PARQUET, &[], "", &[]);
    let mut view = parquet();
    view.table_type = Some("VIRTUAL_VIEW".to_owned());
    refused(&view, "its `TableType` is `VIRTUAL_VIEW`");
    refused(&glue(PARQUET, &[], "", &[("table_type", "ICEBERG")]), "its parameter `table_type` is `ICEBERG`");
    let delta = glue(PARQUET, &[], "", &[("spark.sql.sources.provider", "delta")]);
    refused(&delta, "its parameter `spark.sql.sources.provider` is `delta`");
    let mut link = parquet();
    link.target_table = Some(TableIdentifier::builder().database_name("central").name("orders").build());
    refused(&link, "it is a link (`TargetTable`) to `central.orders`");
    let mut bare = parquet();
    bare.storage_descriptor = None;
    refused(&bare, "its definition has no `StorageDescriptor`");
    for location in [None, Some(""), Some("s3://warehouse/orders-__PLACEHOLDER__")] {
        let mut nowhere = parquet();
        nowhere.storage_descriptor.as_mut().unwrap().location = location.map(str::to_owned);
        refused(&nowhere, "it has no `Location`");
    }
    let mut odd = parquet();
    odd.storage_descriptor.as_mut().unwrap().columns = columns(&[("x", "uniontype<int,string>")]);
    refused(&odd, "its column `x` has the type `uniontype<int,string>`");
}

#[test]
fn values_of_partitions() {
    let glue = |values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        GluePartition::builder().set_values(Some(values)).build()
    };
    assert_eq!(values(&glue(&["__HIVE_DEFAULT_PARTITION__", "", "NULL"])), [None, None, Some("NULL".to_owned())]);
    for value in [None, Some("a=b/c %5F"), Some("__HIVE_DEFAULT_PARTITION__"), Some("日本")] {
        let value = [value.map(str::to_owned)];
        assert_eq!(values(&glue(&[&glue_values(&value)[0]])), value, "a value survives the way to Glue and back");
    }
    let error = partition(&name(), &glue(&["2026-01-01"])).unwrap_err();
    assert_eq!(
        error.message,
        "the table `shop.orders` cannot be read: of its partition (2026-01-01): it has no `Location`"
    );
}
