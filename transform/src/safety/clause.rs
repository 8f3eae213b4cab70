//! Where in the SQL text the reason of a refuted proof stands.
//!
//! The search goes from the outermost SELECT inwards, as the proof does, and only into what reads the driving table.

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Function, GroupByExpr, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr, Spanned,
    TableFactor, TableWithJoins, WindowType, visit_expressions, visit_relations,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use std::cell::Cell;
use std::ops::ControlFlow;

use super::{Crossing, Reason};
use crate::diagnose::extent::extent_of;
use crate::diagnose::find::{self, naming_select, normal, object_name};
use crate::diagnose::narrow::parts;
use crate::diagnose::text::{Extent, Text};
use crate::error::Location;
use crate::table::TableName;

/// The clause that a reason is about; `None` where it cannot be found.
pub(crate) fn at_fault(
    reason: &Reason,
    query: &Query,
    driving: &TableName,
    text: &Text<'_>,
    is_aggregate: &dyn Fn(&str) -> bool,
) -> Option<Location> {
    let driving = driving.to_string();
    let passed = match reason {
        Reason::CrossesPartitions { clause: Crossing::Aggregate { below }, .. } => *below,
        _ => 0,
    };
    let search = Search { reason, driving: &driving, text, is_aggregate, passed: Cell::new(passed) };
    let extent = match reason {
        Reason::CrossesPartitions { column, clause: Crossing::Lookup | Crossing::Float } => search.item(query, column),
        Reason::UnstablePartition { column, function } => search.function_of_column(query, column, function),
        Reason::NotRead => text.extent(*find::tables(query, &driving).first()?),
        Reason::ReadTwice => search.second_mention(query, &[]),
        _ => search.in_query(query, &[]),
    };
    text.location(extent?)
}

struct Search<'a> {
    reason: &'a Reason,
    driving: &'a str,
    text: &'a Text<'a>,
    is_aggregate: &'a dyn Fn(&str) -> bool,
    /// Aggregates that are still to be passed before the one at fault.
    passed: Cell<usize>,
}

/// The CTEs that are visible at a place, the innermost last.
type Ctes<'q> = [&'q Cte];

fn with_own<'q>(query: &'q Query, outer: &Ctes<'q>) -> Vec<&'q Cte> {
    let own = query.with.iter().flat_map(|with| &with.cte_tables);
    outer.iter().copied().chain(own).collect()
}

/// A CTE of this name, with those that its own query can see.
fn cte<'q, 'c>(ctes: &'c Ctes<'q>, name: &str) -> Option<(&'q Cte, &'c Ctes<'q>)> {
    let position = ctes.iter().rposition(|cte| normal(&cte.alias.name) == name)?;
    Some((ctes[position], &ctes[..position]))
}

