//! One transform: what was begun is carried on, what is new is run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use crate::arrival::{ArrivalId, ClaimName};
use crate::base::{Base, Target, location, unused};
use crate::catalog::Catalog;
use crate::code::Code;
use crate::commit;
use crate::due::{self, Due, Former, Listing};
use crate::engine::{Progress, Stamp};
use crate::error::{Error, Result};
use crate::execute::{Job, Way, execute};
use crate::inputs::Input;
use crate::ledger::Ledger;
use crate::plan::Planned;
use crate::publish::Publisher;
use crate::receipt::{Receipt, ReceiptInput, ReceiptPartition};
use crate::record::{Arriving, Decision, Done, Intent, Work, first_of};
use crate::registration::not_projected;
use crate::runtime::Limits;
use crate::settings::{ChangedInput, WriteMode};
use crate::stage::Stage;
use crate::store::DataRoot;
use crate::transform::Transform;
use crate::write::PartitionValues;

/// How often a run that was overtaken is done anew before it is left to the next invocation.
const ATTEMPTS: usize = 16;

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
        if let Err(error) = self.can_be_rebuilt().await {
            return vec![Err(self.name(error))];
        }
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

    /// A rebuild that is refused must not be begun: it would be carried on for ever after.
    async fn can_be_rebuilt(&self) -> Result<()> {
        if !self.full_refresh {
            return Ok(());
        }
        match self.catalog.table(&self.transform.target).await? {
            Some(table) => not_projected(&table, self.transform),
            None => Ok(()),
        }
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

    fn publisher(&self) -> Publisher<'_> {
        Publisher { root: self.root, catalog: self.catalog, ledger: &self.ledger, target: &self.transform.target }
    }

    async fn carry_on(&self, run_id: &str) -> Result<Option<Receipt>> {
        let done = match self.ledger.decision(run_id).await? {
            Some(decision) => self.follow(run_id, decision).await?,
            None => match self.ledger.intent(run_id).await? {
                Some(intent) => return self.pursue(intent).await,
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
            Decision::Abandon => {
                let done = Done::Superseded { successor: None };
                self.ledger.put_done(run_id, &done).await?;
                Ok(done)
            }
        }
    }

    /// Runs what is due; objects that are refused are errors beside the runs.
    async fn run_due(&self) -> Vec<Result<Receipt>> {
        let due = match self.due().await {
            Ok(due) => due,
            Err(error) => return vec![Err(error)],
        };
        let mut outcomes: Vec<Result<Receipt>> = due.refused.into_iter().map(Err).collect();
        for (index, (work, inputs)) in due.runs.into_iter().enumerate() {
            let run_id = self.stamp.run_id(&self.transform.target, index);
            let intent = Intent { run_id, work, at: self.stamp.at, inputs };
            outcomes.extend(self.begin(intent).await.transpose());
        }
        outcomes
    }

    async fn due(&self) -> Result<Due> {
        // The version is read before the inputs are listed, so that whoever knows a newer version knows newer inputs.
        let base = Base::find(&self.publisher()).await?;
        let listing = due::list(self.root, self.catalog, self.transform).await?;
        let (ledger, transform, write) = (&self.ledger, self.transform, self.planned.write);
        if self.full_refresh {
            return due::everything(ledger, transform, write, &listing, base.number).await;
        }
        due::due(ledger, transform, write, &listing, base.number, base.basis()).await
    }

    async fn begin(&self, intent: Intent) -> Result<Option<Receipt>> {
        self.ledger.put_intent(&intent).await?;
        self.pursue(intent).await
    }

    /// Does a run's work, under one successor after the other as long as it is overtaken by other versions of the table.
    async fn pursue(&self, mut intent: Intent) -> Result<Option<Receipt>> {
        for _ in 0..ATTEMPTS {
            match self.attempt(intent).await? {
                Done::Succeeded { receipt } => return Ok(Some(*receipt)),
                Done::Superseded { successor: None } => return Ok(None),
                Done::Superseded { successor: Some(next) } => match self.ledger.intent(&next).await? {
                    Some(next) => intent = next,
                    None => return Ok(None),
                },
            }
        }
        Err(Error::new(Code::Conflict, "other runs change the table all the time").help("run again"))
    }

    /// One attempt at a run, from the state of the table as it is now.
    async fn attempt(&self, mut intent: Intent) -> Result<Done> {
        if let Some(done) = self.ledger.done(&intent.run_id).await? {
            return Ok(done);
        }
        let base = Base::find(&self.publisher()).await?;
        let write = self.planned.write;
        let replaces = intent.rebuild().is_some() || matches!(write, WriteMode::OverwritePartitions | WriteMode::Merge);
        // Listed before the inputs are, and before they are claimed: files that come later are told from those of runs whose
        // inputs this one has.
        let former = if replaces { base.files(self.root).await? } else { None };
        let mut listing = due::list(self.root, self.catalog, self.transform).await?;
        let inputs = match intent.work.clone() {
            // The SQL was changed since: the table is now rebuilt from all inputs, these among them.
            Work::Arrivals if write == WriteMode::Overwrite => return self.give_up(&intent).await,
            Work::Arrivals => {
                let inputs = self.claimed(&intent).await?;
                if write == WriteMode::OverwritePartitions {
                    listing = self.settled(&intent, &inputs, listing).await?;
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
                            intent.run_id = owner;
                        }
                    }
                }
                intent.inputs.clone()
            }
            Work::Rebuild(_) => self.claim_everything(&intent, &listing).await?,
        };
        self.execute(Intent { inputs, ..intent }, base, former, listing).await
    }

    /// Ends a run that has nothing left to do, unless another worker has committed it in the meantime.
    async fn give_up(&self, intent: &Intent) -> Result<Done> {
        let decision = self.ledger.decide(&intent.run_id, Decision::Abandon).await?;
        self.follow(&intent.run_id, decision).await
    }

    /// Binds the inputs to the run; those that belong to another are left to it.
    async fn claimed(&self, intent: &Intent) -> Result<Vec<Arriving>> {
        // Claims are made in the name of the first run; its successors inherit them.
        let first = first_of(&intent.run_id);
        let owners = self.claim(&intent.inputs, first).await?;
        let ours = intent.inputs.iter().zip(owners).filter(|(_, owner)| owner == first);
        Ok(ours.map(|(arriving, _)| arriving.clone()).collect())
    }

    /// The listing without arrivals of the driving table that no run has processed, but for the run's own: whoever processes
    /// one knows which partitions it has changed, which is needed when it comes again with other content.
    async fn settled(&self, intent: &Intent, own: &[Arriving], listing: Listing) -> Result<Listing> {
        let claims = self.ledger.claims().await?;
        let mut under_way = BTreeSet::new();
        for run_id in self.ledger.open_runs().await?.iter().filter(|run_id| **run_id != intent.run_id) {
            for arriving in self.ledger.intent(run_id).await?.into_iter().flat_map(|other| other.inputs) {
                if let Some((_, None)) = self.ledger.run_of(&arriving.claim_name()).await? {
                    under_way.insert(ArrivalId::of(&arriving.input));
                }
            }
        }
        let Some(driving) = self.transform.driving.as_ref().and_then(|driving| listing.get(driving)) else {
            return Ok(listing);
        };
        let is_settled = |input: &ReceiptInput| {
            let id = ArrivalId::of(input);
            claims.is_newest(&id) && !under_way.contains(&id)
        };
        let settled = driving.arrivals().filter(|arrival| is_settled(arrival)).map(|a| due::arriving(&claims, a));
        let known: Vec<Arriving> = settled.chain(own.iter().cloned()).collect();
        Ok(due::restrict(self.transform, listing, &known))
    }

    async fn claim(&self, inputs: &[Arriving], run_id: &str) -> Result<Vec<String>> {
        stream::iter(inputs.iter().map(|arriving| async move {
            self.ledger.claim(&arriving.claim_name(), &arriving.input.object, run_id).await
        }))
        .buffered(16)
        .try_collect()
        .await
    }

    /// What a rebuild reads where arrivals are claimed: its own inputs, and all that runs which are through have processed.
    ///
    /// What it reads must not be added once more afterwards, so runs that are under way are carried on first. What came since
    /// the intent was made is left to the next run: another worker on this one must bind the same inputs.
    async fn claim_everything(&self, intent: &Intent, listing: &Listing) -> Result<Vec<Arriving>> {
        let first = first_of(&intent.run_id);
        let driving = self.transform.driving.as_ref().and_then(|driving| listing.get(driving));
        let Some(driving) = driving else { return Ok(Vec::new()) };
        loop {
            // Whoever has a claim has an intent from before, so that the runs of these claims are among those that follow.
            let claims = self.ledger.claims().await?;
            for run_id in self.ledger.open_runs().await? {
                let other = self.ledger.intent(&run_id).await?;
                if other.is_some_and(|other| other.work == Work::Arrivals) {
                    Box::pin(self.carry_on(&run_id)).await?;
                }
            }
            let is_claimed = |input: &ReceiptInput| claims.is_newest(&ArrivalId::of(input));
            let new: Vec<Arriving> =
                intent.inputs.iter().filter(|arriving| !claims.contains(&arriving.claim_name())).cloned().collect();
            if self.claim(&new, first).await?.iter().any(|owner| owner != first) {
                continue;
            }
            let ours: BTreeSet<ArrivalId> = new.iter().map(|arriving| ArrivalId::of(&arriving.input)).collect();
            let is_bound = |input: &ReceiptInput| is_claimed(input) || ours.contains(&ArrivalId::of(input));
            let bound = driving.arrivals().filter(|arrival| is_bound(arrival));
            return Ok(bound.map(|arrival| due::arriving(&claims, arrival)).collect());
        }
    }

    async fn execute(&self, intent: Intent, base: Base, former: Option<Input>, listing: Listing) -> Result<Done> {
        let started = Instant::now();
        let (present, superseded) = due::present(&listing, &intent.inputs);
        if present.is_empty() && intent.rebuild().is_none() {
            return self.give_up(&intent).await;
        }
        let location = location(self.root, self.transform)?;
        if base.table.is_none() {
            unused(self.root, &self.ledger, self.transform, &location, &intent.run_id).await?;
        }
        let way = self.way(&intent, &present, &base, former.clone()).await?;
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
        let accounted = self.accounted(&way, &listing, &present);
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
        let executed = execute(Job {
            transform: self.transform,
            planned: self.planned,
            root: self.root,
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
            bytes_read,
        })
        .await?;
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
            seconds: started.elapsed().as_secs_f64(),
        };
        self.commit(&intent, outcome.commit(executed, attempt)?, &stage).await
    }

    /// The commit point, and all that follows from it.
    async fn commit(&self, intent: &Intent, commit: crate::record::Commit, stage: &Stage) -> Result<Done> {
        let nonce = commit.nonce.clone();
        let ours = commit.files.clone();
        let decision = self.ledger.decide(&intent.run_id, Decision::Commit(Box::new(commit))).await?;
        if !matches!(&decision, Decision::Commit(commit) if commit.nonce == nonce) {
            for file in &ours {
                stage.discard(&file.staged).await?;
            }
        }
        self.follow(&intent.run_id, decision).await
    }

    /// How the rows of a run come about.
    async fn way(&self, intent: &Intent, present: &[Arriving], base: &Base, former: Option<Input>) -> Result<Way> {
        let write = self.planned.write;
        if intent.rebuild().is_some() {
            return Ok(if write == WriteMode::Merge { Way::Merge { target: None, all: true } } else { Way::All });
        }
        match write {
            WriteMode::Merge => Ok(Way::Merge { target: former, all: false }),
            WriteMode::OverwritePartitions => Ok(Way::Partitions { also: self.touched_before(present, base).await? }),
            WriteMode::Append | WriteMode::Overwrite => {
                if self.transform.settings.changed_input.value != ChangedInput::Replace {
                    return Ok(Way::Arrivals);
                }
                let replaced = self.replaced(present, base).await?;
                if !replaced.any {
                    return Ok(Way::Arrivals);
                }
                let Some(target) = base.files(self.root).await? else { return Ok(Way::Arrivals) };
                let replacing = present.iter().map(|arriving| ArrivalId::of(&arriving.input)).collect();
                // Rows stay in their partition until the table is rebuilt: they need not be looked for in others.
                let among = replaced.is_known.then_some(replaced.partitions);
                Ok(Way::Correct { target, replacing, among })
            }
        }
    }

    /// The partitions that the former versions of arrivals can have changed, those included that got no row; `None` if not all
    /// of them are known.
    async fn touched_before(&self, present: &[Arriving], base: &Base) -> Result<Option<BTreeSet<PartitionValues>>> {
        let replaced = self.replaced(present, base).await?;
        if !replaced.is_known {
            return Ok(None);
        }
        let mut touched = replaced.partitions;
        for run_id in replaced.runs {
            match self.ledger.commit(&run_id).await?.and_then(|commit| commit.swap) {
                Some(swap) if !swap.whole => touched.extend(swap.vanished),
                _ => return Ok(None),
            }
        }
        Ok(Some(touched))
    }

    /// What the arrivals replace that was processed before.
    async fn replaced(&self, present: &[Arriving], base: &Base) -> Result<Replaced> {
        let claims = self.ledger.claims().await?;
        let own: Vec<ClaimName> = present.iter().map(Arriving::claim_name).collect();
        let earlier = own.iter().flat_map(|own| claims.replaced_by(&own.arrival).filter(move |claim| *claim != own));
        let formers = due::formers(&self.ledger, earlier, base.basis()).await?;
        let read: Vec<&Option<Box<Receipt>>> = formers
            .iter()
            .filter_map(|former| match former {
                Former::Read(receipt) => Some(receipt),
                Former::UnderWay | Former::Unread => None,
            })
            .collect();
        let keys = &self.planned.partition_keys;
        let values = |partition: &ReceiptPartition| -> PartitionValues {
            keys.iter().map(|key| partition.values.get(&key.name).cloned().flatten()).collect()
        };
        let partitions = read.iter().copied().flatten().flat_map(|receipt| &receipt.partitions).map(values).collect();
        let runs = read.iter().copied().flatten().map(|receipt| receipt.run_id.clone()).collect();
        Ok(Replaced { any: !read.is_empty(), is_known: read.iter().all(|receipt| receipt.is_some()), partitions, runs })
    }

    /// The arrivals whose rows are in the new files of a run that replaces, if they are anywhere.
    fn accounted(&self, way: &Way, listing: &Listing, present: &[Arriving]) -> BTreeSet<ArrivalId> {
        let driving = self.transform.driving.as_ref().and_then(|driving| listing.get(driving));
        match (way, driving) {
            (Way::Arrivals, _) => BTreeSet::new(),
            (Way::Partitions { .. }, Some(driving)) => driving.arrivals().map(|a| ArrivalId::of(a)).collect(),
            _ => present.iter().map(|arriving| ArrivalId::of(&arriving.input)).collect(),
        }
    }
}

/// What was processed before of what arrives again.
struct Replaced {
    any: bool,
    /// Whether the partitions of all of it are known.
    is_known: bool,
    /// The partitions that were written then.
    partitions: BTreeSet<PartitionValues>,
    /// The runs that did.
    runs: BTreeSet<String>,
}
