//! One transform: what was begun is carried on, what is new is run.

mod claiming;
mod quarantine;
mod rounds;
mod way;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use object_store::ObjectStore;
use object_store::path::Path;

use crate::arrival::ArrivalId;
use crate::base::{Base, Target, location, unused};
use crate::catalog::Catalog;
use crate::check::Registered;
use crate::code::{Code, Kind};
use crate::commit;
use crate::due::{self, Listing};
use crate::engine::{Announce, Arrived, Asked, Progress, Stamp};
use crate::error::{Error, Result};
use crate::execute::{Job, Way, execute};
use crate::inputs::{Input, short};
use crate::ledger::Ledger;
use crate::plan::Planned;
use crate::publish::Publisher;
use crate::receipt::Receipt;
use crate::record::{Commit, Decision, Done, Intent, Work};
use crate::registration::not_projected;
use crate::runtime::Limits;
use crate::settings::{ChangedInput, OnViolation, WriteMode};
use crate::source::Rejects;
use crate::stage::Stage;
use crate::store::DataRoot;
use crate::table::Table;
use crate::transform::Transform;

/// How often a run that was overtaken is done anew before it is left to the next invocation.
const ATTEMPTS: usize = 16;

/// All that the runs of one transform share.
pub(crate) struct Runner<'a> {
    pub(crate) root: &'a DataRoot,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) limits: &'a Limits,
    pub(crate) announce: Option<&'a Announce>,
    pub(crate) transform: &'a Transform,
    /// As checked against the catalog before the run.
    pub(crate) planned: &'a Planned,
    /// Tables that no transform makes, as `planned` goes by them.
    pub(crate) sources: &'a Registered,
    /// The target as it was when `planned` was checked, if that was just now.
    pub(crate) known: Option<&'a Table>,
    pub(crate) asked: &'a Asked,
    pub(crate) stamp: &'a Stamp,
    pub(crate) progress: &'a (dyn Fn(Progress) + Send + Sync),
    pub(crate) ledger: Ledger,
    /// What was wrong with inputs that runs were continued without.
    pub(crate) unreadable: Mutex<Vec<Error>>,
}

/// What a run starts from: the table that it writes, and then what it reads.
struct State {
    base: Base,
    listing: Listing,
    /// Where the objects are read.
    store: Arc<dyn ObjectStore>,
}

