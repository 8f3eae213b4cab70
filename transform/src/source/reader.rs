//! What the readers of all formats are told: the table, and what is wanted of it.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::keys::Keys;
use super::rejects::Rejects;
use crate::schema_change::{RESCUED, SchemaChange};
use crate::table::Table;

/// Reads objects of one table into batches of the wanted columns.
#[derive(Debug)]
pub(super) struct ObjectReader {
    pub(super) table: Arc<Table>,
    /// What the keys of its JSON are called.
    pub(super) keys: Arc<Keys>,
    pub(super) wanted: SchemaRef,
    pub(super) batch_size: usize,
    /// Where records go that cannot be read; without it they are errors.
    pub(super) rejects: Option<Rejects>,
}

impl ObjectReader {
    /// The same for other columns.
    pub(super) fn wanting(&self, columns: Vec<Field>) -> Self {
        Self {
            table: Arc::clone(&self.table),
            keys: Arc::clone(&self.keys),
            wanted: Arc::new(Schema::new(columns)),
            rejects: self.rejects.clone(),
            ..*self
        }
    }

    /// Whether what fits no column is wanted, and kept in a column of its own.
    pub(super) fn rescues(&self) -> bool {
        self.wanted.column_with_name(RESCUED).is_some() && SchemaChange::rescues(&self.table)
    }
}
