//! Which partitions of the result new rows of the driving table can change.
//!
//! The partition columns are followed from the result down to where each row still comes from one row of the driving table.
//! On the way they must pass every aggregate and window as one of its keys: then rows of different partitions have nothing to
//! do with each other, and the partitions that new rows touch are the values that the columns have for them.

use std::collections::HashSet;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, LogicalPlanBuilder};

use super::{Reason, Unsafe, distributes, expressions_read, is_set_operation, reads, stable_partitions};
use crate::table::TableName;

/// The plan that gives, run over new rows of the driving table only, the distinct values of the partition columns of all
/// partitions that those rows can change; its columns bear the names of `partition`, in that order.
///
/// `plan` is as SQL planning gives it, not optimised.
///
/// # Errors
/// What makes rows of one partition depend on rows of another.
pub(crate) fn affected(plan: &LogicalPlan, driving: &TableName, partition: &[String]) -> Result<LogicalPlan, Unsafe> {
    let refuted = |reason| Unsafe::new(reason, driving);
    if !reads(plan, driving) {
        return Err(refuted(Reason::NotRead));
    }
    stable_partitions(plan, driving, partition)?;
    let mut keys = Vec::with_capacity(partition.len());
    for name in partition {
        let found = plan.schema().iter().find(|(_, field)| field.name().eq_ignore_ascii_case(name));
        let Some((qualifier, field)) = found else { return Err(refuted(Reason::Unknown)) };
        keys.push(Key { name: name.to_lowercase(), value: Expr::Column((qualifier, field).into()) });
    }
    let (rows, keys) = descend(plan, keys, driving).map_err(refuted)?;
    let columns = keys.into_iter().map(|key| key.value.alias(key.name));
    LogicalPlanBuilder::from(rows.clone())
        .project(columns)
        .and_then(LogicalPlanBuilder::distinct)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|_| refuted(Reason::Unknown))
}

/// A partition column and what it is, over the rows of some operator.
#[derive(Clone)]
struct Key {
    name: String,
    value: Expr,
}

fn descend<'a>(
    plan: &'a LogicalPlan,
    keys: Vec<Key>,
    driving: &TableName,
) -> Result<(&'a LogicalPlan, Vec<Key>), Reason> {
    if distributes(plan, driving).is_ok() {
        return Ok((plan, keys));
    }
    if expressions_read(plan, driving) {
        return Err(Reason::ReadTwice);
    }
    match plan {
        LogicalPlan::Projection(node) => {
            let keys = replace(keys, plan.schema(), |index| Some(node.expr[index].clone().unalias()))?;
            descend(&node.input, keys, driving)
        }
        LogicalPlan::SubqueryAlias(node) => {
            let keys = through(keys, plan.schema(), node.input.schema(), 0)?;
            descend(&node.input, keys, driving)
        }
        // What a condition says of an aggregate over all rows cannot be told from the new ones: it is left out.
        LogicalPlan::Filter(node) => descend(&node.input, keys, driving),
        LogicalPlan::Sort(node) if node.fetch.is_none() => descend(&node.input, keys, driving),
        LogicalPlan::Distinct(Distinct::All(input)) => descend(input, keys, driving),
        LogicalPlan::Aggregate(node) => {
            if node.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
                return Err(crosses(&keys));
            }
            let crossing = crosses(&keys);
            let keys = replace(keys, plan.schema(), |index| Some(node.group_expr.get(index)?.clone().unalias()));
            descend(&node.input, keys.map_err(|_| crossing)?, driving)
        }
        LogicalPlan::Window(node) => {
            for key in &keys {
                if !node.window_expr.iter().all(|window| is_by(window, &key.value)) {
                    return Err(Reason::CrossesPartitions { column: key.name.clone() });
                }
            }
            descend(&node.input, keys, driving)
        }
        LogicalPlan::Union(node) => {
            let mut reading = node.inputs.iter().filter(|input| reads(input, driving));
            match (reading.next(), reading.next()) {
                (Some(input), None) => {
                    let keys = through(keys, plan.schema(), input.schema(), 0)?;
                    descend(input, keys, driving)
                }
                _ => Err(Reason::ReadTwice),
            }
        }
        LogicalPlan::Join(node) => {
            if is_set_operation(node) {
                return Err(Reason::SetOperation);
            }
            let (on_left, on_right) = (reads(&node.left, driving), reads(&node.right, driving));
            let (side, first) = match node.join_type {
                _ if on_left && on_right => return Err(Reason::ReadTwice),
                JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
                    if on_left =>
                {
                    (&node.left, 0)
                }
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark if on_right => (&node.right, 0),
                JoinType::Inner | JoinType::Right if on_right => (&node.right, node.left.schema().fields().len()),
                _ => return Err(Reason::OuterJoin),
            };
            // A key that the other table gives depends on which of its rows the aggregate's result meets.
            let crossing = crosses(&keys);
            let keys = through(keys, plan.schema(), side.schema(), first).map_err(|_| crossing)?;
            descend(side, keys, driving)
        }
        _ => distributes(plan, driving).map(|()| (plan, keys)),
    }
}

fn crosses(keys: &[Key]) -> Reason {
    Reason::CrossesPartitions { column: keys.first().map(|key| key.name.clone()).unwrap_or_default() }
}

/// Keys over an operator's result as keys over one of its inputs, whose columns begin at position `first` of the result.
fn through(keys: Vec<Key>, result: &DFSchema, input: &DFSchema, first: usize) -> Result<Vec<Key>, Reason> {
    let columns = input.columns();
    replace(keys, result, |index| Some(Expr::Column(columns.get(index.checked_sub(first)?)?.clone())))
}

/// Replaces the columns of keys by what they are one operator further down, by position.
fn replace(keys: Vec<Key>, schema: &DFSchema, below: impl Fn(usize) -> Option<Expr>) -> Result<Vec<Key>, Reason> {
    keys.into_iter()
        .map(|key| {
            let mut is_known = true;
            let value = key.value.transform(|expr| {
                let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
                match schema.maybe_index_of_column(column).and_then(&below) {
                    Some(replacement) => {
                        Ok(Transformed::new(replacement, true, datafusion::common::tree_node::TreeNodeRecursion::Jump))
                    }
                    None => {
                        is_known = false;
                        Ok(Transformed::no(expr))
                    }
                }
            });
            let value = value.data().map_err(|_| Reason::Unknown)?;
            if is_known { Ok(Key { name: key.name, value }) } else { Err(Reason::Unknown) }
        })
        .collect()
}

/// Whether a window function is computed by this key, so that it stays inside one partition.
fn is_by(window: &Expr, key: &Expr) -> bool {
    let Expr::WindowFunction(function) = window.clone().unalias() else { return false };
    let by = &function.params.partition_by;
    let columns: HashSet<&Column> = key.column_refs();
    let names_columns = !columns.is_empty()
        && columns.iter().all(|column| by.iter().any(|expr| matches!(expr, Expr::Column(by) if by == *column)));
    by.contains(key) || names_columns
}
