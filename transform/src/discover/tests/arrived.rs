//! Objects that are named, as the handler of arrivals names them: the rest of their table is not looked at.

use super::*;

impl Place {
    async fn arrived(&self, table: &str, objects: &[&str]) -> Option<TableChange> {
        let mut named = Vec::new();
        for object in objects {
            let path = self.root.path(object).unwrap();
            let bytes = self.root.store().head(&path).await.map_or(1, |meta| meta.size);
            named.push(NewObject { url: self.root.url(&path), bytes });
        }
        let place = name(table);
        let arrived =
            arrived(&self.root, &self.catalog, Some(&place), &named, async || Ok(Produced::default())).await.unwrap();
        let [arrived] = <[ArrivedIn; 1]>::try_from(arrived).expect("one table");
        arrived.change
    }

    /// Takes objects away, so that nobody can read them.
    async fn remove(&self, objects: &[&str]) {
        for object in objects {
            self.root.store().delete(&self.root.path(object).unwrap()).await.unwrap();
        }
    }
}

fn told(change: Option<TableChange>) -> Vec<String> {
    let findings = change.map(|change| change.findings).unwrap_or_default();
    let mut told: Vec<String> = findings
        .into_iter()
        .map(|finding| {
            let object = finding.object.map(|place| place.object).unwrap_or_default();
            format!("{} {}", finding.code, object.rsplit('/').next().unwrap_or_default())
        })
        .collect();
    told.sort();
    told
}

#[tokio::test]
async fn a_new_table_is_told_from_all_of_it_and_a_known_one_from_what_arrived() {
    let place =
        Place::with(&[("raw/t/1.csv", b"id,at\n1,2026-11-01\n"), ("raw/t/2.csv", b"id,at,note\n2,x,y\n")]).await;
    let created = place.arrived("raw.t", &["raw/t/2.csv"]).await.unwrap();
    assert!(created.created && created.objects == 2);
    assert_eq!(described(&created.columns_added), ["id:bigint", "at:string", "note:string"]);

    place.remove(&["raw/t/1.csv", "raw/t/2.csv"]).await;
    place.put("raw/t/3.csv", b"id,at,more\n3,x,1.5\n").await;
    place.put("raw/t/_hidden.csv", b"odd\n").await;
    let change = place.arrived("raw.t", &["raw/t/3.csv", "raw/t/_hidden.csv"]).await.unwrap();
    assert_eq!((change.objects, change.skipped), (1, 1));
    assert_eq!(described(&change.columns_added), ["more:double"]);
    let again = place.arrived("raw.t", &["raw/t/3.csv"]).await.unwrap();
    assert!(!again.is_change(), "it is known by now");
    let missing: Vec<_> = again.columns_changed.iter().map(|change| (change.column.as_str(), change.kind)).collect();
    assert_eq!(missing, [("note", ColumnChangeKind::Missing)]);
    assert!(place.arrived("raw.t", &["raw/t/gone.csv"]).await.is_none(), "it is gone by now");
}

#[tokio::test]
async fn what_arrived_and_cannot_be_read_is_told() {
    let place = Place::with(&[("raw/t/1.csv", b"id,at\n1,2026-11-01\n")]).await;
    place.discover_one().await;
    place.put("raw/t/other.csv", b"a,b\n1,2\n").await;
    place.put("raw/t/odd.csv.gz", b"not packed").await;
    place.put("raw/t/cut.csv.gz", &gzip(b"id,at\n1,2026-11-01\n")[..12]).await;
    let objects = ["raw/t/1.csv", "raw/t/other.csv", "raw/t/odd.csv.gz", "raw/t/cut.csv.gz"];
    let change = place.arrived("raw.t", &objects).await;
    assert_eq!(told(change), ["bad-object cut.csv.gz", "column-mismatch odd.csv.gz", "column-mismatch other.csv"]);
}

