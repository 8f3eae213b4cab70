//! Gc is led into temptation: files that look like garbage and are not.

use super::*;
use crate::publish::Publisher;
use crate::stage::{Held, Stage};
use crate::table::{Partition, PartitionChange};

/// `raw.t` is appended to `out.rows`, then one of its objects changes, so that partitions are replaced.
async fn corrected(kind: Kind) -> World {
    let world = appending(kind).await;
    world.rest().await;
    world.upload("raw/t/1.csv", "id,at,amount\n1,2026-11-01,7\n").await;
    world.rest().await;
    world
}

fn files(collected: &[Collected]) -> [u64; 4] {
    let table = &collected[0];
    [table.replaced.files, table.staged.files, table.too_young.files, table.held.files]
}

#[tokio::test]
async fn replaced_files_go_after_the_retention_and_not_before() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = corrected(kind).await;
        let before = world.rows("rows").await;
        let replaced_at = world.latest().await;
        // Two partitions held rows of the object that changed; the other file of the second was rewritten with it.
        let nearly = replaced_at + TimeDelta::days(1) - TimeDelta::nanoseconds(1);
        let young = world.gc_at(nearly).await.unwrap();
        assert_eq!(files(&young), [0, 0, 2, 0], "{young:?}");
        let transform = world.transform("rows");
        let dry =
            world.engine().gc(&transform, TimeDelta::days(1), replaced_at + TimeDelta::days(1), true).await.unwrap();
        assert_eq!(dry.replaced.files, 2);
        assert!(dry.replaced.bytes > 0);
        let real = world.gc_at(replaced_at + TimeDelta::days(1)).await.unwrap();
        assert_eq!(real[0].replaced, dry.replaced, "what was promised is what is done");
        assert_eq!(files(&world.gc().await), [0, 0, 0, 0], "nothing is left");
        assert_eq!(world.rows("rows").await, before);
    }
}

#[tokio::test]
async fn files_that_unglue_did_not_write_stay() {
    let world = corrected(Kind::Uploads).await;
    let own = world.paths("out/rows").await;
    let replaced = own.iter().find(|path| !path.contains("/v-")).unwrap().clone();
    let name = replaced.rsplit('/').next().unwrap();
    let run_id = crate::inputs::run_of_file(name).unwrap();
    let others = [
        "out/rows/notes.txt".to_owned(),
        "out/rows/day=2026-11-01/data.parquet".to_owned(),
        // As runs name their files, but of none in this ledger, or not of those that it wrote.
        "out/rows/day=2026-11-01/part-20261101t000000z-0123456789ab-01234567-0.parquet".to_owned(),
        format!("out/rows/day=2026-11-01/part-{run_id}-01234567-0.parquet"),
        "out/rows/v-20261101t000000z-0123456789ab/day=2026-11-01/x.parquet".to_owned(),
        format!("out/rows/v-20261101t000000z-0123456789ab/day=2026-11-01/{name}"),
        // Other tables' folders, also one that begins alike.
        format!("out/rows2/day=2026-11-01/{name}"),
        format!("out/{name}"),
        format!("raw/t/{name}"),
    ];
    for path in &others {
        world.upload(path, "something").await;
    }
    world.gc().await;
    for path in &others {
        assert!(world.clean.store().head(&Path::from(path.as_str())).await.is_ok(), "{path}");
    }
    assert!(world.clean.store().head(&Path::from(replaced)).await.is_err(), "what was replaced went");
}

#[tokio::test]
async fn a_location_that_someone_pointed_back_to_stays() {
    let world = corrected(Kind::Uploads).await;
    let replaced = world.paths("out/rows/day=2026-11-01").await;
    assert_eq!(replaced.len(), 1);
    let catalog = EmbeddedCatalog::new(world.clean.clone());
    let name = TableName::new("out", "rows").unwrap();
    let known = catalog.partitions(&name).await.unwrap().remove(0);
    let newest = world.paths("out/rows").await.into_iter().find(|path| path.contains("/v-") && path.contains("-01/"));
    let back = Partition { location: "memory://b/out/rows/day=2026-11-01/".into(), ..known.clone() };
    let change = PartitionChange { values: known.values, from: Some(known.location), to: Some(back) };
    catalog.change_partitions(&name, &[change]).await.unwrap();
    world.gc().await;
    assert_eq!(world.paths("out/rows/day=2026-11-01").await, replaced, "the catalog shows it");
    assert!(world.paths("out/rows").await.contains(&newest.unwrap()), "and the newest version is not garbage");
}

#[tokio::test]
async fn without_the_table_in_the_catalog_nothing_of_it_goes() {
    let world = corrected(Kind::Uploads).await;
    let before = world.paths("out").await;
    for path in world.paths("_unglue/_catalog/out").await {
        world.clean.store().delete(&Path::from(path)).await.unwrap();
    }
    world.gc().await;
    assert_eq!(world.paths("out").await, before);
}

