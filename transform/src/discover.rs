//! Finds the tables of the data folder and brings the catalog up to date with them.
//!
//! Objects at `d/t/…` belong to the table `d.t`; folders `key=value` directly below the table are its partitions. The step only
//! ever adds: tables, columns at the end, partitions. What contradicts the catalog is reported, and left as it is.

mod columns;
mod drift;
mod folders;
mod format;
mod literal;
mod sample;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};

use crate::base::with_slash;
use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::projection;
use crate::registration::OWNER;
use crate::store::DataRoot;
use crate::table::{Column, Partition, Table, TableName};

pub use drift::{ColumnChange, ColumnChangeKind};
use drift::{MADE_BY, SPELLED, UNDECIDED};

/// Tables examined at a time.
const TABLES_AT_ONCE: usize = 4;

/// Objects of a table that are sampled: half of them the oldest, half the newest.
const OBJECTS_SAMPLED: usize = 16;

/// Objects of an arrival that are sampled.
const ARRIVED_SAMPLED: usize = 256;

/// Tries for a table that other processes are changing.
const ATTEMPTS: usize = 5;

/// What the data folder holds that the catalog does not, and what is wrong in it.
#[derive(Debug, Default, serde::Serialize)]
pub struct Discovery {
    /// The tables that change or have findings, sorted by name.
    pub tables: Vec<TableChange>,
    /// What belongs to no table: misplaced objects, and folders whose names cannot be tables.
    pub findings: Vec<Error>,
}

impl Discovery {
    /// Whether the catalog has, or would get, any change.
    pub fn is_change(&self) -> bool {
        self.tables.iter().any(TableChange::is_change)
    }
}

/// What transforms write, which is never a source.
#[derive(Debug, Default)]
pub(crate) struct Produced {
    /// Their tables.
    pub(crate) names: BTreeSet<TableName>,
    /// URLs of their folders, ending in `/`.
    pub(crate) locations: Vec<String>,
}

/// An object that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// Its URL.
    pub url: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What changes in the catalog for one table.
#[derive(Debug, serde::Serialize)]
pub struct TableChange {
    /// The table.
    pub table: TableName,
    /// Whether it is new.
    pub created: bool,
    /// The columns of a new table, or those added to the end of a known one; partition keys are not among them.
    pub columns_added: Vec<Column>,
    /// How the objects of a known table differ from it, and whether its definition changes for that.
    pub columns_changed: Vec<ColumnChange>,
    /// Values of the partitions that are added, sorted.
    pub partitions_added: Vec<Vec<Option<String>>>,
    /// Number of objects with data.
    pub objects: usize,
    /// Number of objects passed over: empty, hidden (names that begin with `_` or `.`), folder markers.
    pub skipped: usize,
    /// What could not be read or contradicts the catalog; it was left as it is.
    pub findings: Vec<Error>,
    /// The definition to put, if it changes.
    #[serde(skip)]
    definition: Option<Table>,
    /// The partitions to put.
    #[serde(skip)]
    partitions: Vec<Partition>,
}

impl TableChange {
    fn new(table: TableName) -> Self {
        Self {
            table,
            created: false,
            columns_added: Vec::new(),
            columns_changed: Vec::new(),
            partitions_added: Vec::new(),
            objects: 0,
            skipped: 0,
            findings: Vec::new(),
            definition: None,
            partitions: Vec::new(),
        }
    }

    /// Whether the catalog changes, as against findings only.
    pub fn is_change(&self) -> bool {
        self.definition.is_some() || !self.partitions.is_empty()
    }
}

/// Brings the catalog up to date with the data folder, and says what was done. A second call finds nothing to do.
///
/// Tables that a transform produces, or has produced, and those whose location is not in their place in the data folder are
/// left alone.
///
/// # Errors
/// What the storage or the catalog cannot do. What is wrong with one table's objects is a finding, and other tables go on.
pub(crate) async fn discover(root: &DataRoot, catalog: &dyn Catalog, produced: &Produced) -> Result<Discovery> {
    let survey = survey::tables(root, &produced.names).await?;
    let tables: Vec<Option<TableChange>> = futures::stream::iter(survey.tables)
        .map(|name| update(root, catalog, name, produced, None, None))
        .buffered(TABLES_AT_ONCE)
        .try_collect()
        .await?;
    Ok(Discovery { tables: tables.into_iter().flatten().collect(), findings: survey.findings })
}

