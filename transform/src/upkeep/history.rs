//! The runs of the past, from the ledger.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use serde::Serialize;

use crate::code::Code;
use crate::error::{Error, Result};
use crate::ledger::{Ledger, PARALLEL, RunFiles};
use crate::receipt::{Receipt, ReceiptInput};
use crate::record::{Done, Work};
use crate::settings::WriteMode;
use crate::store::DataRoot;
use crate::table::TableName;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Its rows are visible.
    Succeeded,
    /// Nothing of it is visible: it had nothing left to do, or a successor does its work.
    Superseded,
    /// It began, and may be running; the next `run` carries it on.
    NotCommitted,
    /// Its rows are written, but readers do not see all of them yet; the next `run` carries it on.
    NotVisible,
}

/// One run of a transform, as the ledger has it.
#[derive(Debug, Clone, Serialize)]
pub struct PastRun {
    /// Stable identity.
    pub run_id: String,
    /// The table that it produces.
    pub transform: TableName,
    /// When it was claimed. `None` if its first record is gone.
    pub at: Option<DateTime<Utc>>,
    /// When its end was recorded, by the storage's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<DateTime<Utc>>,
    /// How it stands.
    pub outcome: RunOutcome,
    /// The run that does its work instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// How the target changes. `None` for a run that is not committed and does not rebuild.
    pub write: Option<WriteMode>,
    /// The object versions that it read, or means to read.
    pub inputs: Vec<ReceiptInput>,
    /// What it read, wrote, checked and cost; `None` before its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// The newest runs of some transforms, newest first. Only the records of those that are returned are read; one that cannot be
/// read is an error in its place.
///
/// # Errors
/// The storage's, from listing.
pub(crate) async fn history(root: &DataRoot, targets: &[TableName], limit: usize) -> Result<Vec<Result<PastRun>>> {
    let mut listed = list(root, targets).await?;
    listed.sort_by(|a, b| order(&b.1).cmp(&order(&a.1)).then_with(|| b.0.cmp(&a.0)));
    listed.truncate(limit);
    Ok(stream::iter(listed)
        .map(|(target, run_id, files)| async move { read(root, &target, run_id, &files).await })
        .buffered(PARALLEL)
        .collect()
        .await)
}

/// One run, of whichever of the transforms it is.
///
/// # Errors
/// [`Code::NotFound`] if none of them has such a run; [`Code::CatalogDamaged`] if its records cannot be read; the storage's.
pub(crate) async fn past_run(root: &DataRoot, targets: &[TableName], run_id: &str) -> Result<PastRun> {
    let found = list(root, targets).await?.into_iter().find(|(_, id, _)| id == run_id);
    match found {
        Some((target, run_id, files)) => read(root, &target, run_id, &files).await,
        None => Err(Error::new(Code::NotFound, format!("there is no run `{run_id}`"))
            .help("`unglue history` lists the runs; to look at other transforms, name them, or none")),
    }
}

async fn list(root: &DataRoot, targets: &[TableName]) -> Result<Vec<(TableName, String, RunFiles)>> {
    let mut listed = Vec::new();
    for target in targets {
        let runs = Ledger::new(root.clone(), target).runs().await?;
        let began = runs.into_iter().filter(|(_, files)| files.is_open() || files.done.is_some());
        listed.extend(began.map(|(run_id, files)| (target.clone(), run_id, files)));
    }
    Ok(listed)
}

/// Run ids begin with their time; successors are numbered from 2.
fn order(run_id: &str) -> (&str, u64) {
    match run_id.match_indices('-').nth(1) {
        Some((end, _)) => (&run_id[..end], run_id[end + 1..].parse().unwrap_or(u64::MAX)),
        None => (run_id, 1),
    }
}

async fn read(root: &DataRoot, target: &TableName, run_id: String, files: &RunFiles) -> Result<PastRun> {
    let ledger = Ledger::new(root.clone(), target);
    let done = if files.done.is_some() { ledger.done(&run_id).await? } else { None };
    let (outcome, successor, receipt) = match done {
        Some(Done::Succeeded { receipt }) => (RunOutcome::Succeeded, None, Some(*receipt)),
        Some(Done::Superseded { successor }) => (RunOutcome::Superseded, successor, None),
        None if files.commit.is_some() => {
            (RunOutcome::NotVisible, None, ledger.commit(&run_id).await?.map(|commit| commit.receipt))
        }
        None => (RunOutcome::NotCommitted, None, None),
    };
    if let Some(receipt) = receipt {
        return Ok(PastRun {
            run_id,
            transform: target.clone(),
            at: Some(receipt.at),
            ended: files.done,
            outcome,
            successor,
            write: Some(receipt.write),
            inputs: receipt.inputs.clone(),
            receipt: Some(receipt),
        });
    }
    let intent = ledger.intent(&run_id).await?;
    let rebuilds = intent.as_ref().is_some_and(|intent| matches!(intent.work, Work::Rebuild(_)));
    Ok(PastRun {
        run_id,
        transform: target.clone(),
        at: intent.as_ref().map(|intent| intent.at),
        ended: files.done,
        outcome,
        successor,
        write: rebuilds.then_some(WriteMode::Overwrite),
        inputs: intent.into_iter().flat_map(|intent| intent.inputs).map(|arriving| arriving.input).collect(),
        receipt: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_ordered_by_time_and_then_by_succession() {
        let mut ids = ["20261123t020000z-b-10", "20261124t020000z-a", "20261123t020000z-b", "20261123t020000z-b-9"];
        ids.sort_by_key(|id| order(id));
        assert_eq!(ids, ["20261123t020000z-b", "20261123t020000z-b-9", "20261123t020000z-b-10", "20261124t020000z-a"]);
    }
}
