//! Arrivals by name, as the handlers bring them: what was not asked for is left alone, and what cannot be read holds nothing up.

use super::faults::{Dice, Fault};
use super::*;

const ONE: (&str, &str) = ("raw/t/1.csv", "id,at,amount\n1,2026-11-01,1\n");
const TWO: (&str, &str) = ("raw/t/2.csv", "id,at,amount\n2,2026-11-02,2\n");
const BAD: (&str, &str) = ("raw/t/bad.csv", "id,at,amount\nx,2026-11-02,3\n");
const MENDED: (&str, &str) = ("raw/t/bad.csv", "id,at,amount\n33,2026-11-02,3\n");

/// A table that is known, so that a bad object does not change its types.
async fn world(sql: &str) -> World {
    let mut world = World::two_days(Kind::Uploads).await;
    world.sql = [("sql/out/rows.sql".to_owned(), sql.to_owned())].into();
    assert!(world.runs().await.1.is_none());
    world
}

/// Receipts by the names of their inputs, and errors by their objects.
fn told(outcomes: Result<Vec<Outcome>>) -> Vec<String> {
    let name = |object: &str| object.rsplit('/').next().unwrap_or_default().to_owned();
    let of_run = |run: Result<Receipt>| match run {
        Ok(receipt) => receipt.inputs.iter().map(|input| name(&input.object)).collect::<Vec<_>>().join("+"),
        Err(error) => {
            format!("{} in {}", error.code, error.object.map(|place| name(&place.object)).unwrap_or_default())
        }
    };
    outcomes.unwrap().into_iter().flat_map(|outcome| outcome.runs).map(of_run).collect()
}

const PLAIN: &str = "SELECT id, amount FROM raw.t";
const MERGE: &str = "-- @write: merge\n-- @key: id\nSELECT id, amount FROM raw.t";

#[tokio::test]
async fn only_what_is_asked_for_is_processed() {
    let world = world(PLAIN).await;
    let known = world.rows("rows").await.len();
    world.upload("raw/t/8.csv", ONE.1).await;
    world.upload("raw/t/9.csv", TWO.1).await;
    assert_eq!(told(world.arrive(&["raw/t/8.csv"]).await), ["8.csv"]);
    assert_eq!(told(world.arrive(&["raw/t/8.csv", "raw/t/none.csv"]).await), Vec::<String>::new(), "a second delivery");
    assert_eq!(world.rows("rows").await.len(), known + 1);
    assert_eq!(told(world.arrive(&["raw/t/8.csv", "raw/t/9.csv"]).await), ["9.csv"]);
    assert_eq!(world.rows("rows").await.len(), known + 2);
}

#[tokio::test]
async fn a_run_goes_on_without_what_cannot_be_read() {
    for sql in [PLAIN, MERGE] {
        let world = world(sql).await;
        let before = world.rows("rows").await.len();
        for (object, text) in
            [("raw/t/8.csv", "id,at,amount\n8,2026-11-01,1\n"), BAD, ("raw/t/9.csv", "id,at,amount\n9,2026-11-01,1\n")]
        {
            world.upload(object, text).await;
        }
        let all = ["raw/t/8.csv", "raw/t/9.csv", BAD.0];
        assert_eq!(told(world.arrive(&all).await), ["8.csv+9.csv", "bad-record in bad.csv"]);
        assert_eq!(world.rows("rows").await.len(), before + 2);

        // It comes again, by itself, and still cannot be read: its run stays open.
        for _ in 0..2 {
            assert_eq!(told(world.arrive(&[BAD.0]).await), ["bad-record in bad.csv"]);
        }
        world.upload(MENDED.0, MENDED.1).await;
        assert_eq!(told(world.arrive(&[MENDED.0]).await), ["bad.csv"]);
        assert_eq!(world.rows("rows").await.len(), before + 3, "{sql}");
        assert_eq!(told(world.arrive(&[MENDED.0]).await), Vec::<String>::new());
        assert!(world.open_runs("rows").await.is_empty());

        // A correction of what was left out once, and read then.
        world.upload(MENDED.0, "id,at,amount\n33,2026-11-02,30\n").await;
        assert_eq!(told(world.arrive(&[MENDED.0]).await), ["bad.csv"]);
        assert_eq!(world.rows("rows").await.len(), before + 3, "{sql}");
    }
}

