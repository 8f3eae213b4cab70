//! What is due: which arrivals a transform has not processed yet, or whether its table must be rebuilt.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};

use crate::arrival::{ArrivalId, ClaimName, digest, folder_of, gone};
use crate::catalog::Catalog;
use crate::check::Registered;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::inputs::{Input, described};
use crate::ledger::{Claims, Ledger};
use crate::plan::Planned;
use crate::pruning::{self, Conditions};
use crate::receipt::{Receipt, ReceiptInput};
use crate::record::{Arriving, Basis, Done, Rebuild, Work};
use crate::registration::OWNER;
use crate::settings::{ChangedInput, WriteMode};
use crate::store::DataRoot;
use crate::table::TableName;
use crate::transform::Transform;

/// The inputs of a transform as they lie in storage now, by table.
pub(crate) type Listing = BTreeMap<TableName, Input>;

/// How a fingerprint begins that stands for all inputs of a rebuild, none of them claimed.
const UNCLAIMED: &str = "all-";

/// What a transform has to do.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// The runs to begin.
    pub(crate) runs: Vec<(Work, Vec<Arriving>)>,
    /// Objects that a run may not process, with the reason: [`Code::ChangedInput`].
    pub(crate) refused: Vec<Error>,
    /// Runs that have objects which were asked for, or former versions of them, and did not end.
    pub(crate) open: BTreeSet<String>,
}

/// What of its input tables matters to a transform.
#[derive(Debug, Default)]
pub(crate) struct Sought {
    /// Of which partitions.
    pub(crate) conditions: Conditions,
    /// The only objects of the driving table, where it is not all; as the ledger names them.
    pub(crate) objects: Option<BTreeSet<String>>,
    /// What `now()` gives, where it is known.
    pub(crate) now: Option<DateTime<Utc>>,
}

/// How many objects are looked up one by one; more are found by listing their table.
const NAMED_AT_MOST: usize = 64;

impl Sought {
    /// What the query of a transform needs, `objects` being those that are asked for, where it is not all that is new.
    ///
    /// Objects that are claimed are processed once, whatever the query makes of them: conditions hold for other tables only.
    pub(crate) fn of(
        transform: &Transform,
        planned: &Planned,
        now: Option<DateTime<Utc>>,
        objects: Option<&BTreeSet<String>>,
    ) -> Self {
        let mut conditions = pruning::conditions(&planned.plan, now);
        if let Some(driving) = transform.driving.as_ref().filter(|_| planned.write != WriteMode::Overwrite) {
            conditions.remove(driving);
        }
        let by_name = matches!(planned.write, WriteMode::Append | WriteMode::Merge);
        let objects = objects.filter(|objects| by_name && objects.len() <= NAMED_AT_MOST).cloned();
        Self { conditions, objects, now }
    }
}

/// Lists every table that the query reads, as far as it matters; `sources` are those whose definition is known.
pub(crate) async fn list(
    root: &DataRoot,
    catalog: &dyn Catalog,
    transform: &Transform,
    sources: &Registered,
    sought: &Sought,
) -> Result<Listing> {
    stream::iter(transform.inputs.iter().map(|input| async move {
        let table = match sources.get(&input.name) {
            Some(table) => table.clone(),
            None => described(catalog, &input.name)
                .await
                .map_err(|error| if error.code == Code::UnknownTable { error.at(input.at.clone()) } else { error })?,
        };
        let listed = match &sought.objects {
            Some(objects) if transform.driving.as_ref() == Some(&input.name) => {
                Input::named(root, catalog, table, objects, sought.now).await?
            }
            _ => {
                let conditions = sought.conditions.get(&input.name).map_or(&[][..], Vec::as_slice);
                Input::list(root, catalog, table, conditions, sought.now).await?
            }
        };
        Ok((input.name.clone(), listed))
    }))
    .buffer_unordered(8)
    .try_collect()
    .await
}

