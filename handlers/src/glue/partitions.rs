//! The partitions of a table: listed by pages and segments, changed in batches whose entries fail one by one.

mod batches;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use aws_sdk_glue::error::SdkError;
use aws_sdk_glue::operation::get_partitions::GetPartitionsError;
use aws_sdk_glue::types::{self, Segment};
use futures::{StreamExt, TryStreamExt, stream};
use transform::{Code, Error, Heirs, Partition, PartitionChange, RegisteredPartition, Result, Table, TableName};

use super::convert;
use super::definition::{self, inheriting, partition_input};
use super::failure::{NOT_FOUND, failed, says};
use super::memory::{Definition, FRESH};
use super::{GlueCatalog, changed};

pub(super) type Values = Vec<Option<String>>;

/// Partitions of one answer; Glue's maximum.
const PAGE: i32 = 1000;
/// Parts in which a table of more than one page is listed at the same time. Glue allows 10.
const SEGMENTS: i32 = 4;
/// How often partitions are put again that others add and remove at the same time.
const ATTEMPTS: usize = 8;

/// Why partitions could not be listed.
enum Unlisted {
    /// Glue did not take the request.
    Refused(SdkError<GetPartitionsError>),
    /// The request could not be built.
    Unbuilt(Error),
}

impl GlueCatalog {
    /// Partitions of a table, sorted by their values; empty for an unknown table.
    pub(super) async fn all_partitions(&self, name: &TableName) -> Result<Vec<Partition>> {
        let listed = self.list(name, None, false).await;
        listed.or_else(|unlisted| unlisted.absent_or_error(name)).and_then(|listed| sorted(name, listed))
    }

    /// Those for which an expression is true, or all if Glue cannot judge it: for example because one partition has no value
    /// of its key's type, as NULL is none, and the whole request fails.
    pub(super) async fn partitions_by(&self, name: &TableName, expression: &str) -> Result<Vec<Partition>> {
        let listed = match self.list(name, Some(expression), false).await {
            Ok(listed) => listed,
            Err(unlisted) => match unlisted.absent_or_error(name) {
                Err(error) if error.code == Code::CatalogRefused => {
                    tracing::debug!("the partitions of `{name}` are not filtered by `{expression}`: {error}");
                    return self.all_partitions(name).await;
                }
                listed => listed?,
            },
        };
        sorted(name, listed)
    }

