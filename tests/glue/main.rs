//! The Glue catalog against a server that is as strict as Glue: the contract of catalogs, and what Glue adds to it.

// Tests may fail loudly.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

mod server;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_glue::types::{self, DatabaseInput, StorageDescriptor, TableInput};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use serde_json::json;
use transform::{
    Asked, Bucket, Catalog, Code, Column, DataRoot, Engine, Format, Heirs, HiveType, JsonOptions, Limits, NewObject,
    Partition, PartitionChange, PartitionColumns, PartitionCondition, PartitionFilter, PartitionTest, Project, Stamp,
    Table, TableName, catalog_contract,
};

use server::{Glue, glue};

fn name(table: &str) -> TableName {
    TableName::new("shop", table).unwrap()
}

fn orders() -> Table {
    let column = |name: &str, hive_type| Column { name: name.to_owned(), hive_type, comment: None };
    Table {
        name: name("orders"),
        columns: vec![column("id", HiveType::BigInt)],
        partition_keys: vec![column("region", HiveType::String)],
        format: Format::Parquet,
        location: "s3://lake/shop/orders/".to_owned(),
        description: None,
        parameters: BTreeMap::new(),
        version: None,
    }
}

fn partition(region: &str, folder: &str) -> Partition {
    Partition {
        values: vec![Some(region.to_owned())],
        location: format!("s3://lake/shop/orders/{folder}/"),
        parameters: BTreeMap::new(),
    }
}

fn many(count: usize, folder: &str) -> Vec<Partition> {
    (0..count).map(|index| partition(&format!("r{index:03}"), &format!("{folder}{index}"))).collect()
}

async fn of_glue(glue: &Glue, table: &str) -> types::Table {
    glue.client.get_table().database_name("shop").name(table).send().await.unwrap().table.unwrap()
}

#[tokio::test]
async fn the_contract_of_catalogs() {
    let Some(glue) = glue().await else { return };
    catalog_contract(&glue.catalog(), "shop", "s3://lake/").await;
    assert!(glue.calls("GetPartitions") > 20, "pages were followed");
}

#[tokio::test]
async fn a_database_that_is_not_there() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    let table = Table { name: TableName::new("nowhere", "orders").unwrap(), ..orders() };
    assert_eq!(catalog.table(&table.name).await.unwrap(), None);
    assert_eq!(catalog.partitions(&table.name).await.unwrap(), []);
    let error = catalog.put_table(&table).await.unwrap_err();
    assert_eq!(error.code, Code::NotFound);
    assert_eq!(error.message, "the database `nowhere` is not in the Glue Data Catalog");
}

#[tokio::test]
async fn new_tables_go_where_their_database_says() {
    let Some(glue) = glue().await else { return };
    let database = |name: &str, location: Option<&str>| {
        let input = DatabaseInput::builder().name(name).set_location_uri(location.map(str::to_owned)).build().unwrap();
        glue.client.create_database().database_input(input).send()
    };
    database("marts", Some("s3a://lake/marts of 2026")).await.unwrap();
    database("silent", Some("")).await.unwrap();
    database("hive", Some("hdfs://cluster/warehouse/hive.db")).await.unwrap();
    let catalog = glue.catalog();
    assert_eq!(catalog.database_location("marts").await.unwrap().as_deref(), Some("s3://lake/marts of 2026/"));
    for none in ["shop", "silent", "nowhere"] {
        assert_eq!(catalog.database_location(none).await.unwrap(), None, "{none}");
    }

    let store = Arc::new(InMemory::new());
    let orders = object_store::path::Path::from("data/shop/orders/1.csv");
    store.put(&orders, "id,region\n1,eu\n2,us\n".into()).await.unwrap();
    let bucket = Bucket { base: "s3://lake/".into(), store: store.clone(), multipart: Some(store.clone()) };
    let root = DataRoot::new(bucket, object_store::path::Path::from("data"));
    let limits = Limits { memory: 256 << 20, cores: 1, temp: std::env::temp_dir() };
    let engine = Engine::new(root, Arc::new(catalog), limits);
    let sql = "-- @partition: region\nSELECT id, region FROM shop.orders";
    let files = ["marts", "shop", "hive"].map(|database| (format!("sql/{database}/copy.sql"), sql.as_bytes().to_vec()));
    let (project, errors) = Project::parse(files.to_vec());
    assert!(errors.is_empty(), "{errors:?}");
    engine.discover(&project).await.unwrap();
    let checked = engine.check(&project).await.unwrap();
    let told: Vec<String> = checked.errors.iter().map(|error| format!("{} {}", error.code, error.message)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("bad-value") && told[0].contains("hdfs://cluster/warehouse/hive.db/copy/"), "{told:?}");
    let names = checked.planned.keys().cloned().collect();
    let stamp = Stamp { at: "2026-11-25T00:00:00Z".parse().unwrap(), seed: "one".into() };
    let outcomes = engine.run(&project, &checked, &names, &Asked::Due, &stamp, &|_| {}).await;
    assert_eq!(outcomes.iter().flat_map(|outcome| &outcome.runs).filter(|run| run.is_ok()).count(), 2, "{outcomes:?}");
    for (database, folder) in [("marts", "s3://lake/marts of 2026/copy/"), ("shop", "s3://lake/data/shop/copy/")] {
        let copy = TableName::new(database, "copy").unwrap();
        assert_eq!(glue.catalog().table(&copy).await.unwrap().unwrap().location, folder);
        let places: Vec<String> =
            glue.catalog().partitions(&copy).await.unwrap().into_iter().map(|partition| partition.location).collect();
        assert_eq!(places, [format!("{folder}region=eu/"), format!("{folder}region=us/")]);
    }
    assert_eq!(glue.calls("GetDatabase"), 5, "once for each database that was asked for");
}

