//! Fields of nested columns under the table's names, ignoring letter case as for columns: casts match them exactly, and what they
//! do not find is NULL.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, RecordBatch, StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use arrow::error::ArrowError;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use crate::infer::twin;

/// A type of an object with the names that the table's has for its fields.
pub(super) fn aligned(object: &DataType, table: &DataType) -> DataType {
    let same = |object: &FieldRef, table: &FieldRef| -> FieldRef {
        let data_type = aligned(object.data_type(), table.data_type());
        Arc::new(object.as_ref().clone().with_data_type(data_type))
    };
    match (object, table) {
        (DataType::Struct(object), DataType::Struct(table)) => {
            let names = || table.iter().map(|field| field.name().as_str());
            let has = |name: &str| object.iter().any(|field| field.name() == name);
            let fields = object.iter().map(|field| match twin(names(), field.name(), has) {
                Some(place) => Arc::new(same(field, &table[place]).as_ref().clone().with_name(table[place].name())),
                None => Arc::clone(field),
            });
            DataType::Struct(fields.collect())
        }
        (DataType::List(object), DataType::List(table)) => DataType::List(same(object, table)),
        (DataType::LargeList(object), DataType::List(table)) => DataType::LargeList(same(object, table)),
        (DataType::FixedSizeList(object, size), DataType::List(table)) => {
            DataType::FixedSizeList(same(object, table), *size)
        }
        (DataType::Map(object, sorted), DataType::Map(table, _)) => match (object.data_type(), table.data_type()) {
            // Its two fields are found by their places.
            (DataType::Struct(entries), DataType::Struct(wanted)) if entries.len() == 2 && wanted.len() == 2 => {
                let entries: Fields = entries.iter().zip(wanted).map(|(object, table)| same(object, table)).collect();
                let entries = object.as_ref().clone().with_data_type(DataType::Struct(entries));
                DataType::Map(Arc::new(entries), *sorted)
            }
            _ => DataType::Map(Arc::clone(object), *sorted),
        },
        (object, _) => object.clone(),
    }
}

/// The same values with the fields named as in a type that [`aligned`] made of theirs.
///
/// # Errors
/// If it is another type.
pub(super) fn renamed(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if values.data_type() == to {
        return Ok(Arc::clone(values));
    }
    Ok(match (values.data_type(), to) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let (_, columns, nulls) = values.as_struct().clone().into_parts();
            let columns = columns.iter().zip(fields).map(|(column, field)| renamed(column, field.data_type()));
            let columns = columns.collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, values.len())?)
        }
        (DataType::List(_), DataType::List(field)) => renamed_list::<i32>(values, field)?,
        (DataType::LargeList(_), DataType::LargeList(field)) => renamed_list::<i64>(values, field)?,
        (DataType::FixedSizeList(..), DataType::FixedSizeList(field, size)) => {
            let (_, _, elements, nulls) = values.as_fixed_size_list().clone().into_parts();
            let elements = renamed(&elements, field.data_type())?;
            Arc::new(FixedSizeListArray::try_new(Arc::clone(field), *size, elements, nulls)?)
        }
        (DataType::Map(..), DataType::Map(field, sorted)) => {
            let (_, offsets, entries, nulls, _) = values.as_map().clone().into_parts();
            let entries = renamed(&(Arc::new(entries) as ArrayRef), field.data_type())?;
            Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries.as_struct().clone(), nulls, *sorted)?)
        }
        (of, to) => return Err(ArrowError::CastError(format!("the fields of {of} are not those of {to}"))),
    })
}

fn renamed_list<Offset: OffsetSizeTrait>(values: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let (_, offsets, elements, nulls) = values.as_list::<Offset>().clone().into_parts();
    let elements = renamed(&elements, field.data_type())?;
    Ok(Arc::new(GenericListArray::try_new(Arc::clone(field), offsets, elements, nulls)?))
}

/// An expression with the fields of its values under the names of the table's type.
#[derive(Debug, Eq)]
pub(super) struct Aligned {
    pub(super) values: Arc<dyn PhysicalExpr>,
    pub(super) table: DataType,
}

