//! Comments of result columns: `-- text` on the line where an item of the main SELECT ends.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use crate::header::misplaced_key;

/// Comments by lower-case column name. Of set operations the first SELECT names the columns.
pub(crate) fn comments(tokens: &[TokenWithSpan], query: &Query) -> BTreeMap<String, String> {
    let Some(select) = first_select(&query.body) else { return BTreeMap::new() };
    let begin = select.select_token.0.span.start;
    let Some(start) = tokens.iter().position(|token| token.span.start == begin) else { return BTreeMap::new() };
    let items = items(&tokens[start + 1..]);
    // Where the two readings differ, rather no comment than a wrong one.
    if items.len() != select.projection.len() {
        return BTreeMap::new();
    }
    let mut comments = BTreeMap::new();
    for (item, text) in select.projection.iter().zip(items) {
        if let (Some(name), Some(text)) = (name(item), text) {
            comments.insert(name.to_lowercase(), text);
        }
    }
    comments
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

fn name(item: &SelectItem) -> Option<&str> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(&alias.value),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(&name.value),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(|part| part.value.as_str()),
        _ => None,
    }
}

/// The comment of each item of a SELECT list; the tokens begin behind SELECT.
fn items(tokens: &[TokenWithSpan]) -> Vec<Option<String>> {
    let mut items = Vec::new();
    let mut depth = 0_usize;
    let mut last: Option<&TokenWithSpan> = None;
    let mut comment: Option<String> = None;
    // The item before the comma that was just passed; its comment may follow on the same line.
    let mut closed_on: Option<u64> = None;
    for token in tokens {
        if let Some(text) = comment_text(&token.token) {
            let line = token.span.start.line;
            let own = last.is_some_and(|last| depth == 0 && ends_on(last, line));
            if own {
                comment = text;
            } else if let Some(before) = items.last_mut().filter(|_| last.is_none() && closed_on == Some(line)) {
                *before = text;
            }
            continue;
        }
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace if depth == 0 => break,
            Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
            Token::Comma if depth == 0 => {
                closed_on = last.filter(|last| ends_on(last, token.span.start.line)).map(|_| token.span.start.line);
                items.push(comment.take());
                last = None;
                continue;
            }
            Token::SemiColon => break,
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                let after_distinct = last.is_some_and(|last| is_keyword(&last.token, Keyword::DISTINCT));
                if ends_list(word.keyword) && !after_distinct {
                    break;
                }
            }
            _ => {}
        }
        // What looked like the end of an item was not: its text goes on.
        comment = None;
        last = Some(token);
    }
    if last.is_some() {
        items.push(comment);
    }
    items
}

fn ends_on(token: &TokenWithSpan, line: u64) -> bool {
    token.span.end.line == line
}

fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword)
}

fn ends_list(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::QUALIFY
            | Keyword::WINDOW
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
    )
}

/// The text of a line comment: `Some(None)` for one that says nothing about a column.
fn comment_text(token: &Token) -> Option<Option<String>> {
    let Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) = token else { return None };
    let text = comment.trim();
    let is_directive = text.starts_with("noqa") || misplaced_key(comment).is_some();
    Some(Some(text.to_owned()).filter(|text| !text.is_empty() && !is_directive))
}
