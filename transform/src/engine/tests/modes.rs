//! The ways to write: what each makes of new, changed and vanished input.

use super::*;

/// A transform that appends `raw.t` to `out.rows` alone, with a setting.
fn appending(world: &mut World, setting: &str) {
    world.sql = [("sql/out/rows.sql".to_owned(), format!("{setting}{APPEND}"))].into();
}

#[tokio::test]
async fn the_rows_of_an_object_with_other_content_are_replaced() {
    for kind in [Kind::Uploads, Kind::Files] {
        let mut world = World::two_days(kind).await;
        appending(&mut world, "");
        world.runs().await;
        world.upload("raw/t/2.csv", "id,at,amount\n9,2026-11-09,9\n").await;
        world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 1", "out.rows 1"], "the new object, then the changed one");
        let expected = ["1|1.5|2026-11-01", "2|2.0|2026-11-02", "5|5.0|2026-11-03", "9|9.0|2026-11-09"];
        assert_eq!(world.rows("rows").await, expected);
        assert_eq!(world.runs().await.0, Vec::<String>::new());
        // Once more, now in a file that was itself written by a correction; and back to what it was before.
        world.upload("raw/t/1.csv", "id,at,amount\n1,2026-11-01,1\n3,2026-11-09,3\n").await;
        world.runs().await;
        let expected = ["1|1.0|2026-11-01", "3|3.0|2026-11-09", "5|5.0|2026-11-03", "9|9.0|2026-11-09"];
        assert_eq!(world.rows("rows").await, expected);
        world.upload("raw/t/2.csv", "id,at,amount\n4,2026-11-02,4\n").await;
        world.runs().await;
        let expected = ["1|1.0|2026-11-01", "3|3.0|2026-11-09", "4|4.0|2026-11-02", "5|5.0|2026-11-03"];
        assert_eq!(world.rows("rows").await, expected);
    }
}

#[tokio::test]
async fn an_object_with_other_content_is_added_or_refused_where_the_header_says_so() {
    let mut world = World::two_days(Kind::Uploads).await;
    appending(&mut world, "-- @changed_input: reject\n");
    world.runs().await;
    world.upload("raw/t/2.csv", "id,at,amount\n9,2026-11-09,9\n").await;
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-03,5\n").await;
    let (_, failed) = world.runs().await;
    assert_eq!(failed.unwrap().code, Code::ChangedInput);
    assert_eq!(world.rows("rows").await, [&ROWS[..], &["5|5.0|2026-11-03"]].concat(), "others are not held up");
    appending(&mut world, "-- @changed_input: append\n");
    assert!(world.runs().await.1.is_none());
    assert_eq!(world.rows("rows").await, [&ROWS[..], &["5|5.0|2026-11-03", "9|9.0|2026-11-09"]].concat());
}

const BY_DAY_IN_PLACE: &str = "-- @write: overwrite_partitions\n-- @partition: day\n\
     SELECT CAST(at AS DATE) AS day, count(*) AS n, sum(amount) AS total FROM raw.t GROUP BY CAST(at AS DATE) HAVING count(*) > 1";

#[tokio::test]
async fn only_touched_partitions_are_replaced() {
    for kind in [Kind::Uploads, Kind::Files] {
        let mut world = World::two_days(kind).await;
        world.sql = [("sql/out/rows.sql".to_owned(), BY_DAY_IN_PLACE.to_owned())].into();
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 2"]);
        assert_eq!(world.rows("rows").await, ["3|5.0|2026-11-02"], "one row is too few");
        let location = world.location("rows", "2026-11-02").await;
        // By itself the new row would not pass HAVING; together with the old one it does.
        world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-01,5\n").await;
        assert_eq!(world.runs().await.0, ["out.rows 1"]);
        assert_eq!(world.rows("rows").await, ["2|6.5|2026-11-01", "3|5.0|2026-11-02"]);
        assert_eq!(world.location("rows", "2026-11-02").await, location, "it was not touched");
        // A changed object touches the partitions that its former content was in, too.
        world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-02,5\n").await;
        assert_eq!(world.runs().await.0, ["out.rows 1"]);
        assert_eq!(world.rows("rows").await, ["4|10.0|2026-11-02"]);
        assert_eq!(world.runs().await.0, Vec::<String>::new());
    }
}

