//! From a parsed query to a logical plan that is known to be sound.

use datafusion::arrow::compute::can_cast_types;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, not_impl_err, plan_err};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast::{Query, Statement};

use super::tables::{SourceOf, VisibleTables};
use crate::diagnose::CORRELATED;

/// A query's plan in two forms.
pub(super) struct Checked {
    /// As written: what the safety proof reads and what is run.
    pub(super) plan: LogicalPlan,
    /// With all types settled: whose schema is the result's.
    pub(super) typed: LogicalPlan,
}

/// A depth of checking: [`check`] or [`check_to_run`].
pub(super) type Check = fn(Query, &SessionState, &SourceOf<'_>) -> Result<Checked>;

/// Plans a query over the visible tables and settles its types.
///
/// The analyzer runs on a copy: it rewrites the query, and the safety proof wants it as it was written.
pub(super) fn check(query: Query, state: &SessionState, source_of: &SourceOf<'_>) -> Result<Checked> {
    let tables = VisibleTables { state, source_of };
    let plan = SqlToRel::new(&tables).sql_statement_to_plan(Statement::Query(Box::new(query)))?;
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(&plan)?;
    refuse_parameters(&plan)?;
    let typed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    refuse_impossible_casts(&typed)?;
    Ok(Checked { plan, typed })
}

/// Plans a query like [`check`] and also refuses what DataFusion would accept now and could not run later.
pub(super) fn check_to_run(query: Query, state: &SessionState, source_of: &SourceOf<'_>) -> Result<Checked> {
    let checked = check(query, state, source_of)?;
    state.optimize(&checked.plan)?.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| match expr {
                Expr::OuterReferenceColumn(..) => not_impl_err!("{CORRELATED}"),
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(checked)
}

/// Parameters like `$1` have no value here.
fn refuse_parameters(plan: &LogicalPlan) -> Result<()> {
    let mut names: Vec<String> = plan.get_parameter_names()?.into_iter().collect();
    names.sort();
    match names.first() {
        Some(name) => plan_err!("The parameter `{name}` has no value"),
        None => Ok(()),
    }
}

/// DataFusion finds out only when it runs that a CAST does not exist.
fn refuse_impossible_casts(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let mut inputs = DFSchema::empty();
        for input in node.inputs() {
            inputs.merge(input.schema());
        }
        node.apply_expressions(|expr| expr.apply(|expr| refuse_impossible_cast(expr, &inputs)))
    })?;
    Ok(())
}

fn refuse_impossible_cast(expr: &Expr, inputs: &DFSchema) -> Result<TreeNodeRecursion> {
    let (from, to) = match expr {
        Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
        Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
        _ => return Ok(TreeNodeRecursion::Continue),
    };
    // An expression whose type cannot be told here is left to the planner.
    if let Ok(from) = from.get_type(inputs)
        && !can_cast_types(&from, to)
    {
        return Err(DataFusionError::Plan(format!("Cannot CAST {from} to {to}")));
    }
    Ok(TreeNodeRecursion::Continue)
}
