//! Several processes over one data folder at once, in seeded orders of their requests, while objects arrive and change and
//! processes die. No leases, no clocks: whatever the order, the tables come out right.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;
use futures::future::join_all;

use super::faults::{Dice, Fault, Watch};
use super::world::rows;
use super::*;

/// Seeds that have failed once.
const KEPT: [u64; 14] = [13, 142, 254, 756, 783, 1018, 1812, 2267, 3516, 3991, 4317, 5938, 6006, 7573];

/// How many seeds each of the four tests goes through, unless `UNGLUE_SEEDS` says otherwise.
const SEEDS: u64 = 250;

/// A row of `raw.t`: id, day of November, amount.
pub(super) type Row = (u64, u64, u64);

/// The versions of the objects so far, the newest last; `None` before there was one.
type Source = BTreeMap<u64, Vec<Vec<Row>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Append,
    Partitions,
    Overwrite,
    Merge,
}

impl Way {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Append => "-- @partition: day\nSELECT id, amount, CAST(at AS DATE) AS day FROM raw.t",
            Self::Partitions => {
                "-- @write: overwrite_partitions\n-- @partition: day\n\
                 SELECT count(*) AS n, sum(amount) AS total, CAST(at AS DATE) AS day FROM raw.t GROUP BY CAST(at AS DATE)"
            }
            Self::Overwrite => {
                "-- @partition: day\n\
                 SELECT count(*) AS n, sum(amount) AS total, CAST(at AS DATE) AS day FROM raw.t GROUP BY CAST(at AS DATE)"
            }
            Self::Merge => {
                "-- @write: merge\n-- @key: id\n-- @latest_by: amount\n-- @partition: day\n\
                 SELECT id, amount, CAST(at AS DATE) AS day FROM raw.t"
            }
        }
    }

    /// The table that objects make, by its definition and not by the engine.
    pub(super) fn rows(self, objects: &[&Vec<Row>]) -> Vec<String> {
        let all = objects.iter().flat_map(|rows| rows.iter().copied());
        let day = |day: u64| format!("2026-11-{day:02}");
        let mut rows: Vec<String> = match self {
            Self::Append => all.map(|(id, at, amount)| format!("{id}|{amount}|{}", day(at))).collect(),
            Self::Partitions | Self::Overwrite => {
                let mut days: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
                for (_, at, amount) in all {
                    let (n, total) = days.entry(at).or_default();
                    (*n, *total) = (*n + 1, *total + amount);
                }
                days.into_iter().map(|(at, (n, total))| format!("{n}|{total}|{}", day(at))).collect()
            }
            Self::Merge => {
                let mut keys: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
                for (id, at, amount) in all {
                    let latest = keys.entry(id).or_default();
                    *latest = (*latest).max((amount, at));
                }
                keys.into_iter().map(|(id, (amount, at))| format!("{id}|{amount}|{}", day(at))).collect()
            }
        };
        rows.sort();
        rows
    }
}

