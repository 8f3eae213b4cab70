//! Looking after tables: history, gc and doctor, on tables that are written in all four ways.

mod doctor;
mod gc;
mod history;
mod sequences;

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::*;
use crate::inputs::{Input, described};
use crate::transform::Transform;
use crate::upkeep::{Collected, Finding};

const FLAT: &str = "SELECT id, amount FROM raw.t";
const TOTAL: &str = "SELECT count(*) AS n, sum(id) AS ids FROM out.rows";
const NEWEST: &str = "-- @write: merge\n-- @key: id\n-- @latest_by: at\n-- @partition: day\n\
     SELECT id, amount, CAST(at AS TIMESTAMP) AS at, CAST(at AS DATE) AS day FROM raw.m";
const DAILY: &str = "-- @write: overwrite_partitions\n-- @partition: day\n\
     SELECT CAST(at AS DATE) AS day, count(*) AS n, sum(amount) AS total FROM raw.t GROUP BY CAST(at AS DATE)";

/// `out.rows` and `out.flat` append, `out.newest` merges, `out.daily` overwrites partitions, `out.total` overwrites.
const TABLES: [(&str, &str); 5] =
    [("rows", APPEND), ("flat", FLAT), ("newest", NEWEST), ("daily", DAILY), ("total", TOTAL)];

/// A world with `out.rows` alone, which appends.
async fn appending(kind: Kind) -> World {
    let mut world = World::two_days(kind).await;
    world.sql = [("sql/out/rows.sql".to_owned(), APPEND.to_owned())].into();
    world
}

/// A time at which everything is older than any retention.
fn far() -> DateTime<Utc> {
    DateTime::from_timestamp(4_000_000_000, 0).unwrap()
}

/// A world with the tables of [`TABLES`].
async fn world(kind: Kind) -> World {
    let mut world = World::two_days(kind).await;
    world.sql = TABLES.map(|(name, sql)| (format!("sql/out/{name}.sql"), sql.to_owned())).into();
    world.upload("raw/m/1.csv", "id,at,amount\n1,2026-11-01,1\n2,2026-11-02,2\n3,2026-11-02,3\n").await;
    world
}

impl World {
    fn project(&self) -> Project {
        let files = self.sql.iter().map(|(file, text)| (file.clone(), text.clone().into_bytes())).collect();
        let (project, errors) = Project::parse(files);
        assert!(errors.is_empty(), "{errors:?}");
        project
    }

    fn transform(&self, table: &str) -> Transform {
        self.project().find(table).unwrap().clone()
    }

    fn records(&self, table: &str) -> Ledger {
        Ledger::new(self.clean.clone(), &TableName::new("out", table).unwrap())
    }

    /// `unglue gc` at some time, with a retention of a day.
    async fn gc_at(&self, now: DateTime<Utc>) -> Result<Vec<Collected>> {
        let mut tables = Vec::new();
        for transform in self.project().transforms() {
            tables.push(self.engine().gc(transform, TimeDelta::days(1), now, false).await?);
        }
        Ok(tables)
    }

    /// `unglue gc` as if nothing had to be kept for readers.
    async fn gc(&self) -> Vec<Collected> {
        self.gc_at(far()).await.unwrap()
    }

    /// `unglue doctor`.
    async fn doctor(&self, repair: bool) -> Vec<Finding> {
        let project = self.project();
        let engine = self.engine();
        let checked = engine.check(&project).await.unwrap();
        let mut findings = Vec::new();
        for transform in project.transforms() {
            let planned = checked.planned.get(&transform.target);
            findings.extend(engine.doctor(transform, planned, repair).await.unwrap());
        }
        findings
    }

    /// The rows of all tables.
    async fn content(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut content = BTreeMap::new();
        for (table, _) in TABLES {
            content.insert(table, self.rows(table).await);
        }
        content
    }

    /// The paths below a folder of the data folder.
    async fn paths(&self, folder: &str) -> Vec<String> {
        let path = self.clean.path(folder).unwrap();
        let listed: Vec<ObjectMeta> = self.clean.store().list(Some(&path)).try_collect().await.unwrap();
        let mut paths: Vec<String> = listed.into_iter().map(|meta| meta.location.to_string()).collect();
        paths.sort();
        paths
    }

    /// What a reader holds who has just looked into the catalog: the files of all tables.
    async fn held(&self) -> Vec<Path> {
        let catalog = EmbeddedCatalog::new(self.clean.clone());
        let mut held = Vec::new();
        for (table, _) in TABLES {
            let name = TableName::new("out", table).unwrap();
            if catalog.table(&name).await.unwrap().is_some() {
                let table = described(&catalog, &name).await.unwrap();
                let input = Input::list(&self.clean, &catalog, table, &[], None).await.unwrap();
                held.extend(input.objects.into_iter().map(|object| object.meta.location));
            }
        }
        held
    }

    /// When the newest object of the data folder was written.
    async fn latest(&self) -> DateTime<Utc> {
        let listed: Vec<ObjectMeta> =
            self.clean.store().list(Some(&self.clean.path("_unglue").unwrap())).try_collect().await.unwrap();
        listed.into_iter().map(|meta| meta.last_modified).max().unwrap()
    }

    /// Runs until there is nothing left to do.
    async fn rest(&self) {
        for _ in 0..8 {
            let (done, failed) = self.runs().await;
            assert!(failed.is_none(), "{failed:?}");
            if done.is_empty() {
                return;
            }
        }
        panic!("the tables do not come to rest");
    }

    /// Ends a call of `run` at its n-th effect; whether there was one.
    async fn die_at(&self, effect: u64) -> bool {
        self.dies_at(effect, effect.is_multiple_of(2));
        self.runs().await;
        self.revived()
    }
}
