//! The schema of Parquet, Avro and ORC objects, as they declare it themselves.

use arrow::datatypes::Schema as ArrowSchema;

use super::{Schema, Seen};
use crate::code::Code;
use crate::error::Error;
use crate::hive::HiveType;

/// The columns of an object that declares them. A column of a type that Hive does not know is a finding and left out.
pub(crate) fn infer_declared(arrow: &ArrowSchema, rows: i64) -> Schema {
    let mut schema = Schema { has_rows: rows > 0, ..Schema::default() };
    for field in arrow.fields() {
        let name = field.name().to_lowercase();
        if schema.columns.iter().any(|(column, _)| *column == name) {
            schema.findings.push(
                Error::new(
                    Code::ColumnMismatch,
                    format!("there are two columns `{name}`, ignoring letter case; the second was left out"),
                )
                .help("rename one of them"),
            );
            continue;
        }
        match HiveType::of(field.data_type()) {
            Ok(hive_type) => {
                schema.spell(&name, field.name());
                schema.columns.push((name, Seen::Declared(hive_type)));
            }
            Err(error) => schema.findings.push(
                Error::new(error.code, format!("the column `{name}` was left out: {}", error.message))
                    .help("write the column with a type that Hive tables have"),
            ),
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, TimeUnit};

    use super::*;

    #[test]
    fn names_are_lower_case_and_types_those_of_hive() {
        let arrow = ArrowSchema::new(vec![
            Field::new("Id", DataType::UInt32, false),
            Field::new("at", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), true),
            Field::new("span", DataType::Time64(TimeUnit::Microsecond), true),
            Field::new("ID", DataType::Utf8, true),
        ]);
        let schema = infer_declared(&arrow, 1);
        assert_eq!(
            schema.columns,
            [
                ("id".to_owned(), Seen::Declared(HiveType::BigInt)),
                ("at".to_owned(), Seen::Declared(HiveType::Timestamp))
            ]
        );
        let codes: Vec<_> = schema.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::UnsupportedType, Code::ColumnMismatch]);
        assert!(schema.has_rows);
        assert!(!infer_declared(&arrow, 0).has_rows);
    }
}
