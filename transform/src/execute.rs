//! Runs a planned query over fixed inputs, in the way that its outcome is written, and stages the result.

mod arrange;
mod kept;
mod merge;
mod touched;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Int32Type, Schema};
use chrono::{DateTime, Utc};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::ahead::ReadAhead;
use crate::arrival::ArrivalId;
use crate::checks;
use crate::code::Code;
use crate::due::{self, Listing};
use crate::error::{Error, Location, Result};
use crate::failure::of_execution;
use crate::inputs::Input;
use crate::origins::Origin;
use crate::panic::unpanicked;
use crate::pinned::PinnedStore;
use crate::plan::{Planned, plan_with};
use crate::record::Arriving;
use crate::runtime::{Limits, Runtime};
use crate::session::{self, Joins};
use crate::source::{Rejects, SourceTable, fields, first_unreadable_parquet, to_datafusion};
use crate::stage::Stage;
use crate::table::TableName;
use crate::trace::{ORIGIN, traced};
use crate::transform::Transform;
use crate::write::{Destination, PartitionValues, WriteSpec, WrittenFile, properties, write};

/// What to execute.
pub(crate) struct Job<'a> {
    pub(crate) transform: &'a Transform,
    /// As checked against the catalog before the run.
    pub(crate) planned: &'a Planned,
    /// Where the objects are read.
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) limits: &'a Limits,
    /// The tables that the query reads, with all objects that any part of the run may read.
    pub(crate) listing: Listing,
    /// What of the driving table the run processes.
    pub(crate) arrivals: &'a [Arriving],
    pub(crate) way: Way,
    /// Whether files keep note of what each row was derived from.
    pub(crate) traced: bool,
    /// `now()` of the query.
    pub(crate) at: DateTime<Utc>,
    pub(crate) run_id: &'a str,
    /// Distinguishes this attempt from others of the same run.
    pub(crate) attempt: &'a str,
    pub(crate) stage: &'a Stage,
    /// Where the n-th file goes, by its partition.
    pub(crate) destination: &'a Destination<'a>,
    /// Where records go that cannot be read; without it they are errors.
    pub(crate) rejects: Option<Rejects>,
    /// Counts the bytes read so far.
    pub(crate) bytes_read: Arc<AtomicU64>,
}

/// How the rows of a run come about.
pub(crate) enum Way {
    /// The query over the arrivals.
    Arrivals,
    /// The query over all of its tables.
    All,
    /// The query over all of its tables, limited to the partitions that the arrivals touch and to these; `None` is all
    /// partitions, because nobody knows which ones former versions of the arrivals touched.
    Partitions { also: Option<BTreeSet<PartitionValues>> },
    /// The query over the arrivals, together with the rows of the partitions touched that did not come from their former
    /// versions. `among` are the partitions that may hold such rows; `None` is any.
    Correct { target: Input, replacing: Vec<ArrivalId>, among: Option<BTreeSet<PartitionValues>> },
    /// The query over the arrivals, or over all tables, together with the rows of the partitions touched; of rows with one key
    /// the latest stays.
    Merge { target: Option<Input>, all: bool },
}

/// Joins that hold more than one part in so many of the memory are done by sorting from the start.
pub(crate) const HELD_SHARE: usize = 2;

/// What an execution gave.
pub(crate) struct Executed {
    pub(crate) files: Vec<WrittenFile>,
    /// The partitions that the run replaces, where it replaces only some.
    pub(crate) touched: Option<BTreeSet<PartitionValues>>,
    pub(crate) rows_read: u64,
    pub(crate) peak_memory: u64,
    pub(crate) checks: Vec<String>,
}

/// The rows of a run, and what is known of them.
struct Rows {
    /// The table's columns, its partition keys, and with `traced` the number of each row's origin; then anything.
    plan: LogicalPlan,
    touched: Option<BTreeSet<PartitionValues>>,
    /// What the numbers of origins stand for.
    origins: Option<Vec<Origin>>,
    /// Rows with an origin from 0 to below this are new, others were there before; `None` if all are new.
    new_below: Option<i32>,
    /// Further checks.
    checks: Vec<(String, Option<Location>, datafusion::logical_expr::Expr)>,
}

