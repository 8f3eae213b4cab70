//! How the objects of a table are encoded.

mod parameters;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How the objects of a table are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Format {
    /// Delimited text.
    Csv(CsvOptions),
    /// JSON objects: one a line, one after the other over several lines, or in one array.
    Json(JsonOptions),
    /// Parquet.
    Parquet,
    /// Avro's container files.
    Avro,
    /// ORC.
    Orc,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv(_) => "csv",
            Self::Json(_) => "json",
            Self::Parquet => "parquet",
            Self::Avro => "avro",
            Self::Orc => "orc",
        })
    }
}

/// A [`Format`] as it is kept: JSON is a word while there is nothing more to say of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Csv(CsvOptions),
    Json,
    #[serde(rename = "json_with")]
    JsonWith(JsonOptions),
    Parquet,
    Avro,
    Orc,
}

impl From<Written> for Format {
    fn from(written: Written) -> Self {
        match written {
            Written::Csv(options) => Self::Csv(options),
            Written::Json => Self::Json(JsonOptions::default()),
            Written::JsonWith(options) => Self::Json(options),
            Written::Parquet => Self::Parquet,
            Written::Avro => Self::Avro,
            Written::Orc => Self::Orc,
        }
    }
}

impl From<Format> for Written {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv(options) => Self::Csv(options),
            Format::Json(options) if options == JsonOptions::default() => Self::Json,
            Format::Json(options) => Self::JsonWith(options),
            Format::Parquet => Self::Parquet,
            Format::Avro => Self::Avro,
            Format::Orc => Self::Orc,
        }
    }
}

/// Options of [`Format::Json`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonOptions {
    /// Columns whose key is another than their name, with that key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// Whether a dot in a key is an underscore in the name of its column.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dots: bool,
}

impl JsonOptions {
    /// What begins the names of parameters that name a column, and have its key for a value.
    pub const MAPPING: &'static str = "mapping.";
    /// The parameter of [`JsonOptions::dots`].
    pub const DOTS: &'static str = "dots.in.keys";
}

/// Options of [`Format::Csv`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvOptions {
    /// Between fields.
    pub delimiter: char,
    /// Round fields that may hold delimiters and line breaks; `None` where quotes are part of the values.
    pub quote: Option<char>,
    /// Before a character that means itself: inside quotes, or anywhere if nothing is quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    /// Lines at the start of each object that are no rows.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub header_lines: u32,
    /// Whether the fields are the table's columns in their order, even if there is a header.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_position: bool,
    /// What stands for NULL, beside the empty field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null: Option<String>,
    /// At the start of lines that are no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// The characters' encoding, by its label in the WHATWG Encoding Standard; UTF-8 if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: ',',
            quote: Some('"'),
            escape: None,
            header_lines: 1,
            by_position: false,
            null: None,
            comment: None,
            encoding: None,
        }
    }
}

impl CsvOptions {
    /// Parameters that are called alike in all SerDes: how many lines at the start of an object are no rows, what stands for NULL, and
    /// the characters' encoding.
    pub const HEADER_LINES: &'static str = "skip.header.line.count";
    /// See [`CsvOptions::HEADER_LINES`].
    pub const NULL: &'static str = "serialization.null.format";
    /// See [`CsvOptions::HEADER_LINES`].
    pub const ENCODING: &'static str = "serialization.encoding";
    /// Parameters of unglue's own, which other engines pass over: what begins a line that is no row; and `position` where the fields
    /// are the table's columns in their order although there is a header.
    pub const COMMENT: &'static str = "unglue.comment";
    /// See [`CsvOptions::COMMENT`].
    pub const COLUMNS: &'static str = "unglue.columns";

    /// Whether the last line of the header names the columns of its object.
    pub fn has_names(&self) -> bool {
        self.header_lines > 0 && !self.by_position
    }
}

fn one() -> u32 {
    1
}

// serde calls these with references.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_one(lines: &u32) -> bool {
    *lines == 1
}

#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}
