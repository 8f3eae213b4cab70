//! What changes for one table: its objects are listed or taken as told, sampled, and compared with the catalog.

use futures::try_join;

use super::drift::{self, MADE_BY, SPELLED, UNDECIDED};
use super::survey::Object;
use super::{ARRIVED_SAMPLED, NewObject, OBJECTS_SAMPLED, Produced, TableChange};
use super::{columns, folders, format, literal, sample, survey};
use crate::base::with_slash;
use crate::catalog::{Catalog, RegisteredPartition};
use crate::code::{Code, Kind};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::projection;
use crate::registration::OWNER;
use crate::store::DataRoot;
use crate::table::{Table, TableName};

/// The change of one table; `None` if there is nothing to say about it. `known` is what the catalog has said of it a moment ago.
pub(super) async fn examine(
    root: &DataRoot,
    catalog: &dyn Catalog,
    name: TableName,
    produced: &Produced,
    arrived: Option<&[NewObject]>,
    known: Option<Option<Table>>,
) -> Result<Option<TableChange>> {
    let known = match known {
        Some(known) => Ok(known),
        None => catalog.table(&name).await,
    };
    let known = match known {
        // Other tables go on. Who asked for some objects is told of each.
        Err(error) if error.code == Code::UnsupportedTable => {
            let of_each = |object: &NewObject| error.copy().in_object(&object.url, None);
            let findings = arrived.map_or_else(|| vec![error.copy()], |objects| objects.iter().map(of_each).collect());
            return Ok(Some(TableChange::of_findings(name, findings)));
        }
        known => known?,
    };
    if known.as_ref().is_some_and(|table| table.parameters.contains_key(OWNER)) {
        return Ok(None);
    }
    let elsewhere = known.as_ref().filter(|table| with_slash(&table.location) != root.table_location(&name));
    if let Some(table) = elsewhere {
        let Some(objects) = arrived else { return Ok(None) };
        let is_in_it = |object: &&NewObject| object.url.starts_with(&with_slash(&table.location));
        let findings: Vec<Error> =
            objects.iter().filter(|object| !is_in_it(object)).map(|object| misplaced(table, object)).collect();
        if !findings.is_empty() {
            return Ok(Some(TableChange::of_findings(name, findings)));
        }
    }
    // Its SQL file was removed or renamed, and the catalog does not know it any more.
    if known.is_none() && Ledger::new(root.clone(), &name).has_commits().await? {
        return Ok(None);
    }
    let mut change = TableChange::new(name);
    match plan(root, catalog, known, produced, arrived, &mut change).await {
        Ok(()) => {}
        // Whoever called can mend a table's objects, but must try again when the storage did not answer.
        Err(error) if error.kind() == Kind::Data => change.findings.push(error),
        Err(error) => return Err(error),
    }
    Ok(change.is_worth_telling().then_some(change))
}

async fn plan(
    root: &DataRoot,
    catalog: &dyn Catalog,
    known: Option<Table>,
    produced: &Produced,
    arrived: Option<&[NewObject]>,
    change: &mut TableChange,
) -> Result<()> {
    let location = match &known {
        Some(table) => with_slash(&table.location),
        None => root.table_location(&change.table),
    };
    let mut listing = match (arrived, &known) {
        (Some(arrived), Some(_)) => survey::arrived(root, &location, arrived)?,
        // What a new table is like is told from all of it.
        _ => survey::objects(root, &location).await?,
    };
    let listed = listing.objects.len();
    leave_out(&mut listing, &produced.locations);
    if known.is_none() && !listing.objects.is_empty() {
        leave_out(&mut listing, produced.registered(catalog).await?);
    }
    if listing.objects.is_empty() && listed > 0 {
        return Ok(());
    }
    change.objects = listing.objects.len();
    change.skipped = listing.skipped;
    if listing.objects.is_empty() {
        if listing.skipped > 0 && known.is_none() {
            change.findings.push(columns::no_rows_yet(root, &change.table));
        }
        return Ok(());
    }

    let has_arrived = arrived.is_some();
    match known {
        Some(table) => compare(root, catalog, table, listing.objects, has_arrived, change).await,
        None => describe(root, location, &listing.objects, has_arrived, change).await,
    }
}

