//! The engine of unglue: plain SQL files in, partitioned Parquet out.

mod catalog;
mod code;
mod discover;
mod error;
mod hive;
mod infer;
mod partition;
mod settings;
mod store;
mod table;
mod transform;

#[cfg(any(test, feature = "testing"))]
pub use catalog::contract::contract as catalog_contract;
pub use catalog::{Catalog, EmbeddedCatalog};
pub use code::{Code, Kind};
pub use discover::{Discovery, TableChange, apply, diff, discover};
pub use error::{Error, Location, ObjectLine, Result};
pub use hive::HiveType;
pub use settings::{
    ChangedInput, Compression, Dialect, EngineChoice, OnViolation, Settings, SortColumn, Spanned, WriteMode,
};
pub use store::{Bucket, DataRoot};
pub use table::{Column, CsvOptions, Format, Partition, Table, TableName};
pub use transform::{Input, SourceFile, Transform};
