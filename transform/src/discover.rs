//! Finds the tables of the data folder and brings the catalog up to date with them.
//!
//! Objects at `d/t/…` belong to the table `d.t`; folders `key=value` directly below the table are its partitions. The step only
//! ever adds: tables, columns at the end, partitions. What contradicts the catalog is reported, and left as it is.

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
use crate::catalog::{Catalog, Heirs};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::registration::OWNER;
use crate::store::DataRoot;
use crate::table::{Column, Partition, Table, TableName};

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
    /// The partitions that are to get the table's columns.
    #[serde(skip)]
    outdated: Outdated,
}

/// Partitions in the catalog with columns that are not their table's.
#[derive(Debug, Default)]
enum Outdated {
    #[default]
    None,
    /// Those of these values.
    With(BTreeSet<Vec<Option<String>>>),
    /// Whichever there are; of these values those in which objects have arrived.
    Any(BTreeSet<Vec<Option<String>>>),
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
            outdated: Outdated::None,
        }
    }

    fn add(&mut self, partitions: Vec<Partition>) {
        self.partitions_added = partitions.iter().map(|partition| partition.values.clone()).collect();
        self.partitions = partitions;
    }

    /// Whether the catalog changes, as against findings only.
    pub fn is_change(&self) -> bool {
        self.definition.is_some() || !self.partitions.is_empty() || !matches!(self.outdated, Outdated::None)
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

/// Does what a [`diff`] said.
///
/// # Errors
/// [`Code::Conflict`] if the table was changed since; the catalog's own errors.
pub(crate) async fn apply(catalog: &dyn Catalog, change: &TableChange) -> Result<()> {
    if let Some(definition) = change.definition.as_ref().filter(|_| change.created) {
        catalog.put_table(definition).await?;
    }
    if !change.partitions.is_empty() {
        catalog.put_partitions(&change.table, &change.partitions).await?;
    }
    // What ends in between leaves partitions with the former columns behind, where objects have arrived: who looks at these next goes on.
    if let Some(definition) = change.definition.as_ref().filter(|_| !change.created) {
        catalog.put_table(definition).await?;
    }
    match &change.outdated {
        Outdated::None => Ok(()),
        Outdated::With(values) => catalog.inherit(&change.table, Heirs::With(values)).await,
        Outdated::Any(last) => catalog.inherit(&change.table, Heirs::All { last }).await,
    }
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

#[cfg(test)]
mod tests;
