//! JSON keys as an object spells them: the catalog keeps lower-case names, producers write `orderId`.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use serde::de::IgnoredAny;

/// For each wanted column that the object spells in its own way, the key to look for.
///
/// `start` is the beginning of the object; what its complete lines do not show is taken to be spelt as in the catalog.
pub(super) fn spelling(start: &[u8], wanted: &Schema) -> BTreeMap<String, String> {
    let mut spelling = BTreeMap::new();
    for line in start.split_inclusive(|byte| *byte == b'\n') {
        // A line that is cut, or no object, tells nothing here; the decoder says what is wrong with it.
        let Ok(members) = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(line) else { continue };
        for key in members.keys() {
            let column = key.to_lowercase();
            if column != *key && !members.contains_key(&column) && wanted.field_with_name(&column).is_ok() {
                spelling.entry(column).or_insert_with(|| key.clone());
            }
        }
    }
    spelling
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};

    #[test]
    fn finds_keys_that_differ_by_letter_case_only() {
        let wanted =
            Schema::new(["orderid", "amount", "note"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec());
        let start =
            b"{\"orderId\": 1, \"amount\": 2}\n{\"ORDERID\": 3, \"Note\": {\"a\": [1]}, \"Other\": 1}\n{\"Amount\":";
        let found = spelling(start, &wanted);
        assert_eq!(found, BTreeMap::from([("orderid".into(), "orderId".into()), ("note".into(), "Note".into())]));
    }
}
