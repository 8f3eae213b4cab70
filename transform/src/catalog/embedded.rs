//! The embedded catalog: one log of small files for each table, in any object store.
//!
//! `_unglue/_catalog/<database>/<table>/<n>.json` holds the table's `n`-th change. An entry is created only if absent, so of two
//! processes that change one table at once exactly one wins and the other reads again. Nothing is ever replaced or removed.

mod log;

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use self::log::{Change, Entry, State};
use crate::catalog::{Catalog, RegisteredPartition};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::store::{DataRoot, storage};
use crate::table::{Partition, PartitionChange, Table, TableName};

/// Below the data folder.
const FOLDER: &str = "_unglue/_catalog";

/// Entries read at a time.
const PARALLEL_READS: usize = 16;

/// Tries to add an entry. Each failure means that another process added one, so this many are only needed under a storm.
const ATTEMPTS: usize = 256;

/// A catalog kept as files in the data folder; no service is needed.
///
/// Locations inside the data folder are kept relative to it, so that the folder can be moved as a whole.
/// A table's version is the number of the entry that last changed its definition.
#[derive(Debug, Clone)]
pub struct EmbeddedCatalog {
    root: DataRoot,
}

impl EmbeddedCatalog {
    /// The catalog of a data folder; nothing is read or written until it is used.
    pub fn new(root: DataRoot) -> Self {
        Self { root }
    }

    fn entry_path(&self, name: &TableName, number: u64) -> Result<Path> {
        self.root.path(&format!("{FOLDER}/{}/{}/{number:020}.json", name.database, name.table))
    }

    /// The number of the last entry of a table's log, 0 if there is none.
    async fn last_entry(&self, name: &TableName) -> Result<u64> {
        let folder = self.root.path(&format!("{FOLDER}/{}/{}", name.database, name.table))?;
        let url = self.root.url(&folder);
        self.root
            .store()
            .list(Some(&folder))
            .map_err(|error| storage(&url, error))
            .try_fold(0, |last, object| async move { Ok(last.max(entry_number(&object.location).unwrap_or(0))) })
            .await
    }

    async fn entry(&self, name: &TableName, number: u64) -> Result<Entry> {
        let path = self.entry_path(name, number)?;
        let url = self.root.url(&path);
        let Some(content) = self.root.read(&path).await? else {
            return Err(log::damaged("the file is missing, though later ones are there").in_object(url, None));
        };
        log::decode(&content, &self.root).map_err(|error| error.in_object(url, None))
    }

    async fn state(&self, name: &TableName) -> Result<State> {
        let last = self.last_entry(name).await?;
        if last == 0 {
            return Ok(State::default());
        }
        let entries: Vec<Entry> = futures::stream::iter(log::first_needed(last)..=last)
            .map(|number| self.entry(name, number))
            .buffered(PARALLEL_READS)
            .try_collect()
            .await?;
        let mut state = State::before(log::first_needed(last));
        for entry in entries {
            state.apply(entry);
        }
        Ok(state)
    }

    /// Adds the change that `decide` makes of the present state, until no other process was faster; `None` changes nothing.
    async fn change(
        &self,
        name: &TableName,
        mut decide: impl FnMut(&State) -> Result<Option<Change>>,
    ) -> Result<State> {
        for _ in 0..ATTEMPTS {
            let mut state = self.state(name).await?;
            let Some(change) = decide(&state)? else { return Ok(state) };
            let entry = state.next(change);
            let path = self.entry_path(name, state.last() + 1)?;
            let content = log::encode(&entry, &self.root)?;
            let created = self.root.create(&path, content.clone()).await?;
            // An entry that is there already with our very content is ours: the answer to an earlier try was lost.
            if created || self.root.read(&path).await?.is_some_and(|found| found == content) {
                state.apply(entry);
                return Ok(state);
            }
        }
        Err(Error::new(Code::Conflict, format!("the catalog entry of `{name}` is being changed by too many processes"))
            .help("run again"))
    }
}

