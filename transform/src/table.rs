//! Tables and partitions as the catalog knows them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::hive::HiveType;
use crate::registration::OWNER;
use crate::schema_change::SchemaChange;

/// `database.table`, both lower-case as the Glue Data Catalog keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// A name from its two parts, checked: lower-case letters, digits and `_`, not beginning with a digit.
    ///
    /// # Errors
    /// [`Code::BadPath`] with the part that is not a name.
    pub fn new(database: &str, table: &str) -> Result<Self> {
        for part in [database, table] {
            if !is_name(part) {
                return Err(Error::new(Code::BadPath, format!("`{part}` is not a valid name"))
                    .help("use lower-case letters, digits and `_`, beginning with a letter or `_`"));
            }
        }
        Ok(Self { database: database.to_owned(), table: table.to_owned() })
    }
}

/// Whether a text may name a database or a table.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

impl TryFrom<String> for TableName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match text.split_once('.') {
            Some((database, table)) => Self::new(database, table),
            None => Err(Error::new(Code::BadPath, format!("`{text}` is not `database.table`"))),
        }
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

/// A column of a table, or a partition key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Lower-case name.
    pub name: String,
    /// Hive type.
    #[serde(rename = "type")]
    pub hive_type: HiveType,
    /// Comment for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A table of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Name.
    pub name: TableName,
    /// Columns stored in the objects, in order.
    pub columns: Vec<Column>,
    /// Partition keys, in order; they follow the columns in the table's schema.
    pub partition_keys: Vec<Column>,
    /// Encoding of the objects.
    pub format: Format,
    /// URL of the folder that holds the objects, ending in `/`: `s3://bucket/prefix/` or `file:///folder/`.
    pub location: String,
    /// Description for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Free parameters, kept as they are.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The version this was read as; `None` for a table not yet in the catalog. Opaque to all but the catalog.
    #[serde(skip)]
    pub version: Option<String>,
}

impl Table {
    /// Sets a parameter, or removes it for an empty value.
    ///
    /// # Errors
    /// [`Code::UnsupportedTable`] for a value of `unglue.schema_change` that is none; [`Code::NotSupported`] for a parameter that says
    /// which transform makes the table, and for a value that the format's own cannot have.
    pub fn set_parameter(&mut self, key: &str, value: &str) -> Result<()> {
        if key == OWNER || key.is_empty() {
            return Err(Error::new(Code::NotSupported, format!("the parameter `{key}` cannot be set"))
                .help("name another one: `parameter=value`"));
        }
        if self.format.set(key, value)? {
            return Ok(());
        }
        match value {
            "" => self.parameters.remove(key),
            value => self.parameters.insert(key.to_owned(), value.to_owned()),
        };
        SchemaChange::of(self).map(|_| ())
    }
}

/// One partition: a value for each key, and where its objects lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Values as text in the order of the table's keys; `None` is SQL NULL.
    pub values: Vec<Option<String>>,
    /// URL of the folder that holds the partition's objects, ending in `/`.
    pub location: String,
    /// Free parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// A change of one partition, made only if it is still where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionChange {
    /// The partition.
    pub values: Vec<Option<String>>,
    /// Its location before; `None` if it does not exist.
    pub from: Option<String>,
    /// The partition afterwards; `None` if it goes.
    pub to: Option<Partition>,
}
