//! What the records of a run say: what it replaces, and what it wrote.

use super::*;
use crate::record::Commit;

const BY_DAY: &str = "-- @write: overwrite_partitions\n-- @partition: day\n\
     SELECT count(*) AS n, sum(amount) AS total, CAST(at AS DATE) AS day FROM raw.t GROUP BY CAST(at AS DATE)";
const FLAT: &str = "SELECT id, amount FROM raw.t";

/// A world whose only transform has run once.
async fn after_a_run(kind: Kind, sql: &str) -> World {
    let mut world = World::two_days(kind).await;
    world.sql = [("sql/out/rows.sql".to_owned(), sql.to_owned())].into();
    run(&world).await;
    world
}

async fn run(world: &World) {
    let (done, failed) = world.runs().await;
    assert!(failed.is_none() && done.len() == 1, "{done:?} {failed:?}");
}

/// The newest commit of `out.rows`: run ids begin with the time.
async fn newest(world: &World) -> Commit {
    let ledger = Ledger::new(world.clean.clone(), &TableName::new("out", "rows").unwrap());
    let run_id = ledger.runs().await.unwrap().into_keys().next_back().unwrap();
    ledger.commit(&run_id).await.unwrap().unwrap()
}

fn places(commit: &Commit) -> Vec<&str> {
    commit.swap.as_ref().unwrap().from.iter().map(|partition| partition.location.as_str()).collect()
}

#[tokio::test]
async fn a_commit_names_the_partitions_that_it_replaces() {
    let world = after_a_run(Kind::Uploads, BY_DAY).await;
    let first = newest(&world).await;
    let swap = first.swap.clone().unwrap();
    assert!(swap.whole && !swap.commutes, "the first run makes the whole table: its place among others matters");
    assert!(places(&first).is_empty() && swap.vanished.is_empty());
    let basis = swap.basis.unwrap();
    assert_eq!((&basis.run_id, basis.version), (&first.receipt.run_id, 1), "it is a rebuild");

    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-01,5\n6,2026-11-05,6\n").await;
    let before = world.location("rows", "2026-11-01").await;
    run(&world).await;
    let second = newest(&world).await;
    let swap = second.swap.as_ref().unwrap();
    assert!(!swap.whole && swap.commutes, "runs on other partitions may come before or after it");
    assert_eq!(places(&second), [before]);
    assert_eq!((swap.absorbed.len(), swap.vanished.len()), (1, 0));
    assert_eq!(swap.basis, Some(basis), "the last rebuild is the one before");

    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-01,5\n").await;
    run(&world).await;
    assert_eq!(newest(&world).await.swap.unwrap().vanished, [[Some("2026-11-05".to_owned())]]);
}

#[tokio::test]
async fn a_commit_of_a_table_without_partitions_replaces_all_of_it() {
    let world = after_a_run(Kind::Uploads, FLAT).await;
    assert!(newest(&world).await.swap.is_none(), "it appends");
    let catalog = EmbeddedCatalog::new(world.clean.clone());
    let table = catalog.table(&TableName::new("out", "rows").unwrap()).await.unwrap().unwrap();
    // One object after the other comes again without a row.
    for (object, rest) in [("raw/t/2.csv", 3), ("raw/t/1.csv", 0)] {
        world.upload(object, "id,at,amount\n").await;
        run(&world).await;
        let commit = newest(&world).await;
        let swap = commit.swap.as_ref().unwrap();
        assert!(swap.whole && !swap.commutes && swap.vanished.is_empty(), "{swap:?}");
        assert!(swap.basis.is_none(), "nothing was rebuilt");
        assert_eq!(swap.absorbed.len(), 1);
        assert_eq!(world.rows("rows").await.len(), rest);
        if rest > 0 {
            assert_eq!(places(&commit), [table.location.as_str()]);
        }
    }
}

#[tokio::test]
async fn a_correction_waits_for_its_turn() {
    let world = after_a_run(Kind::Uploads, APPEND).await;
    world.upload("raw/t/2.csv", "id,at,amount\n4,2026-11-02,7\n").await;
    run(&world).await;
    let swap = newest(&world).await.swap.unwrap();
    assert!(!swap.whole && !swap.commutes, "it has read rows of the table");
}

#[tokio::test]
async fn a_receipt_counts_what_was_written() {
    let world = after_a_run(Kind::Uploads, APPEND).await;
    let receipt = newest(&world).await.receipt;
    let mut listed = world.clean.store().list(Some(&world.clean.path("out/rows").unwrap()));
    let mut files = Vec::new();
    while let Some(meta) = listed.try_next().await.unwrap() {
        files.push((world.clean.url(&meta.location), meta.size));
    }
    assert_eq!((receipt.rows, receipt.files), (3, files.len() as u64));
    assert_eq!(receipt.bytes, files.iter().map(|(_, size)| size).sum::<u64>());
    let days = [("2026-11-01", 1), ("2026-11-02", 2)];
    assert_eq!(receipt.partitions.len(), days.len());
    for (written, (day, rows)) in receipt.partitions.iter().zip(days) {
        let inside: Vec<u64> =
            files.iter().filter(|(url, _)| url.starts_with(&written.location)).map(|(_, size)| *size).collect();
        assert_eq!(written.values["day"].as_deref(), Some(day));
        assert_eq!((written.rows, written.files), (rows, inside.len() as u64), "{day}");
        assert_eq!(written.bytes, inside.iter().sum::<u64>(), "{day}");
    }
}

#[tokio::test]
async fn a_run_that_nobody_overtook_leaves_its_files_where_it_meant_them() {
    let world = after_a_run(Kind::Uploads, APPEND).await;
    assert!(world.invoke(true).await.1.is_none());
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-01,5\n6,2026-11-04,6\n").await;
    run(&world).await;
    let commit = newest(&world).await;
    assert_eq!(commit.base, 1);
    for partition in &commit.partitions {
        let day = partition.values[0].as_deref().unwrap();
        assert_eq!(world.location("rows", day).await, partition.location);
    }
    let listed = world.clean.store().list(Some(&world.clean.path("out/rows").unwrap()));
    let listed: Vec<_> = listed.try_collect().await.unwrap();
    let copies = listed.iter().filter(|meta| meta.location.filename().unwrap().contains(&commit.receipt.run_id));
    assert_eq!(copies.count(), commit.files.len(), "no file was copied");
}

/// Whatever a run leaves, wherever it dies, lies where no reader of any table looks.
#[tokio::test]
async fn what_is_staged_lies_in_the_ledger() {
    let mut staged = 0;
    for effect in 1.. {
        let mut world = World::two_days(Kind::Files).await;
        world.sql = [("sql/out/rows.sql".to_owned(), FLAT.to_owned())].into();
        world.dies_at(effect, true);
        world.runs().await;
        let objects: Vec<_> =
            world.clean.store().list(Some(&world.clean.path("").unwrap())).try_collect().await.unwrap();
        for object in objects {
            let url = world.clean.url(&object.location);
            let path = world.clean.relative(&url).unwrap();
            assert!(["raw/", "out/rows/", "_unglue/"].iter().any(|folder| path.starts_with(folder)), "{path}");
            staged += u64::from(path.starts_with("_unglue/out/rows/runs/") && path.contains("/staged/"));
        }
        if !world.revived() {
            break;
        }
    }
    assert!(staged > 0, "some died with a staged file");
}
