//! Clauses that the parser reads and DataFusion's planner silently passes over: refused here, because the result would
//! not be what the text says.

use datafusion::sql::sqlparser::ast::{Query, Select, SetExpr, Spanned, TableFactor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use crate::code::Code;
use crate::error::{Error, Location};
use crate::span::from_span;
use crate::sql::statement::keyword_at;
use crate::transform::SourceFile;

fn refused(clause: &str, at: Option<Location>) -> Error {
    Error::new(Code::NotSupported, format!("{clause} is not supported")).maybe_at(at).help("remove it")
}

/// One error for each such clause of a query, those of its subqueries left out.
pub(crate) fn in_query(file: &SourceFile, tokens: &[TokenWithSpan], query: &Query) -> Vec<Error> {
    let at = |keyword| keyword_at(tokens, keyword).map(|token| from_span(file, token.span));
    let mut errors = Vec::new();
    if !query.locks.is_empty() || query.for_clause.is_some() {
        errors.push(refused("`FOR` after a query", at(Keyword::FOR)));
    }
    if query.settings.is_some() {
        errors.push(refused("`SETTINGS`", at(Keyword::SETTINGS)));
    }
    if query.format_clause.is_some() {
        errors.push(refused("`FORMAT`", at(Keyword::FORMAT)));
    }
    let mut open = vec![query.body.as_ref()];
    while let Some(body) = open.pop() {
        match body {
            SetExpr::SetOperation { left, right, .. } => open.extend([right.as_ref(), left.as_ref()]),
            SetExpr::Select(select) => errors.extend(in_select(file, tokens, select)),
            _ => {}
        }
    }
    errors
}

fn in_select(file: &SourceFile, tokens: &[TokenWithSpan], select: &Select) -> Vec<Error> {
    let at = |keyword| keyword_at(tokens, keyword).map(|token| from_span(file, token.span));
    let mut errors = Vec::new();
    if select.prewhere.is_some() {
        errors.push(refused("`PREWHERE`", at(Keyword::PREWHERE)));
    }
    if !select.connect_by.is_empty() {
        errors.push(refused("`CONNECT BY`", at(Keyword::CONNECT).or_else(|| at(Keyword::START))));
    }
    let select_at = || Some(from_span(file, select.select_token.0.span));
    if select.exclude.is_some() {
        errors.push(refused("`EXCLUDE` after the columns", at(Keyword::EXCLUDE).or_else(select_at)));
    }
    if select.value_table_mode.is_some() {
        errors.push(refused("`SELECT AS`", select_at()));
    }
    if select.select_modifiers.is_some() {
        errors.push(refused("a modifier of `SELECT`", select_at()));
    }
    errors
}

/// One error for each such clause of a table in FROM.
pub(crate) fn in_table(file: &SourceFile, factor: &TableFactor) -> Vec<Error> {
    let mut clauses = Vec::new();
    match factor {
        TableFactor::Table {
            with_hints, version, with_ordinality, partitions, json_path, sample, index_hints, ..
        } => {
            clauses.push((sample.is_some(), "`TABLESAMPLE`"));
            clauses.push((version.is_some(), "a version of a table"));
            clauses.push((!partitions.is_empty(), "`PARTITION` after a table"));
            clauses.push((*with_ordinality, "`WITH ORDINALITY`"));
            clauses.push((json_path.is_some(), "a path after a table"));
            clauses.push((!with_hints.is_empty() || !index_hints.is_empty(), "a hint after a table"));
        }
        TableFactor::Derived { sample, .. } => clauses.push((sample.is_some(), "`TABLESAMPLE`")),
        _ => {}
    }
    let written = clauses.into_iter().filter(|(written, _)| *written);
    written.map(|(_, clause)| refused(clause, Some(from_span(file, factor.span())))).collect()
}
