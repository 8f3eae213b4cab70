//! What is due: which object versions a transform has not processed yet.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};

use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::inputs::{Input, InputObject};
use crate::ledger::{Done, InputId, Ledger, Replaces, digest};
use crate::receipt::ReceiptInput;
use crate::settings::{ChangedInput, WriteMode};
use crate::store::DataRoot;
use crate::table::TableName;
use crate::transform::Transform;

/// The inputs of a transform as they lie in storage now, by table.
pub(crate) type Listing = BTreeMap<TableName, Input>;

/// What a transform has to do.
#[derive(Debug)]
pub(crate) struct Due {
    /// The object versions that a run would claim; empty if there is nothing to do.
    pub(crate) inputs: Vec<ReceiptInput>,
    /// Replacing modes: the version that a run would replace.
    pub(crate) replaces: Option<Replaces>,
    /// Objects that a run may not process, with the reason: [`Code::ChangedInput`].
    pub(crate) refused: Vec<Error>,
}

/// Lists every table that the query reads.
pub(crate) async fn list(root: &DataRoot, catalog: &dyn Catalog, transform: &Transform) -> Result<Listing> {
    stream::iter(transform.inputs.iter().map(|input| async move {
        let listed = Input::list(root, catalog, &input.name).await;
        let listed = listed
            .map_err(|error| if error.code == Code::UnknownTable { error.at(input.at.clone()) } else { error })?;
        Ok((input.name.clone(), listed))
    }))
    .buffer_unordered(8)
    .try_collect()
    .await
}

/// An object version as the ledger and receipts name it.
pub(crate) fn recorded(root: &DataRoot, object: &InputObject) -> ReceiptInput {
    let url = root.url(&object.meta.location);
    ReceiptInput {
        // Relative inside the data folder, so that the folder can be moved.
        object: root.relative(&url).map_or_else(|| url.clone(), str::to_owned),
        etag: object.meta.e_tag.clone(),
        version: object.meta.version.clone(),
        bytes: object.meta.size,
    }
}

/// What is due for `append`: the driving table's objects that no run has claimed.
///
/// An object that was processed and arrives with other content is refused, unless its rows may be appended.
async fn appended(root: &DataRoot, ledger: &Ledger, transform: &Transform, driving: &Input) -> Result<Due> {
    let claimed = ledger.claimed().await?;
    let objects: BTreeMap<&str, Vec<&InputId>> = claimed.iter().fold(BTreeMap::new(), |mut objects, id| {
        objects.entry(id.object()).or_insert_with(Vec::new).push(id);
        objects
    });
    let (mut new, mut refused) = (Vec::new(), Vec::new());
    for object in &driving.objects {
        let input = recorded(root, object);
        let id = InputId::of(&input);
        if claimed.contains(&id) {
            continue;
        }
        if transform.settings.changed_input.value != ChangedInput::Append
            && let Some(earlier) = objects.get(id.object())
            && processed(ledger, earlier, &input.object).await?
        {
            refused.push(refusal(transform, &input));
            continue;
        }
        new.push(input);
    }
    Ok(Due { inputs: new, replaces: None, refused })
}

