//! What a run reads: the objects of its input tables, listed once and then fixed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::logical_expr::Expr;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::catalog::{Catalog, PartitionFilter};
use crate::code::Code;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::partition;
use crate::projection::Projection;
use crate::pruning;
use crate::receipt::ReceiptInput;
use crate::registration::OWNER;
use crate::store::{DataRoot, storage};
use crate::table::{Column, Partition, Table, TableName};

/// How many partitions are listed by themselves; more are found by listing all of the table.
const FOLDERS_AT_MOST: usize = 64;
/// Requests at a time.
const HEADS_AT_ONCE: usize = 16;

/// How many bytes in memory a byte of a table's objects becomes, roughly.
pub(crate) fn expansion(format: &Format, objects: &[InputObject]) -> u64 {
    let compressed = objects.iter().any(|object| Codec::of(object.meta.location.as_ref()).is_some());
    match (format, compressed) {
        (Format::Parquet, _) => 4,
        (Format::Avro | Format::Orc, _) => 3,
        (_, true) => 6,
        (_, false) => 1,
    }
}

/// Values of a partition's keys, shared by its objects.
pub(crate) type PartitionValues = Arc<Vec<Option<String>>>;

/// One object of a table, with the partition it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct InputObject {
    /// What it arrived as: by itself, or with the other files of a partition that was replaced as a whole.
    pub(crate) arrival: Arc<ReceiptInput>,
    /// Path, size, etag and version as listed: a read must see exactly this version.
    pub(crate) meta: ObjectMeta,
    /// Values of the table's partition keys, shared by the objects of a partition.
    pub(crate) partition: PartitionValues,
}

impl InputObject {
    /// An object that arrived by itself.
    pub(crate) fn alone(root: &DataRoot, meta: ObjectMeta, partition: PartitionValues) -> Self {
        let arrival = Arc::new(ReceiptInput {
            object: short(root, &root.url(&meta.location)),
            etag: meta.e_tag.clone(),
            version: meta.version.clone(),
            bytes: meta.size,
        });
        Self { arrival, meta, partition }
    }
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
    /// Lists a table: the objects in its partitions' locations, or in its own where it has no partition keys. Partitions whose
    /// values contradict the conditions are left out.
    ///
    /// Hidden names (a segment that begins with `_` or `.`) and empty objects hold no rows and are passed over.
    ///
    /// # Errors
    /// Those of storage and catalog.
    pub(crate) async fn list(
        root: &DataRoot,
        catalog: &dyn Catalog,
        table: Table,
        conditions: &[Expr],
        now: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        if let Some(projection) = Projection::of(&table, now)? {
            let folder = root.path_of(projection.root())?;
            let listed: Vec<ObjectMeta> =
                root.store().list(Some(&folder)).try_collect().await.map_err(|e| storage(&root.url(&folder), e))?;
            return Ok(Self::projected(root, table, &projection, listed));
        }
        let filter = pruning::of_conditions(&table, conditions);
        let partitions = partitions(catalog, &table, &filter).await?;
        let places = places(root, &table, partitions)?;
        let own = root.path_of(&table.location)?;
        let folders = if !filter.conditions.is_empty() && places.len() <= FOLDERS_AT_MOST {
            places.keys().cloned().collect()
        } else {
            folders(own, places.keys())
        };
        Self::listed(root, table, &places, folders).await
    }

    /// Looks some objects of a table up, by their names as [`short`] gives them; those that are not there, or not of the table, are
    /// left out. Whatever else the table has costs nothing.
    ///
    /// # Errors
    /// As [`Input::list`].
    pub(crate) async fn named(
        root: &DataRoot,
        catalog: &dyn Catalog,
        table: Table,
        objects: &BTreeSet<String>,
        now: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        if table.parameters.contains_key(OWNER) {
            // Its files arrive in company.
            return Self::list(root, catalog, table, &[], now).await;
        }
        let paths = objects.iter().filter_map(|object| root.path_of(&long(root, object)).ok());
        let found: Vec<ObjectMeta> = stream::iter(paths.map(|path| async move { head(root, &path).await }))
            .buffered(HEADS_AT_ONCE)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await?;
        if let Some(projection) = Projection::of(&table, now)? {
            return Ok(Self::projected(root, table, &projection, found));
        }
        let values = found.iter().filter_map(|meta| values_in(&table, meta.location.as_ref())).collect();
        let is_partitioned = !table.partition_keys.is_empty();
        let some = if is_partitioned { catalog.partitions_with(&table, &values).await? } else { Vec::new() };
        let some = some.into_iter().map(|registered| registered.partition).collect();
        let mut known = places(root, &table, some)?;
        let has_place = |meta: &ObjectMeta| belongs(root, meta.clone(), &known).is_some();
        if is_partitioned && !found.iter().all(has_place) {
            // A partition may lie where its values are not in the path.
            known = places(root, &table, catalog.partitions(&table.name).await?)?;
        }
        let objects = found.into_iter().filter_map(|meta| belongs(root, meta, &known)).collect();
        Ok(Self::sorted(root, table, objects))
    }

