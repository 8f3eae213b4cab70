//! Columns of Parquet, and the fields of nested ones, are matched to the table's by name, ignoring letter case, and only read into types that
//! hold them.
//!
//! The catalog keeps lower-case names while files keep what their writer chose. DataFusion matches exactly and reads a
//! column that it does not find as NULL, which would lose data in silence.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use super::nested::{Aligned, aligned};
use super::to_datafusion;
use crate::code::Code;
use crate::error::Error;
use crate::hive::HiveType;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct ByName;

impl PhysicalExprAdapterFactory for ByName {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let renamed = rename(&table, &file).map_err(to_datafusion)?;
        check_types(&table, &renamed).map_err(to_datafusion)?;
        let inner = DefaultPhysicalExprAdapterFactory.create(table, Arc::new(renamed.clone()))?;
        Ok(Arc::new(Renaming { inner, file, renamed }))
    }
}

/// Adapts to the file's columns under the table's names, then gives them back the names they have in the file.
#[derive(Debug)]
struct Renaming {
    inner: Arc<dyn PhysicalExprAdapter>,
    file: SchemaRef,
    renamed: Schema,
}

impl PhysicalExprAdapter for Renaming {
    fn rewrite(&self, expression: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        self.inner
            .rewrite(expression)?
            .transform(|node| {
                Ok(match node.downcast_ref::<Column>() {
                    Some(column) => {
                        let (own, renamed) = (self.file.field(column.index()), self.renamed.field(column.index()));
                        let values: Arc<dyn PhysicalExpr> = Arc::new(Column::new(own.name(), column.index()));
                        Transformed::yes(if own.data_type() == renamed.data_type() {
                            values
                        } else {
                            Arc::new(Aligned { values, table: renamed.data_type().clone() })
                        })
                    }
                    None => Transformed::no(node),
                })
            })
            .data()
    }
}

/// The file's schema under the table's names.
///
/// # Errors
/// [`Code::ColumnMismatch`] if no column is known, or two fit one name.
pub(super) fn rename(table: &Schema, file: &Schema) -> crate::error::Result<Schema> {
    let mut known = Vec::new();
    let mut fields = Vec::with_capacity(file.fields().len());
    for field in file.fields() {
        let Some(wanted) = table.fields().iter().find(|wanted| wanted.name().eq_ignore_ascii_case(field.name())) else {
            fields.push(field.as_ref().clone());
            continue;
        };
        if known.contains(&wanted.name()) {
            return Err(Error::new(Code::ColumnMismatch, format!("the object has two columns `{}`", wanted.name()))
                .help("names that differ only by letter case cannot be told apart in the catalog"));
        }
        known.push(wanted.name());
        let data_type = aligned(field.data_type(), wanted.data_type());
        fields.push(field.as_ref().clone().with_name(wanted.name()).with_data_type(data_type));
    }
    if known.is_empty() && !table.fields().is_empty() {
        let names = |schema: &Schema| {
            schema.fields().iter().take(8).map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(", ")
        };
        return Err(Error::new(
            Code::ColumnMismatch,
            format!("the object has none of the table's columns; it has {}", names(file)),
        )
        .help(format!("the table has {}; move the object to the table it belongs to", names(table))));
    }
    Ok(Schema::new(fields))
}

/// Refuses an object, of which `renamed` is the schema under the table's names, with values that the table's types do not hold.
///
/// # Errors
/// [`Code::ColumnMismatch`].
pub(super) fn check_types(table: &Schema, renamed: &Schema) -> crate::error::Result<()> {
    for field in renamed.fields() {
        if let Ok(wanted) = table.field_with_name(field.name())
            && !fits(field.data_type(), wanted.data_type())
        {
            return Err(Error::new(
                Code::ColumnMismatch,
                format!("column `{}` is {} in the object, {} in the table", wanted.name(), hive(field), hive(wanted)),
            )
            .help("write the object with the table's type, or change the table"));
        }
    }
    Ok(())
}

fn hive(field: &Field) -> String {
    HiveType::of(field.data_type()).map_or_else(|_| field.data_type().to_string(), |hive_type| hive_type.to_string())
}

/// Whether every value of the file's type is a value of the table's.
fn fits(file: &DataType, table: &DataType) -> bool {
    use HiveType as H;
    let (Ok(from), Ok(to)) = (HiveType::of(file), HiveType::of(table)) else {
        return false;
    };
    let rank = |hive_type: &H| match hive_type {
        H::TinyInt => Some(3),
        H::SmallInt => Some(5),
        H::Int => Some(10),
        H::BigInt => Some(19),
        _ => None,
    };
    match (&from, &to) {
        (H::Array(from), H::Array(to)) => fits(&from.arrow(), &to.arrow()),
        // Struct fields are matched by name inside DataFusion's own cast; missing ones are NULL.
        (H::Struct(_), H::Struct(_)) | (H::Map(..), H::Map(..)) => true,
        (H::Decimal(p1, s1), H::Decimal(p2, s2)) => s1 <= s2 && p1 - s1 <= p2 - s2,
        (integer, H::Decimal(precision, scale)) => rank(integer).is_some_and(|digits| digits <= precision - scale),
        (H::Float, H::Double) | (H::Date, H::Timestamp) | (H::TinyInt | H::SmallInt | H::Int, H::Double) => true,
        (from, to) if from == to => true,
        (from, to) => matches!((rank(from), rank(to)), (Some(from), Some(to)) if from <= to),
    }
}
