//! What the catalog shows of a transform's table.

use object_store::path::Path;

use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::registration::OWNER;
use crate::store::DataRoot;
use crate::table::{Partition, Table, TableName};

/// A table as readers find it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) table: Table,
    /// As the catalog has them, whether the table has partition keys or not.
    pub(super) partitions: Vec<Partition>,
}

impl Shown {
    /// `None` where the catalog has no such table.
    ///
    /// # Errors
    /// [`Code::ForeignTable`] for a table that the transform did not make; the catalog's.
    pub(super) async fn find(catalog: &dyn Catalog, target: &TableName) -> Result<Option<Self>> {
        let Some(table) = catalog.table(target).await? else { return Ok(None) };
        if table.parameters.get(OWNER) != Some(&target.to_string()) {
            return Err(Error::new(
                Code::ForeignTable,
                format!("the table `{target}` exists and is not this transform's"),
            )
            .help("rename the SQL file"));
        }
        Ok(Some(Self { table, partitions: catalog.partitions(target).await? }))
    }

    pub(super) fn is_partitioned(&self) -> bool {
        !self.table.partition_keys.is_empty()
    }

    /// The folders that readers may look into. One in another bucket holds nothing of ours.
    pub(super) fn places(&self, root: &DataRoot) -> Vec<Path> {
        let own = (!self.is_partitioned()).then_some(&self.table.location);
        let partitions = self.partitions.iter().map(|partition| &partition.location);
        own.into_iter().chain(partitions).filter_map(|location| root.path_of(location).ok()).collect()
    }
}

/// Whether an object lies in one of some folders.
pub(super) fn is_in(path: &Path, places: &[Path]) -> bool {
    places.iter().any(|place| path.prefix_matches(place))
}
