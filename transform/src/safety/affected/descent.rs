//! The way from the result down to the rows that still come from one row of the driving table each.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ExprSchema};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Distinct, Expr, Join, JoinType, LogicalPlan, Subquery, Union};

use super::Crossing;
use crate::safety::{Reason, distributes, expressions_read, is_set_operation, reads};
use crate::table::TableName;

/// A partition column and what it is, over the rows of some operator.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) value: Expr,
}

/// What is known at some operator on the way.
pub(super) struct Descent<'a> {
    driving: &'a TableName,
    pub(super) keys: Vec<Key>,
    /// Conditions without which a row has no effect on the result. They are not needed to find the partitions, but a key may
    /// be an expression that fails for rows that do not meet them.
    pub(super) conditions: Vec<Expr>,
    /// Aggregates above.
    aggregates: usize,
}

impl<'a> Descent<'a> {
    pub(super) fn from_result(keys: Vec<Key>, driving: &'a TableName) -> Self {
        Self { driving, keys, conditions: Vec::new(), aggregates: 0 }
    }

    /// Goes down to the first operator that gives each row from one row of the driving table.
    pub(super) fn down_to_rows(mut self, plan: &LogicalPlan) -> Result<(&LogicalPlan, Self), Reason> {
        if distributes(plan, self.driving).is_ok() {
            return Ok((plan, self));
        }
        if expressions_read(plan, self.driving) {
            return Err(Reason::ReadTwice);
        }
        if let Some(key) = self.keys.iter().find(|key| is_bound(&key.value)) {
            return Err(crossing(&key.name, Crossing::Lookup));
        }
        self.conditions.retain(|condition| !is_bound(condition));
        if matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) | LogicalPlan::Window(_)) {
            self.no_floats(plan.schema())?;
        }
        match plan {
            LogicalPlan::Projection(node) => {
                self.replace(plan.schema(), |index| Some(node.expr.get(index)?.clone().unalias()), Crossing::Lookup)?;
                self.down_to_rows(&node.input)
            }
            LogicalPlan::SubqueryAlias(node) => {
                self.through(plan.schema(), node.input.schema(), 0)?;
                self.down_to_rows(&node.input)
            }
            LogicalPlan::Filter(node) => {
                self.conditions.extend(split_conjunction_owned(node.predicate.clone()));
                self.down_to_rows(&node.input)
            }
            LogicalPlan::Sort(node) if node.fetch.is_none() => self.down_to_rows(&node.input),
            LogicalPlan::Distinct(Distinct::All(input)) => self.down_to_rows(input),
            LogicalPlan::Aggregate(node) => {
                let crossing = Crossing::Aggregate { below: self.aggregates };
                if node.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
                    return Err(self.crosses(crossing));
                }
                let group = |index: usize| Some(node.group_expr.get(index)?.clone().unalias());
                self.replace(plan.schema(), group, crossing)?;
                self.aggregates += 1;
                self.down_to_rows(&node.input)
            }
            LogicalPlan::Window(node) => {
                for window in &node.window_expr {
                    if let Some(key) = self.keys.iter().find(|key| !is_by(window, &key.value)) {
                        return Err(crossing(&key.name, of_window(window)));
                    }
                }
                // A row that is left out of the result may still count in the windows of others.
                self.conditions.retain(|condition| node.window_expr.iter().all(|window| is_by(window, condition)));
                self.down_to_rows(&node.input)
            }
            LogicalPlan::Union(node) => {
                let input = self.branch(node, plan.schema())?;
                self.down_to_rows(input)
            }
            LogicalPlan::Join(node) => {
                let (side, first) = self.side(node)?;
                self.through(plan.schema(), side.schema(), first)?;
                self.down_to_rows(side)
            }
            other => distributes(other, self.driving).map(|()| (plan, self)),
        }
    }

    /// The one branch of a union that reads the driving table.
    fn branch<'p>(&mut self, union: &'p Union, schema: &DFSchema) -> Result<&'p LogicalPlan, Reason> {
        let mut reading = union.inputs.iter().filter(|input| reads(input, self.driving));
        let (Some(input), None) = (reading.next(), reading.next()) else { return Err(Reason::ReadTwice) };
        // Branches of other types are cast, and an expression over the result may see the difference.
        let same_type = |index: usize| {
            let own = input.schema().field(index).data_type();
            let mut others = union.inputs.iter().map(|other| other.schema().field(index).data_type());
            others.all(|other| other == own || *other == DataType::Null)
        };
        let columns = input.schema().columns();
        let below = |index| same_type(index).then(|| Expr::Column(columns[index].clone()));
        self.replace(schema, below, Crossing::Types)?;
        Ok(input)
    }

    /// The side of a join that reads the driving table, and the position of its first column among those of the join.
    fn side<'p>(&self, join: &'p Join) -> Result<(&'p LogicalPlan, usize), Reason> {
        if is_set_operation(join) {
            return Err(Reason::SetOperation);
        }
        let (on_left, on_right) = (reads(&join.left, self.driving), reads(&join.right, self.driving));
        match join.join_type {
            _ if on_left && on_right => Err(Reason::ReadTwice),
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
                if on_left =>
            {
                Ok((&join.left, 0))
            }
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark if on_right => Ok((&join.right, 0)),
            JoinType::Inner | JoinType::Right if on_right => Ok((&join.right, join.left.schema().fields().len())),
            _ => Err(Reason::OuterJoin),
        }
    }

    /// Refuses keys from floating-point numbers, for operators that take two such numbers for one.
    fn no_floats(&mut self, schema: &DFSchema) -> Result<(), Reason> {
        if let Some(key) = self.keys.iter().find(|key| uses_float(&key.value, schema)) {
            return Err(crossing(&key.name, Crossing::Float));
        }
        self.conditions.retain(|condition| !uses_float(condition, schema));
        Ok(())
    }

    fn crosses(&self, clause: Crossing) -> Reason {
        crossing(self.keys.first().map_or("", |key| &key.name), clause)
    }

    /// From an operator's result to one of its inputs, whose columns begin at position `first` of the result.
    fn through(&mut self, result: &DFSchema, input: &DFSchema, first: usize) -> Result<(), Reason> {
        let columns = input.columns();
        let below = |index: usize| Some(Expr::Column(columns.get(index.checked_sub(first)?)?.clone()));
        self.replace(result, below, Crossing::Lookup)
    }

    /// Puts for the columns of an operator's result what they are one operator further down, by position. A key for which
    /// there is nothing is refused, a condition left out.
    fn replace(
        &mut self,
        schema: &DFSchema,
        below: impl Fn(usize) -> Option<Expr>,
        clause: Crossing,
    ) -> Result<(), Reason> {
        for key in &mut self.keys {
            key.value = replaced(&key.value, schema, &below).ok_or_else(|| crossing(&key.name, clause.clone()))?;
        }
        self.conditions = self.conditions.iter().filter_map(|condition| replaced(condition, schema, &below)).collect();
        Ok(())
    }
}

