//! `avro.schema.literal`: Athena reads Avro tables by the schema that their parameters hold, and not by their columns.

use arrow::datatypes::Schema;
use serde_json::{Value, json};

use super::sample::{Content, Sample};
use crate::format::Format;
use crate::source::AVRO_SCHEMA;
use crate::table::Table;

/// The parameter, and another that names an object which holds the schema.
const LITERAL: &str = "avro.schema.literal";
const URL: &str = "avro.schema.url";

/// Writes down the schema with all of a table's columns, from what it held and what objects declare. What does not know each
/// column is not written: a reader would not find it.
pub(super) fn remember(table: &mut Table, samples: &[Sample]) {
    if table.format != Format::Avro || table.parameters.contains_key(URL) {
        return;
    }
    let declared = samples.iter().filter_map(|sample| match &sample.content {
        Content::Declared { schema, .. } => literal_of(schema),
        Content::Text { .. } => None,
    });
    let known = table.parameters.get(LITERAL).and_then(|text| serde_json::from_str(text).ok());
    let Some(all) = known.into_iter().chain(declared).reduce(merged) else { return };
    let has_all = table.columns.iter().all(|column| fields(&all).iter().any(|field| is_named(field, &column.name)));
    if has_all {
        table.parameters.insert(LITERAL.to_owned(), all.to_string());
    }
}

fn literal_of(schema: &Schema) -> Option<Value> {
    serde_json::from_str(schema.metadata().get(AVRO_SCHEMA)?).ok()
}

/// The record with the fields of both. Where both have one, the wider type is taken; what only one has may be missing.
fn merged(mut known: Value, other: Value) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for field in fields(&known) {
        let twin = fields(&other).iter().find(|twin| is_named(twin, &name(field)));
        all.push(match twin {
            Some(twin) if is_wider(&twin["type"], &field["type"]) => twin.clone(),
            Some(_) => field.clone(),
            None => nullable(field.clone()),
        });
    }
    let is_new = |field: &&Value| !fields(&known).iter().any(|known| is_named(known, &name(field)));
    all.extend(fields(&other).iter().filter(is_new).cloned().map(nullable));
    known["fields"] = all.into();
    known
}

fn fields(record: &Value) -> &[Value] {
    record["fields"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn name(field: &Value) -> String {
    field["name"].as_str().unwrap_or_default().to_lowercase()
}

fn is_named(field: &Value, column: &str) -> bool {
    name(field) == column
}

/// Whether a type holds more numbers than another, NULL aside.
fn is_wider(a: &Value, b: &Value) -> bool {
    let plain = |value: &Value| match value {
        Value::Array(choices) => {
            choices.iter().filter_map(Value::as_str).find(|name| *name != "null").map(str::to_owned)
        }
        other => other.as_str().map(str::to_owned),
    };
    let (Some(a), Some(b)) = (plain(a), plain(b)) else { return false };
    matches!((a.as_str(), b.as_str()), ("long" | "float" | "double", "int") | ("double", "float"))
}

/// A field that an object may lack.
fn nullable(mut field: Value) -> Value {
    let choices = match field["type"].take() {
        Value::Array(choices) => choices,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    // The default is of the first type.
    let others = choices.into_iter().filter(|choice| choice != "null");
    field["type"] = std::iter::once(json!("null")).chain(others).collect();
    field["default"] = Value::Null;
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_several_objects() {
        let known = json!({"type": "record", "name": "r", "fields": [
            {"name": "Id", "type": "int"},
            {"name": "old", "type": {"type": "int", "logicalType": "date"}, "doc": "d"},
            {"name": "maybe", "type": ["string", "null"]},
        ]});
        let other = json!({"type": "record", "name": "s", "fields": [
            {"name": "new", "type": "string"},
            {"name": "id", "type": ["null", "long"]},
        ]});
        assert_eq!(
            merged(known.clone(), other),
            json!({"type": "record", "name": "r", "fields": [
                {"name": "id", "type": ["null", "long"]},
                {"name": "old", "type": ["null", {"type": "int", "logicalType": "date"}], "doc": "d", "default": null},
                {"name": "maybe", "type": ["null", "string"], "default": null},
                {"name": "new", "type": ["null", "string"], "default": null},
            ]})
        );
        assert_eq!(merged(known.clone(), known.clone()), known);
    }
}
