//! Objects that differ from their table.

use super::*;

/// A table of `id,amount,day` with this policy, and what becomes of it when an object arrives.
async fn after(policy: Option<&str>, object: &[u8]) -> (Place, TableChange) {
    let place = Place::with(&[("raw/t/a.csv", b"id,amount,day\n1,2,2026-11-22\n")]).await;
    place.discover_one().await;
    if let Some(policy) = policy {
        let mut table = place.table("raw.t").await;
        table.parameters.insert("unglue.schema_change".to_owned(), policy.to_owned());
        place.catalog.put_table(&table).await.unwrap();
    }
    place.put("raw/t/b.csv", object).await;
    let objects = [NewObject { url: place.root.absolute("raw/t/b.csv"), bytes: object.len() as u64 }];
    let table = name("raw.t");
    let mut told =
        arrived(&place.root, &place.catalog, Some(&table), &objects, async || Ok(Produced::default())).await.unwrap();
    let change = told.pop().and_then(|arrived| arrived.change).unwrap_or_else(|| TableChange::new(table));
    (place, change)
}

fn told(change: &TableChange) -> Vec<String> {
    let types = |change: &ColumnChange| match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!(" {old} {new}"),
        (None, Some(new)) => format!(" {new}"),
        (Some(old), None) if change.kind == ColumnChangeKind::Recased => format!(" {old}"),
        _ => String::new(),
    };
    let value = |change: &ColumnChange| change.sample.as_ref().map(|value| format!(" `{value}`")).unwrap_or_default();
    let told = |change: &ColumnChange| {
        let applied = if change.applied { "" } else { " (not applied)" };
        format!("{} {}{}{}{applied}", change.kind.name(), change.column, types(change), value(change))
    };
    change.columns_changed.iter().map(told).collect()
}

#[tokio::test]
async fn every_difference_is_told_with_what_shows_it() {
    let object = b"day,amount,note\n2026-11-23,7,x\n2026-11-24 10:00:00,2.5,y\n";
    let (place, change) = after(None, object).await;
    assert_eq!(
        told(&change),
        [
            "missing id (not applied)",
            "reordered day (not applied)",
            "widened amount bigint double `2.5`",
            "widened day date timestamp `2026-11-24 10:00:00`",
            "added note string",
        ]
    );
    assert!(change.findings.is_empty(), "{:?}", change.findings);
    assert!(change.columns_changed.iter().all(|change| change.object.ends_with("raw/t/b.csv")));
    let table = place.table("raw.t").await;
    assert_eq!(described(&table.columns), ["id:bigint", "amount:double", "day:timestamp", "note:string"]);
    place.quiet().await;
}

#[tokio::test]
async fn a_name_in_another_letter_case_is_told_and_read() {
    let (_, change) = after(None, b"ID,amount,Day\n2,3,2026-11-23\n").await;
    assert_eq!(told(&change), ["recased id bigint `ID` (not applied)", "recased day date `Day` (not applied)"]);
    assert!(change.findings.is_empty() && !change.is_change());
    let (_, change) = after(Some("fail"), b"ID,amount,day\n2,3,2026-11-23\n").await;
    assert!(change.findings.is_empty(), "nothing is lost by it");

    let first = b"{\"orderId\":1,\"note\":\"x\"}\n{\"ORDERID\":1,\"Note\":\"x\"}\n";
    let place = Place::with(&[("raw/t/a.jsonl", first)]).await;
    place.discover_one().await;
    assert_eq!(place.table("raw.t").await.parameters["unglue.spelled"], "orderId");
    let arrive = async |object: &[u8]| {
        place.put("raw/t/b.jsonl", object).await;
        let objects = [NewObject { url: place.root.absolute("raw/t/b.jsonl"), bytes: object.len() as u64 }];
        let table = name("raw.t");
        let mut all = arrived(&place.root, &place.catalog, Some(&table), &objects, async || Ok(Produced::default()))
            .await
            .unwrap();
        all.pop().and_then(|arrived| arrived.change).map(|change| told(&change)).unwrap_or_default()
    };
    assert_eq!(arrive(b"{\"orderId\":2,\"note\":\"y\"}\n").await, [""; 0], "as it was");
    assert_eq!(
        arrive(b"{\"ORDERID\":2,\"Extra\":1}\n").await,
        ["recased orderid bigint `ORDERID` (not applied)", "added extra bigint"]
    );
    assert_eq!(place.table("raw.t").await.parameters["unglue.spelled"], "orderId,Extra");
    assert_eq!(arrive(b"{\"orderId\":2,\"Extra\":1}\n").await, [""; 0]);
}

