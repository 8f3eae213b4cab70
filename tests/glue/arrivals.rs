//! What an arrival changes in Glue, and what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use serde_json::json;
use transform::{
    Bucket, Catalog, Code, Column, DataRoot, Engine, Format, Heirs, HiveType, JsonOptions, Limits, NewObject,
    Partition, PartitionColumns, Project, Table,
};

use crate::server::{Glue, glue};
use crate::{many, name, orders, partition};

/// A bucket `lake` in memory, and an engine over it.
fn lake(glue: &Glue) -> (Arc<InMemory>, Engine) {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket { base: "s3://lake/".into(), store: store.clone(), multipart: Some(store.clone()) };
    let root = DataRoot::new(bucket, object_store::path::Path::default());
    let limits = Limits { memory: 256 << 20, cores: 1, temp: std::env::temp_dir() };
    (store, Engine::new(root, Arc::new(glue.catalog()), limits))
}

/// A partition of `shop.t`, whose key is `n`.
fn of_t(n: usize, folder: &str) -> Partition {
    Partition {
        values: vec![Some(n.to_string())],
        location: format!("s3://lake/shop/t/{folder}/"),
        parameters: BTreeMap::new(),
    }
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
    other.add_partitions(&table, &[of_t(2, "n=2"), of_t(3, "moved")]).await.unwrap();
    let (calls, change) = arrive("shop/t/n=2/1.csv").await;
    assert_eq!(calls.join(", "), "BatchCreatePartition 1, BatchGetPartition 1, GetTable 1");
    assert!(change.is_none(), "{change:?}");
    let (_, change) = arrive("shop/t/n=3/1.csv").await;
    let change = change.unwrap();
    assert!(!change.is_change() && change.partitions_added.is_empty());
    assert_eq!(change.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::MisplacedObject]);
    assert_eq!(other.partitions(&name("t")).await.unwrap()[3], of_t(3, "moved"), "it stays where it is");
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
        let known: Vec<Partition> = (first..first + more).map(|n| of_t(n, &format!("n={n}"))).collect();
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
