//! Records that a run leaves out because they cannot be read (`@on_bad_record: quarantine`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::table::TableName;

/// More records, or bytes of them, are no exceptions any more: the run fails.
const MOST: usize = 100_000;
const MOST_BYTES: usize = 64 << 20;

/// A record that was left out, with all that it takes to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rejected {
    /// The table that it should have been a row of.
    pub(crate) table: TableName,
    /// The object.
    pub(crate) object: String,
    /// The line on which it begins.
    pub(crate) line: u64,
    /// What is wrong with it.
    pub(crate) reason: String,
    /// The record as it is written there, with its line break.
    pub(crate) record: String,
}

/// All of a run, each once however often its object is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rejects(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    records: BTreeMap<(String, u64), Rejected>,
    bytes: usize,
}

impl Rejects {
    /// # Errors
    /// [`Code::BadRecord`] if there are too many.
    pub(crate) fn add(&self, rejected: Rejected) -> Result<()> {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (object, line) = (rejected.object.clone(), rejected.line);
        let bytes = rejected.record.len();
        if collected.records.len() >= MOST || collected.bytes + bytes > MOST_BYTES {
            let message = format!("too many records cannot be read, this among them: {}", rejected.reason);
            return Err(Error::new(Code::BadRecord, message)
                .help(format!("a run leaves out {MOST} records, or 64 MiB of them, at most: mend the object"))
                .in_object(object, Some(line)));
        }
        if collected.records.insert((object, line), rejected).is_none() {
            collected.bytes += bytes;
        }
        Ok(())
    }

    /// What was left out, by object and line.
    pub(crate) fn all(&self) -> Vec<Rejected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).records.values().cloned().collect()
    }
}