/// A message may be of a version that was replaced before it was read: what there is now is read, as large as it is.
#[tokio::test]
async fn the_size_that_a_message_tells_is_not_trusted() {
    let place = Place::with(&[("raw/t/1.csv", b"id,at\n1,2026-11-01\n"), ("raw/t/empty.csv", b"")]).await;
    place.discover_one().await;
    let whole = format!("id,at,note\n{}1,2026-11-01,y\n", "1,2026-11-01,\n".repeat(2000));
    place.put("raw/t/2.csv", whole.as_bytes()).await;
    let ids: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![1]));
    place.put("raw/p/1.parquet", &parquet_of(vec![("id", ids)])).await;
    for bytes in [1, 12, 1 << 40] {
        let of = |object: &str| NewObject { url: place.root.absolute(object), bytes };
        let tell = async |table: &str, objects: &[NewObject]| {
            let table = name(table);
            let told =
                arrived(&place.root, &place.catalog, Some(&table), objects, async || Ok(Produced::default())).await;
            told.unwrap().pop().and_then(|arrived| arrived.change)
        };
        let change = tell("raw.t", &[of("raw/t/2.csv"), of("raw/t/empty.csv")]).await;
        let added = change.as_ref().map(|change| described(&change.columns_added)).unwrap_or_default();
        let expected: &[&str] = if bytes == 1 { &["note:string"] } else { &[] };
        assert_eq!((added, told(change)), (expected.iter().map(|text| (*text).to_owned()).collect(), vec![]));
        assert_eq!(told(tell("raw.p", &[of("raw/p/1.parquet")]).await), [] as [&str; 0]);
    }
    assert_eq!(described(&place.table("raw.p").await.columns), ["id:bigint"]);
}

#[tokio::test]
async fn partitions_of_what_arrived_are_added_once() {
    let place = Place::with(&[("raw/t/day=2026-11-01/1.csv", b"id\n1\n")]).await;
    place.discover_one().await;
    place.put("raw/t/day=2026-11-02/2.csv", b"id\n2\n").await;
    place.put("raw/t/day=2026-11-03/3.csv", b"id\n3\n").await;
    let change = place.arrived("raw.t", &["raw/t/day=2026-11-02/2.csv"]).await.unwrap();
    assert_eq!(change.partitions_added, [[Some("2026-11-02".to_owned())]]);
    assert!(place.arrived("raw.t", &["raw/t/day=2026-11-01/1.csv", "raw/t/day=2026-11-02/2.csv"]).await.is_none());
    assert_eq!(place.catalog.partitions(&name("raw.t")).await.unwrap().len(), 2);
}

#[tokio::test]
async fn objects_that_nobody_would_read_are_told() {
    let place = Place::with(&[("raw/t/day=2026-11-01/1.csv", b"id\n1\n")]).await;
    place.discover_one().await;
    let moved = Partition {
        values: vec![Some("2026-11-01".to_owned())],
        location: "memory://test/data/raw/t/elsewhere/".to_owned(),
        parameters: Default::default(),
    };
    let from = Some(place.root.absolute("raw/t/day=2026-11-01/"));
    let change = PartitionChange { values: moved.values.clone(), from, to: Some(moved) };
    place.catalog.change_partitions(&name("raw.t"), &[change]).await.unwrap();
    place.put("raw/t/day=2026-11-01/2.csv", b"id\n2\n").await;
    let both = ["raw/t/day=2026-11-01/1.csv", "raw/t/day=2026-11-01/2.csv"];
    assert_eq!(told(place.arrived("raw.t", &both).await), ["misplaced-object 1.csv", "misplaced-object 2.csv"]);

    let table = place.table("raw.t").await;
    place.catalog.put_table(&Table { location: "memory://test/data/archive/t/".to_owned(), ..table }).await.unwrap();
    assert_eq!(told(place.arrived("raw.t", &both).await), ["misplaced-object 1.csv", "misplaced-object 2.csv"]);
    assert!(place.discover().await.tables.is_empty(), "what lies there for long is nobody's fault now");
}

