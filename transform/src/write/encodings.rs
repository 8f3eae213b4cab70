//! How the values of each column are encoded, decided once for a run from its first rows.
//!
//! A dictionary that does not pay costs more than anything else in writing: every value is hashed, and each file and column
//! keeps a table, until it turns out too large.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::{SchemaDescriptor, TypePtr};

use crate::code::Code;
use crate::error::{Error, Result};

/// Rows that are looked at, and values of a column within them.
pub(super) const SAMPLE: usize = 4096;
/// With fewer rows nothing can be told, and nothing is at stake.
const LEAST: usize = 128;
/// A dictionary pays where each of its values stands for this many rows.
const ROWS_FOR_VALUE: usize = 5;
/// So many values are few, whether or not more are to come.
const FEW_VALUES: usize = 64;

/// Settings with the encoding of each column of `schema`, those within nested ones too, by the rows of a sample of one partition.
/// Where the project says which columns have dictionaries (`asked`), that stands.
///
/// Integers have a dictionary or differences, never both: Parquet's encoder of differences sets a megabyte aside in each open
/// file, also where it only waits for a dictionary to become too large.
///
/// # Errors
/// [`Code::Internal`].
pub(super) fn chosen(
    properties: &WriterProperties,
    schema: &TypePtr,
    asked: bool,
    sample: &[ArrayRef],
) -> Result<WriterProperties> {
    let mut builder = properties.clone().into_builder();
    let mut columns = Vec::new();
    sample.iter().for_each(|values| flatten(values, &mut columns));
    for (column, values) in SchemaDescriptor::new(TypePtr::clone(schema)).columns().iter().zip(columns) {
        let path = column.path().clone();
        let can_differ = is_integer(values.data_type());
        let has_dictionary = if asked || values.len() < LEAST {
            properties.dictionary_enabled(&path)
        } else {
            repeats(&values, can_differ)?
        };
        if can_differ && !has_dictionary {
            builder = builder.set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        builder = builder.set_column_dictionary_enabled(path, has_dictionary);
    }
    Ok(builder.build())
}

/// The values as Parquet keeps them: those of nested columns in columns of their own, one behind the other.
fn flatten(values: &ArrayRef, into: &mut Vec<ArrayRef>) {
    match values.data_type() {
        DataType::Struct(_) => values.as_struct().columns().iter().for_each(|column| flatten(column, into)),
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            let (from, to) = ends(list.value_offsets());
            flatten(&list.values().slice(from, to - from), into);
        }
        DataType::Map(..) => {
            let map = values.as_map();
            let (from, to) = ends(map.value_offsets());
            let entries = map.entries().slice(from, to - from);
            entries.columns().iter().for_each(|column| flatten(column, into));
        }
        _ => into.push(values.slice(0, values.len().min(SAMPLE))),
    }
}

/// Where the values of all lists begin and end.
fn ends(offsets: &[i32]) -> (usize, usize) {
    let end = |offset: Option<&i32>| offset.map_or(0, |offset| *offset as usize);
    (end(offsets.first()), end(offsets.last()))
}

/// Whether values come back so often that a dictionary pays. Where there is another way (`can_differ`), it does not pay for
/// values that come back only right away, as those of a sorted key: there are always more to come.
fn repeats(values: &ArrayRef, can_differ: bool) -> Result<bool> {
    if *values.data_type() == DataType::Boolean {
        return Ok(false);
    }
    let mut hashes = vec![0; values.len()];
    create_hashes([values], &RandomState::with_seed(0), &mut hashes)
        .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let mut distinct = HashSet::new();
    let mut of_first_half = 0;
    for (row, hash) in hashes.into_iter().enumerate() {
        if row == values.len() / 2 {
            of_first_half = distinct.len();
        }
        if values.is_valid(row) {
            distinct.insert(hash);
        }
    }
    let distinct = distinct.len();
    let come_back = distinct * ROWS_FOR_VALUE <= values.len() - values.null_count();
    let go_on = can_differ && distinct > FEW_VALUES && distinct - of_first_half > of_first_half / 2;
    Ok(come_back && !go_on)
}