#[tokio::test]
async fn what_was_left_out_and_then_rebuilt_from_is_not_added_again() {
    let mut world = world(PLAIN).await;
    world.upload("raw/t/8.csv", "id,at,amount\n8,2026-11-01,1\n").await;
    world.upload(BAD.0, BAD.1).await;
    assert_eq!(told(world.arrive(&["raw/t/8.csv", BAD.0]).await), ["8.csv", "bad-record in bad.csv"]);
    let sql = "SELECT CAST(amount AS BIGINT) AS id, amount FROM raw.t";
    world.sql.insert("sql/out/rows.sql".into(), sql.into());
    world.run(true).await.unwrap();
    let rebuilt = world.rows("rows").await;
    assert_eq!(rebuilt.len(), 6, "four that were there, and one of each object");
    assert_eq!(told(world.arrive(&[BAD.0]).await), Vec::<String>::new());
    assert_eq!(world.rows("rows").await, rebuilt);
}

#[tokio::test]
async fn of_a_run_that_fails_for_an_unknown_object_each_is_tried_by_itself() {
    let mut world = world("SELECT id, CAST(amount AS INT) AS amount FROM raw.t").await;
    let before = world.rows("rows").await.len();
    for (object, amount) in [("raw/t/7.csv", "1"), ("raw/t/8.csv", "2"), ("raw/t/9.csv", "99999999999")] {
        world.upload(object, &format!("id,at,amount\n8,2026-11-01,{amount}\n")).await;
    }
    let all = ["raw/t/7.csv", "raw/t/8.csv", "raw/t/9.csv"];
    assert_eq!(told(world.arrive(&all).await), ["value-out-of-range in "], "which of them is not known");
    assert_eq!(told(world.arrive(&all[..1]).await), ["7.csv"]);
    assert_eq!(told(world.arrive(&all[2..]).await), ["value-out-of-range in "]);
    assert_eq!(told(world.arrive(&all[1..2]).await), ["8.csv"]);
    assert_eq!(world.rows("rows").await.len(), before + 2);
    // Once the SQL can read it, it is asked for again.
    world.sql.insert("sql/out/rows.sql".into(), "SELECT id, CAST(amount % 1000 AS INT) AS amount FROM raw.t".into());
    assert_eq!(told(world.arrive(&all[2..]).await), ["9.csv"]);
    assert_eq!(told(world.arrive(&all).await), Vec::<String>::new());
    assert_eq!(world.rows("rows").await.len(), before + 3);
    assert!(world.open_runs("rows").await.is_empty());
}

#[tokio::test]
async fn a_fault_while_a_run_is_divided_loses_and_doubles_nothing() {
    for fault in Fault::ALL {
        for effect in 1.. {
            let world = world(PLAIN).await;
            let before = world.rows("rows").await.len();
            for (object, text) in [("raw/t/8.csv", ONE.1), BAD, ("raw/t/9.csv", TWO.1)] {
                world.upload(object, text).await;
            }
            let all = ["raw/t/8.csv", "raw/t/9.csv", BAD.0];
            world.faults.plan(&[(effect, fault)]);
            let _ = world.arrive(&all).await;
            let through = world.faults.is_pending();
            world.faults.plan(&[]);
            // Each message comes again by itself.
            for object in all {
                let _ = world.delivered(&[object], true).await;
            }
            let context = format!("{fault:?} at effect {effect}");
            assert_eq!(world.rows("rows").await.len(), before + 2, "{context}");
            world.upload(MENDED.0, MENDED.1).await;
            let _ = world.arrive(&[MENDED.0]).await;
            let _ = world.delivered(&[MENDED.0], true).await;
            assert_eq!(world.rows("rows").await.len(), before + 3, "{context}");
            let announced: BTreeSet<String> = world.announced.lock().unwrap().iter().cloned().collect();
            assert_eq!(world.succeeded("rows").await, announced, "{context}");
            assert!(world.runs().await.1.is_none(), "{context}");
            assert!(world.open_runs("rows").await.is_empty(), "{context}");
            assert_eq!(world.rows("rows").await.len(), before + 3, "{context}");
            if through {
                break;
            }
        }
    }
}

