//! A catalog table as DataFusion sees it: the schema of the catalog over a fixed list of objects.

mod keys;
mod locate;
mod names;
mod prune;
mod records;
mod text;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
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

use crate::error::Error;
use crate::inputs::{Input, InputObject, PartitionValues};
use crate::partition;
use crate::table::{Column, Format, Table};

pub(crate) use locate::{csv_fields, first_unreadable_parquet};
pub(crate) use records::Splitter;
pub(crate) use text::{UNCLOSED, symbols};

/// The Arrow schema of a table: its columns, then its partition keys.
pub(crate) fn table_schema(table: &Table) -> SchemaRef {
    Arc::new(Schema::new(fields(table.columns.iter().chain(&table.partition_keys))))
}

/// Columns of the catalog as Arrow has them; any may be NULL.
pub(crate) fn fields<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Vec<Field> {
    columns.into_iter().map(|column| Field::new(&column.name, column.hive_type.arrow(), true)).collect()
}

/// A table of the catalog, read from the objects that a run has fixed.
#[derive(Debug)]
pub(crate) struct SourceTable {
    table: Arc<Table>,
    objects: Vec<InputObject>,
    schema: SchemaRef,
    store: ObjectStoreUrl,
}

impl SourceTable {
    /// A table over its listed objects; `store` is where the session finds the pinned object store.
    pub(crate) fn new(input: Input, store: ObjectStoreUrl) -> Self {
        let schema = table_schema(&input.table);
        Self { table: input.table, objects: input.objects, schema, store }
    }

    fn file_source(&self) -> Arc<dyn FileSource> {
        let partition_fields = fields(&self.table.partition_keys).into_iter().map(Arc::new).collect::<Vec<_>>();
        let schema = TableSchema::builder(Arc::new(Schema::new(fields(&self.table.columns))))
            .with_table_partition_cols(partition_fields)
            .build();
        match &self.table.format {
            Format::Parquet => Arc::new(ParquetSource::new(schema).with_pushdown_filters(true)),
            Format::Csv(_) | Format::Json => Arc::new(text::TextSource::new(Arc::clone(&self.table), schema)),
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
            files.push(PartitionedFile::new_from_meta(object.meta.clone()).with_partition_values(values.clone()));
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
        let groups = FileGroup::new(self.files(&objects)?).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(self.store.clone(), self.file_source())
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(names::ByName)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
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
