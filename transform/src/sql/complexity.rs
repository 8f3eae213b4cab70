//! Limits that hold before a query is parsed, so that no text can exhaust the stack or the patience of the parser.
//!
//! The parser guards most of its own recursion, but not the depth of what it builds: a chain of a hundred thousand
//! `AND`s is a tree a hundred thousand deep, and merely dropping that overflows a stack.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

/// Length of a file, bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Nested parentheses, brackets, CASEs and type arguments.
const MAX_DEPTH: usize = 100;
/// Operators in one expression with all that it is nested in.
const MAX_OPERATORS: usize = 1000;
/// Set operations in one query with all that it is nested in; copying a SELECT takes 10 KB of stack.
const MAX_SET_OPERATIONS: usize = 100;
/// Nested places that the parser tries in two ways before it gives up: each doubles the time that an error takes.
const MAX_RETRIES: usize = 16;

/// What is open between a bracket and its end.
#[derive(Default)]
struct Level {
    /// Operators since the last comma or clause.
    operators: usize,
    /// Set operations.
    set_operations: usize,
    /// Whether the parser tries the bracket in two ways.
    retried: bool,
}

/// The first place where a statement, given without blanks and comments, passes a limit, and which one.
pub(crate) fn excess(tokens: &[TokenWithSpan]) -> Option<(Span, String)> {
    let mut level = Level::default();
    let mut outer: Vec<Level> = Vec::new();
    let mut type_arguments = 0_usize;
    let mut cases = 0_usize;
    for (index, TokenWithSpan { token, span }) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &tokens[before].token);
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                level.operators += usize::from(*token == Token::LBracket);
                let inner = Level { retried: is_retried(tokens, index), ..Level::default() };
                outer.push(std::mem::replace(&mut level, inner));
            }
            Token::RParen | Token::RBracket | Token::RBrace => level = outer.pop().unwrap_or_default(),
            Token::Comma => level.operators = 0,
            Token::Lt if before.is_some_and(takes_type_arguments) => type_arguments += 1,
            Token::Gt if type_arguments > 0 => type_arguments -= 1,
            Token::ShiftRight if type_arguments > 0 => type_arguments = type_arguments.saturating_sub(2),
            Token::Word(word) if word.keyword == Keyword::CASE => cases += 1,
            Token::Word(word) if word.keyword == Keyword::END => cases = cases.saturating_sub(1),
            Token::Word(word) if begins_expression(word.keyword) => level.operators = 0,
            Token::Word(word) if is_set_operation(word.keyword) => level.set_operations += 1,
            token if is_operator(token) => level.operators += 1,
            _ => continue,
        }
        let nested = || outer.iter().chain([&level]);
        let excess = if outer.len() + cases + type_arguments > MAX_DEPTH {
            format!("the query is nested more than {MAX_DEPTH} levels deep")
        } else if nested().filter(|level| level.retried).count() > MAX_RETRIES {
            format!("the query nests more than {MAX_RETRIES} subqueries and CAST-like calls in each other")
        } else if nested().map(|level| level.operators).sum::<usize>() > MAX_OPERATORS {
            format!("the query chains more than {MAX_OPERATORS} operators")
        } else if nested().map(|level| level.set_operations).sum::<usize>() > MAX_SET_OPERATIONS {
            format!("the query chains more than {MAX_SET_OPERATIONS} set operations")
        } else {
            continue;
        };
        return Some((*span, excess));
    }
    None
}

/// Whether the parser reads what follows a bracket twice when it holds an error: after words that may be a special
/// form or a function, and for doubled parentheses round a subquery, which may be a nested join.
fn is_retried(tokens: &[TokenWithSpan], index: usize) -> bool {
    let before = index.checked_sub(1).map(|before| &tokens[before].token);
    match before {
        Some(Token::Word(word)) => is_special_form(word.keyword),
        Some(Token::LParen) => {
            let inside = tokens[index..].iter().find(|next| next.token != Token::LParen);
            matches!(inside.map(|next| &next.token),
                Some(Token::Word(word)) if matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::FROM))
        }
        _ => false,
    }
}

fn is_special_form(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::ARRAY
            | Keyword::CASE
            | Keyword::CAST
            | Keyword::CEIL
            | Keyword::CONVERT
            | Keyword::EXISTS
            | Keyword::EXTRACT
            | Keyword::FLOOR
            | Keyword::INTERVAL
            | Keyword::MAP
            | Keyword::MATCH
            | Keyword::NOT
            | Keyword::OVERLAY
            | Keyword::POSITION
            | Keyword::SAFE_CAST
            | Keyword::STRUCT
            | Keyword::SUBSTR
            | Keyword::SUBSTRING
            | Keyword::TRIM
            | Keyword::TRY_CAST
            | Keyword::TRY_CONVERT
    )
}

fn takes_type_arguments(token: &Token) -> bool {
    matches!(token, Token::Word(word) if matches!(word.keyword, Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP))
}

fn begins_expression(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::JOIN
            | Keyword::ON
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
    )
}

fn is_set_operation(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS)
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::AT
                | Keyword::COLLATE
        ),
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::StringConcat
        | Token::DoubleColon => true,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Period | Token::Placeholder(_) => false,
        // The rarer operators and the rarer literals: to count a literal as an operator does no harm.
        _ => true,
    }
}
