//! What a run reads: the objects of its input tables, listed once and then fixed.

use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::store::{DataRoot, storage};
use crate::table::{Table, TableName};

/// Values of a partition's keys, shared by its objects.
pub(crate) type PartitionValues = Arc<Vec<Option<String>>>;

/// One object of a table, with the partition it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct InputObject {
    /// Path, size, etag and version as listed: a read must see exactly this version.
    pub(crate) meta: ObjectMeta,
    /// Values of the table's partition keys, shared by the objects of a partition.
    pub(crate) partition: PartitionValues,
}

/// A table together with the objects that a run reads of it.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// As the catalog described it.
    pub(crate) table: Arc<Table>,
    /// Sorted by path.
    pub(crate) objects: Vec<InputObject>,
}

impl Input {
    /// Lists a table: the objects in its partitions' locations, or in its own where it has no partition keys.
    ///
    /// Hidden names (a segment that begins with `_` or `.`) and empty objects hold no rows and are passed over.
    ///
    /// # Errors
    /// [`Code::UnknownTable`] if the catalog does not have the table; the storage's errors.
    pub(crate) async fn list(root: &DataRoot, catalog: &dyn Catalog, name: &TableName) -> Result<Self> {
        let Some(table) = catalog.table(name).await? else {
            return Err(Error::new(Code::UnknownTable, format!("the table `{name}` is not in the catalog"))
                .help("run `unglue catalog`, or the transform that produces it"));
        };
        let mut locations = HashMap::new();
        if table.partition_keys.is_empty() {
            locations.insert(root.path_of(&table.location)?, Arc::new(Vec::new()));
        } else {
            for partition in catalog.partitions(name).await? {
                locations.insert(root.path_of(&partition.location)?, Arc::new(partition.values));
            }
        }
        let mut objects = Vec::new();
        for folder in folders(root.path_of(&table.location)?, locations.keys()) {
            let listed: Vec<ObjectMeta> =
                root.store().list(Some(&folder)).try_collect().await.map_err(|e| storage(&root.url(&folder), e))?;
            objects.extend(listed.into_iter().filter_map(|meta| belongs(meta, &locations)));
        }
        objects.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        objects.dedup_by(|a, b| a.meta.location == b.meta.location);
        Ok(Self { table: Arc::new(table), objects })
    }

    /// Total size of the objects in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.meta.size).sum()
    }
}

/// The folders to list: the table's own covers every partition inside it, others are listed by themselves.
fn folders<'a>(own: Path, locations: impl Iterator<Item = &'a Path>) -> Vec<Path> {
    let mut folders: Vec<Path> = locations.filter(|location| !location.prefix_matches(&own)).cloned().collect();
    folders.sort();
    folders.push(own);
    folders
}

/// The object with its partition, if it holds rows of one of the locations.
fn belongs(meta: ObjectMeta, locations: &HashMap<Path, PartitionValues>) -> Option<InputObject> {
    if meta.size == 0 {
        return None;
    }
    let key = meta.location.as_ref();
    let mut end = key.len();
    while let Some(slash) = key[..end].rfind('/') {
        if is_hidden(&key[slash + 1..end]) {
            return None;
        }
        if let Some(partition) = Path::parse(&key[..slash]).ok().and_then(|folder| locations.get(&folder)) {
            return Some(InputObject { partition: Arc::clone(partition), meta });
        }
        end = slash;
    }
    None
}

/// Whether a file or folder name is one that readers of Hive tables pass over.
pub(crate) fn is_hidden(segment: &str) -> bool {
    segment.starts_with(['_', '.'])
}
