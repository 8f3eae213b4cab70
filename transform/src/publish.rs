//! Rolling a committed run forward: files become visible, the catalog learns of them, the run is done.
//!
//! Every step may be repeated by anyone who holds the commit record, at any time, beside others. The rules that make this
//! right are in `docs/guarantees.md`: who adds files looks afterwards whether a newer version of the table has come in between,
//! who makes a version looks afterwards for files that were added, and partitions move only from where they were seen.

mod adding;
mod definition;
mod swapping;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use crate::catalog::Catalog;
use crate::code::Code;
use crate::engine::Announce;
use crate::error::{Error, Result};
use crate::inputs::version_folder;
use crate::ledger::Ledger;
use crate::partition;
use crate::record::{Commit, Done, Swap, Version};
use crate::stage::{Published, Stage};
use crate::store::DataRoot;
use crate::table::{Table, TableName};
use crate::write::PartitionValues;

/// Requests at a time.
const PARALLEL: usize = 16;

/// What makes the runs of one transform visible.
pub(crate) struct Publisher<'a> {
    pub(crate) root: &'a DataRoot,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) ledger: &'a Ledger,
    pub(crate) announce: Option<&'a Announce>,
    /// Whether a run that is visible is told of and recorded as done; else that is left to whoever is at it.
    pub(crate) ends: bool,
    /// The same for other runs that have to be visible first.
    pub(crate) ends_others: bool,
    pub(crate) target: &'a TableName,
}

/// A version of a table that is through.
pub(crate) struct Settled {
    pub(crate) run_id: String,
    pub(crate) commit: Commit,
    pub(crate) swap: Swap,
}

impl Publisher<'_> {
    /// The same for the runs of other workers.
    pub(crate) fn of_others(&self) -> Self {
        Self { ends: self.ends_others, ..*self }
    }

    /// Makes a committed run visible and ends it.
    ///
    /// # Errors
    /// Those of storage and catalog; the run stays open and is rolled forward again.
    pub(crate) async fn roll_forward(&self, run_id: &str, commit: Commit) -> Result<Done> {
        // Runs of other versions are rolled forward on the way, so that this may call itself.
        Box::pin(async move {
            match &commit.swap {
                None => self.add(run_id, &commit).await,
                Some(swap) => self.swap(run_id, &commit, swap).await,
            }
        })
        .await
    }

    /// Sees to it that a version is through. `None` if it was given up.
    pub(crate) async fn settle(&self, number: u64) -> Result<Option<Settled>> {
        let Some(Version { run_id, .. }) = self.ledger.version(number).await? else { return Ok(None) };
        let commit = self.ledger.commit(&run_id).await?;
        let Some((commit, swap)) = commit.and_then(|commit| commit.swap.clone().map(|swap| (commit, swap))) else {
            return Err(Error::new(
                Code::CatalogDamaged,
                format!("version {number} of `{}` is of the run {run_id}, which has no commit record", self.target),
            )
            .help("restore the ledger's files of this table"));
        };
        let done = match self.ledger.done(&run_id).await? {
            Some(done) => done,
            None => self.of_others().roll_forward(&run_id, commit.clone()).await?,
        };
        Ok(match done {
            Done::Succeeded { .. } => Some(Settled { run_id, commit, swap }),
            Done::Superseded { .. } => None,
        })
    }

    /// Completes the files of a commit. `false` if some can never be: the storage has forgotten what was staged.
    async fn publish(&self, run_id: &str, commit: &Commit) -> Result<bool> {
        let stage = self.stage(run_id)?;
        let published: Vec<Published> = stream::iter(commit.files.iter().map(|file| stage.publish(&file.staged)))
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        Ok(!published.contains(&Published::Lost))
    }

    /// Where the catalog has the partitions (or the table) that a commit wrote to.
    async fn homes(&self, commit: &Commit) -> Result<BTreeMap<PartitionValues, String>> {
        if commit.table.partition_keys.is_empty() {
            let table = self.catalog.table(self.target).await?;
            return Ok(table.map(|table| (Vec::new(), table.location)).into_iter().collect());
        }
        let known = self.catalog.partitions(self.target).await?;
        Ok(known.into_iter().map(|partition| (partition.values, partition.location)).collect())
    }

    fn stage(&self, run_id: &str) -> Result<Stage> {
        Ok(Stage::new(self.root.clone(), self.ledger.staging_folder(run_id)?))
    }

    /// Tells of a run that readers see, and records its end.
    async fn succeed(&self, run_id: &str, commit: &Commit) -> Result<Done> {
        let done = Done::Succeeded { receipt: Box::new(commit.receipt.clone()) };
        if !self.ends {
            return Ok(done);
        }
        if let Some(announce) = self.announce {
            announce(commit.receipt.clone()).await?;
        }
        self.ledger.put_done(run_id, done).await
    }

    /// Gives a committed run up in favour of a successor, which does its work anew.
    ///
    /// What was staged is taken back first, so that nobody who is still rolling the run forward can make it visible, and what
    /// was visible goes: the successor writes the same rows.
    async fn give_way(&self, run_id: &str, commit: &Commit) -> Result<Done> {
        // A run that has ended is not given up: its files may be gone because a later version replaced them.
        if let Some(done) = self.ledger.done(run_id).await? {
            return Ok(done);
        }
        let stage = self.stage(run_id)?;
        stream::iter(commit.files.iter().map(|file| stage.discard(&file.staged)))
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        // A copy may lie in the folder that its partition has moved to.
        let homes = self.homes(commit).await?;
        let mut visible = Vec::new();
        for file in &commit.files {
            visible.push(file.staged.path.clone());
            if let Some(home) = homes.get(&file.partition) {
                visible.push(self.place_in(home, &file.staged.path)?.to_string());
            }
        }
        stream::iter(visible.iter().map(|path| stage.delete(path)))
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        let Some(intent) = self.ledger.intent(run_id).await? else {
            return self.ledger.put_done(run_id, Done::Superseded { successor: None }).await;
        };
        let next = intent.successor();
        self.ledger.put_intent(&next).await?;
        self.ledger.put_done(run_id, Done::Superseded { successor: Some(next.run_id) }).await
    }
}

/// The place of a partition in the folder of a version.
fn place_in_version(table: &Table, run_id: &str, values: &[Option<String>]) -> String {
    let keys: Vec<&str> = table.partition_keys.iter().map(|key| key.name.as_str()).collect();
    format!("{}{}/{}/", table.location, version_folder(run_id), partition::encode_path(&keys, values))
}