/// Whether a former version of the object was really read by a run that ended, and not overtaken before.
async fn processed(ledger: &Ledger, earlier: &[&InputId], object: &str) -> Result<bool> {
    for id in earlier {
        let Some(claim) = ledger.claim_of(id).await? else { continue };
        if let Some(Done::Succeeded { receipt }) = ledger.done(&claim.run_id).await?
            && receipt.inputs.iter().any(|input| input.object == object && InputId::of(input) == **id)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn refusal(transform: &Transform, input: &ReceiptInput) -> Error {
    let way_out = match transform.settings.changed_input.value {
        ChangedInput::Reject => "it is refused as `@changed_input: reject` says; give the object another name",
        _ => {
            "replacing its former rows is not built into this version; write `@changed_input: append`, or give the object another name"
        }
    };
    Error::new(Code::ChangedInput, "an object that was processed before arrived again with other content")
        .help(way_out)
        .in_object(&input.object, None)
}

/// What is due for `overwrite`: all inputs, if those of the trigger tables or the SQL text are others than last time.
pub(crate) async fn overwritten(
    root: &DataRoot,
    ledger: &Ledger,
    transform: &Transform,
    listing: &Listing,
) -> Result<Due> {
    let fingerprint = fingerprint(root, transform, listing);
    let (version, newest) = ledger.newest_version().await?;
    if newest.is_some_and(|newest| newest.fingerprint == fingerprint) {
        return Ok(Due { inputs: Vec::new(), replaces: None, refused: Vec::new() });
    }
    Ok(Due { inputs: all(root, listing), replaces: Some(Replaces { version, fingerprint }), refused: Vec::new() })
}

/// A rebuild from all inputs, whether they are new or not.
pub(crate) async fn everything(
    root: &DataRoot,
    ledger: &Ledger,
    transform: &Transform,
    listing: &Listing,
) -> Result<Due> {
    let (version, _) = ledger.newest_version().await?;
    let fingerprint = fingerprint(root, transform, listing);
    Ok(Due { inputs: all(root, listing), replaces: Some(Replaces { version, fingerprint }), refused: Vec::new() })
}

fn all(root: &DataRoot, listing: &Listing) -> Vec<ReceiptInput> {
    listing.values().flat_map(|input| &input.objects).map(|object| recorded(root, object)).collect()
}

/// Stands for the SQL text and the object versions of the tables that trigger the transform: all of FROM by default.
pub(crate) fn fingerprint(root: &DataRoot, transform: &Transform, listing: &Listing) -> String {
    let triggers: Option<BTreeSet<&TableName>> =
        transform.settings.trigger.as_ref().map(|tables| tables.iter().map(|table| &table.value).collect());
    let mut parts = vec![transform.file.text.to_string()];
    for (name, input) in listing.iter().filter(|(name, _)| triggers.as_ref().is_none_or(|wanted| wanted.contains(name)))
    {
        for object in &input.objects {
            let id = InputId::of(&recorded(root, object));
            parts.push(format!("{name} {} {}", id.object(), id.version()));
        }
    }
    digest(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What is due for a transform in its write mode.
pub(crate) async fn due(
    root: &DataRoot,
    ledger: &Ledger,
    transform: &Transform,
    write: WriteMode,
    listing: &Listing,
) -> Result<Due> {
    match (write, transform.driving.as_ref().and_then(|driving| listing.get(driving))) {
        (WriteMode::Append, Some(driving)) => appended(root, ledger, transform, driving).await,
        _ => overwritten(root, ledger, transform, listing).await,
    }
}

/// The listing cut down to the object versions of a run: those of the driving table where the transform appends, so that
/// what arrives meanwhile is left for the next run; lookups, and rebuilt tables' inputs, are read as they are.
///
/// Returns also the recorded inputs that are not there any more.
pub(crate) fn fix(
    root: &DataRoot,
    transform: &Transform,
    write: WriteMode,
    mut listing: Listing,
    inputs: &[ReceiptInput],
) -> (Listing, Vec<String>) {
    let wanted: BTreeSet<InputId> = inputs.iter().map(InputId::of).collect();
    let mut found = BTreeSet::new();
    for (name, input) in &mut listing {
        let fixed = write != WriteMode::Append || transform.driving.as_ref() == Some(name);
        input.objects.retain(|object| {
            let id = InputId::of(&recorded(root, object));
            let keep = !fixed || wanted.contains(&id);
            if keep {
                found.insert(id);
            }
            keep
        });
    }
    let gone = inputs.iter().filter(|input| !found.contains(&InputId::of(input)));
    let gone = gone.map(|input| input.object.clone()).collect();
    (listing, gone)
}

/// The inputs that a run really reads, for its receipt.
pub(crate) fn read_by(root: &DataRoot, listing: &Listing, inputs: &[ReceiptInput]) -> Vec<ReceiptInput> {
    let present: BTreeSet<InputId> =
        listing.values().flat_map(|input| &input.objects).map(|object| InputId::of(&recorded(root, object))).collect();
    inputs.iter().filter(|input| present.contains(&InputId::of(input))).cloned().collect()
}
