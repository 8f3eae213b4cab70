//! Every effect of a run × every fault × every way to write: after it, and whatever came of it, redelivery brings the table to
//! what it should be, and a reader never sees what the guarantees rule out.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use super::faults::{Fault, Watch};
use super::world::rows;
use super::*;

/// A change of the source, and what it makes of a table.
struct Scenario {
    name: &'static str,
    /// `sql/out/rows.sql` before and after.
    sql: [&'static str; 2],
    /// Objects of `raw.t` that were processed, and those that come (again).
    before: &'static [(&'static str, &'static str)],
    after: &'static [(&'static str, &'static str)],
    full_refresh: bool,
    old: &'static [&'static str],
    new: &'static [&'static str],
}

const BEFORE: [(&str, &str); 2] = [
    ("raw/t/1.csv", "id,at,amount\n1,2026-11-01,1\n2,2026-11-02,2\n"),
    ("raw/t/2.csv", "id,at,amount\n3,2026-11-02,3\n4,2026-11-03,4\n"),
];
const ADDED: [(&str, &str); 2] = [
    ("raw/t/3.csv", "id,at,amount\n5,2026-11-02,5\n6,2026-11-04,6\n"),
    ("raw/t/4.csv", "id,at,amount\n7,2026-11-04,7\n"),
];
/// Key 4 moves to another day and leaves its own empty, key 2 is corrected in place, a new one comes.
const CHANGED: [(&str, &str); 2] = [
    ("raw/t/2.csv", "id,at,amount\n3,2026-11-02,30\n4,2026-11-04,4\n"),
    ("raw/t/3.csv", "id,at,amount\n5,2026-11-01,5\n"),
];
const OLD: [&str; 4] = ["1|1|2026-11-01", "2|2|2026-11-02", "3|3|2026-11-02", "4|4|2026-11-03"];

const APPENDING: &str = "-- @partition: day\nSELECT id, amount, CAST(at AS DATE) AS day FROM raw.t";
const FLAT: &str = "SELECT id, amount FROM raw.t";
const BY_DAY: &str = "-- @write: overwrite_partitions\n-- @partition: day\n\
     SELECT count(*) AS n, sum(amount) AS total, CAST(at AS DATE) AS day FROM raw.t GROUP BY CAST(at AS DATE)";
const REBUILT: &str = "-- @write: overwrite\n-- @partition: day\n\
     SELECT count(*) AS n, sum(amount) AS total, CAST(at AS DATE) AS day FROM raw.t GROUP BY CAST(at AS DATE)";
const TOTAL: &str = "SELECT count(*) AS n, sum(amount) AS total FROM raw.t";
const MERGED: &str = "-- @write: merge\n-- @key: id\n-- @partition: day\n-- @delete_when: amount > 20\n\
     SELECT id, amount, CAST(at AS DATE) AS day FROM raw.t";
const MERGED_FLAT: &str = "-- @write: merge\n-- @key: id\nSELECT id, amount FROM raw.t";

const BY_DAY_OLD: [&str; 3] = ["1|1|2026-11-01", "1|4|2026-11-03", "2|5|2026-11-02"];
const BY_DAY_NEW: [&str; 3] = ["1|4|2026-11-04", "2|32|2026-11-02", "2|6|2026-11-01"];

