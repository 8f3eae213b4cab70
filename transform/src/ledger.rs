//! The ledger: which input went into which run, and how each run ended.
//!
//! ```text
//! <data>/_unglue/<database>/<table>/inputs/<hash>.json      claim: this input belongs to that run
//!                                   runs/<run_id>/intent.json · commit.json · done.json
//!                                   versions/<n>.json        replacing modes only
//! ```
//!
//! Every object is created once and never changed, so that two workers agree by who came first. An answer that was lost is
//! recognised by reading what is there.

mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arrival::{ArrivalId, ClaimName, digest};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::record::{Claim, Commit, Decision, Done, Intent, Rebuild, Version};
use crate::store::{DataRoot, storage};
use crate::table::TableName;

pub(crate) use survey::{PARALLEL, RunFiles};

/// Names that one request lists on S3.
const NAMES_A_PAGE: usize = 1000;

/// The ledger of one transform.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    root: DataRoot,
    folder: String,
}

impl Ledger {
    pub(crate) fn new(root: DataRoot, target: &TableName) -> Self {
        Self { root, folder: format!("_unglue/{}/{}", target.database, target.table) }
    }

    /// Where a run stages hidden files.
    pub(crate) fn staging_folder(&self, run_id: &str) -> Result<Path> {
        self.path(&format!("runs/{run_id}/staged"))
    }

    /// Where a run keeps the records that it left out.
    pub(crate) fn quarantine(&self, run_id: &str) -> Result<Path> {
        self.path(&format!("quarantine/{run_id}.jsonl"))
    }

    /// The arrivals that were ever claimed: their names alone, no claim is read.
    pub(crate) async fn claims(&self) -> Result<Claims> {
        Ok(Claims::of(self.names("inputs").await?.iter().filter_map(|name| ClaimName::parse(name))))
    }

