//! The catalog: where tables and partitions are recorded.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod contract;
mod embedded;
mod filter;

use std::collections::BTreeSet;
use std::fmt::Debug;

use async_trait::async_trait;

use crate::code::Code;
use crate::error::Result;
use crate::table::{Partition, PartitionChange, Table, TableName};

pub use embedded::EmbeddedCatalog;
pub use filter::{PartitionCondition, PartitionFilter, PartitionTest};

/// A partition that a catalog has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredPartition {
    /// The partition.
    pub partition: Partition,
    /// The columns that the catalog has for it.
    pub columns: PartitionColumns,
}

impl RegisteredPartition {
    /// A partition with the columns of its table, or one that the catalog keeps no columns for.
    pub(crate) fn same(partition: Partition) -> Self {
        Self { partition, columns: PartitionColumns::Same }
    }
}

/// How the columns that a catalog has for a partition are to those of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionColumns {
    /// They are the same, or the catalog keeps none for partitions.
    Same,
    /// The last ones of the table are missing.
    Fewer,
    /// They are others.
    Other,
}

/// The partitions that are to get the columns of their table.
#[derive(Debug, Clone, Copy)]
pub enum Heirs<'a> {
    /// Those with these values.
    With(&'a BTreeSet<Vec<Option<String>>>),
    /// All; those with these values when the others are through, so that who finds them as they were knows that it is to be done again.
    All {
        /// The values.
        last: &'a BTreeSet<Vec<Option<String>>>,
    },
}

/// Where tables and partitions are recorded.
///
/// Every method that writes is idempotent: putting the same thing twice is one thing. Absence is not an error.
/// All implementations pass the suite in `catalog/contract.rs`.
#[async_trait]
pub trait Catalog: Debug + Send + Sync {
    /// The folder for the new tables of a database, ending in `/`; `None` where the catalog names none, or has no such database.
    async fn database_location(&self, _database: &str) -> Result<Option<String>> {
        Ok(None)
    }

    /// The names of all tables, sorted.
    async fn tables(&self) -> Result<Vec<TableName>>;

    /// All tables that can be read, sorted by name; the others are left out.
    async fn definitions(&self) -> Result<Vec<Table>> {
        let mut tables = Vec::new();
        for name in self.tables().await? {
            match self.table(&name).await {
                // A view, or a table of another engine.
                Err(error) if error.code == Code::UnsupportedTable => {}
                table => tables.extend(table?),
            }
        }
        Ok(tables)
    }

    /// The table, or `None` if there is none of this name.
    async fn table(&self, name: &TableName) -> Result<Option<Table>>;

    /// Creates the table (`version` is `None`) or replaces the definition that `version` was read from.
    /// Partitions are left as they are. Returns the table with its new version.
    ///
    /// # Errors
    /// [`Code::Conflict`] if the table was created or changed in between.
    async fn put_table(&self, table: &Table) -> Result<Table>;

    /// The partitions of a table, sorted by their values; empty for an unknown table.
    async fn partitions(&self, name: &TableName) -> Result<Vec<Partition>>;

    /// The partitions of a table that a filter may let through, sorted by their values; empty for an unknown table.
    ///
    /// A catalog that cannot judge a condition gives more than match, up to all; who asks looks again.
    async fn matching_partitions(&self, name: &TableName, _filter: &PartitionFilter) -> Result<Vec<Partition>> {
        self.partitions(name).await
    }

    /// The partitions of a table that have one of these values, sorted by them; empty for an unknown table.
    async fn partitions_with(
        &self,
        table: &Table,
        values: &BTreeSet<Vec<Option<String>>>,
    ) -> Result<Vec<RegisteredPartition>> {
        let all = self.partitions(&table.name).await?.into_iter();
        let wanted = all.filter(|partition| values.contains(&partition.values));
        Ok(wanted.map(RegisteredPartition::same).collect())
    }

    /// Whether a partition is so likely to be new that it is better added at once than asked for. A guess: nothing may be wrong for it.
    fn is_likely_new(&self, _name: &TableName, _values: &[Option<String>]) -> bool {
        false
    }

    /// Adds partitions, made of the table's columns. Returns those whose values were there already, as they are, sorted by them.
    ///
    /// # Errors
    /// [`Code::NotFound`] if the table does not exist.
    async fn add_partitions(&self, table: &Table, partitions: &[Partition]) -> Result<Vec<RegisteredPartition>>;

    /// Gives partitions of a table its columns, in catalogs that keep columns for each partition. Some readers refuse a partition whose
    /// types are not its table's, and find nothing in columns that it lacks.
    async fn inherit(&self, _name: &TableName, _heirs: Heirs<'_>) -> Result<()> {
        Ok(())
    }

    /// Adds, moves and removes partitions, each only if it is still where the change expects it; others are passed over
    /// without an error, since another process was faster. Each partition changes at once.
    ///
    /// # Errors
    /// [`Code::NotFound`] if the table does not exist.
    async fn change_partitions(&self, name: &TableName, changes: &[PartitionChange]) -> Result<()>;
}
