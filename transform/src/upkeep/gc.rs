//! Deleting what nothing refers to any more, and nothing else.
//!
//! What is deleted was written by a run of this table's ledger that has ended, is not shown by the catalog, has not been for
//! at least the retention, and is older than every run that is still open. The order of looking makes this safe beside
//! writers: the ledger first, then the files, then the catalog, so that whatever happens meanwhile is either not known here
//! or seen in the catalog; and the catalog once more before each batch.

mod garbage;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStoreExt};
use serde::Serialize;

use self::garbage::{End, Folder, Hidden, Replacement};
use super::shown::{Shown, is_in};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::inputs::{FIRST_FOLDER, file_name, run_of_file};
use crate::ledger::{Ledger, PARALLEL, RunFiles};
use crate::record::{Commit, Done, successor};
use crate::stage::{Held, Stage};
use crate::store::{DataRoot, storage};
use crate::table::TableName;
use crate::write::PartitionValues;

/// Files that are deleted between two looks at the catalog.
const BATCH: usize = 256;

/// A number of files with their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, meta: &ObjectMeta) {
        self.files += 1;
        self.bytes += meta.size;
    }
}

/// What was deleted of one table, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The table.
    pub transform: TableName,
    /// Files of former versions, and of runs that were superseded.
    pub replaced: Amount,
    /// Hidden files that runs left behind.
    pub staged: Amount,
    /// Uploads of superseded runs, which are given up; ones that are gone already count, too.
    pub uploads: u64,
    /// Files that nothing refers to, but not for long enough.
    pub too_young: Amount,
    /// Files that nothing refers to but runs that are still open.
    pub held: Amount,
    /// Those runs.
    pub held_by: BTreeSet<String>,
}

/// What deletes the garbage of one table.
pub(crate) struct Collector<'a> {
    pub(crate) root: &'a DataRoot,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) target: &'a TableName,
    /// URL of the table's own folder.
    pub(crate) location: &'a str,
    pub(crate) ledger: Ledger,
    pub(crate) older_than: TimeDelta,
    pub(crate) now: DateTime<Utc>,
    /// Only say what would be deleted.
    pub(crate) dry_run: bool,
}

/// A file of the table's folder that may be garbage.
struct Candidate {
    meta: ObjectMeta,
    /// The run that wrote it.
    writer: String,
    /// The run whose version folder it lies in.
    folder: Option<String>,
}