/// Objects that arrived in one table.
#[derive(Debug)]
pub struct ArrivedIn {
    /// The table.
    pub table: TableName,
    /// URLs of the objects.
    pub objects: Vec<String>,
    /// What there is to say about the table, if anything.
    pub change: Option<TableChange>,
}

/// The same for some objects that arrived: of a table that is known, nothing else is looked at. `place` is the table in whose
/// place in the data folder they lie. They are another table's if that one's location is where they lie; then of all such tables
/// the one whose location goes on longest.
///
/// # Errors
/// As [`discover`]; [`Code::MisplacedObject`] for an object that is in no table's place.
pub(crate) async fn arrived(
    root: &DataRoot,
    catalog: &dyn Catalog,
    place: Option<&TableName>,
    objects: &[NewObject],
    produced: &Produced,
) -> Result<Vec<ArrivedIn>> {
    let mut tables: BTreeMap<TableName, Vec<NewObject>> = BTreeMap::new();
    let mut seen = None;
    if let Some(place) = place {
        seen = match catalog.table(place).await {
            // What is wrong with it is told below.
            Err(error) if error.code == Code::UnsupportedTable => None,
            table => Some(table?),
        };
    }
    match place {
        Some(place) if seen.as_ref().is_none_or(|table| is_at_home(root, place, table.as_ref(), objects)) => {
            tables.insert(place.clone(), objects.to_vec());
        }
        _ => {
            let registered = catalog.definitions().await?;
            for object in objects {
                let table = owner(&registered, &object.url).or(place).ok_or_else(|| nowhere(&object.url))?;
                tables.entry(table.clone()).or_default().push(object.clone());
            }
        }
    }
    let mut arrived = Vec::new();
    for (table, objects) in tables {
        let known = if place == Some(&table) { seen.take() } else { None };
        let is_source = !produced.names.contains(&table);
        let change =
            if is_source { update(root, catalog, table.clone(), produced, Some(&objects), known).await? } else { None };
        arrived.push(ArrivedIn { table, objects: objects.into_iter().map(|object| object.url).collect(), change });
    }
    Ok(arrived)
}

/// Whether the catalog has a table in its place in the data folder, and objects lie in no folders that may be another table's: those of
/// partitions and of dates are not, and looking at all tables for each arrival in them would be dear.
fn is_at_home(root: &DataRoot, name: &TableName, table: Option<&Table>, objects: &[NewObject]) -> bool {
    let home = root.table_location(name);
    let is_in_other_folder = |object: &NewObject| {
        let below = object.url.strip_prefix(&home).and_then(|below| below.rsplit_once('/'));
        let is_of_dates = |folder: &str| folder.bytes().all(|byte| byte.is_ascii_digit());
        below.is_some_and(|(folders, _)| folders.split('/').any(|folder| !folder.contains('=') && !is_of_dates(folder)))
    };
    table.is_some_and(|table| with_slash(&table.location) == home) && !objects.iter().any(is_in_other_folder)
}

/// The table in whose location an object lies; the innermost, if there are several.
fn owner<'a>(registered: &'a [Table], url: &str) -> Option<&'a TableName> {
    let holds = |table: &&Table| url.starts_with(&with_slash(&table.location));
    registered.iter().filter(holds).max_by_key(|table| table.location.len()).map(|table| &table.name)
}

fn nowhere(url: &str) -> Error {
    Error::new(Code::MisplacedObject, "the object is in no table's folder")
        .help("put it into `<database>/<table>/…`, or into the location of a table of the catalog")
        .in_object(url, None)
}

/// What [`discover`] would do; nothing is written.
///
/// # Errors
/// As [`discover`].
pub(crate) async fn diff(root: &DataRoot, catalog: &dyn Catalog, produced: &Produced) -> Result<Discovery> {
    let survey = survey::tables(root, &produced.names).await?;
    let tables: Vec<Option<TableChange>> = futures::stream::iter(survey.tables)
        .map(|name| examine(root, catalog, name, produced, None, None))
        .buffered(TABLES_AT_ONCE)
        .try_collect()
        .await?;
    Ok(Discovery { tables: tables.into_iter().flatten().collect(), findings: survey.findings })
}

