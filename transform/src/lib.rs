//! The engine of unglue: plain SQL files in, partitioned Parquet out.

mod ahead;
mod arrival;
mod base;
mod case;
mod catalog;
mod check;
mod checks;
mod code;
mod codec;
mod commit;
mod diagnose;
mod discover;
mod due;
mod engine;
mod error;
mod estimate;
mod execute;
mod failure;
mod folder;
mod format;
mod header;
mod hive;
mod infer;
mod inputs;
mod ledger;
#[cfg(test)]
mod marked;
mod nearest;
mod origins;
mod page;
mod panic;
mod partition;
mod pinned;
mod placement;
mod plan;
mod project;
mod projection;
mod pruning;
mod publish;
mod receipt;
mod record;
mod registration;
mod run;
mod runtime;
mod safety;
mod schema_change;
mod session;
mod settings;
mod source;
mod span;
mod sql;
mod stage;
mod store;
mod table;
mod trace;
mod transform;
mod upkeep;
mod write;

pub use arrival::digest;
pub use case::{Case, CaseOutcome, Difference, ExpectedAt, KnownColumns, RowDifference, Tested, cases, known_columns};
#[cfg(any(test, feature = "testing"))]
pub use catalog::contract::contract as catalog_contract;
pub use catalog::{
    Catalog, EmbeddedCatalog, Heirs, PartitionColumns, PartitionCondition, PartitionFilter, PartitionTest,
    RegisteredPartition,
};
pub use check::Checked;
pub use code::{Code, Kind};
pub use discover::{ArrivedIn, ColumnChange, ColumnChangeKind, Discovery, NewObject, TableChange};
pub use engine::{Announce, Arrived, Asked, Engine, Outcome, Progress, Stamp};
pub use error::{Error, Location, ObjectLine, Result};
pub use estimate::PlannedRun;
pub use format::{CsvOptions, Format, JsonOptions};
pub use hive::HiveType;
pub use inputs::is_hidden;
pub use nearest::nearest;
pub use plan::{Planned, SourceOf, plan, plan_with};
pub use project::Project;
pub use receipt::{Receipt, ReceiptInput, ReceiptPartition};
pub use runtime::Limits;
pub use safety::{Crossing, Reason, Unsafe, incremental};
pub use settings::{
    ChangedInput, Compression, Dialect, EngineChoice, OnViolation, Settings, SortColumn, Spanned, WriteMode,
};
pub use store::{Bucket, DataRoot, storage};
pub use table::{Column, Partition, PartitionChange, Table, TableName};
pub use transform::{Input, SourceFile, Transform};
pub use upkeep::{Amount, Collected, Finding, FindingKind, PastRun, RunOutcome};

/// The inner steps of a run, for the benches.
#[cfg(feature = "testing")]
pub mod steps {
    pub use crate::source::steps::read_text;
    pub use crate::write::steps::{encode, scatter};
}