/// What is due for a transform that writes in some mode.
///
/// `version` is the newest version of the table from before the inputs were listed, `basis` the last rebuild; `only` are the
/// arrivals of the driving table that are asked for, where it is not all of them.
pub(crate) async fn due(
    ledger: &Ledger,
    transform: &Transform,
    write: WriteMode,
    listing: &Listing,
    version: u64,
    basis: Option<&Basis>,
    only: Option<&BTreeSet<String>>,
) -> Result<Due> {
    let fingerprint = fingerprint(transform, write, listing);
    let driving = transform.driving.as_ref().and_then(|driving| listing.get(driving));
    let up_to_date = match (write, basis) {
        (WriteMode::Overwrite | WriteMode::OverwritePartitions, basis) => {
            basis.is_some_and(|basis| basis.fingerprint == fingerprint)
        }
        // Rows of a rebuild that claimed nothing would be added a second time.
        (WriteMode::Append | WriteMode::Merge, basis) => {
            !basis.is_some_and(|basis| basis.fingerprint.starts_with(UNCLAIMED))
        }
    };
    let is_driven =
        triggers(transform).is_none_or(|triggers| transform.driving.as_ref().is_some_and(|d| triggers.contains(d)));
    match driving {
        _ if write != WriteMode::Overwrite && !is_driven => Ok(Due::default()),
        Some(driving) if up_to_date && write != WriteMode::Overwrite => {
            arrived(ledger, transform, write, driving, basis, only).await
        }
        _ if up_to_date => Ok(Due::default()),
        _ => everything(ledger, transform, write, listing, version).await,
    }
}

/// A rebuild from all inputs, whether they are new or not.
pub(crate) async fn everything(
    ledger: &Ledger,
    transform: &Transform,
    write: WriteMode,
    listing: &Listing,
    version: u64,
) -> Result<Due> {
    let claims = if write == WriteMode::Overwrite { Claims::default() } else { ledger.claims().await? };
    let inputs = listing
        .iter()
        .filter(|(name, _)| is_processed(transform, write, name))
        .flat_map(|(_, input)| input.arrivals())
        .map(|arrival| arriving(&claims, arrival))
        .collect();
    let rebuild = Rebuild { version, fingerprint: fingerprint(transform, write, listing) };
    Ok(Due { runs: vec![(Work::Rebuild(rebuild), inputs)], ..Due::default() })
}

/// Whether a run's inputs are objects of this table: of the driving table where arrivals are claimed, of all otherwise.
fn is_processed(transform: &Transform, write: WriteMode, table: &TableName) -> bool {
    write == WriteMode::Overwrite || transform.driving.as_ref() == Some(table)
}

/// An arrival with the number of its claim.
pub(crate) fn arriving(claims: &Claims, arrival: &ReceiptInput) -> Arriving {
    Arriving { input: arrival.clone(), generation: claims.generation_of(&ArrivalId::of(arrival)) }
}

/// The driving table's arrivals that no run has claimed.
///
/// One that replaces what was processed before goes into a run of its own where rows are appended, because that run has to
/// take the former rows out. It is held back as long as the former version is being processed.
async fn arrived(
    ledger: &Ledger,
    transform: &Transform,
    write: WriteMode,
    driving: &Input,
    basis: Option<&Basis>,
    only: Option<&BTreeSet<String>>,
) -> Result<Due> {
    let claims = match only {
        Some(objects) if !driving.table.parameters.contains_key(OWNER) => ledger.claims_of(objects).await?,
        _ => ledger.claims().await?,
    };
    let changed_input = transform.settings.changed_input.value;
    let (mut new, mut changed, mut refused, mut open) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    let vanished = if only.is_some() { Vec::new() } else { vanished(ledger, driving, &claims).await? };
    for arrival in driving.arrivals().map(AsRef::as_ref).chain(&vanished) {
        if only.is_some_and(|only| !only.contains(&arrival.object)) {
            continue;
        }
        let id = ArrivalId::of(arrival);
        if claims.is_newest(&id) {
            if only.is_some() {
                match asked_again(ledger, arriving(&claims, arrival), basis).await? {
                    Again::Open(run_id) => drop(open.insert(run_id)),
                    Again::LeftOut(again) => new.push(again),
                    Again::Through => {}
                }
            }
            continue;
        }
        let earlier = formers(ledger, claims.replaced_by(&id), basis).await?;
        let processed = earlier.iter().any(|former| matches!(former, Former::Read(_)));
        let under_way: Vec<&String> = earlier.iter().filter_map(Former::run_under_way).collect();
        if only.is_some() {
            open.extend(under_way.iter().filter(|run_id| !run_id.is_empty()).map(|run_id| (*run_id).clone()));
        }
        match changed_input {
            _ if !under_way.is_empty() => {}
            ChangedInput::Reject if processed => refused.push(refusal(arrival)),
            ChangedInput::Replace if processed && write == WriteMode::Append => {
                changed.push(arriving(&claims, arrival))
            }
            _ => new.push(arriving(&claims, arrival)),
        }
    }
    let runs = [new, changed].into_iter().filter(|inputs| !inputs.is_empty());
    Ok(Due { runs: runs.map(|inputs| (Work::Arrivals, inputs)).collect(), refused, open })
}