#[tokio::test]
async fn fields_of_structs_are_the_same_in_any_letter_case() {
    let place = Place::with(&[(
        "raw/t/a.jsonl",
        b"{\"user\":{\"firstName\":\"a\"}}\n{\"user\":{\"FIRSTNAME\":\"b\",\"age\":1}}\n",
    )])
    .await;
    place.discover_one().await;
    assert_eq!(described(&place.table("raw.t").await.columns), ["user:struct<firstName:string,age:bigint>"]);
    let mut table = place.table("raw.t").await;
    table.columns[0].hive_type = "struct<firstname:string,age:bigint>".parse().unwrap();
    place.catalog.put_table(&table).await.unwrap();
    place.put("raw/t/b.jsonl", b"{\"user\":{\"Firstname\":\"c\",\"Age\":2.5}}\n").await;
    place.discover_one().await;
    let columns = described(&place.table("raw.t").await.columns);
    assert_eq!(columns, ["user:struct<firstname:string,age:double>"], "as Athena declares it, and wider");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_value() {
    let (place, change) = after(None, b"id,amount,day\nx,n/a,2026-11-22\n").await;
    assert_eq!(
        told(&change),
        ["incompatible id bigint string `x` (not applied)", "incompatible amount bigint string `n/a` (not applied)"]
    );
    let codes: Vec<_> = change.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::ColumnMismatch; 2]);
    assert!(change.findings[1].message.contains("(`n/a`)"), "{}", change.findings[1]);
    assert_eq!(described(&place.table("raw.t").await.columns), ["id:bigint", "amount:bigint", "day:date"]);

    let (_, change) = after(None, b"id,amount,day\n2,1,\n3,n/a,\n4,5,\n").await;
    assert_eq!(told(&change), [""; 0], "one odd value is a bad record");
    assert!(change.findings.is_empty());
}

#[tokio::test]
async fn a_table_says_what_may_change_it() {
    let object = b"id,amount,day,note\n2,2.5,2026-11-22,x\n";
    for (policy, columns, findings) in [
        ("add", "id:bigint amount:bigint day:date note:string", 1),
        ("widen", "id:bigint amount:double day:date", 0),
        ("widen, add", "id:bigint amount:double day:date note:string", 0),
        ("fail", "id:bigint amount:bigint day:date", 2),
        ("IGNORE", "id:bigint amount:bigint day:date", 0),
    ] {
        let (place, change) = after(Some(policy), object).await;
        assert_eq!(described(&place.table("raw.t").await.columns).join(" "), columns, "{policy}");
        assert_eq!(change.findings.len(), findings, "{policy}: {:?}", change.findings);
    }
    let (_, change) = after(Some("fail"), b"id,day\n2,2026-11-22\n").await;
    assert!(change.findings[0].message.contains("lacks the column `amount`"), "{:?}", change.findings);
    let (_, change) = after(Some("sometimes"), object).await;
    assert_eq!(change.findings[0].code, Code::UnsupportedTable);
    assert!(!change.is_change());
}

#[tokio::test]
async fn a_table_keeps_what_does_not_fit() {
    let object = b"id,amount,day,note\nx,n/a,2026-11-22,y\n";
    let (place, change) = after(Some("rescue"), object).await;
    assert_eq!(
        told(&change),
        [
            "incompatible id bigint string `x` (not applied)",
            "incompatible amount bigint string `n/a` (not applied)",
            "added note string (not applied)",
        ]
    );
    assert!(change.findings.is_empty(), "{:?}", change.findings);
    let columns = ["id:bigint", "amount:bigint", "day:date", "_rescued_data:string"];
    assert_eq!(described(&place.table("raw.t").await.columns), columns);
    place.put("raw/t/c.csv", b"id,amount,day,note\n1,2.5,2026-11-22,y\n").await;
    place.quiet().await;

    let (place, change) = after(Some("add,widen,rescue"), b"id,amount,day,note\n2,2.5,never,y\n").await;
    assert!(change.findings.is_empty(), "{:?}", change.findings);
    assert_eq!(
        described(&place.table("raw.t").await.columns),
        ["id:bigint", "amount:double", "day:date", "note:string", "_rescued_data:string"]
    );
    place.quiet().await;
}

#[tokio::test]
async fn what_was_written_by_hand_stays() {
    let place = Place::with(&[("raw/t/a.json", b"{\"id\":1,\"s\":{\"a\":1}}\n")]).await;
    place.discover_one().await;
    let mut table = place.table("raw.t").await;
    table.columns[0].comment = Some("the id".to_owned());
    table.columns[0].hive_type = HiveType::Decimal(12, 2);
    table.description = Some("by hand".to_owned());
    place.catalog.put_table(&table).await.unwrap();
    place.put("raw/t/b.json", b"{\"id\":2.5,\"s\":{\"b\":\"x\",\"a\":0.5},\"l\":[1]}\n").await;
    let change = place.discover_one().await;
    assert_eq!(
        told(&change),
        ["widened s struct<a:bigint> struct<a:double,b:string> `{\"a\":0.5,\"b\":\"x\"}`", "added l array<bigint>"]
    );
    let after = place.table("raw.t").await;
    assert_eq!(after.columns[0], table.columns[0]);
    assert_eq!(after.description, table.description);
    place.quiet().await;
}

#[tokio::test]
async fn declared_types_become_wider_and_never_narrower() {
    let ints = |values: Vec<i32>| Arc::new(Int32Array::from(values)) as arrow::array::ArrayRef;
    let longs = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as arrow::array::ArrayRef;
    let place =
        Place::with(&[("raw/t/a.parquet", &parquet_of(vec![("a", ints(vec![1])), ("b", longs(vec![1]))]))]).await;
    place.discover_one().await;
    place.put("raw/t/b.parquet", &parquet_of(vec![("a", longs(vec![1])), ("b", ints(vec![1]))])).await;
    let change = place.discover_one().await;
    assert_eq!(told(&change), ["widened a int bigint", "narrowed b bigint int (not applied)"]);
    assert_eq!(described(&place.table("raw.t").await.columns), ["a:bigint", "b:bigint"]);
    place.quiet().await;
}
