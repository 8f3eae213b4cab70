//! Values of settings: from text to columns, tables, sizes, counts and words, each with its place.

use crate::code::Code;
use crate::error::{Error, Location, Result};
use crate::header::keys::Key;
use crate::nearest::nearest;
use crate::settings::{Compression, SortColumn, Spanned};
use crate::table::TableName;

/// A piece of a value, without surrounding blanks.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// The text.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) at: Location,
    /// Whether `at` covers the text character for character, so that a part of the text has a place of its own.
    pub(crate) exact: bool,
}

/// The value of a setting.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Text, which may hold a list.
    Text(Piece),
    /// A list, from an array of an `unglue.toml`.
    List(Vec<Piece>),
}

impl Value {
    /// The parts as they were written: the whole text, or the items of an array.
    pub(crate) fn pieces(&self) -> &[Piece] {
        match self {
            Self::Text(piece) => std::slice::from_ref(piece),
            Self::List(pieces) => pieces,
        }
    }

    /// The one value of a key that takes no list.
    pub(crate) fn one(&self, key: Key) -> Result<&Piece> {
        match self.pieces() {
            [piece] => Ok(piece),
            [_, second, ..] => Err(bad(second, format!("`@{key}` takes one value")).help("keep one of the list")),
            // An empty array is refused where the file is read: here it would have no place.
            [] => Err(Error::new(Code::BadValue, format!("`@{key}` has no value"))),
        }
    }

    /// The items of a list, split at commas; `none` alone is the empty list.
    pub(crate) fn items(&self, key: Key) -> Result<Vec<Piece>> {
        let items = match self {
            Self::List(pieces) => pieces.clone(),
            Self::Text(piece) if piece.text == "none" => Vec::new(),
            Self::Text(piece) => piece.split_at_commas(),
        };
        match items.iter().find(|item| item.text.is_empty()) {
            Some(empty) => Err(bad(empty, format!("`@{key}` has an empty item")).help("remove the comma too many")),
            None => Ok(items),
        }
    }

    /// Columns, each once.
    pub(crate) fn columns(&self, key: Key) -> Result<Vec<Spanned<String>>> {
        let columns = self.items(key)?.iter().map(|item| item.column(key)).collect::<Result<Vec<_>>>()?;
        refuse_twice(key, columns, |column| column.to_lowercase())
    }

    /// Columns with a direction, each once.
    pub(crate) fn sort_columns(&self, key: Key) -> Result<Vec<Spanned<SortColumn>>> {
        let columns = self.items(key)?.iter().map(|item| item.sort_column(key)).collect::<Result<Vec<_>>>()?;
        refuse_twice(key, columns, |sort| sort.column.to_lowercase())
    }

    /// Tables, each once.
    pub(crate) fn tables(&self, key: Key) -> Result<Vec<Spanned<TableName>>> {
        let tables = self.items(key)?.iter().map(|item| item.table(key)).collect::<Result<Vec<_>>>()?;
        refuse_twice(key, tables, TableName::to_string)
    }
}

fn refuse_twice<T>(key: Key, list: Vec<Spanned<T>>, name: impl Fn(&T) -> String) -> Result<Vec<Spanned<T>>> {
    let mut seen = std::collections::BTreeSet::new();
    for item in &list {
        let name = name(&item.value);
        if seen.contains(&name) {
            let error = Error::new(Code::BadValue, format!("`@{key}` lists `{name}` twice"));
            return Err(error.maybe_at(item.at.clone()).help("remove one of them"));
        }
        seen.insert(name);
    }
    Ok(list)
}

fn bad(piece: &Piece, message: String) -> Error {
    Error::new(Code::BadValue, message).at(piece.at.clone())
}

impl Piece {
    /// The text as a value with its place.
    pub(crate) fn spanned(&self) -> Spanned<String> {
        self.with(self.text.clone())
    }

    fn with<T>(&self, value: T) -> Spanned<T> {
        Spanned { value, at: Some(self.at.clone()) }
    }

    fn split_at_commas(&self) -> Vec<Self> {
        let mut items = Vec::new();
        let mut start = 0;
        for part in self.text.split(',') {
            items.push(self.part(start, part));
            start += part.len() + 1;
        }
        items
    }

    /// The piece for a part of the text that begins at a byte; an empty part is placed at the comma that shows it.
    fn part(&self, start: usize, part: &str) -> Self {
        let text = part.trim();
        if !self.exact {
            return Self { text: text.to_owned(), at: self.at.clone(), exact: false };
        }
        let blanks = part.chars().take_while(|c| c.is_whitespace()).count();
        let before = self.text[..start].chars().count();
        let offset = match text.is_empty() {
            true => before.saturating_sub(1),
            false => before + blanks,
        };
        let at = Location {
            column: self.at.column + offset,
            length: text.chars().count().max(1),
            file: self.at.file.clone(),
            line: self.at.line,
            text: self.at.text.clone(),
        };
        Self { text: text.to_owned(), at, exact: true }
    }

