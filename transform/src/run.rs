//! One transform: what was begun is carried on, what is new is run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use crate::catalog::Catalog;
use crate::code::Code;
use crate::due::{self, Due, Listing};
use crate::engine::{Progress, Stamp};
use crate::error::{Error, Result};
use crate::execute::{Executed, Job, execute};
use crate::ledger::{Commit, Done, Intent, Ledger, Replaces};
use crate::partition;
use crate::plan::Planned;
use crate::publish::roll_forward;
use crate::receipt::{Receipt, ReceiptInput, ReceiptPartition};
use crate::registration::register;
use crate::runtime::Limits;
use crate::settings::WriteMode;
use crate::stage::Stage;
use crate::store::{DataRoot, storage};
use crate::table::{Partition, Table};
use crate::transform::Transform;

/// All that the runs of one transform share.
pub(crate) struct Runner<'a> {
    pub(crate) root: &'a DataRoot,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) limits: &'a Limits,
    pub(crate) transform: &'a Transform,
    /// As checked against the catalog before the run.
    pub(crate) planned: &'a Planned,
    /// Rebuild the table, also where nothing is new.
    pub(crate) full_refresh: bool,
    pub(crate) stamp: &'a Stamp,
    pub(crate) progress: &'a (dyn Fn(Progress) + Send + Sync),
    pub(crate) ledger: Ledger,
}

