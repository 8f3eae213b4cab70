//! Runs a planned query over fixed inputs and stages its result.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, col};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use futures::StreamExt;
use object_store::ObjectStore;

use crate::checks;
use crate::code::Code;
use crate::due::Listing;
use crate::error::{Error, Result};
use crate::failure::of_execution;
use crate::inputs::Input;
use crate::panic::unpanicked;
use crate::pinned::PinnedStore;
use crate::plan::{Planned, plan_with};
use crate::runtime::{Limits, Runtime, WRITER};
use crate::session;
use crate::source::{SourceTable, fields, first_unreadable_parquet, to_datafusion};
use crate::stage::Stage;
use crate::store::DataRoot;
use crate::table::TableName;
use crate::transform::Transform;
use crate::write::{Destination, WriteSpec, WrittenFile, properties, write};

/// What to execute.
pub(crate) struct Job<'a> {
    pub(crate) transform: &'a Transform,
    /// As checked against the catalog before the run.
    pub(crate) planned: &'a Planned,
    pub(crate) root: &'a DataRoot,
    pub(crate) limits: &'a Limits,
    pub(crate) listing: Listing,
    /// `now()` of the query.
    pub(crate) at: DateTime<Utc>,
    pub(crate) run_id: &'a str,
    /// Distinguishes this attempt from others of the same run.
    pub(crate) attempt: &'a str,
    pub(crate) stage: &'a Stage,
    /// Where the n-th file goes, by its partition.
    pub(crate) destination: &'a Destination<'a>,
    /// Counts the bytes read so far.
    pub(crate) bytes_read: Arc<AtomicU64>,
}

/// What an execution gave.
pub(crate) struct Executed {
    pub(crate) files: Vec<WrittenFile>,
    pub(crate) rows_read: u64,
    pub(crate) peak_memory: u64,
    pub(crate) checks: Vec<String>,
}

/// Executes the job. A panic inside becomes an error.
///
/// # Errors
/// All that can go wrong, with nothing visible and nothing staged left behind where that could be avoided.
pub(crate) async fn execute(job: Job<'_>) -> Result<Executed> {
    let inputs: Vec<Input> = job.listing.values().cloned().collect();
    let metas = inputs.iter().flat_map(|input| &input.objects).map(|object| &object.meta);
    let pinned: Arc<dyn ObjectStore> =
        Arc::new(PinnedStore::new(Arc::clone(job.root.store()), metas, Arc::clone(&job.bytes_read)));
    match unpanicked(Box::pin(execute_unguarded(job, Arc::clone(&pinned)))).await {
        Ok(executed) => Ok(executed),
        Err(error) => Err(name_object(error, &pinned, &inputs).await),
    }
}

async fn execute_unguarded(job: Job<'_>, pinned: Arc<dyn ObjectStore>) -> Result<Executed> {
    let runtime = Runtime::new(job.limits)?;
    let url = ObjectStoreUrl::parse("unglue://inputs").map_err(of_execution)?;
    runtime.env.register_object_store(url.as_ref(), pinned);
    let state = session::executor(Arc::clone(&runtime.env), job.limits, job.at);

    let source_of = |name: &TableName| {
        let input = job.listing.get(name)?.clone();
        Some(provider_as_source(Arc::new(SourceTable::new(input, url.clone()))))
    };
    let planned = job.planned;
    let query = plan_with(job.transform, &state, &source_of).map_err(first)?;
    let plan = arrange(query, planned, job.transform).map_err(of_execution)?;
    let checks = checks::compile(&state, plan.schema(), &job.transform.settings, &planned.asserts)?;
    let physical = state.create_physical_plan(&plan).await.map_err(of_execution)?;
    let stream = execute_stream(Arc::clone(&physical), state.task_ctx()).map_err(of_execution)?;
    let texts = checks.iter().map(|check| check.text().to_owned()).collect();
    let stream = checked(stream, checks);

    let spec = WriteSpec {
        file_schema: Arc::new(Schema::new(fields(&planned.columns))),
        properties: Arc::new(properties(&job.transform.settings, &planned.columns, job.run_id)?),
        target_file_size: job.transform.settings.target_file_size.value,
        max_partitions: job.transform.settings.max_partitions.value,
        destination: job.destination,
        attempt: job.attempt,
    };
    let memory = MemoryConsumer::new(WRITER).register(&runtime.env.memory_pool);
    let files = write(stream, &spec, job.stage, memory).await.map_err(|error| match error.code {
        Code::TooManyPartitions => error.maybe_at(job.transform.settings.max_partitions.at.clone()),
        _ => error,
    })?;
    Ok(Executed {
        files,
        rows_read: rows_read(physical.as_ref()),
        peak_memory: runtime.peak_memory() as u64,
        checks: texts,
    })
}

