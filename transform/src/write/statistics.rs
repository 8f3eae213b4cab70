//! What a file's metadata says about its columns, kept with the commit.

use datafusion::scalar::ScalarValue;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};

use crate::partition::text_of;

/// Statistics of a column in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ColumnStatistics {
    /// Column.
    pub(crate) column: String,
    /// Rows in which it is NULL.
    pub(crate) nulls: u64,
    /// Smallest value as text, where the file knows it. Long texts may be cut to a smaller one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<String>,
    /// Largest value as text, where the file knows it. Long texts may be cut to a larger one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<String>,
}

/// Statistics of the columns that are not nested.
pub(super) fn of(metadata: &ParquetMetaData) -> Vec<ColumnStatistics> {
    let schema = metadata.file_metadata().schema_descr();
    let Ok(arrow_schema) = parquet_to_arrow_schema(schema, None) else {
        return Vec::new();
    };
    let flat = arrow_schema.fields().iter().filter(|field| !field.data_type().is_nested());
    flat.filter_map(|field| {
        let converter = StatisticsConverter::try_new(field.name(), &arrow_schema, schema).ok()?;
        let groups = metadata.row_groups();
        let nulls = converter.row_group_null_counts(groups).ok()?;
        let smallest = converter.row_group_mins(groups).ok()?;
        let largest = converter.row_group_maxes(groups).ok()?;
        let extreme = |values: &arrow::array::ArrayRef, better: std::cmp::Ordering| {
            (0..values.len())
                .filter_map(|row| ScalarValue::try_from_array(values, row).ok().filter(|value| !value.is_null()))
                .reduce(|best, value| if value.partial_cmp(&best) == Some(better) { value } else { best })
                .and_then(|value| text_of(&value).ok().flatten())
        };
        Some(ColumnStatistics {
            column: field.name().clone(),
            nulls: nulls.iter().flatten().sum(),
            min: extreme(&smallest, std::cmp::Ordering::Less),
            max: extreme(&largest, std::cmp::Ordering::Greater),
        })
    })
    .collect()
}
