//! Hive types and their Arrow counterparts: total in one direction, fallible in the other, never falling back to string.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::error::{Error, Result};

/// A type of the Hive type language, as the Glue Data Catalog and Athena use it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HiveType {
    /// `boolean`
    Boolean,
    /// `tinyint`, 8 bits
    TinyInt,
    /// `smallint`, 16 bits
    SmallInt,
    /// `int`, 32 bits
    Int,
    /// `bigint`, 64 bits
    BigInt,
    /// `float`, 32 bits
    Float,
    /// `double`, 64 bits
    Double,
    /// `decimal(precision,scale)`
    Decimal(u8, u8),
    /// `string`
    String,
    /// `varchar(length)`
    Varchar(u32),
    /// `char(length)`
    Char(u32),
    /// `binary`
    Binary,
    /// `date`
    Date,
    /// `timestamp`, microseconds without time zone
    Timestamp,
    /// `array<element>`
    Array(Box<HiveType>),
    /// `map<key,value>`
    Map(Box<HiveType>, Box<HiveType>),
    /// `struct<name:type,...>`
    Struct(Vec<(String, HiveType)>),
}

impl HiveType {
    /// The Arrow type that a column of this type is read as and written from.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale as i8),
            Self::String | Self::Varchar(_) | Self::Char(_) => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Array(element) => DataType::List(Arc::new(Field::new_list_field(element.arrow(), true))),
            Self::Map(key, value) => {
                let entries =
                    Fields::from(vec![Field::new("key", key.arrow(), false), Field::new("value", value.arrow(), true)]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
            }
            Self::Struct(fields) => DataType::Struct(
                fields.iter().map(|(name, hive_type)| Field::new(name, hive_type.arrow(), true)).collect(),
            ),
        }
    }

    /// The Hive type that holds every value of an Arrow type.
    ///
    /// # Errors
    /// [`Code::UnsupportedType`] with the CAST that helps.
    pub fn of(data_type: &DataType) -> Result<Self> {
        let unsupported = |what: &str, help: &str| {
            Err(Error::new(Code::UnsupportedType, format!("Hive tables have no type for {what}")).help(help))
        };
        Ok(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::TinyInt,
            DataType::Int16 | DataType::UInt8 => Self::SmallInt,
            DataType::Int32 | DataType::UInt16 => Self::Int,
            DataType::Int64 | DataType::UInt32 => Self::BigInt,
            DataType::UInt64 => Self::Decimal(20, 0),
            DataType::Float16 | DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => match u8::try_from(*scale) {
                Ok(scale) if *precision <= 38 && scale <= *precision => Self::Decimal(*precision, scale),
                _ => {
                    return unsupported(
                        &format!("decimal({precision},{scale})"),
                        "CAST it to DECIMAL(p, s) with 0 <= s <= p <= 38",
                    );
                }
            },
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Binary
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(zone)) if is_utc(zone) => Self::Timestamp,
            DataType::Timestamp(_, Some(zone)) => {
                return unsupported(
                    &format!("a timestamp in time zone `{zone}`"),
                    "write CAST(x AT TIME ZONE 'UTC' AS TIMESTAMP)",
                );
            }
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::ListView(field)
            | DataType::LargeListView(field)
            | DataType::FixedSizeList(field, _) => Self::Array(Box::new(Self::of(field.data_type())?)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    Self::Map(Box::new(Self::of(fields[0].data_type())?), Box::new(Self::of(fields[1].data_type())?))
                }
                other => return unsupported(&format!("a map of {other}"), "CAST it"),
            },
            DataType::Struct(fields) if fields.is_empty() => {
                return unsupported("a struct without fields", "leave the column out");
            }
            DataType::Struct(fields) => Self::Struct(
                fields
                    .iter()
                    .map(|field| Ok((field.name().clone(), Self::of(field.data_type())?)))
                    .collect::<Result<_>>()?,
            ),
            DataType::Dictionary(_, value) => Self::of(value)?,
            DataType::RunEndEncoded(_, values) => Self::of(values.data_type())?,
            DataType::Null => {
                return unsupported(
                    "a column that is always NULL",
                    "write CAST(NULL AS VARCHAR), or the type it should have",
                );
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                return unsupported("a time of day", "CAST it to VARCHAR");
            }
            DataType::Duration(_) | DataType::Interval(_) => {
                return unsupported("an interval", "CAST it to VARCHAR, or compute a number with EXTRACT");
            }
            other => return unsupported(&format!("the type {other}"), "CAST it to a type that has one"),
        })
    }
}

/// Whether a type has other types inside.
pub(crate) fn is_nested(hive_type: &HiveType) -> bool {
    matches!(hive_type, HiveType::Array(_) | HiveType::Map(..) | HiveType::Struct(_))
}

