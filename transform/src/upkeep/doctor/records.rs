//! The records of a table's ledger, all of them, and what is wrong with them.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};

use super::finding::FindingKind;
use super::{Problem, Problems};
use crate::code::Code;
use crate::error::Result;
use crate::ledger::{Ledger, PARALLEL, RunFiles};
use crate::record::{Commit, Done, Intent};

const RESTORE: &str =
    "restore the file from a backup or an earlier version of the object; until then runs of this table may fail";

/// One run. A record that cannot be read counts as absent, and is a problem.
pub(super) struct RunRecord {
    pub(super) files: RunFiles,
    pub(super) intent: Option<Intent>,
    pub(super) commit: Option<Commit>,
    pub(super) done: Option<Done>,
}

impl RunRecord {
    pub(super) fn succeeded(&self) -> Option<&Commit> {
        self.commit.as_ref().filter(|_| matches!(self.done, Some(Done::Succeeded { .. })))
    }
}

/// All records.
pub(super) struct Records {
    pub(super) runs: BTreeMap<String, RunRecord>,
    /// The run of each version, in order.
    pub(super) versions: Vec<(u64, String)>,
    /// Whether all of them could be read, so that what follows from them can be relied on.
    pub(super) are_whole: bool,
}

impl Records {
    /// # Errors
    /// The storage's; a record that cannot be understood is a problem.
    pub(super) async fn read(ledger: &Ledger, problems: &mut Problems<'_>) -> Result<Self> {
        let before = problems.found.len();
        // A run is recorded before its claims are: of what is read here, each claim's run is among the runs.
        let claims = ledger.all_claims().await?;
        let files = ledger.runs().await?;
        let mut runs = BTreeMap::new();
        let read = stream::iter(files).map(|(run_id, files)| async move {
            let intent = if files.intent.is_some() { ledger.intent(&run_id).await.transpose() } else { None };
            let commit = if files.commit.is_some() { ledger.commit(&run_id).await.transpose() } else { None };
            let done = if files.done.is_some() { ledger.done(&run_id).await.transpose() } else { None };
            (run_id, files, intent, commit, done)
        });
        let mut read = read.buffered(PARALLEL);
        while let Some((run_id, files, intent, commit, done)) = read.next().await {
            let record = RunRecord {
                intent: problems.or_damaged(intent)?,
                commit: problems.or_damaged(commit)?,
                done: problems.or_damaged(done)?,
                files,
            };
            runs.insert(run_id, record);
        }
        drop(read);
        let mut versions = Vec::new();
        for number in 1..=ledger.newest_version().await? {
            if let Some(version) = problems.or_damaged(ledger.version(number).await.transpose())? {
                versions.push((number, version.run_id));
            }
        }
        for (name, run_id) in claims {
            if let Some(run_id) = problems.or_damaged(Some(run_id))?
                && !runs.contains_key(&run_id)
            {
                let message = format!("the claim names the run `{run_id}`, which the ledger does not have");
                problems.add(FindingKind::RecordMissing, ledger.claim_url(&name)?, message, RESTORE);
            }
        }
        for (run_id, run) in &runs {
            if run.files.intent.is_none() && (run.files.commit.is_some() || run.files.done.is_some()) {
                let message = format!("the run `{run_id}` has no record of what it set out to do");
                problems.add(FindingKind::RecordMissing, ledger.record_url(run_id, "intent")?, message, RESTORE);
            }
            if run.files.commit.is_none() && matches!(run.done, Some(Done::Succeeded { .. })) {
                let message = format!("the run `{run_id}` succeeded, but has no commit record");
                problems.add(FindingKind::RecordMissing, ledger.record_url(run_id, "commit")?, message, RESTORE);
            }
        }
        for (number, run_id) in &versions {
            if runs.get(run_id).is_none_or(|run| run.files.commit.is_none()) {
                let message = format!("version {number} is of the run `{run_id}`, which has no commit record");
                problems.add(FindingKind::RecordMissing, ledger.version_url(*number)?, message, RESTORE);
            }
        }
        Ok(Self { runs, versions, are_whole: problems.found.len() == before })
    }

    /// What changes in the ledger while a run is on its way: compared to see whether anything has happened.
    pub(super) fn state(files: &BTreeMap<String, RunFiles>) -> Vec<(&str, bool, bool)> {
        files.iter().map(|(id, files)| (id.as_str(), files.commit.is_some(), files.done.is_some())).collect()
    }
}

impl Problems<'_> {
    /// What was read; a record that cannot be understood is a problem, and counts as absent.
    fn or_damaged<T>(&mut self, read: Option<Result<T>>) -> Result<Option<T>> {
        match read.transpose() {
            Ok(record) => Ok(record),
            Err(error) if error.code == Code::CatalogDamaged => {
                let place = error.object.map_or_else(String::new, |place| place.object);
                self.add(FindingKind::RecordDamaged, place, error.message, RESTORE);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn add(&mut self, kind: FindingKind, place: String, message: String, help: &str) -> &mut Problem {
        self.found.push(Problem::new(self.target, kind, place, message, help));
        let last = self.found.len() - 1;
        &mut self.found[last]
    }
}
