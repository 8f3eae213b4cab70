//! What a doctor finds, and mends.

use super::*;
use crate::table::{Partition, PartitionChange, Table};
use crate::upkeep::FindingKind;

fn kinds(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.kind.as_str()).collect()
}

fn name(table: &str) -> TableName {
    TableName::new("out", table).unwrap()
}

impl World {
    fn catalog(&self) -> EmbeddedCatalog {
        EmbeddedCatalog::new(self.clean.clone())
    }

    /// Puts one thing out of order in a world at rest; the doctor must find just that, mend it and then find nothing.
    async fn is_mended(&self, kind: FindingKind) {
        let found = self.doctor(false).await;
        assert_eq!(kinds(&found), [kind.as_str()], "{found:#?}");
        assert!(found[0].repaired.is_none());
        let repaired = self.doctor(true).await;
        assert_eq!(kinds(&repaired), [kind.as_str()], "{repaired:#?}");
        assert!(repaired[0].repaired.is_some());
        assert_eq!(self.doctor(false).await, []);
    }

    /// The same for what only people can mend.
    async fn is_only_found(&self, kinds_found: &[FindingKind]) {
        let wanted: Vec<_> = kinds_found.iter().map(|kind| kind.as_str()).collect();
        for repair in [false, true, false] {
            let found = self.doctor(repair).await;
            assert_eq!(kinds(&found), wanted, "{found:#?}");
            assert!(found.iter().all(|finding| finding.repaired.is_none() && !finding.help.is_empty()), "{found:#?}");
        }
    }
}

