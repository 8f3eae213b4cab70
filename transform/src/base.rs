//! What a run starts from: the target as it is, and where its new files go.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::inputs::{FIRST_FOLDER, Input, version_folder};
use crate::ledger::Ledger;
use crate::partition;
use crate::plan::Planned;
use crate::publish::{Publisher, Settled};
use crate::record::Basis;
use crate::store::{DataRoot, storage};
use crate::table::{Partition, Table, TableName};
use crate::transform::Transform;
use crate::write::PartitionValues;

/// The state of a target at one version, with nothing of that version left to do.
pub(crate) struct Base {
    /// The newest version; 0 where there is none.
    pub(crate) number: u64,
    /// The newest version that was not given up.
    pub(crate) version: Option<Settled>,
    /// As the catalog has it.
    pub(crate) table: Option<Table>,
    pub(crate) partitions: Vec<Partition>,
}

/// The newest version of a target, with nothing of it left to do.
pub(crate) struct Newest {
    number: u64,
    /// The newest that was not given up.
    version: Option<Settled>,
}

impl Newest {
    /// Looks for it. A version that is not through yet is carried through.
    ///
    /// # Errors
    /// Those of storage and catalog.
    pub(crate) async fn find(publisher: &Publisher<'_>) -> Result<Self> {
        let number = publisher.ledger.newest_version().await?;
        for number in (1..=number).rev() {
            if let Some(version) = publisher.settle(number).await? {
                return Ok(Self { number, version: Some(version) });
            }
        }
        Ok(Self { number, version: None })
    }

    /// The state of the target, if no newer version came while it was read.
    ///
    /// `known` is the table as it was read just before the newest version was looked for: where there is no version yet, none can
    /// have come since, and it counts. What runs that add have changed meanwhile is found when this one is published, as if they had
    /// done it afterwards.
    ///
    /// # Errors
    /// Those of storage and catalog.
    pub(crate) async fn base(self, publisher: &Publisher<'_>, known: Option<&Table>) -> Result<Option<Base>> {
        let known = known.filter(|_| self.number == 0).cloned();
        let (table, partitions) = registered(publisher.catalog, publisher.target, known).await?;
        let is_newest = publisher.ledger.newest_version().await? == self.number;
        Ok(is_newest.then_some(Base { number: self.number, version: self.version, table, partitions }))
    }
}

impl Base {
    /// Looks again at what the catalog has: runs that add to this version may have brought more since.
    ///
    /// # Errors
    /// Those of the catalog.
    pub(crate) async fn look_again(&mut self, catalog: &dyn Catalog, target: &TableName) -> Result<()> {
        (self.table, self.partitions) = registered(catalog, target, None).await?;
        Ok(())
    }

    /// The files of the table; `None` where there is no table.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) async fn files(&self, root: &DataRoot) -> Result<Option<Input>> {
        let Some(table) = &self.table else { return Ok(None) };
        Input::of(root, table.clone(), self.partitions.clone()).await.map(Some)
    }

    /// The last rebuild of the table.
    pub(crate) fn basis(&self) -> Option<&Basis> {
        self.version.as_ref()?.swap.basis.as_ref()
    }
}

async fn registered(
    catalog: &dyn Catalog,
    name: &TableName,
    known: Option<Table>,
) -> Result<(Option<Table>, Vec<Partition>)> {
    let table = if known.is_some() { known } else { catalog.table(name).await? };
    let is_partitioned = table.as_ref().is_some_and(|table| !table.partition_keys.is_empty());
    let partitions = if is_partitioned { catalog.partitions(name).await? } else { Vec::new() };
    Ok((table, partitions))
}

/// Where a run's files go.
#[derive(Debug)]
pub(crate) struct Target {
    /// The table's own folder, ending in `/`.
    pub(crate) location: String,
    /// Where files of partitions without a place go, ending in `/`.
    base: String,
    keys: Vec<String>,
    /// The places of partitions that are added to.
    partitions: BTreeMap<PartitionValues, String>,
}

