//! Runs from end to end: files in, table out, whatever fails on the way.

mod arrivals;
mod crash;
mod due;
mod faults;
mod interleaving;
mod modes;
mod preemption;
mod records;
mod requests;
mod staging;
mod upkeep;
mod world;

use futures::TryStreamExt;

use super::*;
use crate::catalog::EmbeddedCatalog;
use crate::code::Code;
use world::{APPEND, Kind, World};

const ROWS: [&str; 3] = ["1|1.5|2026-11-01", "2|2.0|2026-11-02", "4|4.0|2026-11-02"];

#[tokio::test]
async fn only_new_files_are_processed() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = World::two_days(kind).await;
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 2", "out.by_day 2", "out.total 2"]);
        assert_eq!(world.rows("rows").await, ROWS);
        assert_eq!(world.rows("total").await, ["3|7"]);
        assert_eq!(world.rows("by_day").await, ["1|2026-11-01", "2|2026-11-02"]);

        assert_eq!(world.runs().await.0, Vec::<String>::new(), "a second run does nothing");

        world.upload("raw/t/3.csv", "amount,id,at\n5,5,2026-11-03\n").await;
        assert_eq!(world.runs().await.0, ["out.rows 1", "out.by_day 3", "out.total 3"]);
        assert_eq!(world.rows("rows").await, [&ROWS[..], &["5|5.0|2026-11-03"]].concat());
        assert_eq!(world.rows("total").await, ["4|12"]);
        assert_eq!(world.rows("by_day").await.len(), 3);
    }
}

#[tokio::test]
async fn a_death_at_any_write_loses_and_doubles_nothing() {
    let mut points = 0;
    for kind in [Kind::Uploads, Kind::Files] {
        for after in [false, true] {
            for write in 1.. {
                let world = World::two_days(kind).await;
                world.dies_at(write, after);
                let (_, failed) = world.runs().await;
                let died = world.revived();
                // What a reader sees in between is whole files of right rows, none twice.
                let seen = world.rows("rows").await;
                assert!(seen.iter().all(|row| ROWS.contains(&row.as_str())), "{kind:?} {after} {write}: {seen:?}");
                assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{kind:?} {after} {write}: {seen:?}");
                if !died {
                    assert!(failed.is_none(), "{failed:?}");
                    break;
                }
                points += 1;
                let (_, failed) = world.runs().await;
                assert!(failed.is_none(), "{kind:?} {after} {write}: {failed:?}");
                assert_eq!(world.rows("rows").await, ROWS, "{kind:?} {after} {write}");
                assert_eq!(world.rows("total").await, ["3|7"], "{kind:?} {after} {write}");
                assert_eq!(world.rows("by_day").await, ["1|2026-11-01", "2|2026-11-02"], "{kind:?} {after} {write}");
                assert_eq!(world.open_runs("rows").await, Vec::<String>::new(), "{kind:?} {after} {write}");
            }
        }
    }
    eprintln!("{points} writes were interrupted");
    assert!(points > 60, "only {points} writes were interrupted");
}

#[tokio::test]
async fn two_workers_at_once_double_nothing() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = World::two_days(kind).await;
        let (a, b, c) = futures::join!(world.runs(), world.runs(), world.runs());
        let quiet = world.runs().await;
        assert!(quiet.1.is_none(), "{quiet:?}");
        assert_eq!(world.rows("rows").await, ROWS, "{a:?} {b:?} {c:?}");
        assert_eq!(world.rows("total").await, ["3|7"]);
        assert_eq!(world.rows("by_day").await, ["1|2026-11-01", "2|2026-11-02"]);
    }
}

#[tokio::test]
async fn a_failed_run_leaves_the_table_as_it_was_and_a_mended_object_completes_it() {
    let world = World::two_days(Kind::Uploads).await;
    world.runs().await;
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n6,2026-11-03,x\n").await;
    world.upload("raw/t/4.csv", "id,at,amount\n7,2026-11-03,7\n").await;
    let (_, failed) = world.runs().await;
    assert_eq!(failed.unwrap().code, Code::BadRecord);
    assert_eq!(world.rows("rows").await, ROWS);
    let uploads: Vec<_> = world.root.store().list(Some(&world.root.path("out").unwrap())).try_collect().await.unwrap();
    let before = uploads.len();
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    let (done, failed) = world.runs().await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(done[..2], ["out.rows 1", "out.rows 1"], "the rest of the failed run, then the mended object");
    assert_eq!(world.rows("rows").await, [&ROWS[..], &["5|5.0|2026-11-03", "7|7.0|2026-11-03"]].concat());
    assert!(before > 0);
}

#[tokio::test]
async fn an_open_run_does_not_append_to_a_table_that_is_now_rebuilt() {
    let mut world = World::two_days(Kind::Uploads).await;
    world.dies_at(6, false);
    assert!(world.runs().await.1.is_some());
    assert!(world.revived());
    world.sql = [("sql/out/rows.sql".into(), "SELECT max(id) AS id FROM raw.t".into())].into();
    assert!(world.runs().await.1.is_none());
    assert_eq!(world.rows("rows").await, ["4"]);
}