    /// A column name.
    pub(crate) fn column(&self, key: Key) -> Result<Spanned<String>> {
        let is_name = self.text.chars().all(|c| c.is_alphanumeric() || c == '_');
        match is_name && !self.text.is_empty() {
            true => Ok(self.spanned()),
            false => Err(bad(self, format!("`{}` is not a column name", self.text))
                .help(format!("`@{key}` takes names of result columns, separated by commas"))),
        }
    }

    fn sort_column(&self, key: Key) -> Result<Spanned<SortColumn>> {
        let (column, direction) = match self.text.split_once(char::is_whitespace) {
            Some((column, direction)) => (column, direction.trim()),
            None => (self.text.as_str(), "asc"),
        };
        let descending = match direction.to_lowercase().as_str() {
            "asc" => false,
            "desc" => true,
            _ => {
                let message = format!("`@{key}` cannot sort by `{}`", self.text);
                return Err(bad(self, message).help("write `column`, `column asc` or `column desc`"));
            }
        };
        let column = self.part(0, column).column(key)?.value;
        Ok(self.with(SortColumn { column, descending }))
    }

    /// A table, `database.table`, lower-cased as in SQL.
    pub(crate) fn table(&self, key: Key) -> Result<Spanned<TableName>> {
        let lower = self.text.to_lowercase();
        let name = lower.split_once('.').and_then(|(database, table)| TableName::new(database, table).ok());
        match name {
            Some(name) => Ok(self.with(name)),
            None => Err(bad(self, format!("`{}` is not a table", self.text))
                .help(format!("`@{key}` takes tables of FROM, written `database.table`"))),
        }
    }

    /// One of the words that the key takes.
    pub(crate) fn choice<T: Copy>(&self, key: Key, choices: &[(&str, T)]) -> Result<Spanned<T>> {
        if let Some((_, value)) = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&self.text)) {
            return Ok(self.with(*value));
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        Err(self.not_among(key, &words))
    }

    fn not_among(&self, key: Key, words: &[&str]) -> Error {
        let allowed = format!("`@{key}` takes `{}`", words.join("`, `"));
        let help = match nearest(&self.text, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? {allowed}"),
            None => allowed,
        };
        bad(self, format!("`@{key}` cannot be `{}`", self.text)).help(help)
    }

    /// A compression, `zstd(1)` to `zstd(22)` among them.
    pub(crate) fn compression(&self, key: Key) -> Result<Spanned<Compression>> {
        let lower = self.text.to_lowercase();
        let compression = match lower.as_str() {
            "zstd" => Compression::Zstd(3),
            "snappy" => Compression::Snappy,
            "gzip" => Compression::Gzip,
            "lz4" => Compression::Lz4,
            "none" => Compression::Uncompressed,
            _ => match lower.strip_prefix("zstd").and_then(in_parentheses) {
                Some(level) => match level.parse() {
                    Ok(level @ 1..=22) => Compression::Zstd(level),
                    _ => {
                        let message = format!("zstd has no level `{level}`");
                        return Err(bad(self, message).help("the levels are 1 to 22; the default is `zstd(3)`"));
                    }
                },
                None => return Err(self.not_among(key, &["zstd(3)", "snappy", "gzip", "lz4", "none"])),
            },
        };
        Ok(self.with(compression))
    }

    /// A number of bytes, at least one: `256MB`, `1 GB`, `64KiB`, `1000`; K, M, G and T are powers of 1024.
    pub(crate) fn size(&self, key: Key) -> Result<Spanned<u64>> {
        let lower = self.text.to_lowercase();
        let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
        let (number, unit) = lower.split_at(digits);
        let shift = match unit.trim() {
            "" | "b" => Some(0),
            "kb" | "kib" => Some(10),
            "mb" | "mib" => Some(20),
            "gb" | "gib" => Some(30),
            "tb" | "tib" => Some(40),
            _ => None,
        };
        let bytes = number.parse::<u64>().ok().zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
        match bytes.filter(|&bytes| bytes > 0) {
            Some(bytes) => Ok(self.with(bytes)),
            None => Err(bad(self, format!("`{}` is not a size", self.text))
                .help(format!("`@{key}` takes a whole number with a unit, such as `256MB` or `1GB`"))),
        }
    }

    /// A whole number, at least one.
    pub(crate) fn count(&self, key: Key) -> Result<Spanned<usize>> {
        match self.text.parse::<usize>() {
            Ok(count) if count > 0 => Ok(self.with(count)),
            _ => Err(bad(self, format!("`{}` is not a count", self.text))
                .help(format!("`@{key}` takes a whole number, at least 1"))),
        }
    }

    /// A URL of a folder.
    pub(crate) fn url(&self, key: Key) -> Result<Spanned<String>> {
        let is_url = self.text.contains("://") && url::Url::parse(&self.text).is_ok();
        match is_url {
            true => Ok(self.spanned()),
            false => Err(bad(self, format!("`{}` is not a URL", self.text))
                .help(format!("`@{key}` takes the URL of a folder, such as `s3://bucket/prefix/`"))),
        }
    }
}

fn in_parentheses(text: &str) -> Option<&str> {
    text.trim().strip_prefix('(')?.strip_suffix(')').map(str::trim)
}