impl Target {
    /// The places for a run that adds to what is there.
    pub(crate) fn adding(location: String, planned: &Planned, base: &Base) -> Self {
        let own = match (&base.table, &base.version) {
            (Some(table), _) if table.partition_keys.is_empty() => table.location.clone(),
            // A partition that was dropped by a version may have left files behind in the table's own folder.
            (_, Some(version)) => format!("{location}{}/", version_folder(&version.run_id)),
            // Not the table's own folder, where readers would see the files of later versions, too.
            _ if planned.partition_keys.is_empty() => format!("{location}{FIRST_FOLDER}/"),
            _ => location.clone(),
        };
        let places = base.partitions.iter().map(|p| (p.values.clone(), with_slash(&p.location)));
        Self { location, base: with_slash(&own), keys: keys(planned), partitions: places.collect() }
    }

    /// The places for a run that replaces: a folder of its own.
    pub(crate) fn replacing(location: String, planned: &Planned, run_id: &str) -> Self {
        let base = format!("{location}{}/", version_folder(run_id));
        Self { location, base, keys: keys(planned), partitions: BTreeMap::new() }
    }

    /// URL of the folder for a partition's files, ending in `/`.
    pub(crate) fn folder(&self, values: &[Option<String>]) -> String {
        match self.partitions.get(values) {
            Some(place) => place.clone(),
            None if values.is_empty() => self.base.clone(),
            None => format!("{}{}/", self.base, partition::encode_path(&self.keys, values)),
        }
    }
}

fn keys(planned: &Planned) -> Vec<String> {
    planned.partition_keys.iter().map(|key| key.name.clone()).collect()
}

/// The folder of a transform's table, ending in `/`: what `@location` says, or the table's place in the folder that the catalog has
/// for its database, or else in the data folder.
///
/// # Errors
/// [`Code::BadValue`] for a folder in another bucket; the catalog's.
pub(crate) async fn location(root: &DataRoot, catalog: &dyn Catalog, transform: &Transform) -> Result<String> {
    let (folder, at, help) = if let Some(written) = &transform.settings.location {
        (with_slash(&written.value), written.at.clone(), "name a folder of the data folder's bucket")
    } else if let Some(database) = catalog.database_location(&transform.target.database).await? {
        let folder = format!("{}{}/", with_slash(&database), transform.target.table);
        (folder, None, "change the location of the database in the catalog, or name a folder in `@location`")
    } else {
        return Ok(root.table_location(&transform.target));
    };
    match root.path_of(&folder) {
        Ok(_) => Ok(folder),
        Err(error) => Err(Error::new(Code::BadValue, error.message).maybe_at(at).help(help)),
    }
}

/// A table that is new to the catalog gets a folder of its own: what lies there already is someone else's.
///
/// # Errors
/// [`Code::ForeignTable`] with the first object.
pub(crate) async fn unused(
    root: &DataRoot,
    ledger: &Ledger,
    transform: &Transform,
    location: &str,
    run_id: &str,
) -> Result<()> {
    if !ledger.is_first(run_id).await? {
        return Ok(());
    }
    let folder = root.path_of(location)?;
    // Another process may be publishing the same run just now.
    let ours = format!("part-{run_id}-");
    let mut foreign = root.store().list(Some(&folder)).try_filter(|meta| {
        let is_ours = meta.location.filename().is_some_and(|name| name.starts_with(&ours));
        std::future::ready(!is_ours)
    });
    match foreign.try_next().await.map_err(|error| storage(location, error))? {
        None => Ok(()),
        Some(meta) => Err(Error::new(
            Code::ForeignTable,
            format!("the folder of the new table `{}` holds objects already", transform.target),
        )
        .help("rename the SQL file, or move the objects to the folder of another table")
        .in_object(meta.location, None)),
    }
}

pub(crate) fn with_slash(url: &str) -> String {
    if url.ends_with('/') { url.to_owned() } else { format!("{url}/") }
}
