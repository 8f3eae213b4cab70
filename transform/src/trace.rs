//! Which arrival each row of a result came from: a hidden column, carried through the plan of a query.
//!
//! The proof of incremental safety admits only operators that give each row from one row of the driving table, so that the
//! column can be carried along from the scan to the result.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, TableScanBuilder, TableSource, Unnest};

use crate::plan::table_name;
use crate::table::TableName;

/// How the names of all hidden columns begin.
pub(crate) const HIDDEN: &str = "__unglue_";

/// The hidden column: the number of the arrival among those of the run, an `Int32`.
pub(crate) const ORIGIN: &str = "__unglue_origin";

/// The plan with the origin of each row as a further column of its result.
///
/// `source` is the driving table with the column [`ORIGIN`] at its end.
pub(crate) fn traced(plan: LogicalPlan, driving: &TableName, source: &Arc<dyn TableSource>) -> Result<LogicalPlan> {
    let plan = plan.transform_up(|node| match node {
        LogicalPlan::TableScan(scan) if table_name(&scan.table_name).as_ref() == Some(driving) => {
            let scan = TableScanBuilder::new(scan.table_name, Arc::clone(source))
                .with_filters(scan.filters)
                .with_fetch(scan.fetch)
                .build()?;
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        }
        LogicalPlan::Projection(node) if origin(node.input.schema()).is_some() => {
            let mut columns = node.expr;
            columns.extend(origin(node.input.schema()).filter(|origin| !columns.contains(origin)));
            Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, node.input)?)))
        }
        // Its schema is derived from the columns that it unnests; all others are passed through.
        LogicalPlan::Unnest(node) if origin(node.input.schema()).is_some() => {
            let node = Unnest::try_new(node.input, node.exec_columns, node.options)?;
            Ok(Transformed::yes(LogicalPlan::Unnest(node)))
        }
        node if node.inputs().iter().any(|input| origin(input.schema()).is_some()) => {
            Ok(Transformed::yes(node.recompute_schema()?))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(plan.data)
}

/// The origin column of a schema.
fn origin(schema: &DFSchema) -> Option<Expr> {
    schema
        .iter()
        .find(|(_, field)| field.name() == ORIGIN)
        .map(|(qualifier, field)| Expr::Column(Column::new(qualifier.cloned(), field.name())))
}

#[cfg(test)]
mod tests;