/// A bucket `lake` in memory, and an engine over it.
fn lake(glue: &Glue) -> (Arc<InMemory>, Engine) {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket { base: "s3://lake/".into(), store: store.clone(), multipart: Some(store.clone()) };
    let root = DataRoot::new(bucket, object_store::path::Path::default());
    let limits = Limits { memory: 256 << 20, cores: 1, temp: std::env::temp_dir() };
    (store, Engine::new(root, Arc::new(glue.catalog()), limits))
}

/// Athena refuses a partition of text whose types are not its table's.
#[tokio::test]
async fn partitions_inherit_the_columns_of_their_table() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    let table = catalog.put_table(&Table { format: Format::Json(JsonOptions::default()), ..orders() }).await.unwrap();
    catalog.add_partitions(&table, &many(120, "d")).await.unwrap();
    let before = catalog.partitions(&table.name).await.unwrap();
    let columns = vec![Column { hive_type: HiveType::Double, ..table.columns[0].clone() }];
    let table = catalog.put_table(&Table { columns, ..table }).await.unwrap();
    let all = Heirs::All { last: &BTreeSet::new() };
    catalog.inherit(&table.name, all).await.unwrap();
    assert_eq!(glue.calls("BatchUpdatePartition"), 2, "120 partitions, 100 at a time");
    let request = glue.client.get_partition().database_name("shop").table_name("orders").partition_values("r119");
    let partition = request.send().await.unwrap().partition.unwrap();
    let columns = partition.storage_descriptor.unwrap().columns.unwrap();
    assert_eq!(columns[0].r#type.as_deref(), Some("double"));
    assert_eq!(catalog.partitions(&table.name).await.unwrap(), before, "they are where they were");
    catalog.inherit(&table.name, all).await.unwrap();
    assert_eq!(glue.calls("BatchUpdatePartition"), 2, "nothing is left to do");
    assert_eq!(catalog.definitions().await.unwrap(), [table], "all tables in few requests");
    catalog.inherit(&name("absent"), all).await.unwrap();
}