#[tokio::test]
async fn an_open_run_holds_what_it_may_read() {
    let world = appending(Kind::Uploads).await;
    world.rest().await;
    // This object cannot be read until it is mended: its run stays open.
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,x\n").await;
    assert!(world.runs().await.1.is_some());
    let open = world.records("rows").open_runs().await.unwrap();
    assert_eq!(open.len(), 1);
    world.upload("raw/t/1.csv", "id,at,amount\n1,2026-11-01,7\n").await;
    assert!(world.runs().await.1.is_some());
    let rows = world.rows("rows").await;
    assert_eq!(rows, ["1|7.0|2026-11-01", "4|4.0|2026-11-02"], "the changed object was processed");
    let collected = world.gc().await;
    assert_eq!(files(&collected), [0, 0, 0, 2], "{collected:?}");
    assert_eq!(collected[0].held_by, open.into_iter().collect());
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    world.rest().await;
    assert_eq!(files(&world.gc().await), [2, 0, 0, 0]);
    assert_eq!(world.rows("rows").await.len(), 3);
}

#[tokio::test]
async fn staged_files_of_other_attempts_go_and_those_of_the_commit_stay() {
    // Ended right after the commit: its files are hidden still.
    let mut found = false;
    for write in 1..40 {
        let world = appending(Kind::Files).await;
        world.die_at(write).await;
        let ledger = world.records("rows");
        let runs = ledger.runs().await.unwrap();
        let Some((run_id, run)) = runs.iter().next().filter(|(_, run)| !run.staged.is_empty()) else { continue };
        let staging = ledger.staging_folder(run_id).unwrap();
        let other = format!("{staging}/01234567-0");
        world.clean.store().put(&Path::from(other.clone()), "rubbish".into()).await.unwrap();
        let notes = format!("{staging}/notes");
        world.clean.store().put(&Path::from(notes.clone()), "someone's".into()).await.unwrap();
        let collected = world.gc().await;
        let there = world.clean.store().head(&Path::from(other)).await.is_ok();
        if run.commit.is_some() {
            found = true;
            assert_eq!((files(&collected)[1], there), (1, false), "{collected:?}");
        } else {
            assert_eq!((files(&collected)[1], there), (0, true), "it may be being written");
        }
        world.rest().await;
        assert_eq!(world.rows("rows").await, ROWS);
        world.gc().await;
        let left = world.records("rows").runs().await.unwrap();
        let left: Vec<_> = left.values().flat_map(|run| &run.staged).map(|meta| meta.location.to_string()).collect();
        assert_eq!(left, [notes], "what it did not write stays");
    }
    assert!(found);
}

#[tokio::test]
async fn a_worker_who_comes_much_too_late_does_no_harm() {
    for kind in [Kind::Uploads, Kind::Files] {
        let world = corrected(kind).await;
        let ledger = world.records("rows");
        let catalog = EmbeddedCatalog::new(world.clean.clone());
        let name = TableName::new("out", "rows").unwrap();
        let publisher = Publisher {
            root: &world.clean,
            catalog: &catalog,
            ledger: &ledger,
            announce: None,
            ends: true,
            ends_others: true,
            target: &name,
        };
        let before = world.rows("rows").await;
        // Once more, so that the correction is replaced, too.
        world.invoke(true).await;
        assert_eq!(world.rows("rows").await, before);
        world.gc().await;
        for run_id in ledger.runs().await.unwrap().into_keys() {
            let commit = ledger.commit(&run_id).await.unwrap().unwrap();
            // An error is fine; another table is not.
            let _ = publisher.roll_forward(&run_id, commit).await;
            assert_eq!(world.rows("rows").await, before, "{kind:?} {run_id}");
        }
        assert_eq!(ledger.open_runs().await.unwrap(), Vec::<String>::new(), "nothing is done again");
        world.rest().await;
        assert_eq!(world.rows("rows").await, before);
        assert!(world.doctor(false).await.is_empty());
    }
}

#[tokio::test]
async fn what_a_superseded_run_left_goes() {
    // The storage forgets the upload of a committed run, which is then done anew.
    let mut found = false;
    for write in 1..40 {
        let fresh = appending(Kind::Uploads).await;
        fresh.dies_at(write, true);
        fresh.runs().await;
        fresh.revived();
        let ledger = fresh.records("rows");
        let Some(run_id) = ledger.open_runs().await.unwrap().pop() else { continue };
        let Some(commit) = ledger.commit(&run_id).await.unwrap() else { continue };
        if !fresh.paths("out").await.is_empty() {
            continue;
        }
        let stage = Stage::new(fresh.clean.clone(), ledger.staging_folder(&run_id).unwrap());
        for file in &commit.files {
            assert!(matches!(file.staged.held, Held::Upload { .. }));
            stage.discard(&file.staged).await.unwrap();
        }
        fresh.rest().await;
        assert_eq!(fresh.rows("rows").await, ROWS);
        assert!(ledger.done(&run_id).await.unwrap().is_some());
        // A file of it that appeared nevertheless, where readers do not look.
        let name = commit.files[0].staged.path.rsplit('/').next().unwrap().to_owned();
        let left = format!("out/rows/v-{run_id}/day=2026-11-01/{name}");
        fresh.upload(&left, "rubbish").await;
        let collected = fresh.gc().await;
        assert_eq!(files(&collected)[0], 1, "{collected:?}");
        assert_eq!(collected[0].uploads, commit.files.len() as u64);
        assert_eq!(fresh.rows("rows").await, ROWS);
        assert!(!fresh.paths("out").await.contains(&left));
        found = true;
    }
    assert!(found);
}
