//! The proof that a query may run over new rows of its driving table only.
//!
//! A query Q is incremental over a table D if Q(D ∪ new) = Q(D) ∪ Q(new) for every D and every set of new rows, the other tables
//! being read whole. The proof is by the shape of the logical plan as it was written, before any rewriting: each operator
//! between the result and the one scan of D must distribute over the union of rows. What is not known to distribute is unsafe.

pub(crate) mod affected;
pub(crate) mod clause;
mod unstable;

#[cfg(test)]
pub(crate) mod tests;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan};

use crate::plan::table_name;
use crate::table::TableName;
pub use affected::Crossing;

/// Why a query needs all rows of its driving table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// GROUP BY, or an aggregate function.
    Aggregate,
    /// DISTINCT.
    Distinct,
    /// A window function.
    Window,
    /// LIMIT or OFFSET.
    Limit,
    /// UNION, INTERSECT or EXCEPT.
    SetOperation,
    /// A recursive query.
    Recursive,
    /// An outer join that keeps rows of another table, or a semi- or anti-join that filters another table.
    OuterJoin,
    /// The driving table is read twice, or in a subquery of an expression.
    ReadTwice,
    /// The driving table is not read at all.
    NotRead,
    /// A partition column depends on when the query runs.
    UnstablePartition {
        /// The partition column.
        column: String,
        /// The function, for example `now`.
        function: String,
    },
    /// For `overwrite_partitions`: rows of one partition depend on rows of others, because an aggregate, a window or a join
    /// is not computed by partition.
    CrossesPartitions {
        /// The partition column.
        column: String,
        /// Which of them.
        clause: Crossing,
    },
    /// An operator of which nothing is known.
    Unknown,
}

/// The refutation of the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsafe {
    /// Why.
    pub reason: Reason,
    /// Why, for people: lower-case, without full stop.
    pub text: String,
}

impl Unsafe {
    fn new(reason: Reason, driving: &TableName) -> Self {
        let needs_all = |what: &str| format!("{what} needs all rows of `{driving}`, not only the new ones");
        let text = match &reason {
            Reason::Aggregate => needs_all("an aggregate"),
            Reason::Distinct => needs_all("DISTINCT"),
            Reason::Window => needs_all("a window function"),
            Reason::Limit => needs_all("LIMIT or OFFSET"),
            Reason::SetOperation => needs_all("a set operation"),
            Reason::Recursive => needs_all("a recursive query"),
            Reason::OuterJoin => format!(
                "this join gives rows of the other table by what `{driving}` has or lacks, so later rows would change them"
            ),
            Reason::ReadTwice => {
                format!("`{driving}` is read twice, and new rows would also have to meet the old ones")
            }
            Reason::NotRead => format!("no row of the result comes from `{driving}`"),
            Reason::UnstablePartition { column, function } => {
                format!(
                    "the partition column `{column}` depends on `{function}`, which gives another value in each run"
                )
            }
            Reason::CrossesPartitions { column, clause } => {
                let why = match clause {
                    Crossing::Aggregate { .. } => format!("this aggregate is not computed by `{column}`"),
                    Crossing::Window { .. } => format!("this window function is not computed by `{column}`"),
                    Crossing::Lookup => format!("`{column}` is looked up for what comes out of an aggregate"),
                    Crossing::Float => format!("`{column}` is computed from a grouped floating-point number"),
                    Crossing::Types => format!("the branches of a set operation give `{column}` in different types"),
                };
                format!("{why}, so that a new row may change rows of any partition")
            }
            Reason::Unknown => format!("nothing is known of how a part of the query treats new rows of `{driving}`"),
        };
        Self { reason, text }
    }

    /// What the writer of the query can do.
    pub(crate) fn way_out(&self) -> &'static str {
        match self.reason {
            Reason::OuterJoin => {
                "use `@write: overwrite`, join from the driving table's side, or name the other table in `@driving`"
            }
            Reason::NotRead => "use `@write: overwrite`, or name another table in `@driving`",
            Reason::CrossesPartitions { clause: Crossing::Lookup, .. } => {
                "look it up before the aggregate and add it to GROUP BY, or use `@write: overwrite`"
            }
            Reason::CrossesPartitions { clause: Crossing::Float, .. } => {
                "compute it before the aggregate and group by it, or use `@write: overwrite`"
            }
            Reason::CrossesPartitions { clause: Crossing::Types, .. } => {
                "CAST it to one type in each branch, or use `@write: overwrite`"
            }
            Reason::CrossesPartitions { .. } => {
                "add the partition column to GROUP BY and PARTITION BY, or use `@write: overwrite`"
            }
            Reason::UnstablePartition { .. } => "partition by a column of the data, or use `@write: overwrite`",
            _ => "use `@write: overwrite`, or move the clause into a transform of its own that reads this one's table",
        }
    }
}