/// Athena finds nothing in a column that a partition lacks: the partitions in which objects arrive have the columns of their table.
#[tokio::test]
async fn a_partition_gets_the_columns_that_its_table_got() {
    let Some(glue) = glue().await else { return };
    let (store, engine) = lake(&glue);
    let arrive = async |object: &str, text: &'static str| {
        store.put(&object_store::path::Path::from(object), text.into()).await.unwrap();
        let objects = [NewObject { url: format!("s3://lake/{object}"), bytes: text.len() as u64 }];
        let project = async || Ok(Arc::new(Project::parse(Vec::new()).0));
        engine.discover_arrived(project, Some(&name("t")), &objects).await.unwrap().pop().unwrap().change
    };
    let columns = async |n: &str| {
        let request = glue.client.get_partition().database_name("shop").table_name("t").partition_values(n);
        let partition = request.send().await.unwrap().partition.unwrap();
        let columns = partition.storage_descriptor.unwrap().columns.unwrap();
        columns.into_iter().map(|column| format!("{} {}", column.name, column.r#type.unwrap())).collect::<Vec<_>>()
    };
    let (two, three) = (["id bigint", "note string"], ["id bigint", "note string", "extra bigint"]);
    arrive("shop/t/n=0/1.csv", "id,note\n1,x\n").await.unwrap();
    arrive("shop/t/n=1/1.csv", "id,note\n1,x\n").await.unwrap();
    assert_eq!(
        (columns("0").await, columns("1").await),
        (two.map(str::to_owned).to_vec(), two.map(str::to_owned).to_vec())
    );

    let change = arrive("shop/t/n=0/2.csv", "id,note,extra\n1,x,7\n").await.unwrap();
    assert_eq!(change.columns_added.len(), 1);
    assert_eq!(columns("0").await, three, "the object with the column lies here");
    assert_eq!(columns("1").await, two, "no object has it here");
    assert!(arrive("shop/t/n=1/2.csv", "id,note,extra\n1,x,7\n").await.unwrap().is_change());
    assert_eq!(columns("1").await, three, "now one has");

    let before = glue.calls("BatchUpdatePartition");
    assert!(arrive("shop/t/n=1/3.csv", "id,note,extra\n1,x,7\n").await.is_none());
    assert_eq!(glue.calls("BatchUpdatePartition"), before);
    arrive("shop/t/n=0/4.csv", "id,note,extra\n1.5,x,7\n").await.unwrap();
    for n in ["0", "1"] {
        assert_eq!(columns(n).await[0], "id double", "Athena refuses a partition of other types");
    }

    // A process that ended after it had changed the table, and before its partitions: the object's message comes again.
    let mut table = glue.catalog().table(&name("t")).await.unwrap().unwrap();
    table.columns[2].hive_type = HiveType::Double;
    glue.catalog().put_table(&table).await.unwrap();
    arrive("shop/t/n=1/3.csv", "id,note,extra\n1,x,7.5\n").await.unwrap();
    for n in ["0", "1"] {
        assert_eq!(columns(n).await[2], "extra double", "all of them, not only where the object lies");
    }
}

/// One process widens a column while another adds a partition by the definition that it has read before. `late` is how long Glue
/// takes to add it: within the time for which a definition is good, the one that widens has waited for it; after it, the one that adds
/// looks again.
#[tokio::test]
async fn a_partition_that_is_added_beside_a_change_of_types_has_the_new_ones() {
    for late in [1.0, 3.0] {
        let Some(glue) = glue().await else { return };
        let (widening, adding) = (glue.catalog(), glue.catalog());
        let first = widening.put_table(&orders()).await.unwrap();
        widening.add_partitions(&first, &[partition("eu", "eu")]).await.unwrap();
        let known = adding.table(&first.name).await.unwrap().unwrap();
        glue.fail("BatchCreatePartition", json!({ "error": null, "late": late }));
        let widen = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let columns = vec![Column { hive_type: HiveType::Double, ..first.columns[0].clone() }];
            widening.put_table(&Table { columns, ..first.clone() }).await.unwrap();
            widening.inherit(&first.name, Heirs::All { last: &BTreeSet::new() }).await.unwrap();
        };
        let us = [partition("us", "us")];
        let (added, ()) = tokio::join!(adding.add_partitions(&known, &us), widen);
        assert_eq!(added.unwrap(), []);
        let table = widening.table(&first.name).await.unwrap().unwrap();
        let all = ["eu", "us"].map(|region| vec![Some(region.to_owned())]).into();
        let found = widening.partitions_with(&table, &all).await.unwrap();
        assert_eq!(found.len(), 2);
        for found in found {
            assert_eq!(found.columns, PartitionColumns::Same, "{late} {found:?}");
        }
    }
}