/// The number in an entry's file name; `None` for a file that is no entry.
fn entry_number(path: &Path) -> Option<u64> {
    let digits = path.filename()?.strip_suffix(".json")?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}

#[async_trait]
impl Catalog for EmbeddedCatalog {
    async fn tables(&self) -> Result<Vec<TableName>> {
        let folder = self.root.path(FOLDER)?;
        let url = self.root.url(&folder);
        let mut objects = self.root.store().list(Some(&folder));
        let mut names = BTreeSet::new();
        while let Some(object) = objects.try_next().await.map_err(|error| storage(&url, error))? {
            let below = object.location.as_ref().strip_prefix(folder.as_ref()).unwrap_or_default();
            if let ["", database, table, _] = below.split('/').collect::<Vec<_>>()[..]
                && entry_number(&object.location).is_some()
                && let Ok(name) = TableName::new(database, table)
            {
                names.insert(name);
            }
        }
        Ok(names.into_iter().collect())
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        Ok(self.state(name).await?.table())
    }

    async fn put_table(&self, table: &Table) -> Result<Table> {
        let name = &table.name;
        let wanted = Table { version: None, ..table.clone() };
        let state = self
            .change(name, |state| {
                let present = state.table();
                let version = present.as_ref().and_then(|present| present.version.as_deref());
                if present.as_ref().is_some_and(|present| Table { version: None, ..present.clone() } == wanted) {
                    return Ok(None);
                }
                if version == table.version.as_deref() {
                    return Ok(Some(Change::Table(Box::new(wanted.clone()))));
                }
                Err(Error::new(Code::Conflict, format!("the table `{name}` was changed by another process"))
                    .help("run again"))
            })
            .await?;
        state.table().ok_or_else(|| Error::new(Code::Internal, format!("the table `{name}` vanished while it was put")))
    }

    async fn partitions(&self, name: &TableName) -> Result<Vec<Partition>> {
        Ok(self.state(name).await?.partitions().cloned().collect())
    }

    async fn add_partitions(&self, table: &Table, partitions: &[Partition]) -> Result<Vec<RegisteredPartition>> {
        let mut present = Vec::new();
        let decide = |state: &State| {
            fits(&table.name, state, partitions.iter().map(|partition| &partition.values))?;
            let new;
            (present, new) = state.known_and_new(partitions);
            Ok((!new.is_empty()).then_some(Change::Partitions { put: new, drop: Vec::new() }))
        };
        self.change(&table.name, decide).await?;
        Ok(present.into_iter().map(RegisteredPartition::same).collect())
    }

    async fn change_partitions(&self, name: &TableName, changes: &[PartitionChange]) -> Result<()> {
        let decide = |state: &State| {
            // A table that is rebuilt with other keys loses partitions that have values for the former ones.
            fits(name, state, changes.iter().filter(|change| change.to.is_some()).map(|change| &change.values))?;
            let (put, drop) = state.effective(changes);
            Ok((!put.is_empty() || !drop.is_empty()).then_some(Change::Partitions { put, drop }))
        };
        self.change(name, decide).await?;
        Ok(())
    }
}

/// Whether partitions with these values can be in the table.
fn fits<'a>(
    name: &TableName,
    state: &State,
    mut partitions: impl Iterator<Item = &'a Vec<Option<String>>>,
) -> Result<()> {
    let Some(table) = state.table() else {
        return Err(Error::new(Code::NotFound, format!("the table `{name}` is not in the catalog"))
            .help("create it first, for example with `unglue catalog`"));
    };
    let Some(odd) = partitions.find(|values| values.len() != table.partition_keys.len()) else { return Ok(()) };
    Err(Error::new(
        Code::BadPartitionValue,
        format!(
            "a partition of `{name}` has {} values, but the table has {} partition keys",
            odd.len(),
            table.partition_keys.len()
        ),
    )
    .help("give one value for each key"))
}

#[cfg(test)]
mod tests;
