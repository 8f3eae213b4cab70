//! One process waits at each of its requests in turn, while another does all of its work and that which it finds begun.

use std::cell::Cell;
use std::collections::BTreeMap;

use futures::FutureExt;

use super::interleaving::{Row, Way, upload};
use super::*;

/// What a process finds, or is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    New,
    Changed,
    /// `run --full-refresh`, with a new object.
    Refresh,
}

use Task::{Changed, New, Refresh};

/// A table of the rows as they are, without partitions.
const FLAT: &str = "SELECT id, amount FROM raw.t";

struct Pair {
    way: Way,
    flat: bool,
    tasks: [Task; 2],
}

impl Pair {
    /// The objects that come for a process. Rows of both processes come to the same partitions, and to some of their own.
    fn arrivals(&self, process: usize) -> (u64, Vec<Row>) {
        let id = 10 * (process as u64 + 1);
        let rows = vec![(id, 2, id), (id + 1, 3, id + 1), (id + 2, 4 + process as u64, id + 2)];
        let object = if self.tasks[process] == Changed { process as u64 } else { 2 + process as u64 };
        (object, rows)
    }

    fn expected(&self, objects: &BTreeMap<u64, Vec<Row>>) -> Vec<String> {
        let rows = self.way.rows(&objects.values().collect::<Vec<_>>());
        if !self.flat {
            return rows;
        }
        rows.iter().map(|row| row.rsplit_once('|').unwrap().0.to_owned()).collect()
    }

    /// How many requests the first process was held at.
    async fn play(&self) -> u64 {
        let mut base = World::new(Kind::Uploads);
        base.sql = [("sql/out/rows.sql".to_owned(), if self.flat { FLAT } else { self.way.sql() }.to_owned())].into();
        let mut objects: BTreeMap<u64, Vec<Row>> = [(0, vec![(1, 1, 1), (2, 2, 2)]), (1, vec![(3, 2, 3)])].into();
        for (object, rows) in &objects {
            upload(&base, *object, rows).await;
        }
        let (_, failed) = base.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        let arrivals = [self.arrivals(0), self.arrivals(1)];
        objects.extend(arrivals.iter().cloned());
        let [first, second] = arrivals;
        for request in 1.. {
            let world = base.fork();
            upload(&world, first.0, &first.1).await;
            let workers = [world.process(1), world.process(2)];
            workers[0].faults.hold(request);
            let (ended, held) = (Cell::new(false), Cell::new(false));
            let one = async {
                let _ = workers[0].invoke(self.tasks[0] == Refresh).await;
                ended.set(true);
            }
            .boxed_local();
            let other = async {
                while !ended.get() && !workers[0].faults.is_held() {
                    tokio::task::yield_now().await;
                }
                held.set(!ended.get());
                upload(&world, second.0, &second.1).await;
                let _ = workers[1].invoke(self.tasks[1] == Refresh).await;
                workers[0].faults.let_on();
            }
            .boxed_local();
            futures::join!(one, other);
            self.settle(&world, &objects, request).await;
            if !held.get() {
                return request - 1;
            }
        }
        0
    }

    async fn settle(&self, world: &World, objects: &BTreeMap<u64, Vec<Row>>, request: u64) {
        let context = format!("{:?}, {}, {:?} held at request {request}", self.way, self.flat, self.tasks);
        for attempt in 0.. {
            let (done, failed) = world.invoke(false).await;
            if done.is_empty() && failed.is_none() && world.open_runs("rows").await.is_empty() {
                break;
            }
            assert!(attempt < 8, "{context}: it never becomes quiet: {done:?} {failed:?}");
        }
        if world.rows("rows").await != self.expected(objects) {
            eprintln!("{}", world.ledger("rows").await);
        }
        assert_eq!(world.rows("rows").await, self.expected(objects), "{context}");
    }
}

async fn play(way: Way, flat: bool, pairs: &[[Task; 2]]) {
    for tasks in pairs {
        let requests = Pair { way, flat, tasks: *tasks }.play().await;
        eprintln!("{way:?}, {tasks:?}: held at {requests} requests");
        assert!(requests > 20, "only {requests} requests");
    }
}

#[tokio::test]
async fn runs_that_append_and_rebuild() {
    play(Way::Append, false, &[[New, Refresh], [Refresh, New]]).await;
}

#[tokio::test]
async fn runs_that_append_and_correct() {
    play(Way::Append, false, &[[New, Changed], [Changed, New], [Changed, Changed]]).await;
}

#[tokio::test]
async fn runs_on_a_table_without_partitions() {
    play(Way::Append, true, &[[New, Refresh], [Refresh, New], [New, Changed], [Changed, New]]).await;
}

#[tokio::test]
async fn runs_that_overwrite_partitions_or_merge() {
    play(Way::Partitions, false, &[[New, New], [Changed, New], [New, Changed]]).await;
    play(Way::Merge, false, &[[New, New]]).await;
}