/// Does what a [`diff`] said.
///
/// # Errors
/// [`Code::Conflict`] if the table was changed since; the catalog's own errors.
pub(crate) async fn apply(catalog: &dyn Catalog, change: &TableChange) -> Result<()> {
    if let Some(definition) = &change.definition {
        let table = catalog.put_table(definition).await?;
        let has_other_types = change.columns_changed.iter().any(|column| column.applied && column.old.is_some());
        if has_other_types && !table.partition_keys.is_empty() {
            catalog.inherit(&table.name).await?;
        }
    }
    if !change.partitions.is_empty() {
        catalog.put_partitions(&change.table, &change.partitions).await?;
    }
    Ok(())
}

async fn update(
    root: &DataRoot,
    catalog: &dyn Catalog,
    name: TableName,
    produced: &Produced,
    arrived: Option<&[NewObject]>,
    mut known: Option<Option<Table>>,
) -> Result<Option<TableChange>> {
    let mut attempt = 1;
    loop {
        let examined = examine(root, catalog, name.clone(), produced, arrived, known.take()).await?;
        let Some(change) = examined else { return Ok(None) };
        match apply(catalog, &change).await {
            Ok(()) => return Ok(Some(change)),
            Err(error) if error.code == Code::Conflict && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The change of one table; `None` if there is nothing to say about it. `known` is what the catalog has said of it a moment ago.
async fn examine(
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
            return Ok(Some(TableChange { findings, ..TableChange::new(name) }));
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
            return Ok(Some(TableChange { findings, ..TableChange::new(name) }));
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
        Err(error) if error.kind() == crate::code::Kind::Data => change.findings.push(error),
        Err(error) => return Err(error),
    }
    // That columns are missing is told of what arrived, not of a table again and again.
    let is_told = arrived.is_some() && !change.columns_changed.is_empty();
    Ok((change.is_change() || !change.findings.is_empty() || is_told).then_some(change))
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
        leave_out(&mut listing, &owned_locations(catalog).await?);
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
    if known.is_none() {
        format::check_names(&listing.objects)?;
    }

    let (keys, partitions) = match &known {
        // Its partitions are in no catalog.
        Some(table) if projection::is_on(table) => (table.partition_keys.clone(), Vec::new()),
        Some(table) => {
            let registered = match arrived {
                _ if table.partition_keys.is_empty() => Vec::new(),
                Some(_) => catalog.partitions_with(&table.name, &folders::values(&listing.objects, table)).await?,
                None => catalog.partitions(&table.name).await?,
            };
            if arrived.is_some() {
                change.findings.extend(folders::elsewhere(&listing.objects, table, &registered));
            }
            let partitions = folders::unregistered(&listing.objects, table, &registered, &mut change.findings);
            (table.partition_keys.clone(), partitions)
        }
        None => folders::of_new_table(&listing.objects, &location, &mut change.findings)?,
    };

    let at_most = if arrived.is_some() { ARRIVED_SAMPLED } else { OBJECTS_SAMPLED };
    let format = known.as_ref().map(|table| &table.format);
    let samples = sample::read(root, &listing.objects, format, at_most, &mut change.findings).await?;
    match known {
        Some(table) => {
            let drift = drift::of_known_table(&table, &samples, &mut change.findings)?;
            change.columns_added = drift.added;
            change.columns_changed = drift.changes;
            change.definition = drift.definition;
        }
        None if change.findings.iter().any(|finding| finding.code == Code::UnreadableTable) => return Ok(()),
        None => {
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
        }
    }
    change.partitions_added = partitions.iter().map(|partition| partition.values.clone()).collect();
    change.partitions = partitions;
    Ok(())
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

/// The folders of all tables that transforms have made, of other projects or by files that are gone.
async fn owned_locations(catalog: &dyn Catalog) -> Result<Vec<String>> {
    let owned = catalog.definitions().await?.into_iter().filter(|table| table.parameters.contains_key(OWNER));
    Ok(owned.map(|table| with_slash(&table.location)).collect())
}

#[cfg(test)]
mod tests;
