//! Whether a column's value depends on when, or how often, the query runs.

use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, Volatility, WindowFunctionDefinition};

/// Volatile by name only: they say of a row where it was read, which stays the same.
const OF_THE_INPUT: [&str; 2] = ["input_file_name", "file_row_index"];

/// The function, if any, that makes a column of a plan unstable: `now`, `random` and the like.
///
/// The column is followed through aliases and subqueries to where it is computed. Where it cannot be followed, any unstable
/// function below counts.
pub(super) fn function_in_column(plan: &LogicalPlan, index: usize) -> Option<String> {
    match plan {
        LogicalPlan::Projection(node) => in_expr(node.expr.get(index)?, &node.input),
        LogicalPlan::Filter(node) => function_in_column(&node.input, index),
        LogicalPlan::Sort(node) => function_in_column(&node.input, index),
        LogicalPlan::Limit(node) => function_in_column(&node.input, index),
        LogicalPlan::Repartition(node) => function_in_column(&node.input, index),
        LogicalPlan::SubqueryAlias(node) => function_in_column(&node.input, index),
        LogicalPlan::Subquery(node) => function_in_column(&node.subquery, index),
        LogicalPlan::Distinct(Distinct::All(input)) => function_in_column(input, index),
        LogicalPlan::Unnest(node) => function_in_column(&node.input, *node.dependency_indices.get(index)?),
        LogicalPlan::Union(node) => node.inputs.iter().find_map(|input| function_in_column(input, index)),
        LogicalPlan::Aggregate(node) => {
            let exprs: Vec<&Expr> = node.group_expr.iter().chain(&node.aggr_expr).collect();
            match exprs.get(index) {
                Some(expr) if exprs.len() == node.schema.fields().len() => in_expr(expr, &node.input),
                _ => anywhere(plan),
            }
        }
        LogicalPlan::Window(node) => {
            let inherited = node.input.schema().fields().len();
            match index.checked_sub(inherited) {
                None => function_in_column(&node.input, index),
                Some(own) => in_expr(node.window_expr.get(own)?, &node.input),
            }
        }
        LogicalPlan::Join(node) => {
            let left = node.left.schema().fields().len();
            match node.join_type {
                JoinType::RightSemi | JoinType::RightAnti => function_in_column(&node.right, index),
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full if index >= left => {
                    function_in_column(&node.right, index - left)
                        .or_else(|| refers_outwards(&node.right).then(|| anywhere(&node.left)).flatten())
                }
                _ if index < left => function_in_column(&node.left, index),
                _ => anywhere(plan),
            }
        }
        LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_) => None,
        _ => anywhere(plan),
    }
}

/// The unstable function of an expression, or of the columns of its input that it uses.
fn in_expr(expr: &Expr, input: &LogicalPlan) -> Option<String> {
    let mut found = None;
    let visited = expr.apply(|expr| {
        found = match expr {
            Expr::Column(column) => in_input(column, input),
            Expr::ScalarSubquery(subquery) => anywhere(&subquery.subquery),
            Expr::Exists(node) => anywhere(&node.subquery.subquery),
            Expr::InSubquery(node) => anywhere(&node.subquery.subquery),
            Expr::SetComparison(node) => anywhere(&node.subquery.subquery),
            other => unstable_call(other),
        };
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match visited {
        Ok(_) => found,
        Err(_) => anywhere(input),
    }
}

fn in_input(column: &Column, input: &LogicalPlan) -> Option<String> {
    match input.schema().maybe_index_of_column(column) {
        Some(index) => function_in_column(input, index),
        None => anywhere(input),
    }
}

/// Any unstable function of a plan.
fn anywhere(plan: &LogicalPlan) -> Option<String> {
    let mut found = None;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found = found.take().or_else(|| unstable_call(expr));
                Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    found
}

/// The name of the function that an expression calls, if it is not the same for the same arguments for ever.
fn unstable_call(expr: &Expr) -> Option<String> {
    let (name, volatility) = match expr {
        Expr::ScalarFunction(call) => (call.func.name(), call.func.signature().volatility),
        Expr::AggregateFunction(AggregateFunction { func, .. }) => (func.name(), func.signature().volatility),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(func) => (func.name(), func.signature().volatility),
            WindowFunctionDefinition::WindowUDF(func) => (func.name(), func.signature().volatility),
        },
        Expr::HigherOrderFunction(call) => (call.func.name(), call.func.signature().volatility),
        _ => return None,
    };
    (volatility != Volatility::Immutable && !OF_THE_INPUT.contains(&name)).then(|| name.to_owned())
}

/// Whether a lateral subquery uses columns of the tables to its left.
fn refers_outwards(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(node) => refers_outwards(&node.input),
        LogicalPlan::Subquery(node) => !node.outer_ref_columns.is_empty(),
        _ => false,
    }
}