const MERGE: &str = "-- @write: merge\n-- @key: id\n-- @latest_by: at\n-- @delete_when: amount < 0\n-- @partition: day\n\
     SELECT id, amount, CAST(at AS TIMESTAMP) AS at, CAST(at AS DATE) AS day FROM raw.t";

#[tokio::test]
async fn merging_keeps_the_latest_row_of_a_key_wherever_it_lies() {
    for kind in [Kind::Uploads, Kind::Files] {
        let mut world = World::two_days(kind).await;
        world.sql = [("sql/out/rows.sql".to_owned(), MERGE.to_owned())].into();
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 2"]);
        let row = |id: i64, amount: &str, day: &str| format!("{id}|{amount}|{day}T00:00:00|{day}");
        let (a, b, d) = (row(1, "1.5", "2026-11-01"), row(2, "2.0", "2026-11-02"), row(4, "4.0", "2026-11-02"));
        assert_eq!(world.rows("rows").await, [a.clone(), b.clone(), d.clone()], "the row to delete is not there");
        // Key 1 moves to another day, key 4 goes, an older row of key 2 changes nothing.
        let changes = "id,at,amount\n1,2026-11-05,7\n4,2026-11-06,-1\n2,2026-11-01,9\n8,2026-11-02,8\n";
        world.upload("raw/t/3.csv", changes).await;
        let (done, failed) = world.runs().await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(done, ["out.rows 1"]);
        assert_eq!(world.rows("rows").await, [row(1, "7.0", "2026-11-05"), b, row(8, "8.0", "2026-11-02")]);
        assert_eq!(world.partitions("rows").await, ["2026-11-02", "2026-11-05"], "an empty partition goes");
        assert_eq!(world.runs().await.0, Vec::<String>::new());
        let (_, failed) = world.invoke(true).await;
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!(world.rows("rows").await.len(), 3, "a rebuild gives the same rows");
    }
}

