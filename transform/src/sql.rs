//! The SQL text of one file: parsed unaltered into one query, with what it reads and says.

mod comments;
mod complexity;
mod driving;
mod ignored;
mod statement;
mod syntax;
mod tables;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::code::Code;
use crate::error::Error;
use crate::header::misplaced_key;
use crate::span::{from_span, location};
use crate::table::TableName;
use crate::transform::{Input, SourceFile};

/// How deep the parser may recurse; it uses a few levels for each bracket.
const RECURSION_LIMIT: usize = 128;

/// A file's query with what can be told without a catalog.
pub(crate) struct Parsed {
    /// The query.
    pub(crate) query: Box<Query>,
    /// Tables in order of appearance.
    pub(crate) inputs: Vec<Input>,
    /// The leftmost table of FROM.
    pub(crate) leftmost: Option<TableName>,
    /// Comments by result column.
    pub(crate) comments: BTreeMap<String, String>,
}

/// Parses the text of a file whose header ends with line `header_end`. The query is `None` where there are errors that
/// leave nothing to go on with; misplaced settings do not.
pub(crate) fn parse(file: &SourceFile, header_end: usize) -> (Option<Parsed>, Vec<Error>) {
    if file.text.len() > complexity::MAX_BYTES {
        let message = format!("the file is longer than {} MB", complexity::MAX_BYTES >> 20);
        let error = Error::new(Code::QueryTooComplex, message).at(location(file, 1, 1, 1));
        return (None, vec![error.help("split it into several transforms")]);
    }
    let mut all = Vec::new();
    let tokenized = Tokenizer::new(&GenericDialect {}, &file.text).tokenize_with_location_into_buf(&mut all);
    let mut errors = misplaced_settings(file, header_end, &all);
    if let Err(error) = tokenized {
        errors.push(syntax::tokenizer_error(file, &error));
        return (None, errors);
    }
    let tokens: Vec<TokenWithSpan> =
        all.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).cloned().collect();
    let (statement, several) = statement::only_statement(file, &tokens);
    let is_select = several.iter().all(|error| error.code != Code::NotASelect);
    errors.extend(several);
    if !is_select {
        return (None, errors);
    }
    let query = match query(file, statement) {
        Ok(query) => query,
        Err(error) => {
            errors.push(error);
            return (None, errors);
        }
    };
    let (inputs, refused) = tables::inputs(file, statement, &query);
    let is_whole = refused.is_empty() && errors.iter().all(|error| error.code == Code::MisplacedSetting);
    errors.extend(refused);
    if !is_whole {
        return (None, errors);
    }
    let leftmost = driving::leftmost(&query);
    let comments = comments::comments(&all, &query);
    (Some(Parsed { query, inputs, leftmost, comments }), errors)
}

fn misplaced_settings(file: &SourceFile, header_end: usize, tokens: &[TokenWithSpan]) -> Vec<Error> {
    let mut errors = Vec::new();
    for TokenWithSpan { token, span } in tokens {
        let Token::Whitespace(Whitespace::SingleLineComment { comment, prefix }) = token else { continue };
        let (Ok(line), Ok(column)) = (usize::try_from(span.start.line), usize::try_from(span.start.column)) else {
            continue;
        };
        let Some((key, offset)) = misplaced_key(comment).filter(|_| line > header_end) else { continue };
        let at = location(file, line, column + prefix.len() + offset, key.as_str().len() + 1);
        let error = Error::new(Code::MisplacedSetting, format!("`@{key}` stands below the header")).at(at);
        errors.push(error.help("move it into the block of `--` comments at the top of the file"));
    }
    errors
}

fn query(file: &SourceFile, tokens: &[TokenWithSpan]) -> Result<Box<Query>, Error> {
    if let Some((place, message)) = complexity::excess(tokens) {
        let error = Error::new(Code::QueryTooComplex, message).at(from_span(file, place));
        return Err(error.help("split it into several transforms"));
    }
    whole_query(tokens).map_err(|error| syntax::parser_error(file, tokens, error))
}

fn whole_query(tokens: &[TokenWithSpan]) -> Result<Box<Query>, ParserError> {
    let mut parser = parser(&GenericDialect {}).with_tokens_with_locations(tokens.to_vec());
    let query = parser.parse_query()?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(query),
        _ => parser.expected("the end of the query", next),
    }
}

/// DataFusion's own default dialect, so that what is checked here is what is run.
fn parser(dialect: &dyn Dialect) -> Parser<'_> {
    Parser::new(dialect).with_recursion_limit(RECURSION_LIMIT)
}