impl Search<'_> {
    fn in_query<'q>(&self, query: &'q Query, outer: &Ctes<'q>) -> Option<Extent> {
        let ctes = with_own(query, outer);
        if *self.reason == Reason::Recursive
            && let Some(with) = &query.with
            && with.recursive
        {
            let first = self.text.first_from(with.with_token.0.span.start)?;
            return Some(Extent { first, last: first + 1 });
        }
        if *self.reason == Reason::Limit && (query.limit_clause.is_some() || query.fetch.is_some()) {
            let start = self.text.first_from(naming_select(&query.body)?.select_token.0.span.start)?;
            return self.word(start, &["LIMIT", "OFFSET", "FETCH"]);
        }
        self.in_body(&query.body, &ctes).or_else(|| self.in_order_by(query))
    }

    /// A call that stands in ORDER BY only.
    fn in_order_by(&self, query: &Query) -> Option<Extent> {
        let OrderByKind::Expressions(keys) = &query.order_by.as_ref()?.kind else { return None };
        let call = keys.iter().find_map(|key| first_call(&key.expr, &|function| self.is_reason(function)))?;
        extent_of(self.text, &call)
    }

    /// Whether a call is of the kind that the reason is about.
    fn is_reason(&self, function: &Function) -> bool {
        match self.reason {
            Reason::Aggregate | Reason::CrossesPartitions { clause: Crossing::Aggregate { .. }, .. } => {
                function.over.is_none() && (self.is_aggregate)(&object_name(&function.name))
            }
            Reason::Window => function.over.is_some(),
            Reason::CrossesPartitions { clause: Crossing::Window { function: name, by }, .. } => {
                object_name(&function.name) == *name && is_partitioned_by(function, by)
            }
            _ => false,
        }
    }

    fn in_body<'q>(&self, body: &'q SetExpr, ctes: &Ctes<'q>) -> Option<Extent> {
        match body {
            SetExpr::Select(select) => self.in_select(select, ctes),
            SetExpr::Query(query) => self.in_query(query, ctes),
            SetExpr::SetOperation { left, right, .. } => {
                if matches!(
                    self.reason,
                    Reason::SetOperation | Reason::CrossesPartitions { clause: Crossing::Types, .. }
                ) {
                    return self.set_operator(right);
                }
                let side = [left, right].into_iter().find(|side| self.body_reads(side, ctes))?;
                self.in_body(side, ctes)
            }
            _ => None,
        }
    }

    fn in_select<'q>(&self, select: &'q Select, ctes: &Ctes<'q>) -> Option<Extent> {
        self.own_clause(select, ctes).or_else(|| {
            let factors = select.from.iter().flat_map(factors);
            factors.filter(|factor| self.factor_reads(factor, ctes)).find_map(|factor| self.in_factor(factor, ctes))
        })
    }

    fn in_factor<'q>(&self, factor: &'q TableFactor, ctes: &Ctes<'q>) -> Option<Extent> {
        match factor {
            TableFactor::Table { name, .. } => {
                let (cte, visible) = cte(ctes, &object_name(name))?;
                self.in_query(&cte.query, visible)
            }
            TableFactor::Derived { subquery, .. } => self.in_query(subquery, ctes),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                let own =
                    (*self.reason == Reason::OuterJoin).then(|| self.outer_join(table_with_joins, ctes)).flatten();
                let reading = factors(table_with_joins).into_iter().filter(|factor| self.factor_reads(factor, ctes));
                own.or_else(|| reading.into_iter().find_map(|factor| self.in_factor(factor, ctes)))
            }
            _ => None,
        }
    }

    /// The clause of this very SELECT.
    fn own_clause<'q>(&self, select: &'q Select, ctes: &Ctes<'q>) -> Option<Extent> {
        let start = self.text.first_from(select.select_token.0.span.start)?;
        match self.reason {
            Reason::Distinct => select.distinct.as_ref().and_then(|_| self.word(start, &["DISTINCT"])),
            Reason::Aggregate | Reason::CrossesPartitions { clause: Crossing::Aggregate { .. }, .. } => {
                let found = self.aggregate(select, start)?;
                let passed = self.passed.get();
                self.passed.set(passed.saturating_sub(1));
                (passed == 0).then_some(found)
            }
            Reason::Window | Reason::CrossesPartitions { clause: Crossing::Window { .. }, .. } => self.call(select),
            Reason::OuterJoin => select.from.iter().find_map(|from| self.outer_join(from, ctes)),
            _ => None,
        }
    }

    /// GROUP BY, or the first call of an aggregate function.
    fn aggregate(&self, select: &Select, start: usize) -> Option<Extent> {
        let is_grouped = match &select.group_by {
            GroupByExpr::All(_) => true,
            GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
        };
        if !is_grouped {
            return self.call(select);
        }
        let group = self.word(start, &["GROUP"])?;
        Some(Extent { first: group.first, last: group.first + 1 })
    }

    fn word(&self, start: usize, words: &[&str]) -> Option<Extent> {
        let index = self.text.find_at_depth(start, words)?;
        Some(Extent { first: index, last: index })
    }

    /// The first call of a SELECT, not in its subqueries, that the reason is about.
    fn call(&self, select: &Select) -> Option<Extent> {
        let items = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let mut exprs = items.chain(&select.having).chain(&select.qualify);
        let call = exprs.find_map(|expr| first_call(expr, &|function| self.is_reason(function)))?;
        extent_of(self.text, &call)
    }

    /// The operator of a set operation, before its right side.
    fn set_operator(&self, right: &SetExpr) -> Option<Extent> {
        let end = self.text.first_from(right.span().start)?;
        let first =
            (0..end).rev().take(8).find(|index| self.text.is_any_word(*index, &["UNION", "INTERSECT", "EXCEPT"]))?;
        let all = self.text.is_any_word(first + 1, &["ALL", "DISTINCT"]);
        Some(Extent { first, last: if all { first + 1 } else { first } })
    }

    /// The keywords of the last join that keeps rows of another table than the driving one.
    fn outer_join<'q>(&self, from: &'q TableWithJoins, ctes: &Ctes<'q>) -> Option<Extent> {
        for (index, join) in from.joins.iter().enumerate().rev() {
            let right = self.factor_reads(&join.relation, ctes);
            let before = from.joins[..index].iter().map(|join| &join.relation);
            let left = std::iter::once(&from.relation).chain(before).any(|factor| self.factor_reads(factor, ctes));
            let keeps_other = match &join.join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => right,
                JoinOperator::LeftSemi(_) | JoinOperator::LeftAnti(_) => right,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => left,
                JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => left,
                JoinOperator::FullOuter(_) => left || right,
                _ => false,
            };
            if keeps_other {
                return self.join_keywords(&join.relation);
            }
        }
        None
    }

    fn join_keywords(&self, relation: &TableFactor) -> Option<Extent> {
        let end = self.text.first_from(relation.span().start)?;
        let last = (0..end).rev().take(4).find(|index| self.text.is_word(*index, "JOIN"))?;
        let words = ["LEFT", "RIGHT", "FULL", "OUTER", "SEMI", "ANTI", "NATURAL"];
        let first = (0..last).rev().take_while(|index| self.text.is_any_word(*index, &words)).last().unwrap_or(last);
        Some(Extent { first, last })
    }

    /// The call in the item of a partition column, or else the first call of the function anywhere.
    fn function_of_column(&self, query: &Query, column: &str, function: &str) -> Option<Extent> {
        let is_it = |call: &Function| same_function(&object_name(&call.name), function);
        let in_item = item_expr(query, column).and_then(|expr| first_call(expr, &is_it));
        let anywhere = || {
            visit_expressions(query, |expr| match expr {
                Expr::Function(call) if is_it(call) => ControlFlow::Break(expr.clone()),
                _ => ControlFlow::Continue(()),
            })
            .break_value()
        };
        extent_of(self.text, &in_item.or_else(anywhere)?)
    }

    /// What a column of the result is.
    fn item(&self, query: &Query, column: &str) -> Option<Extent> {
        extent_of(self.text, item_expr(query, column)?)
    }

    /// The second place where a query reads the driving table, itself or through a CTE.
    fn second_mention<'q>(&self, query: &'q Query, outer: &Ctes<'q>) -> Option<Extent> {
        let ctes = with_own(query, outer);
        let mut mentions: Vec<(Span, String)> = Vec::new();
        let mut without_ctes = query.clone();
        without_ctes.with = None;
        let _ = visit_relations(&without_ctes, |name| {
            let table = object_name(name);
            if self.table_reads(&table, &ctes) {
                mentions.push((name.span(), table));
            }
            ControlFlow::<()>::Continue(())
        });
        mentions.sort_by_key(|(span, _)| span.start);
        match mentions.as_slice() {
            [] => None,
            [(only, table)] => match cte(&ctes, table) {
                Some((cte, visible)) => self.second_mention(&cte.query, visible),
                None => self.text.extent(*only),
            },
            [_, (second, _), ..] => self.text.extent(*second),
        }
    }

    fn table_reads(&self, table: &str, ctes: &Ctes<'_>) -> bool {
        match cte(ctes, table) {
            Some((cte, visible)) => self.query_reads(&cte.query, visible),
            None => table == self.driving,
        }
    }

    fn query_reads(&self, query: &Query, outer: &Ctes<'_>) -> bool {
        let ctes = with_own(query, outer);
        self.body_reads(&query.body, &ctes)
    }

    fn body_reads(&self, body: &SetExpr, ctes: &Ctes<'_>) -> bool {
        visit_relations(body, |name| {
            if self.table_reads(&object_name(name), ctes) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .is_break()
    }

    fn factor_reads(&self, factor: &TableFactor, ctes: &Ctes<'_>) -> bool {
        visit_relations(factor, |name| {
            if self.table_reads(&object_name(name), ctes) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .is_break()
    }
}

/// The tables of one item of FROM.
fn factors(from: &TableWithJoins) -> Vec<&TableFactor> {
    std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)).collect()
}

/// The expression that gives a column of the result, where the text says it.
fn item_expr<'q>(query: &'q Query, column: &str) -> Option<&'q Expr> {
    let items = &naming_select(&query.body)?.projection;
    let item = items.iter().find(|item| find::item_name(item).is_some_and(|name| name.to_lowercase() == column))?;
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Whether a window function has these columns in its PARTITION BY; a window that has a name may have any.
fn is_partitioned_by(function: &Function, columns: &[Option<String>]) -> bool {
    let spec = match &function.over {
        None => return false,
        Some(WindowType::NamedWindow(_)) => return true,
        Some(WindowType::WindowSpec(spec)) => spec,
    };
    let name = |expr: &Expr| match expr {
        Expr::Identifier(ident) => Some(normal(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        _ => None,
    };
    spec.partition_by.iter().map(name).eq(columns.iter().cloned())
}

/// `today()` is planned as `current_date`.
fn same_function(written: &str, planned: &str) -> bool {
    let canonical = |name: &str| match name {
        "today" => "current_date".to_owned(),
        "current_timestamp" => "now".to_owned(),
        other => other.to_owned(),
    };
    canonical(written) == canonical(planned)
}

/// The first call in an expression that fits, those in subqueries left out.
fn first_call(expr: &Expr, fits: &dyn Fn(&Function) -> bool) -> Option<Expr> {
    match expr {
        Expr::Function(function) if fits(function) => Some(expr.clone()),
        _ => parts(expr).iter().find_map(|part| first_call(part, fits)),
    }
}
