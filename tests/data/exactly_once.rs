//! Whatever happens on the way, every row is in the table exactly once.

mod changes;
mod kills;
mod processes;

use crate::project::Project;

pub(crate) use kills::{Seeded, WAYS, killed};
pub(crate) use processes::at_once;

/// Rows of one object of `raw.events`.
const ROWS: usize = 400;

/// Days, and so partitions.
const DAYS: usize = 5;

/// `facts.events` appends the rows of each object, by day; `marts.total` counts all of them, `marts.by_day` each day's.
pub(crate) const EVENTS: [(&str, &str); 3] = [
    ("facts/events", "-- @partition: day\nSELECT id, day FROM raw.events"),
    ("marts/total", "SELECT count(*) AS n, sum(id) AS s FROM raw.events"),
    ("marts/by_day", "-- @partition: day\nSELECT day, count(*) AS n, sum(id) AS s FROM raw.events GROUP BY day"),
];

fn events() -> Project {
    Project::new(&EVENTS)
}

/// The n-th object: ids that no other has, spread over the days.
fn object(n: usize) -> String {
    let mut text = String::from("id,day\n");
    for id in n * ROWS..(n + 1) * ROWS {
        text.push_str(&format!("{id},2026-11-{:02}\n", 1 + id % DAYS));
    }
    text
}

pub(crate) fn put(project: &Project, n: usize) {
    project.put(&format!("raw/events/{n:03}.csv"), object(n));
}

/// The rows of `facts.events` over the first objects.
fn facts(objects: usize) -> Vec<String> {
    let mut rows: Vec<String> = (0..objects * ROWS).map(|id| format!("{id}|2026-11-{:02}", 1 + id % DAYS)).collect();
    rows.sort();
    rows
}

/// The row of `marts.total` over the first objects.
fn total(objects: usize) -> String {
    let n = objects * ROWS;
    format!("{n}|{}", n * n.saturating_sub(1) / 2)
}

/// All three tables hold exactly the rows of the first objects, and no reader sees a file that belongs to none of them.
#[track_caller]
pub(crate) fn exact(project: &Project, objects: usize) {
    let table = project.table("facts.events");
    let (files, rows) = (table.files, table.sorted());
    assert_eq!(rows.len(), objects * ROWS, "rows of facts.events");
    assert!(rows == facts(objects), "facts.events has the right number of rows, but not the right ones");
    assert_eq!(project.visible("facts/events").len(), files, "a reader of **/*.parquet must see the same files");
    assert_eq!(project.rows("marts.total"), [total(objects)]);
    let by_day = project.rows("marts.by_day");
    assert_eq!(by_day.len(), DAYS);
    let counted: usize = by_day.iter().map(|row| row.split('|').next().unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(counted, objects * ROWS, "rows of marts.by_day: {by_day:?}");
}

/// What a reader may see at any time: no row twice, none that is not of an object, and aggregates of a whole set of objects.
#[track_caller]
pub(crate) fn consistent(project: &Project, objects: usize) {
    let rows = project.rows("facts.events");
    assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "a reader sees a row twice");
    let possible = facts(objects);
    assert!(rows.iter().all(|row| possible.binary_search(row).is_ok()), "a reader sees a row that never arrived");
    let totals = project.rows("marts.total");
    let seen = (0..=objects).any(|objects| totals == [total(objects)]);
    assert!(totals.is_empty() || seen, "a reader sees half of marts.total: {totals:?}");
}
