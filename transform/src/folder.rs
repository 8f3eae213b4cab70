//! Defaults of a folder: `unglue.toml`, with the keys of a header.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::code::Code;
use crate::error::{Error, Location};
use crate::header::keys::{Entry, Key, unknown_key};
use crate::header::values::{Piece, Value};
use crate::span::{from_bytes, location};
use crate::transform::SourceFile;

/// Reads an `unglue.toml`.
///
/// # Errors
/// One for each place that is not TOML, else one for each key that does not exist or has a value of another kind.
pub(crate) fn scan(file: &SourceFile) -> (Vec<Entry>, Vec<Error>) {
    let (table, broken) = DeTable::parse_recoverable(&file.text);
    if !broken.is_empty() {
        return (Vec::new(), broken.iter().map(|error| not_toml(file, error)).collect());
    }
    let mut entries = Vec::new();
    let mut errors = Vec::new();
    for (name, value) in table.get_ref() {
        match entry(file, name, value) {
            Ok(entry) => entries.push(entry),
            Err(error) => errors.push(error),
        }
    }
    (entries, errors)
}

fn not_toml(file: &SourceFile, error: &toml::de::Error) -> Error {
    let at = error.span().map_or_else(|| location(file, 1, 1, 1), |span| from_bytes(file, span));
    match error.message() {
        "duplicate key" => Error::new(Code::DuplicateKey, format!("`{}` is set twice", marked(&at)))
            .at(at)
            .help("keep one of them; a list is written `key = [\"a\", \"b\"]`"),
        message => Error::new(Code::Syntax, format!("not valid TOML: {message}"))
            .at(at)
            .help("write `key = \"value\"`, one a line"),
    }
}

fn marked(at: &Location) -> String {
    at.text.chars().skip(at.column - 1).take(at.length).collect()
}

fn entry(file: &SourceFile, name: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> Result<Entry, Error> {
    let key_at = from_bytes(file, name.span());
    let Some(key) = Key::parse(name.get_ref()) else {
        return Err(unknown_key(name.get_ref(), key_at, ""));
    };
    if key == Key::Location {
        return Err(Error::new(Code::BadValue, "`location` cannot be the default of a folder")
            .at(key_at)
            .help("two tables cannot share a location; write `-- @location: …` into a file's header"));
    }
    let value = match value.get_ref() {
        DeValue::Array(items) if items.is_empty() => {
            return Err(Error::new(Code::BadValue, format!("`{key}` has no value"))
                .at(from_bytes(file, value.span()))
                .help("write `\"none\"` for an empty list, or remove the line"));
        }
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| piece(file, key, item)).collect::<Result<_, _>>()?)
        }
        _ => Value::Text(piece(file, key, value)?),
    };
    Ok(Entry { key, key_at, value })
}

fn piece(file: &SourceFile, key: Key, value: &Spanned<DeValue<'_>>) -> Result<Piece, Error> {
    let span = value.span();
    match value.get_ref() {
        DeValue::String(text) if text.trim().is_empty() => Err(Error::new(Code::BadValue, format!("`{key}` is empty"))
            .at(from_bytes(file, span))
            .help("write a value, or remove the line")),
        DeValue::String(text) => Ok(string_piece(file, text, span)),
        DeValue::Integer(number) => Ok(Piece {
            // TOML allows `1_000`; the values know plain digits only.
            text: number.as_str().replace('_', ""),
            at: from_bytes(file, span),
            exact: true,
        }),
        other => Err(Error::new(Code::BadValue, format!("`{key}` cannot be a TOML {}", other.type_str()))
            .at(from_bytes(file, span))
            .help("write a string, a whole number or an array of strings")),
    }
}

fn string_piece(file: &SourceFile, text: &str, span: Range<usize>) -> Piece {
    let content = span.start + 1..span.end.saturating_sub(1);
    // With escapes or triple quotes, characters of the value are not characters of the file.
    if file.text.get(content.clone()) != Some(text) || text.contains('\n') {
        return Piece { text: text.trim().to_owned(), at: from_bytes(file, span), exact: false };
    }
    let start = content.start + (text.len() - text.trim_start().len());
    let text = text.trim();
    Piece { text: text.to_owned(), at: from_bytes(file, start..start + text.len()), exact: true }
}
