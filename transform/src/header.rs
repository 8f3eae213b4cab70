//! The header of a SQL file: the unbroken leading block of `--` comments, and the settings in it.

pub(crate) mod keys;
mod supported;
pub(crate) mod values;

#[cfg(test)]
mod tests;

use crate::code::Code;
use crate::error::Error;
use crate::header::keys::{Entry, Key, unknown_key};
use crate::header::values::{Piece, Value};
use crate::span::location;
use crate::transform::SourceFile;

/// What a header says, not yet understood.
pub(crate) struct Header {
    /// Its settings, in order.
    pub(crate) entries: Vec<Entry>,
    /// Number of the last line that belongs to it; 0 for a file without header.
    pub(crate) last_line: usize,
}

/// Reads the header. Lines without `@` are prose; blank lines above the block are passed over.
///
/// # Errors
/// One for each line that is no setting, and for each key that comes again.
pub(crate) fn scan(file: &SourceFile) -> (Header, Vec<Error>) {
    let mut header = Header { entries: Vec::<Entry>::new(), last_line: 0 };
    let mut errors = Vec::new();
    for (index, line) in file.text.split('\n').enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("--") else {
            if line.trim().is_empty() && header.last_line == 0 {
                continue;
            }
            break;
        };
        header.last_line = index + 1;
        match setting(file, index + 1, line, comment) {
            Some(Ok(entry)) => match first_of(&header.entries, entry.key) {
                Some(first) => errors.push(duplicate(first, &entry)),
                None => header.entries.push(entry),
            },
            Some(Err(error)) => errors.push(error),
            None => {}
        }
    }
    (header, errors)
}

/// The key that a comment below the header sets in vain, with its place inside the comment, in characters.
pub(crate) fn misplaced_key(comment: &str) -> Option<(Key, usize)> {
    let (name, rest) = key_of(comment)?;
    let key = Key::parse(name).filter(|_| rest.trim_start().starts_with(':'))?;
    Some((key, comment.chars().take_while(|&c| c != '@').count()))
}

/// Splits `@name rest`; `None` for prose.
fn key_of(comment: &str) -> Option<(&str, &str)> {
    let text = comment.trim_start().strip_prefix('@')?;
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    Some(text.split_at(end))
}

fn setting(file: &SourceFile, line_number: usize, line: &str, comment: &str) -> Option<Result<Entry, Error>> {
    let (name, rest) = key_of(comment)?;
    let column_of = |part: &str| line[..line.len() - part.len()].chars().count() + 1;
    let name_length = name.chars().count() + 1;
    let key_at = location(file, line_number, column_of(rest) - name_length, name_length);
    let Some(value) = rest.trim_start().strip_prefix(':') else {
        let error = Error::new(Code::BadValue, format!("`@{name}` has no `:` after it")).at(key_at);
        return Some(Err(error.help(format!("write `-- @{name}: value`, or the comment without `@`"))));
    };
    let Some(key) = Key::parse(name) else {
        return Some(Err(unknown_key(name, key_at, "@")));
    };
    let text = value.trim();
    if text.is_empty() {
        let error = Error::new(Code::BadValue, format!("`@{name}` has no value")).at(key_at);
        return Some(Err(error.help("write a value after the colon, or remove the line")));
    }
    let at = location(file, line_number, column_of(value.trim_start()), text.chars().count());
    let value = Value::Text(Piece { text: text.to_owned(), at, exact: true });
    Some(Ok(Entry { key, key_at, value }))
}

fn first_of(entries: &[Entry], key: Key) -> Option<&Entry> {
    entries.iter().find(|entry| entry.key == key && !key.repeats())
}

fn duplicate(first: &Entry, second: &Entry) -> Error {
    Error::new(Code::DuplicateKey, format!("`@{}` is set twice", second.key))
        .at(second.key_at.clone())
        .help(format!("it is also set on line {}; keep one of them", first.key_at.line))
}
