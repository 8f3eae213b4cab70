//! What the table should be, by the ledger: pure.

use std::collections::{BTreeMap, BTreeSet};

use super::records::Records;
use crate::inputs::file_name;
use crate::record::{Commit, Swap};
use crate::write::PartitionValues;

/// A partition as it should be; the whole table where it has no partition keys.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Expected {
    /// Whether the catalog should have it.
    pub(super) is_there: bool,
    /// Where: the place that its newest version gave it. `None` for one that was only added to, which is wherever its files
    /// are.
    pub(super) location: Option<String>,
    /// Names of the files that must be in it.
    pub(super) required: BTreeSet<String>,
    /// Names of the files that may be in it.
    pub(super) allowed: BTreeSet<String>,
}

/// A version that is through.
struct Through<'a> {
    number: u64,
    commit: &'a Commit,
    swap: &'a Swap,
    touches: BTreeSet<&'a PartitionValues>,
}

impl Through<'_> {
    fn covers(&self, partition: &PartitionValues) -> bool {
        self.swap.whole || self.touches.contains(partition)
    }
}

/// Every partition that the ledger knows of.
pub(super) fn expected(records: &Records) -> BTreeMap<PartitionValues, Expected> {
    let versions: Vec<Through<'_>> = records
        .versions
        .iter()
        .filter_map(|(number, run_id)| {
            let commit = records.runs.get(run_id)?.succeeded()?;
            let swap = commit.swap.as_ref()?;
            Some(Through { number: *number, commit, swap, touches: swap.touches(&commit.partitions) })
        })
        .collect();
    let adders: Vec<&Commit> =
        records.runs.values().filter_map(|run| run.succeeded()).filter(|commit| commit.swap.is_none()).collect();

    let mut expected: BTreeMap<PartitionValues, Expected> = BTreeMap::new();
    let of_versions = versions.iter().flat_map(|version| version.touches.iter().copied());
    let of_files = versions.iter().map(|version| version.commit).chain(adders.iter().copied());
    let of_files = of_files.flat_map(|commit| commit.files.iter().map(|file| &file.partition));
    for partition in of_versions.chain(of_files) {
        expected.entry(partition.clone()).or_default();
    }
    for (partition, expected) in &mut expected {
        if let Some(newest) = versions.iter().rfind(|version| version.covers(partition)) {
            expected.by_version(partition, newest.commit);
        } else if partition.is_empty() {
            expected.location = adders.last().map(|commit| commit.table.location.clone());
        }
    }
    for commit in adders {
        let inputs = commit.arrivals();
        let later = || versions.iter().filter(|version| version.number > commit.base);
        for file in &commit.files {
            let name = file_name(&file.staged.path);
            let Some(expected) = expected.get_mut(&file.partition) else { continue };
            let mut replaced = later().filter(|version| version.covers(&file.partition));
            if !replaced.any(|version| version.swap.accounts_for(name, &inputs)) {
                expected.allowed.insert(name.to_owned());
            }
            if !later().any(|version| version.swap.accounts_for(name, &inputs)) {
                expected.required.insert(name.to_owned());
                expected.is_there = true;
            }
        }
    }
    // A table without partition keys is there from its first run on, whether it has rows or not.
    if let Some(table) = expected.get_mut(&Vec::new()) {
        table.is_there = true;
    }
    expected
}

impl Expected {
    fn by_version(&mut self, partition: &PartitionValues, commit: &Commit) {
        let files = commit.files.iter().filter(|file| file.partition == *partition);
        let files: BTreeSet<String> = files.map(|file| file_name(&file.staged.path).to_owned()).collect();
        let place = commit.partitions.iter().find(|written| written.values == *partition);
        self.location = match place {
            Some(place) => Some(place.location.clone()),
            None => partition.is_empty().then(|| commit.table.location.clone()),
        };
        self.is_there = place.is_some();
        self.allowed = files.clone();
        self.required = files;
    }
}
