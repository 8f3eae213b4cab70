//! What a process remembers of the catalog, so that an arrival takes fewer requests.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_glue::types;
use transform::{Table, TableName};

use super::partitions::Values;

/// For how long a definition is good enough to add partitions by. Who changes the columns of all partitions waits as long before it
/// lists them: then those that were added by the former definition are among them, or who added them looks again.
pub(super) const FRESH: Duration = Duration::from_secs(2);

/// Partitions whose values are remembered.
const PARTITIONS: usize = 20_000;

/// A definition, and when it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) table: types::Table,
    asked: Instant,
}

impl Definition {
    pub(super) fn new(table: types::Table, asked: Instant) -> Self {
        Self { table, asked }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.asked.elapsed() < FRESH
    }
}

/// Shared by all clones of a catalog.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    definitions: HashMap<TableName, Definition>,
    partitions: HashMap<TableName, HashSet<Values>>,
    count: usize,
}

impl Memory {
    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A definition of a table with partitions, as it was read now.
    pub(super) fn read(&self, name: &TableName, definition: Definition) {
        if definition.table.partition_keys.as_ref().is_some_and(|keys| !keys.is_empty()) {
            let mut remembered = self.remembered();
            remembered.definitions.retain(|_, known| known.is_fresh());
            remembered.definitions.insert(name.clone(), definition);
        }
    }

    /// The definition that `table` is, if it was read a moment ago. It is given once.
    pub(super) fn take_fresh(&self, table: &Table) -> Option<Definition> {
        let known = self.remembered().definitions.remove(&table.name)?;
        (known.is_fresh() && known.table.version_id.is_some() && known.table.version_id == table.version)
            .then_some(known)
    }

    /// Partitions that the catalog has.
    pub(super) fn seen<'a>(&self, name: &TableName, partitions: impl Iterator<Item = &'a Values>) {
        let mut remembered = self.remembered();
        let Remembered { partitions: seen, count, .. } = &mut *remembered;
        for values in partitions {
            if seen.get(name).is_some_and(|seen| seen.contains(values)) {
                continue;
            }
            if *count >= PARTITIONS {
                seen.clear();
                *count = 0;
            }
            *count += 1;
            seen.entry(name.clone()).or_default().insert(values.clone());
        }
    }

    /// Whether other partitions of the table were seen, and not this one: for the most part it is new then.
    pub(super) fn is_likely_new(&self, name: &TableName, values: &[Option<String>]) -> bool {
        self.remembered().partitions.get(name).is_some_and(|seen| !seen.contains(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_forgotten_before_they_are_too_many() {
        let (memory, name) = (Memory::default(), TableName::new("shop", "orders").unwrap());
        assert!(!memory.is_likely_new(&name, &[None]), "nothing is known of the table");
        let values: Vec<Values> = (0..=PARTITIONS).map(|n| vec![Some(n.to_string())]).collect();
        memory.seen(&name, values[..PARTITIONS].iter());
        memory.seen(&name, values[..1].iter());
        assert!(memory.is_likely_new(&name, &[None]));
        assert!(!memory.is_likely_new(&name, &values[PARTITIONS - 1]));
        memory.seen(&name, values[PARTITIONS..].iter());
        assert!(memory.is_likely_new(&name, &values[0]) && !memory.is_likely_new(&name, &values[PARTITIONS]));
    }
}
