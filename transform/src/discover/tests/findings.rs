//! What is wrong in the data folder, and that the rest goes on.

use super::*;

#[tokio::test]
async fn folders_of_other_keys() {
    let place = Place::with(&[("raw/t/day=1/x.csv", b"a\n1\n"), ("raw/t/month=1/x.csv", b"a\n1\n")]).await;
    let (change, codes) = place.findings().await;
    assert_eq!(codes, [Code::BadPartitionValue]);
    assert!(change.findings[0].message.contains("day=1/x.csv"), "{}", change.findings[0]);
    assert!(change.findings[0].message.contains("month=1/x.csv"), "{}", change.findings[0]);
    assert!(!change.created);
    for objects in [
        &[("raw/t/day=1/x.csv", &b"a\n1\n"[..]), ("raw/t/x.csv", b"a\n1\n")][..],
        &[("raw/t/a=1/b=1/x.csv", b"a\n1\n"), ("raw/t/b=1/a=1/x.csv", b"a\n1\n")],
        &[("raw/t/a=1/A=1/x.csv", b"a\n1\n")],
    ] {
        let place = Place::with(objects).await;
        assert_eq!(place.findings().await.1, [Code::BadPartitionValue], "{objects:?}");
        assert_eq!(place.catalog.tables().await.unwrap(), []);
    }

    // Of a known table, what fits is added all the same.
    let place = Place::with(&[("raw/t/day=1/x.csv", b"a\n1\n")]).await;
    place.discover_one().await;
    place.put("raw/t/day=2/x.csv", b"a\n1\n").await;
    place.put("raw/t/day=x/x.csv", b"a\n1\n").await;
    place.put("raw/t/day=%32/x.csv", b"a\n1\n").await;
    place.put("raw/t/x.csv", b"a\n1\n").await;
    let (change, codes) = place.findings().await;
    assert_eq!(codes, [Code::BadPartitionValue; 3], "{:?}", change.findings);
    assert_eq!(change.partitions_added, [[Some("2".to_owned())]]);
}

#[tokio::test]
async fn types_that_contradict_the_catalog() {
    let place = Place::with(&[("raw/t/a.csv", b"id,day\n1,2026-11-22\n")]).await;
    place.discover_one().await;
    place.put("raw/t/b.csv", b"id,day\nx,2026-11-22\n").await;
    let before = place.objects().await;
    let (change, codes) = place.findings().await;
    assert_eq!(codes, [Code::ColumnMismatch]);
    let finding = &change.findings[0];
    assert!(finding.message.contains("`id`") && finding.message.contains("bigint"), "{finding}");
    assert_eq!(finding.object.as_ref().unwrap().object, "memory://test/data/raw/t/b.csv");
    assert!(!change.is_change());
    assert_eq!(place.objects().await, before);

    // A header that names nothing is a missing header, not a set of new columns.
    let place = Place::with(&[("raw/t/a.csv", b"id,day\n1,2026-11-22\n")]).await;
    place.discover_one().await;
    place.put("raw/t/b.csv", b"2,2026-11-23\n3,2026-11-24\n").await;
    let (change, codes) = place.findings().await;
    assert_eq!(codes, [Code::ColumnMismatch]);
    assert!(!change.is_change());
}

#[tokio::test]
async fn what_belongs_to_no_table() {
    let place = Place::with(&[
        ("README.md", b"x"),
        ("raw/loose.csv", b"x"),
        ("raw/loose2.csv", b"x"),
        ("raw/.DS_Store", b"x"),
        ("raw/marker", b""),
        ("_unglue/x/y/z.json", b"x"),
        (".git/a/b.csv", b"x"),
        ("Raw/t/a.csv", b"a\n1\n"),
        ("raw/my-table/a.csv", b"a\n1\n"),
        ("raw/t/a.csv", b"a\n1\n"),
    ])
    .await;
    let discovery = place.discover().await;
    assert_eq!(discovery.tables.len(), 1);
    let found: Vec<_> = discovery
        .findings
        .iter()
        .map(|finding| {
            assert_eq!(finding.code, Code::MisplacedObject);
            (finding.object.as_ref().unwrap().object.as_str(), finding.message.as_str())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("memory://test/data/", "`README.md` belongs to no table"),
            ("memory://test/data/Raw/", "the folder can be no table: `Raw` is not a valid name"),
            ("memory://test/data/raw/", "`loose.csv` and 1 more belongs to no table"),
            ("memory://test/data/raw/my-table/", "the folder can be no table: `my-table` is not a valid name"),
        ]
    );
}

