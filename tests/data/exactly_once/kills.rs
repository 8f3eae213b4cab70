//! Runs of the real program that are killed, in all ways to write and along a chain.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use super::{consistent, events, exact, put};
use crate::project::{Ended, Project};

/// Numbers that are the same in every test run.
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Each way to write, and one that appends what another replaces.
pub(crate) const WAYS: [(&str, &str); 5] = [
    ("facts/clicks", "-- @partition: day\nSELECT id, n, day FROM raw.clicks"),
    (
        "marts/by_day",
        "-- @write: overwrite_partitions\n-- @partition: day\n\
         SELECT count(*) AS clicks, sum(n) AS n, day FROM raw.clicks GROUP BY day",
    ),
    ("marts/copy", "-- @write: append\nSELECT clicks, n, day FROM marts.by_day"),
    ("marts/total", "SELECT count(*) AS clicks, sum(n) AS n FROM facts.clicks"),
    (
        "marts/users",
        "-- @write: merge\n-- @key: id\n-- @latest_by: seq\n-- @partition: city\nSELECT id, seq, city FROM raw.users",
    ),
];

/// What has arrived.
#[derive(Default)]
struct Arrived {
    /// Clicks of each object's newest version: id, n, day.
    clicks: BTreeMap<u64, Vec<(u64, u64, u64)>>,
    /// Every row of a version that there ever was.
    ever: Vec<String>,
    /// The newest seq and city of each user.
    users: BTreeMap<u64, (u64, u64)>,
    next: u64,
}

impl Arrived {
    /// A new object of clicks or of users, or other clicks in an object that was there.
    fn arrive(&mut self, project: &Project, seeded: &mut Seeded) {
        self.next += 1;
        if seeded.below(3) == 0 {
            let mut text = String::from("id,seq,city\n");
            for _ in 0..20 {
                let (id, city) = (seeded.below(40), seeded.below(4));
                self.next += 1;
                text.push_str(&format!("{id},{},c{city}\n", self.next));
                self.users.insert(id, (self.next, city));
            }
            project.put(&format!("raw/users/{}.csv", self.next), text);
            return;
        }
        let known = self.clicks.len() as u64;
        let object = if known > 0 && seeded.below(3) == 0 { seeded.below(known) } else { known };
        let rows: Vec<(u64, u64, u64)> =
            (0..10 + seeded.below(30)).map(|row| (object * 100 + row, self.next, seeded.below(4))).collect();
        let lines: String = rows.iter().map(|(id, n, day)| format!("{id},{n},d{day}\n")).collect();
        project.put(&format!("raw/clicks/{object}.csv"), format!("id,n,day\n{lines}"));
        self.ever.extend(rows.iter().map(|(id, n, day)| format!("{id}|{n}|d{day}")));
        self.clicks.insert(object, rows);
    }

    /// All tables hold exactly what they should.
    #[track_caller]
    fn exact(&self, project: &Project) {
        let clicks = || self.clicks.values().flatten();
        let mut facts: Vec<String> = clicks().map(|(id, n, day)| format!("{id}|{n}|d{day}")).collect();
        facts.sort();
        assert!(project.rows("facts.clicks") == facts, "facts.clicks");
        let mut days: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for (_, n, day) in clicks() {
            let (clicks, total) = days.entry(*day).or_default();
            (*clicks, *total) = (*clicks + 1, *total + n);
        }
        let mut by_day: Vec<String> = days.iter().map(|(day, (clicks, n))| format!("{clicks}|{n}|d{day}")).collect();
        by_day.sort();
        assert_eq!(project.rows("marts.by_day"), by_day);
        assert_eq!(project.rows("marts.copy"), by_day, "what appends the replaced partitions");
        let total = (clicks().count(), clicks().map(|(_, n, _)| n).sum::<u64>());
        assert_eq!(project.rows("marts.total"), [format!("{}|{}", total.0, total.1)]);
        let mut users: Vec<String> = self.users.iter().map(|(id, (seq, city))| format!("{id}|{seq}|c{city}")).collect();
        users.sort();
        assert_eq!(project.rows("marts.users"), users);
    }

    /// What a reader may see at any time.
    #[track_caller]
    fn consistent(&self, project: &Project) {
        let facts = project.rows("facts.clicks");
        assert!(facts.windows(2).all(|pair| pair[0] != pair[1]), "a reader sees a row twice");
        assert!(facts.iter().all(|row| self.ever.contains(row)), "a reader sees a row that never arrived");
        let by_day = project.rows("marts.by_day");
        let mut days: Vec<&str> = by_day.iter().filter_map(|row| row.rsplit('|').next()).collect();
        days.sort_unstable();
        assert!(days.windows(2).all(|pair| pair[0] != pair[1]), "a reader sees two versions of a day: {by_day:?}");
    }
}

/// Kills runs until so many were still going on when they were killed.
pub(crate) fn killed(project: &Project, kills: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let mut arrived = Arrived::default();
    let mut killed = 0;
    // How late a kill may come, in microseconds: less after a run that was faster, a little more after each kill, so that
    // the kills fall on all of a run whatever the machine.
    let mut latest = 200_000;
    for attempt in 0.. {
        assert!(attempt < 40 * kills, "only {killed} of {attempt} runs were still going on when they were killed");
        if killed == kills {
            break;
        }
        arrived.arrive(project, &mut seeded);
        let mut child = project.command(&["run"]).spawn().unwrap();
        sleep(Duration::from_micros(seeded.below(latest)));
        child.kill().unwrap();
        if child.wait().unwrap().code().is_none() {
            killed += 1;
            latest += latest / 8;
            if killed % 10 == 0 {
                arrived.consistent(project);
            }
        } else {
            latest -= latest / 4;
        }
    }
    arrived.consistent(project);
    project.until_quiet();
    arrived.exact(project);
    println!("{kills} kills");
}

#[test]
fn killed_forty_times() {
    killed(&Project::new(&WAYS), 40, 20);
}

#[test]
fn killed_while_another_goes_on() {
    let project = events();
    let mut seeded = Seeded::new(7);
    for round in 0..6 {
        put(&project, round);
        let mut killed = project.command(&["run"]).spawn().unwrap();
        let other = project.command(&["run"]).spawn().unwrap();
        sleep(Duration::from_millis(100 + seeded.below(400)));
        killed.kill().unwrap();
        killed.wait().unwrap();
        let ended = Ended::of(other.wait_with_output().unwrap());
        assert!(!ended.stderr.contains("error[internal]"), "{ended}");
        consistent(&project, round + 1);
    }
    project.until_quiet();
    exact(&project, 6);
}