impl Collector<'_> {
    /// # Errors
    /// Those of storage, catalog and ledger; what was deleted until then is gone, and the rest is found again.
    pub(crate) async fn collect(&self) -> Result<Collected> {
        let mut collected = Collected {
            transform: self.target.clone(),
            replaced: Amount::default(),
            staged: Amount::default(),
            uploads: 0,
            too_young: Amount::default(),
            held: Amount::default(),
            held_by: BTreeSet::new(),
        };
        let runs = self.ledger.runs().await?;
        self.left_hidden(&runs, &mut collected).await?;
        self.left_uploads(&runs, &mut collected).await?;
        let candidates = self.candidates(&runs).await?;
        let Some(shown) = Shown::find(self.catalog, self.target).await? else { return Ok(collected) };
        let places = shown.places(self.root);
        let candidates: Vec<Candidate> =
            candidates.into_iter().filter(|candidate| !is_in(&candidate.meta.location, &places)).collect();
        if candidates.is_empty() {
            return Ok(collected);
        }
        let garbage = self.garbage(candidates, &runs, &mut collected).await?;
        for batch in garbage.chunks(BATCH) {
            // Nobody moves the catalog back to a former place but people.
            let Some(shown) = Shown::find(self.catalog, self.target).await? else { break };
            let places = shown.places(self.root);
            let batch: Vec<&ObjectMeta> = batch.iter().filter(|meta| !is_in(&meta.location, &places)).collect();
            self.delete(&batch, &mut collected.replaced).await?;
        }
        Ok(collected)
    }

    fn is_old(&self, at: DateTime<Utc>) -> bool {
        self.now.signed_duration_since(at) >= self.older_than
    }

    /// Hidden files of runs that have ended, or of attempts that were not the committed one.
    async fn left_hidden(&self, runs: &BTreeMap<String, RunFiles>, collected: &mut Collected) -> Result<()> {
        let mut left = Vec::new();
        for (run_id, files) in runs.iter().filter(|(_, files)| !files.staged.is_empty()) {
            let committed = match (files.done, files.commit) {
                (Some(_), _) => None,
                (None, Some(_)) => self.ledger.commit(run_id).await?.map(|commit| commit.nonce),
                (None, None) => continue,
            };
            if files.done.is_none() && committed.is_none() {
                continue;
            }
            for meta in &files.staged {
                let Some(attempt) = attempt_of(meta) else { continue };
                let since = files.done.map_or(meta.last_modified, |done| done.max(meta.last_modified));
                if committed.as_deref() != Some(attempt) && self.is_old(since) {
                    left.push(meta);
                }
            }
        }
        self.delete(&left, &mut collected.staged).await
    }

    /// Uploads that superseded runs recorded. They were given up when the runs were, so that this is needed only where the
    /// storage did not do as it said.
    async fn left_uploads(&self, runs: &BTreeMap<String, RunFiles>, collected: &mut Collected) -> Result<()> {
        if self.root.bucket().multipart.is_none() {
            return Ok(());
        }
        for (run_id, files) in runs {
            let is_old = files.done.is_some_and(|done| self.is_old(done));
            if !is_old || files.commit.is_none() || !runs.contains_key(&successor(run_id)) {
                continue;
            }
            let Some(Done::Superseded { .. }) = self.ledger.done(run_id).await? else { continue };
            let Some(commit) = self.ledger.commit(run_id).await? else { continue };
            let stage = Stage::new(self.root.clone(), self.ledger.staging_folder(run_id)?);
            for file in commit.files.iter().filter(|file| matches!(file.staged.held, Held::Upload { .. })) {
                if !self.dry_run {
                    stage.discard(&file.staged).await?;
                }
                collected.uploads += 1;
            }
        }
        Ok(())
    }

    /// The files in the table's folder that were written by runs that have ended, other than into a version that is being
    /// made.
    async fn candidates(&self, runs: &BTreeMap<String, RunFiles>) -> Result<Vec<Candidate>> {
        let own = self.root.path_of(self.location)?;
        let has_ended = |run_id: &str| runs.get(run_id).is_some_and(|files| files.done.is_some());
        let listed = self.root.store().list(Some(&own)).map_err(|error| storage(self.location, error));
        listed
            .try_filter_map(|meta| {
                let candidate = candidate(&own, meta).filter(|candidate| {
                    has_ended(&candidate.writer) && candidate.folder.as_deref().is_none_or(has_ended)
                });
                std::future::ready(Ok(candidate))
            })
            .try_collect()
            .await
    }

    /// The candidates that nothing refers to, and has not for the retention.
    async fn garbage(
        &self,
        candidates: Vec<Candidate>,
        runs: &BTreeMap<String, RunFiles>,
        collected: &mut Collected,
    ) -> Result<Vec<ObjectMeta>> {
        let involved: BTreeSet<&str> = candidates
            .iter()
            .flat_map(|candidate| [Some(candidate.writer.as_str()), candidate.folder.as_deref()])
            .flatten()
            .collect();
        let known: BTreeMap<&str, Known> = stream::iter(involved)
            .map(|run_id| async move { Ok::<_, crate::Error>((run_id, self.known(run_id, runs).await?)) })
            .buffer_unordered(PARALLEL)
            .try_filter_map(|(run_id, known)| async move { Ok(known.map(|known| (run_id, known))) })
            .try_collect()
            .await?;
        let (replacements, numbers) = self.replacements(&candidates, &known, runs).await?;
        let folders: BTreeMap<&str, Folder> = candidates
            .iter()
            .filter_map(|candidate| {
                let run_id = candidate.folder.as_deref()?;
                let known = known.get(run_id)?;
                // A superseded run has no version, or lost it: versions after its base may have replaced what it wrote.
                let number = if known.end.is_superseded { known.base } else { *numbers.get(run_id)? };
                Some((run_id, Folder { run_id: run_id.to_owned(), end: known.end, number }))
            })
            .collect();
        // A run without its first record may have begun at any time.
        let open: Vec<(&String, Option<DateTime<Utc>>)> =
            runs.iter().filter(|(_, files)| files.is_open()).map(|(run_id, files)| (run_id, files.intent)).collect();
        let mut garbage = Vec::new();
        for candidate in &candidates {
            let Some(writer) = known.get(candidate.writer.as_str()) else { continue };
            let Some(partition) = writer.partitions.get(named(&candidate.meta)) else { continue };
            let folder = match candidate.folder.as_deref() {
                None => None,
                Some(run_id) => match folders.get(run_id) {
                    Some(folder) => Some(folder),
                    None => continue,
                },
            };
            let last_modified = candidate.meta.last_modified;
            let hidden = Hidden { last_modified, writer: writer.end, partition, folder };
            let Some(since) = hidden.since(&replacements) else { continue };
            let holding: Vec<&String> =
                open.iter().filter(|(_, began)| began.is_none_or(|began| began <= since)).map(|(id, _)| *id).collect();
            if !self.is_old(since) {
                collected.too_young.add(&candidate.meta);
            } else if !holding.is_empty() {
                collected.held.add(&candidate.meta);
                collected.held_by.extend(holding.into_iter().cloned());
            } else {
                garbage.push(candidate.meta.clone());
            }
        }
        Ok(garbage)
    }

    async fn known(&self, run_id: &str, runs: &BTreeMap<String, RunFiles>) -> Result<Option<Known>> {
        let Some(at) = runs.get(run_id).and_then(|files| files.done) else { return Ok(None) };
        let (Some(done), Some(commit)) = (self.ledger.done(run_id).await?, self.ledger.commit(run_id).await?) else {
            return Ok(None);
        };
        let is_superseded = matches!(done, Done::Superseded { .. });
        Ok(Some(Known::of(commit, End { at, is_superseded })))
    }

    /// The versions that may have replaced candidates, and the number of each version whose folder one lies in.
    ///
    /// Versions are read from the newest back to the oldest that is needed.
    async fn replacements(
        &self,
        candidates: &[Candidate],
        known: &BTreeMap<&str, Known>,
        runs: &BTreeMap<String, RunFiles>,
    ) -> Result<(Vec<Replacement>, BTreeMap<String, u64>)> {
        // Every version has a number above its run's base.
        let oldest = candidates.iter().map(|candidate| match candidate.folder.as_deref() {
            None => 0,
            Some(run_id) => known.get(run_id).map_or(u64::MAX, |known| known.base),
        });
        let Some(oldest) = oldest.min().filter(|oldest| *oldest < u64::MAX) else {
            return Ok((Vec::new(), BTreeMap::new()));
        };
        let versions = self.ledger.versions_after(oldest).await?;
        let numbers = versions.iter().map(|(number, version)| (version.run_id.clone(), *number)).collect();
        let replacements = stream::iter(versions)
            .map(|(number, version)| self.replacement(number, version.run_id, runs))
            .buffered(PARALLEL)
            .try_filter_map(|replacement| async move { Ok(replacement) })
            .try_collect()
            .await?;
        Ok((replacements, numbers))
    }

    /// What a version replaced; `None` while it is not through, and if it was given up.
    async fn replacement(
        &self,
        number: u64,
        run_id: String,
        runs: &BTreeMap<String, RunFiles>,
    ) -> Result<Option<Replacement>> {
        let Some(at) = runs.get(&run_id).and_then(|files| files.done) else { return Ok(None) };
        let Some(Done::Succeeded { .. }) = self.ledger.done(&run_id).await? else { return Ok(None) };
        let Some(Commit { swap: Some(swap), partitions, .. }) = self.ledger.commit(&run_id).await? else {
            return Ok(None);
        };
        let touches = swap.touches(&partitions).into_iter().cloned().collect();
        Ok(Some(Replacement { number, run_id, at, whole: swap.whole, touches }))
    }

    async fn delete(&self, files: &[&ObjectMeta], amount: &mut Amount) -> Result<()> {
        if self.dry_run {
            files.iter().for_each(|meta| amount.add(meta));
            return Ok(());
        }
        let deleted = stream::iter(files.iter().copied()).map(|meta| async move {
            match self.root.store().delete(&meta.location).await {
                Ok(()) => Ok(Some(meta)),
                // Another collector was faster.
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(error) => Err(storage(&self.root.url(&meta.location), error)),
            }
        });
        let mut deleted = deleted.buffer_unordered(PARALLEL);
        while let Some(meta) = deleted.try_next().await? {
            meta.into_iter().for_each(|meta| amount.add(meta));
        }
        Ok(())
    }
}