/// The query's result in the order and types of the table, sorted as the writer needs it.
fn arrange(query: LogicalPlan, planned: &Planned, transform: &Transform) -> datafusion::error::Result<LogicalPlan> {
    let schema = Arc::clone(query.schema());
    let wanted = planned.columns.iter().chain(&planned.partition_keys);
    let columns = wanted
        .map(|column| {
            let found = schema.iter().find(|(_, field)| field.name().eq_ignore_ascii_case(&column.name));
            let expression = match found {
                Some((qualifier, field)) => Expr::Column((qualifier, field).into()),
                None => col(&column.name),
            };
            Ok(expression.cast_to(&column.hive_type.arrow(), &schema)?.alias(&column.name))
        })
        .collect::<datafusion::error::Result<Vec<_>>>()?;
    let plan = LogicalPlanBuilder::from(query).project(columns)?.build()?;
    let plan = LogicalPlanBuilder::from(plan).alias("result")?;
    let by_partition = planned.partition_keys.iter().map(|key| column(&key.name).sort(true, true));
    let by_sort = transform.settings.sort.iter().map(|sort| {
        let SortOrder { ascending, nulls_first } = SortOrder::of(sort.value.descending);
        column(&sort.value.column.to_lowercase()).sort(ascending, nulls_first)
    });
    let order: Vec<_> = by_partition.chain(by_sort).collect();
    if order.is_empty() { plan.build() } else { plan.sort(order)?.build() }
}

/// A column by its exact name; `col` would fold the case of a name and split it at dots.
fn column(name: &str) -> Expr {
    Expr::Column(datafusion::common::Column::new_unqualified(name))
}

struct SortOrder {
    ascending: bool,
    nulls_first: bool,
}

impl SortOrder {
    /// NULL counts as larger than everything, as in DataFusion's own ORDER BY.
    fn of(descending: bool) -> Self {
        Self { ascending: !descending, nulls_first: descending }
    }
}

/// The stream, failing at the first row that breaks a check.
fn checked(stream: SendableRecordBatchStream, checks: Vec<checks::Check>) -> SendableRecordBatchStream {
    if checks.is_empty() {
        return stream;
    }
    let schema = stream.schema();
    let verified = stream.map(move |batch| {
        let batch: RecordBatch = batch?;
        for check in &checks {
            check.verify(&batch).map_err(to_datafusion)?;
        }
        Ok(batch)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, verified))
}

/// DataFusion's Parquet errors do not say which object they are about: it is looked for.
async fn name_object(error: Error, store: &Arc<dyn ObjectStore>, inputs: &[Input]) -> Error {
    let about_objects = matches!(error.code, Code::BadObject | Code::ColumnMismatch | Code::Internal);
    if !about_objects || error.object.is_some() {
        return error;
    }
    first_unreadable_parquet(store, inputs).await.unwrap_or(error)
}

/// Rows that came out of the scans.
fn rows_read(plan: &dyn ExecutionPlan) -> u64 {
    let children = plan.children();
    if children.is_empty() {
        return plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0) as u64;
    }
    children.into_iter().map(|child| rows_read(child.as_ref())).sum()
}

/// Only checks of the project report several errors; a run has passed them.
fn first(errors: Vec<Error>) -> Error {
    errors.into_iter().next().unwrap_or_else(|| Error::new(Code::Internal, "planning failed without a reason"))
}
