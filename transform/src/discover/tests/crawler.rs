//! What Glue's crawler is known to get wrong.

use super::*;

/// The crawler makes two tables of these, `year_2017` and `year_2018`.
#[tokio::test]
async fn objects_with_different_keys_stay_one_table() {
    let place = Place::with(&[
        ("raw/t/year=2017/a.json", b"{\"A\":1,\"B\":\"x\"}\n"),
        ("raw/t/year=2018/b.json", b"{\"C\":2.5,\"D\":true}\n"),
    ])
    .await;
    let change = place.discover_one().await;
    assert_eq!(described(&change.columns_added), ["a:bigint", "b:string", "c:double", "d:boolean"]);
    assert_eq!(change.partitions_added.len(), 2);
    assert_eq!(described(&place.table("raw.t").await.partition_keys), ["year:bigint"]);
}

/// The crawler takes the header for a row, and calls the columns `col0` and `col1`.
#[tokio::test]
async fn a_csv_table_of_texts_keeps_its_header() {
    let place = Place::with(&[("raw/t/a.csv", b"first,last\nAda,Lovelace\nGrace,Hopper\n")]).await;
    let change = place.discover_one().await;
    assert_eq!(described(&change.columns_added), ["first:string", "last:string"]);
    let Format::Csv(options) = place.table("raw.t").await.format else { panic!("CSV") };
    assert_eq!(options.header_lines, 1);
}

#[tokio::test]
async fn a_csv_table_without_a_header() {
    let place = Place::with(&[("raw/t/a.csv", b"1,x\n2,y\n"), ("raw/t/b.csv", b"x,y\nz,w\n")]).await;
    let change = place.discover_one().await;
    assert_eq!(described(&change.columns_added), ["col0:string", "col1:string"], "the second object has texts there");
    let Format::Csv(options) = place.table("raw.t").await.format else { panic!("CSV") };
    assert_eq!(options.header_lines, 0);
    place.quiet().await;

    let mixed = Place::with(&[("raw/t/a.csv", b"1,x\n2,y\n"), ("raw/t/b.csv", b"id,name\n3,z\n")]).await;
    let (change, codes) = mixed.findings().await;
    assert_eq!(codes, [Code::UnreadableTable]);
    assert!(change.findings[0].message.contains("some of the table's objects have a header"), "{}", change.findings[0]);
}

/// The crawler makes them strings for good.
#[tokio::test]
async fn columns_without_values_are_decided_by_the_first_ones() {
    let place = Place::with(&[("raw/t/a.csv", b"id,amount,note\n1,,\n")]).await;
    place.discover_one().await;
    let table = place.table("raw.t").await;
    assert_eq!(described(&table.columns), ["id:bigint", "amount:string", "note:string"]);
    assert_eq!(table.parameters["unglue.undecided"], "amount,note");
    place.quiet().await;

    place.put("raw/t/b.csv", b"id,amount,note\n2,2.5,\n").await;
    let change = place.discover_one().await;
    let told: Vec<_> = change.columns_changed.iter().map(|change| (change.column.as_str(), change.kind)).collect();
    assert_eq!(told, [("amount", ColumnChangeKind::Decided)]);
    let table = place.table("raw.t").await;
    assert_eq!(described(&table.columns), ["id:bigint", "amount:double", "note:string"]);
    assert_eq!(table.parameters["unglue.undecided"], "note");

    place.put("raw/t/c.csv", b"id,amount,note\n3,,hello\n").await;
    place.discover_one().await;
    let table = place.table("raw.t").await;
    assert_eq!(described(&table.columns), ["id:bigint", "amount:double", "note:string"]);
    assert!(!table.parameters.contains_key("unglue.undecided"), "all are decided");
    place.quiet().await;
}
