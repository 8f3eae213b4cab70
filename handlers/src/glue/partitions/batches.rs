//! Batches of partitions, several at a time. Each entry of a batch succeeds or fails for itself.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_glue::types::{
    self, BatchUpdatePartitionRequestEntry, ErrorDetail, PartitionError, PartitionInput, PartitionValueList,
};
use futures::{StreamExt, TryStreamExt, stream};
use transform::{Code, Error, Result, TableName};

use super::Values;
use crate::glue::GlueCatalog;
use crate::glue::convert::{describe, glue_values, values};
use crate::glue::definition::incomplete;
use crate::glue::failure::{EXISTS, NOT_FOUND, entry_failed, failed};

/// Partitions that one request may read, by Glue's limits; and so on.
const READ_AT_A_TIME: usize = 1000;
const CREATED_AT_A_TIME: usize = 100;
const UPDATED_AT_A_TIME: usize = 100;
const DELETED_AT_A_TIME: usize = 25;

/// Requests at a time: Glue's limits count all users of the account.
const PARALLEL: usize = 4;

/// How often keys are asked for again that Glue did not get to.
const ATTEMPTS: usize = 8;

impl GlueCatalog {
    /// Those of some partitions that exist, by their values.
    pub(in crate::glue) async fn present(
        &self,
        name: &TableName,
        wanted: impl Iterator<Item = &Values> + Send,
    ) -> Result<BTreeMap<Values, types::Partition>> {
        let wanted: BTreeSet<Vec<String>> = wanted.map(|values| glue_values(values)).collect();
        let keys = wanted.into_iter().map(key).collect::<Result<Vec<_>>>()?;
        let found: Vec<types::Partition> = stream::iter(batches(keys, READ_AT_A_TIME))
            .map(|keys| self.read_batch(name, keys))
            .buffer_unordered(PARALLEL)
            .try_concat()
            .await?;
        Ok(found.into_iter().map(|partition| (values(&partition), partition)).collect())
    }

    async fn read_batch(&self, name: &TableName, mut keys: Vec<PartitionValueList>) -> Result<Vec<types::Partition>> {
        let what = format!("reading partitions of `{name}`");
        let mut found = Vec::new();
        for _ in 0..ATTEMPTS {
            let request = self.client.batch_get_partition().set_catalog_id(self.catalog_id.clone());
            let request = request.database_name(&name.database).table_name(&name.table);
            let output =
                request.set_partitions_to_get(Some(keys)).send().await.map_err(|error| failed(&what, error))?;
            found.extend(output.partitions.unwrap_or_default());
            keys = output.unprocessed_keys.unwrap_or_default();
            if keys.is_empty() {
                return Ok(found);
            }
        }
        Err(Error::new(
            Code::CatalogUnavailable,
            format!("{what}: the Glue Data Catalog leaves some out again and again"),
        )
        .help("run again"))
    }

    /// Adds partitions. Returns those that were there already, which are left as they are.
    pub(super) async fn create_partitions(
        &self,
        name: &TableName,
        inputs: Vec<PartitionInput>,
    ) -> Result<BTreeSet<Values>> {
        let create = |batch| async move {
            let request = self.client.batch_create_partition().set_catalog_id(self.catalog_id.clone());
            let request = request.database_name(&name.database).table_name(&name.table);
            let sent = request.set_partition_input_list(Some(batch)).send().await;
            let output = sent.map_err(|error| failed(&format!("adding partitions to `{name}`"), error))?;
            passed_over("adding", name, output.errors.into_iter().flatten().map(entry), EXISTS)
        };
        gather(stream::iter(batches(inputs, CREATED_AT_A_TIME)).map(create).buffer_unordered(PARALLEL)).await
    }

    /// Replaces partitions. Returns those that are not there any more.
    pub(super) async fn update_partitions(
        &self,
        name: &TableName,
        inputs: Vec<PartitionInput>,
    ) -> Result<BTreeSet<Values>> {
        let entry_of = |input: PartitionInput| {
            let values = input.values.clone();
            let entry = BatchUpdatePartitionRequestEntry::builder().set_partition_value_list(values);
            entry.partition_input(input).build().map_err(incomplete)
        };
        let entries = inputs.into_iter().map(entry_of).collect::<Result<Vec<_>>>()?;
        let update = |batch| async move {
            let request = self.client.batch_update_partition().set_catalog_id(self.catalog_id.clone());
            let request = request.database_name(&name.database).table_name(&name.table);
            let sent = request.set_entries(Some(batch)).send().await;
            let output = sent.map_err(|error| failed(&format!("moving partitions of `{name}`"), error))?;
            let errors = output.errors.into_iter().flatten();
            let errors = errors.map(|error| (error.partition_value_list.unwrap_or_default(), error.error_detail));
            passed_over("moving", name, errors, NOT_FOUND)
        };
        gather(stream::iter(batches(entries, UPDATED_AT_A_TIME)).map(update).buffer_unordered(PARALLEL)).await
    }

    /// Removes partitions, by their values as Glue has them. One that is not there any more is no error.
    pub(super) async fn delete_partitions(&self, name: &TableName, keys: Vec<Vec<String>>) -> Result<()> {
        let keys = keys.into_iter().map(key).collect::<Result<Vec<_>>>()?;
        let delete = |batch| async move {
            let request = self.client.batch_delete_partition().set_catalog_id(self.catalog_id.clone());
            let request = request.database_name(&name.database).table_name(&name.table);
            let sent = request.set_partitions_to_delete(Some(batch)).send().await;
            let output = sent.map_err(|error| failed(&format!("removing partitions of `{name}`"), error))?;
            passed_over("removing", name, output.errors.into_iter().flatten().map(entry), NOT_FOUND)
        };
        gather(stream::iter(batches(keys, DELETED_AT_A_TIME)).map(delete).buffer_unordered(PARALLEL)).await?;
        Ok(())
    }
}

fn key(values: Vec<String>) -> Result<PartitionValueList> {
    PartitionValueList::builder().set_values(Some(values)).build().map_err(incomplete)
}

/// Cuts entries into batches; none for no entries, since Glue refuses an empty batch.
fn batches<T>(entries: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let mut entries = entries.into_iter().peekable();
    while entries.peek().is_some() {
        batches.push(entries.by_ref().take(size).collect());
    }
    batches
}

fn entry(error: PartitionError) -> (Vec<String>, Option<ErrorDetail>) {
    (error.partition_values.unwrap_or_default(), error.error_detail)
}

/// The partitions of those entries that failed by one exception.
///
/// # Errors
/// That of the first entry that failed by another.
fn passed_over(
    doing: &str,
    name: &TableName,
    failed: impl Iterator<Item = (Vec<String>, Option<ErrorDetail>)>,
    exception: &str,
) -> Result<BTreeSet<Values>> {
    let mut passed = BTreeSet::new();
    for (glue, detail) in failed {
        let partition = values(&types::Partition::builder().set_values(Some(glue)).build());
        let (code, message) = detail.map(|detail| (detail.error_code, detail.error_message)).unwrap_or_default();
        if code.as_deref() != Some(exception) {
            let what = format!("{doing} the partition {} of `{name}`", describe(&partition));
            return Err(entry_failed(&what, code.as_deref(), message.as_deref()));
        }
        passed.insert(partition);
    }
    Ok(passed)
}

async fn gather(batches: impl stream::Stream<Item = Result<BTreeSet<Values>>>) -> Result<BTreeSet<Values>> {
    batches
        .try_fold(BTreeSet::new(), |mut all, batch| async move {
            all.extend(batch);
            Ok(all)
        })
        .await
}