/// Executes the job. A panic inside becomes an error.
///
/// # Errors
/// All that can go wrong, with nothing visible and nothing staged left behind where that could be avoided.
pub(crate) async fn execute(job: Job<'_>) -> Result<Executed> {
    let target = match &job.way {
        Way::Correct { target, .. } | Way::Merge { target: Some(target), .. } => Some(target.clone()),
        _ => None,
    };
    let inputs: Vec<Input> = job.listing.values().cloned().chain(target).collect();
    let metas = || inputs.iter().flat_map(|input| &input.objects).map(|object| &object.meta);
    let pinned = PinnedStore::new(Arc::clone(&job.store), metas(), Arc::clone(&job.bytes_read));
    let ahead = surely_read(&job);
    let ahead = ahead.iter().flat_map(|input| &input.objects).map(|object| &object.meta);
    let pinned: Arc<dyn ObjectStore> = Arc::new(ReadAhead::new(Arc::new(pinned), ahead, job.limits.memory));
    let mut holding = false;
    let mut outcome = unpanicked(Box::pin(attempt(&job, Arc::clone(&pinned), Joins::Hashed, &mut holding))).await;
    if holding && outcome.as_ref().is_err_and(|error| error.code == Code::OutOfMemory) {
        tracing::info!("a join is done once more, by sorting: what it held did not fit");
        outcome = unpanicked(Box::pin(attempt(&job, Arc::clone(&pinned), Joins::Sorted, &mut holding))).await;
    }
    match outcome {
        Ok(executed) => Ok(executed),
        Err(error) => Err(name_object(error, &pinned, &inputs).await),
    }
}

/// The inputs of which every object is read: only these may be fetched ahead. Objects that were processed before, and partitions
/// that are passed over, would be fetched for nothing.
fn surely_read(job: &Job<'_>) -> Vec<Input> {
    let arrivals = || due::restrict(job.transform, job.listing.clone(), job.arrivals);
    let (listing, target) = match &job.way {
        Way::All | Way::Partitions { also: None } => (job.listing.clone(), None),
        Way::Arrivals | Way::Partitions { also: Some(_) } | Way::Correct { .. } => (arrivals(), None),
        Way::Merge { target, all: true } => (job.listing.clone(), target.clone()),
        Way::Merge { target, all: false } => (arrivals(), target.clone()),
    };
    listing.into_values().chain(target).collect()
}

/// Executes the job once; `holding` says whether the plan joins by holding one side, which cannot spill.
async fn attempt(job: &Job<'_>, pinned: Arc<dyn ObjectStore>, joins: Joins, holding: &mut bool) -> Result<Executed> {
    let runtime = Runtime::new(job.limits)?;
    let url = ObjectStoreUrl::parse("unglue://inputs").map_err(of_execution)?;
    runtime.env.register_object_store(url.as_ref(), Arc::clone(&pinned));
    let state = session::executor(Arc::clone(&runtime.env), job.limits, job.at, joins);
    let mut execution = Execution { job, state, url, store: pinned };
    let rows = execution.rows().await?;
    let (planned, settings) = (job.planned, &job.transform.settings);

    // Without an order to keep, the writer finds the rows of each partition itself. Where the query sorts anyway, one more sort is
    // planned from the start: one that came later would find the memory taken.
    let mut plan = rows.plan;
    let mut physical = execution.state.create_physical_plan(&plan).await.map_err(of_execution)?;
    if held(physical.as_ref()) > job.limits.memory / HELD_SHARE {
        execution.state = session::executor(Arc::clone(&runtime.env), job.limits, job.at, Joins::Sorted);
        physical = execution.state.create_physical_plan(&plan).await.map_err(of_execution)?;
    }
    *holding = held(physical.as_ref()) > 0;
    let sorted = !settings.sort.is_empty() || sorts(physical.as_ref());
    if sorted {
        plan = arrange::sorted(plan, planned, job.transform).map_err(of_execution)?;
        physical = execution.state.create_physical_plan(&plan).await.map_err(of_execution)?;
    }
    let checks = checks::compile(&execution.state, plan.schema(), settings, &planned.asserts, rows.checks)?;
    let context = execution.state.task_ctx();
    let stream = execute_stream(Arc::clone(&physical), Arc::clone(&context)).map_err(of_execution)?;
    let texts = checks.iter().map(|check| check.text().to_owned()).collect();
    let stream = checked(stream, checks, rows.new_below);

    let spec = WriteSpec {
        file_schema: Arc::new(Schema::new(fields(&planned.columns))),
        partition_keys: planned.partition_keys.len(),
        origins: rows.origins.map(Arc::from),
        properties: properties(settings, &planned.columns, job.run_id)?,
        dictionaries_asked: !settings.dictionary.is_empty(),
        sorted,
        target_file_size: settings.target_file_size.value,
        max_partitions: settings.max_partitions.value,
        destination: job.destination,
        attempt: job.attempt,
    };
    let files = write(stream, &spec, job.stage, context).await.map_err(|error| match error.code {
        Code::TooManyPartitions => error.maybe_at(settings.max_partitions.at.clone()),
        _ => error,
    })?;
    Ok(Executed {
        files,
        touched: rows.touched,
        rows_read: rows_read(physical.as_ref()),
        peak_memory: runtime.peak_memory() as u64,
        checks: texts,
    })
}

