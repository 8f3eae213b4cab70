//! A catalog table as DataFusion sees it: the schema of the catalog over a fixed list of objects.

mod arrangement;
mod avro;
mod bytes;
mod careful;
mod csv;
mod decoder;
mod decompress;
mod elements;
mod encoding;
mod heading;
mod keys;
mod locate;
mod names;
mod nested;
mod orc;
mod parquet;
mod prune;
mod quoting;
mod reader;
mod records;
mod rejects;
mod rescue;
mod scan;
#[cfg(feature = "testing")]
pub(crate) mod steps;
mod text;

use std::collections::HashMap;
use std::sync::Arc;

use ::parquet::arrow::RowNumber;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::error::Error;
use crate::format::Format;
use crate::inputs::{Input, InputObject, PartitionValues, expansion};
use crate::partition;
use crate::schema_change::{RESCUED, SchemaChange};
use crate::table::{Column, Table};
use decompress::SharedDecompressors;

pub(crate) use avro::{AVRO_SCHEMA, avro_schema};
pub(crate) use csv::UNCLOSED;
pub(crate) use elements::{Elements, Layout};
pub(crate) use encoding::{Transcoder, of as encoding_of};
pub(crate) use heading::{Head, Heading, csv_fields, cut, reader as csv_reader};
pub(crate) use keys::Keys;
pub(crate) use locate::first_unreadable_parquet;
pub(crate) use orc::{orc_by_place, orc_schema};
pub(crate) use parquet::footer;
pub(crate) use quoting::Quoting;
pub(crate) use records::{Cut, Splitter};
pub(crate) use rejects::{Rejected, Rejects};

/// The Arrow schema of a table: its columns, then its partition keys.
pub(crate) fn table_schema(table: &Table) -> SchemaRef {
    Arc::new(Schema::new(fields(table.columns.iter().chain(&table.partition_keys))))
}

/// Columns of the catalog as Arrow has them; any may be NULL.
pub(crate) fn fields<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Vec<Field> {
    columns.into_iter().map(|column| Field::new(&column.name, column.hive_type.arrow(), true)).collect()
}

/// The hidden column of [`SourceTable::numbered`].
pub(crate) const ROW: &str = "__unglue_row";

/// A table of the catalog, read from the objects that a run has fixed.
#[derive(Debug)]
pub(crate) struct SourceTable {
    table: Arc<Table>,
    objects: Vec<InputObject>,
    schema: SchemaRef,
    store: ObjectStoreUrl,
    /// Hidden columns, after the partition keys.
    hidden: Option<Hidden>,
    /// Where records go that cannot be read; without it they are errors.
    rejects: Option<Rejects>,
}

#[derive(Debug)]
struct Hidden {
    /// Name of a column with a number for each object.
    name: &'static str,
    numbers: HashMap<Path, i32>,
    /// Whether [`ROW`] follows, the number of the row in its Parquet file, from 0.
    rows: bool,
}

impl SourceTable {
    /// A table over its listed objects; `store` is where the session finds the pinned object store.
    pub(crate) fn new(input: Input, store: ObjectStoreUrl) -> Self {
        let schema = table_schema(&input.table);
        Self { table: input.table, objects: input.objects, schema, store, hidden: None, rejects: None }
    }

    /// The same with a further column: the number of the object that the row is from, an `Int32`; and with `rows` another
    /// one, [`ROW`], the number of the row in it, an `Int64`.
    pub(crate) fn numbered(self, name: &'static str, numbers: HashMap<Path, i32>, rows: bool) -> Self {
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        fields.push(number_field(name));
        if rows {
            fields.push(row_field());
        }
        Self { schema: Arc::new(Schema::new(fields)), hidden: Some(Hidden { name, numbers, rows }), ..self }
    }

    /// The same with a place for records that cannot be read.
    pub(crate) fn rejecting(self, rejects: Option<Rejects>) -> Self {
        Self { rejects, ..self }
    }