    /// The claims of the versions of some objects, in at most two requests for each of them, however many others there are.
    pub(crate) async fn claims_of(&self, objects: &BTreeSet<String>) -> Result<Claims> {
        // All claims, if that takes no more requests.
        let some = objects.len() * NAMES_A_PAGE;
        let mut names = self.listed("inputs", None)?.fuse();
        let first: Vec<String> = names.by_ref().take(some).try_collect().await?;
        if first.len() < some || !self.root.lists_in_order() {
            let rest: Vec<String> = names.try_collect().await?;
            return Ok(Claims::of(first.iter().chain(&rest).filter_map(|name| ClaimName::parse(name))));
        }
        let of_each: Vec<Vec<String>> = stream::iter(objects)
            .map(|object| async move {
                let versions = ArrivalId::beginning(object);
                let listed = self.listed("inputs", Some(&versions))?;
                listed.try_take_while(|name| ready(Ok(name.starts_with(&versions)))).try_collect().await
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(Claims::of(of_each.iter().flatten().filter_map(|name| ClaimName::parse(name))))
    }

    /// Binds an arrival to a run; returns the run that it belongs to, which may be another.
    pub(crate) async fn claim(&self, name: &ClaimName, object: &str, run_id: &str) -> Result<String> {
        self.bind(&name.file_name(), Claim { run_id: run_id.to_owned(), object: object.to_owned() }).await
    }

    /// Binds the start of a rebuild, so that workers who see the same inputs continue one run.
    pub(crate) async fn claim_version(&self, rebuild: &Rebuild, run_id: &str) -> Result<String> {
        let name = format!("{}.json", digest(&[&rebuild.version.to_string(), &rebuild.fingerprint]));
        let object = format!("version {} of the table", rebuild.version + 1);
        self.bind(&name, Claim { run_id: run_id.to_owned(), object }).await
    }

    async fn bind(&self, name: &str, claim: Claim) -> Result<String> {
        let path = self.path(&format!("inputs/{name}"))?;
        Ok(self.create_or_read(&path, claim).await?.run_id)
    }

    /// The object that a claim was made for.
    pub(crate) async fn claimed_object(&self, name: &ClaimName) -> Result<Option<String>> {
        let claim = self.read::<Claim>(&self.path(&format!("inputs/{}", name.file_name()))?).await?;
        Ok(claim.map(|claim| claim.object))
    }

    /// The run that an arrival belongs to now: the one that it was claimed for, or that one's latest successor; with its
    /// end, if it has ended.
    pub(crate) async fn run_of(&self, name: &ClaimName) -> Result<Option<(String, Option<Done>)>> {
        let Some(claim) = self.read::<Claim>(&self.path(&format!("inputs/{}", name.file_name()))?).await? else {
            return Ok(None);
        };
        let mut run_id = claim.run_id;
        loop {
            match self.done(&run_id).await? {
                Some(Done::Superseded { successor: Some(next) }) => run_id = next,
                done => return Ok(Some((run_id, done))),
            }
        }
    }

    /// Runs that began and did not end, oldest first.
    pub(crate) async fn open_runs(&self) -> Result<Vec<String>> {
        Ok(self.runs().await?.into_iter().filter(|(_, files)| files.is_open()).map(|(run_id, _)| run_id).collect())
    }

    /// Whether no other run has ever begun.
    pub(crate) async fn is_first(&self, run_id: &str) -> Result<bool> {
        Ok(self.runs().await?.keys().all(|known| known == run_id))
    }

    /// Whether a run of the transform was ever committed, so that the table's folder may hold what it wrote.
    pub(crate) async fn has_commits(&self) -> Result<bool> {
        Ok(self.runs().await?.values().any(|files| files.commit.is_some()))
    }

    pub(crate) async fn intent(&self, run_id: &str) -> Result<Option<Intent>> {
        self.read(&self.run_path(run_id, "intent")?).await
    }

    /// Records an intent; the run's own may be there already.
    pub(crate) async fn put_intent(&self, intent: &Intent) -> Result<()> {
        self.create(&self.run_path(&intent.run_id, "intent")?, intent).await.map(|_| ())
    }

    /// The commit record of a run that was committed.
    pub(crate) async fn commit(&self, run_id: &str) -> Result<Option<Commit>> {
        Ok(match self.decision(run_id).await? {
            Some(Decision::Commit(commit)) => Some(*commit),
            Some(Decision::Abandon { .. }) | None => None,
        })
    }

    pub(crate) async fn decision(&self, run_id: &str) -> Result<Option<Decision>> {
        self.read(&self.run_path(run_id, "commit")?).await
    }

    /// The commit point. Returns what was decided of the run, which is another worker's decision if that one came first.
    pub(crate) async fn decide(&self, run_id: &str, decision: Decision) -> Result<Decision> {
        self.create_or_read(&self.run_path(run_id, "commit")?, decision).await
    }

    pub(crate) async fn done(&self, run_id: &str) -> Result<Option<Done>> {
        self.read(&self.run_path(run_id, "done")?).await
    }

    /// Records how a run ended. Returns what is recorded, which is another worker's record if that one came first.
    pub(crate) async fn put_done(&self, run_id: &str, done: Done) -> Result<Done> {
        self.create_or_read(&self.run_path(run_id, "done")?, done).await
    }

    /// The number of the newest version of the table; 0 where there is none.
    pub(crate) async fn newest_version(&self) -> Result<u64> {
        let names = self.names("versions").await?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<u64>().ok()).max().unwrap_or(0))
    }

    /// What a version is; `None` for number 0.
    pub(crate) async fn version(&self, number: u64) -> Result<Option<Version>> {
        self.read(&self.version_path(number)?).await
    }

    /// Takes the version number; returns the run that has it.
    pub(crate) async fn put_version(&self, number: u64, version: &Version) -> Result<String> {
        Ok(self.create_or_read(&self.version_path(number)?, version.clone()).await?.run_id)
    }

    fn version_path(&self, number: u64) -> Result<Path> {
        self.path(&format!("versions/{number:010}.json"))
    }

    fn run_path(&self, run_id: &str, file: &str) -> Result<Path> {
        self.path(&format!("runs/{run_id}/{file}.json"))
    }

    fn path(&self, below: &str) -> Result<Path> {
        self.root.path(&format!("{}/{below}", self.folder))
    }

    /// Names below a folder of the ledger, relative to it.
    async fn names(&self, folder: &str) -> Result<Vec<String>> {
        self.listed(folder, None)?.try_collect().await
    }

