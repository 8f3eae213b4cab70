//! Runs that replace partitions, or a whole table, by a new version.

use std::collections::BTreeMap;

use super::{Publisher, place_in_version};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::inputs::{Input, InputObject, file_name, run_of_file, version_folder};
use crate::record::{Commit, Done, Swap, Version};
use crate::table::{Partition, PartitionChange, Table};
use crate::write::PartitionValues;

/// How often the catalog is looked at again because other runs were changing it.
const ATTEMPTS: usize = 10;

impl Publisher<'_> {
    pub(super) async fn swap(&self, run_id: &str, commit: &Commit, swap: &Swap) -> Result<Done> {
        let Some(number) = self.take_version(run_id, commit, swap).await? else {
            return self.give_way(run_id, commit).await;
        };
        if !self.publish(run_id, commit).await? {
            return self.give_way(run_id, commit).await;
        }
        for _ in 0..ATTEMPTS {
            // A newer version begins when this one is through: then the catalog must not go back to it.
            if self.ledger.newest_version().await? != number {
                return self.succeed(run_id, commit).await;
            }
            let carried = self.carry_over(run_id, commit, swap).await?;
            if !self.replace(run_id, number, commit, swap, carried).await? {
                return self.succeed(run_id, commit).await;
            }
        }
        Err(Error::new(
            Code::Conflict,
            format!("the partitions of `{}` are being changed by others all the time", self.target),
        )
        .help("run again"))
    }

    /// The run's version number: the one after its base, or a later one if those between have nothing to do with it.
    /// `None` if the run was overtaken.
    async fn take_version(&self, run_id: &str, commit: &Commit, swap: &Swap) -> Result<Option<u64>> {
        let version = Version { run_id: run_id.to_owned(), basis: swap.basis.clone() };
        for number in commit.base + 1.. {
            let winner = self.ledger.put_version(number, &version).await?;
            if winner == run_id {
                return Ok(Some(number));
            }
            // A version begins when the one before it is through.
            let Some(other) = self.settle(number).await? else { continue };
            let touched = swap.touches(&commit.partitions);
            let apart = touched.is_disjoint(&other.swap.touches(&other.commit.partitions));
            if !(apart && swap.commutes && other.swap.commutes) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Files that runs added to the replaced places without this version knowing: they are copied to the new ones.
    ///
    /// Returns the partitions that have only such files.
    async fn carry_over(&self, run_id: &str, commit: &Commit, swap: &Swap) -> Result<Vec<Partition>> {
        let Some(table) = self.catalog.table(self.target).await? else { return Ok(Vec::new()) };
        // Where the replaced rows were, and where runs may have put others since: a partition may be new to this version.
        let new = new_places(commit);
        let touched = swap.touches(&commit.partitions);
        let known = self.homes(commit).await?;
        let added_to = known
            .iter()
            .filter(|(values, location)| (swap.whole || touched.contains(values)) && !is_in_version(location, run_id));
        let place = |(values, location): (&PartitionValues, &str)| Partition {
            values: values.clone(),
            location: location.to_owned(),
            parameters: BTreeMap::new(),
        };
        let mut places: Vec<Partition> = swap
            .places()
            .into_iter()
            .chain(added_to.map(|(values, location)| (values, location.as_str())))
            .map(place)
            .collect();
        places.sort_by(|a, b| a.location.cmp(&b.location));
        places.dedup_by(|a, b| a.location == b.location);
        let mut added = BTreeMap::new();
        let mut carried: BTreeMap<PartitionValues, Partition> = BTreeMap::new();
        for object in self.files_in(table, places).await? {
            let path = object.meta.location.as_ref();
            let Some(adder) = run_of_file(file_name(path)).filter(|adder| *adder != run_id) else { continue };
            if !added.contains_key(adder) {
                let commit = self.ledger.commit(adder).await?.filter(|commit| commit.swap.is_none());
                added.insert(adder.to_owned(), commit.map(|commit| commit.arrivals()));
            }
            let Some(Some(arrivals)) = added.get(adder) else { continue };
            if swap.accounts_for(file_name(path), arrivals) {
                continue;
            }
            let values = object.partition.as_ref();
            let home = match new.get(values) {
                Some(home) => (*home).to_owned(),
                None => {
                    let home = place_in_version(&commit.table, run_id, values);
                    let partition =
                        Partition { values: values.clone(), location: home.clone(), parameters: BTreeMap::new() };
                    carried.insert(values.clone(), partition);
                    home
                }
            };
            self.bring(path, &home).await?;
        }
        Ok(carried.into_values().collect())
    }

    /// The files in some places of the table.
    async fn files_in(&self, table: Table, places: Vec<Partition>) -> Result<Vec<InputObject>> {
        if !table.partition_keys.is_empty() {
            return Ok(Input::of(self.root, table, places).await?.objects);
        }
        let mut files = Vec::new();
        for place in places {
            let table = Table { location: place.location, ..table.clone() };
            files.extend(Input::of(self.root, table, Vec::new()).await?.objects);
        }
        Ok(files)
    }

    /// Moves the catalog to the version, each partition from where it was. `false` if it was there already; else it must be
    /// looked at again, since a partition that another run moves or adds at the same time is left alone.
    async fn replace(
        &self,
        run_id: &str,
        number: u64,
        commit: &Commit,
        swap: &Swap,
        carried: Vec<Partition>,
    ) -> Result<bool> {
        self.put_table_while(commit, None, Some(number)).await?;
        if commit.table.partition_keys.is_empty() {
            return Ok(false);
        }
        let known = self.homes(commit).await?;
        let mut wanted: BTreeMap<&PartitionValues, Option<&Partition>> = BTreeMap::new();
        if swap.whole {
            wanted.extend(known.keys().map(|values| (values, None)));
        }
        wanted.extend(swap.vanished.iter().map(|values| (values, None)));
        // What lies in this version's folder was added to it since, by runs that know it.
        wanted.retain(|values, _| known.get(*values).is_none_or(|location| !is_in_version(location, run_id)));
        let put = commit.partitions.iter().chain(&carried);
        wanted.extend(put.map(|partition| (&partition.values, Some(partition))));
        let changes: Vec<PartitionChange> = wanted
            .into_iter()
            .map(|(values, to)| PartitionChange {
                values: values.clone(),
                from: known.get(values).cloned(),
                to: to.cloned(),
            })
            .filter(|change| change.from.as_ref() != change.to.as_ref().map(|to| &to.location))
            .collect();
        // Looked up after reading the places that the changes expect: a newer version moves them.
        if changes.is_empty() || self.ledger.newest_version().await? != number {
            return Ok(false);
        }
        self.catalog.change_partitions(self.target, &changes).await?;
        Ok(true)
    }
}

/// Where a version's partitions (or the table) are.
fn new_places(commit: &Commit) -> BTreeMap<&PartitionValues, &str> {
    static WHOLE: PartitionValues = Vec::new();
    if commit.table.partition_keys.is_empty() {
        return BTreeMap::from([(&WHOLE, commit.table.location.as_str())]);
    }
    commit.partitions.iter().map(|partition| (&partition.values, partition.location.as_str())).collect()
}

/// Whether a location lies in the folder of a run's version.
fn is_in_version(location: &str, run_id: &str) -> bool {
    location.contains(&format!("/{}/", version_folder(run_id)))
}