impl Runner<'_> {
    /// Carries on the runs that were begun, then runs what is due.
    pub(crate) async fn run(&self) -> Vec<Result<Receipt>> {
        let mut outcomes = Vec::new();
        match self.ledger.open_runs().await {
            Ok(open) => {
                for run_id in open {
                    outcomes.extend(self.carry_on(&run_id).await.transpose());
                }
            }
            Err(error) => return vec![Err(self.name(error))],
        }
        // A rebuild reads the inputs of a run that is still open, too: that one must not add them once more afterwards.
        if !(self.full_refresh && outcomes.iter().any(Result::is_err)) {
            outcomes.extend(self.run_due().await);
        }
        outcomes.into_iter().map(|outcome| outcome.map_err(|error| self.name(error))).collect()
    }

    /// Names the transform, and the object by its URL.
    fn name(&self, error: Error) -> Error {
        let mut error = error.in_transform(&self.transform.target);
        if let Some(place) = &mut error.object
            && !place.object.contains("://")
            && let Ok(path) = Path::parse(&place.object)
        {
            let inside = path.prefix_matches(self.root.prefix());
            place.object = if inside { self.root.url(&path) } else { self.root.absolute(&place.object) };
        }
        error
    }

    async fn carry_on(&self, run_id: &str) -> Result<Option<Receipt>> {
        let stage = Stage::new(self.root.clone(), self.ledger.staging_folder(run_id)?);
        if let Some(commit) = self.ledger.commit(run_id).await? {
            return Ok(receipt(roll_forward(self.catalog, &self.ledger, &stage, run_id, commit).await?));
        }
        let Some(intent) = self.ledger.intent(run_id).await? else { return Ok(None) };
        if intent.replaces.is_none() && self.planned.write != WriteMode::Append {
            // The SQL was changed since: the table is now rebuilt from all inputs, these among them.
            self.ledger.put_done(run_id, &Done::Superseded).await?;
            return Ok(None);
        }
        let listing = due::list(self.root, self.catalog, self.transform).await?;
        // A rebuild of an appending transform has claimed its inputs: only a later rebuild, which read them all again, may
        // overtake it. Any other rebuild is done anew from what lies there now.
        if let Some(replaces) = &intent.replaces {
            let (version, _) = self.ledger.newest_version().await?;
            let appending = self.planned.write == WriteMode::Append;
            let stale = replaces.version != version
                || !appending && due::fingerprint(self.root, self.transform, &listing) != replaces.fingerprint;
            if stale {
                self.ledger.put_done(run_id, &Done::Superseded).await?;
                return Ok(None);
            }
        }
        self.claim_and_execute(intent, listing).await
    }

    /// Runs what is due; objects that are refused are errors beside the run.
    async fn run_due(&self) -> Vec<Result<Receipt>> {
        let due = async {
            let listing = due::list(self.root, self.catalog, self.transform).await?;
            let due = if self.full_refresh {
                due::everything(self.root, &self.ledger, self.transform, &listing).await?
            } else {
                due::due(self.root, &self.ledger, self.transform, self.planned.write, &listing).await?
            };
            Ok((listing, due))
        };
        let (listing, Due { inputs, replaces, refused }) = match due.await {
            Ok(found) => found,
            Err(error) => return vec![Err(error)],
        };
        let mut outcomes: Vec<Result<Receipt>> = refused.into_iter().map(Err).collect();
        if !inputs.is_empty() || replaces.is_some() {
            outcomes.extend(self.begin(inputs, replaces, listing).await.transpose());
        }
        outcomes
    }

    async fn begin(
        &self,
        inputs: Vec<ReceiptInput>,
        replaces: Option<Replaces>,
        listing: Listing,
    ) -> Result<Option<Receipt>> {
        let run_id = self.stamp.run_id(&self.transform.target);
        let write = if self.full_refresh { WriteMode::Overwrite } else { self.planned.write };
        let intent = Intent { run_id, write, at: self.stamp.at, inputs, replaces };
        self.ledger.put_intent(&intent).await?;
        self.claim_and_execute(intent, listing).await
    }

    /// Binds the inputs to the run, or finds the run that they belong to.
    async fn claim_and_execute(&self, mut intent: Intent, listing: Listing) -> Result<Option<Receipt>> {
        if let Some(replaces) = &intent.replaces {
            let owner = self.ledger.claim_version(replaces, &intent.run_id).await?;
            if owner != intent.run_id {
                self.ledger.put_done(&intent.run_id, &Done::Superseded).await?;
                intent.run_id = owner;
            }
        }
        if self.planned.write == WriteMode::Append {
            let run_id = &intent.run_id;
            let owners: Vec<String> = stream::iter(intent.inputs.iter().map(|input| self.ledger.claim(input, run_id)))
                .buffered(16)
                .try_collect()
                .await?;
            // A rebuild reads its inputs whoever has claimed them: what they gave before is replaced.
            if intent.replaces.is_none() {
                let ours = intent.inputs.into_iter().zip(owners).filter(|(_, owner)| *owner == intent.run_id);
                intent.inputs = ours.map(|(input, _)| input).collect();
            }
        }
        self.execute(intent, listing).await
    }

    async fn execute(&self, intent: Intent, listing: Listing) -> Result<Option<Receipt>> {
        let started = Instant::now();
        let (listing, superseded) = due::fix(self.root, self.transform, self.planned.write, listing, &intent.inputs);
        let inputs = due::read_by(self.root, &listing, &intent.inputs);
        if inputs.is_empty() && intent.replaces.is_none() {
            self.ledger.put_done(&intent.run_id, &Done::Superseded).await?;
            return Ok(None);
        }
        let stage = Stage::new(self.root.clone(), self.ledger.staging_folder(&intent.run_id)?);
        let target = Target::find(self, &intent).await?;
        let bytes_read = Arc::new(AtomicU64::new(0));
        (self.progress)(Progress::Started {
            transform: self.transform.target.clone(),
            inputs: inputs.len(),
            bytes: listing.values().map(crate::inputs::Input::bytes).sum(),
            bytes_read: Arc::clone(&bytes_read),
        });
        let attempt = self.stamp.attempt();
        let destination = |values: &[Option<String>], index: usize| {
            self.root.path_of(&format!("{}part-{}-{attempt}-{index}.parquet", target.folder(values), intent.run_id))
        };
        let executed = execute(Job {
            transform: self.transform,
            planned: self.planned,
            root: self.root,
            limits: self.limits,
            listing,
            at: intent.at,
            run_id: &intent.run_id,
            attempt: &attempt,
            stage: &stage,
            destination: &destination,
            bytes_read,
        })
        .await?;
        let commit = self.commit(&intent, inputs, superseded, executed, &target, started)?;
        let nonce = commit.nonce.clone();
        let ours = commit.files.clone();
        let commit = self.ledger.put_commit(&intent.run_id, commit).await?;
        if commit.nonce != nonce {
            for file in &ours {
                stage.discard(&file.staged).await?;
            }
        }
        let done = roll_forward(self.catalog, &self.ledger, &stage, &intent.run_id, commit).await?;
        Ok(receipt(done))
    }

    fn commit(
        &self,
        intent: &Intent,
        inputs: Vec<ReceiptInput>,
        superseded: Vec<String>,
        executed: Executed,
        target: &Target,
        started: Instant,
    ) -> Result<Commit> {
        let planned = self.planned;
        let location = target.location.clone();
        let mut table = register(
            target.existing.clone(),
            self.transform,
            &planned.columns,
            &planned.partition_keys,
            intent.write,
            location.clone(),
        )?;
        if intent.replaces.is_some() && planned.partition_keys.is_empty() {
            table.location = target.folder(&[]);
        }
        let mut written: BTreeMap<Vec<Option<String>>, ReceiptPartition> = BTreeMap::new();
        for file in &executed.files {
            let keys = planned.partition_keys.iter().map(|key| key.name.clone());
            let entry = written.entry(file.partition.clone()).or_insert_with(|| ReceiptPartition {
                values: keys.zip(file.partition.iter().cloned()).collect(),
                location: target.folder(&file.partition),
                files: 0,
                rows: 0,
                bytes: 0,
            });
            entry.files += 1;
            entry.rows += file.rows;
            entry.bytes += file.staged.size;
        }
        let partitions = written
            .iter()
            .filter(|(values, _)| !values.is_empty())
            .map(|(values, entry)| Partition {
                values: values.clone(),
                location: entry.location.clone(),
                parameters: BTreeMap::new(),
            })
            .collect();
        let receipt = Receipt {
            run_id: intent.run_id.clone(),
            transform: self.transform.target.clone(),
            file: self.transform.file.path.clone(),
            write: intent.write,
            at: intent.at,
            inputs,
            superseded,
            rows_read: executed.rows_read,
            rows: written.values().map(|partition| partition.rows).sum(),
            files: executed.files.len() as u64,
            bytes: written.values().map(|partition| partition.bytes).sum(),
            partitions: written.into_values().collect(),
            checks: executed.checks,
            seconds: started.elapsed().as_secs_f64(),
            peak_memory: executed.peak_memory,
        };
        Ok(Commit {
            nonce: self.stamp.attempt(),
            table,
            partitions,
            files: executed.files,
            replaces: intent.replaces.clone(),
            receipt,
        })
    }
}

