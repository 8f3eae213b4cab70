//! The engine of unglue: plain SQL files in, partitioned Parquet out.

mod catalog;
mod code;
mod error;
mod folder;
mod header;
mod hive;
#[cfg(test)]
mod marked;
mod nearest;
mod project;
mod settings;
mod span;
mod sql;
mod store;
mod table;
mod transform;

pub use catalog::Catalog;
pub use code::{Code, Kind};
pub use error::{Error, Location, ObjectLine, Result};
pub use hive::HiveType;
pub use project::Project;
pub use settings::{
    ChangedInput, Compression, Dialect, EngineChoice, OnViolation, Settings, SortColumn, Spanned, WriteMode,
};
pub use store::{Bucket, DataRoot};
pub use table::{Column, CsvOptions, Format, Partition, Table, TableName};
pub use transform::{Input, SourceFile, Transform};
