//! Finds the tables of the data folder and brings the catalog up to date with them.
//!
//! Objects at `d/t/…` belong to the table `d.t`; folders `key=value` directly below the table are its partitions. The step only
//! ever adds: tables, columns at the end, partitions. What contradicts the catalog is reported, and left as it is.

mod change;
mod columns;
mod drift;
mod examine;
mod folders;
mod format;
mod literal;
mod sample;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use crate::base::with_slash;
use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::registration::OWNER;
use crate::store::DataRoot;
use crate::table::{Table, TableName};

pub use change::TableChange;
pub use drift::{ColumnChange, ColumnChangeKind};
use examine::examine;

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
    /// The same of tables that were made by transforms of other projects, or by files that are gone; read when it is asked for.
    registered: OnceCell<Vec<String>>,
}

impl Produced {
    pub(crate) fn new(names: BTreeSet<TableName>, locations: Vec<String>) -> Self {
        Self { names, locations, registered: OnceCell::new() }
    }

    async fn registered(&self, catalog: &dyn Catalog) -> Result<&[String]> {
        let read = async || Ok(owned_locations(&catalog.definitions().await?));
        self.registered.get_or_try_init(read).await.map(Vec::as_slice)
    }
}

/// The folders of the tables that transforms have made.
fn owned_locations(registered: &[Table]) -> Vec<String> {
    let owned = registered.iter().filter(|table| table.parameters.contains_key(OWNER));
    owned.map(|table| with_slash(&table.location)).collect()
}

/// An object that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// Its URL.
    pub url: String,
    /// Its size in bytes.
    pub bytes: u64,
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
/// What transforms write is asked for only where the catalog does not say whose a table is.
///
/// # Errors
/// As [`discover`]; [`Code::MisplacedObject`] for an object that is in no table's place.
pub(crate) async fn arrived(
    root: &DataRoot,
    catalog: &dyn Catalog,
    place: Option<&TableName>,
    objects: &[NewObject],
    produced: impl AsyncFnOnce() -> Result<Produced>,
) -> Result<Vec<ArrivedIn>> {
    let mut tables: BTreeMap<TableName, Vec<NewObject>> = BTreeMap::new();
    let mut seen = None;
    let (mut is_known, mut made) = (false, OnceCell::new());
    if let Some(place) = place {
        seen = match catalog.table(place).await {
            // What is wrong with it is told below.
            Err(error) if error.code == Code::UnsupportedTable => None,
            table => Some(table?),
        };
    }
    match place {
        Some(place) if seen.as_ref().is_none_or(|table| is_at_home(root, place, table.as_ref(), objects)) => {
            is_known = matches!(seen, Some(Some(_)));
            tables.insert(place.clone(), objects.to_vec());
        }
        _ => {
            let registered = catalog.definitions().await?;
            for object in objects {
                let table = owner(&registered, &object.url).or(place).ok_or_else(|| nowhere(&object.url))?;
                tables.entry(table.clone()).or_default().push(object.clone());
            }
            made = OnceCell::new_with(Some(owned_locations(&registered)));
        }
    }
    let produced = if is_known { Produced::default() } else { produced().await? };
    let produced = &Produced { registered: made, ..produced };
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
        let Some(mut change) = examined else { return Ok(None) };
        match change.apply(catalog).await {
            Ok(()) => return Ok(change.is_worth_telling().then_some(change)),
            Err(error) if error.code == Code::Conflict && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
