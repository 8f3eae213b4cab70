//! The Glue catalog against a server that is as strict as Glue: the contract of catalogs, and what Glue adds to it.

// Tests may fail loudly.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

mod arrivals;
mod server;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_glue::types::{self, DatabaseInput, StorageDescriptor, TableInput};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use serde_json::json;
use transform::{
    Asked, Bucket, Catalog, Code, Column, DataRoot, Engine, Format, HiveType, Limits, Partition, PartitionChange,
    PartitionCondition, PartitionFilter, PartitionTest, Project, Stamp, Table, TableName, catalog_contract,
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