/// What is known of a run that has ended.
struct Known {
    end: End,
    /// The newest version when it began.
    base: u64,
    /// The partition of each of its files, by name.
    partitions: BTreeMap<String, PartitionValues>,
}

impl Known {
    fn of(commit: Commit, end: End) -> Self {
        let files = commit.files.into_iter();
        let partitions = files.map(|file| (file_name(&file.staged.path).to_owned(), file.partition)).collect();
        Self { end, base: commit.base, partitions }
    }
}

/// A file with a name as runs give it, in the table's folder or in that of a version.
fn candidate(own: &Path, meta: ObjectMeta) -> Option<Candidate> {
    let writer = run_of_file(meta.location.filename()?)?.to_owned();
    let first = meta.location.prefix_match(own)?.next()?;
    let is_of_version = first.as_ref() != FIRST_FOLDER;
    let folder = first.as_ref().strip_prefix("v-").filter(|_| is_of_version).map(str::to_owned);
    Some(Candidate { meta, writer, folder })
}

fn named(meta: &ObjectMeta) -> &str {
    meta.location.filename().unwrap_or_default()
}

/// The attempt that wrote a hidden file, `<attempt>-<n>`.
fn attempt_of(meta: &ObjectMeta) -> Option<&str> {
    let (attempt, index) = named(meta).split_once('-')?;
    let is_ours = attempt.len() == 8
        && attempt.chars().all(|c| c.is_ascii_hexdigit())
        && !index.is_empty()
        && index.chars().all(|c| c.is_ascii_digit());
    is_ours.then_some(attempt)
}