async fn at_rest() -> World {
    let world = world(Kind::Uploads).await;
    world.rest().await;
    world.upload("raw/t/1.csv", "id,at,amount\n1,2026-11-01,7\n").await;
    world.upload("raw/t/3.csv", "id,at,amount\n8,2026-11-08,8\n").await;
    world.upload("raw/m/2.csv", "id,at,amount\n2,2026-11-05,7\n").await;
    world.rest().await;
    assert_eq!(world.doctor(false).await, []);
    world
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_found_and_rolled_forward() {
    let mut seen = BTreeSet::new();
    for kind in [Kind::Uploads, Kind::Files] {
        for write in (1..).step_by(5) {
            let world = world(kind).await;
            let died = world.die_at(write).await;
            let found = world.doctor(true).await;
            for finding in &found {
                let is_repaired = finding.repaired.is_some();
                assert_eq!(is_repaired, finding.kind == FindingKind::RunNotVisible, "{write}: {found:#?}");
                assert!(is_repaired || finding.kind == FindingKind::RunNotCommitted, "{write}: {found:#?}");
                seen.insert(finding.kind);
            }
            assert!(!kinds(&world.doctor(false).await).contains(&"run-not-visible"));
            world.rest().await;
            assert_eq!(world.doctor(false).await, []);
            assert_eq!(world.rows("rows").await, ROWS, "{kind:?} {write}");
            if !died {
                break;
            }
        }
    }
    assert_eq!(seen, BTreeSet::from([FindingKind::RunNotCommitted, FindingKind::RunNotVisible]));
}

#[tokio::test]
async fn the_catalog_is_pointed_back() {
    let world = at_rest().await;
    let content = world.content().await;
    let catalog = world.catalog();
    for table in ["rows", "newest", "daily"] {
        for partition in catalog.partitions(&name(table)).await.unwrap() {
            let gone =
                PartitionChange { values: partition.values.clone(), from: Some(partition.location.clone()), to: None };
            catalog.change_partitions(&name(table), &[gone]).await.unwrap();
            world.is_mended(FindingKind::PartitionMissing).await;
            let moved = Partition { location: "memory://b/out/elsewhere/".into(), ..partition.clone() };
            let change = PartitionChange {
                values: partition.values.clone(),
                from: Some(partition.location.clone()),
                to: Some(moved),
            };
            catalog.change_partitions(&name(table), &[change]).await.unwrap();
            world.is_mended(FindingKind::PartitionMoved).await;
            assert_eq!(world.content().await, content);
            assert_eq!(
                catalog.partitions(&name(table)).await.unwrap().len(),
                content[table].iter().map(|row| row.rsplit('|').next().unwrap()).collect::<BTreeSet<_>>().len()
            );
        }
    }
    for table in ["flat", "total"] {
        let known = catalog.table(&name(table)).await.unwrap().unwrap();
        catalog.put_table(&Table { location: format!("memory://b/out/{table}/old/"), ..known }).await.unwrap();
        world.is_mended(FindingKind::TableMoved).await;
        assert_eq!(world.content().await, content);
    }
}

#[tokio::test]
async fn a_table_that_the_catalog_lost_is_registered_again() {
    let world = at_rest().await;
    let content = world.content().await;
    for table in ["rows", "flat", "newest", "daily", "total"] {
        for path in world.paths(&format!("_unglue/_catalog/out/{table}")).await {
            world.clean.store().delete(&Path::from(path)).await.unwrap();
        }
        let found = world.doctor(false).await;
        assert_eq!(kinds(&found), ["table-missing"], "{found:#?}");
        let repaired = world.doctor(true).await;
        assert!(repaired.iter().all(|finding| finding.repaired.is_some()), "{repaired:#?}");
        assert_eq!(world.content().await, content, "{table}");
        assert_eq!(world.doctor(false).await, []);
    }
}

#[tokio::test]
async fn a_partition_that_a_version_took_out_is_removed_again() {
    let world = world(Kind::Uploads).await;
    world.rest().await;
    let catalog = world.catalog();
    let old = catalog.partitions(&name("newest")).await.unwrap();
    world.upload("raw/m/2.csv", "id,at,amount\n1,2026-11-05,7\n").await;
    world.rest().await;
    let content = world.content().await;
    assert_eq!(world.partitions("newest").await, ["2026-11-02", "2026-11-05"]);
    let again = PartitionChange { values: old[0].values.clone(), from: None, to: Some(old[0].clone()) };
    catalog.change_partitions(&name("newest"), &[again]).await.unwrap();
    world.is_mended(FindingKind::PartitionExtra).await;
    assert_eq!(world.content().await, content);
}

#[tokio::test]
async fn files_of_others_and_files_that_are_gone_are_found() {
    let world = at_rest().await;
    let location = world.location("rows", "2026-11-02").await;
    let folder = location.strip_prefix("memory://b/").unwrap().to_owned();
    let foreign = format!("{folder}x.parquet");
    world.upload(&foreign, "x").await;
    world.is_only_found(&[FindingKind::FileForeign]).await;
    let found = world.doctor(false).await;
    assert_eq!(found[0].place, format!("memory://b/{foreign}"));
    world.clean.store().delete(&Path::from(foreign)).await.unwrap();

    // A file of a former version, copied to where readers look.
    let former = world.paths("out/rows/day=2026-11-01").await.remove(0);
    let live = world.location("rows", "2026-11-01").await;
    let copy = format!("{}{}", live.strip_prefix("memory://b/").unwrap(), former.rsplit('/').next().unwrap());
    world.clean.store().copy(&Path::from(former), &Path::from(copy.clone())).await.unwrap();
    world.is_only_found(&[FindingKind::FileStale]).await;
    world.clean.store().delete(&Path::from(copy)).await.unwrap();

    let unknown = Partition {
        values: vec![Some("2026-12-24".into())],
        location: "memory://b/out/rows/day=2026-12-24/".into(),
        parameters: BTreeMap::new(),
    };
    let added = PartitionChange { values: unknown.values.clone(), from: None, to: Some(unknown.clone()) };
    world.catalog().change_partitions(&name("rows"), &[added]).await.unwrap();
    world.is_only_found(&[FindingKind::PartitionForeign]).await;
    let gone = PartitionChange { values: unknown.values, from: Some(unknown.location), to: None };
    world.catalog().change_partitions(&name("rows"), &[gone]).await.unwrap();
    assert_eq!(world.doctor(false).await, []);

    for path in world.paths(folder.trim_end_matches('/')).await {
        world.clean.store().delete(&Path::from(path)).await.unwrap();
    }
    world.is_only_found(&[FindingKind::FileMissing]).await;
}

#[tokio::test]
async fn damaged_and_missing_records_are_found_and_nothing_is_guessed() {
    let records = ["/commit.json", "/done.json", "/intent.json", "/versions/", "/inputs/"];
    for record in records {
        let world = at_rest().await;
        let path = world.paths("_unglue/out/newest").await.into_iter().find(|path| path.contains(record)).unwrap();
        world.upload(&path, "{").await;
        // Also drift is not mended by a ledger that is not whole.
        for partition in world.catalog().partitions(&name("newest")).await.unwrap() {
            let gone = PartitionChange { values: partition.values, from: Some(partition.location), to: None };
            world.catalog().change_partitions(&name("newest"), &[gone]).await.unwrap();
        }
        world.is_only_found(&[FindingKind::RecordDamaged]).await;
        assert_eq!(world.doctor(false).await[0].place, format!("memory://b/{path}"));
    }
    let world = at_rest().await;
    let path = world.paths("_unglue/out/newest").await.into_iter().find(|path| path.contains("/commit.json")).unwrap();
    world.clean.store().delete(&Path::from(path)).await.unwrap();
    // It succeeded, and is that of a version.
    world.is_only_found(&[FindingKind::RecordMissing, FindingKind::RecordMissing]).await;
}

#[tokio::test]
async fn columns_that_the_sql_gives_otherwise_are_found() {
    let mut world = at_rest().await;
    let cases = [
        (APPEND.replace("amount,", "amount, 'x' AS added,"), FindingKind::ColumnAdded, "added"),
        (APPEND.replace("id, amount,", "id,"), FindingKind::ColumnRemoved, "amount"),
        (APPEND.replace("amount,", "CAST(amount AS INT) AS amount,"), FindingKind::ColumnType, "amount"),
        (APPEND.replace("-- @partition: day", "-- @partition: id"), FindingKind::PartitionKeys, "out.rows"),
    ];
    for (sql, kind, place) in cases {
        world.sql.insert("sql/out/rows.sql".into(), sql);
        world.is_only_found(&[kind]).await;
        assert_eq!(world.doctor(false).await[0].place, place);
    }
}
