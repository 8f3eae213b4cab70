//! Runs that are killed.

use std::thread::sleep;
use std::time::Duration;

use super::{consistent, events, exact, put};

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

/// Runs that must still be going on when they are killed.
const KILLS: usize = 20;

#[test]
fn killed_twenty_times_and_run_again() {
    let project = events();
    let mut seeded = Seeded::new(20);
    let (mut objects, mut killed) = (0, 0);
    // How late a kill may come, in microseconds: less after a run that was faster, a little more after each kill, so that
    // the kills fall on all of a run whatever the machine.
    let mut latest = 200_000;
    for attempt in 0.. {
        assert!(attempt < 40 * KILLS, "only {killed} of {attempt} runs were still going on when they were killed");
        if killed == KILLS {
            break;
        }
        // One new object at least, or the run has nothing to do.
        for _ in 0..=seeded.below(2) {
            put(&project, objects);
            objects += 1;
        }
        let mut child = project.command(&["run"]).spawn().unwrap();
        sleep(Duration::from_micros(seeded.below(latest)));
        child.kill().unwrap();
        if child.wait().unwrap().code().is_none() {
            killed += 1;
            latest += latest / 8;
            if killed % 4 == 0 {
                consistent(&project, objects);
            }
        } else {
            latest -= latest / 4;
        }
    }
    consistent(&project, objects);
    project.until_quiet();
    exact(&project, objects);
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
        let ended = crate::project::Ended::of(other.wait_with_output().unwrap());
        assert!(!ended.stderr.contains("error[internal]"), "{ended}");
        consistent(&project, round + 1);
    }
    project.until_quiet();
    exact(&project, 6);
}
