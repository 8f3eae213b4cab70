//! The records of the ledger: what is written once and read by whoever carries a run on.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::arrival::{ArrivalId, ClaimName};
use crate::receipt::{Receipt, ReceiptInput};
use crate::table::{Partition, Table};
use crate::write::{PartitionValues, WrittenFile};

/// What a claim holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) run_id: String,
    /// For people who look into the ledger.
    pub(crate) object: String,
}

/// What a run set out to do. Fixed before anything is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) run_id: String,
    pub(crate) work: Work,
    /// `now()` of the query.
    pub(crate) at: DateTime<Utc>,
    /// What it processes: claimed, unless the transform rebuilds its table from whatever lies there.
    pub(crate) inputs: Vec<Arriving>,
}

/// An arrival that a run means to claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arriving {
    #[serde(flatten)]
    pub(crate) input: ReceiptInput,
    /// How many versions of the object were claimed before.
    pub(crate) generation: u32,
}

impl Arriving {
    pub(crate) fn claim_name(&self) -> ClaimName {
        ClaimName { arrival: ArrivalId::of(&self.input), generation: self.generation }
    }
}

/// What a run is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// The arrivals that it claims, in the way that the transform writes.
    Arrivals,
    /// The whole table, in place of a version.
    Rebuild(Rebuild),
}

/// The state that a rebuild starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rebuild {
    /// Number of the newest version before; 0 where there was none.
    pub(crate) version: u64,
    /// Stands for what the table is made of.
    pub(crate) fingerprint: String,
}

impl Intent {
    pub(crate) fn rebuild(&self) -> Option<&Rebuild> {
        match &self.work {
            Work::Rebuild(rebuild) => Some(rebuild),
            Work::Arrivals => None,
        }
    }

    /// The objects that it names, where it processes arrivals.
    pub(crate) fn objects(&self) -> Option<BTreeSet<String>> {
        let names = || self.inputs.iter().map(|arriving| arriving.input.object.clone()).collect();
        (self.work == Work::Arrivals).then(names)
    }

    /// The same work under the next run id: what a run becomes that was overtaken.
    pub(crate) fn successor(&self) -> Self {
        Self { run_id: successor(&self.run_id), ..self.clone() }
    }

    /// The successor without some of the inputs, by their names; `None` if nothing would be left, or none of them is among them.
    pub(crate) fn without(&self, is_left_out: impl Fn(&str) -> bool) -> Option<Self> {
        let mut rest = self.successor();
        rest.inputs.retain(|arriving| !is_left_out(&arriving.input.object));
        (!rest.inputs.is_empty() && rest.inputs.len() < self.inputs.len()).then_some(rest)
    }
}

/// `20261123t020000z-0123456789ab` is followed by `…-0123456789ab-2`, that by `…-3`.
pub(crate) fn successor(run_id: &str) -> String {
    let mut parts = run_id.splitn(3, '-');
    match (parts.next(), parts.next(), parts.next().and_then(|attempt| attempt.parse::<u64>().ok())) {
        (Some(time), Some(unique), Some(attempt)) => format!("{time}-{unique}-{}", attempt + 1),
        _ => format!("{run_id}-2"),
    }
}

/// The run whose successor, however far, this one is: claims are made in its name.
pub(crate) fn first_of(run_id: &str) -> &str {
    match run_id.match_indices('-').nth(1) {
        Some((end, _)) => &run_id[..end],
        None => run_id,
    }
}

/// What was decided of a run, once and for all: of several workers one decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub(crate) enum Decision {
    /// Its outcome is to be made visible.
    Commit(Box<Commit>),
    /// It has nothing to do: whoever is still at it must stop.
    Abandon {
        /// What is left of it: the run goes on without the inputs that cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rest: Option<Box<Intent>>,
    },
}

/// The commit record: all that is needed to make the run's outcome visible.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Commit {
    /// Tells the attempt that made this record from others of the same run.
    pub(crate) nonce: String,
    /// The table as the run leaves it. Not partitioned: with the location that it has then.
    pub(crate) table: Table,
    /// The partitions that were written to.
    pub(crate) partitions: Vec<Partition>,
    pub(crate) files: Vec<WrittenFile>,
    /// The newest version of the table that the run knew; 0 where there was none.
    pub(crate) base: u64,
    /// What the run's files replace; `None` if they are added to the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) swap: Option<Swap>,
    pub(crate) receipt: Receipt,
}

impl Commit {
    /// What the run has processed.
    pub(crate) fn arrivals(&self) -> Vec<ArrivalId> {
        self.receipt.inputs.iter().map(ArrivalId::of).collect()
    }
}

/// What a run replaces.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Swap {
    /// Where the replaced rows were, by partition; one entry without values for a table that is not partitioned.
    pub(crate) from: Vec<Partition>,
    /// Whether it is the whole table, so that partitions not written to go.
    pub(crate) whole: bool,
    /// Whether the outcome does not depend on the table's other partitions, so that runs on different partitions may change
    /// it in any order.
    pub(crate) commutes: bool,
    /// Partitions that have no rows any more.
    pub(crate) vanished: Vec<PartitionValues>,
    /// Names of the files of the table whose rows were kept, replaced or dropped. Others that appear in the replaced places
    /// belong to runs that were under way, and are carried over.
    pub(crate) absorbed: BTreeSet<String>,
    /// The arrivals whose rows are in the new files, if they are anywhere: their files are not carried over.
    pub(crate) accounted: BTreeSet<ArrivalId>,
    /// The last rebuild of the table: this one, or one before; `None` if there was none.
    pub(crate) basis: Option<Basis>,
}

