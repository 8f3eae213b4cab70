//! Queries of tests, run over rows in memory.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Field, Int32Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, TableSource};

use crate::plan::plan_with;
use crate::plan::tests::{schema_of, table, transform};
use crate::session;
use crate::settings::Settings;
use crate::table::TableName;

/// The plan of a query over these orders and the same lookups each time.
pub(crate) fn plan_over(sql: &str, orders: &[RecordBatch]) -> LogicalPlan {
    let source = |name: &TableName| {
        let batches = if *name == table("raw.orders") { orders.to_vec() } else { vec![lookup(name)?] };
        Some(source_of(batches))
    };
    plan_with(&transform(sql, Settings::default()), &session::planner().state(), &source)
        .unwrap_or_else(|errors| panic!("{sql}: {errors:?}"))
}

/// A table of these rows.
pub(crate) fn source_of(batches: Vec<RecordBatch>) -> Arc<dyn TableSource> {
    provider_as_source(Arc::new(MemTable::try_new(batches[0].schema(), vec![batches]).unwrap()))
}

/// What a plan gives: each row as the texts of its values.
pub(crate) async fn result(plan: LogicalPlan) -> Result<Vec<Vec<String>>> {
    let batches = session::planner().execute_logical_plan(plan).await?.collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        let options = FormatOptions::default().with_null("NULL");
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()));
    }
    Ok(rows)
}

/// One order: its id, customer, cents, microseconds, status, whether it is paid.
pub(crate) type Order = (Option<i64>, Option<i64>, Option<i128>, Option<i64>, Option<&'static str>, Option<bool>);

pub(crate) fn orders_of(rows: &[Order]) -> RecordBatch {
    let amounts = Decimal128Array::from_iter(rows.iter().map(|row| row.2)).with_precision_and_scale(12, 2).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1))),
        Arc::new(amounts),
        Arc::new(TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.3))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.4))),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| row.5))),
    ];
    RecordBatch::try_new(schema_of(&table("raw.orders")).unwrap(), columns).unwrap()
}

/// Orders that share customers and statuses with one another, some of them the same twice.
pub(crate) fn orders(ids: [Option<i64>; 4]) -> RecordBatch {
    orders_of(&[
        (ids[0], Some(1), Some(500), Some(0), Some("new"), Some(true)),
        (ids[1], Some(2), Some(2000), Some(86_400_000_000), Some("done"), Some(false)),
        (ids[2], Some(9), Some(500), None, Some("new"), None),
        (ids[3], None, Some(-100), Some(5), None, Some(true)),
    ])
}

fn lookup(name: &TableName) -> Option<RecordBatch> {
    let schema = schema_of(name)?;
    let columns: Vec<ArrayRef> = match name.table.as_str() {
        "customers" => vec![
            Arc::new(Int64Array::from(vec![1, 2, 3])),
            Arc::new(StringArray::from(vec!["Ann", "Bob", "Cem"])),
            Arc::new(StringArray::from(vec![Some("a"), Some("a"), None])),
            Arc::new(Date32Array::from(vec![1, 2, 3])),
        ],
        _ => vec![
            Arc::new(Int64Array::from(vec![Some(1), Some(1), Some(4), None])),
            new_null_array(schema.field(1).data_type(), 4),
            codes(schema.field(2)),
            Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.0), Some(1.5), None])),
        ],
    };
    Some(RecordBatch::try_new(schema, columns).unwrap())
}

fn codes(field: &Field) -> ArrayRef {
    let lists = [Some(vec![Some(1), Some(2)]), Some(vec![]), None, Some(vec![None, Some(1)])];
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
    cast(&lists, field.data_type()).unwrap()
}
