//! What fits no column of a table, kept as JSON in one of its own (`unglue.schema_change` = `rescue`).

pub(super) mod text;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, not, nullif};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::LineDelimitedWriter;
use datafusion::common::nested_struct::cast_column;
use object_store::path::Path;

use crate::code::Code;
use crate::error::{Error, Result};
use crate::hive::HiveType;
use crate::infer::type_fits;

/// The key of the object's URL among what is kept of a row.
const FILE_PATH: &str = "_file_path";

/// A column's values in a type, NULL where they are none of it; and those others.
///
/// # Errors
/// [`Code::Internal`].
pub(super) fn divided(column: &ArrayRef, wanted: &DataType) -> Result<(ArrayRef, ArrayRef)> {
    let safe = CastOptions { safe: true, ..CastOptions::default() };
    if column.data_type().is_nested() || wanted.is_nested() {
        // What fits of it is there, and all of it is kept.
        let part = cast_column(column, wanted, &safe).unwrap_or_else(|_| new_null_array(wanted, column.len()));
        return Ok((part, Arc::clone(column)));
    }
    if !can_cast_types(column.data_type(), wanted) || !can_cast_types(wanted, column.data_type()) {
        return Ok((new_null_array(wanted, column.len()), Arc::clone(column)));
    }
    // A value is one of the type if it comes back from it as it was.
    let cast = cast_with_options(column, wanted, &safe).map_err(internal)?;
    let back = cast_with_options(&cast, column.data_type(), &safe).map_err(internal)?;
    let is_other = distinct(column, &back).map_err(internal)?;
    let is_same = not(&is_other).map_err(internal)?;
    Ok((nullif(&cast, &is_other).map_err(internal)?, nullif(column, &is_same).map_err(internal)?))
}

/// Whether a column of a table holds all that an object's has, fields of structs included.
pub(super) fn fits_whole(object: &DataType, table: &DataType) -> bool {
    match (HiveType::of(object), HiveType::of(table)) {
        (Ok(object), Ok(table)) => type_fits(&object, &table),
        _ => false,
    }
}

/// Rows as JSON objects with the URL of their object, NULL for those without any value.
///
/// # Errors
/// [`Code::UnsupportedType`] for a type that JSON cannot say.
pub(super) fn as_json(columns: Vec<(Field, ArrayRef)>, rows: usize, url: &str) -> Result<ArrayRef> {
    if columns.is_empty() {
        return Ok(new_null_array(&DataType::Utf8, rows));
    }
    let unwritable = |error: arrow::error::ArrowError| {
        Error::new(Code::UnsupportedType, format!("a column cannot be kept: {error}"))
    };
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(unwritable)?;
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&batch).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    let text = String::from_utf8(writer.into_inner()).map_err(internal)?;
    let lines: StringArray = text.lines().map(|line| object(members(line), url)).collect();
    if lines.len() != rows {
        return Err(Error::new(Code::Internal, format!("{} of {rows} rows were kept", lines.len())));
    }
    Ok(Arc::new(lines))
}

/// The members of a JSON object, without its braces.
pub(super) fn members(object: &str) -> &str {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
}

/// A JSON object of some members and the URL; `None` if there are none.
pub(super) fn object(members: &str, url: &str) -> Option<String> {
    let url = serde_json::Value::String(url.to_owned());
    (!members.is_empty()).then(|| format!("{{{members},\"{FILE_PATH}\":{url}}}"))
}

/// The URL of an object of a table, in whose bucket it lies.
pub(super) fn url(location: &str, path: &Path) -> String {
    let host = location.find("://").map_or(0, |scheme| scheme + "://".len());
    let base = location[host..].find('/').map_or(location, |slash| &location[..=host + slash]);
    format!("{base}{path}")
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Float64Array, Int64Array};
    use arrow::datatypes::{Date32Type, Int64Type};

    use super::*;

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn a_value_fits_if_it_comes_back_as_it_was() {
        let column = texts(&[Some("7"), Some("007"), Some("x"), None]);
        let (whole, rest) = divided(&column, &DataType::Int64).unwrap();
        assert_eq!(whole.as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(7), None, None, None]));
        assert_eq!(&rest, &texts(&[None, Some("007"), Some("x"), None]));

        let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(2.0), Some(1.5), Some(1e300), None]));
        let (whole, rest) = divided(&column, &DataType::Int64).unwrap();
        assert_eq!(whole.as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(2), None, None, None]));
        let expected: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(1.5), Some(1e300), None]));
        assert_eq!(&rest, &expected);

        let (whole, rest) = divided(&texts(&[Some("2026-11-25"), Some("25.11.2026")]), &DataType::Date32).unwrap();
        assert_eq!(whole.as_primitive::<Date32Type>().null_count(), 1);
        assert_eq!(&rest, &texts(&[None, Some("25.11.2026")]));
    }

    #[test]
    fn rows_with_something_left_are_json_with_their_object() {
        let url = "s3://b/raw/t/it's \"a\".parquet";
        let kept = as_json(
            vec![
                (Field::new("Extra", DataType::Utf8, true), texts(&[Some("x\ny"), None, None])),
                (Field::new("n", DataType::Float64, true), Arc::new(Float64Array::from(vec![None, None, Some(1.5)]))),
            ],
            3,
            url,
        )
        .unwrap();
        let kept: Vec<Option<serde_json::Value>> =
            kept.as_string::<i32>().iter().map(|text| text.map(|text| serde_json::from_str(text).unwrap())).collect();
        assert_eq!(kept[0], Some(serde_json::json!({"Extra": "x\ny", "_file_path": url})));
        assert_eq!(kept[1], None);
        assert_eq!(kept[2], Some(serde_json::json!({"n": 1.5, "_file_path": url})));
        assert_eq!(as_json(Vec::new(), 2, url).unwrap().null_count(), 2);
    }

    #[test]
    fn objects_lie_in_the_bucket_of_their_table() {
        let path = Path::parse("raw/t/a=1/b.csv").unwrap();
        assert_eq!(url("s3://bucket/raw/t/", &path), "s3://bucket/raw/t/a=1/b.csv");
        assert_eq!(url("file:///srv/raw/t/", &path), "file:///raw/t/a=1/b.csv");
        assert_eq!(url("memory://m/raw/t/", &path), "memory://m/raw/t/a=1/b.csv");
    }
}
