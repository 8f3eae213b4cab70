//! What a query asks of the partitions of its tables, so that the catalog is asked for those alone.
//!
//! What is left out here is never read, so a condition counts only where it surely holds for every row that the query needs: it
//! stands directly at the table, and at each place where the query reads the table. Everything else is judged when the rows are read.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, plan_datafusion_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_binary;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use crate::catalog::{PartitionCondition, PartitionFilter, PartitionTest};
use crate::hive::HiveType;
use crate::partition;
use crate::plan::table_name;
use crate::registration::OWNER;
use crate::session;
use crate::table::{Column, Table, TableName};

/// By table, what holds for all rows that a query needs of it.
pub(crate) type Conditions = BTreeMap<TableName, Vec<Expr>>;

/// Reads the conditions from a query's plan; `now` is what `now()` gives in it, and without it what depends on the time is left out.
///
/// A query that cannot be optimised has none: it fails when it is run, with its reason.
pub(crate) fn conditions(plan: &LogicalPlan, now: Option<DateTime<Utc>>) -> Conditions {
    let Ok(optimized) = session::planner_at(now).optimize(plan) else { return Conditions::new() };
    let mut conditions = Conditions::new();
    let seen = optimized.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let name = table_name(&scan.table_name).ok_or_else(|| plan_datafusion_err!("an unknown table"))?;
            let common = conditions.entry(name).or_insert_with(|| scan.filters.clone());
            common.retain(|condition| scan.filters.contains(condition));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if seen.is_ok() { conditions } else { Conditions::new() }
}

/// What conditions ask of a table's partition keys; no conditions where they ask nothing.
pub(crate) fn of_conditions(table: &Table, conditions: &[Expr]) -> PartitionFilter {
    let conditions = conditions.iter().filter_map(|condition| of_key(condition, &table.partition_keys)).collect();
    PartitionFilter { conditions, canonical: table.parameters.contains_key(OWNER) }
}

/// A condition on one partition key against fixed values.
fn of_key(condition: &Expr, keys: &[Column]) -> Option<PartitionCondition> {
    let (column, test) = match condition {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => any_of(condition)?,
        Expr::BinaryExpr(comparison) => compared(comparison)?,
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(column) = expr.as_ref() else { return None };
            (column.name.as_str(), Test::In(list.iter().map(literal).collect::<Option<_>>()?))
        }
        _ => return None,
    };
    let key = keys.iter().find(|key| key.name == column)?;
    let text = |value: &ScalarValue| text_of(value, &key.hive_type);
    let test = match test {
        Test::In(values) => PartitionTest::In(values.into_iter().map(text).collect::<Option<_>>()?),
        Test::Bound(operator, value) => bound(operator, text(value)?)?,
    };
    Some(PartitionCondition { key: key.name.clone(), hive_type: key.hive_type.clone(), test })
}

/// What is asked of a column.
enum Test<'a> {
    In(Vec<&'a ScalarValue>),
    Bound(Operator, &'a ScalarValue),
}

/// The optimizer turns short lists into `a = 1 OR a = 2`.
fn any_of(condition: &Expr) -> Option<(&str, Test<'_>)> {
    let mut of = None;
    let mut values = Vec::new();
    for part in split_binary(condition, Operator::Or) {
        let Expr::BinaryExpr(comparison) = part else { return None };
        let (column, Test::In(value)) = compared(comparison)? else { return None };
        if *of.get_or_insert(column) != column {
            return None;
        }
        values.extend(value);
    }
    Some((of?, Test::In(values)))
}

fn compared(comparison: &BinaryExpr) -> Option<(&str, Test<'_>)> {
    let (column, operator, value) = match (comparison.left.as_ref(), comparison.right.as_ref()) {
        (Expr::Column(column), value) => (column, comparison.op, literal(value)?),
        (value, Expr::Column(column)) => (column, comparison.op.swap()?, literal(value)?),
        _ => return None,
    };
    let test = if operator == Operator::Eq { Test::In(vec![value]) } else { Test::Bound(operator, value) };
    Some((column.name.as_str(), test))
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn bound(operator: Operator, value: String) -> Option<PartitionTest> {
    Some(match operator {
        Operator::Lt => PartitionTest::Less(value),
        Operator::LtEq => PartitionTest::LessOrEqual(value),
        Operator::Gt => PartitionTest::Greater(value),
        Operator::GtEq => PartitionTest::GreaterOrEqual(value),
        _ => return None,
    })
}

/// A value as a partition's text, where it has the very type of the key.
fn text_of(value: &ScalarValue, hive_type: &HiveType) -> Option<String> {
    let is_text = matches!(value, ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Utf8View(_));
    let fits = value.data_type() == hive_type.arrow() || is_text && *hive_type == HiveType::String;
    fits.then(|| partition::text_of(value).ok().flatten()).flatten()
}

#[cfg(test)]
mod tests;
