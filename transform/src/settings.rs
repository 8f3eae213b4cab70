//! What a transform's header may say, as values with their defaults filled in.

use crate::error::Location;
use crate::table::TableName;

/// A value together with the place in the project that it was read from; `at` is `None` for a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Option<Location>,
}

impl<T> Spanned<T> {
    /// A default: a value that stands nowhere.
    pub fn unwritten(value: T) -> Self {
        Self { value, at: None }
    }
}

/// How a run changes its target (`@write`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// Adds the rows of new objects.
    Append,
    /// Replaces the partitions that new objects touch.
    OverwritePartitions,
    /// Replaces the table.
    Overwrite,
    /// Updates rows by key, inserts the rest.
    Merge,
}

/// What to do with an object that was processed before and arrives with other content (`@changed_input`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangedInput {
    /// Its old rows go, its new rows come.
    Replace,
    /// Its new rows are added.
    Append,
    /// It is refused.
    Reject,
}

/// What to do with rows that break a check or cannot be read (`@on_violation`, `@on_bad_record`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnViolation {
    /// The run fails.
    Fail,
    /// The rows are set aside.
    Quarantine,
    /// The rows are kept and counted.
    Warn,
}

/// Parquet page compression (`@compression`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard with its level, 1 to 22.
    Zstd(i32),
    /// Snappy.
    Snappy,
    /// Gzip, level 6.
    Gzip,
    /// LZ4 in the `LZ4_RAW` form.
    Lz4,
    /// None.
    Uncompressed,
}

/// One column of `@sort`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortColumn {
    /// Column of the result.
    pub column: String,
    /// Descending.
    pub descending: bool,
}

/// Which SQL dialect the file is parsed with (`@dialect`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// DataFusion's own.
    DataFusion,
    /// Spark's, with Spark's functions.
    Spark,
}

/// Where a transform runs (`@engine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineChoice {
    /// In this process, unless it does not fit.
    Auto,
    /// In this process.
    Lambda,
    /// On a Ballista cluster.
    Ballista,
}

/// The settings of one transform: the file's header over its folders' `unglue.toml` over the defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `@write`; `None` leaves the choice to the incremental-safety proof.
    pub write: Option<Spanned<WriteMode>>,
    /// `@partition`.
    pub partition: Vec<Spanned<String>>,
    /// `@sort`.
    pub sort: Vec<Spanned<SortColumn>>,
    /// `@key`.
    pub key: Vec<Spanned<String>>,
    /// `@latest_by`.
    pub latest_by: Option<Spanned<String>>,
    /// `@delete_when`: SQL boolean expression over a row of the result; the row's key goes where it is true.
    pub delete_when: Option<Spanned<String>>,
    /// `@driving`.
    pub driving: Option<Spanned<TableName>>,
    /// `@trigger`; `None` is the default of the write mode, an empty list is `none`.
    pub trigger: Option<Vec<Spanned<TableName>>>,
    /// `@changed_input`.
    pub changed_input: Spanned<ChangedInput>,
    /// `@compression`.
    pub compression: Spanned<Compression>,
    /// `@target_file_size`, bytes.
    pub target_file_size: Spanned<u64>,
    /// `@max_partitions`.
    pub max_partitions: Spanned<usize>,
    /// `@bloom_filter`.
    pub bloom_filter: Vec<Spanned<String>>,
    /// `@dictionary`.
    pub dictionary: Vec<Spanned<String>>,
    /// `@not_null`.
    pub not_null: Vec<Spanned<String>>,
    /// `@unique`.
    pub unique: Vec<Spanned<String>>,
    /// `@assert`: SQL boolean expressions over a row of the result.
    pub assert: Vec<Spanned<String>>,
    /// `@assert_table`: SQL boolean expressions over aggregates of the result.
    pub assert_table: Vec<Spanned<String>>,
    /// `@on_violation`.
    pub on_violation: Spanned<OnViolation>,
    /// `@on_bad_record`; never `Warn`.
    pub on_bad_record: Spanned<OnViolation>,
    /// `@dialect`.
    pub dialect: Spanned<Dialect>,
    /// `@engine`.
    pub engine: Spanned<EngineChoice>,
    /// `@location`: URL of the target's folder.
    pub location: Option<Spanned<String>>,
    /// `@description`.
    pub description: Option<String>,
    /// `@owner`.
    pub owner: Option<String>,
    /// `@tags`.
    pub tags: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            write: None,
            partition: Vec::new(),
            sort: Vec::new(),
            key: Vec::new(),
            latest_by: None,
            delete_when: None,
            driving: None,
            trigger: None,
            changed_input: Spanned::unwritten(ChangedInput::Replace),
            compression: Spanned::unwritten(Compression::Zstd(3)),
            target_file_size: Spanned::unwritten(256 << 20),
            max_partitions: Spanned::unwritten(1000),
            bloom_filter: Vec::new(),
            dictionary: Vec::new(),
            not_null: Vec::new(),
            unique: Vec::new(),
            assert: Vec::new(),
            assert_table: Vec::new(),
            on_violation: Spanned::unwritten(OnViolation::Fail),
            on_bad_record: Spanned::unwritten(OnViolation::Fail),
            dialect: Spanned::unwritten(Dialect::DataFusion),
            engine: Spanned::unwritten(EngineChoice::Auto),
            location: None,
            description: None,
            owner: None,
            tags: Vec::new(),
        }
    }
}
