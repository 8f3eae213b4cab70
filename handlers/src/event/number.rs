//! Counts that some senders write as numbers and others as text.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// A count: absent, a number, or a number as text.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let count = match &value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    count.map(Some).ok_or_else(|| D::Error::custom(format!("`{value}` is not a count")))
}
