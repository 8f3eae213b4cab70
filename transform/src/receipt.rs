//! The receipt: what a run read, wrote, checked and cost.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::settings::WriteMode;
use crate::table::TableName;

/// One object version that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptInput {
    /// URL.
    pub object: String,
    /// Etag, where the storage has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Version id, where the storage has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Size in bytes.
    pub bytes: u64,
}

/// One partition that a run wrote to; the whole table where it has no partition keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptPartition {
    /// Values by key; `null` is SQL NULL.
    pub values: BTreeMap<String, Option<String>>,
    /// URL of the folder.
    pub location: String,
    /// Files written.
    pub files: u64,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// The record of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Stable identity of the run.
    pub run_id: String,
    /// The table that was produced.
    pub transform: TableName,
    /// The SQL file.
    pub file: String,
    /// How the target changed.
    pub write: WriteMode,
    /// When the run was claimed; `now()` in the query has this value.
    pub at: DateTime<Utc>,
    /// The object versions of the driving table for `append`, of all tables otherwise.
    pub inputs: Vec<ReceiptInput>,
    /// Claimed objects that were deleted or replaced before they could be read. A replacement is an input of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<String>,
    /// Rows that came out of the scans: of those inputs, and of the lookups.
    pub rows_read: u64,
    /// Records that could not be read and were left out (`@on_bad_record: quarantine`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// URL of the file that holds them: JSON lines with the object, line and reason of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// Rows written.
    pub rows: u64,
    /// Files written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Partitions written, sorted.
    pub partitions: Vec<ReceiptPartition>,
    /// Checks that every row passed, as they stand in the header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// Seconds from the claim to the commit.
    pub seconds: f64,
    /// Most memory that the query reserved at one time, in bytes.
    pub peak_memory: u64,
}

// serde calls it with a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