fn crossing(column: &str, clause: Crossing) -> Reason {
    Reason::CrossesPartitions { column: column.to_owned(), clause }
}

fn replaced(expr: &Expr, schema: &DFSchema, below: &impl Fn(usize) -> Option<Expr>) -> Option<Expr> {
    let mut is_known = true;
    let replaced = expr.clone().transform_down(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        match schema.maybe_index_of_column(column).and_then(below) {
            Some(replacement) => Ok(Transformed::new(replacement, true, TreeNodeRecursion::Jump)),
            None => {
                is_known = false;
                Ok(Transformed::no(expr))
            }
        }
    });
    replaced.data().ok().filter(|_| is_known)
}

/// Whether an expression means something else, or nothing, elsewhere in the plan: it calls a function that tells of the place
/// where it is called, or has a subquery that uses columns of this place.
fn is_bound(expr: &Expr) -> bool {
    let is_correlated = |subquery: &Subquery| !subquery.outer_ref_columns.is_empty();
    let found = expr.exists(|expr| {
        Ok(match expr {
            Expr::ScalarSubquery(subquery) => is_correlated(subquery),
            Expr::Exists(node) => is_correlated(&node.subquery),
            Expr::InSubquery(node) => is_correlated(&node.subquery),
            Expr::SetComparison(node) => is_correlated(&node.subquery),
            Expr::OuterReferenceColumn(..) => true,
            other => other.is_volatile_node(),
        })
    });
    found.unwrap_or(true)
}

fn uses_float(expr: &Expr, schema: &DFSchema) -> bool {
    let mut types = expr.column_refs().into_iter().map(|column| schema.field_from_column(column));
    types.any(|field| field.is_ok_and(|field| holds_float(field.data_type())))
}

fn holds_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().any(|field| holds_float(field.data_type())),
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => holds_float(item.data_type()),
        other => other.is_floating(),
    }
}

/// Whether a window function is computed by this expression, so that it stays inside one partition.
fn is_by(window: &Expr, expr: &Expr) -> bool {
    let Expr::WindowFunction(function) = window.clone().unalias() else { return false };
    let by = &function.params.partition_by;
    let columns = expr.column_refs();
    let names_columns = !columns.is_empty()
        && columns.iter().all(|column| by.iter().any(|expr| matches!(expr, Expr::Column(by) if by == *column)));
    by.contains(expr) || names_columns
}

fn of_window(window: &Expr) -> Crossing {
    let Expr::WindowFunction(function) = window.clone().unalias() else {
        return Crossing::Window { function: String::new(), by: Vec::new() };
    };
    let name = |expr: &Expr| match expr {
        Expr::Column(column) => Some(column.name.clone()),
        _ => None,
    };
    Crossing::Window {
        function: function.fun.name().to_owned(),
        by: function.params.partition_by.iter().map(name).collect(),
    }
}
