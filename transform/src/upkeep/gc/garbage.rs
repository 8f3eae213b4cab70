//! Since when nothing refers to a file: pure, from what the ledger says.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::write::PartitionValues;

/// The end of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) at: DateTime<Utc>,
    pub(super) is_superseded: bool,
}

/// A version of the table that is through: what it replaced, and when.
#[derive(Debug, Clone)]
pub(super) struct Replacement {
    pub(super) number: u64,
    pub(super) run_id: String,
    pub(super) at: DateTime<Utc>,
    /// Whether it replaced the whole table.
    pub(super) whole: bool,
    /// The partitions that it replaced; nothing else than this and `whole` is needed of it.
    pub(super) touches: BTreeSet<PartitionValues>,
}

/// The folder of a version that a file lies in.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// The run that made it.
    pub(super) run_id: String,
    pub(super) end: End,
    /// Versions up to this number did not replace what lies in the folder.
    pub(super) number: u64,
}

/// A file that the catalog does not show, and that was written by a run that has ended.
#[derive(Debug, Clone)]
pub(super) struct Hidden<'a> {
    pub(super) last_modified: DateTime<Utc>,
    pub(super) writer: End,
    pub(super) partition: &'a PartitionValues,
    /// `None` in the table's own folder, which is older than all versions.
    pub(super) folder: Option<&'a Folder>,
}

impl Hidden<'_> {
    /// Since when nothing refers to the file; `None` if something may still: it was never shown and may come to be, or it
    /// cannot be told why it is not shown.
    ///
    /// A partition's place in one folder is shown until the next version that replaces the partition, and never again.
    /// `replacements` are in the order of their numbers.
    pub(super) fn since(&self, replacements: &[Replacement]) -> Option<DateTime<Utc>> {
        let (number, own) = self.folder.map_or((0, None), |folder| (folder.number, Some(folder.run_id.as_str())));
        let replaced = replacements.iter().find(|version| {
            version.number > number
                && Some(version.run_id.as_str()) != own
                && (version.whole || version.touches.contains(self.partition))
        });
        let in_superseded = self.folder.is_some_and(|folder| folder.end.is_superseded);
        if replaced.is_none() && !in_superseded && !self.writer.is_superseded {
            return None;
        }
        let ends = [Some(self.writer.at), self.folder.map(|folder| folder.end.at), replaced.map(|version| version.at)];
        ends.into_iter().flatten().chain([self.last_modified]).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn day(n: u32) -> PartitionValues {
        vec![Some(n.to_string())]
    }

    fn version(number: u64, second: i64, days: &[u32]) -> Replacement {
        let touches = days.iter().map(|n| day(*n)).collect();
        Replacement { number, run_id: format!("run-{number}"), at: at(second), whole: days.is_empty(), touches }
    }

    fn folder(number: u64, second: i64, is_superseded: bool) -> Folder {
        Folder { run_id: format!("run-{number}"), end: End { at: at(second), is_superseded }, number }
    }

    fn hidden<'a>(partition: &'a PartitionValues, folder: Option<&'a Folder>) -> Hidden<'a> {
        Hidden { last_modified: at(1), writer: End { at: at(2), is_superseded: false }, partition, folder }
    }

    #[test]
    fn a_place_is_left_at_the_first_later_version_of_its_partition() {
        let versions = [version(1, 10, &[1]), version(2, 20, &[2]), version(3, 30, &[1, 2]), version(4, 40, &[])];
        let (one, two, three) = (day(1), day(2), day(3));
        assert_eq!(hidden(&one, None).since(&versions), Some(at(10)));
        assert_eq!(hidden(&two, None).since(&versions), Some(at(20)));
        assert_eq!(hidden(&three, None).since(&versions), Some(at(40)), "the whole table was replaced");
        assert_eq!(hidden(&three, None).since(&versions[..3]), None, "nothing replaced it");
        // A partition that was added in the folder of a version that did not touch it.
        assert_eq!(hidden(&two, Some(&folder(1, 10, false))).since(&versions), Some(at(20)));
        assert_eq!(hidden(&two, Some(&folder(2, 20, false))).since(&versions), Some(at(30)));
        assert_eq!(hidden(&one, Some(&folder(4, 40, false))).since(&versions), None, "the newest version");
    }

    #[test]
    fn a_file_that_came_later_counts_from_then() {
        let versions = [version(1, 10, &[1])];
        let one = day(1);
        let copied = Hidden { last_modified: at(15), ..hidden(&one, None) };
        assert_eq!(copied.since(&versions), Some(at(15)));
        let ended = Hidden { writer: End { at: at(17), is_superseded: false }, ..copied };
        assert_eq!(ended.since(&versions), Some(at(17)));
    }

    #[test]
    fn what_a_superseded_run_left_counts_from_its_end_and_from_what_replaced_it() {
        let one = day(1);
        let left = folder(0, 5, true);
        assert_eq!(hidden(&one, Some(&left)).since(&[]), Some(at(5)));
        assert_eq!(hidden(&one, Some(&left)).since(&[version(1, 10, &[2])]), Some(at(5)));
        assert_eq!(hidden(&one, Some(&left)).since(&[version(1, 10, &[1])]), Some(at(10)), "it may have been shown");
        let writer = Hidden { writer: End { at: at(7), is_superseded: true }, ..hidden(&one, None) };
        assert_eq!(writer.since(&[]), Some(at(7)));
    }

    #[test]
    fn a_version_does_not_replace_itself() {
        let one = day(1);
        let own = Folder { number: 0, ..folder(1, 10, false) };
        assert_eq!(hidden(&one, Some(&own)).since(&[version(1, 10, &[1])]), None);
    }
}