    /// Lists the objects of a table as the catalog describes it.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) async fn of(root: &DataRoot, table: Table, partitions: Vec<Partition>) -> Result<Self> {
        let places = places(root, &table, partitions)?;
        let folders = folders(root.path_of(&table.location)?, places.keys());
        Self::listed(root, table, &places, folders).await
    }

    async fn listed(root: &DataRoot, table: Table, places: &Places, folders: Vec<Path>) -> Result<Self> {
        let mut objects = Vec::new();
        for folder in folders {
            let listed: Vec<ObjectMeta> =
                root.store().list(Some(&folder)).try_collect().await.map_err(|e| storage(&root.url(&folder), e))?;
            objects.extend(listed.into_iter().filter_map(|meta| belongs(root, meta, places)));
        }
        Ok(Self::sorted(root, table, objects))
    }

    /// Those of some objects that lie in projected partitions.
    fn projected(root: &DataRoot, table: Table, projection: &Projection, listed: Vec<ObjectMeta>) -> Self {
        let mut known: HashMap<Vec<Option<String>>, PartitionValues> = HashMap::new();
        let place = |meta: ObjectMeta| {
            let url = root.url(&meta.location);
            let (values, below) = projection.place(&url)?;
            if meta.size == 0 || below.split('/').any(is_hidden) {
                return None;
            }
            let values = known.entry(values).or_insert_with_key(|values| Arc::new(values.clone()));
            Some(InputObject::alone(root, meta, Arc::clone(values)))
        };
        let objects = listed.into_iter().filter_map(place).collect();
        Self::sorted(root, table, objects)
    }

    fn sorted(root: &DataRoot, table: Table, mut objects: Vec<InputObject>) -> Self {
        objects.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        objects.dedup_by(|a, b| a.meta.location == b.meta.location);
        if table.parameters.contains_key(OWNER) {
            arrive_together(root, &mut objects);
        }
        Self { table: Arc::new(table), objects }
    }

    /// What arrived, each once.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = &Arc<ReceiptInput>> {
        let mut last: Option<&Arc<ReceiptInput>> = None;
        self.objects.iter().map(|object| &object.arrival).filter(move |arrival| {
            let repeated = last.is_some_and(|last| Arc::ptr_eq(last, arrival));
            last = Some(arrival);
            !repeated
        })
    }

    /// Total size of the objects in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.meta.size).sum()
    }

    /// How many bytes in memory a byte of the objects becomes, roughly.
    pub(crate) fn expansion(&self) -> u64 {
        expansion(&self.table.format, &self.objects)
    }
}

/// Where the partitions of a table lie, with their values; of a table without partition keys, where it lies.
type Places = HashMap<Path, PartitionValues>;

fn places(root: &DataRoot, table: &Table, partitions: Vec<Partition>) -> Result<Places> {
    if table.partition_keys.is_empty() {
        return Ok(Places::from([(root.path_of(&table.location)?, Arc::default())]));
    }
    let place = |partition: Partition| Ok((root.path_of(&partition.location)?, Arc::new(partition.values)));
    partitions.into_iter().map(place).collect()
}

/// The values of a table's partition keys that the `key=value` folders of a path name; `None` if one is missing.
pub(crate) fn values_in(table: &Table, path: &str) -> Option<Vec<Option<String>>> {
    let folders = partition::decode_path(path);
    let value_of = |key: &Column| folders.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.name));
    table.partition_keys.iter().map(|key| value_of(key).map(|(_, value)| value.clone())).collect()
}