#[tokio::test]
async fn the_definition_may_grow_but_not_break() {
    let mut world = World::two_days(Kind::Uploads).await;
    world.runs().await;
    world.sql.insert("sql/out/rows.sql".into(), APPEND.replace("amount,", "amount, 'x' AS added, -- New\n"));
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    assert!(world.runs().await.1.is_none());
    let catalog = EmbeddedCatalog::new(world.root.clone());
    let table = catalog.table(&TableName::new("out", "rows").unwrap()).await.unwrap().unwrap();
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "amount", "added"]);
    assert_eq!(table.columns[2].comment.as_deref(), Some("New"));

    world
        .sql
        .insert("sql/out/rows.sql".into(), APPEND.replace("amount,", "CAST(amount AS INT) AS amount, 'x' AS added,"));
    world.upload("raw/t/4.csv", "id,at,amount\n6,2026-11-03,6\n").await;
    assert_eq!(world.runs().await.1.unwrap().code, Code::SchemaChanged);
}

#[tokio::test]
async fn checks_and_limits_stop_a_run_before_anything_is_visible() {
    let cases = [
        ("-- @assert: amount < 2\n", Code::CheckFailed),
        ("-- @not_null: nothing\n", Code::CheckFailed),
        ("-- @max_partitions: 1\n", Code::TooManyPartitions),
    ];
    for (header, code) in cases {
        let mut world = World::two_days(Kind::Uploads).await;
        let query = APPEND.replace("amount,", "amount, NULLIF(id, 4) AS nothing,");
        world.sql = [("sql/out/rows.sql".to_owned(), format!("{header}{query}"))].into();
        let (_, failed) = world.runs().await;
        let failed = failed.unwrap();
        assert_eq!(failed.code, code, "{failed}");
        assert_eq!(failed.transform.as_deref(), Some("out.rows"));
        assert_eq!(world.rows("rows").await, Vec::<String>::new());
        let visible: Vec<_> =
            world.root.store().list(Some(&world.root.path("out").unwrap())).try_collect().await.unwrap();
        assert_eq!(visible, Vec::new());
    }
}

#[tokio::test]
async fn a_table_of_someone_else_is_never_written() {
    let mut world = World::two_days(Kind::Uploads).await;
    world.runs().await;
    // Found in the data folder before there was a transform of this name.
    world.upload("out/other/x.csv", "id\n1\n").await;
    world.runs().await;
    world.sql.insert("sql/out/other.sql".into(), "SELECT id FROM raw.t".into());
    let (_, failed) = world.runs().await;
    assert_eq!(failed.unwrap().code, Code::ForeignTable);

    // Not found before, because the folder belonged to a transform from the first run on.
    let world = World::two_days(Kind::Uploads).await;
    world.upload("out/rows/x.csv", "id\n1\n").await;
    let failed = world.runs().await.1.unwrap();
    assert_eq!((failed.code, failed.object.unwrap().object), (Code::ForeignTable, "memory://b/out/rows/x.csv".into()));
}

#[tokio::test]
async fn now_is_bound_to_the_run() {
    let mut world = World::two_days(Kind::Uploads).await;
    world.sql = [("sql/out/rows.sql".into(), "SELECT id, CAST(now() AS TIMESTAMP) AS at FROM raw.t".into())].into();
    // The first attempt dies while it stages; the second, at a later time, carries the same run on.
    world.dies_at(6, false);
    assert!(world.runs().await.1.is_some());
    assert!(world.revived());
    world.runs().await;
    let times: BTreeSet<String> = world.rows("rows").await.iter().map(|row| row[2..].to_owned()).collect();
    assert_eq!(times, BTreeSet::from(["1970-01-01T00:00:00".to_owned()]));
}

#[tokio::test]
async fn a_full_refresh_rebuilds_and_later_files_are_still_added_once() {
    for kind in [Kind::Uploads, Kind::Files] {
        for write in (1..).step_by(3) {
            let mut world = World::two_days(kind).await;
            world.runs().await;
            // Rows that the new definition would not give.
            world.sql.insert("sql/out/rows.sql".into(), APPEND.replace("amount > 0", "amount > 1.7"));
            assert_eq!(world.runs().await.0, Vec::<String>::new(), "what was appended stays");
            world.dies_at(write, write % 2 == 0);
            world.invoke(true).await;
            let died = world.revived();
            world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-02,5\n").await;
            let (_, failed) = world.runs().await;
            assert!(failed.is_none(), "{kind:?} {write}: {failed:?}");
            world.invoke(true).await;
            world.upload("raw/t/4.csv", "id,at,amount\n6,2026-11-02,6\n7,2026-11-07,7\n").await;
            world.runs().await;
            let rows =
                ["2|2.0|2026-11-02", "4|4.0|2026-11-02", "5|5.0|2026-11-02", "6|6.0|2026-11-02", "7|7.0|2026-11-07"];
            assert_eq!(world.rows("rows").await, rows, "{kind:?} {write}");
            assert_eq!(world.rows("total").await, ["5|24"], "{kind:?} {write}");
            if !died {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_bad_header_and_a_bad_query_are_told_in_one_pass() {
    let world = World::two_days(Kind::Uploads).await;
    world.runs().await;
    let sql = b"-- @compresion: snappy\n-- @driving: raw.nothing\nSELECT idd FROM raw.t".to_vec();
    let (project, errors) = Project::parse(vec![("sql/out/new.sql".into(), sql)]);
    let checked = world.engine().check(&project).await.unwrap();
    let codes: Vec<_> = errors.iter().chain(&checked.errors).map(|error| error.code).collect();
    assert_eq!(codes, [Code::UnknownKey, Code::BadDriving, Code::UnknownColumn]);
    assert!(checked.planned.is_empty(), "it must not run");
}