fn receipt(done: Done) -> Option<Receipt> {
    match done {
        Done::Succeeded { receipt } => Some(*receipt),
        Done::Superseded => None,
    }
}

/// Where a run writes.
struct Target {
    existing: Option<Table>,
    /// The table's own folder.
    location: String,
    /// Where files of new partitions go: the table's folder, or a fresh one inside it for the replacing modes.
    base: String,
    keys: Vec<String>,
    /// `append`: partitions that exist, by their values.
    partitions: BTreeMap<Vec<Option<String>>, String>,
}

impl Target {
    async fn find(runner: &Runner<'_>, intent: &Intent) -> Result<Self> {
        let name = &runner.transform.target;
        let existing = runner.catalog.table(name).await?;
        let location = match &runner.transform.settings.location {
            Some(location) => with_slash(&location.value),
            None => runner.root.table_location(name),
        };
        runner.root.path_of(&location).map_err(|error| {
            let at = runner.transform.settings.location.as_ref().and_then(|location| location.at.clone());
            Error::new(Code::BadValue, error.message).maybe_at(at).help("name a folder of the data folder's bucket")
        })?;
        if existing.is_none() && runner.ledger.is_first(&intent.run_id).await? {
            unused(runner, &location, &intent.run_id).await?;
        }
        let replacing = intent.replaces.is_some();
        let (base, partitions) = if replacing {
            (format!("{location}v-{}/", intent.run_id), Vec::new())
        } else {
            let base = existing.as_ref().map_or_else(|| location.clone(), |table| table.location.clone());
            (base, runner.catalog.partitions(name).await?)
        };
        let keys = runner.planned.partition_keys.iter().map(|key| key.name.clone()).collect();
        let partitions = partitions.into_iter().map(|partition| (partition.values, partition.location)).collect();
        Ok(Self { existing, location, base, keys, partitions })
    }

    /// URL of the folder for a partition's files, ending in `/`.
    fn folder(&self, values: &[Option<String>]) -> String {
        if let Some(location) = self.partitions.get(values) {
            return with_slash(location);
        }
        if values.is_empty() {
            return self.base.clone();
        }
        format!("{}{}/", self.base, partition::encode_path(&self.keys, values))
    }
}

/// A table that is new to the catalog gets a folder of its own: what lies there already is someone else's.
///
/// # Errors
/// [`Code::ForeignTable`] with the first object.
async fn unused(runner: &Runner<'_>, location: &str, run_id: &str) -> Result<()> {
    let folder = runner.root.path_of(location)?;
    // Another process may be publishing the same run just now.
    let ours = format!("part-{run_id}-");
    let mut foreign = runner.root.store().list(Some(&folder)).try_filter(|meta| {
        let is_ours = meta.location.filename().is_some_and(|name| name.starts_with(&ours));
        std::future::ready(!is_ours)
    });
    match foreign.try_next().await.map_err(|error| storage(location, error))? {
        None => Ok(()),
        Some(meta) => Err(Error::new(
            Code::ForeignTable,
            format!("the folder of the new table `{}` holds objects already", runner.transform.target),
        )
        .help("rename the SQL file, or move the objects to the folder of another table")
        .in_object(meta.location, None)),
    }
}

fn with_slash(url: &str) -> String {
    if url.ends_with('/') { url.to_owned() } else { format!("{url}/") }
}