/// Tables of other tools may lie anywhere.
#[tokio::test]
async fn objects_belong_to_the_table_whose_location_goes_on_longest() {
    let csv: &[u8] = b"id,at\n1,2026-11-01\n";
    let place = Place::with(&[("raw/t/1.csv", csv)]).await;
    place.discover_one().await;
    let table = place.table("raw.t").await;
    for (other, folder) in [("raw.special", "raw/t/special/"), ("shop.incoming", "incoming/")] {
        let location = place.root.absolute(folder);
        let other = Table { name: name(other), location, version: None, ..table.clone() };
        place.catalog.put_table(&other).await.unwrap();
    }
    let tables = async |of: Option<&str>, objects: &[&str]| {
        let url = |object: &&str| NewObject { url: place.root.absolute(object), bytes: 9 };
        let objects: Vec<NewObject> = objects.iter().map(url).collect();
        let of = of.map(name);
        let arrived =
            arrived(&place.root, &place.catalog, of.as_ref(), &objects, async || Ok(Produced::default())).await?;
        let told = arrived.into_iter().map(|arrived| format!("{} {}", arrived.table, arrived.objects.len()));
        Ok::<_, Error>(told.collect::<Vec<_>>())
    };
    let objects = ["raw/t/2.csv", "raw/t/special/1.csv", "raw/t/other/1.csv"];
    for object in objects.into_iter().chain(["incoming/1.csv"]) {
        place.put(object, csv).await;
    }
    assert_eq!(tables(Some("raw.t"), &objects).await.unwrap(), ["raw.special 1", "raw.t 2"]);
    assert_eq!(tables(None, &["incoming/1.csv"]).await.unwrap(), ["shop.incoming 1"]);
    let nowhere = tables(None, &["elsewhere.csv"]).await.unwrap_err();
    assert_eq!(nowhere.code, Code::MisplacedObject);
}

#[tokio::test]
async fn folders_of_dates_are_partitions_of_the_keys_that_the_table_names() {
    let csv: &[u8] = b"id\n1\n";
    let place = Place::with(&[("raw/t/year=2025/month=12/day=31/1.csv", csv)]).await;
    place.discover_one().await;
    let mut table = place.table("raw.t").await;
    table.parameters.insert("unglue.folders".to_owned(), "Year, month,day".to_owned());
    place.catalog.put_table(&table).await.unwrap();
    for object in ["raw/t/2026/11/22/1.csv", "raw/t/2026/11/22/10/2.csv", "raw/t/2026/x/22/3.csv"] {
        place.put(object, csv).await;
    }
    let objects = ["raw/t/2026/11/22/1.csv", "raw/t/2026/11/22/10/2.csv", "raw/t/2026/x/22/3.csv"];
    let change = place.arrived("raw.t", &objects).await.unwrap();
    assert_eq!(change.partitions_added, [["2026", "11", "22"].map(|value| Some(value.to_owned()))]);
    let codes: Vec<_> = change.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::BadPartitionValue]);
    let partitions = place.catalog.partitions(&table.name).await.unwrap();
    assert!(partitions[1].location.ends_with("raw/t/2026/11/22/"), "{}", partitions[1].location);
    assert!(place.arrived("raw.t", &objects[..1]).await.is_none(), "it is known by now");
}

#[tokio::test]
async fn two_hundred_arrivals_of_a_new_table_make_one_table_and_all_partitions() {
    const ARRIVALS: usize = 200;
    let place = Place::in_memory();
    let object = |number: usize| format!("raw/t/day={number:03}/x.csv");
    for number in 0..ARRIVALS {
        place.put(&object(number), format!("id,c{number:03}\n{number},1\n").as_bytes()).await;
    }
    let table = name("raw.t");
    let arrive = async |number: usize| {
        let objects = [NewObject { url: place.root.absolute(&object(number)), bytes: 9 }];
        // As a message that comes again: a conflict is for whoever sends it once more.
        loop {
            match arrived(&place.root, &place.catalog, Some(&table), &objects, async || Ok(Produced::default())).await {
                Ok(arrived) => return arrived,
                Err(error) => assert_eq!(error.code, Code::Conflict, "{error}"),
            }
        }
    };
    let all = futures::future::join_all((0..ARRIVALS).map(arrive)).await;
    assert!(
        all.iter().flatten().filter_map(|arrived| arrived.change.as_ref()).all(|change| change.findings.is_empty())
    );
    assert_eq!(place.catalog.tables().await.unwrap(), std::slice::from_ref(&table));
    assert_eq!(place.catalog.partitions(&table).await.unwrap().len(), ARRIVALS);
    assert_eq!(place.table("raw.t").await.columns.len(), 1 + ARRIVALS, "no column is lost");
}