const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "append",
        sql: [APPENDING, APPENDING],
        before: &BEFORE,
        after: &ADDED,
        full_refresh: false,
        old: &OLD,
        new: &[
            "1|1|2026-11-01",
            "2|2|2026-11-02",
            "3|3|2026-11-02",
            "4|4|2026-11-03",
            "5|5|2026-11-02",
            "6|6|2026-11-04",
            "7|7|2026-11-04",
        ],
    },
    Scenario {
        name: "append, not partitioned",
        sql: [FLAT, FLAT],
        before: &BEFORE,
        after: &ADDED,
        full_refresh: false,
        old: &["1|1", "2|2", "3|3", "4|4"],
        new: &["1|1", "2|2", "3|3", "4|4", "5|5", "6|6", "7|7"],
    },
    Scenario {
        name: "append, a changed object",
        sql: [APPENDING, APPENDING],
        before: &BEFORE,
        after: &CHANGED,
        full_refresh: false,
        old: &OLD,
        new: &["1|1|2026-11-01", "2|2|2026-11-02", "3|30|2026-11-02", "4|4|2026-11-04", "5|5|2026-11-01"],
    },
    Scenario {
        name: "append, not partitioned, a changed object",
        sql: [FLAT, FLAT],
        before: &BEFORE,
        after: &[CHANGED[0]],
        full_refresh: false,
        old: &["1|1", "2|2", "3|3", "4|4"],
        new: &["1|1", "2|2", "3|30", "4|4"],
    },
    Scenario {
        name: "rebuilt with other partitions",
        sql: [
            "-- @partition: id\nSELECT amount, id FROM raw.t",
            "-- @partition: day, id\n\
              SELECT amount, CAST(at AS DATE) AS day, id FROM raw.t",
        ],
        before: &BEFORE,
        after: &CHANGED,
        full_refresh: true,
        old: &["1|1", "2|2", "3|3", "4|4"],
        new: &["1|2026-11-01|1", "2|2026-11-02|2", "30|2026-11-02|3", "4|2026-11-04|4", "5|2026-11-01|5"],
    },
    Scenario {
        name: "append, rebuilt with other SQL",
        sql: [APPENDING, "-- @partition: day\nSELECT id, -amount AS amount, CAST(at AS DATE) AS day FROM raw.t"],
        before: &BEFORE,
        after: &CHANGED,
        full_refresh: true,
        old: &OLD,
        new: &["1|-1|2026-11-01", "2|-2|2026-11-02", "3|-30|2026-11-02", "4|-4|2026-11-04", "5|-5|2026-11-01"],
    },
    Scenario {
        name: "overwrite_partitions",
        sql: [BY_DAY, BY_DAY],
        before: &BEFORE,
        after: &CHANGED,
        full_refresh: false,
        old: &BY_DAY_OLD,
        new: &BY_DAY_NEW,
    },
    Scenario {
        name: "overwrite",
        sql: [REBUILT, REBUILT],
        before: &BEFORE,
        after: &CHANGED,
        full_refresh: false,
        old: &BY_DAY_OLD,
        new: &BY_DAY_NEW,
    },
    Scenario {
        name: "overwrite, not partitioned",
        sql: [TOTAL, TOTAL],
        before: &BEFORE,
        after: &CHANGED,
        full_refresh: false,
        old: &["4|10"],
        new: &["5|42"],
    },
    Scenario {
        name: "merge",
        sql: [MERGED, MERGED],
        before: &BEFORE,
        after: &CHANGED,
        full_refresh: false,
        old: &OLD,
        new: &["1|1|2026-11-01", "2|2|2026-11-02", "4|4|2026-11-04", "5|5|2026-11-01"],
    },
    Scenario {
        name: "merge, not partitioned",
        sql: [MERGED_FLAT, MERGED_FLAT],
        before: &BEFORE,
        after: &CHANGED,
        full_refresh: false,
        old: &["1|1", "2|2", "3|3", "4|4"],
        new: &["1|1", "2|2", "3|30", "4|4", "5|5"],
    },
];

impl Scenario {
    /// The state before: everything processed, nothing under way.
    async fn quiet(&self, kind: Kind) -> World {
        let mut world = World::new(kind);
        world.sql = [("sql/out/rows.sql".to_owned(), self.sql[0].to_owned())].into();
        for (key, text) in self.before {
            world.upload(key, text).await;
        }
        let (_, failed) = world.runs().await;
        assert!(failed.is_none(), "{}: {failed:?}", self.name);
        assert_eq!(world.rows("rows").await, self.old, "{}", self.name);
        world
    }

    /// The change, not yet processed.
    async fn change(&self, world: &mut World) {
        world.sql = [("sql/out/rows.sql".to_owned(), self.sql[1].to_owned())].into();
        for (key, text) in self.after {
            world.upload(key, text).await;
        }
    }

    async fn changed(&self, kind: Kind) -> World {
        let mut world = self.quiet(kind).await;
        self.change(&mut world).await;
        world
    }

    /// A reader that looks after every effect.
    fn reader(&self, world: &World, context: String) -> Watch {
        let (root, old, new) = (world.clean.clone(), by_partition(self.old), by_partition(self.new));
        Arc::new(move || {
            let (root, old, new, context) = (root.clone(), old.clone(), new.clone(), context.clone());
            async move {
                let seen = rows(&root, "rows").await;
                let seen = by_partition(&seen.iter().map(String::as_str).collect::<Vec<_>>());
                let none = Vec::new();
                for partition in old.keys().chain(new.keys()).chain(seen.keys()).collect::<BTreeSet<_>>() {
                    let [seen, old, new] = [&seen, &old, &new].map(|rows| rows.get(partition).unwrap_or(&none));
                    // Rows that are added come file by file; the rest of a partition stays as it is.
                    let grows = is_part(old, seen) && is_part(seen, new);
                    if !(seen == old || seen == new || grows) {
                        return Some(format!("{context}: {partition} has {seen:?}"));
                    }
                }
                None
            }
            .boxed()
        })
    }

