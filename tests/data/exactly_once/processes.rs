//! Several processes at the same time on one data folder.

use super::{consistent, events, exact, put};
use crate::project::{Ended, Project};

/// Runs several processes at once; each may lose a race, none may fail in another way.
pub(crate) fn at_once(project: &Project, processes: usize) {
    let children: Vec<_> = (0..processes).map(|_| project.command(&["run"]).spawn().unwrap()).collect();
    for child in children {
        let ended = Ended::of(child.wait_with_output().unwrap());
        for error in ended.errors() {
            assert!(error.starts_with("error[conflict]"), "{ended}");
        }
    }
}

fn several(processes: usize) {
    let project = events();
    for round in 0..3 {
        for n in 0..4 {
            put(&project, round * 4 + n);
        }
        at_once(&project, processes);
        consistent(&project, (round + 1) * 4);
    }
    project.until_quiet();
    exact(&project, 12);
}

#[test]
fn two_processes() {
    several(2);
}

#[test]
fn four_processes() {
    several(4);
}

#[test]
fn two_processes_that_overwrite() {
    let project = Project::new(&[(
        "marts/by_day",
        "-- @partition: day\nSELECT day, count(*) AS n, sum(id) AS s FROM raw.events GROUP BY day",
    )]);
    for round in 0..4 {
        put(&project, round);
        at_once(&project, 2);
        project.until_quiet();
        let rows = project.rows("marts.by_day");
        let counted: usize = rows.iter().map(|row| row.split('|').next().unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!(counted, (round + 1) * super::ROWS, "{rows:?}");
    }
}

#[test]
fn objects_that_arrive_while_several_run() {
    let project = events();
    put(&project, 0);
    let children: Vec<_> = (0..2).map(|_| project.command(&["run"]).spawn().unwrap()).collect();
    for n in 1..12 {
        put(&project, n);
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
    for child in children {
        let ended = Ended::of(child.wait_with_output().unwrap());
        assert!(ended.errors().iter().all(|error| error.starts_with("error[conflict]")), "{ended}");
    }
    project.until_quiet();
    exact(&project, 12);
}
