//! Runs that add files to a table.

use std::collections::BTreeSet;

use futures::future::try_join;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Publisher, Settled, place_in_version};
use crate::base::with_slash;
use crate::error::{Error, Result};
use crate::inputs::file_name;
use crate::record::{Commit, Done};
use crate::store::storage;
use crate::table::{Partition, PartitionChange, Table};
use crate::write::{PartitionValues, WrittenFile};

impl Publisher<'_> {
    pub(super) async fn add(&self, run_id: &str, commit: &Commit) -> Result<Done> {
        if !self.publish(run_id, commit).await? {
            return self.give_way(run_id, commit).await;
        }
        // Versions of the table may come while its files are being added: what they account for is not added to them.
        let mut files: Vec<&WrittenFile> = commit.files.iter().collect();
        let arrivals = commit.arrivals();
        let mut known = commit.base;
        loop {
            // As long as there is no newer version than the one that is known, and none when it is looked for once more below, the
            // table is the same whether it was read before, beside, or after the first look.
            let (newest, table) = try_join(self.ledger.newest_version(), self.catalog.table(self.target)).await?;
            let table = (newest == known).then_some(table);
            let mut version = None;
            for number in known + 1..=newest {
                let Some(Settled { run_id, swap, .. }) = self.settle(number).await? else { continue };
                files.retain(|file| !swap.accounts_for(file_name(&file.staged.path), &arrivals));
                version = Some(run_id);
            }
            known = newest;
            self.show(commit, table, &files, version.as_deref(), newest).await?;
            if self.ledger.newest_version().await? == newest {
                return self.succeed(run_id, commit).await;
            }
        }
    }

    /// Has the catalog show files. Those that lie elsewhere than their partition (or table) does by now are copied there.
    ///
    /// Partitions without a place get one in the folder of the `version` that has come, if not where the run meant them to be.
    /// `table` is as it was read just now, if it was.
    async fn show(
        &self,
        commit: &Commit,
        table: Option<Option<Table>>,
        files: &[&WrittenFile],
        version: Option<&str>,
        newest: u64,
    ) -> Result<()> {
        let table = self.put_table(commit, table).await?;
        self.add_partitions(commit, files, version).await?;
        let homes = match table.filter(|table| table.partition_keys.is_empty()) {
            Some(table) => [(Vec::new(), table.location)].into(),
            None => self.homes(commit).await?,
        };
        let mut strangers = Vec::new();
        for file in files {
            if let Some(home) = homes.get(&file.partition)
                && self.place_in(home, &file.staged.path)?.as_ref() != file.staged.path
            {
                strangers.push((file, home));
            }
        }
        // A version that came since may have moved the partition and hold the rows already: it is looked at first.
        if strangers.is_empty() || self.ledger.newest_version().await? != newest {
            return Ok(());
        }
        for (file, home) in strangers {
            self.bring(&file.staged.path, home).await?;
        }
        Ok(())
    }

    async fn add_partitions(&self, commit: &Commit, files: &[&WrittenFile], version: Option<&str>) -> Result<()> {
        let with_files: BTreeSet<&PartitionValues> = files.iter().map(|file| &file.partition).collect();
        let has_files = |partition: &&Partition| with_files.contains(&partition.values);
        let added = commit.partitions.iter().filter(has_files).map(|partition| {
            let location = match version {
                Some(run_id) => place_in_version(&commit.table, run_id, &partition.values),
                None => partition.location.clone(),
            };
            let to = Some(Partition { location, ..partition.clone() });
            PartitionChange { values: partition.values.clone(), from: None, to }
        });
        let added: Vec<PartitionChange> = added.collect();
        if added.is_empty() { Ok(()) } else { self.catalog.change_partitions(self.target, &added).await }
    }

    /// Where a file is in a folder under its own name.
    pub(super) fn place_in(&self, folder: &str, path: &str) -> Result<Path> {
        self.root.path_of(&format!("{}{}", with_slash(folder), file_name(path)))
    }

    /// Copies a file of ours into a folder under its own name, if it is not there.
    pub(super) async fn bring(&self, path: &str, folder: &str) -> Result<()> {
        let to = self.place_in(folder, path)?;
        if to.as_ref() == path {
            return Ok(());
        }
        let from = Path::parse(path).map_err(|error| Error::new(crate::Code::Internal, error.to_string()))?;
        let store = self.root.store();
        let copied = match store.copy_if_not_exists(&from, &to).await {
            // The same bytes: to write them once more changes nothing.
            Err(object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. }) => {
                store.copy(&from, &to).await
            }
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(()),
            outcome => outcome,
        };
        copied.map_err(|error| storage(&self.root.url(&from), error))
    }
}