    /// Runs until nothing is left to do, and sees that the table is right.
    async fn settle(&self, world: &World, context: &str) {
        // A refresh is asked for, not due: who was interrupted asks again.
        if self.full_refresh {
            let (_, failed) = world.invoke(true).await;
            assert!(failed.is_none(), "{context}: {failed:?}");
        }
        for attempt in 0.. {
            let (done, failed) = world.invoke(false).await;
            if done.is_empty() && failed.is_none() && world.open_runs("rows").await.is_empty() {
                break;
            }
            assert!(attempt < 6, "{context}: it never becomes quiet: {done:?} {failed:?}");
        }
        assert_eq!(world.rows("rows").await, self.new, "{context}");
        let announced: BTreeSet<String> = world.announced.lock().unwrap().iter().cloned().collect();
        assert_eq!(world.succeeded("rows").await, announced, "{context}");
        assert_eq!(world.faults.violations(), Vec::<String>::new());
    }
}

/// Rows by the value of their last column where there are three, else together.
fn by_partition(rows: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut partitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let values: Vec<&str> = row.split('|').collect();
        let partition = if values.len() == 3 { values[2] } else { "all" };
        partitions.entry(partition.to_owned()).or_default().push((*row).to_owned());
    }
    partitions
}

/// Whether each row of one list is in another, as often.
fn is_part(part: &[String], whole: &[String]) -> bool {
    let mut left = whole.to_vec();
    part.iter().all(|row| left.iter().position(|other| other == row).map(|at| left.remove(at)).is_some())
}

async fn every_fault(kind: Kind) {
    let mut points = 0;
    for scenario in &SCENARIOS {
        let (mut here, mut effects) = (0, 0);
        for fault in Fault::ALL {
            for effect in 1.. {
                let context = format!("{kind:?}, {}, {fault:?} at effect {effect}", scenario.name);
                let world = scenario.changed(kind).await;
                world.faults.watch(Some(scenario.reader(&world, context.clone())));
                world.faults.plan(&[(effect, fault)]);
                let _ = world.invoke(scenario.full_refresh).await;
                if world.faults.is_pending() {
                    effects = world.faults.effects();
                    break;
                }
                world.faults.plan(&[]);
                scenario.settle(&world, &context).await;
                here += 1;
            }
        }
        eprintln!("{kind:?}, {}: {effects} effects, {here} faults", scenario.name);
        points += here;
    }
    eprintln!("{kind:?}: {points} faults in {} ways to write", SCENARIOS.len());
    assert!(points > 700, "only {points} faults");
}

#[tokio::test]
async fn every_fault_at_every_effect_on_uploads() {
    every_fault(Kind::Uploads).await;
}

#[tokio::test]
async fn every_fault_at_every_effect_on_files() {
    every_fault(Kind::Files).await;
}

/// What a process can be told: that it died, that nothing was done, that something was done, and the wrong thing about it.
/// The other faults are the same to it.
const CLASSES: [Fault; 4] = [Fault::CrashAfter, Fault::Status503, Fault::TimeoutWithEffect, Fault::RetriedByClient];

async fn every_pair(scenario: &Scenario) {
    let base = scenario.changed(Kind::Uploads).await;
    let mut pairs = 0;
    for first in CLASSES {
        for effect in 1.. {
            let once = base.fork();
            once.faults.plan(&[(effect, first)]);
            let _ = once.invoke(scenario.full_refresh).await;
            if once.faults.is_pending() {
                break;
            }
            for second in CLASSES {
                for later in 1.. {
                    let context = format!("{}, {first:?} at effect {effect}, {second:?} at {later}", scenario.name);
                    let world = base.fork();
                    world.faults.watch(Some(scenario.reader(&world, context.clone())));
                    world.faults.plan(&[(effect, first)]);
                    let _ = world.invoke(scenario.full_refresh).await;
                    world.faults.plan(&[(later, second)]);
                    let _ = world.invoke(false).await;
                    if world.faults.is_pending() {
                        break;
                    }
                    world.faults.plan(&[]);
                    scenario.settle(&world, &context).await;
                    pairs += 1;
                }
            }
        }
    }
    eprintln!("{}: {pairs} pairs of faults", scenario.name);
    assert!(pairs > 500, "only {pairs} pairs");
}

#[tokio::test]
async fn every_pair_of_faults_while_appending() {
    every_pair(&SCENARIOS[0]).await;
}

#[tokio::test]
async fn every_pair_of_faults_while_overwriting_partitions() {
    every_pair(SCENARIOS.iter().find(|scenario| scenario.name == "overwrite_partitions").unwrap()).await;
}
