//! What is due: by which table has changed, and after a rebuild.

use object_store::ObjectStoreExt;

use super::*;
use crate::arrival::{ArrivalId, ClaimName};
use crate::check::Registered;
use crate::due::{self, Due, Sought};
use crate::format::{CsvOptions, Format};
use crate::record::Done;
use crate::settings::WriteMode;
use crate::table::{Column, Table};

fn with(world: &mut World, sql: &str) {
    world.sql = [("sql/out/rows.sql".to_owned(), sql.to_owned())].into();
}

fn project(world: &World) -> Project {
    Project::parse(world.sql.iter().map(|(file, text)| (file.clone(), text.clone().into_bytes())).collect()).0
}

/// `raw.t`, and a table of names beside it.
async fn with_names() -> World {
    let world = World::two_days(Kind::Uploads).await;
    world.upload("raw/names/1.csv", "id,name\n1,one\n2,two\n4,four\n").await;
    world
}

const NAMED: &str = "SELECT t.id, n.name FROM raw.t AS t JOIN raw.names AS n ON t.id = n.id";

async fn new_names(world: &World) {
    world.upload("raw/names/2.csv", "id,name\n5,five\n").await;
}

async fn new_rows(world: &World) {
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
}

#[tokio::test]
async fn a_transform_runs_when_a_table_that_triggers_it_changes() {
    // The header; how many of the inputs are new to it after new names, and after new rows.
    let cases: [(&str, Option<usize>, Option<usize>); 7] = [
        ("", None, Some(1)),
        ("-- @trigger: none\n", None, None),
        ("-- @trigger: raw.t\n", None, Some(1)),
        ("-- @trigger: raw.names\n", None, None),
        ("-- @write: overwrite\n", Some(4), Some(5)),
        ("-- @write: overwrite\n-- @trigger: raw.names\n", Some(4), None),
        ("-- @write: overwrite\n-- @trigger: raw.t\n", None, Some(5)),
    ];
    for (header, names, rows) in cases {
        let mut world = with_names().await;
        with(&mut world, &format!("{header}{NAMED}"));
        let expected = |inputs: Option<usize>| inputs.map(|n| format!("out.rows {n}")).into_iter().collect::<Vec<_>>();
        world.runs().await;
        new_names(&world).await;
        let (done, failed) = world.runs().await;
        assert!(failed.is_none() && done == expected(names), "{header}: {done:?} {failed:?}");
        new_rows(&world).await;
        let (done, failed) = world.runs().await;
        assert!(failed.is_none() && done == expected(rows), "{header}: {done:?} {failed:?}");
        assert_eq!(world.runs().await.0, Vec::<String>::new(), "{header}");
    }
}

#[tokio::test]
async fn a_rebuild_claims_the_objects_of_the_driving_table_alone_in_their_newest_version() {
    let mut world = with_names().await;
    with(&mut world, NAMED);
    world.runs().await;
    world.upload("raw/t/2.csv", "id,at,amount\n4,2026-11-02,7\n").await;
    world.runs().await;
    let project = project(&world);
    let transform = &project.transforms()[0];
    let catalog = EmbeddedCatalog::new(world.clean.clone());
    let listing = due::list(&world.clean, &catalog, transform, &Registered::new(), &Sought::default()).await.unwrap();
    let ledger = Ledger::new(world.clean.clone(), &transform.target);
    let due = due::everything(&ledger, transform, WriteMode::Append, &listing, 0).await.unwrap();
    let inputs: Vec<(&str, u32)> =
        due.runs[0].1.iter().map(|arriving| (arriving.input.object.as_str(), arriving.generation)).collect();
    assert_eq!(inputs, [("raw/t/1.csv", 0), ("raw/t/2.csv", 1)]);
    assert_eq!(world.invoke(true).await.0, ["out.rows 2"]);

    // A table that the catalog does not have is told with its place in the SQL.
    let empty = World::new(Kind::Uploads);
    let error = due::list(
        &empty.clean,
        &EmbeddedCatalog::new(empty.clean.clone()),
        transform,
        &Registered::new(),
        &Sought::default(),
    )
    .await
    .unwrap_err();
    assert_eq!((error.code, error.at.map(|at| at.line)), (Code::UnknownTable, Some(1)));
}

#[tokio::test]
async fn rows_that_a_rebuild_has_moved_are_found_when_their_object_changes() {
    let mut world = World::two_days(Kind::Uploads).await;
    with(&mut world, APPEND);
    world.runs().await;
    with(&mut world, &APPEND.replace("CAST(at AS DATE)", "CAST(at + INTERVAL '1 day' AS DATE)"));
    assert!(world.invoke(true).await.1.is_none());
    world.upload("raw/t/2.csv", "id,at,amount\n9,2026-11-08,9\n").await;
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    assert_eq!(world.runs().await.0, ["out.rows 1", "out.rows 1"]);
    let rows = ["1|1.5|2026-11-02", "2|2.0|2026-11-03", "5|5.0|2026-11-04", "9|9.0|2026-11-09"];
    assert_eq!(world.rows("rows").await, rows);
}

#[tokio::test]
async fn a_changed_object_leaves_partitions_alone_that_it_never_touched() {
    let mut world = World::two_days(Kind::Uploads).await;
    with(
        &mut world,
        "-- @write: overwrite_partitions\n-- @partition: day\n\
         SELECT count(*) AS n, CAST(at AS DATE) AS day FROM raw.t GROUP BY CAST(at AS DATE)",
    );
    world.runs().await;
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    world.runs().await;
    let others = ["2026-11-01", "2026-11-02"];
    let before = [world.location("rows", others[0]).await, world.location("rows", others[1]).await];
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-04,5\n").await;
    assert_eq!(world.runs().await.0, ["out.rows 1"]);
    assert_eq!(world.rows("rows").await, ["1|2026-11-01", "1|2026-11-04", "3|2026-11-02"]);
    assert_eq!([world.location("rows", others[0]).await, world.location("rows", others[1]).await], before);
}