/// One execution: the session, and where it reads.
struct Execution<'a> {
    job: &'a Job<'a>,
    state: SessionState,
    url: ObjectStoreUrl,
    /// The objects of the run, and no others.
    store: Arc<dyn ObjectStore>,
}

impl Execution<'_> {
    async fn rows(&self) -> Result<Rows> {
        let all_new = |plan, origins, touched| Rows { plan, touched, origins, new_below: None, checks: Vec::new() };
        match &self.job.way {
            Way::Arrivals => {
                let (plan, origins) = self.query(&self.arrivals())?;
                Ok(all_new(plan, origins, None))
            }
            Way::All => {
                let (plan, origins) = self.query(&self.job.listing)?;
                Ok(all_new(plan, origins, None))
            }
            Way::Partitions { also: None } => {
                let (plan, origins) = self.query(&self.job.listing)?;
                Ok(all_new(plan, origins, None))
            }
            Way::Partitions { also: Some(also) } => {
                let mut touched = self.touched_by_arrivals().await?;
                touched.extend(also.iter().cloned());
                let (plan, origins) = self.query(&self.job.listing)?;
                let plan = arrange::limited(plan, &self.job.planned.partition_keys, &touched)?;
                Ok(all_new(plan, origins, Some(touched)))
            }
            Way::Correct { target, replacing, among } => self.correct(target, replacing, among.as_ref()).await,
            Way::Merge { target, all } => self.merge(target.as_ref(), *all).await,
        }
    }

    /// The tables of the query with the driving table cut down to the arrivals of the run.
    fn arrivals(&self) -> Listing {
        due::restrict(self.job.transform, self.job.listing.clone(), self.job.arrivals)
    }

    /// The query as SQL planning gives it.
    fn planned_query(&self, listing: &Listing) -> Result<LogicalPlan> {
        let source_of = |name: &TableName| {
            let input = listing.get(name)?.clone();
            Some(provider_as_source(Arc::new(
                SourceTable::new(input, self.url.clone()).rejecting(self.job.rejects.clone()),
            )))
        };
        plan_with(self.job.transform, &self.state, &source_of).map_err(first)
    }

    /// The query's result in the order and types of the table; where rows are traced, with the number of each one's origin
    /// at the end, and what the numbers stand for.
    fn query(&self, listing: &Listing) -> Result<(LogicalPlan, Option<Vec<Origin>>)> {
        let plan = self.planned_query(listing)?;
        let driving = self.job.transform.driving.as_ref();
        let Some((driving, input)) =
            driving.filter(|_| self.job.traced).and_then(|name| Some((name, listing.get(name)?)))
        else {
            return Ok((arrange::typed(plan, self.job.planned).map_err(of_execution)?, None));
        };
        let (numbers, origins) = numbered(input);
        let source = SourceTable::new(input.clone(), self.url.clone()).rejecting(self.job.rejects.clone());
        let source = source.numbered(ORIGIN, numbers, false);
        let plan = traced(plan, driving, &provider_as_source(Arc::new(source)));
        let plan = plan.and_then(|plan| arrange::typed(plan, self.job.planned)).map_err(of_execution)?;
        Ok((plan, Some(origins)))
    }
}

