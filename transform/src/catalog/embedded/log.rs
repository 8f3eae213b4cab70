//! The log of one table: its entries as text, and the state that they add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::store::DataRoot;
use crate::table::{Partition, PartitionChange, Table};

/// Version of the files' format; a reader refuses any other.
const FORMAT: u32 = 1;

/// Every entry whose number this divides holds the whole state as well.
const CHECKPOINT_EVERY: u64 = 32;

type Values = Vec<Option<String>>;

/// One file of the log. Entries are numbered from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    format: u32,
    /// The table's new definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<Table>,
    /// Partitions added or replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    put: Vec<Partition>,
    /// Values of partitions removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    drop: Vec<Values>,
    /// The state after this entry, so that a reader needs none before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Checkpoint>,
}

/// The whole state after an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    table: Table,
    table_version: u64,
    partitions: Vec<Partition>,
}

/// What an entry changes.
#[derive(Debug)]
pub(super) enum Change {
    /// The table's definition.
    Table(Box<Table>),
    /// Partitions added or replaced, and partitions removed.
    Partitions { put: Vec<Partition>, drop: Vec<Values> },
}

/// A table and its partitions after some entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    last: u64,
    table: Option<Table>,
    table_version: u64,
    partitions: BTreeMap<Values, Partition>,
}

impl State {
    /// The empty state onto which the entries from `first` on are applied.
    pub(super) fn before(first: u64) -> Self {
        Self { last: first - 1, ..Self::default() }
    }

    /// Number of the last entry, 0 if there is none.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The table with its version.
    pub(super) fn table(&self) -> Option<Table> {
        let table = self.table.clone()?;
        Some(Table { version: Some(self.table_version.to_string()), ..table })
    }

    /// The partitions, sorted by their values.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.values()
    }

    /// The partitions that have the values of one of `wanted`, and those of `wanted` that have others; both sorted by their values, of
    /// several with the same the last.
    pub(super) fn known_and_new(&self, wanted: &[Partition]) -> (Vec<Partition>, Vec<Partition>) {
        let wanted = by_values(wanted.to_vec());
        let known = wanted.keys().filter_map(|values| self.partitions.get(values).cloned()).collect();
        let is_new = |partition: &Partition| !self.partitions.contains_key(&partition.values);
        (known, wanted.into_values().filter(is_new).collect())
    }

    /// Those of `wanted` that are not there as they are; of several with the same values the last.
    fn missing(&self, wanted: &[Partition]) -> Vec<Partition> {
        let is_missing = |partition: &Partition| self.partitions.get(&partition.values) != Some(partition);
        by_values(wanted.to_vec()).into_values().filter(is_missing).collect()
    }

    /// What is left of changes: those of partitions that are where the change expects them, and that change anything.
    pub(super) fn effective(&self, changes: &[PartitionChange]) -> (Vec<Partition>, Vec<Values>) {
        let expected = changes
            .iter()
            .filter(|change| self.partitions.get(&change.values).map(|known| &known.location) == change.from.as_ref());
        let (mut put, mut drop) = (Vec::new(), Vec::new());
        for change in expected {
            match &change.to {
                Some(partition) => put.push(partition.clone()),
                None if change.from.is_some() => drop.push(change.values.clone()),
                None => {}
            }
        }
        (self.missing(&put), drop)
    }

    /// The entry that would follow, with a checkpoint where one is due.
    pub(super) fn next(&self, change: Change) -> Entry {
        let mut entry = Entry { format: FORMAT, ..Entry::default() };
        match change {
            Change::Table(table) => entry.table = Some(*table),
            Change::Partitions { put, drop } => (entry.put, entry.drop) = (put, drop),
        }
        if (self.last + 1).is_multiple_of(CHECKPOINT_EVERY) {
            let mut after = self.clone();
            after.apply(entry.clone());
            entry.checkpoint = after.table.map(|table| Checkpoint {
                table,
                table_version: after.table_version,
                partitions: after.partitions.into_values().collect(),
            });
        }
        entry
    }

    /// Moves on by one entry.
    pub(super) fn apply(&mut self, entry: Entry) {
        self.last += 1;
        if let Some(checkpoint) = entry.checkpoint {
            self.table = Some(checkpoint.table);
            self.table_version = checkpoint.table_version;
            self.partitions = by_values(checkpoint.partitions);
            return;
        }
        if let Some(table) = entry.table {
            self.table = Some(table);
            self.table_version = self.last;
        }
        for values in &entry.drop {
            self.partitions.remove(values);
        }
        self.partitions.extend(by_values(entry.put));
    }
}

fn by_values(partitions: Vec<Partition>) -> BTreeMap<Values, Partition> {
    partitions.into_iter().map(|partition| (partition.values.clone(), partition)).collect()
}

/// The first entry that a reader of the log needs: the newest checkpoint, or the first of all.
pub(super) fn first_needed(last: u64) -> u64 {
    (last - last % CHECKPOINT_EVERY).max(1)
}

/// An entry's file. Locations inside the data folder become relative to it.
pub(super) fn encode(entry: &Entry, root: &DataRoot) -> Result<Vec<u8>> {
    let mut entry = entry.clone();
    each_location(&mut entry, |location| match root.relative(location) {
        Some(relative) if !is_absolute(relative) => relative.to_owned(),
        _ => location.to_owned(),
    });
    serde_json::to_vec(&entry)
        .map_err(|error| Error::new(Code::Internal, "a catalog entry could not be written as JSON").because(error))
}

/// Reads an entry's file.
///
/// # Errors
/// [`Code::CatalogDamaged`] if it is not an entry, or one of a newer program.
pub(super) fn decode(content: &[u8], root: &DataRoot) -> Result<Entry> {
    #[derive(Deserialize)]
    struct Versioned {
        format: u32,
    }

    let not_an_entry = |error: serde_json::Error| damaged(&format!("the file is not a catalog entry: {error}"));
    let versioned: Versioned = serde_json::from_slice(content).map_err(not_an_entry)?;
    if versioned.format != FORMAT {
        return Err(damaged(&format!("the file has format {}, this program knows format {FORMAT}", versioned.format)));
    }
    let mut entry: Entry = serde_json::from_slice(content).map_err(not_an_entry)?;
    each_location(
        &mut entry,
        |location| {
            if is_absolute(location) { location.to_owned() } else { root.absolute(location) }
        },
    );
    Ok(entry)
}

/// An error about a file of the log.
pub(super) fn damaged(message: &str) -> Error {
    Error::new(Code::CatalogDamaged, message).help("restore the file, or update the program")
}

/// Whether a location is a URL. No path inside a data folder is: object keys have no empty segments.
fn is_absolute(location: &str) -> bool {
    location.contains("://")
}

fn each_location(entry: &mut Entry, change: impl Fn(&str) -> String) {
    let (table, partitions) = match &mut entry.checkpoint {
        Some(checkpoint) => (Some(&mut checkpoint.table), checkpoint.partitions.as_mut_slice()),
        None => (None, Default::default()),
    };
    for table in entry.table.iter_mut().chain(table) {
        table.location = change(&table.location);
    }
    for partition in entry.put.iter_mut().chain(partitions) {
        partition.location = change(&partition.location);
    }
}