/// Requests to Glue of an arrival in a partition, of a process that has seen the table before.
#[tokio::test]
async fn an_arrival_takes_two_requests_to_glue() {
    let Some(glue) = glue().await else { return };
    let (store, engine) = lake(&glue);
    let arrive = async |object: &str| {
        store.put(&object_store::path::Path::from(object), "id,note\n1,x\n".into()).await.unwrap();
        let objects = [NewObject { url: format!("s3://lake/{object}"), bytes: 12 }];
        let project = async || Ok(Arc::new(Project::parse(Vec::new()).0));
        let before = glue.all_calls();
        let arrived = engine.discover_arrived(project, Some(&name("t")), &objects).await.unwrap().pop().unwrap();
        let mut calls = glue.all_calls();
        calls.retain(|operation, count| {
            *count -= before.get(operation).copied().unwrap_or_default();
            *count > 0
        });
        let calls: Vec<String> = calls.into_iter().map(|(operation, count)| format!("{operation} {count}")).collect();
        (calls, arrived.change)
    };
    arrive("shop/t/n=0/1.csv").await;
    let (calls, change) = arrive("shop/t/n=1/1.csv").await;
    assert_eq!(
        (calls.join(", "), change.unwrap().partitions_added.len()),
        ("BatchCreatePartition 1, GetTable 1".into(), 1)
    );
    let (calls, change) = arrive("shop/t/n=1/2.csv").await;
    assert_eq!((calls.join(", "), change.is_none()), ("BatchGetPartition 1, GetTable 1".into(), true));

    // Another process has added it, and it lies elsewhere.
    let other = glue.catalog();
    let table = other.table(&name("t")).await.unwrap().unwrap();
    let n = |n: &str, folder: &str| Partition {
        values: vec![Some(n.to_owned())],
        location: format!("s3://lake/shop/t/{folder}/"),
        parameters: BTreeMap::new(),
    };
    other.add_partitions(&table, &[n("2", "n=2"), n("3", "moved")]).await.unwrap();
    let (calls, change) = arrive("shop/t/n=2/1.csv").await;
    assert_eq!(calls.join(", "), "BatchCreatePartition 1, BatchGetPartition 1, GetTable 1");
    assert!(change.is_none(), "{change:?}");
    let (_, change) = arrive("shop/t/n=3/1.csv").await;
    let change = change.unwrap();
    assert!(!change.is_change() && change.partitions_added.is_empty());
    assert_eq!(change.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::MisplacedObject]);
    assert_eq!(other.partitions(&name("t")).await.unwrap()[3], n("3", "moved"), "it stays where it is");
}

/// Requests of the catalog step for ten objects in new partitions of a table. `UNGLUE_PARTITIONS` says how many the table has then.
#[tokio::test]
async fn an_arrival_costs_the_same_however_many_partitions_there_are() {
    let Some(glue) = glue().await else { return };
    let (store, engine) = lake(&glue);
    let put = async |object: &str| {
        store.put(&object_store::path::Path::from(object), "id,note\n1,x\n".into()).await.unwrap();
    };
    put("shop/t/n=0/1.csv").await;
    let (project, _) = Project::parse(Vec::new());
    engine.discover(&project).await.unwrap();
    let many = std::env::var("UNGLUE_PARTITIONS").ok().and_then(|many| many.parse().ok()).unwrap_or(2500);
    let mut costs = Vec::new();
    for (first, more) in [(1, 10), (1000, many)] {
        let partition = |n: usize| Partition {
            values: vec![Some(n.to_string())],
            location: format!("s3://lake/shop/t/n={n}/"),
            parameters: BTreeMap::new(),
        };
        let known: Vec<Partition> = (first..first + more).map(partition).collect();
        let catalog = glue.catalog();
        let table = catalog.table(&name("t")).await.unwrap().unwrap();
        catalog.add_partitions(&table, &known).await.unwrap();
        let operations = [
            "GetTable",
            "GetTables",
            "GetDatabases",
            "GetPartitions",
            "BatchGetPartition",
            "BatchCreatePartition",
            "UpdateTable",
        ];
        let count = || operations.map(|operation| glue.calls(operation));
        let before = count();
        let mut objects = Vec::new();
        for n in 0..10 {
            let object = format!("shop/t/n={}/1.csv", 10_000_000 + first * 10 + n);
            put(&object).await;
            objects.push(NewObject { url: format!("s3://lake/{object}"), bytes: 12 });
        }
        let started = Instant::now();
        let arrived = engine
            .discover_arrived(async || unreachable!("the catalog knows the table"), Some(&name("t")), &objects)
            .await
            .unwrap();
        eprintln!("ten partitions more, of a table with {more}: {} ms", started.elapsed().as_millis());
        assert_eq!(arrived[0].change.as_ref().unwrap().partitions_added.len(), 10);
        let after = count();
        costs.push(
            operations
                .into_iter()
                .zip(after.iter().zip(before).map(|(after, before)| after - before))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(costs[0], costs[1]);
    assert_eq!(costs[0].iter().map(|(_, calls)| calls).sum::<u64>(), 2, "{:?}", costs[0]);
}

#[tokio::test]
async fn answers_that_are_lost() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    let lost = || json!({ "error": "InternalServiceException", "after": true });
    glue.fail("CreateTable", lost());
    let created = catalog.put_table(&orders()).await.unwrap();
    glue.fail("UpdateTable", lost());
    let wanted = Table { description: Some("All orders".to_owned()), ..created };
    let replaced = catalog.put_table(&wanted).await.unwrap();
    assert_eq!(replaced, Table { version: replaced.version.clone(), ..wanted });
    assert_eq!((glue.calls("CreateTable"), glue.calls("UpdateTable")), (2, 2));

    let (first, second) = (many(3, "v1-"), many(3, "v2-"));
    glue.fail("BatchCreatePartition", lost());
    catalog.add_partitions(&replaced, &first).await.unwrap();
    let moves: Vec<PartitionChange> = first
        .iter()
        .zip(&second)
        .map(|(from, to)| PartitionChange {
            values: to.values.clone(),
            from: Some(from.location.clone()),
            to: Some(to.clone()),
        })
        .collect();
    glue.fail("BatchUpdatePartition", lost());
    catalog.change_partitions(&replaced.name, &moves).await.unwrap();
    assert_eq!(catalog.partitions(&replaced.name).await.unwrap(), second);
    glue.fail("BatchDeletePartition", lost());
    let drops: Vec<PartitionChange> = second
        .iter()
        .map(|from| PartitionChange { values: from.values.clone(), from: Some(from.location.clone()), to: None })
        .collect();
    catalog.change_partitions(&replaced.name, &drops).await.unwrap();
    assert_eq!(catalog.partitions(&replaced.name).await.unwrap(), []);
}

#[tokio::test]
async fn too_many_requests() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    let throttled = |times: u32| json!({ "error": "ThrottlingException", "times": times });
    glue.fail("GetTable", throttled(3));
    assert_eq!(catalog.table(&name("orders")).await.unwrap(), None, "it is asked again");
    assert_eq!(glue.calls("GetTable"), 4);
    glue.fail("GetTable", throttled(100));
    let error = catalog.table(&name("orders")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "catalog-unavailable: reading the table `shop.orders` failed in the Glue Data Catalog: Rate exceeded \
         (ThrottlingException); run again"
    );
    assert_eq!(glue.calls("GetTable"), 4 + 8);
}

