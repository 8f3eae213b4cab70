//! Which expression of a query is at fault: the smallest one that fails in the same way by itself.
//!
//! DataFusion gives few errors a place. Here every expression of every SELECT is planned alone, over the same FROM, outermost
//! first, and the fault is followed inwards.

use std::cell::Cell;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, GroupByExpr, JoinConstraint, JoinOperator, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, Value, Visit, Visitor, With,
};

/// How many plans one error may cost.
const MOST_TRIALS: usize = 400;

/// The smallest expression that, alone in a SELECT over its own FROM, fails like the whole query.
pub(crate) fn culprit(query: &Query, fails_alike: &dyn Fn(Query) -> bool) -> Option<Expr> {
    Search { fails_alike, left: Cell::new(MOST_TRIALS) }.in_query(query, &[])
}

struct Search<'a> {
    fails_alike: &'a dyn Fn(Query) -> bool,
    left: Cell<usize>,
}

impl Search<'_> {
    fn fails(&self, trial: Query) -> bool {
        let Some(left) = self.left.get().checked_sub(1) else { return false };
        self.left.set(left);
        (self.fails_alike)(trial)
    }

    fn in_query(&self, query: &Query, outer: &[Cte]) -> Option<Expr> {
        let mut visible = outer.to_vec();
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            if let Some(found) = self.in_query(&cte.query, &visible) {
                return Some(found);
            }
            visible.push(cte.clone());
        }
        self.in_body(&query.body, query, &visible)
    }

    fn in_body(&self, body: &SetExpr, query: &Query, visible: &[Cte]) -> Option<Expr> {
        match body {
            SetExpr::Select(select) => self.in_select(select, query, visible),
            SetExpr::Query(inner) => self.in_query(inner, visible),
            SetExpr::SetOperation { left, right, .. } => {
                self.in_body(left, query, visible).or_else(|| self.in_body(right, query, visible))
            }
            _ => None,
        }
    }

    fn in_select(&self, select: &Select, query: &Query, visible: &[Cte]) -> Option<Expr> {
        for factor in select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
        {
            if let TableFactor::Derived { subquery, .. } = factor
                && let Some(found) = self.in_query(subquery, visible)
            {
                return Some(found);
            }
        }
        let alone = Alone::new(select, query, visible);
        if self.fails(alone.query(truth())) {
            return None;
        }
        let roots = roots(select, query.order_by.as_ref());
        if let Some(root) = roots.iter().find(|root| self.root_fails(root, &alone)) {
            return self.inwards(&root.expr, &alone, visible);
        }
        roots.iter().find_map(|root| self.anywhere(&root.expr, &alone))
    }

    fn root_fails(&self, root: &Root, alone: &Alone) -> bool {
        self.fails(alone.query(root.expr.clone())) || (root.is_condition && self.fails(alone.filter(root.expr.clone())))
    }

    /// Follows a fault from an expression that has it to the innermost part that has it.
    fn inwards(&self, expr: &Expr, alone: &Alone, visible: &[Cte]) -> Option<Expr> {
        let parts = parts(expr);
        if let Some(part) = parts.iter().find(|part| self.fails(alone.query((*part).clone()))) {
            return self.inwards(part, alone, visible);
        }
        let subquery = match expr {
            Expr::Subquery(query) => Some(query),
            Expr::Exists { subquery, .. } | Expr::InSubquery { subquery, .. } => Some(subquery),
            _ => None,
        };
        subquery.and_then(|query| self.in_query(query, visible)).or_else(|| Some(expr.clone()))
    }

    /// Looks for a part that has the fault where the whole, alone, fails for another reason: a column beside an aggregate.
    fn anywhere(&self, expr: &Expr, alone: &Alone) -> Option<Expr> {
        parts(expr)
            .iter()
            .find_map(|part| self.anywhere(part, alone))
            .or_else(|| self.fails(alone.query(expr.clone())).then(|| expr.clone()))
    }
}

/// A SELECT of one expression, over the FROM of another SELECT with its join conditions taken out.
struct Alone(Query);

impl Alone {
    fn new(select: &Select, query: &Query, visible: &[Cte]) -> Self {
        let mut select = select.clone();
        select.distinct = None;
        select.selection = None;
        select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
        select.having = None;
        select.qualify = None;
        for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
            if let Some(JoinConstraint::On(condition)) = constraint_mut(&mut join.join_operator) {
                *condition = truth();
            }
        }
        let mut alone = query.clone();
        alone.with = query.with.clone().map(|with| With { cte_tables: visible.to_vec(), ..with });
        if alone.with.is_none() && !visible.is_empty() {
            let with_token = select.select_token.clone();
            alone.with = Some(With { with_token, recursive: false, cte_tables: visible.to_vec() });
        }
        alone.order_by = None;
        alone.limit_clause = None;
        alone.body = Box::new(SetExpr::Select(Box::new(select)));
        Self(alone)
    }

    fn query(&self, expr: Expr) -> Query {
        let mut query = self.0.clone();
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = vec![SelectItem::UnnamedExpr(expr)];
        }
        query
    }

    fn filter(&self, condition: Expr) -> Query {
        let mut query = self.query(truth());
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.selection = Some(condition);
        }
        query
    }
}

fn truth() -> Expr {
    Expr::Value(Value::Boolean(true).with_empty_span())
}

/// The condition of a join.
pub(crate) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}

/// An outermost expression of a SELECT.
struct Root {
    expr: Expr,
    /// Whether it must be a boolean.
    is_condition: bool,
}

/// The outermost expressions of a SELECT, in the order of its clauses.
fn roots(select: &Select, order_by: Option<&OrderBy>) -> Vec<Root> {
    let mut roots: Vec<Root> = Vec::new();
    let mut push = |expr: &Expr, is_condition| roots.push(Root { expr: expr.clone(), is_condition });
    for item in &select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            push(expr, false);
        }
    }
    for join in select.from.iter().flat_map(|from| &from.joins) {
        if let Some(JoinConstraint::On(condition)) = constraint(&join.join_operator) {
            push(condition, true);
        }
    }
    select.selection.iter().for_each(|condition| push(condition, true));
    if let GroupByExpr::Expressions(keys, _) = &select.group_by {
        keys.iter().for_each(|key| push(key, false));
    }
    select.having.iter().chain(&select.qualify).for_each(|condition| push(condition, true));
    if let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = order_by {
        keys.iter().for_each(|key| push(&key.expr, false));
    }
    roots
}

/// The expressions directly below an expression, those of subqueries left out.
pub(crate) fn parts(expr: &Expr) -> Vec<Expr> {
    struct Parts {
        depth: usize,
        queries: usize,
        found: Vec<Expr>,
    }
    impl Visitor for Parts {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if self.depth == 1 && self.queries == 0 {
                self.found.push(expr.clone());
            }
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut parts = Parts { depth: 0, queries: 0, found: Vec::new() };
    let _ = expr.visit(&mut parts);
    parts.found
}