/// What became of an arrival that was claimed, and is asked for once more.
enum Again {
    /// The run that has it did not end.
    Open(String),
    /// The run that had it goes on without it, because it could not be read: it is to be claimed anew.
    LeftOut(Arriving),
    Through,
}

fn again(claimed: Arriving) -> Again {
    Again::LeftOut(Arriving { generation: claimed.generation + 1, ..claimed })
}

async fn asked_again(ledger: &Ledger, claimed: Arriving, basis: Option<&Basis>) -> Result<Again> {
    let again = match ledger.run_of(&claimed.claim_name()).await? {
        Some((run_id, None)) => match ledger.intent(&run_id).await? {
            Some(intent) if !intent.inputs.iter().any(|arriving| arriving.input == claimed.input) => again(claimed),
            _ => Again::Open(run_id),
        },
        Some((_, Some(Done::Succeeded { receipt }))) if !receipt.inputs.contains(&claimed.input) => again(claimed),
        _ => Again::Through,
    };
    let (Again::LeftOut(left_out), Some(basis)) = (&again, basis) else { return Ok(again) };
    // A rebuild reads what was claimed, whether its run could read it or not.
    let rebuild = ledger.commit(&basis.run_id).await?;
    let is_in = rebuild.is_some_and(|rebuild| rebuild.receipt.inputs.contains(&left_out.input));
    Ok(if is_in { Again::Through } else { again })
}

/// What became of a former version of an arrival.
pub(crate) enum Former {
    /// It is still being processed, by this run; without a name where the claim was removed just now.
    UnderWay(String),
    /// It was never read: it was replaced or deleted before.
    Unread,
    /// Its rows may be in the table; if it is known where, then in the partitions of this receipt.
    Read(Option<Box<Receipt>>),
}

impl Former {
    fn run_under_way(&self) -> Option<&String> {
        match self {
            Self::UnderWay(run_id) => Some(run_id),
            Self::Unread | Self::Read(_) => None,
        }
    }
}

/// What became of the former versions that claims were made for. A rebuild has read all inputs, whoever had claimed them.
pub(crate) async fn formers<'a>(
    ledger: &Ledger,
    claims: impl Iterator<Item = &'a ClaimName>,
    basis: Option<&Basis>,
) -> Result<Vec<Former>> {
    stream::iter(claims.collect::<Vec<_>>())
        .map(|claim| async move {
            let receipt = match ledger.run_of(claim).await? {
                None => return Ok(Former::UnderWay(String::new())),
                Some((run_id, None)) => return Ok(Former::UnderWay(run_id)),
                Some((_, Some(Done::Succeeded { receipt }))) => {
                    Some(receipt).filter(|receipt| receipt.inputs.iter().any(|i| ArrivalId::of(i) == claim.arrival))
                }
                Some((_, Some(Done::Superseded { .. }))) => None,
            };
            Ok(match (receipt, basis) {
                (None, None) => Former::Unread,
                (None, Some(_)) => Former::Read(None),
                (Some(receipt), Some(basis)) if !is_after(ledger, &receipt.run_id, basis).await? => Former::Read(None),
                (Some(receipt), _) => Former::Read(Some(receipt)),
            })
        })
        .buffer_unordered(16)
        .try_collect()
        .await
}

/// Whether a run's rows are still in the partitions that it wrote: it is the last rebuild, or came after it.
async fn is_after(ledger: &Ledger, run_id: &str, basis: &Basis) -> Result<bool> {
    let commit = if run_id == basis.run_id { return Ok(true) } else { ledger.commit(run_id).await? };
    Ok(commit.is_some_and(|commit| commit.base >= basis.version))
}

