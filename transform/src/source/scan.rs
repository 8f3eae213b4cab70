//! CSV, JSON, Avro and ORC objects as DataFusion scans them.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, apply_expression_roots};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::keys::Keys;
use super::reader::ObjectReader;
use super::rejects::Rejects;
use super::{avro, orc, parquet, to_datafusion};
use crate::format::Format;
use crate::table::Table;

/// DataFusion's description of a scan over objects that it does not read itself.
#[derive(Debug, Clone)]
pub(super) struct ObjectSource {
    table: Arc<Table>,
    schema: TableSchema,
    projection: SplitProjection,
    batch_size: usize,
    rejects: Option<Rejects>,
    metrics: ExecutionPlanMetricsSet,
}

impl ObjectSource {
    pub(super) fn new(table: Arc<Table>, schema: TableSchema, rejects: Option<Rejects>) -> Self {
        let projection = SplitProjection::unprojected(&schema);
        Self { table, schema, projection, batch_size: 8192, rejects, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl FileSource for ObjectSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        _config: &FileScanConfig,
        _partition: usize,
    ) -> DataFusionResult<Arc<dyn FileOpener>> {
        let wanted = Arc::new(self.schema.file_schema().project(&self.projection.file_indices)?);
        let reader = ObjectReader {
            table: Arc::clone(&self.table),
            keys: Arc::new(Keys::of(&self.table)),
            wanted,
            batch_size: self.batch_size,
            rejects: self.rejects.clone(),
        };
        let opener = Arc::new(Opener { store, reader: Arc::new(reader) });
        ProjectionOpener::try_new(self.projection.clone(), opener, self.schema.file_schema())
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_size, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> DataFusionResult<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        match self.table.format {
            Format::Csv(_) => "csv",
            Format::Avro => "avro",
            Format::Orc => "orc",
            Format::Parquet => "parquet",
            _ => "json",
        }
    }

    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn fmt_extra(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ", table={}", self.table.name)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        apply_expression_roots(self.projection.source.iter(), f)
    }
}

struct Opener {
    store: Arc<dyn ObjectStore>,
    reader: Arc<ObjectReader>,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> DataFusionResult<FileOpenFuture> {
        let store = Arc::clone(&self.store);
        let reader = Arc::clone(&self.reader);
        Ok(Box::pin(async move {
            let batches = match reader.table.format {
                Format::Avro => avro::read(&store, file.object_meta, &reader).await,
                Format::Orc => orc::read(&store, file.object_meta, &reader).await,
                Format::Parquet => parquet::read(&store, file.object_meta, &reader).await,
                _ => reader.read_text(store, file.object_meta).await,
            };
            let batches = batches.map_err(to_datafusion)?;
            Ok(batches.map_err(to_datafusion).boxed())
        }))
    }
}