impl Runner<'_> {
    /// Carries on the runs that were begun, then runs what is due.
    pub(crate) async fn run(&self) -> Vec<Result<Receipt>> {
        if let Err(error) = self.can_be_rebuilt().await {
            return vec![Err(self.name(error))];
        }
        let open = match (self.objects(), self.leaves_others()) {
            // Other runs are those of other workers, who are at them.
            (Some(_), _) | (None, true) => Ok(Vec::new()),
            (None, false) => self.ledger.open_runs().await,
        };
        let mut outcomes = match open {
            Ok(open) => self.carry_all_on(&open).await,
            Err(error) => return vec![Err(self.name(error))],
        };
        // A rebuild reads the inputs of a run that is still open, too: that one must not add them once more afterwards.
        if !(matches!(self.asked, Asked::Rebuild) && outcomes.iter().any(Result::is_err)) {
            outcomes.extend(self.run_due().await);
        }
        let unreadable = std::mem::take(&mut *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner));
        outcomes.extend(unreadable.into_iter().map(Err));
        outcomes.into_iter().map(|outcome| outcome.map_err(|error| self.name(error))).collect()
    }

    /// The objects of the driving table that are to be processed, and no others; as the ledger names them.
    fn objects(&self) -> Option<BTreeSet<String>> {
        let (Asked::Arrived { tables, .. }, Some(driving)) = (self.asked, &self.transform.driving) else { return None };
        match tables.get(driving) {
            Some(Arrived::Objects(urls)) => Some(urls.iter().map(|url| short(self.root, url)).collect()),
            Some(Arrived::Anything) | None => None,
        }
    }

    /// Whether runs of other workers are left to them.
    fn leaves_others(&self) -> bool {
        matches!(self.asked, Asked::Arrived { again: false, .. })
    }

    async fn carry_all_on(&self, open: &[String]) -> Vec<Result<Receipt>> {
        let mut outcomes = Vec::new();
        for run_id in open {
            outcomes.extend(self.carry_on(run_id).await.transpose());
        }
        outcomes
    }

    /// A rebuild that is refused must not be begun: it would be carried on for ever after.
    async fn can_be_rebuilt(&self) -> Result<()> {
        if !matches!(self.asked, Asked::Rebuild) {
            return Ok(());
        }
        match self.catalog.table(&self.transform.target).await? {
            Some(table) => not_projected(&table, self.transform),
            None => Ok(()),
        }
    }

    /// Names the transform, and the object by its URL.
    fn name(&self, error: Error) -> Error {
        let url = self.object_of(&error);
        let mut error = error.in_transform(&self.transform.target);
        if let (Some(place), Some(url)) = (&mut error.object, url) {
            place.object = url;
        }
        error
    }

    /// The URL of the object that an error is about.
    fn object_of(&self, error: &Error) -> Option<String> {
        let object = &error.object.as_ref()?.object;
        if object.contains("://") {
            return Some(object.clone());
        }
        Some(self.root.url(&Path::parse(object).ok()?))
    }

    fn publisher(&self) -> Publisher<'_> {
        Publisher {
            root: self.root,
            catalog: self.catalog,
            ledger: &self.ledger,
            announce: self.announce,
            ends: true,
            ends_others: !self.leaves_others(),
            target: &self.transform.target,
        }
    }

    async fn carry_on(&self, run_id: &str) -> Result<Option<Receipt>> {
        let done = match self.ledger.decision(run_id).await? {
            Some(decision) => self.follow(run_id, decision).await?,
            None => match self.ledger.intent(run_id).await? {
                Some(intent) => return self.pursue(intent, None).await,
                None => return Ok(None),
            },
        };
        match done {
            Done::Succeeded { receipt } => Ok(Some(*receipt)),
            // The successor, if there is one, is open, too.
            Done::Superseded { successor: None } => Ok(None),
            Done::Superseded { successor: Some(next) } => Box::pin(self.carry_on(&next)).await,
        }
    }

    /// Does what was decided of a run.
    async fn follow(&self, run_id: &str, decision: Decision) -> Result<Done> {
        match decision {
            Decision::Commit(commit) => self.publisher().roll_forward(run_id, *commit).await,
            Decision::Abandon { rest } => {
                if let Some(rest) = &rest {
                    self.ledger.put_intent(rest).await?;
                }
                let done = Done::Superseded { successor: rest.map(|rest| rest.run_id) };
                self.ledger.put_done(run_id, done).await
            }
        }
    }

    /// Does a run's work, under one successor after the other as long as it is overtaken by other versions of the table; at first
    /// from a state that may be known.
    async fn pursue(&self, mut intent: Intent, mut state: Option<Box<State>>) -> Result<Option<Receipt>> {
        for _ in 0..ATTEMPTS {
            let attempted = match self.attempt(intent.clone(), state.take()).await {
                Err(error) => self.go_on_without(&intent, error).await?,
                attempted => attempted?,
            };
            match attempted {
                Done::Succeeded { receipt } => return Ok(Some(*receipt)),
                Done::Superseded { successor: None } => return Ok(None),
                Done::Superseded { successor: Some(next) } => match self.ledger.intent(&next).await? {
                    Some(next) => intent = next,
                    None => return Ok(None),
                },
            }
        }
        Err(changed_all_the_time())
    }

    /// Continues a run without an input that cannot be read, where it was asked for single objects: whoever asked is told, and
    /// the others need not wait until it is mended. Where it is not known which one it is, those that are asked for now leave the
    /// run, which is left to the others.
    async fn go_on_without(&self, intent: &Intent, error: Error) -> Result<Done> {
        let can_go_on = error.kind() == Kind::Data
            && intent.work == Work::Arrivals
            && self.planned.write != WriteMode::OverwritePartitions;
        let Some(asked) = self.objects().filter(|_| can_go_on) else { return Err(error) };
        let culprit = self.object_of(&error).map(|url| short(self.root, &url));
        let rest = match &culprit {
            Some(culprit) => intent.without(|object| object == culprit),
            None => intent.without(|object| asked.contains(object)),
        };
        let Some(rest) = rest else { return Err(error) };
        let decision = self.ledger.decide(&intent.run_id, Decision::Abandon { rest: Some(Box::new(rest)) }).await?;
        let done = self.follow(&intent.run_id, decision).await?;
        match (culprit, done) {
            (None, Done::Superseded { .. }) => Ok(Done::Superseded { successor: None }),
            (Some(_), done @ Done::Superseded { .. }) => {
                self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                Ok(done)
            }
            // Another worker could read it, and was faster.
            (_, done) => Ok(done),
        }
    }

    /// One attempt at a run, from the state of the table as it is now, or as it was seen before.
    async fn attempt(&self, mut intent: Intent, state: Option<Box<State>>) -> Result<Done> {
        let State { base, mut listing, store } = *match state {
            Some(state) => state,
            None => match self.ledger.done(&intent.run_id).await? {
                Some(done) => return Ok(done),
                None => self.state(intent.at, intent.objects().as_ref(), None).await?,
            },
        };
        let write = self.planned.write;
        let replaces = intent.rebuild().is_some() || matches!(write, WriteMode::OverwritePartitions | WriteMode::Merge);
        // Listed before the inputs are claimed: files that come later are told from those of runs whose inputs this one has.
        let former = if replaces { base.files(self.root).await? } else { None };
        let mut settled = BTreeSet::new();
        let inputs = match intent.work.clone() {
            // The SQL was changed since: the table is now rebuilt from all inputs, these among them.
            Work::Arrivals if write == WriteMode::Overwrite => return self.give_up(&intent).await,
            Work::Arrivals => {
                let inputs = self.claimed(&intent).await?;
                if write == WriteMode::OverwritePartitions {
                    listing = self.processed(&intent, &inputs, listing).await?;
                }
                inputs
            }
            Work::Rebuild(rebuild) if write == WriteMode::Overwrite => {
                let fingerprint = due::fingerprint(self.transform, write, &listing);
                if rebuild.version != base.number || rebuild.fingerprint != fingerprint {
                    return self.give_up(&intent).await;
                }
                let owner = self.ledger.claim_version(&rebuild, &intent.run_id).await?;
                if owner != intent.run_id {
                    match self.ledger.done(&owner).await? {
                        // It has left the work to nobody.
                        Some(Done::Superseded { .. }) => {}
                        Some(done) => {
                            self.give_up(&intent).await?;
                            return Ok(done);
                        }
                        None => {
                            self.give_up(&intent).await?;
                            // It is decided by now: what it saw becomes visible, then it is asked what it has not seen.
                            if let Some(Decision::Commit(commit)) = self.ledger.decision(&owner).await? {
                                self.publisher().of_others().roll_forward(&owner, *commit).await?;
                                return Ok(Done::Superseded { successor: None });
                            }
                            intent.run_id = owner;
                        }
                    }
                }
                intent.inputs.clone()
            }
            Work::Rebuild(_) => {
                let everything = self.claim_everything(&intent).await?;
                (listing, settled) = (everything.listing, everything.settled);
                everything.inputs
            }
        };
        self.execute(Intent { inputs, ..intent }, State { base, listing, store }, former, settled).await
    }

    /// Ends a run that has nothing left to do, unless another worker has committed it in the meantime.
    async fn give_up(&self, intent: &Intent) -> Result<Done> {
        let decision = self.ledger.decide(&intent.run_id, Decision::Abandon { rest: None }).await?;
        self.follow(&intent.run_id, decision).await
    }

    async fn execute(
        &self,
        intent: Intent,
        state: State,
        former: Option<Input>,
        mut accounted: BTreeSet<ArrivalId>,
    ) -> Result<Done> {
        let State { mut base, listing, store } = state;
        let started = Instant::now();
        let (present, superseded) = due::present(&listing, &intent.inputs);
        if present.is_empty() && intent.rebuild().is_none() {
            return self.give_up(&intent).await;
        }
        let location = location(self.root, self.catalog, self.transform).await?;
        if base.table.is_none() {
            unused(self.root, &self.ledger, self.transform, &location, &intent.run_id).await?;
        }
        let way = self.way(&intent, &present, &mut base, former.clone()).await?;
        let former = match &way {
            Way::Correct { target, .. } => Some(target.clone()),
            _ => former,
        };
        let replaces = !matches!(way, Way::Arrivals);
        let target = if replaces {
            Target::replacing(location, self.planned, &intent.run_id)
        } else {
            Target::adding(location, self.planned, &base)
        };
        let listing = match way {
            Way::Partitions { .. } => listing,
            Way::All if self.planned.write == WriteMode::Overwrite => listing,
            _ => due::restrict(self.transform, listing, &present),
        };
        accounted.extend(self.accounted(&way, &listing, &present));
        let bytes_read = Arc::new(AtomicU64::new(0));
        (self.progress)(Progress::Started {
            transform: self.transform.target.clone(),
            inputs: present.len(),
            bytes: listing.values().map(Input::bytes).sum(),
            bytes_read: Arc::clone(&bytes_read),
        });
        let stage = Stage::new(self.root.clone(), self.ledger.staging_folder(&intent.run_id)?);
        let attempt = self.stamp.attempt();
        let destination = |values: &[Option<String>], index: usize| {
            self.root.path_of(&format!("{}part-{}-{attempt}-{index}.parquet", target.folder(values), intent.run_id))
        };
        let write = self.planned.write;
        let puts_aside = self.transform.settings.on_bad_record.value == OnViolation::Quarantine;
        let rejects = puts_aside.then(Rejects::default);
        let executed = execute(Job {
            transform: self.transform,
            planned: self.planned,
            store,
            limits: self.limits,
            listing,
            arrivals: &present,
            way,
            traced: write == WriteMode::Merge
                || write == WriteMode::Append && self.transform.settings.changed_input.value == ChangedInput::Replace,
            at: intent.at,
            run_id: &intent.run_id,
            attempt: &attempt,
            stage: &stage,
            destination: &destination,
            rejects: rejects.clone(),
            bytes_read,
        })
        .await?;
        let rejected = rejects.map(|rejects| rejects.all()).unwrap_or_default();
        // Before the commit, so that a row is never in neither place; whoever repeats the run writes the same.
        let quarantine = quarantine::keep(self.root, &self.ledger, &intent.run_id, &rejected).await?;
        let outcome = commit::Outcome {
            transform: self.transform,
            planned: self.planned,
            intent: &intent,
            inputs: present,
            superseded,
            target: &target,
            base: &base,
            former: former.filter(|_| replaces),
            replaces,
            accounted,
            rejected: rejected.len() as u64,
            quarantine,
            seconds: started.elapsed().as_secs_f64(),
        };
        self.commit(&intent, outcome.commit(executed, attempt)?, &stage).await
    }

    /// The commit point, and all that follows from it.
    async fn commit(&self, intent: &Intent, commit: Commit, stage: &Stage) -> Result<Done> {
        let nonce = commit.nonce.clone();
        let ours = commit.files.clone();
        let decision = self.ledger.decide(&intent.run_id, Decision::Commit(Box::new(commit))).await?;
        if !matches!(&decision, Decision::Commit(commit) if commit.nonce == nonce) {
            for file in &ours {
                stage.discard(&file.staged).await?;
            }
            // Whoever was faster tells of it. If that one dies, its message comes again.
            if self.leaves_others() {
                if let (Some(_), Decision::Commit(theirs)) = (intent.rebuild(), decision) {
                    self.publisher().of_others().roll_forward(&intent.run_id, *theirs).await?;
                }
                return Ok(Done::Superseded { successor: None });
            }
        }
        self.follow(&intent.run_id, decision).await
    }
}

fn changed_all_the_time() -> Error {
    Error::new(Code::Conflict, "other runs change the table all the time").help("run again")
}