/// A number for each arrival of a table, by object, and what the numbers stand for. Arrivals that came later have higher
/// numbers.
fn numbered(input: &Input) -> (HashMap<Path, i32>, Vec<Origin>) {
    let mut objects: Vec<_> = input.objects.iter().collect();
    objects.sort_by_key(|object| (object.meta.last_modified, &object.meta.location));
    let mut numbers = HashMap::new();
    let mut known: HashMap<Origin, i32> = HashMap::new();
    let mut origins = Vec::new();
    for object in objects {
        let origin = Origin::from(&ArrivalId::of(&object.arrival));
        let number = *known.entry(origin).or_insert_with_key(|origin| {
            origins.push(origin.clone());
            i32::try_from(origins.len()).unwrap_or(i32::MAX) - 1
        });
        numbers.insert(object.meta.location.clone(), number);
    }
    (numbers, origins)
}

/// The stream, failing at the first new row that breaks a check.
fn checked(
    stream: SendableRecordBatchStream,
    checks: Vec<checks::Check>,
    new_below: Option<i32>,
) -> SendableRecordBatchStream {
    if checks.is_empty() {
        return stream;
    }
    let schema = stream.schema();
    let verified = stream.map(move |batch| {
        let batch: RecordBatch = batch?;
        let new = match new_below {
            Some(below) => new_rows(&batch, below)?,
            None => batch.clone(),
        };
        for check in &checks {
            check.verify(&new).map_err(to_datafusion)?;
        }
        Ok(batch)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, verified))
}

fn new_rows(batch: &RecordBatch, below: i32) -> datafusion::error::Result<RecordBatch> {
    let Some(origins) = batch.column_by_name(ORIGIN).and_then(|column| column.as_primitive_opt::<Int32Type>()) else {
        return Ok(batch.clone());
    };
    let is_new: BooleanArray = origins.iter().map(|origin| origin.map(|origin| (0..below).contains(&origin))).collect();
    Ok(arrow::compute::filter_record_batch(batch, &is_new)?)
}

/// DataFusion's Parquet errors do not say which object they are about: it is looked for.
async fn name_object(error: Error, store: &Arc<dyn ObjectStore>, inputs: &[Input]) -> Error {
    let about_objects = matches!(error.code, Code::BadObject | Code::ColumnMismatch | Code::Internal);
    if !about_objects || error.object.is_some() {
        return error;
    }
    first_unreadable_parquet(store, inputs).await.unwrap_or(error)
}

/// Roughly the bytes that the joins of a plan hold: the smaller sides of hash joins, all at a time. Never 0 where there are any.
fn held(plan: &dyn ExecutionPlan) -> usize {
    let own = plan.downcast_ref::<HashJoinExec>().map_or(0, |join| {
        let statistics = StatisticsContext::new().compute(join.left().as_ref(), &StatisticsArgs::new());
        statistics.ok().and_then(|known| known.total_byte_size.get_value().copied()).unwrap_or(0).max(1)
    });
    plan.children().into_iter().fold(own, |sum, child| sum.saturating_add(held(child.as_ref())))
}

/// Whether a plan sorts while rows come out of it. What a hash join holds was sorted before.
fn sorts(plan: &dyn ExecutionPlan) -> bool {
    let held = usize::from(plan.is::<HashJoinExec>());
    plan.name() == "SortExec" || plan.children().into_iter().skip(held).any(|child| sorts(child.as_ref()))
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