/// Partitions of a driving table made by another transform that were processed and are gone: each an arrival without rows.
///
/// Objects that someone deletes from a source are none: landing folders are tidied up.
async fn vanished(ledger: &Ledger, driving: &Input, claims: &Claims) -> Result<Vec<ReceiptInput>> {
    if !driving.table.parameters.contains_key(OWNER) {
        return Ok(Vec::new());
    }
    let there: BTreeSet<String> = driving.arrivals().map(|arrival| ArrivalId::of(arrival).folder).collect();
    let mut vanished = Vec::new();
    for (folder, claim) in claims.folders().filter(|(folder, _)| !there.contains(*folder)) {
        if claims.is_gone(folder) {
            continue;
        }
        let Some(object) = ledger.claimed_object(claim).await? else { continue };
        vanished.push(gone(folder_of(&object)));
    }
    Ok(vanished)
}

fn refusal(input: &ReceiptInput) -> Error {
    Error::new(Code::ChangedInput, "an object that was processed before arrived again with other content")
        .help("it is refused as `@changed_input: reject` says; give the object another name")
        .in_object(&input.object, None)
}

/// Stands for what a table is made of: where nothing is claimed, the SQL text and the arrivals of the tables that trigger the
/// transform (all of FROM by default); else those of the triggers beside the driving table, which only
/// `overwrite_partitions` has by default.
pub(crate) fn fingerprint(transform: &Transform, write: WriteMode, listing: &Listing) -> String {
    let triggers = triggers(transform);
    let is_trigger = |name: &TableName| match (&triggers, write) {
        (_, WriteMode::Append | WriteMode::Merge) => false,
        (Some(triggers), _) => triggers.contains(name),
        (None, _) => true,
    };
    let is_all = write == WriteMode::Overwrite;
    let mut parts = if is_all { vec![transform.file.text.to_string()] } else { Vec::new() };
    for (name, input) in listing {
        if is_trigger(name) && (is_all || transform.driving.as_ref() != Some(name)) {
            parts.extend(input.arrivals().map(|arrival| format!("{name} {}", ArrivalId::of(arrival))));
        }
    }
    let digest = digest(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    if is_all { format!("{UNCLAIMED}{digest}") } else { digest }
}

/// The tables of `@trigger`, where it is written.
fn triggers(transform: &Transform) -> Option<BTreeSet<&TableName>> {
    transform.settings.trigger.as_ref().map(|tables| tables.iter().map(|table| &table.value).collect())
}

/// The listing cut down to what a run claimed of its driving table, so that what arrives meanwhile is left for the next run.
pub(crate) fn restrict(transform: &Transform, mut listing: Listing, inputs: &[Arriving]) -> Listing {
    let wanted: BTreeSet<ArrivalId> = inputs.iter().map(|arriving| ArrivalId::of(&arriving.input)).collect();
    if let Some(input) = transform.driving.as_ref().and_then(|driving| listing.get_mut(driving)) {
        input.objects.retain(|object| wanted.contains(&ArrivalId::of(&object.arrival)));
    }
    listing
}

/// The inputs of a run that are there to be read, and the names of those that are not: deleted or replaced since.
pub(crate) fn present(listing: &Listing, inputs: &[Arriving]) -> (Vec<Arriving>, Vec<String>) {
    let there: BTreeSet<ArrivalId> =
        listing.values().flat_map(Input::arrivals).map(|arrival| ArrivalId::of(arrival)).collect();
    let folders: BTreeSet<&str> = there.iter().map(|id| id.folder.as_str()).collect();
    let is_present = |arriving: &&Arriving| {
        let id = ArrivalId::of(&arriving.input);
        if id.is_gone() { !folders.contains(id.folder.as_str()) } else { there.contains(&id) }
    };
    let (present, absent): (Vec<&Arriving>, Vec<&Arriving>) = inputs.iter().partition(is_present);
    let absent = absent.into_iter().map(|arriving| arriving.input.object.clone()).collect();
    (present.into_iter().cloned().collect(), absent)
}