/// One seed's story.
struct Story {
    seed: u64,
    way: Way,
    dice: Dice,
    source: Source,
    next_id: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let way = [Way::Append, Way::Append, Way::Partitions, Way::Overwrite, Way::Merge][dice.below(5) as usize];
        Self { seed, way, dice, source: Source::new(), next_id: 0 }
    }

    /// A new object, or (but for `merge`, where order would matter) other content for one that was there.
    fn arrival(&mut self) -> (u64, Vec<Row>) {
        let known = self.source.len() as u64;
        let again = known > 0 && self.way != Way::Merge && self.dice.below(3) == 0;
        let object = if again { self.dice.below(known) } else { known };
        let rows = (0..1 + self.dice.below(3))
            .map(|_| {
                self.next_id += 1;
                let id = if self.way == Way::Merge { self.dice.below(4) } else { self.next_id };
                // Amounts differ, so that one row is the latest.
                (id, 1 + self.dice.below(3), self.next_id)
            })
            .collect::<Vec<Row>>();
        self.source.entry(object).or_default().push(rows.clone());
        (object, rows)
    }

    /// The rows of the newest versions.
    fn expected(&self) -> Vec<String> {
        self.way.rows(&self.source.values().filter_map(|versions| versions.last()).collect::<Vec<_>>())
    }

    /// A reader that looks after every effect: no row twice, none that never was, and in what is replaced the rows of some
    /// set of the objects' versions.
    fn reader(&self, world: &World) -> Watch {
        let (way, root, seed) = (self.way, world.clean.clone(), self.seed);
        let ever: Vec<Vec<Row>> = self.source.values().flatten().cloned().collect();
        let possible: BTreeSet<String> = match way {
            Way::Append | Way::Merge => ever.iter().flat_map(|rows| Way::Append.rows(&[rows])).collect(),
            Way::Partitions | Way::Overwrite => some_of(&self.source).iter().flat_map(|some| way.rows(some)).collect(),
        };
        Arc::new(move || {
            let (root, possible) = (root.clone(), possible.clone());
            async move {
                let seen = rows(&root, "rows").await;
                if let Some(odd) = seen.iter().find(|row| !possible.contains(*row)) {
                    return Some(format!("seed {seed}, {way:?}: a reader sees {odd}"));
                }
                // For a merge a key may lie in two partitions while they are swapped; never twice in one.
                let mut once = BTreeSet::new();
                let twice = seen.iter().find(|row| {
                    let fields: Vec<&str> = row.split('|').collect();
                    !once.insert(match way {
                        Way::Append => (*row).clone(),
                        Way::Merge => format!("{} {}", fields[0], fields[2]),
                        Way::Partitions | Way::Overwrite => fields[2].to_owned(),
                    })
                });
                twice.map(|row| format!("seed {seed}, {way:?}: a reader sees {row} twice in {seen:?}"))
            }
            .boxed()
        })
    }

    async fn tell(mut self) {
        let mut world = World::new(Kind::Uploads);
        world.sql = [("sql/out/rows.sql".to_owned(), self.way.sql().to_owned())].into();
        for _ in 0..1 + self.dice.below(2) {
            let (object, rows) = self.arrival();
            upload(&world, object, &rows).await;
        }
        if self.dice.below(4) > 0 {
            let (_, failed) = world.runs().await;
            assert!(failed.is_none(), "seed {}: {failed:?}", self.seed);
        }
        let coming: Vec<(u64, Vec<Row>)> = (0..1 + self.dice.below(3)).map(|_| self.arrival()).collect();
        let workers: Vec<World> = (1..=2 + self.dice.below(2)).map(|number| world.process(number)).collect();
        let mut tasks = Vec::new();
        for worker in &workers {
            worker.faults.watch(Some(self.reader(&world)));
            worker.faults.pace(self.dice.split());
            if self.dice.below(3) == 0 {
                let fault = Fault::ALL[self.dice.below(Fault::ALL.len() as u64) as usize];
                worker.faults.plan(&[(1 + self.dice.below(14), fault)]);
            }
            let refresh = self.way == Way::Append && self.dice.below(3) == 0;
            let (times, pause) = (1 + self.dice.below(2), self.dice.below(300));
            tasks.push(
                async move {
                    wait(pause).await;
                    for _ in 0..times {
                        let _ = worker.invoke(refresh).await;
                    }
                }
                .boxed_local(),
            );
        }
        let (mut dice, sender) = (self.dice.split(), &world);
        tasks.push(
            async move {
                for (object, rows) in &coming {
                    wait(dice.below(500)).await;
                    upload(sender, *object, rows).await;
                }
            }
            .boxed_local(),
        );
        join_all(tasks).await;
        self.settle(&world, &workers).await;
    }

    async fn settle(&self, world: &World, workers: &[World]) {
        let context = format!("seed {}, {:?}", self.seed, self.way);
        world.faults.watch(Some(self.reader(world)));
        for attempt in 0.. {
            let (done, failed) = world.invoke(false).await;
            if done.is_empty() && failed.is_none() && world.open_runs("rows").await.is_empty() {
                break;
            }
            assert!(attempt < 8, "{context}: it never becomes quiet: {done:?} {failed:?}");
        }
        let violations: Vec<String> =
            workers.iter().chain([world]).flat_map(|worker| worker.faults.violations()).take(1).collect();
        if world.rows("rows").await != self.expected() || !violations.is_empty() {
            eprintln!("{}", world.ledger("rows").await);
        }
        assert_eq!(world.rows("rows").await, self.expected(), "{context}: {:?}", self.source);
        assert_eq!(violations, Vec::<String>::new());
    }
}

/// All ways to take of each object one of its versions, or none.
fn some_of(source: &Source) -> Vec<Vec<&Vec<Row>>> {
    let mut some = vec![Vec::new()];
    for versions in source.values() {
        for chosen in some.clone() {
            for version in versions {
                let mut more: Vec<&Vec<Row>> = chosen.clone();
                more.push(version);
                some.push(more);
            }
        }
    }
    some
}

pub(super) async fn upload(world: &World, object: u64, rows: &[Row]) {
    let lines: String = rows.iter().map(|(id, at, amount)| format!("{id},2026-11-{at:02},{amount}\n")).collect();
    world.upload(&format!("raw/t/{object}.csv"), &format!("id,at,amount\n{lines}")).await;
}

async fn wait(turns: u64) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

#[allow(clippy::disallowed_methods, reason = "a longer run is asked for by the environment")]
async fn stories(part: u64) {
    let seeds = std::env::var("UNGLUE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let first = part * seeds;
    let only: Option<u64> = std::env::var("UNGLUE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds_of_this = only.map_or(first..first + seeds, |seed| seed..seed + 1);
    for seed in KEPT.into_iter().filter(|_| only.is_none()).chain(seeds_of_this) {
        Story::new(seed).tell().await;
    }
    eprintln!("{seeds} seeds from {first}");
}

#[tokio::test]
async fn seeds_one() {
    stories(0).await;
}

#[tokio::test]
async fn seeds_two() {
    stories(1).await;
}

#[tokio::test]
async fn seeds_three() {
    stories(2).await;
}

#[tokio::test]
async fn seeds_four() {
    stories(3).await;
}