#[tokio::test]
async fn what_is_denied_or_refused() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    catalog.put_table(&orders()).await.unwrap();
    glue.fail("GetTable", json!({ "error": "AccessDeniedException" }));
    assert_eq!(catalog.table(&name("orders")).await.unwrap_err().code, Code::PermissionDenied);
    glue.fail("GetTable", json!({ "error": "InvalidInputException" }));
    assert_eq!(catalog.table(&name("orders")).await.unwrap_err().code, Code::CatalogRefused);
    // A role that may not see one database still sees the others.
    glue.fail("GetTables", json!({ "error": "AccessDeniedException" }));
    assert_eq!(catalog.tables().await.unwrap(), []);
    glue.fail("GetDatabases", json!({ "error": "AccessDeniedException" }));
    assert_eq!(catalog.tables().await.unwrap_err().code, Code::PermissionDenied);
}

#[tokio::test]
async fn entries_of_batches_that_fail() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    let table = catalog.put_table(&orders()).await.unwrap();
    let wanted = many(250, "v1-");
    glue.fail("BatchCreatePartition", json!({ "error": "InternalServiceException", "entries": 2 }));
    let error = catalog.add_partitions(&table, &wanted).await.unwrap_err();
    assert_eq!(error.code, Code::CatalogUnavailable);
    assert!(error.message.starts_with("adding the partition (r"), "{error}");
    glue.fail("BatchGetPartition", json!({ "entries": 5 }));
    let there = catalog.add_partitions(&table, &wanted).await.unwrap();
    assert!(there.len() >= 98, "{} keys, those not processed at first among them", there.len());
    assert_eq!(catalog.partitions(&table.name).await.unwrap(), wanted, "adding again completes what was half done");

    let moved = many(250, "v2-");
    let moving = |(from, to): (&Partition, &Partition)| PartitionChange {
        values: to.values.clone(),
        from: Some(from.location.clone()),
        to: Some(to.clone()),
    };
    let changes: Vec<PartitionChange> = wanted.iter().zip(&moved).map(moving).collect();
    let gone = json!({ "error": "EntityNotFoundException", "entries": 1 });
    glue.fail("BatchUpdatePartition", gone.clone());
    catalog.change_partitions(&table.name, &changes).await.unwrap();
    let found = catalog.partitions(&table.name).await.unwrap();
    assert_eq!(found.iter().filter(|partition| moved.contains(partition)).count(), 249, "one had vanished in between");

    // Another process was faster: no error, and not the business of this one.
    let change = PartitionChange { values: found[1].values.clone(), from: Some(found[1].location.clone()), to: None };
    glue.fail("BatchDeletePartition", gone);
    catalog.change_partitions(&table.name, &[change]).await.unwrap();

    let odd = Partition { values: vec![None, None], ..partition("x", "x") };
    assert_eq!(catalog.add_partitions(&table, &[odd]).await.unwrap_err().code, Code::BadPartitionValue);
}