    /// One request for most tables; those with more partitions are listed in segments at once. Hardly anyone asks for their columns.
    async fn list(
        &self,
        name: &TableName,
        expression: Option<&str>,
        with_columns: bool,
    ) -> Result<Vec<types::Partition>, Unlisted> {
        let request = self
            .client
            .get_partitions()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&name.database)
            .table_name(&name.table)
            .set_expression(expression.map(str::to_owned))
            .exclude_column_schema(!with_columns)
            .max_results(PAGE);
        let first = request.clone().send().await.map_err(Unlisted::Refused)?;
        if first.next_token.is_none() {
            return Ok(first.partitions.unwrap_or_default());
        }
        let segment = |number| {
            let segment = Segment::builder().segment_number(number).total_segments(SEGMENTS).build();
            let request = request.clone();
            async move {
                let segment = segment.map_err(|error| Unlisted::Unbuilt(definition::incomplete(error)))?;
                let mut pages = request.segment(segment).into_paginator().send();
                let mut listed = Vec::new();
                while let Some(page) = pages.try_next().await.map_err(Unlisted::Refused)? {
                    listed.extend(page.partitions.unwrap_or_default());
                }
                Ok(listed)
            }
        };
        let segments = stream::iter((0..SEGMENTS).map(segment)).buffer_unordered(SEGMENTS as usize);
        segments.try_concat().await
    }

    /// Those of some partitions that exist, sorted by their values.
    pub(super) async fn registered(
        &self,
        table: &Table,
        wanted: impl Iterator<Item = &Values> + Send,
    ) -> Result<Vec<RegisteredPartition>> {
        let present = match self.present(&table.name, wanted).await {
            Err(error) if error.code == Code::NotFound => return Ok(Vec::new()),
            present => present?,
        };
        self.memory.seen(&table.name, present.keys());
        let registered = |present| {
            let columns = convert::own_columns(table, present);
            Ok(RegisteredPartition { partition: convert::partition(&table.name, present)?, columns })
        };
        present.values().map(registered).collect()
    }

    /// Adds partitions. Returns those that were there, sorted by their values.
    ///
    /// They are made by the definition that the table was found with, if that was a moment ago. Another process may change the
    /// table's columns meanwhile, and has waited before it listed the partitions that are to get them ([`FRESH`]): what was
    /// added in that time is among them, and what took longer is looked at again. Who ends in between is asked again for the same
    /// objects, and finds partitions with other columns.
    pub(super) async fn add_all(&self, table: &Table, partitions: &[Partition]) -> Result<Vec<RegisteredPartition>> {
        let name = &table.name;
        let definition = match self.memory.take_fresh(table) {
            Some(definition) => definition,
            None => {
                let asked = Instant::now();
                Definition::new(self.present_table(name).await?, asked)
            }
        };
        has_a_value_for_each_key(&definition.table, name, partitions.iter().map(|partition| &partition.values))?;
        // Of several with the same values the last.
        let mut wanted: BTreeMap<&Values, &Partition> =
            partitions.iter().map(|partition| (&partition.values, partition)).collect();
        let mut present = BTreeMap::new();
        for _ in 0..ATTEMPTS {
            let inputs = wanted.values().map(|partition| partition_input(partition, &definition.table, None)).collect();
            let existing = self.create_partitions(name, inputs).await?;
            let found = self.registered(table, existing.iter()).await?;
            present.extend(found.into_iter().map(|found| (found.partition.values.clone(), found)));
            // One that vanished meanwhile is added after all.
            wanted.retain(|values, _| existing.contains(*values) && !present.contains_key(*values));
            if !wanted.is_empty() {
                continue;
            }
            let values = partitions.iter().map(|partition| &partition.values);
            let added: BTreeSet<Values> = values.filter(|values| !present.contains_key(*values)).cloned().collect();
            self.memory.seen(name, added.iter());
            if !definition.is_fresh() && !added.is_empty() {
                self.inherit_columns(name, Heirs::With(&added)).await?;
            }
            return Ok(present.into_values().collect());
        }
        Err(changed(name))
    }

    /// Adds, moves and removes partitions that are where the changes expect them.
    ///
    /// Glue has no conditional change of a partition: what is compared here may be changed by another process before the write
    /// arrives, or a request that was taken for lost may arrive late, and the later write wins. The ledger, not the catalog,
    /// knows which version of a partition is the newest: each run looks again after it has written, and `doctor` mends what a
    /// process left behind that ended in between. Adding is safe: Glue refuses a partition that exists.
    pub(super) async fn change_all(&self, name: &TableName, changes: &[PartitionChange]) -> Result<()> {
        // A table that is rebuilt with other keys loses partitions that have values for the former ones.
        let put = changes.iter().filter(|change| change.to.is_some());
        let table = self.present_table(name).await?;
        has_a_value_for_each_key(&table, name, put.map(|change| &change.values))?;
        let present = self.present(name, changes.iter().map(|change| &change.values)).await?;
        let (mut created, mut updated, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            let present = present.get(&change.values);
            let known = present.map(|present| convert::partition(name, present)).transpose()?;
            if known.as_ref().map(|known| &known.location) != change.from.as_ref() {
                continue;
            }
            match (&change.to, present) {
                (Some(to), Some(_)) if known.as_ref() == Some(to) => {}
                (Some(to), Some(present)) => updated.push(partition_input(to, &table, Some(present))),
                (Some(to), None) => created.push(partition_input(to, &table, None)),
                (None, Some(present)) => deleted.push(present.values.clone().unwrap_or_default()),
                (None, None) => {}
            }
        }
        // Entries that fail because the partition exists, or does not, are those where another process was faster.
        self.create_partitions(name, created).await?;
        self.update_partitions(name, updated).await?;
        self.delete_partitions(name, deleted).await
    }

    /// Gives partitions the columns of their table.
    pub(super) async fn inherit_columns(&self, name: &TableName, heirs: Heirs<'_>) -> Result<()> {
        // Others may just be adding partitions with the former columns.
        if let Heirs::All { .. } = heirs {
            tokio::time::sleep(FRESH).await;
        }
        let Some(table) = self.find(name).await? else { return Ok(()) };
        let (listed, last) = match heirs {
            Heirs::With(values) => (self.present(name, values.iter()).await?.into_values().collect(), values),
            Heirs::All { last } => {
                let listed = self.list(name, None, true).await;
                (listed.or_else(|unlisted| unlisted.absent_or_error(name))?, last)
            }
        };
        let columns =
            |descriptor: &Option<types::StorageDescriptor>| descriptor.as_ref().and_then(|d| d.columns.clone());
        let wanted = columns(&table.storage_descriptor);
        let stale = listed.iter().filter(|partition| columns(&partition.storage_descriptor) != wanted);
        let (last, first): (Vec<_>, Vec<_>) = stale.partition(|partition| last.contains(&convert::values(partition)));
        for stale in [first, last] {
            let inputs = stale.into_iter().map(|partition| inheriting(partition, &table)).collect();
            self.update_partitions(name, inputs).await?;
        }
        Ok(())
    }

    /// The table to which partitions are to be added.
    async fn present_table(&self, name: &TableName) -> Result<types::Table> {
        self.find(name).await?.ok_or_else(|| {
            Error::new(Code::NotFound, format!("the table `{name}` is not in the Glue Data Catalog"))
                .help("create it first, for example with `unglue catalog`")
        })
    }
}

fn has_a_value_for_each_key<'a>(
    table: &types::Table,
    name: &TableName,
    mut partitions: impl Iterator<Item = &'a Values>,
) -> Result<()> {
    let keys = table.partition_keys.as_ref().map_or(0, Vec::len);
    match partitions.find(|values| values.len() != keys) {
        None => Ok(()),
        Some(odd) => Err(Error::new(
            Code::BadPartitionValue,
            format!("a partition of `{name}` has {} values, but the table has {keys} partition keys", odd.len()),
        )
        .help("give one value for each key")),
    }
}

impl Unlisted {
    fn absent_or_error(self, name: &TableName) -> Result<Vec<types::Partition>> {
        match self {
            Self::Refused(error) if says(&error, NOT_FOUND) => Ok(Vec::new()),
            Self::Refused(error) => Err(failed(&format!("listing the partitions of `{name}`"), error)),
            Self::Unbuilt(error) => Err(error),
        }
    }
}

/// Each partition once: one that is added meanwhile may be on two pages.
fn sorted(name: &TableName, listed: Vec<types::Partition>) -> Result<Vec<Partition>> {
    let mut partitions = BTreeMap::new();
    for glue in &listed {
        let partition = convert::partition(name, glue)?;
        partitions.insert(partition.values.clone(), partition);
    }
    Ok(partitions.into_values().collect())
}
