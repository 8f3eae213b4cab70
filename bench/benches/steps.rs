//! The inner steps of a run, one at a time: text to batches, rows to partitions, columns to pages.
//!
//! Whole runs, compared with other engines, are what `make bench` measures; this shows which step a change made slower.

// What fails here is a defect of the bench: it should stop.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tpchgen::generators::{LineItem, LineItemGenerator};
use transform::{Column, CsvOptions, Format, HiveType, JsonOptions, Table, TableName, steps};

/// Rows of a buffer of the writer.
const ROWS: usize = 32 << 10;

fn lines() -> Vec<LineItem<'static>> {
    LineItemGenerator::new(0.02, 1, 1).iter().take(ROWS).collect()
}

fn columns() -> Vec<Column> {
    let column = |name: &str, hive_type| Column { name: name.to_owned(), hive_type, comment: None };
    let decimal = || HiveType::Decimal(15, 2);
    vec![
        column("l_orderkey", HiveType::BigInt),
        column("l_linenumber", HiveType::Int),
        column("l_extendedprice", decimal()),
        column("l_discount", decimal()),
        column("l_shipdate", HiveType::Date),
        column("l_shipmode", HiveType::String),
        column("l_comment", HiveType::String),
    ]
}

fn table(format: Format) -> Arc<Table> {
    Arc::new(Table {
        name: TableName::new("raw", "lineitem").expect("a name"),
        columns: columns(),
        partition_keys: Vec::new(),
        format,
        location: "memory://bench/raw/lineitem/".to_owned(),
        description: None,
        parameters: BTreeMap::new(),
        version: None,
    })
}

fn csv(lines: &[LineItem]) -> String {
    let names: Vec<_> = columns().into_iter().map(|column| column.name).collect();
    let mut text = names.join(",");
    for line in lines {
        text.push_str(&format!(
            "\n{},{},{},{},{},{},\"{}\"",
            line.l_orderkey,
            line.l_linenumber,
            line.l_extendedprice,
            line.l_discount,
            line.l_shipdate,
            line.l_shipmode,
            line.l_comment
        ));
    }
    text
}

fn json(lines: &[LineItem]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&format!(
            "{{\"l_orderkey\":{},\"l_linenumber\":{},\"l_extendedprice\":{},\"l_discount\":{},\"l_shipdate\":\"{}\",\
             \"l_shipmode\":\"{}\",\"l_comment\":\"{}\"}}\n",
            line.l_orderkey,
            line.l_linenumber,
            line.l_extendedprice,
            line.l_discount,
            line.l_shipdate,
            line.l_shipmode,
            line.l_comment
        ));
    }
    text
}

fn text(criterion: &mut Criterion) {
    let runtime = runtime();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lines = lines();
    let mut group = criterion.benchmark_group("text");
    for (name, body, format) in [
        ("csv", csv(&lines), Format::Csv(CsvOptions::default())),
        ("json", json(&lines), Format::Json(JsonOptions::default())),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        let object = Path::from(format!("raw/lineitem/1.{name}"));
        runtime.block_on(store.put(&object, body.into())).expect("memory takes an object");
        let table = table(format);
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                steps::read_text(Arc::clone(&store), &object, Arc::clone(&table)).await.expect("the object is read")
            });
        });
    }
}

/// Columns of many kinds, and a key with `partitions` values in no order.
fn batch(lines: &[LineItem], partitions: i64) -> RecordBatch {
    let column = |name: &'static str, values: ArrayRef| (name, values);
    RecordBatch::try_from_iter([
        column("orderkey", Arc::new(lines.iter().map(|line| Some(line.l_orderkey)).collect::<Int64Array>())),
        column("linenumber", Arc::new(lines.iter().map(|line| Some(line.l_linenumber)).collect::<Int32Array>())),
        column(
            "price",
            Arc::new(
                Decimal128Array::from_iter_values(lines.iter().map(|line| i128::from(line.l_extendedprice.0)))
                    .with_precision_and_scale(15, 2)
                    .expect("a decimal"),
            ),
        ),
        column(
            "discount",
            Arc::new(lines.iter().map(|line| Some(line.l_discount.0 as f64 / 100.0)).collect::<Float64Array>()),
        ),
        column(
            "shipdate",
            Arc::new(lines.iter().map(|line| Some(line.l_shipdate.to_unix_epoch())).collect::<Date32Array>()),
        ),
        column("shipmode", Arc::new(lines.iter().map(|line| Some(line.l_shipmode)).collect::<StringArray>())),
        column("comment", Arc::new(lines.iter().map(|line| Some(line.l_comment)).collect::<StringArray>())),
        column(
            "key",
            Arc::new((0..lines.len() as i64).map(|row| Some(row * 7919 % partitions)).collect::<Int64Array>()),
        ),
    ])
    .expect("columns of one length")
}

fn scatter(criterion: &mut Criterion) {
    let lines = lines();
    let mut group = criterion.benchmark_group("scatter");
    for partitions in [1, 84, 2500] {
        let batch = batch(&lines, partitions);
        group.throughput(Throughput::Elements(batch.num_rows() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(partitions), &batch, |bencher, batch| {
            bencher.iter(|| black_box(steps::scatter(batch, 1).expect("rows are gathered")));
        });
    }
}

fn encode(criterion: &mut Criterion) {
    let runtime = runtime();
    let whole = batch(&lines(), 84);
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(whole.num_rows() as u64));
    for (index, field) in whole.schema().fields().iter().enumerate() {
        let column = whole.project(&[index]).expect("a column");
        group.bench_function(field.name(), |bencher| {
            bencher.to_async(&runtime).iter_batched(
                || column.clone(),
                |column| async { steps::encode(column, 1).await.expect("the column is encoded") },
                BatchSize::LargeInput,
            );
        });
    }
    for files in [1, 84] {
        group.bench_with_input(BenchmarkId::new("all", files), &files, |bencher, files| {
            bencher.to_async(&runtime).iter_batched(
                || whole.clone(),
                |batch| async { steps::encode(batch, *files).await.expect("the columns are encoded") },
                BatchSize::LargeInput,
            );
        });
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().build().expect("a runtime")
}

criterion_group!(benches, text, scatter, encode);
criterion_main!(benches);
