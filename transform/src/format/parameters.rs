//! Options of formats as parameters, by the names that Hive's SerDes have for them.

use super::{CsvOptions, Format, JsonOptions};
use crate::code::Code;
use crate::error::{Error, Result};

/// The same thing in two SerDes.
const DELIMITER: [&str; 2] = ["field.delim", "separatorChar"];
const ESCAPE: [&str; 2] = ["escapeChar", "escape.delim"];
const QUOTE: &str = "quoteChar";

/// The word for no quotes at all.
const NO_QUOTE: &str = "none";

impl Format {
    /// Sets what a parameter says; an empty value sets the usual one. Returns whether it is a parameter of the format.
    ///
    /// # Errors
    /// [`Code::NotSupported`] for a value that it cannot have.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match self {
            Self::Csv(options) => options.set(key, value),
            Self::Json(options) => options.set(key, value),
            Self::Parquet | Self::Avro | Self::Orc => Ok(false),
        }
    }

    /// The options that are not the usual ones, as parameters: setting them makes the same format.
    pub fn parameters(&self) -> Vec<(String, String)> {
        match self {
            Self::Csv(options) => options.parameters(),
            Self::Json(options) => options.parameters(),
            Self::Parquet | Self::Avro | Self::Orc => Vec::new(),
        }
    }
}

impl CsvOptions {
    /// The one character that a parameter holds; a tab may be written as people write it into templates.
    pub fn symbol(value: &str) -> Option<char> {
        let mut symbols = value.chars();
        match (symbols.next(), symbols.next()) {
            (one, None) => one,
            _ => (value == "\\t").then_some('\t'),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        let usual = Self::default();
        let text = || (!value.is_empty()).then(|| value.to_owned());
        if DELIMITER.contains(&key) {
            self.delimiter = symbol(key, value, Some(usual.delimiter))?.unwrap_or(usual.delimiter);
        } else if ESCAPE.contains(&key) {
            self.escape = symbol(key, value, None)?;
        } else {
            match key {
                QUOTE if value == NO_QUOTE => self.quote = None,
                QUOTE => self.quote = symbol(key, value, usual.quote)?,
                Self::COMMENT => self.comment = symbol(key, value, None)?,
                Self::NULL => self.null = text(),
                Self::ENCODING => self.encoding = text(),
                Self::HEADER_LINES if value.is_empty() => self.header_lines = usual.header_lines,
                Self::HEADER_LINES => {
                    self.header_lines = value.parse().map_err(|_| wrong(key, value, "a number of lines"))?;
                }
                Self::COLUMNS => {
                    self.by_position = match value {
                        "position" => true,
                        "name" | "" => false,
                        _ => return Err(wrong(key, value, "`position` or `name`")),
                    }
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let usual = Self::default();
        let quote = self.quote.map_or_else(|| NO_QUOTE.to_owned(), String::from);
        let all = [
            (DELIMITER[0], (self.delimiter != usual.delimiter).then(|| shown(self.delimiter))),
            (QUOTE, (self.quote != usual.quote).then_some(quote)),
            (ESCAPE[0], self.escape.map(shown)),
            (Self::COMMENT, self.comment.map(shown)),
            (Self::NULL, self.null.clone()),
            (Self::ENCODING, self.encoding.clone()),
            (Self::HEADER_LINES, (self.header_lines != usual.header_lines).then(|| self.header_lines.to_string())),
            (Self::COLUMNS, self.by_position.then(|| "position".to_owned())),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

impl JsonOptions {
    fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key.strip_prefix(Self::MAPPING) {
            Some("") => return Err(wrong(key, value, "the name of a column behind its dot")),
            Some(column) if value.is_empty() => _ = self.keys.remove(&column.to_lowercase()),
            Some(column) => _ = self.keys.insert(column.to_lowercase(), value.to_owned()),
            None if key == Self::DOTS => {
                self.dots = match value.to_ascii_lowercase().as_str() {
                    "true" => true,
                    "false" | "" => false,
                    _ => return Err(wrong(key, value, "`true` or `false`")),
                }
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let keys = self.keys.iter().map(|(column, key)| (format!("{}{column}", Self::MAPPING), key.clone()));
        keys.chain(self.dots.then(|| (Self::DOTS.to_owned(), "true".to_owned()))).collect()
    }
}

fn symbol(key: &str, value: &str, usual: Option<char>) -> Result<Option<char>> {
    match CsvOptions::symbol(value) {
        _ if value.is_empty() => Ok(usual),
        None => Err(wrong(key, value, "one character")),
        one => Ok(one),
    }
}

fn shown(symbol: char) -> String {
    if symbol == '\t' { "\\t".to_owned() } else { symbol.to_string() }
}

fn wrong(key: &str, value: &str, what: &str) -> Error {
    Error::new(Code::NotSupported, format!("the parameter `{key}` cannot be `{}`", value.escape_default()))
        .help(format!("give it {what}, or nothing for what is usual"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_what_their_parameters_set() {
        let odd = CsvOptions {
            delimiter: '\t',
            quote: None,
            escape: Some('\\'),
            header_lines: 0,
            by_position: true,
            null: Some("\\N".to_owned()),
            comment: Some('#'),
            encoding: Some("latin1".to_owned()),
        };
        let mapped = JsonOptions { keys: [("ts".to_owned(), "time.Stamp".to_owned())].into(), dots: true };
        for (wanted, usual) in [
            (Format::Csv(odd), Format::Csv(CsvOptions::default())),
            (Format::Json(mapped), Format::Json(JsonOptions::default())),
        ] {
            let mut format = usual.clone();
            for (key, value) in wanted.parameters() {
                assert!(format.set(&key, &value).unwrap(), "{key}");
            }
            assert_eq!(format, wanted);
            for (key, _) in wanted.parameters() {
                assert!(format.set(&key, "").unwrap(), "{key}");
            }
            assert_eq!(format, usual, "nothing sets what is usual");
            assert!(usual.parameters().is_empty());
            assert!(!format.set("classification", "x").unwrap(), "a parameter of the table");
        }
    }

    #[test]
    fn values_that_no_option_has() {
        let mut format = Format::Csv(CsvOptions::default());
        for (key, value) in [
            ("field.delim", "||"),
            ("quoteChar", "''"),
            ("skip.header.line.count", "-1"),
            ("unglue.columns", "both"),
            ("unglue.comment", "//"),
        ] {
            assert_eq!(format.set(key, value).unwrap_err().code, Code::NotSupported, "{key}");
        }
        assert_eq!(format, Format::Csv(CsvOptions::default()));
        let mut format = Format::Json(JsonOptions::default());
        for (key, value) in [("dots.in.keys", "maybe"), ("mapping.", "x")] {
            assert_eq!(format.set(key, value).unwrap_err().code, Code::NotSupported, "{key}");
        }
    }

    #[test]
    fn json_is_a_word_unless_there_is_more_to_say() {
        let plain = Format::Json(JsonOptions::default());
        assert_eq!(serde_json::to_string(&plain).unwrap(), "\"json\"");
        let mapped = Format::Json(JsonOptions { keys: [("a".to_owned(), "B".to_owned())].into(), dots: false });
        let written = serde_json::to_string(&mapped).unwrap();
        assert_eq!(written, r#"{"json_with":{"keys":{"a":"B"}}}"#);
        for format in [plain, mapped] {
            let read: Format = serde_json::from_str(&serde_json::to_string(&format).unwrap()).unwrap();
            assert_eq!(read, format);
        }
    }
}
