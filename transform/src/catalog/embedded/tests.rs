use std::sync::Arc;
use std::time::Duration;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use object_store::{ObjectStore, ObjectStoreExt};

use super::*;
use crate::catalog::contract::contract;
use crate::format::Format;
use crate::store::Bucket;
use crate::table::Column;

fn root(store: Arc<dyn ObjectStore>, base: &str, prefix: &str) -> DataRoot {
    DataRoot::new(Bucket { base: base.to_owned(), store, multipart: None }, Path::parse(prefix).unwrap())
}

fn in_memory() -> DataRoot {
    root(Arc::new(InMemory::new()), "memory://test/", "")
}

fn table(root: &DataRoot) -> Table {
    let name = TableName::new("raw", "orders").unwrap();
    Table {
        location: root.table_location(&name),
        name,
        columns: vec![Column { name: "id".into(), hive_type: crate::HiveType::BigInt, comment: None }],
        partition_keys: vec![Column { name: "k".into(), hive_type: crate::HiveType::String, comment: None }],
        format: Format::Parquet,
        description: None,
        parameters: Default::default(),
        version: None,
    }
}

fn partition(table: &Table, value: &str) -> Partition {
    let folder = crate::partition::encode_path(["k"], &[Some(value.to_owned())]);
    Partition {
        values: vec![Some(value.to_owned())],
        location: format!("{}{folder}/", table.location),
        parameters: Default::default(),
    }
}

async fn files(root: &DataRoot) -> Vec<String> {
    let mut paths: Vec<_> =
        root.store().list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    paths.sort();
    paths
}

#[tokio::test]
async fn contract_in_memory() {
    contract(&EmbeddedCatalog::new(in_memory()), "suite", "memory://test/").await;
}

#[tokio::test]
async fn contract_below_a_prefix_and_with_locations_elsewhere() {
    let root = root(Arc::new(InMemory::new()), "s3://bucket/", "a/b c");
    contract(&EmbeddedCatalog::new(root.clone()), "inside", "s3://bucket/a/b c/").await;
    contract(&EmbeddedCatalog::new(root), "outside", "s3://other/").await;
}

/// In memory no call ever waits, so that tasks would run one after the other; here they interleave.
#[tokio::test]
async fn contract_with_slow_calls() {
    let slow = ThrottleConfig {
        wait_get_per_call: Duration::from_millis(1),
        wait_list_per_call: Duration::from_millis(1),
        wait_put_per_call: Duration::from_millis(1),
        ..ThrottleConfig::default()
    };
    let root = root(Arc::new(ThrottledStore::new(InMemory::new(), slow)), "memory://test/", "");
    contract(&EmbeddedCatalog::new(root), "suite", "memory://test/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contract_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let root = root(Arc::new(store), "file:///somewhere/", "");
    contract(&EmbeddedCatalog::new(root), "suite", "file:///somewhere/").await;
}

#[tokio::test]
async fn what_is_already_so_writes_nothing() {
    let root = in_memory();
    let catalog = EmbeddedCatalog::new(root.clone());
    let table = catalog.put_table(&table(&root)).await.unwrap();
    let partition = partition(&table, "a");
    catalog.add_partitions(&table, std::slice::from_ref(&partition)).await.unwrap();
    let before = files(&root).await;
    assert_eq!(before.len(), 2);
    assert_eq!(before[1], "_unglue/_catalog/raw/orders/00000000000000000002.json");

    catalog.put_table(&table).await.unwrap();
    catalog.add_partitions(&table, &[partition]).await.unwrap();
    catalog.add_partitions(&table, &[]).await.unwrap();
    let gone = PartitionChange { values: vec![Some("b".into())], from: Some("x://b/".into()), to: None };
    catalog.change_partitions(&table.name, &[gone]).await.unwrap();
    assert_eq!(files(&root).await, before);
}

#[tokio::test]
async fn a_long_log_reads_like_a_short_one() {
    let root = in_memory();
    let catalog = EmbeddedCatalog::new(root.clone());
    let mut table = catalog.put_table(&table(&root)).await.unwrap();
    let mut expected = Vec::new();
    for index in 0..70 {
        let partition = partition(&table, &format!("{index:03}"));
        catalog.add_partitions(&table, std::slice::from_ref(&partition)).await.unwrap();
        expected.push(partition);
        if index % 10 == 3 {
            let gone = expected.remove(0);
            let gone = PartitionChange { values: gone.values, from: Some(gone.location), to: None };
            catalog.change_partitions(&table.name, &[gone]).await.unwrap();
        }
        if index == 40 {
            table.description = Some("changed".into());
            table = catalog.put_table(&table).await.unwrap();
        }
        assert_eq!(catalog.partitions(&table.name).await.unwrap(), expected);
        assert_eq!(catalog.table(&table.name).await.unwrap(), Some(table.clone()));
    }

    // Entries before the newest checkpoint are not needed any more: 79 entries, checkpoints at 32 and 64.
    assert_eq!(files(&root).await.len(), 79);
    for number in 1..64 {
        root.store().delete(&catalog.entry_path(&table.name, number).unwrap()).await.unwrap();
    }
    assert_eq!(catalog.partitions(&table.name).await.unwrap(), expected);
    assert_eq!(catalog.table(&table.name).await.unwrap(), Some(table.clone()));
    root.store().delete(&catalog.entry_path(&table.name, 70).unwrap()).await.unwrap();
    let error = catalog.table(&table.name).await.unwrap_err();
    assert_eq!(error.code, Code::CatalogDamaged);
    assert!(error.object.unwrap().object.ends_with("00000000000000000070.json"));
}

#[tokio::test]
async fn a_data_folder_can_be_moved() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let old = root(Arc::clone(&store), "s3://bucket/", "old");
    let catalog = EmbeddedCatalog::new(old.clone());
    let table = catalog.put_table(&table(&old)).await.unwrap();
    let elsewhere = Partition { location: "s3://other/x/".into(), ..partition(&table, "b") };
    catalog.add_partitions(&table, &[partition(&table, "x://y"), elsewhere]).await.unwrap();

    for path in files(&old).await {
        let moved = path.replacen("old/", "new/place/", 1);
        store.rename(&Path::parse(path).unwrap(), &Path::parse(moved).unwrap()).await.unwrap();
    }
    let catalog = EmbeddedCatalog::new(root(store, "s3://bucket/", "new/place"));
    let moved = catalog.table(&table.name).await.unwrap().unwrap();
    assert_eq!(moved.location, "s3://bucket/new/place/raw/orders/");
    let locations: Vec<_> = catalog.partitions(&table.name).await.unwrap().into_iter().map(|p| p.location).collect();
    assert_eq!(locations, ["s3://other/x/", "s3://bucket/new/place/raw/orders/k=x%3A%2F%2Fy/"]);
}