/// The last rebuild of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basis {
    pub(crate) run_id: String,
    /// The number of its version.
    pub(crate) version: u64,
    /// Stands for what the table was made of.
    pub(crate) fingerprint: String,
}

impl Swap {
    /// Whether the rows of a file that was added by a run are already accounted for in this version.
    pub(crate) fn accounts_for(&self, file_name: &str, arrivals: &[ArrivalId]) -> bool {
        self.absorbed.contains(file_name) || arrivals.iter().any(|arrival| self.accounted.contains(arrival))
    }

    /// The partitions that change: those that are replaced and those that are new.
    pub(crate) fn touches<'a>(&'a self, written: &'a [Partition]) -> BTreeSet<&'a PartitionValues> {
        self.from.iter().chain(written).map(|partition| &partition.values).chain(&self.vanished).collect()
    }

    /// Where the rows of each replaced partition were.
    pub(crate) fn places(&self) -> BTreeMap<&PartitionValues, &str> {
        self.from.iter().map(|partition| (&partition.values, partition.location.as_str())).collect()
    }
}

/// How a run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Done {
    /// Its rows are visible.
    Succeeded { receipt: Box<Receipt> },
    /// Nothing of it is visible: it had nothing left to do, or was overtaken by a newer version of the table.
    Superseded {
        /// The run that does its work instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<String>,
    },
}

/// One version of a table whose content was replaced, in whole or in part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) run_id: String,
    /// The last rebuild, this version or one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) basis: Option<Basis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(day: &str) -> Partition {
        let location = format!("file:///t/day={day}/");
        Partition { values: vec![Some(day.to_owned())], location, parameters: BTreeMap::new() }
    }

    #[test]
    fn a_swap_says_what_it_touches_and_accounts_for() {
        let arrival = |object: &str| {
            ArrivalId::of(&ReceiptInput { object: object.into(), etag: None, version: Some("v".into()), bytes: 1 })
        };
        let swap = Swap {
            from: vec![partition("1"), partition("2")],
            whole: false,
            commutes: true,
            vanished: vec![vec![Some("2".to_owned())]],
            absorbed: BTreeSet::from(["old.parquet".to_owned()]),
            accounted: BTreeSet::from([arrival("t/a")]),
            basis: None,
        };
        assert!(swap.accounts_for("old.parquet", &[arrival("t/b")]), "its rows were read");
        assert!(swap.accounts_for("new.parquet", &[arrival("t/b"), arrival("t/a")]), "its input was read");
        assert!(!swap.accounts_for("new.parquet", &[arrival("t/b")]), "a run that was under way");
        let day = |day: &str| vec![Some(day.to_owned())];
        assert_eq!(swap.touches(&[partition("3")]), BTreeSet::from([&day("1"), &day("2"), &day("3")]));
        assert_eq!(swap.places(), BTreeMap::from([(&day("1"), "file:///t/day=1/"), (&day("2"), "file:///t/day=2/")]));
    }

    #[test]
    fn a_run_names_its_objects_and_goes_on_without_some() {
        let input = |object: &str| Arriving {
            input: ReceiptInput { object: object.into(), etag: None, version: None, bytes: 1 },
            generation: 0,
        };
        let arrivals = Intent {
            run_id: "20261123t020000z-0123".into(),
            at: DateTime::UNIX_EPOCH,
            work: Work::Arrivals,
            inputs: vec![input("t/a"), input("t/b")],
        };
        let names = |intent: &Intent| intent.inputs.iter().map(|one| one.input.object.clone()).collect::<Vec<_>>();
        assert_eq!(arrivals.objects(), Some(BTreeSet::from(["t/a".to_owned(), "t/b".to_owned()])));
        let rebuild = Work::Rebuild(Rebuild { version: 0, fingerprint: String::new() });
        assert_eq!(Intent { work: rebuild, ..arrivals.clone() }.objects(), None, "it is of the whole table");

        let rest = arrivals.without(|object| object == "t/a").unwrap();
        assert_eq!((names(&rest), rest.run_id.as_str()), (vec!["t/b".to_owned()], "20261123t020000z-0123-2"));
        assert!(arrivals.without(|object| object == "t/c").is_none(), "nothing is left out");
        assert!(arrivals.without(|_| true).is_none(), "nothing is left");
    }

    #[test]
    fn successors_are_numbered() {
        assert_eq!(successor("20261123t020000z-0123"), "20261123t020000z-0123-2");
        assert_eq!(successor("20261123t020000z-0123-2"), "20261123t020000z-0123-3");
        assert_eq!(first_of("20261123t020000z-0123-3"), "20261123t020000z-0123");
        assert_eq!(first_of("20261123t020000z-0123"), "20261123t020000z-0123");
    }
}
