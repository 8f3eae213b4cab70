//! What a run would read, and roughly what it would need: the rows of `unglue plan`.

use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::LogicalPlan;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::check::Registered;
use crate::code::Code;
use crate::due::{Sought, due, list};
use crate::error::Result;
use crate::execute::HELD_SHARE;
use crate::ledger::Ledger;
use crate::plan::Planned;
use crate::receipt::ReceiptInput;
use crate::record::Work;
use crate::runtime::Limits;
use crate::session;
use crate::settings::WriteMode;
use crate::store::DataRoot;
use crate::table::TableName;
use crate::transform::Transform;

/// Bytes of decoded input that one core gets through in a second, with sorting and writing: a cautious round figure.
const BYTES_PER_CORE_SECOND: f64 = 60e6;
/// Seconds of a run that do not depend on its size.
const FIXED_SECONDS: f64 = 0.3;
/// Dollars of one GB-second on x86 Lambda, us-east-1.
const DOLLARS_PER_GB_SECOND: f64 = 0.000_016_666_7;
/// Memory that a scan and the writer need whatever the input, in bytes per core.
const MEMORY_PER_CORE: u64 = 48 << 20;

/// What one transform would do.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedRun {
    /// The transform.
    pub transform: TableName,
    /// The SQL file.
    pub file: String,
    /// How its target would change.
    pub write: WriteMode,
    /// Why in this way.
    pub reason: String,
    /// Object versions that a run would process; empty if nothing is due.
    pub inputs: Vec<ReceiptInput>,
    /// Bytes that it would read at most, lookups included.
    pub bytes: u64,
    /// Partition columns of the target.
    pub partition_by: Vec<String>,
    /// Transforms that run before, so that more may be due by then.
    pub after: Vec<TableName>,
    /// Estimated memory in bytes that is held: the lookup side of joins, buffers of scans and the writer.
    pub estimated_memory: u64,
    /// Whether the estimate is within the memory limit, or what is held can be spilled instead.
    pub fits: bool,
    /// Estimated seconds.
    pub estimated_seconds: f64,
    /// Estimated price of the compute on Lambda, with as much memory as the limit.
    pub estimated_dollars: f64,
}

impl PlannedRun {
    /// Whether there is anything to do, now or once the transforms before it have run.
    pub fn is_due(&self) -> bool {
        !self.inputs.is_empty() || !self.after.is_empty()
    }
}

/// Finds what is due and estimates it.
pub(crate) async fn plan_run(
    root: &DataRoot,
    catalog: &dyn Catalog,
    limits: &Limits,
    transform: &Transform,
    planned: &Planned,
    sources: &Registered,
    after: Vec<TableName>,
) -> Result<PlannedRun> {
    let ledger = Ledger::new(root.clone(), &transform.target);
    let mut run = PlannedRun {
        transform: transform.target.clone(),
        file: transform.file.path.clone(),
        write: planned.write,
        reason: planned.reason.clone(),
        inputs: Vec::new(),
        bytes: 0,
        partition_by: planned.partition_keys.iter().map(|key| key.name.clone()).collect(),
        after,
        estimated_memory: 0,
        fits: true,
        estimated_seconds: 0.0,
        estimated_dollars: 0.0,
    };
    let listing = match list(root, catalog, transform, sources, &Sought::of(transform, planned, None, None)).await {
        Ok(listing) => listing,
        // A table that a transform before this one has not produced yet.
        Err(error) if error.code == Code::UnknownTable && !run.after.is_empty() => return Ok(run),
        Err(error) => return Err(error),
    };
    let number = ledger.newest_version().await?;
    let version = ledger.version(number).await?;
    let basis = version.as_ref().and_then(|version| version.basis.as_ref());
    let due = due(&ledger, transform, planned.write, &listing, number, basis, None).await?;
    if let Some(refused) = due.refused.into_iter().next() {
        return Err(refused);
    }
    if due.runs.is_empty() {
        return Ok(run);
    }
    let only_arrivals = due.runs.iter().all(|(work, _)| *work == Work::Arrivals)
        && matches!(planned.write, WriteMode::Append | WriteMode::Merge);
    run.inputs = due.runs.into_iter().flat_map(|(_, inputs)| inputs).map(|arriving| arriving.input).collect();
    let mut decoded = 0;
    let mut lookups = 0;
    for (name, input) in &listing {
        let is_driving = transform.driving.as_ref() == Some(name);
        let (bytes, factor) = if is_driving && only_arrivals {
            (run.inputs.iter().map(|input| input.bytes).sum(), input.expansion())
        } else {
            (input.bytes(), input.expansion())
        };
        run.bytes += bytes;
        decoded += bytes * factor;
        if !is_driving {
            lookups += bytes * factor;
        }
    }
    let limit = limits.memory as u64;
    let can_spill = !holds_whole_tables(&planned.plan);
    // Joins that would hold more than that are done by sorting.
    let held = if can_spill && lookups > limit / HELD_SHARE as u64 { 0 } else { lookups };
    run.estimated_memory = held + MEMORY_PER_CORE * limits.cores as u64;
    run.fits = can_spill || run.estimated_memory <= limit;
    run.estimated_seconds = FIXED_SECONDS + decoded as f64 / (BYTES_PER_CORE_SECOND * limits.cores as f64);
    let gigabytes = limits.memory as f64 / f64::from(1 << 30);
    run.estimated_dollars = run.estimated_seconds * gigabytes * DOLLARS_PER_GB_SECOND;
    Ok(run)
}

/// Whether a query joins on something else than equal columns, or with `NOT IN`: one side is then held whole, and cannot spill.
fn holds_whole_tables(plan: &LogicalPlan) -> bool {
    // Conditions become part of the joins only by this. What cannot be optimised fails at the run, with its reason.
    let optimized = session::planner().state().optimize(plan);
    optimized.is_ok_and(|plan| {
        plan.exists(|node| Ok(matches!(node, LogicalPlan::Join(join) if join.on.is_empty() || join.null_aware)))
            .unwrap_or(false)
    })
}
