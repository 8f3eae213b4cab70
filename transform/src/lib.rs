//! The engine of unglue: plain SQL files in, partitioned Parquet out.

mod catalog;
mod code;
mod diagnose;
mod error;
mod hive;
mod plan;
mod safety;
mod session;
mod settings;
mod store;
mod table;
mod transform;

pub use catalog::Catalog;
pub use code::{Code, Kind};
pub use error::{Error, Location, ObjectLine, Result};
pub use hive::HiveType;
pub use plan::{Planned, SourceOf, plan, plan_with};
pub use safety::{Reason, Unsafe, incremental};
pub use settings::{
    ChangedInput, Compression, Dialect, EngineChoice, OnViolation, Settings, SortColumn, Spanned, WriteMode,
};
pub use store::{Bucket, DataRoot};
pub use table::{Column, CsvOptions, Format, Partition, Table, TableName};
pub use transform::{Input, SourceFile, Transform};
