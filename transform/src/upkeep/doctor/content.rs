//! The table as readers see it against what the ledger says.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;

use super::expected::{Expected, expected};
use super::finding::FindingKind;
use super::records::Records;
use super::{Doctor, Problems, Repair};
use crate::base::with_slash;
use crate::error::Result;
use crate::inputs::{Input, file_name};
use crate::partition;
use crate::store::storage;
use crate::table::{Partition, PartitionChange, Table};
use crate::upkeep::shown::Shown;
use crate::write::PartitionValues;

const POINT_BACK: &str = "`unglue doctor --repair` points the catalog back";
const RESTORE: &str = "restore the files from a backup, or rebuild the table with `unglue run --full-refresh`";

/// What there is of a table.
struct Content<'a> {
    records: &'a Records,
    table: &'a Table,
    /// Where the catalog has each partition.
    homes: BTreeMap<PartitionValues, String>,
    /// The names of the files that readers see in each.
    seen: BTreeMap<PartitionValues, BTreeSet<String>>,
    /// The names of all files in the table's folder, by folder.
    there: BTreeMap<String, BTreeSet<String>>,
}

impl Doctor<'_> {
    pub(super) async fn content(
        &self,
        records: &Records,
        shown: Option<Shown>,
        problems: &mut Problems<'_>,
    ) -> Result<()> {
        let expected = expected(records);
        let Some(shown) = shown else {
            table_missing(records, &expected, problems);
            return Ok(());
        };
        let root = self.publisher.root;
        let partitions = if shown.is_partitioned() { shown.partitions.clone() } else { Vec::new() };
        let homes = match shown.is_partitioned() {
            true => partitions.iter().map(|found| (found.values.clone(), found.location.clone())).collect(),
            false => BTreeMap::from([(Vec::new(), shown.table.location.clone())]),
        };
        let mut seen: BTreeMap<PartitionValues, BTreeSet<String>> = BTreeMap::new();
        for object in Input::of(root, shown.table.clone(), partitions).await?.objects {
            let names = seen.entry(object.partition.as_ref().clone()).or_default();
            names.insert(file_name(object.meta.location.as_ref()).to_owned());
        }
        let content = Content { records, table: &shown.table, homes, seen, there: self.there().await? };
        let known: BTreeSet<&PartitionValues> = expected.keys().chain(content.homes.keys()).collect();
        for values in known {
            content.compare(values, expected.get(values), problems);
        }
        Ok(())
    }

    /// The names of the files in the table's own folder, by the URL of the folder that each is in.
    async fn there(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let root = self.publisher.root;
        let own = root.path_of(&self.location)?;
        let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut listed = root.store().list(Some(&own));
        while let Some(meta) = listed.try_next().await.map_err(|error| storage(&self.location, error))? {
            let url = root.url(&meta.location);
            let file = file_name(&url);
            there.entry(url[..url.len() - file.len()].to_owned()).or_default().insert(file.to_owned());
        }
        Ok(there)
    }
}

fn table_missing(records: &Records, expected: &BTreeMap<PartitionValues, Expected>, problems: &mut Problems<'_>) {
    let ended = records.runs.values().filter_map(|run| Some((run.files.done, run.succeeded()?)));
    let Some((_, newest)) = ended.max_by_key(|(done, _)| *done) else { return };
    let location = expected.get(&Vec::new()).and_then(|table| table.location.clone());
    let table =
        Table { location: location.unwrap_or(newest.table.location.clone()), version: None, ..newest.table.clone() };
    let place = table.location.clone();
    let message = "the catalog does not have the table, though runs have written it".to_owned();
    let help = "`unglue doctor --repair` registers it as its newest run left it";
    let problem = problems.add(FindingKind::TableMissing, place, message, help);
    problem.repair = Some(Repair::Table(Box::new(table)));
}