#[tokio::test]
async fn filters_are_sent() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    let table = catalog.put_table(&orders()).await.unwrap();
    let all = many(200, "v1-");
    catalog.add_partitions(&table, &all).await.unwrap();
    let table = table.name;
    let test = PartitionTest::In(vec!["r007".to_owned(), "r150".to_owned()]);
    let condition = PartitionCondition { key: "region".to_owned(), hive_type: HiveType::String, test };
    let filter = PartitionFilter { conditions: vec![condition], canonical: false };
    let before = glue.calls("GetPartitions");
    let found = catalog.matching_partitions(&table, &filter).await.unwrap();
    assert_eq!(found, [all[7].clone(), all[150].clone()]);
    assert_eq!(glue.calls("GetPartitions"), before + 1);

    glue.fail("GetPartitions", json!({ "error": "InvalidInputException" }));
    assert_eq!(catalog.matching_partitions(&table, &filter).await.unwrap(), all, "an expression that is refused");
}

#[tokio::test]
async fn tables_of_others() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    let create = |input: TableInput| glue.client.create_table().database_name("shop").table_input(input).send();
    let view = TableInput::builder().name("a_view").table_type("VIRTUAL_VIEW").view_original_text("/* Presto View */");
    create(view.build().unwrap()).await.unwrap();
    create(TableInput::builder().name("with-dash").build().unwrap()).await.unwrap();
    assert_eq!(catalog.tables().await.unwrap(), [name("a_view")], "names that no query can have are left out");
    let error = catalog.table(&name("a_view")).await.unwrap_err();
    assert_eq!(error.code, Code::UnsupportedTable);
    assert_eq!(error.message, "the table `shop.a_view` cannot be read: its `TableType` is `VIRTUAL_VIEW`");
    assert_eq!(catalog.put_table(&Table { name: name("a_view"), ..orders() }).await.unwrap_err().code, error.code);
}

#[tokio::test]
async fn what_people_wrote_survives() {
    let Some(glue) = glue().await else { return };
    let catalog = glue.catalog();
    let created = catalog.put_table(&orders()).await.unwrap();
    let written = of_glue(&glue, "orders").await;
    let mut by_hand: StorageDescriptor = written.storage_descriptor.unwrap();
    by_hand.number_of_buckets = 8;
    by_hand.parameters = Some(HashMap::from([("note".to_owned(), "by hand".to_owned())]));
    let input = TableInput::builder()
        .name("orders")
        .owner("data team")
        .retention(30)
        .table_type("EXTERNAL_TABLE")
        .storage_descriptor(by_hand.clone())
        .set_partition_keys(written.partition_keys)
        .parameters("EXTERNAL", "TRUE")
        .parameters("contact", "#data");
    glue.client.update_table().database_name("shop").table_input(input.build().unwrap()).send().await.unwrap();

    let stale = Table { description: Some("stale".to_owned()), ..created };
    assert_eq!(catalog.put_table(&stale).await.unwrap_err().code, Code::Conflict);
    let mut read = catalog.table(&name("orders")).await.unwrap().unwrap();
    assert_eq!(read.parameters, BTreeMap::from([("contact".to_owned(), "#data".to_owned())]));
    read.description = Some("All orders".to_owned());
    catalog.put_table(&read).await.unwrap();
    let after = of_glue(&glue, "orders").await;
    assert_eq!((after.owner.as_deref(), after.retention), (Some("data team"), 30));
    assert_eq!(after.description.as_deref(), Some("All orders"));
    assert_eq!(after.storage_descriptor, Some(by_hand));
    assert_eq!(after.parameters.unwrap()["contact"], "#data");

    let calls = glue.calls("UpdateTable");
    let again = catalog.table(&name("orders")).await.unwrap().unwrap();
    catalog.put_table(&again).await.unwrap();
    assert_eq!(glue.calls("UpdateTable"), calls, "what is there already is not written");
}
