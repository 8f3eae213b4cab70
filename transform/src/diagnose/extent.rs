//! The whole extent of an expression in its text.
//!
//! The parser's own spans are partial: they leave out closing parentheses, casts, signs and keywords. The tokens round them
//! tell the rest.

use datafusion::sql::sqlparser::ast::{CastKind, Expr, Query, Spanned};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::text::{Extent, Text};

/// The tokens of an expression, from its first to its last.
pub(crate) fn extent_of(text: &Text<'_>, expr: &Expr) -> Option<Extent> {
    let leaves = || text.extent(expr.span()).map(|extent| balanced(text, extent));
    match expr {
        Expr::Function(function) => {
            let name = text.extent(function.name.span())?;
            Some(Extent { first: name.first, last: call_end(text, name.last) })
        }
        Expr::BinaryOp { left, right, .. }
        | Expr::IsDistinctFrom(left, right)
        | Expr::IsNotDistinctFrom(left, right) => join(extent_of(text, left)?, extent_of(text, right)?),
        Expr::Like { expr, pattern, .. }
        | Expr::ILike { expr, pattern, .. }
        | Expr::SimilarTo { expr, pattern, .. }
        | Expr::RLike { expr, pattern, .. } => join(extent_of(text, expr)?, extent_of(text, pattern)?),
        Expr::Between { expr, high, .. } => join(extent_of(text, expr)?, extent_of(text, high)?),
        Expr::AtTimeZone { timestamp, time_zone } => join(extent_of(text, timestamp)?, extent_of(text, time_zone)?),
        Expr::UnaryOp { expr, .. } => {
            let operand = extent_of(text, expr)?;
            Some(Extent { first: operand.first.checked_sub(1)?, last: operand.last })
        }
        Expr::Nested(expr) => parenthesised(text, extent_of(text, expr)?),
        Expr::Cast { kind: CastKind::DoubleColon, expr, .. } => {
            let operand = extent_of(text, expr)?;
            Some(Extent { first: operand.first, last: type_end(text, operand.last + 2) })
        }
        Expr::Cast { expr, .. }
        | Expr::Extract { expr, .. }
        | Expr::Ceil { expr, .. }
        | Expr::Floor { expr, .. }
        | Expr::Substring { expr, .. }
        | Expr::Position { expr, .. }
        | Expr::Overlay { expr, .. } => keyword_call(text, extent_of(text, expr)?.first),
        Expr::Trim { .. } | Expr::Convert { .. } => keyword_call(text, leaves()?.first),
        Expr::Subquery(query) => query_in_parentheses(text, query),
        Expr::Exists { subquery, negated } => {
            let query = query_in_parentheses(text, subquery)?;
            let keywords = if *negated { 2 } else { 1 };
            Some(Extent { first: query.first.checked_sub(keywords)?, last: query.last })
        }
        Expr::InSubquery { expr, subquery, .. } => join(extent_of(text, expr)?, query_in_parentheses(text, subquery)?),
        Expr::InList { expr, .. } => {
            let tested = extent_of(text, expr)?;
            let open = (tested.last..).take(4).find(|index| text.token(*index) == Some(&Token::LParen))?;
            Some(Extent { first: tested.first, last: text.closing(open)? })
        }
        Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::IsUnknown(expr)
        | Expr::IsNotUnknown(expr) => {
            let tested = extent_of(text, expr)?;
            let end = (tested.last + 1..).take(3);
            let last = end.clone().find(|index| text.is_any_word(*index, &["NULL", "TRUE", "FALSE", "UNKNOWN"]))?;
            Some(Extent { first: tested.first, last })
        }
        Expr::TypedString(_) | Expr::Interval(_) => {
            let value = leaves()?;
            let unit = text.is_any_word(value.last + 1, &["YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"]);
            let last = if matches!(expr, Expr::Interval(_)) && unit { value.last + 1 } else { value.last };
            Some(Extent { first: value.first.checked_sub(1)?, last })
        }
        _ => leaves(),
    }
}

fn join(left: Extent, right: Extent) -> Option<Extent> {
    Some(Extent { first: left.first, last: right.last })
}

/// Grown to the right until every bracket that opens in it is closed.
fn balanced(text: &Text<'_>, extent: Extent) -> Extent {
    let mut depth = 0;
    let mut index = extent.first;
    while index <= extent.last || depth > 0 {
        if text.token(index).is_none() {
            return extent;
        }
        depth += text.nesting(index);
        index += 1;
    }
    Extent { first: extent.first, last: index - 1 }
}

/// Grown by the pair of parentheses round it.
fn parenthesised(text: &Text<'_>, extent: Extent) -> Option<Extent> {
    let first = extent.first.checked_sub(1)?;
    Some(Extent { first, last: text.closing(first)? })
}

fn query_in_parentheses(text: &Text<'_>, query: &Query) -> Option<Extent> {
    parenthesised(text, text.extent(query.span())?)
}

/// The call `KEYWORD(… argument …)` whose argument begins at a token.
fn keyword_call(text: &Text<'_>, argument: usize) -> Option<Extent> {
    let mut depth = 0;
    for index in (0..argument).rev() {
        depth += text.nesting(index);
        if depth > 0 {
            return Some(Extent { first: index.checked_sub(1)?, last: text.closing(index)? });
        }
    }
    None
}

/// Last token of a call whose name ends at a token: arguments, `FILTER (…)`, `OVER (…)`.
fn call_end(text: &Text<'_>, name: usize) -> usize {
    let Some(Token::LParen) = text.token(name + 1) else { return name };
    let mut last = text.closing(name + 1).unwrap_or(name);
    loop {
        let next = last + 1;
        if text.is_any_word(next, &["IGNORE", "RESPECT"]) {
            last = next + 1;
        } else if text.is_word(next, "WITHIN") && text.is_word(next + 1, "GROUP") {
            last = text.closing(next + 2).unwrap_or(next);
        } else if text.is_any_word(next, &["FILTER", "OVER"]) {
            let bracket = text.token(next + 1) == Some(&Token::LParen);
            last = if bracket { text.closing(next + 1).unwrap_or(next) } else { next + 1 };
        } else {
            return last;
        }
    }
}

/// Last token of a type name that begins at a token.
fn type_end(text: &Text<'_>, start: usize) -> usize {
    match text.token(start + 1) {
        Some(Token::LParen | Token::LBracket) => text.closing(start + 1).unwrap_or(start),
        _ => start,
    }
}