    /// `rescues` is whether what fits no column is wanted.
    fn file_source(&self, store: Arc<dyn ObjectStore>, rescues: bool) -> Arc<dyn FileSource> {
        let mut partition_fields = fields(&self.table.partition_keys).into_iter().map(Arc::new).collect::<Vec<_>>();
        partition_fields.extend(self.hidden.as_ref().map(|hidden| number_field(hidden.name)));
        let mut schema = TableSchema::builder(Arc::new(Schema::new(fields(&self.table.columns))))
            .with_table_partition_cols(partition_fields);
        if self.hidden.as_ref().is_some_and(|hidden| hidden.rows) {
            schema = schema.with_virtual_columns(vec![row_field()]);
        }
        let schema = schema.build();
        match &self.table.format {
            // DataFusion decides by the table's types which conditions a file can test by itself, and passes over one that it cannot by
            // the file's: those on fields that the file names in its own way.
            Format::Parquet if !rescues => {
                let is_flat = !self.table.columns.iter().any(|column| column.hive_type.arrow().is_nested());
                let readers = Arc::new(SharedDecompressors::new(store));
                let source = ParquetSource::new(schema).with_pushdown_filters(is_flat);
                Arc::new(source.with_parquet_file_reader_factory(readers))
            }
            _ => Arc::new(scan::ObjectSource::new(Arc::clone(&self.table), schema, self.rejects.clone())),
        }
    }

    /// How much there is, by the sizes of the objects: of the two sides of a join, the smaller one is held.
    fn estimated(&self, objects: &[&InputObject]) -> Statistics {
        let bytes: u64 = objects.iter().map(|object| object.meta.size).sum();
        let bytes = usize::try_from(bytes * expansion(&self.table.format, &self.objects)).unwrap_or(usize::MAX);
        let widths: Vec<_> = self.schema.fields().iter().map(|field| width(field.data_type())).collect();
        let rows = bytes / widths.iter().sum::<usize>().max(1);
        let columns = widths.iter().map(|width| ColumnStatistics {
            byte_size: Precision::Inexact(rows.saturating_mul(*width)),
            ..ColumnStatistics::new_unknown()
        });
        Statistics {
            num_rows: Precision::Inexact(rows),
            total_byte_size: Precision::Inexact(bytes),
            column_statistics: columns.collect(),
        }
    }

    /// The objects as DataFusion's files, with typed partition values.
    fn files(&self, objects: &[&InputObject]) -> Result<Vec<PartitionedFile>> {
        let mut files = Vec::with_capacity(objects.len());
        let mut current: Option<(&PartitionValues, Vec<ScalarValue>)> = None;
        for object in objects {
            let values = match &current {
                Some((partition, values)) if Arc::ptr_eq(partition, &object.partition) => values.clone(),
                _ => typed_values(&self.table, &object.partition).map_err(to_datafusion)?,
            };
            let mut all = values.clone();
            if let Some(hidden) = &self.hidden {
                all.push(ScalarValue::Int32(hidden.numbers.get(&object.meta.location).copied()));
            }
            files.push(PartitionedFile::new_from_meta(object.meta.clone()).with_partition_values(all));
            current = Some((&object.partition, values));
        }
        Ok(files)
    }
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let keys = &self.table.partition_keys;
        Ok(filters
            .iter()
            .map(|filter| {
                if prune::only_keys(filter, keys) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let objects = prune::matching(state, &self.table, &self.objects, filters)?;
        if objects.is_empty() {
            let schema = match projection {
                Some(indices) => Arc::new(self.schema.project(indices)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let rescues = SchemaChange::rescues(&self.table)
            && self.schema.index_of(RESCUED).is_ok_and(|place| projection.is_none_or(|all| all.contains(&place)));
        let groups = FileGroup::new(self.files(&objects)?).split_files(state.config().target_partitions());
        let store = state.runtime_env().object_store(&self.store)?;
        let config = FileScanConfigBuilder::new(self.store.clone(), self.file_source(store, rescues))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_statistics(self.estimated(&objects))
            .with_expr_adapter(Some(Arc::new(names::ByName)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

fn number_field(name: &str) -> FieldRef {
    Arc::new(Field::new(name, DataType::Int32, true))
}

fn row_field() -> FieldRef {
    Arc::new(Field::new(ROW, DataType::Int64, false).with_extension_type(RowNumber))
}

/// Bytes of a value in memory, roughly.
fn width(data_type: &DataType) -> usize {
    match data_type.primitive_width() {
        Some(width) => width,
        None if data_type.is_nested() => 64,
        None => 16,
    }
}

/// A partition's values in the types of the table's keys.
fn typed_values(table: &Table, values: &[Option<String>]) -> crate::error::Result<Vec<ScalarValue>> {
    table
        .partition_keys
        .iter()
        .zip(values)
        .map(|(key, value)| match value {
            Some(text) => partition::value_of(text, &key.hive_type)
                .map_err(|error| Error { message: format!("partition `{}`: {}", key.name, error.message), ..error }),
            None => ScalarValue::try_from(&key.hive_type.arrow())
                .map_err(|error| Error::new(crate::Code::Internal, error.to_string())),
        })
        .collect()
}

/// Carries the engine's error through DataFusion.
pub(crate) fn to_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests;
