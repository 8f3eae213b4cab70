//! Partition values: Hive's coding of them in paths, and their text by type.
//!
//! Hive knows no empty string in a partition key: it writes `''` as the NULL partition, and so does this module. All other
//! values survive the way into a path and back.

use datafusion::common::ScalarValue;

use crate::code::Code;
use crate::error::{Error, Result};
use crate::hive::HiveType;

/// The value of a partition folder that stands for NULL.
const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The folder of a partition, `key=value/key2=value2`, without a `/` at either end.
#[allow(dead_code, reason = "for the writer")]
pub(crate) fn encode_path<K: AsRef<str>>(keys: impl IntoIterator<Item = K>, values: &[Option<String>]) -> String {
    let folders: Vec<String> = keys
        .into_iter()
        .zip(values)
        .map(|(key, value)| format!("{}={}", escape(key.as_ref()), encode_value(value.as_deref())))
        .collect();
    folders.join("/")
}

/// The keys and values of all folders of a path that have the form `key=value`; others are passed over.
#[allow(dead_code, reason = "for the reader of arrivals")]
pub(crate) fn decode_path(path: &str) -> Vec<(String, Option<String>)> {
    path.split('/').filter_map(decode_folder).collect()
}

/// The key and value of one folder name; `None` if it is not of the form `key=value`.
///
/// Any text has a meaning: escapes that are none, or whose bytes are not UTF-8, are kept as they are.
pub(crate) fn decode_folder(folder: &str) -> Option<(String, Option<String>)> {
    let (key, value) = folder.split_once('=')?;
    if key.is_empty() {
        return None;
    }
    let value = if value.is_empty() || value == NULL_VALUE { None } else { Some(unescape(value)) };
    Some((unescape(key), value))
}

fn encode_value(value: Option<&str>) -> String {
    match value {
        None | Some("") => NULL_VALUE.to_owned(),
        Some(NULL_VALUE) => format!("%{:02X}{}", NULL_VALUE.as_bytes()[0], &NULL_VALUE[1..]),
        Some(text) => escape(text),
    }
}

/// Escapes what Hive's `FileUtils.escapePathName` escapes, and NUL.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(c) {
            escaped.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex_digit(*high) * 16 + hex_digit(*low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The value that a partition's text has as the type of its key.
///
/// # Errors
/// [`Code::BadPartitionValue`] if the text has no value of this type, or the type can be no partition key.
pub(crate) fn value_of(text: &str, hive_type: &HiveType) -> Result<ScalarValue> {
    let value = match hive_type {
        HiveType::Boolean if text.eq_ignore_ascii_case("true") => Some(ScalarValue::Boolean(Some(true))),
        HiveType::Boolean if text.eq_ignore_ascii_case("false") => Some(ScalarValue::Boolean(Some(false))),
        HiveType::Boolean => None,
        HiveType::Decimal(_, scale) if !is_decimal(text, usize::from(*scale)) => None,
        HiveType::Binary | HiveType::Array(_) | HiveType::Map(..) | HiveType::Struct(_) => {
            return Err(not_a_key(hive_type));
        }
        _ => ScalarValue::from(text).cast_to(&hive_type.arrow()).ok(),
    };
    value.ok_or_else(|| {
        Error::new(Code::BadPartitionValue, format!("`{text}` is not a value of type {hive_type}"))
            .help("rename the folder, or change the type of the partition column in the catalog")
    })
}

/// Whether a text, if it is a decimal number, is a plain one that loses nothing at this scale: the cast would round. One
/// without digits is refused by the cast.
fn is_decimal(text: &str, scale: usize) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) && fraction.trim_end_matches('0').len() <= scale
}

/// The text of a value of a partition key; `None` for NULL and for the empty string, which Hive takes for NULL.
///
/// # Errors
/// [`Code::UnsupportedType`] if the type has no Hive counterpart, [`Code::BadPartitionValue`] if it can be no partition key.
#[allow(dead_code, reason = "for the writer")]
pub(crate) fn text_of(value: &ScalarValue) -> Result<Option<String>> {
    if value.is_null() {
        return Ok(None);
    }
    let hive_type = HiveType::of(&value.data_type())?;
    let bad = |error| {
        Error::new(Code::BadPartitionValue, format!("the value {value} cannot be written as {hive_type}"))
            .because(error)
    };
    let value = value.cast_to(&hive_type.arrow()).map_err(bad)?;
    let text = match (&hive_type, &value) {
        (HiveType::Binary | HiveType::Array(_) | HiveType::Map(..) | HiveType::Struct(_), _) => {
            return Err(not_a_key(&hive_type));
        }
        (_, ScalarValue::TimestampMicrosecond(Some(micros), _)) => {
            match chrono::DateTime::from_timestamp_micros(*micros) {
                Some(time) if micros.rem_euclid(1_000_000) == 0 => time.format("%Y-%m-%d %H:%M:%S").to_string(),
                Some(time) => time.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
                None => {
                    return Err(Error::new(Code::BadPartitionValue, format!("the timestamp {value} is out of range")));
                }
            }
        }
        _ => match value.cast_to(&arrow::datatypes::DataType::Utf8).map_err(bad)? {
            ScalarValue::Utf8(Some(text)) => text,
            other => return Err(Error::new(Code::Internal, format!("a cast to text gave {other}"))),
        },
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn not_a_key(hive_type: &HiveType) -> Error {
    Error::new(Code::BadPartitionValue, format!("a partition key cannot be of type {hive_type}"))
        .help("partition by a string, a number, a boolean, a date or a timestamp")
}

#[cfg(test)]
mod tests;
