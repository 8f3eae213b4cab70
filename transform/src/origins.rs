//! Which arrival each row of a file came from, kept in the file's own footer.
//!
//! A reader of Parquet does not see it. It lets the rows of one arrival be taken out when that arrival comes again with other
//! content, also long after the source's objects are gone.

use std::collections::HashMap;

use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};

use crate::arrival::ArrivalId;
use crate::code::Code;
use crate::error::{Error, Result};

/// Key of the footer's metadata.
pub(crate) const KEY: &str = "unglue.origins";

/// An arrival as far as its rows are concerned: its version does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) folder: String,
    pub(crate) object: String,
}

impl From<&ArrivalId> for Origin {
    fn from(id: &ArrivalId) -> Self {
        Self { folder: id.folder.clone(), object: id.object.clone() }
    }
}

/// The origins of the rows of one file, in the order of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origins {
    names: Vec<Origin>,
    /// How many rows in a row came from which of the names.
    runs: Vec<(u32, u32)>,
}

impl Origins {
    /// The origins of rows by their number among `names`, as [`Counter`] has gathered them.
    pub(crate) fn new(names: &[Origin], counted: &Counter) -> Self {
        let mut used: HashMap<u32, u32> = HashMap::new();
        let mut own = Vec::new();
        let runs = counted
            .runs
            .iter()
            .map(|(number, rows)| {
                let next = own.len() as u32;
                let index = *used.entry(*number).or_insert_with(|| {
                    own.extend(names.get(*number as usize).cloned());
                    next
                });
                (index, *rows)
            })
            .collect();
        Self { names: own, runs }
    }

    /// As text for the footer.
    ///
    /// # Errors
    /// [`Code::Internal`].
    pub(crate) fn encode(&self) -> Result<String> {
        let json = serde_json::to_vec(self).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let packed =
            zstd::encode_all(json.as_slice(), 3).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        Ok(packed.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// From a file's footer; `None` if the file has none, or none that can be understood.
    pub(crate) fn of(metadata: &ParquetMetaData) -> Option<Self> {
        let entries = metadata.file_metadata().key_value_metadata()?;
        let text = entries.iter().find(|entry| entry.key == KEY)?.value.as_ref()?;
        let packed: Option<Vec<u8>> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
        let json = zstd::decode_all(packed?.as_slice()).ok()?;
        let origins: Self = serde_json::from_slice(&json).ok()?;
        let rows: u64 = origins.runs.iter().map(|(_, rows)| u64::from(*rows)).sum();
        let is_whole = u64::try_from(metadata.file_metadata().num_rows()).ok() == Some(rows);
        let is_sound = origins.runs.iter().all(|(index, _)| (*index as usize) < origins.names.len());
        (is_whole && is_sound).then_some(origins)
    }

    /// The origins, each once.
    pub(crate) fn names(&self) -> &[Origin] {
        &self.names
    }

    /// The position among [`Origins::names`] of the origin of each row, by ranges: first row, position.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (u64, u32)> {
        self.runs.iter().scan(0_u64, |first, (index, rows)| {
            let range = (*first, *index);
            *first += u64::from(*rows);
            Some(range)
        })
    }
}

/// Gathers the origins of rows while a file is written.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    runs: Vec<(u32, u32)>,
}

impl Counter {
    /// Counts rows by the numbers of their origins.
    pub(crate) fn count(&mut self, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            match self.runs.last_mut() {
                Some((last, rows)) if *last == number && *rows < u32::MAX => *rows += 1,
                _ => self.runs.push((number, 1)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(name: &str) -> Origin {
        Origin { folder: "f".into(), object: name.into() }
    }

    #[test]
    fn only_used_names_are_kept_and_rows_are_counted_in_runs() {
        let names = [origin("a"), origin("b"), origin("c")];
        let mut counter = Counter::default();
        counter.count([2, 2, 0, 0].into_iter());
        counter.count([0, 2].into_iter());
        let origins = Origins::new(&names, &counter);
        assert_eq!(origins.names(), [origin("c"), origin("a")]);
        assert_eq!(origins.ranges().collect::<Vec<_>>(), [(0, 0), (2, 1), (5, 0)]);
    }
}
