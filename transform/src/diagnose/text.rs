//! A SQL text with its tokens, from which positions of the user's project are made.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location as Point, Span, Token, TokenWithSpan, Tokenizer};

use crate::error::Location;
use crate::transform::SourceFile;

/// A run of tokens, by their indices, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First token.
    pub(crate) first: usize,
    /// Last token.
    pub(crate) last: usize,
}

/// Where a text stands.
enum Place<'a> {
    /// The text is a file.
    File { path: &'a str, lines: Vec<&'a str> },
    /// The text is one line, part of the value of a setting.
    Value(Location),
}

/// A SQL text: its tokens without white space and comments, and where it stands.
pub(crate) struct Text<'a> {
    tokens: Vec<TokenWithSpan>,
    place: Place<'a>,
}

impl<'a> Text<'a> {
    /// The text of a file.
    pub(crate) fn of_file(file: &'a SourceFile) -> Self {
        let place = Place::File { path: &file.path, lines: file.text.lines().collect() };
        Self { tokens: tokens(&file.text), place }
    }

    /// An expression that is the value of a setting, found in the setting's line.
    pub(crate) fn of_value(value: &str, at: &Location) -> Self {
        let mut at = at.clone();
        let stands_there = at.text.chars().skip(at.column.saturating_sub(1)).collect::<String>().starts_with(value);
        if let (false, Some(byte)) = (stands_there, at.text.find(value)) {
            at.column = at.text[..byte].chars().count() + 1;
        }
        Self { tokens: tokens(value), place: Place::Value(at) }
    }

    /// The token at an index.
    pub(crate) fn token(&self, index: usize) -> Option<&Token> {
        self.tokens.get(index).map(|token| &token.token)
    }

    /// Index of the token that begins at a point or is the first after it.
    pub(crate) fn first_from(&self, point: Point) -> Option<usize> {
        let index = self.tokens.partition_point(|token| token.span.start < point);
        (index < self.tokens.len()).then_some(index)
    }

    /// The tokens within a span of the parser.
    pub(crate) fn extent(&self, span: Span) -> Option<Extent> {
        if span == Span::empty() {
            return None;
        }
        let first = self.first_from(span.start)?;
        let past = self.tokens.partition_point(|token| token.span.end <= span.end);
        (first < past).then(|| Extent { first, last: past - 1 })
    }

    /// Whether a token is this word, in any letter case and not quoted.
    pub(crate) fn is_word(&self, index: usize, word: &str) -> bool {
        matches!(self.token(index), Some(Token::Word(token)) if token.quote_style.is_none() && token.value.eq_ignore_ascii_case(word))
    }

    /// Whether a token is one of these words.
    pub(crate) fn is_any_word(&self, index: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(index, word))
    }

    /// By how much a token changes the depth of brackets.
    pub(crate) fn nesting(&self, index: usize) -> isize {
        match self.token(index) {
            Some(Token::LParen | Token::LBracket | Token::LBrace) => 1,
            Some(Token::RParen | Token::RBracket | Token::RBrace) => -1,
            _ => 0,
        }
    }

    /// Index of the bracket that closes the one at `open`.
    pub(crate) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0;
        for index in open..self.tokens.len() {
            depth += self.nesting(index);
            if depth == 0 {
                return Some(index);
            }
        }
        None
    }

    /// Index of the first of these words at the bracket depth of `start`, from there to the bracket that ends it.
    pub(crate) fn find_at_depth(&self, start: usize, words: &[&str]) -> Option<usize> {
        let mut depth = 0;
        for index in start..self.tokens.len() {
            depth += self.nesting(index);
            if depth < 0 {
                return None;
            }
            if depth == 0 && self.is_any_word(index, words) {
                return Some(index);
            }
        }
        None
    }

    /// The tokens as they are written, with single spaces between lines.
    pub(crate) fn written(&self, extent: Extent) -> Option<String> {
        let (first, last) = (self.tokens.get(extent.first)?, self.tokens.get(extent.last)?);
        let Place::File { lines, .. } = &self.place else { return None };
        if first.span.start.line != last.span.end.line {
            return None;
        }
        let line = lines.get(usize::try_from(first.span.start.line).ok()?.checked_sub(1)?)?;
        let (from, to) = (column(first.span.start), column(last.span.end));
        Some(line.chars().skip(from.saturating_sub(1)).take(to.saturating_sub(from)).collect())
    }

    /// The position of a run of tokens, cut at the end of its first line.
    pub(crate) fn location(&self, extent: Extent) -> Option<Location> {
        let first = self.tokens.get(extent.first)?.span;
        let on_line = |token: &&TokenWithSpan| token.span.start.line == first.start.line;
        let last = self.tokens.get(extent.first..=extent.last)?.iter().take_while(on_line).last()?.span;
        self.underline(first.start, (last.end.line == first.start.line).then_some(last.end))
    }

    /// The position of a span of the parser or planner, cut at the end of its first line.
    pub(crate) fn location_of(&self, span: Span) -> Option<Location> {
        self.location(self.extent(span)?)
    }

    /// The line from `start` to `end`, or to its own end.
    fn underline(&self, start: Point, end: Option<Point>) -> Option<Location> {
        let (file, line, text, offset) = match &self.place {
            Place::Value(at) => (at.file.as_str(), at.line, at.text.as_str(), at.column.saturating_sub(1)),
            Place::File { path, lines } => {
                let line = usize::try_from(start.line).ok()?;
                (*path, line, *lines.get(line.checked_sub(1)?)?, 0)
            }
        };
        let column_of_start = column(start) + offset;
        let past_line = text.trim_end().chars().count() + 1;
        let past = end.map_or(past_line, |end| (column(end) + offset).min(past_line));
        Some(Location {
            file: file.to_owned(),
            line,
            column: column_of_start,
            length: past.saturating_sub(column_of_start).max(1),
            text: text.to_owned(),
        })
    }
}

fn column(point: Point) -> usize {
    usize::try_from(point.column).unwrap_or(usize::MAX)
}

/// Tokens without white space and comments; none if the text cannot be read, which the parser has reported then.
fn tokens(text: &str) -> Vec<TokenWithSpan> {
    let mut tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().unwrap_or_default();
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    tokens
}
