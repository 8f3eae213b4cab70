//! Which partitions of the result new rows of the driving table can change.
//!
//! The partition columns are followed from the result down to where each row still comes from one row of the driving table.
//! On the way they must pass every aggregate and window as one of its keys: then rows of different partitions have nothing to
//! do with each other, and the partitions that new rows touch are the values that the columns have for them.

mod descent;

#[cfg(test)]
mod tests;

use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::{Reason, Unsafe, reads, stable_partitions};
use crate::table::TableName;
use descent::{Descent, Key};

/// Where a query is not computed by a partition column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crossing {
    /// An aggregate that does not group by it, below so many others on the way from the result to the driving table.
    Aggregate {
        /// How many.
        below: usize,
    },
    /// A window function that is not partitioned by it.
    Window {
        /// The function.
        function: String,
        /// The columns of its PARTITION BY; `None` for what is not a column.
        by: Vec<Option<String>>,
    },
    /// The column comes from another table than the aggregate, or is looked up by what the aggregate gives.
    Lookup,
    /// It is computed from a floating-point number after that was a key of an aggregate, DISTINCT or a window: numbers that are
    /// written differently, 0.0 and -0.0, count as one there.
    Float,
    /// The branches of a set operation give it in different types.
    Types,
}

/// The plan that gives, run over new rows of the driving table only, the values of the partition columns of all partitions that
/// those rows can change, once or several times; its columns bear the names of `partition`, in that order.
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
    let (rows, descent) = Descent::from_result(keys, driving).down_to_rows(plan).map_err(refuted)?;
    let columns = descent.keys.into_iter().map(|key| key.value.alias(key.name));
    let mut rows = LogicalPlanBuilder::from(rows.clone());
    if let Some(condition) = conjunction(descent.conditions) {
        rows = rows.filter(condition).map_err(|_| refuted(Reason::Unknown))?;
    }
    rows.project(columns).and_then(LogicalPlanBuilder::build).map_err(|_| refuted(Reason::Unknown))
}