#[tokio::test]
async fn a_lost_answer_is_no_conflict() {
    let root = in_memory();
    let catalog = EmbeddedCatalog::new(root.clone());
    let first = catalog.put_table(&table(&root)).await.unwrap();
    let renamed = Table { description: Some("renamed".into()), ..first.clone() };
    let second = catalog.put_table(&renamed).await.unwrap();
    // The caller never heard of its success and tries again with the version that it knows.
    assert_eq!(catalog.put_table(&renamed).await.unwrap(), second);
    assert_eq!(files(&root).await.len(), 2);

    // The storage client tried twice and reports the second try: the entry is there, with our content.
    let state = catalog.state(&first.name).await.unwrap();
    let partition = partition(&first, "a");
    let entry =
        log::encode(&state.next(Change::Partitions { put: vec![partition.clone()], drop: Vec::new() }), &root).unwrap();
    let raced = |seen: &State| -> Result<Option<Change>> {
        assert_eq!(seen.last(), 2, "one round is enough");
        let content = entry.clone();
        let path = catalog.entry_path(&first.name, 3).unwrap();
        let store = Arc::clone(root.store());
        futures::executor::block_on(async move { store.put(&path, content.into()).await.unwrap() });
        Ok(Some(Change::Partitions { put: vec![partition.clone()], drop: Vec::new() }))
    };
    catalog.change(&first.name, raced).await.unwrap();
    assert_eq!(catalog.partitions(&first.name).await.unwrap(), std::slice::from_ref(&partition));
}

#[tokio::test]
async fn literal_text_of_null_and_empty_text_are_values() {
    let root = in_memory();
    let catalog = EmbeddedCatalog::new(root.clone());
    let table = catalog.put_table(&table(&root)).await.unwrap();
    let values = ["", "\n\t\u{0}", "__HIVE_DEFAULT_PARTITION__"];
    let expected: Vec<_> = values.iter().map(|value| partition(&table, value)).collect();
    catalog.add_partitions(&table, &expected).await.unwrap();
    assert_eq!(catalog.partitions(&table.name).await.unwrap(), expected);

    let short = Partition { values: vec![], ..expected[0].clone() };
    assert_eq!(catalog.add_partitions(&table, &[short]).await.unwrap_err().code, Code::BadPartitionValue);
}

#[tokio::test]
async fn files_that_are_no_entries() {
    let root = in_memory();
    let catalog = EmbeddedCatalog::new(root.clone());
    let table = catalog.put_table(&table(&root)).await.unwrap();
    let path = catalog.entry_path(&table.name, 2).unwrap();
    let valid =
        String::from_utf8(root.read(&catalog.entry_path(&table.name, 1).unwrap()).await.unwrap().unwrap().to_vec())
            .unwrap();
    assert!(valid.contains(r#""location":"raw/orders/""#), "{valid}");
    let damaged = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        valid.replace(r#""format":1"#, r#""format":2"#),
        valid.replace(r#""format":1"#, r#""format":1,"renamed":[]"#),
        valid.replace(r#""name":"id""#, r#""name":"id","nullable":true"#),
        valid.replace("bigint", "number"),
        valid.replace("raw.orders", "Raw.orders"),
    ];
    for content in damaged {
        assert_ne!(content, valid);
        root.store().put(&path, content.clone().into()).await.unwrap();
        let error = catalog.table(&table.name).await.unwrap_err();
        assert_eq!(error.code, Code::CatalogDamaged, "{content}");
        assert!(error.object.unwrap().object.ends_with("/00000000000000000002.json"), "{content}");
        assert_eq!(catalog.add_partitions(&table, &[]).await.unwrap_err().code, Code::CatalogDamaged, "{content}");
    }
    root.store().delete(&path).await.unwrap();

    for stray in ["raw/orders/.DS_Store", "raw/orders/00000000000000000002.json~", "raw/README", "x/y/2.json"] {
        root.store().put(&root.path(&format!("{FOLDER}/{stray}")).unwrap(), "x".into()).await.unwrap();
    }
    let tables = catalog.tables().await.unwrap();
    assert_eq!(tables, std::slice::from_ref(&table.name));
    assert_eq!(catalog.table(&table.name).await.unwrap(), Some(table));
}