#[tokio::test]
async fn tables_that_cannot_be_told() {
    for objects in [
        &[("raw/t/a.csv", &b"a\n1\n"[..]), ("raw/t/b.json", b"{\"a\":1}")][..],
        &[("raw/t/a.csv", b"a\n1\n"), ("raw/t/readme.txt", b"x")],
        &[("raw/t/a.csv", b"a,b\n1,2\n"), ("raw/t/b.csv", b"a;b\n1;2\n")],
        &[("raw/t/a.csv", b"a,b\n")],
        &[("raw/t/a.csv", b"")],
        &[("raw/t/_SUCCESS", b"x")],
        &[("raw/t/a.json", b"\n \n")],
        &[("raw/t/a.json", b"{}\n{}")],
    ] {
        let place = Place::with(objects).await;
        place.put("raw/good/a.csv", b"a\n1\n").await;
        let discovery = place.discover().await;
        assert_eq!(discovery.tables.len(), 2, "{objects:?}");
        assert!(discovery.tables[0].created, "other tables go on");
        let codes: Vec<_> = discovery.tables[1].findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::UnreadableTable], "{objects:?}");
        assert_eq!(place.catalog.tables().await.unwrap(), [name("raw.good")], "{objects:?}");
    }

    let place = Place::with(&[("raw/t/a.csv", b"a\n1\n"), ("raw/t/b.json", b"{\"a\":1}")]).await;
    let (change, _) = place.findings().await;
    assert!(change.findings[0].message.contains("`a.csv` is CSV, `b.json` is JSON"), "{}", change.findings[0]);

    let place = Place::with(&[("raw/t/a.csv", b"a\n1\n")]).await;
    place.discover_one().await;
    place.root.store().delete(&place.root.path("raw/t/a.csv").unwrap()).await.unwrap();
    place.quiet().await;
    place.put("raw/t/b.json", b"{\"a\":1}").await;
    assert_eq!(place.findings().await.1, [Code::UnreadableTable], "the catalog says CSV");
}

#[tokio::test]
async fn objects_that_cannot_be_read_are_left_out() {
    let good = b"a,b\n1,2\n";
    let mut cut = gzip(&b"a,b\n1,x\n".repeat(100));
    cut.truncate(cut.len() / 2);
    // What they are is told by their content.
    for (file, content) in [
        ("plain.csv.gz", &good[..]),
        ("packed.csv", &gzip(good)),
        ("utf16.csv", b"\xFF\xFEa\0,\0b\0\n\x001\0,\x002\0\n\0"),
        ("without_suffix", good),
    ] {
        let place = Place::with(&[("raw/t/good.csv", good), (&format!("raw/t/{file}"), content)]).await;
        assert_eq!(described(&place.discover_one().await.columns_added), ["a:bigint", "b:bigint"], "{file}");
    }
    let bad: [(&str, &[u8], Code); 5] = [
        ("cut.csv.gz", &cut, Code::BadObject),
        ("latin1.csv", b"a,b\n1,caf\xE9\n", Code::BadObject),
        ("nul.csv", b"a,b\n1,\x00\n", Code::BadObject),
        ("blank.csv", b"a,\n1,2\n", Code::ColumnMismatch),
        ("twice.csv", b"a,A\n1,2\n", Code::ColumnMismatch),
    ];
    for (file, content, code) in bad {
        let place = Place::with(&[("raw/t/good.csv", good), (&format!("raw/t/{file}"), content)]).await;
        let (change, codes) = place.findings().await;
        assert_eq!(codes, [code], "{file}");
        assert_eq!(change.findings[0].object.as_ref().unwrap().object, format!("memory://test/data/raw/t/{file}"));
        assert_eq!(described(&change.columns_added), ["a:bigint", "b:bigint"], "{file}");

        let alone = Place::with(&[(&format!("raw/t/{file}"), content)]).await;
        let (change, codes) = alone.findings().await;
        assert_eq!(codes, [code], "{file}: that there is no table then needs no finding of its own");
        assert!(!change.is_change());
    }
}

#[tokio::test]
async fn json_findings_name_the_object() {
    let place =
        Place::with(&[("raw/t/a.json", b"{\"a\":1,\"o\":{},\"p q\":{\"x y\":1},\"ok\":[1]}\n{\"a\":\n{\"a\":\n")])
            .await;
    let (change, codes) = place.findings().await;
    assert_eq!(codes, [Code::BadRecord, Code::UnsupportedType, Code::UnsupportedType]);
    assert!(change.findings[0].message.contains("line 2"), "{}", change.findings[0]);
    assert_eq!(described(&change.columns_added), ["a:bigint", "ok:array<bigint>"]);
}
