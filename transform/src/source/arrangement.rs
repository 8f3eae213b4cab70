//! The columns of objects that declare them, as the table has them: by name, in its types.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::nested_struct::cast_column;

use super::names::{check_types, rename};
use super::nested;
use super::reader::ObjectReader;
use super::rescue::{self, fits_whole};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::schema_change::RESCUED;

/// How the columns of an object become those that are wanted of its table.
#[derive(Debug)]
pub(super) struct Arrangement {
    /// The object's columns under the table's names.
    object: Schema,
    /// The object's columns as it names them.
    own: Schema,
    columns: Schema,
    wanted: SchemaRef,
    /// The object's URL, if what fits nowhere is kept.
    rescues: Option<String>,
    /// Values of the table's keys are told by the place of an object.
    keys: Vec<String>,
}

impl Arrangement {
    /// # Errors
    /// [`Code::ColumnMismatch`] if the object has no column of the table, two of one name, or, unless such values are rescued, one
    /// of a type that the table's does not hold.
    pub(super) fn new(reader: &ObjectReader, object: &Schema, path: &object_store::path::Path) -> Result<Self> {
        let rescues = reader.rescues().then(|| rescue::url(&reader.table.location, path));
        let columns =
            super::fields(reader.table.columns.iter().filter(|column| rescues.is_none() || column.name != RESCUED));
        let columns = Schema::new(columns);
        let renamed = rename(&columns, object)?;
        if rescues.is_none() {
            check_types(&columns, &renamed)?;
        }
        let keys = reader.table.partition_keys.iter().map(|key| key.name.clone()).collect();
        Ok(Self { object: renamed, own: object.clone(), columns, wanted: Arc::clone(&reader.wanted), rescues, keys })
    }

    /// Of an object's columns those that have to be read.
    pub(super) fn needed(&self) -> Vec<usize> {
        let all = 0..self.object.fields().len();
        if self.rescues.is_some() {
            return all.collect();
        }
        all.filter(|place| self.wanted.column_with_name(self.object.field(*place).name()).is_some()).collect()
    }

    /// The same for batches that have only some of the object's columns.
    ///
    /// # Errors
    /// [`Code::Internal`] for a place where no column is.
    pub(super) fn only(self, places: &[usize]) -> Result<Self> {
        let project =
            |schema: &Schema| schema.project(places).map_err(|error| Error::new(Code::Internal, error.to_string()));
        Ok(Self { object: project(&self.object)?, own: project(&self.own)?, ..self })
    }

    /// The wanted columns of a batch; NULL where it has none.
    ///
    /// # Errors
    /// [`Code::BadRecord`] for a value that its column cannot hold.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (divided, rescued) = match &self.rescues {
            Some(url) => self.divided(batch, url)?,
            None => (BTreeMap::new(), None),
        };
        let columns = self.wanted.fields().iter().map(|field| match (&rescued, self.object.index_of(field.name())) {
            (Some(rescued), _) if field.name() == RESCUED => Ok(Arc::clone(rescued)),
            (_, Err(_)) => Ok(new_null_array(field.data_type(), batch.num_rows())),
            (_, Ok(index)) => match divided.get(&index) {
                Some(fitting) => Ok(Arc::clone(fitting)),
                None => cast(&self.column(batch, index)?, field),
            },
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.wanted), columns.collect::<Result<_>>()?, &options)
            .map_err(|error| Error::new(Code::Internal, error.to_string()))
    }

    /// A column of a batch, with the names that the table's has for its fields.
    fn column(&self, batch: &RecordBatch, index: usize) -> Result<ArrayRef> {
        nested::renamed(batch.column(index), self.object.field(index).data_type())
            .map_err(|error| Error::new(Code::Internal, error.to_string()))
    }

    /// By their places the columns of which not all values fit, without those; and what fits no column of the table, whichever of
    /// them are wanted.
    fn divided(&self, batch: &RecordBatch, url: &str) -> Result<(BTreeMap<usize, ArrayRef>, Option<ArrayRef>)> {
        let (mut divided, mut left) = (BTreeMap::new(), Vec::new());
        for (index, field) in self.object.fields().iter().enumerate() {
            let column = &self.column(batch, index)?;
            let named = |data_type: &DataType| Field::new(self.own.field(index).name(), data_type.clone(), true);
            match self.columns.field_with_name(field.name()) {
                Ok(wanted) if fits_whole(field.data_type(), wanted.data_type()) => {}
                Ok(wanted) => {
                    let (fitting, rest) = rescue::divided(column, wanted.data_type())?;
                    divided.insert(index, fitting);
                    left.push((named(rest.data_type()), rest));
                }
                Err(_) if self.keys.contains(field.name()) => {}
                Err(_) => left.push((named(column.data_type()), Arc::clone(column))),
            }
        }
        Ok((divided, Some(rescue::as_json(left, batch.num_rows(), url)?)))
    }
}

fn cast(column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    cast_column(column, field.data_type(), &CastOptions { safe: false, ..CastOptions::default() }).map_err(|error| {
        Error::new(Code::BadRecord, format!("column `{}`: {}", field.name(), error.strip_backtrace()))
            .help("mend the object and upload it again")
    })
}
