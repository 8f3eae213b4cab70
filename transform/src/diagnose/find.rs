//! Finds names in a parsed query: columns, tables, SELECT items.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, ObjectName, Query, Select, SelectItem, SetExpr, Spanned, TableFactor, Visit,
    Visitor, visit_expressions,
};
use datafusion::sql::sqlparser::tokenizer::{Span, Token};

use super::narrow::constraint;
use super::text::{Extent, Text};

/// The first place where a column is named like this, in an expression or in USING.
pub(crate) fn column(query: &Query, qualifier: Option<&str>, name: &str) -> Option<Span> {
    let in_expression = visit_expressions(query, |expr| {
        let found = match expr {
            Expr::Identifier(ident) => qualifier.is_none() && is(ident, name),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, column] => is(column, name) && qualifier.is_none_or(|qualifier| is(table, qualifier)),
                _ => false,
            },
            _ => false,
        };
        if found { ControlFlow::Break(expr.span()) } else { ControlFlow::Continue(()) }
    });
    in_expression.break_value().or_else(|| {
        selects(query)
            .iter()
            .flat_map(|select| &select.from)
            .flat_map(|from| &from.joins)
            .find_map(|join| used(join, name))
    })
}

/// The name in a join's USING.
fn used(join: &Join, name: &str) -> Option<Span> {
    let JoinConstraint::Using(columns) = constraint(&join.join_operator)? else { return None };
    columns.iter().find(|column| object_name(column) == name).map(Spanned::span)
}

/// The table that an alias stands for, where all its uses in the query stand for the same.
pub(crate) fn table_of_alias(query: &Query, alias: &str) -> Option<String> {
    let mut tables: Vec<String> = factors(query)
        .into_iter()
        .filter_map(|factor| match factor {
            TableFactor::Table { name, alias: Some(given), .. } if is(&given.name, alias) => Some(object_name(&name)),
            TableFactor::Derived { alias: Some(given), .. } if is(&given.name, alias) => Some(alias.to_owned()),
            _ => None,
        })
        .collect();
    tables.dedup();
    if tables.len() == 1 { tables.pop() } else { None }
}

/// The places where FROM names a table, in order.
pub(crate) fn tables(query: &Query, table: &str) -> Vec<Span> {
    factors(query)
        .into_iter()
        .filter_map(|factor| match factor {
            TableFactor::Table { name, .. } if object_name(&name) == table => Some(name.span()),
            _ => None,
        })
        .collect()
}

/// The first unnest or LATERAL subquery in FROM.
pub(crate) fn lateral(query: &Query) -> Option<Span> {
    factors(query).into_iter().find_map(|factor| match &factor {
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.first().map(Spanned::span),
        TableFactor::Derived { lateral: true, subquery, .. } => Some(subquery.span()),
        _ => None,
    })
}

/// A name as the planner normalises it: unquoted parts in lower case.
pub(crate) fn object_name(name: &ObjectName) -> String {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(normal).collect();
    parts.join(".")
}

/// An identifier as the planner normalises it.
pub(crate) fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

fn is(ident: &Ident, name: &str) -> bool {
    normal(ident) == name
}

/// The name that a SELECT item gives its column, where the text says it.
pub(crate) fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(normal(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(normal),
        _ => None,
    }
}

/// Whether a SELECT item stands for several columns.
pub(crate) fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// The SELECT whose items name the columns of the result: of a set operation, the first.
pub(crate) fn naming_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => naming_select(&query.body),
        SetExpr::SetOperation { left, .. } => naming_select(left),
        _ => None,
    }
}

/// The tokens of each item of a SELECT list; empty if they cannot be told apart.
pub(crate) fn items(text: &Text<'_>, select: &Select) -> Vec<Extent> {
    let Some(start) = after_select(text, select) else { return Vec::new() };
    let (mut extents, mut first, mut depth) = (Vec::new(), start, 0);
    let mut index = start;
    loop {
        depth += text.nesting(index);
        let from = text.is_word(index, "FROM") && !(index > start && text.is_word(index - 1, "DISTINCT"));
        let ends =
            depth < 0 || text.token(index).is_none() || (depth == 0 && (from || ends_from_less(text, index, select)));
        let comma = depth == 0 && text.token(index) == Some(&Token::Comma);
        if (ends || comma) && index > first {
            extents.push(Extent { first, last: index - 1 });
            first = index + 1;
        }
        if ends {
            break;
        }
        index += 1;
    }
    if extents.len() == select.projection.len() { extents } else { Vec::new() }
}

/// Whether a SELECT without FROM ends before a token.
fn ends_from_less(text: &Text<'_>, index: usize, select: &Select) -> bool {
    let clauses = ["WHERE", "GROUP", "ORDER", "LIMIT", "UNION", "INTERSECT", "EXCEPT"];
    let semicolon = text.token(index) == Some(&Token::SemiColon);
    semicolon || (select.from.is_empty() && text.is_any_word(index, &clauses))
}

/// Index of the first token of the first item.
fn after_select(text: &Text<'_>, select: &Select) -> Option<usize> {
    let mut index = text.first_from(select.select_token.0.span.start)? + 1;
    if text.is_any_word(index, &["DISTINCT", "ALL"]) {
        index += 1;
        if text.is_word(index, "ON") {
            index = text.closing(index + 1)? + 1;
        }
    }
    Some(index)
}

/// Every SELECT of a query, those of CTEs and subqueries included.
pub(crate) fn selects(query: &Query) -> Vec<Select> {
    struct Selects(Vec<Select>);
    impl Visitor for Selects {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            self.0.push(select.clone());
            ControlFlow::Continue(())
        }
    }
    let mut selects = Selects(Vec::new());
    let _ = query.visit(&mut selects);
    selects.0
}

/// Every table factor of a query.
fn factors(query: &Query) -> Vec<TableFactor> {
    struct Factors(Vec<TableFactor>);
    impl Visitor for Factors {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            self.0.push(factor.clone());
            ControlFlow::Continue(())
        }
    }
    let mut factors = Factors(Vec::new());
    let _ = query.visit(&mut factors);
    factors.0
}
