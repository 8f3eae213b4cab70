//! The keys of a header, and what each one's value means.

use std::fmt;

use crate::code::Code;
use crate::error::{Error, Location, Result};
use crate::header::supported::refusal;
use crate::header::values::{Piece, Value};
use crate::settings::{ChangedInput, Dialect, EngineChoice, OnViolation, Settings, Spanned, WriteMode};

macro_rules! keys {
    ($($variant:ident $text:literal)*) => {
        /// A key of a header or an `unglue.toml`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Key {
            $($variant,)*
        }

        impl Key {
            /// Every key, without `@`.
            pub(crate) const NAMES: &'static [&'static str] = &[$($text),*];

            /// The key with this name.
            pub(crate) fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name, without `@`.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

keys! {
    Write "write"
    Partition "partition"
    Sort "sort"
    Identity "key"
    LatestBy "latest_by"
    DeleteWhen "delete_when"
    Driving "driving"
    Trigger "trigger"
    ChangedInput "changed_input"
    Compression "compression"
    TargetFileSize "target_file_size"
    MaxPartitions "max_partitions"
    BloomFilter "bloom_filter"
    Dictionary "dictionary"
    NotNull "not_null"
    Unique "unique"
    Assert "assert"
    AssertTable "assert_table"
    OnViolation "on_violation"
    OnBadRecord "on_bad_record"
    Dialect "dialect"
    Engine "engine"
    Location "location"
    Description "description"
    Owner "owner"
    Tags "tags"
}

impl Key {
    /// Whether a header may have the key several times.
    pub(crate) fn repeats(self) -> bool {
        matches!(self, Self::Assert | Self::AssertTable)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One setting as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Key.
    pub(crate) key: Key,
    /// Where the key stands.
    pub(crate) key_at: Location,
    /// Value, not yet understood.
    pub(crate) value: Value,
}

/// Lays the settings of one header or `unglue.toml` over those of the layers below.
///
/// # Errors
/// One for each value that its key does not take, or that this version does not implement.
pub(crate) fn lay_over(settings: &mut Settings, entries: &[Entry]) -> Vec<Error> {
    // A list replaces the one of the layer below; only inside one layer do repeated keys add up.
    if entries.iter().any(|entry| entry.key == Key::Assert) {
        settings.assert.clear();
    }
    entries.iter().filter_map(|entry| set(settings, entry).err()).collect()
}

fn set(settings: &mut Settings, entry: &Entry) -> Result<()> {
    let Entry { key, value, .. } = entry;
    let key = *key;
    match key {
        Key::Write => {
            let choice = choose(entry, &WRITE_MODES)?;
            settings.write = Some(choice);
        }
        Key::Partition => settings.partition = value.columns(key)?,
        Key::Sort => settings.sort = value.sort_columns(key)?,
        Key::Identity => settings.key = value.columns(key)?,
        Key::LatestBy => settings.latest_by = Some(value.one(key)?.column(key)?),
        Key::DeleteWhen => settings.delete_when = Some(value.one(key)?.spanned()),
        Key::Driving => settings.driving = Some(value.one(key)?.table(key)?),
        Key::Trigger => settings.trigger = Some(value.tables(key)?),
        Key::ChangedInput => settings.changed_input = choose(entry, &CHANGED_INPUTS)?,
        Key::Compression => settings.compression = value.one(key)?.compression(key)?,
        Key::TargetFileSize => settings.target_file_size = value.one(key)?.size(key)?,
        Key::MaxPartitions => settings.max_partitions = value.one(key)?.count(key)?,
        Key::BloomFilter => settings.bloom_filter = value.columns(key)?,
        Key::Dictionary => settings.dictionary = value.columns(key)?,
        Key::NotNull => settings.not_null = value.columns(key)?,
        Key::Unique => settings.unique = refused(entry, value.columns(key)?)?,
        Key::Assert => settings.assert.extend(value.pieces().iter().map(Piece::spanned)),
        Key::AssertTable => {
            let checks = value.pieces().iter().map(Piece::spanned).collect();
            settings.assert_table = refused(entry, checks)?;
        }
        Key::OnViolation => settings.on_violation = choose(entry, &ON_VIOLATION)?,
        Key::OnBadRecord => settings.on_bad_record = choose(entry, &ON_VIOLATION[..2])?,
        Key::Dialect => settings.dialect = choose(entry, &DIALECTS)?,
        Key::Engine => settings.engine = choose(entry, &ENGINES)?,
        Key::Location => settings.location = Some(value.one(key)?.url(key)?),
        Key::Description => settings.description = Some(value.one(key)?.text.clone()),
        Key::Owner => settings.owner = Some(value.one(key)?.text.clone()),
        Key::Tags => settings.tags = value.items(key)?.into_iter().map(|piece| piece.text).collect(),
    }
    Ok(())
}

const WRITE_MODES: [(&str, WriteMode); 4] = [
    ("append", WriteMode::Append),
    ("overwrite", WriteMode::Overwrite),
    ("overwrite_partitions", WriteMode::OverwritePartitions),
    ("merge", WriteMode::Merge),
];

const CHANGED_INPUTS: [(&str, ChangedInput); 3] =
    [("replace", ChangedInput::Replace), ("append", ChangedInput::Append), ("reject", ChangedInput::Reject)];

const ON_VIOLATION: [(&str, OnViolation); 3] =
    [("fail", OnViolation::Fail), ("quarantine", OnViolation::Quarantine), ("warn", OnViolation::Warn)];

const DIALECTS: [(&str, Dialect); 2] = [("datafusion", Dialect::DataFusion), ("spark", Dialect::Spark)];

const ENGINES: [(&str, EngineChoice); 3] =
    [("auto", EngineChoice::Auto), ("lambda", EngineChoice::Lambda), ("ballista", EngineChoice::Ballista)];

fn choose<T: Copy>(entry: &Entry, choices: &[(&str, T)]) -> Result<Spanned<T>> {
    let piece = entry.value.one(entry.key)?;
    let chosen = piece.choice(entry.key, choices)?;
    match refusal(entry.key, &piece.text.to_lowercase(), &piece.at) {
        Some(error) => Err(error),
        None => Ok(chosen),
    }
}

fn refused<T>(entry: &Entry, list: Vec<Spanned<T>>) -> Result<Vec<Spanned<T>>> {
    let Some(first) = entry.value.pieces().first().filter(|_| !list.is_empty()) else {
        return Ok(list);
    };
    refusal(entry.key, &first.text, &first.at).map_or(Ok(list), Err)
}

/// The error for a key that does not exist.
pub(crate) fn unknown_key(name: &str, at: Location, prefix: &str) -> Error {
    let error = Error::new(Code::UnknownKey, format!("`{prefix}{name}` is not a setting")).at(at);
    match crate::nearest::nearest(name, Key::NAMES.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{prefix}{near}`?")),
        None => error.help(format!("the settings are `{prefix}{}`", Key::NAMES.join(&format!("`, `{prefix}")))),
    }
}
