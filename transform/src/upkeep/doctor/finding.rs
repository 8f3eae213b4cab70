//! What a doctor may find.

use std::fmt;

use serde::Serialize;

use crate::table::TableName;

/// What is not as it should be. The texts are stable: programs may match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A record of the ledger cannot be understood.
    RecordDamaged,
    /// A record of the ledger is not there, though others depend on it.
    RecordMissing,
    /// A run began and is not committed.
    RunNotCommitted,
    /// A run is committed, and not visible in whole.
    RunNotVisible,
    /// The catalog does not have the table.
    TableMissing,
    /// The catalog shows another folder for the table than its newest version.
    TableMoved,
    /// The catalog does not have a partition.
    PartitionMissing,
    /// The catalog shows another folder for a partition than its newest version, or than the one with its files.
    PartitionMoved,
    /// The catalog shows a partition that a version took out.
    PartitionExtra,
    /// The catalog shows a partition that no run wrote.
    PartitionForeign,
    /// The catalog shows a partition without files.
    PartitionEmpty,
    /// Files that a run wrote are not there.
    FileMissing,
    /// Readers see files whose rows are elsewhere, too, or should be gone.
    FileStale,
    /// Readers see files that no run wrote.
    FileForeign,
    /// The SQL gives a column that the table does not have.
    ColumnAdded,
    /// The table has a column that the SQL does not give.
    ColumnRemoved,
    /// The SQL gives a column of another type than the table has.
    ColumnType,
    /// The SQL partitions the table by other columns.
    PartitionKeys,
}

impl FindingKind {
    /// The kind as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RecordDamaged => "record-damaged",
            Self::RecordMissing => "record-missing",
            Self::RunNotCommitted => "run-not-committed",
            Self::RunNotVisible => "run-not-visible",
            Self::TableMissing => "table-missing",
            Self::TableMoved => "table-moved",
            Self::PartitionMissing => "partition-missing",
            Self::PartitionMoved => "partition-moved",
            Self::PartitionExtra => "partition-extra",
            Self::PartitionForeign => "partition-foreign",
            Self::PartitionEmpty => "partition-empty",
            Self::FileMissing => "file-missing",
            Self::FileStale => "file-stale",
            Self::FileForeign => "file-foreign",
            Self::ColumnAdded => "column-added",
            Self::ColumnRemoved => "column-removed",
            Self::ColumnType => "column-type",
            Self::PartitionKeys => "partition-keys",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The transform whose table it is about.
    pub transform: TableName,
    /// Where: the URL of an object or a folder, a run id, or the name of a column.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// What was done about it; `None` if it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<String>,
}