/// A table that the catalog knows: what its objects have that it lacks.
async fn compare(
    root: &DataRoot,
    catalog: &dyn Catalog,
    table: Table,
    objects: Vec<Object>,
    has_arrived: bool,
    change: &mut TableChange,
) -> Result<()> {
    let mut unread = Vec::new();
    let samples = sample::read(root, &objects, Some(&table.format), at_most(has_arrived), &mut unread);
    let (registered, samples) = try_join!(registered(catalog, &table, &objects, has_arrived), samples)?;
    if let (Some(registered), true) = (&registered, has_arrived) {
        change.findings.extend(folders::elsewhere(&objects, &table, registered));
    }
    let unregistered = |registered: &Vec<_>| folders::unregistered(&objects, &table, registered, &mut change.findings);
    let partitions = registered.as_ref().map(unregistered).unwrap_or_default();
    change.findings.extend(unread);
    let drift = drift::of_known_table(&table, &samples, &mut change.findings)?;
    change.columns_added = drift.added;
    change.columns_changed = drift.changes;
    change.definition = drift.definition;
    change.add(partitions);
    (change.known, change.arrived) = (Some(table), has_arrived.then_some(objects));
    if let Some(registered) = registered {
        change.outdate(registered);
    }
    Ok(())
}

/// The partitions of a table, or those in which objects have arrived; `None` for projected ones, which are in no catalog. Those that
/// are likely to be new are not asked for: who adds them is told if they are not.
async fn registered(
    catalog: &dyn Catalog,
    table: &Table,
    objects: &[Object],
    has_arrived: bool,
) -> Result<Option<Vec<RegisteredPartition>>> {
    if projection::is_on(table) {
        return Ok(None);
    }
    if table.partition_keys.is_empty() {
        return Ok(Some(Vec::new()));
    }
    if has_arrived {
        let mut values = folders::values(objects, table);
        values.retain(|values| !catalog.is_likely_new(&table.name, values));
        return catalog.partitions_with(table, &values).await.map(Some);
    }
    let all = catalog.partitions(&table.name).await?.into_iter();
    Ok(Some(all.map(RegisteredPartition::same).collect()))
}

/// A table that is new: what it is like.
async fn describe(
    root: &DataRoot,
    location: String,
    objects: &[Object],
    has_arrived: bool,
    change: &mut TableChange,
) -> Result<()> {
    format::check_names(objects)?;
    let (keys, partitions) = folders::of_new_table(objects, &location, &mut change.findings)?;
    let samples = sample::read(root, objects, None, at_most(has_arrived), &mut change.findings).await?;
    if change.findings.iter().any(|finding| finding.code == Code::UnreadableTable) {
        return Ok(());
    }
    let found = columns::of_new_table(&keys, &samples, &mut change.findings)?;
    let Some(columns::NewTable { columns, undecided, spelled, format }) = found else {
        // Objects that cannot be read are reason enough.
        if change.findings.is_empty() {
            change.findings.push(columns::no_rows_yet(root, &change.table));
        }
        return Ok(());
    };
    change.created = true;
    change.columns_added = columns.clone();
    let parameters = [("classification", format.to_string()), (MADE_BY, "discover".to_owned())]
        .map(|(key, value)| (key.to_owned(), value));
    let mut table = Table {
        name: change.table.clone(),
        columns,
        partition_keys: keys,
        format,
        location,
        description: None,
        parameters: parameters.into(),
        version: None,
    };
    drift::remember(&mut table, UNDECIDED, &undecided);
    drift::remember(&mut table, SPELLED, &spelled);
    literal::remember(&mut table, &samples);
    change.definition = Some(table);
    change.add(partitions);
    Ok(())
}

/// How many objects are sampled.
fn at_most(has_arrived: bool) -> usize {
    if has_arrived { ARRIVED_SAMPLED } else { OBJECTS_SAMPLED }
}

/// Nobody would ever read an object that lies where the catalog does not have its table.
fn misplaced(table: &Table, object: &NewObject) -> Error {
    let message = format!("the table `{}` lies in `{}`, and the object does not", table.name, table.location);
    Error::new(Code::MisplacedObject, message)
        .help("put it there, or change the location of the table")
        .in_object(&object.url, None)
}

/// Leaves out the objects in folders that transforms write to.
fn leave_out(listing: &mut survey::Listing, locations: &[String]) {
    listing.objects.retain(|object| !locations.iter().any(|location| object.url.starts_with(location)));
}
