//! What changes in the catalog for one table, and how it is done.

use std::collections::BTreeSet;

use super::drift::ColumnChange;
use super::folders;
use super::survey::Object;
use crate::catalog::{Catalog, Heirs, PartitionColumns, RegisteredPartition};
use crate::error::{Error, Result};
use crate::table::{Column, Partition, Table, TableName};

type Values = Vec<Option<String>>;

/// What changes in the catalog for one table.
#[derive(Debug, serde::Serialize)]
pub struct TableChange {
    /// The table.
    pub table: TableName,
    /// Whether it is new.
    pub created: bool,
    /// The columns of a new table, or those added to the end of a known one; partition keys are not among them.
    pub columns_added: Vec<Column>,
    /// How the objects of a known table differ from it, and whether its definition changes for that.
    pub columns_changed: Vec<ColumnChange>,
    /// Values of the partitions that are added, sorted.
    pub partitions_added: Vec<Values>,
    /// Number of objects with data.
    pub objects: usize,
    /// Number of objects passed over: empty, hidden (names that begin with `_` or `.`), folder markers.
    pub skipped: usize,
    /// What could not be read or contradicts the catalog; it was left as it is.
    pub findings: Vec<Error>,
    /// The definition to put, if it changes.
    #[serde(skip)]
    pub(super) definition: Option<Table>,
    /// The table as the catalog has it.
    #[serde(skip)]
    pub(super) known: Option<Table>,
    /// The objects, if they are some that have arrived.
    #[serde(skip)]
    pub(super) arrived: Option<Vec<Object>>,
    /// The partitions to add.
    #[serde(skip)]
    partitions: Vec<Partition>,
    /// The partitions that are to get the table's columns.
    #[serde(skip)]
    outdated: Outdated,
}

/// Partitions in the catalog with columns that are not their table's, or will not be.
#[derive(Debug, Default)]
struct Outdated {
    /// The values of those that were seen.
    values: BTreeSet<Values>,
    /// Whether there may be others.
    others: bool,
}

impl TableChange {
    pub(super) fn new(table: TableName) -> Self {
        Self {
            table,
            created: false,
            columns_added: Vec::new(),
            columns_changed: Vec::new(),
            partitions_added: Vec::new(),
            objects: 0,
            skipped: 0,
            findings: Vec::new(),
            definition: None,
            known: None,
            arrived: None,
            partitions: Vec::new(),
            outdated: Outdated::default(),
        }
    }

    /// Nothing but what is wrong.
    pub(super) fn of_findings(table: TableName, findings: Vec<Error>) -> Self {
        Self { findings, ..Self::new(table) }
    }

    /// Partitions that are to be added.
    pub(super) fn add(&mut self, partitions: Vec<Partition>) {
        self.partitions_added = partitions.iter().map(|partition| partition.values.clone()).collect();
        self.partitions = partitions;
    }

    /// Partitions that the catalog has: those with other columns than the table has, or will have, are to get these. Columns that are
    /// added are of use where objects have arrived; the older partitions have nothing in them. Types must be the same in all.
    pub(super) fn outdate(&mut self, registered: Vec<RegisteredPartition>) {
        if self.known.as_ref().is_none_or(|table| table.partition_keys.is_empty()) {
            return;
        }
        let has_other_types = self.columns_changed.iter().any(|column| column.applied && column.old.is_some())
            || registered.iter().any(|registered| registered.columns == PartitionColumns::Other);
        let has_more = !self.columns_added.is_empty();
        let others = has_other_types || has_more && self.arrived.is_none();
        let is_changed = others || has_more;
        let registered = registered.into_iter().filter(|of| is_changed || of.columns != PartitionColumns::Same);
        let new = self.partitions.iter().filter(|_| is_changed).map(|partition| partition.values.clone());
        self.outdated.values.extend(registered.map(|registered| registered.partition.values).chain(new));
        self.outdated.others |= others;
    }

    /// Partitions that were to be added, and turned out to be there.
    fn found(&mut self, present: Vec<RegisteredPartition>) {
        let there: BTreeSet<&Values> = present.iter().map(|there| &there.partition.values).collect();
        self.partitions_added.retain(|values| !there.contains(values));
        self.partitions.retain(|partition| !there.contains(&partition.values));
        if let (Some(objects), Some(table)) = (&self.arrived, &self.known) {
            self.findings.extend(folders::elsewhere(objects, table, &present));
        }
        self.outdate(present);
    }

    /// Whether the catalog changes, as against findings only.
    pub fn is_change(&self) -> bool {
        let is_outdated = self.outdated.others || !self.outdated.values.is_empty();
        self.definition.is_some() || !self.partitions.is_empty() || is_outdated
    }

    /// Whether there is anything to say. That columns are missing is told of what arrived, not of a table again and again.
    pub(super) fn is_worth_telling(&self) -> bool {
        let is_told = self.arrived.is_some() && !self.columns_changed.is_empty();
        self.is_change() || !self.findings.is_empty() || is_told
    }

    /// Does it. Partitions that others have added meanwhile are not changes of this one afterwards.
    ///
    /// # Errors
    /// [`Code::Conflict`](crate::code::Code::Conflict) if the table was changed since; the catalog's own errors.
    pub(super) async fn apply(&mut self, catalog: &dyn Catalog) -> Result<()> {
        if let Some(definition) = self.definition.as_ref().filter(|_| self.created) {
            self.known = Some(catalog.put_table(definition).await?);
        }
        if let Some(table) = self.known.as_ref().filter(|_| !self.partitions.is_empty()) {
            let present = catalog.add_partitions(table, &self.partitions).await?;
            self.found(present);
        }
        // What ends in between leaves partitions with the former columns behind, where objects have arrived: who looks at these next
        // goes on.
        if let Some(definition) = self.definition.as_ref().filter(|_| !self.created) {
            catalog.put_table(definition).await?;
        }
        match &self.outdated {
            Outdated { values: last, others: true } => catalog.inherit(&self.table, Heirs::All { last }).await,
            Outdated { values, .. } if values.is_empty() => Ok(()),
            Outdated { values, .. } => catalog.inherit(&self.table, Heirs::With(values)).await,
        }
    }
}