/// The same rows win, whether they meet in one object, in the table, or the other way round.
#[tokio::test]
async fn which_row_wins_does_not_depend_on_what_arrives_first() {
    let sql = "-- @write: merge\n-- @key: id\n-- @latest_by: at\n-- @delete_when: amount < 0\n-- @partition: day\n\
        SELECT id, CAST(amount AS DOUBLE) AS amount, note, CAST(at AS TIMESTAMP) AS at, id % 2 AS day FROM raw.t";
    // Of each key the first row is to win.
    let pairs = [
        ("1,2026-11-02,1,a", "1,2026-11-01,9,z"),
        ("2,2026-11-02,1,a", "2,,9,z"),
        ("3,2026-11-02,7,a", "3,2026-11-02,6,z"),
        ("4,2026-11-02,7,", "4,2026-11-02,,z"),
        ("5,2026-11-02,7,b", "5,2026-11-02,7,"),
        ("6,,7,b", "6,,7,a"),
        ("7,2026-11-02,5,a", "7,2026-11-01,-5,a"),
        ("8,2026-11-02,-5,a", "8,2026-11-01,5,a"),
        ("9,2026-11-02,5,same", "9,2026-11-02,5,same"),
    ];
    let text = |rows: &[&str]| format!("id,at,amount,note\n{}\n", rows.join("\n"));
    let (winners, losers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let all = [winners.clone(), losers.clone()].concat();
    let mut outcomes = Vec::new();
    for objects in [vec![text(&all)], vec![text(&winners), text(&losers)], vec![text(&losers), text(&winners)]] {
        let mut world = World::new(Kind::Uploads);
        world.sql = [("sql/out/rows.sql".to_owned(), sql.to_owned())].into();
        for (number, object) in objects.iter().enumerate() {
            world.upload(&format!("raw/t/{number}.csv"), object).await;
            let (_, failed) = world.runs().await;
            assert!(failed.is_none(), "{failed:?}");
        }
        outcomes.push(world.rows("rows").await);
    }
    // A deletion is not remembered: a row that comes after it, though older, is new.
    let revived = outcomes[1].iter().position(|row| row.starts_with("8|")).unwrap();
    outcomes[1].remove(revived);
    assert_eq!(
        outcomes[0],
        [
            "1|1.0|a|2026-11-02T00:00:00|1",
            "2|1.0|a|2026-11-02T00:00:00|0",
            "3|7.0|a|2026-11-02T00:00:00|1",
            "4|7.0||2026-11-02T00:00:00|0",
            "5|7.0|b|2026-11-02T00:00:00|1",
            "6|7.0|b||0",
            "7|5.0|a|2026-11-02T00:00:00|1",
            "9|5.0|same|2026-11-02T00:00:00|1",
        ]
    );
    assert_eq!(outcomes[1], outcomes[0]);
    assert_eq!(outcomes[2], outcomes[0]);
}

#[tokio::test]
async fn without_latest_by_the_later_object_wins() {
    let mut world = World::two_days(Kind::Uploads).await;
    let merge = MERGE.replace("-- @latest_by: at\n", "");
    world.sql = [("sql/out/rows.sql".to_owned(), merge)].into();
    let (_, failed) = world.runs().await;
    assert!(failed.is_none(), "{failed:?}");
    world.upload("raw/t/0.csv", "id,at,amount\n2,2026-11-01,9\n").await;
    let (_, failed) = world.runs().await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(world.rows("rows").await[1], "2|9.0|2026-11-01T00:00:00|2026-11-01");
    world.upload("raw/t/5.csv", "id,at,amount\n6,2026-11-01,9\n6,2026-11-01,10\n").await;
    assert_eq!(world.runs().await.1.unwrap().code, Code::CheckFailed, "two rows of one object with one key");
    world.upload("raw/t/5.csv", "id,at,amount\n,2026-11-01,9\n").await;
    assert_eq!(world.runs().await.1.unwrap().code, Code::CheckFailed, "a key that is NULL");
}

#[tokio::test]
async fn a_replaced_partition_replaces_its_rows_downstream() {
    let mut world = World::two_days(Kind::Uploads).await;
    let by_day = BY_DAY_IN_PLACE.replace(" HAVING count(*) > 1", " HAVING sum(amount) > 0");
    let copy = "-- @write: append\nSELECT day, n FROM out.by_day";
    world.sql = [("sql/out/by_day.sql".to_owned(), by_day), ("sql/out/rows.sql".to_owned(), copy.to_owned())].into();
    assert_eq!(world.runs().await.0, ["out.by_day 2", "out.rows 2"]);
    assert_eq!(world.rows("rows").await, ["2026-11-01|1", "2026-11-02|3"]);
    world.upload("raw/t/3.csv", "id,at,amount\n5,2026-11-01,5\n6,2026-11-03,6\n").await;
    assert_eq!(
        world.runs().await.0,
        ["out.by_day 1", "out.rows 1", "out.rows 1"],
        "the new partition, then the replaced one"
    );
    assert_eq!(world.rows("rows").await, ["2026-11-01|2", "2026-11-02|3", "2026-11-03|1"]);
    // A partition that is there no more takes its rows with it.
    world.upload("raw/t/4.csv", "id,at,amount\n7,2026-11-02,-100\n").await;
    assert_eq!(world.runs().await.0, ["out.by_day 1", "out.rows 1"]);
    assert_eq!(world.rows("rows").await, ["2026-11-01|2", "2026-11-03|1"]);
    assert_eq!(world.runs().await.0, Vec::<String>::new());
}
