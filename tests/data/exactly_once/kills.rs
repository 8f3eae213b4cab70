//! Runs that are killed.

use std::thread::sleep;
use std::time::{Duration, Instant};

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

#[test]
fn killed_twenty_times_and_run_again() {
    // How long an undisturbed run takes here is how late a kill may come.
    let other = events();
    for n in 0..4 {
        put(&other, n);
    }
    let started = Instant::now();
    other.run().clean();
    let typical = started.elapsed().as_millis() as u64;

    let project = events();
    let mut seeded = Seeded::new(20);
    let (mut objects, mut killed) = (0, 0);
    for attempt in 0..20 {
        for _ in 0..seeded.below(3) {
            put(&project, objects);
            objects += 1;
        }
        let mut child = project.command(&["run"]).spawn().unwrap();
        sleep(Duration::from_millis(seeded.below(typical + 50)));
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        if attempt % 4 == 3 {
            consistent(&project, objects);
        }
    }
    assert!(killed >= 5, "only {killed} of 20 runs were still running when they were killed");
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