/// Proves that a query may run over new rows of its driving table only.
///
/// `plan` is as SQL planning gives it, not optimised. `partition` are the names of the result's partition columns.
///
/// # Errors
/// The outermost operator that does not distribute, or a partition column that is computed from the clock or by chance.
pub fn incremental(plan: &LogicalPlan, driving: &TableName, partition: &[String]) -> Result<(), Unsafe> {
    let refuted = |reason| Unsafe::new(reason, driving);
    if !reads(plan, driving) {
        return Err(refuted(Reason::NotRead));
    }
    distributes(plan, driving).map_err(refuted)?;
    stable_partitions(plan, driving, partition)
}

/// Whether every partition column is computed from the data alone.
fn stable_partitions(plan: &LogicalPlan, driving: &TableName, partition: &[String]) -> Result<(), Unsafe> {
    let refuted = |reason| Unsafe::new(reason, driving);
    for (index, field) in plan.schema().fields().iter().enumerate() {
        let column = field.name().to_lowercase();
        if partition.iter().any(|name| name.eq_ignore_ascii_case(&column))
            && let Some(function) = unstable::function_in_column(plan, index)
        {
            return Err(refuted(Reason::UnstablePartition { column, function }));
        }
    }
    Ok(())
}

/// Whether a plan distributes over the rows of the driving table, which it reads.
fn distributes(plan: &LogicalPlan, driving: &TableName) -> Result<(), Reason> {
    if expressions_read(plan, driving) {
        return Err(Reason::ReadTwice);
    }
    match plan {
        LogicalPlan::TableScan(_) => Ok(()),
        LogicalPlan::Projection(node) => distributes(&node.input, driving),
        LogicalPlan::Filter(node) => distributes(&node.input, driving),
        LogicalPlan::SubqueryAlias(node) => distributes(&node.input, driving),
        LogicalPlan::Subquery(node) => distributes(&node.subquery, driving),
        LogicalPlan::Unnest(node) => distributes(&node.input, driving),
        LogicalPlan::Repartition(node) => distributes(&node.input, driving),
        LogicalPlan::Sort(node) if node.fetch.is_none() => distributes(&node.input, driving),
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => Err(Reason::Limit),
        LogicalPlan::Join(node) => join_distributes(node, driving),
        LogicalPlan::Aggregate(_) => Err(Reason::Aggregate),
        LogicalPlan::Distinct(Distinct::All(input)) if is_union(input) => Err(Reason::SetOperation),
        LogicalPlan::Distinct(_) => Err(Reason::Distinct),
        LogicalPlan::Window(_) => Err(Reason::Window),
        LogicalPlan::Union(_) => Err(Reason::SetOperation),
        LogicalPlan::RecursiveQuery(_) => Err(Reason::Recursive),
        LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_) => Err(Reason::Unknown),
    }
}

/// UNION without ALL is planned as DISTINCT over a union.
fn is_union(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Union(_))
}

/// A join distributes over one of its sides if it gives no row without a row of that side.
fn join_distributes(join: &Join, driving: &TableName) -> Result<(), Reason> {
    let preserved = match (reads(&join.left, driving), reads(&join.right, driving)) {
        (true, true) => return Err(if is_set_operation(join) { Reason::SetOperation } else { Reason::ReadTwice }),
        (true, false) => &join.left,
        (false, _) => &join.right,
    };
    if is_set_operation(join) {
        return Err(Reason::SetOperation);
    }
    let on_left = std::ptr::eq(preserved, &join.left);
    let gives_only_its_rows = match join.join_type {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => on_left,
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => !on_left,
        JoinType::Full => false,
    };
    if gives_only_its_rows { distributes(preserved, driving) } else { Err(Reason::OuterJoin) }
}

/// INTERSECT and EXCEPT are planned as joins in which NULL equals NULL, which no join that is written has.
fn is_set_operation(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull
}

/// Whether a plan scans the driving table anywhere, subqueries of expressions included.
fn reads(plan: &LogicalPlan, driving: &TableName) -> bool {
    let mut found = false;
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && table_name(&scan.table_name).as_ref() == Some(driving)
        {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // The visitor itself never fails; if it did, nothing would be known.
    found || visited.is_err()
}

/// Whether an expression of this operator, not of its inputs, reads the driving table in a subquery.
fn expressions_read(plan: &LogicalPlan, driving: &TableName) -> bool {
    let mut found = false;
    let visited = plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            let subquery = match expr {
                Expr::Exists(node) => &node.subquery,
                Expr::InSubquery(node) => &node.subquery,
                Expr::SetComparison(node) => &node.subquery,
                Expr::ScalarSubquery(subquery) => subquery,
                _ => return Ok(TreeNodeRecursion::Continue),
            };
            found |= reads(&subquery.subquery, driving);
            Ok(TreeNodeRecursion::Continue)
        })
    });
    found || visited.is_err()
}
