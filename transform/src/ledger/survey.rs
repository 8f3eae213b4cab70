//! What the ledger tells by its names alone: which records there are, and when they were made.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;

use super::Ledger;
use crate::error::{Error, Result};
use crate::record::{Claim, Version};
use crate::store::storage;

/// Records read at a time.
pub(crate) const PARALLEL: usize = 16;

/// The records of one run, each with the time at which the storage has it from; `None` for those that are not there.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunFiles {
    pub(crate) intent: Option<DateTime<Utc>>,
    pub(crate) commit: Option<DateTime<Utc>>,
    pub(crate) done: Option<DateTime<Utc>>,
    /// Hidden files that it left.
    pub(crate) staged: Vec<ObjectMeta>,
}

impl RunFiles {
    /// Whether it began and did not end. A folder that holds hidden files only is no run.
    pub(crate) fn is_open(&self) -> bool {
        self.done.is_none() && (self.intent.is_some() || self.commit.is_some())
    }
}

impl Ledger {
    /// All runs, by their ids.
    pub(crate) async fn runs(&self) -> Result<BTreeMap<String, RunFiles>> {
        let folder = self.path("runs")?;
        let prefix = format!("{folder}/");
        let listed = self.root.store().list(Some(&folder));
        let listed: Vec<ObjectMeta> =
            listed.try_collect().await.map_err(|error| storage(&self.root.url(&folder), error))?;
        let mut runs: BTreeMap<String, RunFiles> = BTreeMap::new();
        for meta in listed {
            let below = meta.location.as_ref().strip_prefix(&prefix).unwrap_or_default();
            let Some((run_id, file)) = below.split_once('/') else { continue };
            let run = runs.entry(run_id.to_owned()).or_default();
            match file {
                "intent.json" => run.intent = Some(meta.last_modified),
                "commit.json" => run.commit = Some(meta.last_modified),
                "done.json" => run.done = Some(meta.last_modified),
                _ if file.starts_with("staged/") => run.staged.push(meta),
                _ => {}
            }
        }
        Ok(runs)
    }

    /// The versions after one, in order.
    pub(crate) async fn versions_after(&self, number: u64) -> Result<Vec<(u64, Version)>> {
        let newest = self.newest_version().await?;
        stream::iter((number + 1)..=newest)
            .map(|number| async move { Ok(self.version(number).await?.map(|version| (number, version))) })
            .buffered(PARALLEL)
            .try_filter_map(|version| async move { Ok(version) })
            .try_collect()
            .await
    }

    /// Reads every claim: the name of its file with the run that it names, or what is wrong with it.
    pub(crate) async fn all_claims(&self) -> Result<Vec<(String, Result<String, Error>)>> {
        let names = self.names("inputs").await?;
        let claims = stream::iter(names).map(|name| async move {
            let read = match self.path(&format!("inputs/{name}")) {
                Ok(path) => self.read::<Claim>(&path).await,
                Err(error) => Err(error),
            };
            // One that is gone again is none.
            read.transpose().map(|claim| (name, claim.map(|claim| claim.run_id)))
        });
        Ok(claims.buffered(2 * PARALLEL).filter_map(|claim| async move { claim }).collect().await)
    }

    /// URL of a record of a run: `intent`, `commit` or `done`.
    pub(crate) fn record_url(&self, run_id: &str, record: &str) -> Result<String> {
        Ok(self.root.url(&self.run_path(run_id, record)?))
    }

    /// URL of the record of a version.
    pub(crate) fn version_url(&self, number: u64) -> Result<String> {
        Ok(self.root.url(&self.version_path(number)?))
    }

    /// URL of a claim, by the name of its file.
    pub(crate) fn claim_url(&self, name: &str) -> Result<String> {
        Ok(self.root.url(&self.path(&format!("inputs/{name}"))?))
    }
}