impl Content<'_> {
    fn compare(&self, values: &PartitionValues, expected: Option<&Expected>, problems: &mut Problems<'_>) {
        let home = self.homes.get(values);
        match (expected, home) {
            (Some(expected), Some(home)) if expected.is_there => self.both(values, expected, home, problems),
            (Some(expected), None) if expected.is_there => self.missing(values, expected, problems),
            // What some version read, but not this partition's: it may be here or not.
            (Some(expected), Some(_))
                if self.seen.get(values).is_some_and(|seen| !seen.is_disjoint(&expected.allowed)) => {}
            (Some(_), Some(home)) => {
                let message = format!("the catalog has {}, which a newer version took out", self.named(values));
                let help = "`unglue doctor --repair` removes it from the catalog";
                let problem = problems.add(FindingKind::PartitionExtra, home.clone(), message, help);
                // A place outside of the table's folder was chosen by someone.
                if home.starts_with(&with_slash(&self.table.location)) {
                    let values = values.clone();
                    problem.repair =
                        Some(Repair::Partition(PartitionChange { values, from: Some(home.clone()), to: None }));
                }
            }
            (None, Some(home)) if !self.table.partition_keys.is_empty() => {
                let message = format!("the catalog has {}, which no run wrote", self.named(values));
                let help = "find out who added it; if it is not wanted, remove it from the catalog";
                problems.add(FindingKind::PartitionForeign, home.clone(), message, help);
            }
            (_, None) | (None, Some(_)) => {}
        }
    }

    fn missing(&self, values: &PartitionValues, expected: &Expected, problems: &mut Problems<'_>) {
        // A table that changed between having partition keys and having none.
        if values.len() != self.table.partition_keys.len() {
            return;
        }
        let Some(place) = self.place(expected) else { return self.lost(values, expected, problems) };
        let message = format!("the catalog does not have {}", self.named(values));
        let problem = problems.add(FindingKind::PartitionMissing, place.clone(), message, POINT_BACK);
        problem.repair = Some(Repair::Partition(change(values, None, place)));
    }

    fn both(&self, values: &PartitionValues, expected: &Expected, home: &str, problems: &mut Problems<'_>) {
        let nothing = BTreeSet::new();
        let seen = self.seen.get(values).unwrap_or(&nothing);
        let is_right = match &expected.location {
            Some(location) => with_slash(location) == with_slash(home),
            None => expected.required.is_subset(seen),
        };
        if !is_right && let Some(place) = self.place(expected).filter(|place| *place != with_slash(home)) {
            let what = self.named(values);
            let message = format!("the catalog has {what} at {home}, its newest rows are at {place}");
            let kind = if values.is_empty() { FindingKind::TableMoved } else { FindingKind::PartitionMoved };
            let problem = problems.add(kind, home.to_owned(), message, POINT_BACK);
            problem.repair = Some(if values.is_empty() {
                Repair::Table(Box::new(Table { location: place, ..self.table.clone() }))
            } else {
                Repair::Partition(change(values, Some(home.to_owned()), place))
            });
            return;
        }
        if !expected.required.is_subset(seen) {
            self.lost(values, expected, problems);
        } else if seen.is_empty() && !values.is_empty() {
            let message = format!("{} has no files", self.named(values));
            problems.add(FindingKind::PartitionEmpty, home.to_owned(), message, RESTORE);
        }
        self.unexpected(expected, home, seen, problems);
    }

    /// Files that are nowhere together where they should be.
    fn lost(&self, values: &PartitionValues, expected: &Expected, problems: &mut Problems<'_>) {
        let nothing = BTreeSet::new();
        let seen = self.seen.get(values).unwrap_or(&nothing);
        let missing: Vec<&String> = expected.required.difference(seen).collect();
        let Some(first) = missing.first() else { return };
        let place = expected.location.as_ref().or_else(|| self.homes.get(values)).unwrap_or(&self.table.location);
        let message = format!(
            "{} lacks {} of {} that runs wrote: {first}{}",
            self.named(values),
            missing.len(),
            count(expected.required.len()),
            if missing.len() > 1 { ", …" } else { "" }
        );
        problems.add(FindingKind::FileMissing, with_slash(place), message, RESTORE);
    }

    /// Files that readers see, and should not.
    fn unexpected(&self, expected: &Expected, home: &str, seen: &BTreeSet<String>, problems: &mut Problems<'_>) {
        let (mut stale, mut foreign) = (Vec::new(), Vec::new());
        for file in seen.difference(&expected.allowed) {
            match crate::inputs::run_of_file(file).and_then(|run_id| self.records.runs.get(run_id)) {
                Some(run) if run.commit.is_some() => stale.push(file),
                _ => foreign.push(file),
            }
        }
        let mut add = |kind, files: &[&String], what: &str, help: &str| {
            let Some(first) = files.first() else { return };
            let message = format!("readers see {} {what}", count(files.len()));
            problems.add(kind, format!("{}{first}", with_slash(home)), message, help);
        };
        add(
            FindingKind::FileStale,
            &stale,
            "whose rows are in a newer version, or of a run that was superseded",
            "rows may be doubled: rebuild the table with `unglue run --full-refresh`",
        );
        add(
            FindingKind::FileForeign,
            &foreign,
            "that no run wrote",
            "their rows count as the table's until they are replaced: move them out of the folder, to that of a source table",
        );
    }

    /// Where all files of a partition are: at the place that its newest version gave it, or in some folder of the table.
    fn place(&self, expected: &Expected) -> Option<String> {
        let holds = |folder: &str| {
            expected.required.is_empty()
                || self.there.get(folder).is_some_and(|names| expected.required.is_subset(names))
        };
        match &expected.location {
            Some(location) => Some(with_slash(location)).filter(|location| holds(location)),
            None if expected.required.is_empty() => None,
            None => self.there.keys().find(|folder| holds(folder)).cloned(),
        }
    }

    /// How a partition is named to people.
    fn named(&self, values: &PartitionValues) -> String {
        if values.is_empty() {
            return "the table".to_owned();
        }
        let keys: Vec<&str> = self.table.partition_keys.iter().map(|key| key.name.as_str()).collect();
        format!("the partition {}", partition::encode_path(&keys, values))
    }
}

fn change(values: &PartitionValues, from: Option<String>, place: String) -> PartitionChange {
    let to = Partition { values: values.clone(), location: place, parameters: BTreeMap::new() };
    PartitionChange { values: values.clone(), from, to: Some(to) }
}

fn count(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}