const BY_DAY: &str = "-- @write: overwrite_partitions\n-- @partition: day\n\
     SELECT count(*) AS n, CAST(at AS DATE) AS day FROM raw.t GROUP BY CAST(at AS DATE)";
const TOTAL: &str = "SELECT count(*) AS n FROM raw.t";

/// As a queue has it: a message comes again until it was processed once.
#[tokio::test]
async fn whatever_fails_a_message_that_comes_again_ends_its_runs_and_they_are_told() {
    for (sql, more) in [(PLAIN, 2), (MERGE, 2), (BY_DAY, 0), (TOTAL, 0)] {
        for fault in Fault::ALL {
            for effect in 1.. {
                let world = world(sql).await;
                let before = world.rows("rows").await;
                world.upload("raw/t/8.csv", "id,at,amount\n8,2026-11-01,1\n").await;
                world.upload("raw/t/9.csv", "id,at,amount\n9,2026-11-02,1\n").await;
                let all = ["raw/t/8.csv", "raw/t/9.csv"];
                let context = format!("{sql}, {fault:?} at effect {effect}");
                world.faults.plan(&[(effect, fault)]);
                let first = world.arrive(&all).await;
                let through = world.faults.is_pending();
                world.faults.plan(&[]);
                let is_ok = |outcome: &Result<Vec<Outcome>>| match outcome {
                    Ok(outcomes) => outcomes.iter().flat_map(|outcome| &outcome.runs).all(Result::is_ok),
                    Err(_) => false,
                };
                if !is_ok(&first) {
                    assert!(is_ok(&world.delivered(&all, true).await), "{context}");
                }
                let after = world.rows("rows").await;
                assert_eq!(after.len(), before.len() + more, "{context}");
                assert_ne!(after, before, "{context}");
                let announced: BTreeSet<String> = world.announced.lock().unwrap().iter().cloned().collect();
                assert_eq!(world.succeeded("rows").await, announced, "{context}");
                // A run that died before it had claimed anything is all that can be left.
                assert_eq!(world.runs().await.0, Vec::<String>::new(), "{context}");
                assert!(world.open_runs("rows").await.is_empty() && world.rows("rows").await == after, "{context}");
                if through {
                    break;
                }
            }
        }
    }
}

/// Stories of workers that get their messages once: of those that make a table or its partitions anew, and of the others.
const SEEDS_ANEW: u64 = 120;
const SEEDS: u64 = 30;

/// Each message is delivered until it was taken, and then never again: nothing else brings a table up to date. Of two workers that
/// make a table anew, the one that knows less must not have the last word.
#[tokio::test]
async fn each_arrival_once_is_enough_however_many_workers_there_are() {
    for (sql, seeds) in [(TOTAL, SEEDS_ANEW), (BY_DAY, SEEDS_ANEW), (PLAIN, SEEDS), (MERGE, SEEDS)] {
        for seed in 0..seeds {
            let mut dice = Dice::new(seed);
            let world = world(sql).await;
            let before = world.rows("rows").await.len();
            let workers: Vec<World> = (1..=3).map(|number| world.process(number)).collect();
            let mut tasks = Vec::new();
            for (number, worker) in workers.iter().enumerate() {
                worker.faults.pace(dice.split());
                let pause = dice.below(400);
                tasks.push(async move {
                    for _ in 0..pause {
                        tokio::task::yield_now().await;
                    }
                    let object = format!("raw/t/{}.csv", 10 + number);
                    worker.upload(&object, &format!("id,at,amount\n{},2026-11-01,1\n", 10 + number)).await;
                    let mut again = false;
                    while told(worker.delivered(&[&object], again).await).iter().any(|told| told.contains(" in ")) {
                        again = true;
                    }
                });
            }
            futures::future::join_all(tasks).await;
            let rows = world.rows("rows").await;
            let context = format!("{sql}, seed {seed}: {rows:?}");
            match sql {
                TOTAL => assert_eq!(rows, [format!("{}", 4 + workers.len())], "{context}"),
                BY_DAY => assert!(rows.iter().any(|row| row.starts_with("4|")), "{context}"),
                _ => assert_eq!(rows.len(), before + workers.len(), "{context}"),
            }
            assert!(world.open_runs("rows").await.is_empty(), "{context}");
        }
    }
}