/// Whether a time zone is another name of UTC, so that dropping it changes no value.
pub(crate) fn is_utc(zone: &str) -> bool {
    matches!(zone, "+00:00" | "UTC" | "Z" | "+00" | "+0000" | "Etc/UTC")
}

impl fmt::Display for HiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            Self::String => f.write_str("string"),
            Self::Varchar(length) => write!(f, "varchar({length})"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Array(element) => write!(f, "array<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (index, (name, hive_type)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{name}:{hive_type}")?;
                }
                f.write_str(">")
            }
        }
    }
}

impl From<HiveType> for String {
    fn from(hive_type: HiveType) -> Self {
        hive_type.to_string()
    }
}

impl TryFrom<String> for HiveType {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for HiveType {
    type Err = Error;

    /// Parses Hive type text, in any letter case and with spaces as people write them.
    fn from_str(text: &str) -> Result<Self> {
        let mut reader = Reader { text, rest: text };
        let hive_type = reader.hive_type(0)?;
        reader.skip_spaces();
        if reader.rest.is_empty() { Ok(hive_type) } else { reader.fail() }
    }
}

/// A recursive-descent reader of Hive type text.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self) -> Result<T> {
        let place = self.text.len() - self.rest.len() + 1;
        Err(Error::new(Code::UnsupportedType, format!("`{}` is not a Hive type (at character {place})", self.text))
            .help("for example `bigint`, `decimal(12,2)`, `array<string>` or `struct<a:int,b:date>`"))
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, symbol: char) -> bool {
        self.skip_spaces();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, symbol: char) -> Result<()> {
        if self.eat(symbol) { Ok(()) } else { self.fail() }
    }

    fn word(&mut self, part_of_word: impl Fn(char) -> bool) -> Result<&'a str> {
        self.skip_spaces();
        let end = self.rest.find(|c: char| !part_of_word(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return self.fail();
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word)
    }

    fn number<N: FromStr>(&mut self) -> Result<N> {
        let digits = self.word(|c| c.is_ascii_digit())?;
        digits.parse().or_else(|_| self.fail())
    }

    fn length(&mut self, max: u32) -> Result<u32> {
        self.expect('(')?;
        let length = self.number()?;
        self.expect(')')?;
        if (1..=max).contains(&length) { Ok(length) } else { self.fail() }
    }

    fn hive_type(&mut self, depth: usize) -> Result<HiveType> {
        if depth > 64 {
            return self.fail();
        }
        let start = self.rest;
        let word = self.word(|c| c.is_ascii_alphanumeric())?.to_ascii_lowercase();
        Ok(match word.as_str() {
            "boolean" => HiveType::Boolean,
            "tinyint" => HiveType::TinyInt,
            "smallint" => HiveType::SmallInt,
            "int" | "integer" => HiveType::Int,
            "bigint" => HiveType::BigInt,
            "float" | "real" => HiveType::Float,
            "double" => HiveType::Double,
            "string" => HiveType::String,
            "binary" => HiveType::Binary,
            "date" => HiveType::Date,
            "timestamp" => HiveType::Timestamp,
            "varchar" => HiveType::Varchar(self.length(65_535)?),
            "char" => HiveType::Char(self.length(255)?),
            "decimal" => {
                let (mut precision, mut scale) = (10, 0);
                if self.eat('(') {
                    precision = self.number()?;
                    if self.eat(',') {
                        scale = self.number()?;
                    }
                    self.expect(')')?;
                }
                if precision == 0 || precision > 38 || scale > precision {
                    self.rest = start;
                    return self.fail();
                }
                HiveType::Decimal(precision, scale)
            }
            "array" => {
                self.expect('<')?;
                let element = self.hive_type(depth + 1)?;
                self.expect('>')?;
                HiveType::Array(Box::new(element))
            }
            "map" => {
                self.expect('<')?;
                let key = self.hive_type(depth + 1)?;
                self.expect(',')?;
                let value = self.hive_type(depth + 1)?;
                self.expect('>')?;
                HiveType::Map(Box::new(key), Box::new(value))
            }
            "struct" => {
                self.expect('<')?;
                let mut fields = Vec::new();
                loop {
                    let name = self.word(|c| !matches!(c, ':' | '<' | '>' | ',' | ' '))?.to_owned();
                    self.expect(':')?;
                    fields.push((name, self.hive_type(depth + 1)?));
                    if !self.eat(',') {
                        break;
                    }
                }
                self.expect('>')?;
                HiveType::Struct(fields)
            }
            _ => {
                self.rest = start;
                return self.fail();
            }
        })
    }
}

#[cfg(test)]
mod tests;
