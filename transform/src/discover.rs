//! Finds the tables of the data folder and brings the catalog up to date with them.
//!
//! Objects at `d/t/…` belong to the table `d.t`; folders `key=value` directly below the table are its partitions. The step only
//! ever adds: tables, columns at the end, partitions. What contradicts the catalog is reported, and left as it is.

mod columns;
mod folders;
mod format;
mod sample;
mod survey;

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};

use crate::base::with_slash;
use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::inputs::values_in;
use crate::ledger::Ledger;
use crate::projection;
use crate::registration::OWNER;
use crate::store::DataRoot;
use crate::table::{Column, Partition, Table, TableName};

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
        .map(|name| update(root, catalog, name, produced, None))
        .buffered(TABLES_AT_ONCE)
        .try_collect()
        .await?;
    Ok(Discovery { tables: tables.into_iter().flatten().collect(), findings: survey.findings })
}

/// The same for some objects that arrived in one table: of a table that is known, nothing else is looked at.
///
/// # Errors
/// As [`discover`].
pub(crate) async fn arrived(
    root: &DataRoot,
    catalog: &dyn Catalog,
    table: &TableName,
    objects: &[NewObject],
    produced: &Produced,
) -> Result<Option<TableChange>> {
    if produced.names.contains(table) {
        return Ok(None);
    }
    update(root, catalog, table.clone(), produced, Some(objects)).await
}

/// What [`discover`] would do; nothing is written.
///
/// # Errors
/// As [`discover`].
pub(crate) async fn diff(root: &DataRoot, catalog: &dyn Catalog, produced: &Produced) -> Result<Discovery> {
    let survey = survey::tables(root, &produced.names).await?;
    let tables: Vec<Option<TableChange>> = futures::stream::iter(survey.tables)
        .map(|name| examine(root, catalog, name, produced, None))
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
        catalog.put_table(definition).await?;
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
) -> Result<Option<TableChange>> {
    let mut attempt = 1;
    loop {
        let Some(change) = examine(root, catalog, name.clone(), produced, arrived).await? else { return Ok(None) };
        match apply(catalog, &change).await {
            Ok(()) => return Ok(Some(change)),
            Err(error) if error.code == Code::Conflict && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The change of one table; `None` if there is nothing to say about it.
async fn examine(
    root: &DataRoot,
    catalog: &dyn Catalog,
    name: TableName,
    produced: &Produced,
    arrived: Option<&[NewObject]>,
) -> Result<Option<TableChange>> {
    let known = match catalog.table(&name).await {
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
    let elsewhere = known.as_ref().filter(|table| table.location != root.table_location(&name));
    if let Some(table) = elsewhere {
        let findings: Vec<Error> = arrived.unwrap_or_default().iter().map(|object| misplaced(table, object)).collect();
        return Ok((!findings.is_empty()).then(|| TableChange { findings, ..TableChange::new(name) }));
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
    Ok((change.is_change() || !change.findings.is_empty()).then_some(change))
}

async fn plan(
    root: &DataRoot,
    catalog: &dyn Catalog,
    known: Option<Table>,
    produced: &Produced,
    arrived: Option<&[NewObject]>,
    change: &mut TableChange,
) -> Result<()> {
    let mut listing = match (arrived, &known) {
        (Some(arrived), Some(_)) => survey::arrived(root, &change.table, arrived)?,
        // What a new table is like is told from all of it.
        _ => survey::objects(root, &change.table).await?,
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
    let family = format::of_table(root, &listing.objects, known.as_ref())?;

    let location = root.table_location(&change.table);
    let (keys, partitions) = match &known {
        // Its partitions are in no catalog.
        Some(table) if projection::is_on(table) => (table.partition_keys.clone(), Vec::new()),
        Some(table) => {
            let registered = match arrived {
                Some(_) => {
                    let values = listing.objects.iter().filter_map(|object| values_in(table, object.path.as_ref()));
                    catalog.partitions_with(&table.name, &values.collect()).await?
                }
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
    let samples = sample::read(root, &listing.objects, at_most, &mut change.findings).await?;
    match known {
        Some(table) => {
            change.columns_added = columns::added(&table, &samples, &mut change.findings);
            if !change.columns_added.is_empty() {
                let columns = [table.columns.as_slice(), &change.columns_added].concat();
                change.definition = Some(Table { columns, ..table });
            }
        }
        None => {
            let Some((columns, format)) = columns::of_new_table(family, &keys, &samples, &mut change.findings)? else {
                // Objects that cannot be read are reason enough.
                if change.findings.is_empty() {
                    change.findings.push(columns::no_rows_yet(root, &change.table));
                }
                return Ok(());
            };
            change.created = true;
            change.columns_added = columns.clone();
            let parameters = [("classification", format.to_string()), ("unglue.catalog", "discover".to_owned())]
                .map(|(key, value)| (key.to_owned(), value));
            change.definition = Some(Table {
                name: change.table.clone(),
                columns,
                partition_keys: keys,
                format,
                location,
                description: None,
                parameters: parameters.into(),
                version: None,
            });
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
    let mut locations = Vec::new();
    for name in catalog.tables().await? {
        let table = match catalog.table(&name).await {
            // A view, or a table of another engine: no transform has made it.
            Err(error) if error.code == Code::UnsupportedTable => None,
            table => table?,
        };
        let owned = table.filter(|table| table.parameters.contains_key(OWNER));
        locations.extend(owned.map(|table| with_slash(&table.location)));
    }
    Ok(locations)
}

#[cfg(test)]
mod tests;