// Not derived: https://github.com/rust-lang/rust/issues/78808
impl PartialEq for Aligned {
    fn eq(&self, other: &Self) -> bool {
        self.values.eq(&other.values) && self.table == other.table
    }
}

impl Hash for Aligned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.values.hash(state);
        self.table.hash(state);
    }
}

impl fmt::Display for Aligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}

impl PhysicalExpr for Aligned {
    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        let values = self.values.evaluate(batch)?.into_array(batch.num_rows())?;
        let to = aligned(values.data_type(), &self.table);
        Ok(ColumnarValue::Array(renamed(&values, &to)?))
    }

    fn return_field(&self, input_schema: &Schema) -> DataFusionResult<FieldRef> {
        let field: Field = self.values.return_field(input_schema)?.as_ref().clone();
        let data_type = aligned(field.data_type(), &self.table);
        Ok(Arc::new(field.with_data_type(data_type)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.values]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let values = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.values));
        Ok(Arc::new(Self { values, table: self.table.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, LargeListArray, ListArray, StringArray};
    use arrow::buffer::OffsetBuffer;

    use super::*;
    use crate::hive::HiveType;

    fn hive(text: &str) -> DataType {
        text.parse::<HiveType>().unwrap().arrow()
    }

    fn of(object: &str, table: &str) -> String {
        HiveType::of(&aligned(&hive(object), &hive(table))).unwrap().to_string()
    }

    #[test]
    fn fields_are_found_in_any_letter_case_at_every_depth() {
        for (object, table, wanted) in [
            ("struct<firstName:string,X:int>", "struct<x:int,firstname:string>", "struct<firstname:string,x:int>"),
            (
                "array<struct<A:array<struct<B:int>>>>",
                "array<struct<a:array<struct<b:int>>>>",
                "array<struct<a:array<struct<b:int>>>>",
            ),
            ("map<string,struct<A:int>>", "map<string,struct<a:bigint>>", "map<string,struct<a:int>>"),
            ("struct<a:int,A:int>", "struct<a:int>", "struct<a:int,A:int>"),
            ("struct<B:int>", "struct<a:int>", "struct<B:int>"),
            ("struct<A:int>", "array<int>", "struct<A:int>"),
        ] {
            assert_eq!(of(object, table), wanted, "{object} in {table}");
        }
    }

    #[test]
    fn lists_of_every_kind() {
        let field = || Arc::new(Field::new_list_field(hive("struct<Sku:string>"), true));
        let structs = || -> ArrayRef {
            let skus: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
            Arc::new(StructArray::from(vec![(Arc::new(Field::new("Sku", DataType::Utf8, true)), skus)]))
        };
        let ones = || OffsetBuffer::<i64>::from_lengths([1, 1]);
        for list in [
            Arc::new(ListArray::new(field(), OffsetBuffer::from_lengths([1, 1]), structs(), None)) as ArrayRef,
            Arc::new(LargeListArray::new(field(), ones(), structs(), None)),
            Arc::new(FixedSizeListArray::new(field(), 1, structs(), None)),
        ] {
            let to = aligned(list.data_type(), &hive("array<struct<sku:string>>"));
            let renamed = renamed(&list, &to).unwrap();
            assert_eq!(renamed.data_type(), &to);
            assert!(to.to_string().contains("\"sku\"") && renamed.len() == 2, "{to}");
        }
        let number: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(renamed(&number, &DataType::Utf8).is_err(), "never lost in silence");
    }

    #[test]
    fn values_stay_as_they_are() {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let ages: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let person: ArrayRef = Arc::new(StructArray::from(vec![
            (Arc::new(Field::new("firstName", DataType::Utf8, true)), Arc::clone(&names)),
            (Arc::new(Field::new("Age", DataType::Int32, true)), Arc::clone(&ages)),
        ]));
        let to = aligned(person.data_type(), &hive("struct<age:int,firstname:string>"));
        let person = renamed(&person, &to).unwrap();
        assert_eq!(person.as_struct().column_by_name("firstname"), Some(&names));
        assert_eq!(person.as_struct().column_by_name("age"), Some(&ages));
    }
}