#[tokio::test]
async fn an_object_that_changed_waits_until_its_former_content_was_processed() {
    let mut world = World::two_days(Kind::Uploads).await;
    with(&mut world, APPEND);
    world.runs().await;
    let project = project(&world);
    let transform = &project.transforms()[0];
    let ledger = Ledger::new(world.clean.clone(), &transform.target);
    let catalog = EmbeddedCatalog::new(world.clean.clone());
    let due = async || -> Due {
        let listing =
            due::list(&world.clean, &catalog, transform, &Registered::new(), &Sought::default()).await.unwrap();
        due::due(&ledger, transform, WriteMode::Append, &listing, 0, None, None).await.unwrap()
    };
    // Another worker has claimed it and reads it just now.
    new_rows(&world).await;
    let arriving = due().await.runs.remove(0).1.remove(0);
    let name = ClaimName { arrival: ArrivalId::of(&arriving.input), generation: 0 };
    ledger.claim(&name, &arriving.input.object, "19700101t000099z-other").await.unwrap();
    assert!(due().await.runs.is_empty());
    world.upload("raw/t/3.csv", "id,at,amount\n6,2026-11-03,6\n").await;
    assert!(due().await.runs.is_empty(), "or its rows would be there in both versions");
    ledger.put_done("19700101t000099z-other", Done::Superseded { successor: None }).await.unwrap();
    assert_eq!(due().await.runs.len(), 1, "it came too late to be read");
}

#[tokio::test]
async fn a_table_that_the_catalog_has_lost_is_still_ours() {
    let mut world = World::two_days(Kind::Uploads).await;
    with(&mut world, APPEND);
    world.runs().await;
    let entries = world.clean.path("_unglue/_catalog/out/rows").unwrap();
    let entries: Vec<_> = world.clean.store().list(Some(&entries)).try_collect().await.unwrap();
    assert!(!entries.is_empty());
    for entry in entries {
        world.clean.store().delete(&entry.location).await.unwrap();
    }
    // Its SQL file is gone, too: what lies in its folder is no source.
    let sql = world.sql.clone();
    world.sql = [("sql/out/other.sql".to_owned(), "SELECT id FROM raw.t".to_owned())].into();
    assert!(world.runs().await.1.is_none());
    let name = TableName::new("out", "rows").unwrap();
    assert!(EmbeddedCatalog::new(world.clean.clone()).table(&name).await.unwrap().is_none());
    // Nor does it belong to someone else.
    world.sql = sql;
    new_rows(&world).await;
    let (done, failed) = world.runs().await;
    assert!(failed.is_none() && done == ["out.rows 1"], "{done:?} {failed:?}");
}

/// The objects of a table with partition projection are found by its template, new ones by name as well.
#[tokio::test]
async fn a_table_with_partition_projection_is_read_as_athena_reads_it() {
    let mut world = World::new(Kind::Uploads);
    let sql = "SELECT CAST(id AS BIGINT) AS id, day FROM raw.t WHERE day >= '2026/11/02'";
    world.upload("raw/t/of/2026/11/01/1.csv", "id\n1\n").await;
    world.upload("raw/t/of/2026/11/02/2.csv", "id\n2\n").await;
    world.upload("raw/t/of/2031/01/01/never.csv", "id\n9\n").await;
    world.upload("raw/t/of/2026/11/02/_hidden.csv", "id\n8\n").await;
    let column = |name: &str, hive: &str| Column { name: name.into(), hive_type: hive.parse().unwrap(), comment: None };
    let parameters = [
        ("projection.enabled", "true"),
        ("projection.day.type", "date"),
        ("projection.day.format", "yyyy/MM/dd"),
        ("projection.day.range", "2026/11/01,2026/12/31"),
        ("storage.location.template", "memory://b/raw/t/of/${day}/"),
    ];
    let table = Table {
        name: TableName::new("raw", "t").unwrap(),
        columns: vec![column("id", "bigint")],
        partition_keys: vec![column("day", "string")],
        format: Format::Csv(CsvOptions::default()),
        location: "memory://b/raw/t/".into(),
        description: None,
        parameters: parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        version: None,
    };
    EmbeddedCatalog::new(world.clean.clone()).put_table(&table).await.unwrap();
    world.sql = [("sql/out/rows.sql".to_owned(), sql.to_owned())].into();
    assert_eq!(world.runs().await.0, ["out.rows 2"], "the day that no range has is none");
    assert_eq!(world.rows("rows").await, ["2|2026/11/02"]);
    world.upload("raw/t/of/2026/11/03/3.csv", "id\n3\n").await;
    let arrived = world.arrive(&["raw/t/of/2026/11/03/3.csv", "raw/t/of/2031/01/01/never.csv"]).await.unwrap();
    assert_eq!(arrived.iter().flat_map(|outcome| &outcome.runs).filter(|run| run.is_ok()).count(), 1);
    assert_eq!(world.rows("rows").await, ["2|2026/11/02", "3|2026/11/03"]);
    assert!(EmbeddedCatalog::new(world.clean.clone()).partitions(&table.name).await.unwrap().is_empty());
}
