//! The sample events, each with what it is about. Wrong ones and arbitrary ones have files of their own.

mod arbitrary;
mod wrong;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lambda_events::event::sqs::SqsEvent;
use serde_json::json;
use transform::WriteMode;

use super::*;

const ACCOUNT: &str = "111122223333";
const BUCKET: &str = "unglue-landing-111122223333";
const KEY: &str = "raw/orders/day=2026-01-31/part 1.csv";
const ETAG: &str = "b1946ac92492d2347c6235b4d2611184";

/// An object of which nothing but a possibly encoded key is known.
pub(super) fn created(key: &str) -> ObjectEvent {
    ObjectEvent {
        kind: Change::Created,
        bucket: BUCKET.into(),
        keys: KeyCandidates::either(key),
        size: None,
        etag: None,
        version: None,
        sequencer: None,
        account: None,
        region: None,
        time: None,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events")
}

fn sample(name: &str) -> String {
    fs::read_to_string(folder().join(name).with_extension("json")).expect("a sample")
}

fn samples() -> BTreeSet<String> {
    let names = fs::read_dir(folder()).expect("the samples").map(|entry| entry.expect("an entry").path());
    names.map(|path| path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned()).collect()
}

/// The messages of a sample: what the queue holds, or the sample itself.
fn bodies(name: &str) -> Vec<String> {
    let text = sample(name);
    if !is_sqs(&serde_json::from_str(&text).expect("JSON")) {
        return vec![text];
    }
    let event: SqsEvent = serde_json::from_str(&text).expect("what Lambda hands over");
    event.records.into_iter().map(|record| record.body.expect("a body")).collect()
}

/// What the only message of a sample is about.
fn parsed(name: &str) -> Vec<Message> {
    let bodies = bodies(name);
    assert_eq!(bodies.len(), 1, "{name}");
    parse(&bodies[0]).expect(name)
}

fn sequencer(text: &str) -> Option<Sequencer> {
    Some(Sequencer::new(text).expect("a sequencer"))
}

/// As EventBridge tells of it.
fn from_bridge(key: &str) -> ObjectEvent {
    ObjectEvent {
        size: Some(1824),
        etag: Some(ETAG.into()),
        sequencer: sequencer("00697DEE40A1B2C3D4"),
        account: Some(ACCOUNT.into()),
        region: Some("eu-central-1".into()),
        time: Some("2026-01-31T12:00:00Z".into()),
        ..created(key)
    }
}

/// As a notification tells of it.
fn from_notification(key: &str) -> ObjectEvent {
    ObjectEvent {
        keys: KeyCandidates::exact(key),
        account: None,
        time: Some("2026-01-31T12:00:00.000Z".into()),
        ..from_bridge(key)
    }
}

#[test]
fn every_sample_is_asserted() {
    let asserted =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/event/tests.rs")).expect("this file");
    for name in samples() {
        assert!(asserted.contains(&format!("\"{name}\"")), "no test of the sample {name}");
    }
}

#[test]
fn objects_created_of_eventbridge() {
    for name in ["s3-object-created", "sqs-object-created", "sqs-sns-object-created"] {
        let messages = parsed(name);
        assert_eq!(messages, [Message::Object(from_bridge(KEY))], "{name}");
        let [Message::Object(event)] = &messages[..] else { panic!("{name}") };
        assert_eq!(event.keys.certain(), Some(KEY), "a space cannot be part of an encoded key's `+`");
        assert!(expected(event, &[BUCKET.to_owned()], Some(ACCOUNT)).is_ok());
    }
}

#[test]
fn of_a_plus_in_eventbridge_both_meanings_are_kept() {
    let [Message::Object(event)] = &parsed("sqs-object-created-plus")[..] else { panic!("one object") };
    let keys: Vec<&str> = event.keys.all().collect();
    assert_eq!(keys, ["raw/orders/day=2026-01-31/a+b.csv.gz", "raw/orders/day=2026-01-31/a b.csv.gz"]);
    assert_eq!(event.version.as_deref(), Some("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"));
    let there = Found { size: 1824, etag: Some(format!("\"{ETAG}\"")) };
    assert_eq!(event.chosen(&[Some(there), None]), [keys[0]]);
}

#[test]
fn objects_removed_of_eventbridge() {
    let kinds: Vec<(Change, Option<String>)> = bodies("sqs-object-deleted")
        .iter()
        .map(|body| match &parse(body).expect("a message")[..] {
            [Message::Object(event)] => {
                assert_eq!((event.keys.certain(), event.size, &event.etag), (Some(KEY), None, &None));
                assert_eq!(event.sequencer, sequencer("00697DEE52A1B2C3D4"));
                (event.kind, event.version.clone())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let version = |text: &str| Some(text.to_owned());
    assert_eq!(
        kinds,
        [
            (Change::Removed, None),
            (Change::Removed, version("1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF")),
            (Change::VersionRemoved, version("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e")),
        ]
    );
}

#[test]
fn objects_restored_are_arrivals_when_they_can_be_read() {
    let bodies = bodies("sqs-object-restored");
    let begun = parse(&bodies[0]).expect("a message");
    assert_eq!(begun, [Message::Nothing("`Object Restore Initiated` leaves the object's content as it is".into())]);
    let done = ObjectEvent { kind: Change::Restored, sequencer: None, ..from_bridge(KEY) };
    assert_eq!(parse(&bodies[1]).expect("a message"), [Message::Object(done)]);
}

#[test]
fn all_records_of_a_notification() {
    let folder = "raw/orders/day=2026-01-31";
    let multipart = ObjectEvent {
        sequencer: sequencer("00697DEE41"),
        version: Some("096fKKXTRTtl3on89fVO.nfljtsv6qko".into()),
        ..from_notification(&format!("{folder}/a+b.csv.gz"))
    };
    let removed = ObjectEvent {
        kind: Change::Removed,
        size: None,
        etag: None,
        sequencer: sequencer("00697DEE42"),
        ..from_notification(&format!("{folder}/old.csv"))
    };
    assert_eq!(
        parsed("sqs-notification"),
        [
            Message::Object(from_notification(KEY)),
            Message::Object(multipart),
            Message::Object(removed),
            Message::Nothing("`ObjectTagging:Put` leaves the object's content as it is".into()),
        ]
    );
    assert_eq!(parsed("sqs-sns-notification"), [Message::Object(from_notification(KEY))]);
}

#[test]
fn the_test_event_is_nothing() {
    assert_eq!(parsed("sqs-test-event"), [Message::Nothing(format!("the test event of `{BUCKET}`"))]);
}

#[test]
fn a_replay_names_its_objects_exactly() {
    let again = |key: &str| ObjectEvent {
        keys: KeyCandidates::exact(key),
        region: Some("eu-central-1".into()),
        time: Some("2026-01-31T12:00:00Z".into()),
        ..created(key)
    };
    let known = ObjectEvent {
        size: Some(1824),
        etag: Some(ETAG.into()),
        version: Some("096fKKXTRTtl3on89fVO.nfljtsv6qko".into()),
        ..again("raw/orders/day=2026-01-31/a+b.csv.gz")
    };
    assert_eq!(parsed("sqs-replay"), [Message::Object(known), Message::Object(again(KEY))]);
}

#[test]
fn the_catalog_was_updated() {
    let arrival = own::Arrival {
        object: format!("s3://{BUCKET}/{KEY}"),
        etag: Some(ETAG.into()),
        version: None,
        bytes: Some(1824),
    };
    let updated = CatalogUpdated {
        version: 1,
        table: "raw.orders".to_owned().try_into().expect("a name"),
        created: false,
        columns_added: vec![own::ColumnAdded { name: "channel".into(), hive_type: "string".into() }],
        columns_changed: vec![own::ColumnChanged {
            column: "channel".into(),
            kind: "added".into(),
            old: None,
            new: Some("string".into()),
            sample: None,
            object: format!("s3://{BUCKET}/{KEY}"),
            applied: true,
        }],
        partitions_added: vec![vec![Some("2026-01-31".into())]],
        arrivals: vec![arrival],
        findings: vec![],
    };
    assert_eq!(parsed("sqs-catalog-updated"), [Message::CatalogUpdated(updated)]);
}

#[test]
fn a_run_was_done() {
    for name in ["transform-succeeded", "sqs-downstream"] {
        let messages = parsed(name);
        let [Message::RunSucceeded(done)] = &messages[..] else { panic!("{messages:?}") };
        let receipt = &done.receipt;
        assert_eq!((receipt.run_id.as_str(), receipt.write), ("20260131T120004Z-1f0c9a3e", WriteMode::Append));
        assert_eq!(receipt.transform.to_string(), "sales.orders_daily");
        assert_eq!((receipt.rows_read, receipt.rows, receipt.files, receipt.bytes), (42, 40, 1, 2048));
        assert_eq!(receipt.partitions[0].values["order_date"].as_deref(), Some("2026-01-31"));
        assert_eq!((receipt.inputs.len(), done.inputs_total), (1, Some(300)), "the list is shortened");
        assert_eq!(
            (done.partitions_total, done.cost.clone()),
            (Some(1), Some(own::Cost { gb_seconds: 24.0, usd: 0.0004 }))
        );
    }
}

#[test]
fn a_run_failed() {
    let messages = parsed("transform-failed");
    let [Message::RunFailed(failed)] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(failed.transform.as_deref(), Some("sales.orders_daily"));
    assert_eq!((&failed.error["code"], &failed.error["object"]["line"]), (&json!("bad-record"), &json!(7)));
    assert_eq!((failed.kind.as_deref(), failed.at.as_deref()), (Some("data"), Some("2026-01-31T12:00:05Z")));
    assert_eq!(failed.trigger, Some(json!({"object": format!("s3://{BUCKET}/{KEY}")})));
}

#[test]
fn a_crawler_has_succeeded() {
    let messages = parsed("sqs-crawler-succeeded");
    let [Message::Crawler(state)] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((state.crawler_name.as_str(), state.has_succeeded()), ("landing", true));
    assert_eq!((state.tables_created, state.partitions_created, state.seconds), (Some(1), Some(2), Some(41)));
    assert_eq!((state.message.as_deref(), &state.error_message), (Some("Crawler Succeeded"), &None));
    let failed = CrawlerState { state: "Failed".into(), ..state.clone() };
    assert!(!failed.has_succeeded());
}

#[test]
fn of_a_queue_with_poison_the_good_ones_are_understood() {
    let understood: Vec<bool> = bodies("sqs-poison").iter().map(|body| parse(body).is_ok()).collect();
    assert_eq!(understood, [true, false, false, false]);
}

/// What one part of unglue sends, another reads.
#[test]
fn own_events_are_read_as_they_are_written() {
    for name in ["sqs-catalog-updated", "transform-succeeded", "transform-failed"] {
        let body = bodies(name).remove(0);
        let messages = parse(&body).expect(name);
        let detail = match &messages[0] {
            Message::CatalogUpdated(detail) => serde_json::to_value(detail),
            Message::RunSucceeded(detail) => serde_json::to_value(detail),
            Message::RunFailed(detail) => serde_json::to_value(detail),
            other => panic!("{other:?}"),
        };
        let event: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(detail.expect("JSON"), event["detail"], "{name}");
    }
}