/// Whether Parquet keeps the type as a 32 or 64 bit integer.
fn is_integer(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(precision, _) => *precision <= 18,
        DataType::Date32 | DataType::Timestamp(..) => true,
        other => other.is_signed_integer(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Int64Array, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray};
    use arrow::array::{Int64Builder, ListArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Schema};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::schema::types::ColumnPath;

    use super::*;

    fn settings(values: ArrayRef, asked: bool) -> (bool, Option<Encoding>) {
        let (properties, columns) = chosen_for(values, asked);
        let path = ColumnPath::from("c");
        assert_eq!(columns, ["c"]);
        (properties.dictionary_enabled(&path), properties.encoding(&path))
    }

    /// Settings for a column `c`, and what Parquet calls its columns.
    fn chosen_for(values: ArrayRef, asked: bool) -> (WriterProperties, Vec<String>) {
        let schema = Schema::new(vec![Field::new("c", values.data_type().clone(), true)]);
        let schema = ArrowSchemaConverter::new().convert(&schema).unwrap();
        let columns = schema.columns().iter().map(|column| column.path().string()).collect();
        let properties = WriterProperties::builder().build();
        (chosen(&properties, &schema.root_schema_ptr(), asked, &[values]).unwrap(), columns)
    }

    #[test]
    fn dictionaries_are_for_values_that_come_back() {
        let names =
            |distinct: i64| Arc::new((0..1000).map(|i| Some(format!("{}", i % distinct))).collect::<StringArray>());
        assert_eq!(settings(names(200), false), (true, None));
        assert_eq!(settings(names(201), false), (false, None));
        assert_eq!(settings(names(1000), true), (true, None), "the default of the settings, or what they say");
        let few: ArrayRef = Arc::new((0..100).collect::<Int64Array>());
        assert!(settings(few, false).0, "nothing is known from few rows");
        let nulls: ArrayRef = Arc::new((0..1000).map(|i| (i % 2 == 0).then_some(i)).collect::<Int64Array>());
        assert!(!settings(nulls, false).0);
    }

    #[test]
    fn columns_within_nested_ones_are_like_others() {
        let number: ArrayRef = Arc::new((0..1000).collect::<Int64Array>());
        let mode: ArrayRef = Arc::new((0..1000).map(|i| Some(format!("{}", i % 7))).collect::<StringArray>());
        let lines = StructArray::from(RecordBatch::try_from_iter([("number", number), ("mode", mode)]).unwrap());
        let item = Arc::new(Field::new("item", lines.data_type().clone(), true));
        let lists = ListArray::new(item, OffsetBuffer::from_lengths([5; 200]), Arc::new(lines), None);
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for row in 0..200 {
            maps.keys().append_value("always");
            maps.values().append_value(row);
            maps.append(true).unwrap();
        }
        let columns: [(&str, ArrayRef); 2] = [("lists", Arc::new(lists)), ("maps", Arc::new(maps.finish()))];
        let both: ArrayRef = Arc::new(StructArray::from(RecordBatch::try_from_iter(columns).unwrap()));
        for values in [Arc::clone(&both), both.slice(40, 150)] {
            let (properties, columns) = chosen_for(values, false);
            let chosen = columns.iter().map(|name| {
                let path = ColumnPath::new(name.split('.').map(str::to_owned).collect());
                (name.as_str(), properties.dictionary_enabled(&path), properties.encoding(&path))
            });
            let differences = Some(Encoding::DELTA_BINARY_PACKED);
            let expected = [
                ("c.lists.list.item.number", false, differences),
                ("c.lists.list.item.mode", true, None),
                ("c.maps.entries.keys", true, None),
                ("c.maps.entries.values", false, differences),
            ];
            assert_eq!(chosen.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn integers_are_packed_whatever_they_stand_for() {
        let decimals = |precision| {
            let values = Decimal128Array::from_iter_values(0..1000).with_precision_and_scale(precision, 2).unwrap();
            settings(Arc::new(values), false).1
        };
        assert_eq!(decimals(18), Some(Encoding::DELTA_BINARY_PACKED));
        assert_eq!(decimals(19), None, "these are bytes");
    }

    #[test]
    fn integers_have_a_dictionary_or_differences() {
        let integers = |value: fn(i64) -> i64| -> ArrayRef { Arc::new((0..4000).map(value).collect::<Int64Array>()) };
        let (dictionary, differences) = ((true, None), (false, Some(Encoding::DELTA_BINARY_PACKED)));
        assert_eq!(settings(integers(|i| i % 200), false), dictionary);
        assert_eq!(settings(integers(|i| i), false), differences);
        assert_eq!(settings(integers(|i| i / 8), false), differences, "a sorted key: there are always more");
        assert_eq!(settings(integers(|i| i / 100), false), dictionary, "so few that more do not matter");
        assert_eq!(settings(integers(|i| i), true), dictionary, "the default of the settings, or what they say");
        let texts = (0..4000).map(|i| Some(format!("{}", i / 8))).collect::<StringArray>();
        assert_eq!(settings(Arc::new(texts), false), (true, None), "texts have no other way");
    }
}