/// A table as the catalog describes it.
///
/// # Errors
/// [`Code::UnknownTable`] if the catalog does not have it; the catalog's.
pub(crate) async fn described(catalog: &dyn Catalog, name: &TableName) -> Result<Table> {
    catalog.table(name).await?.ok_or_else(|| {
        Error::new(Code::UnknownTable, format!("the table `{name}` is not in the catalog"))
            .help("run `unglue catalog`, or the transform that produces it")
    })
}

async fn partitions(catalog: &dyn Catalog, table: &Table, filter: &PartitionFilter) -> Result<Vec<Partition>> {
    match (table.partition_keys.is_empty(), filter.conditions.is_empty()) {
        (true, _) => Ok(Vec::new()),
        (false, true) => catalog.partitions(&table.name).await,
        (false, false) => catalog.matching_partitions(&table.name, filter).await,
    }
}

/// One object as a listing would have it; `None` if it is not there.
async fn head(root: &DataRoot, path: &Path) -> Result<Option<ObjectMeta>> {
    match root.store().head(path).await {
        // Listings know no versions: one object must not be two arrivals.
        Ok(meta) => Ok(Some(ObjectMeta { version: None, ..meta })),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(storage(&root.url(path), error)),
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
fn belongs(root: &DataRoot, meta: ObjectMeta, locations: &Places) -> Option<InputObject> {
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
            return Some(InputObject::alone(root, meta, Arc::clone(partition)));
        }
        end = slash;
    }
    None
}

/// A URL as the ledger and receipts name it: relative inside the data folder, so that the folder can be moved.
pub(crate) fn short(root: &DataRoot, url: &str) -> String {
    root.relative(url).unwrap_or(url).to_owned()
}

/// The URL of a name that [`short`] gave.
fn long(root: &DataRoot, name: &str) -> String {
    if name.contains("://") { name.to_owned() } else { root.absolute(name) }
}

/// Names the files of a target: wherever a file lies while the table's versions come and go, it is one arrival of its
/// partition. The files that a run wrote in place of a partition's former content are one arrival together, a new version of
/// the folder.
fn arrive_together(root: &DataRoot, objects: &mut [InputObject]) {
    let named = |object: &InputObject| {
        let (folder, file) = object.meta.location.as_ref().rsplit_once('/')?;
        let run_id = run_of_file(file)?.to_owned();
        let is_whole = folder.split('/').any(|segment| segment == version_folder(&run_id));
        let kept: Vec<&str> = folder.split('/').filter(|segment| !is_version_folder(segment)).collect();
        let folder = short(root, &format!("{}{}/", root.bucket().base, kept.join("/")));
        Some((if is_whole { folder } else { format!("{folder}{file}") }, run_id))
    };
    for group in objects.chunk_by_mut(|a, b| named(a) == named(b)) {
        // Not a file of unglue's: it keeps its name and etag.
        let Some((object, run_id)) = named(&group[0]) else { continue };
        let bytes = group.iter().map(|object| object.meta.size).sum();
        let arrival = Arc::new(ReceiptInput { object, etag: None, version: Some(run_id), bytes });
        for object in group {
            object.arrival = Arc::clone(&arrival);
        }
    }
}

/// The last segment of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The run that wrote a file of a target: `part-<run_id>-<attempt>-<n>.parquet`.
pub(crate) fn run_of_file(name: &str) -> Option<&str> {
    let (run_and_attempt, _) = name.strip_prefix("part-")?.strip_suffix(".parquet")?.rsplit_once('-')?;
    Some(run_and_attempt.rsplit_once('-')?.0)
}

/// The folder of the files that a run wrote in place of others, inside the table's.
pub(crate) fn version_folder(run_id: &str) -> String {
    format!("v-{run_id}")
}

/// The folder of the files of a table without partitions before any of them were replaced.
pub(crate) const FIRST_FOLDER: &str = "v-0";

fn is_version_folder(segment: &str) -> bool {
    segment == FIRST_FOLDER || segment.strip_prefix("v-").is_some_and(|run_id| run_id.contains('-'))
}

/// Whether a file or folder name is one that readers of Hive tables pass over.
pub fn is_hidden(segment: &str) -> bool {
    // What is not renamed yet is not there yet.
    segment.starts_with(['_', '.']) || segment.ends_with(".tmp")
}
