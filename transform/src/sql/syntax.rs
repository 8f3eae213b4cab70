//! The parser's complaints, as errors at the token that they are about.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, TokenizerError};

use crate::code::Code;
use crate::error::Error;
use crate::nearest::nearest;
use crate::span::{from_span, location};
use crate::sql::parser;
use crate::transform::SourceFile;

/// How many subqueries are parsed alone to find the one with the mistake.
const MAX_SUBQUERIES: usize = 200;

/// Words that are misspelt where the parser only says that it expected something else.
const WORDS: [&str; 16] = [
    "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "JOIN", "LEFT", "INNER", "UNION", "DISTINCT",
    "BETWEEN", "WITH", "WHEN", "THEN",
];

/// A string, comment or quoted name without end.
pub(crate) fn tokenizer_error(file: &SourceFile, error: &TokenizerError) -> Error {
    let start = error.location;
    let at = from_span(file, Span::new(start, (start.line + 1, 1).into()));
    Error::new(Code::Syntax, lower_first(&error.message)).at(at).help("close it")
}

/// The error of a statement, given without blanks and comments, that `failed` to parse.
pub(crate) fn parser_error(file: &SourceFile, tokens: &[TokenWithSpan], failed: ParserError) -> Error {
    let failed = inside_subquery(tokens).unwrap_or(failed);
    let message = match &failed {
        ParserError::RecursionLimitExceeded => {
            let at = tokens.first().map(|first| from_span(file, first.span));
            return Error::new(Code::QueryTooComplex, "the query is nested too deep for the parser")
                .maybe_at(at)
                .help("split it into several transforms");
        }
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    let (message, place) = split_place(message);
    let index = match place {
        Some(place) => tokens.iter().position(|token| (token.span.start.line, token.span.start.column) == place),
        None => tokens.len().checked_sub(1),
    };
    let at = match (index, place) {
        (Some(index), _) => from_span(file, tokens[index].span),
        (None, Some((line, column))) => {
            location(file, usize::try_from(line).unwrap_or(1), usize::try_from(column).unwrap_or(1), 1)
        }
        (None, None) => location(file, 1, 1, 1),
    };
    let error = Error::new(Code::Syntax, reworded(message)).at(at).because(failed.clone());
    let help = index.and_then(|index| help(tokens, index));
    match help {
        Some(help) => error.help(help),
        None => error.help("correct the SQL here or just before"),
    }
}

/// The mistake inside the innermost subquery that does not parse alone: where the parser tries several readings of a
/// bracket, it blames the bracket for a mistake inside.
fn inside_subquery(tokens: &[TokenWithSpan]) -> Option<ParserError> {
    let mut found = None;
    let mut end = tokens.len();
    let starts = (1..tokens.len()).filter(|&index| {
        tokens[index - 1].token == Token::LParen
            && matches!(&tokens[index].token,
                Token::Word(word) if matches!(word.keyword, Keyword::SELECT | Keyword::WITH))
    });
    for start in starts.take(MAX_SUBQUERIES) {
        if start >= end {
            break;
        }
        if let Some(error) = subquery_error(&tokens[start..]) {
            end = start + length_of_bracket(&tokens[start..]);
            found = Some(error);
        }
    }
    found
}

fn subquery_error(tokens: &[TokenWithSpan]) -> Option<ParserError> {
    let mut parser = parser(&GenericDialect {}).with_tokens_with_locations(tokens.to_vec());
    let parsed = parser.parse_query().map(drop);
    parsed.and_then(|()| parser.expect_token(&Token::RParen).map(drop)).err()
}

/// The number of tokens up to the bracket that closes the one before the first.
fn length_of_bracket(tokens: &[TokenWithSpan]) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return index,
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Cuts the place off the parser's message; one that is about the end of the text has none.
fn split_place(message: &str) -> (&str, Option<(u64, u64)>) {
    let Some((text, place)) = message.rsplit_once(" at Line: ") else {
        return (message, None);
    };
    let place =
        place.split_once(", Column: ").and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    match place {
        Some(place) => (text, Some(place)),
        None => (message, None),
    }
}

fn reworded(message: &str) -> String {
    let Some((expected, found)) = message.strip_prefix("Expected: ").and_then(|text| text.split_once(", found: "))
    else {
        return lower_first(message);
    };
    let expected = match expected.contains(char::is_alphabetic) {
        // The parser's list for the beginning of any query; a file cannot begin with VALUES.
        true if expected.starts_with("SELECT, VALUES") => "a SELECT".to_owned(),
        true => expected.to_owned(),
        false => format!("`{expected}`"),
    };
    match found {
        "EOF" => format!("expected {expected}, but the query ends here"),
        _ => format!("expected {expected}, found `{found}`"),
    }
}

fn lower_first(message: &str) -> String {
    let mut letters = message.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn help(tokens: &[TokenWithSpan], index: usize) -> Option<String> {
    if tokens[index].token == Token::LBrace && index == 0 {
        return Some("there are no templates: write settings as `-- @key: value` comments above the SELECT".to_owned());
    }
    // Without its END, the parser takes CASE for a name, and stumbles over what follows it.
    if let Some(case) = unclosed_case(tokens) {
        return Some(format!("the `CASE` on line {} has no `END`", case.span.start.line));
    }
    // A misspelt keyword passes for a name, and the parser stumbles over what follows it.
    let may_be_keyword = |at: &usize| *at == 0 || tokens[*at - 1].token != Token::Period;
    [Some(index), index.checked_sub(1)]
        .into_iter()
        .flatten()
        .filter(may_be_keyword)
        .find_map(|index| misspelt(&tokens[index]))
}

fn unclosed_case(tokens: &[TokenWithSpan]) -> Option<&TokenWithSpan> {
    let mut open = Vec::new();
    for token in tokens {
        match &token.token {
            Token::Word(word) if word.keyword == Keyword::CASE => open.push(token),
            Token::Word(word) if word.keyword == Keyword::END => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

fn misspelt(token: &TokenWithSpan) -> Option<String> {
    let Token::Word(word) = &token.token else { return None };
    if word.quote_style.is_some() || word.keyword != Keyword::NoKeyword {
        return None;
    }
    let near = nearest(&word.value, WORDS)?;
    Some(format!("did you mean `{near}` instead of `{}`?", word.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_cut_off_a_message() {
        assert_eq!(
            split_place("Expected: ), found: AS at Line: 5, Column: 16"),
            ("Expected: ), found: AS", Some((5, 16)))
        );
        assert_eq!(split_place("Expected: ), found: EOF"), ("Expected: ), found: EOF", None));
    }

    #[test]
    fn messages_are_lowercase_and_quote_what_was_found() {
        assert_eq!(reworded("Expected: ), found: AS"), "expected `)`, found `AS`");
        assert_eq!(reworded("Expected: identifier, found: EOF"), "expected identifier, but the query ends here");
        assert_eq!(reworded("Cannot specify ALL then DISTINCT"), "cannot specify ALL then DISTINCT");
    }
}