    /// The same one after the other, on some storages in their order; those after a name, or all.
    fn listed(&self, folder: &str, after: Option<&str>) -> Result<BoxStream<'static, Result<String>>> {
        let folder = self.path(folder)?;
        let prefix = format!("{folder}/");
        let store = self.root.store();
        let listed = match after {
            Some(name) => store.list_with_offset(Some(&folder), &folder.clone().join(name)),
            None => store.list(Some(&folder)),
        };
        let url = self.root.url(&folder);
        let named = listed
            .map_ok(move |meta| meta.location.as_ref().strip_prefix(&prefix).unwrap_or_default().to_owned())
            .map_err(move |error| storage(&url, error));
        Ok(named.boxed())
    }

    /// Creates a record, or gives the one that is there: another worker's, or this one's after an answer that was lost.
    async fn create_or_read<T: Serialize + DeserializeOwned>(&self, path: &Path, record: T) -> Result<T> {
        if self.create(path, &record).await? {
            return Ok(record);
        }
        self.read(path).await?.ok_or_else(|| {
            Error::new(Code::Storage, "a record of the ledger vanished while it was read")
                .help("run again")
                .in_object(self.root.url(path), None)
        })
    }

    async fn create(&self, path: &Path, content: &impl Serialize) -> Result<bool> {
        let json = serde_json::to_vec_pretty(content).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        self.root.create(path, json).await
    }

    async fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let Some(bytes) = self.root.read(path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(Code::CatalogDamaged, format!("a ledger record cannot be understood: {error}"))
                .in_object(self.root.url(path), None)
        })
    }
}

/// What was claimed, by the names of the claims.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    by_folder: BTreeMap<String, Vec<ClaimName>>,
}

impl Claims {
    fn of(names: impl Iterator<Item = ClaimName>) -> Self {
        let mut by_folder: BTreeMap<String, Vec<ClaimName>> = BTreeMap::new();
        for name in names {
            by_folder.entry(name.arrival.folder.clone()).or_default().push(name);
        }
        // Claims of one object are neighbours, the newest last.
        for names in by_folder.values_mut() {
            names.sort_by(|a, b| (&a.arrival.object, a.generation).cmp(&(&b.arrival.object, b.generation)));
        }
        Self { by_folder }
    }

    /// The folders that claimed arrivals lie in, each with a claim.
    pub(crate) fn folders(&self) -> impl Iterator<Item = (&str, &ClaimName)> {
        self.by_folder.iter().filter_map(|(folder, names)| Some((folder.as_str(), names.first()?)))
    }

    /// Whether the newest claim of a folder is that it has gone.
    pub(crate) fn is_gone(&self, folder: &str) -> bool {
        let names = self.by_folder.get(folder).map_or(&[][..], Vec::as_slice);
        names.iter().rfind(|name| name.arrival.is_folder()).is_some_and(|name| name.arrival.is_gone())
    }

    /// Whether this very version of the object is the newest that was claimed.
    pub(crate) fn is_newest(&self, arrival: &ArrivalId) -> bool {
        let versions = self.versions(arrival);
        let Some(newest) = versions.last() else { return false };
        versions.iter().any(|name| name.generation == newest.generation && name.arrival == *arrival)
    }

    /// Whether this claim was made, by whomever.
    pub(crate) fn contains(&self, name: &ClaimName) -> bool {
        self.versions(&name.arrival).contains(name)
    }

    /// The claims of all versions of an arrival's object.
    fn versions(&self, arrival: &ArrivalId) -> &[ClaimName] {
        let Some(names) = self.by_folder.get(&arrival.folder) else { return &[] };
        let first = names.partition_point(|name| name.arrival.object < arrival.object);
        let end = names.partition_point(|name| name.arrival.object <= arrival.object);
        &names[first..end]
    }

    /// The claims of what an arrival replaces: other versions of its object, and for a folder all in it.
    pub(crate) fn replaced_by(&self, arrival: &ArrivalId) -> impl Iterator<Item = &ClaimName> {
        let candidates = match self.by_folder.get(&arrival.folder) {
            Some(names) if arrival.is_folder() => names.as_slice(),
            _ => self.versions(arrival),
        };
        let is_claimed = self.is_newest(arrival);
        candidates.iter().filter(move |name| !is_claimed || name.arrival != *arrival)
    }

    /// How many versions of an arrival's object were claimed before this one.
    pub(crate) fn generation_of(&self, arrival: &ArrivalId) -> u32 {
        match self.versions(arrival).last() {
            Some(newest) if self.is_newest(arrival) => newest.generation,
            Some(newest) => newest.generation + 1,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests;
