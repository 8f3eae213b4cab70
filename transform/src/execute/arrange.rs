//! The result as the table has it: its columns in their types and order, its rows sorted.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, col, lit};

use crate::failure::of_execution;
use crate::hive::HiveType;
use crate::partition;
use crate::plan::Planned;
use crate::table::Column;
use crate::trace::ORIGIN;
use crate::transform::Transform;
use crate::write::PartitionValues;

/// The query's result in the order and types of the table, the origin of traced rows at the end.
pub(super) fn typed(query: LogicalPlan, planned: &Planned) -> Result<LogicalPlan> {
    let schema = Arc::clone(query.schema());
    let wanted = planned.columns.iter().chain(&planned.partition_keys);
    let mut columns = wanted
        .map(|column| {
            let found = schema.iter().find(|(_, field)| field.name().eq_ignore_ascii_case(&column.name));
            let expression = match found {
                Some((qualifier, field)) => Expr::Column((qualifier, field).into()),
                None => col(&column.name),
            };
            Ok(expression.cast_to(&column.hive_type.arrow(), &schema)?.alias(&column.name))
        })
        .collect::<Result<Vec<_>>>()?;
    let origin = schema.iter().find(|(_, field)| field.name() == ORIGIN);
    columns.extend(origin.map(|(qualifier, field)| Expr::Column((qualifier, field).into()).alias(ORIGIN)));
    let plan = LogicalPlanBuilder::from(query).project(columns)?.build()?;
    unqualified(plan)
}

/// All columns of a plan under one name, so that they can be named without a table.
pub(super) fn unqualified(plan: LogicalPlan) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(plan).alias("result")?.build()
}

/// Sorted as the writer needs it.
pub(super) fn sorted(plan: LogicalPlan, planned: &Planned, transform: &Transform) -> Result<LogicalPlan> {
    let by_partition = planned.partition_keys.iter().map(|key| column(&key.name).sort(true, true));
    let by_sort = transform.settings.sort.iter().map(|sort| {
        // NULL counts as larger than everything, as in DataFusion's own ORDER BY.
        let descending = sort.value.descending;
        column(&sort.value.column.to_lowercase()).sort(!descending, descending)
    });
    let order: Vec<_> = by_partition.chain(by_sort).collect();
    if order.is_empty() { Ok(plan) } else { LogicalPlanBuilder::from(plan).sort(order)?.build() }
}

/// The rows of some partitions only.
pub(super) fn limited(
    plan: LogicalPlan,
    keys: &[Column],
    partitions: &BTreeSet<PartitionValues>,
) -> crate::error::Result<LogicalPlan> {
    let wanted = partitions
        .iter()
        .map(|values| {
            let equal = keys.iter().zip(values).map(|(key, value)| is(key, value.as_deref()));
            Ok(conjunction(equal.collect::<crate::error::Result<Vec<_>>>()?).unwrap_or_else(|| lit(true)))
        })
        .collect::<crate::error::Result<Vec<_>>>()?;
    let wanted = one_of(keys, partitions)?.or_else(|| disjunction(wanted)).unwrap_or_else(|| lit(false));
    LogicalPlanBuilder::from(plan).filter(wanted).and_then(LogicalPlanBuilder::build).map_err(of_execution)
}

/// `key IN (…)`, which sources can be pruned by more easily, where there is one key and no NULL.
fn one_of(keys: &[Column], partitions: &BTreeSet<PartitionValues>) -> crate::error::Result<Option<Expr>> {
    let [key] = keys else { return Ok(None) };
    let mut values = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let [Some(value)] = partition.as_slice() else { return Ok(None) };
        values.push(lit(partition::value_of(value, &key.hive_type)?));
    }
    Ok((!values.is_empty()).then(|| column(&key.name).in_list(values, false)))
}

/// Whether a key has a partition's value; Hive cannot tell an empty text from NULL.
fn is(key: &Column, value: Option<&str>) -> crate::error::Result<Expr> {
    let own = column(&key.name);
    Ok(match value {
        Some(value) => own.eq(lit(partition::value_of(value, &key.hive_type)?)),
        None if is_text(&key.hive_type) => own.clone().is_null().or(own.eq(lit(""))),
        None => own.is_null(),
    })
}

pub(super) fn is_text(hive_type: &HiveType) -> bool {
    matches!(hive_type, HiveType::String | HiveType::Varchar(_) | HiveType::Char(_))
}

/// A column by its exact name; `col` would fold the case of a name and split it at dots.
pub(super) fn column(name: &str) -> Expr {
    Expr::Column(datafusion::common::Column::new_unqualified(name))
}
