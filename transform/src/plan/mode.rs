//! How a run may change the target: what `@write` says, measured by the safety proof.

use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;

use crate::code::Code;
use crate::diagnose::text::Text;
use crate::error::{Error, Location};
use crate::safety::affected::affected;
use crate::safety::{self, Unsafe, clause};
use crate::settings::WriteMode;
use crate::transform::Transform;

/// A write mode and why it is this one.
pub(super) struct Mode {
    pub(super) write: WriteMode,
    pub(super) reason: String,
    pub(super) at: Option<Location>,
}

/// The mode of `@write`, or without it `append` for a query that is proved safe and `overwrite` for any other.
///
/// # Errors
/// [`Code::NotIncremental`] for `@write: append` on a query that is not safe, at the clause at fault.
pub(super) fn write_mode(
    transform: &Transform,
    plan: &LogicalPlan,
    text: &Text<'_>,
    state: &SessionState,
) -> Result<Mode, Error> {
    let written = transform.settings.write.as_ref();
    let Some(driving) = &transform.driving else { return without_tables(transform) };
    let partition: Vec<String> = transform.settings.partition.iter().map(|column| column.value.clone()).collect();
    let proof = safety::incremental(plan, driving, &partition);
    let setting = || written.and_then(|write| write.at.clone());
    let refused = |write: &str, fault: &Unsafe| {
        not_incremental(write, fault).maybe_at(at_fault(fault, transform, text, state).or(setting()))
    };
    if written.is_none_or(|write| write.value != WriteMode::Merge) {
        serves_merge_only(transform)?;
    }
    match (written.map(|write| write.value), proof) {
        (Some(WriteMode::Append), Err(fault)) => Err(refused("append", &fault)),
        (Some(WriteMode::Merge), Err(fault)) => Err(refused("merge", &fault)),
        (Some(WriteMode::Merge), Ok(())) if transform.settings.key.is_empty() => {
            Err(Error::new(Code::BadValue, "`@write: merge` needs a key that tells which rows are the same")
                .help("name its columns, for example `-- @key: order_id`")
                .maybe_at(setting()))
        }
        (Some(WriteMode::OverwritePartitions), _) if partition.is_empty() => {
            Err(Error::new(Code::BadValue, "`@write: overwrite_partitions` needs partitions")
                .help("name their columns, for example `-- @partition: day`, or use `@write: overwrite`")
                .maybe_at(setting()))
        }
        (Some(write @ WriteMode::OverwritePartitions), _) => match affected(plan, driving, &partition) {
            Ok(_) => Ok(Mode { write, reason: "`@write` says so".to_owned(), at: setting() }),
            Err(fault) => Err(refused("overwrite_partitions", &fault)),
        },
        (Some(write), _) => Ok(Mode { write, reason: "`@write` says so".to_owned(), at: setting() }),
        (None, Ok(())) => {
            let reason = format!("each row comes from one row of `{driving}`, so new rows can be added to the old");
            Ok(Mode { write: WriteMode::Append, reason, at: None })
        }
        (None, Err(fault)) => {
            let at = at_fault(&fault, transform, text, state);
            Ok(Mode { write: WriteMode::Overwrite, reason: fault.text, at })
        }
    }
}

fn without_tables(transform: &Transform) -> Result<Mode, Error> {
    match &transform.settings.write {
        Some(write) if write.value != WriteMode::Overwrite => {
            Err(Error::new(Code::BadDriving, "the query reads no table, so nothing can arrive")
                .help("use `@write: overwrite`, or read a table")
                .maybe_at(write.at.clone()))
        }
        _ => Ok(Mode { write: WriteMode::Overwrite, reason: "the query reads no table".to_owned(), at: None }),
    }
}

/// Settings that would do nothing are refused, so that nobody relies on them.
fn serves_merge_only(transform: &Transform) -> Result<(), Error> {
    let settings = &transform.settings;
    let key = settings.key.first().map(|key| ("key", &key.at));
    let latest_by = settings.latest_by.as_ref().map(|column| ("latest_by", &column.at));
    let delete_when = settings.delete_when.as_ref().map(|condition| ("delete_when", &condition.at));
    let Some((name, at)) = key.or(latest_by).or(delete_when) else { return Ok(()) };
    Err(Error::new(Code::BadValue, format!("`@{name}` serves `@write: merge` only"))
        .help("add `-- @write: merge`, or remove it")
        .maybe_at(at.clone()))
}

fn not_incremental(write: &str, fault: &Unsafe) -> Error {
    Error::new(Code::NotIncremental, format!("`@write: {write}` does not fit: {}", fault.text)).help(fault.way_out())
}

fn at_fault(fault: &Unsafe, transform: &Transform, text: &Text<'_>, state: &SessionState) -> Option<Location> {
    let driving = transform.driving.as_ref()?;
    let is_aggregate = |name: &str| state.aggregate_functions().contains_key(name);
    clause::at_fault(&fault.reason, &transform.query, driving, text, &is_aggregate)
}
