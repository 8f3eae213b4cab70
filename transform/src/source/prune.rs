//! Partition pruning: which objects can hold rows that the filters keep.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::utils::conjunction;

use super::{fields, to_datafusion, typed_values};
use crate::inputs::{InputObject, PartitionValues};
use crate::table::{Column, Table};

/// Whether a filter can be decided from the partition keys alone.
pub(super) fn only_keys(filter: &Expr, keys: &[Column]) -> bool {
    !filter.is_volatile()
        && !filter.column_refs().is_empty()
        && filter.column_refs().iter().all(|column| keys.iter().any(|key| key.name == column.name))
}

/// The objects of the partitions that satisfy every filter over partition keys.
pub(super) fn matching<'a>(
    state: &dyn Session,
    table: &Table,
    objects: &'a [InputObject],
    filters: &[Expr],
) -> Result<Vec<&'a InputObject>> {
    let on_keys = filters.iter().filter(|filter| only_keys(filter, &table.partition_keys)).cloned();
    let Some(filter) = conjunction(on_keys) else {
        return Ok(objects.iter().collect());
    };
    let mut partitions: Vec<&PartitionValues> = Vec::new();
    let mut partition_of = Vec::with_capacity(objects.len());
    for object in objects {
        // Objects come sorted by path, so those of one partition are neighbours.
        if partitions.last().is_none_or(|last| !Arc::ptr_eq(last, &object.partition)) {
            partitions.push(&object.partition);
        }
        partition_of.push(partitions.len() - 1);
    }
    let kept = evaluate(state, table, &partitions, filter)?;
    Ok(objects.iter().zip(partition_of).filter(|(_, partition)| kept[*partition]).map(|(object, _)| object).collect())
}

/// One boolean a partition: whether the filter is true for its values.
fn evaluate(state: &dyn Session, table: &Table, partitions: &[&PartitionValues], filter: Expr) -> Result<Vec<bool>> {
    let mut columns: Vec<Vec<ScalarValue>> = vec![Vec::with_capacity(partitions.len()); table.partition_keys.len()];
    for values in partitions {
        for (column, value) in columns.iter_mut().zip(typed_values(table, values).map_err(to_datafusion)?) {
            column.push(value);
        }
    }
    let schema = Arc::new(Schema::new(fields(&table.partition_keys)));
    let arrays = columns.into_iter().map(ScalarValue::iter_to_array).collect::<Result<Vec<ArrayRef>>>()?;
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    let expression = state.create_physical_expr(unnormalize_col(filter), &DFSchema::try_from(schema)?)?;
    let mask = expression.evaluate(&batch)?.into_array(partitions.len())?;
    Ok(mask.as_boolean().iter().map(|keep| keep.unwrap_or(false)).collect())
}
