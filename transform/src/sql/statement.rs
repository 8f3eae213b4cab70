//! Which statement a file holds: one query, or something that a transform cannot be.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::code::Code;
use crate::error::Error;
use crate::span::{from_span, location};
use crate::transform::SourceFile;

/// First words of statements that are not queries.
const OTHERS: [&str; 46] = [
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "CACHE",
    "CALL",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DETACH",
    "DROP",
    "EXECUTE",
    "EXPLAIN",
    "EXPORT",
    "GRANT",
    "IMPORT",
    "INSERT",
    "INSTALL",
    "LOAD",
    "LOCK",
    "MERGE",
    "MSCK",
    "OPTIMIZE",
    "PRAGMA",
    "PREPARE",
    "REFRESH",
    "REPLACE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SET",
    "SHOW",
    "START",
    "TABLE",
    "TRUNCATE",
    "UNLOAD",
    "UPDATE",
    "USE",
    "VACUUM",
    "VALUES",
];

/// The tokens of the first statement, up to its semicolon, out of those of a file without blanks and comments.
///
/// # Errors
/// [`Code::SeveralStatements`] at a second statement; [`Code::NotASelect`] for an empty file, or at the word that
/// begins another kind of statement.
pub(crate) fn only_statement<'a>(file: &SourceFile, tokens: &'a [TokenWithSpan]) -> (&'a [TokenWithSpan], Vec<Error>) {
    let is_semicolon = |token: &TokenWithSpan| token.token == Token::SemiColon;
    let start = tokens.iter().position(|token| !is_semicolon(token)).unwrap_or(tokens.len());
    let tokens = &tokens[start..];
    let end = tokens.iter().position(is_semicolon).unwrap_or(tokens.len());
    let (statement, rest) = tokens.split_at(end);
    let mut errors = Vec::new();
    let other = statement.iter().find(|token| token.token != Token::LParen);
    match other {
        None if statement.is_empty() => errors.push(empty(file)),
        Some(first) => errors.extend(other_statement(file, first)),
        None => {}
    }
    if let Some(second) = rest.iter().find(|token| !is_semicolon(token)) {
        let error = Error::new(Code::SeveralStatements, "a second statement begins here");
        errors.push(error.at(from_span(file, second.span)).help("put it into a file of its own"));
    }
    (statement, errors)
}

fn empty(file: &SourceFile) -> Error {
    Error::new(Code::NotASelect, "the file holds no query")
        .at(location(file, 1, 1, 1))
        .help("write one SELECT, or remove the file")
}

fn other_statement(file: &SourceFile, first: &TokenWithSpan) -> Option<Error> {
    let Token::Word(word) = &first.token else { return None };
    let name = word.value.to_uppercase();
    if word.quote_style.is_some() || !OTHERS.contains(&name.as_str()) {
        return None;
    }
    Some(not_a_select(&name).at(from_span(file, first.span)))
}

/// The error for a statement or a part of one that is no SELECT.
pub(crate) fn not_a_select(name: &str) -> Error {
    let help = match name {
        "CREATE" | "INSERT" | "COPY" | "UNLOAD" => {
            "keep only its SELECT: the file's path names the table, and the header (`@write`, `@partition`) says how it \
             is written"
        }
        "VALUES" => "select from it: `SELECT * FROM (VALUES …) AS t(a, b)`",
        "TABLE" => "write `SELECT * FROM database.table`",
        _ => "a transform is one SELECT",
    };
    Error::new(Code::NotASelect, format!("`{name}` is not a SELECT")).help(help)
}

/// The first place of a keyword, for pieces of the syntax tree that have no place of their own.
pub(crate) fn keyword_at(tokens: &[TokenWithSpan], keyword: Keyword) -> Option<&TokenWithSpan> {
    tokens.iter().find(|token| matches!(&token.token, Token::Word(word) if word.keyword == keyword))
}
