//! What is not understood, and what is said of it.

use serde_json::{Value, json};
use transform::{Code, Kind};

use super::super::*;
use super::{bodies, sample};

/// The reason why a message is set aside.
fn refused(body: &str) -> String {
    let error = match parse(body) {
        Ok(messages) => panic!("understood: {messages:?}"),
        Err(error) => error,
    };
    assert_eq!((error.code, error.kind()), (Code::BadEvent, Kind::Data));
    assert!(error.help.is_some(), "{error}");
    assert!(!error.message.ends_with('.') && error.message.len() < 1200, "{error}");
    error.message
}

/// A sample's first message with one place changed; `null` takes the place away.
fn changed(name: &str, pointer: &str, to: Value) -> String {
    let mut event: Value = serde_json::from_str(&bodies(name)[0]).expect("JSON");
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    let parent = event.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    assert!(parent.remove(field).is_some(), "{name} has no {pointer}");
    if !to.is_null() {
        parent.insert(field.to_owned(), to);
    }
    event.to_string()
}

#[test]
fn texts_that_are_no_event() {
    for (body, reason) in [
        ("", "it is not JSON: EOF while parsing a value at line 1 column 0"),
        ("not JSON", "it is not JSON: expected ident at line 1 column 2"),
        ("{\"Records\":", "it is not JSON: EOF while parsing a value at line 1 column 11"),
        ("{} {}", "it is not JSON: trailing characters at line 1 column 4"),
        ("null", "the message is null, not an object"),
        ("true", "the message is a boolean, not an object"),
        ("1e300", "the message is a number, not an object"),
        ("\"s3://bucket/key\"", "the message is a text, not an object"),
        ("[{\"Records\": []}]", "the message is a list, not an object"),
        ("{}", "no known form of event has the fields ``"),
        ("{\"a\": 1, \"b\": 2}", "no known form of event has the fields `a`, `b`"),
        ("{\"Records\": 1}", "the notification of S3: invalid type: integer `1`, expected a sequence"),
        ("{\"Records\": []}", "the notification has no records"),
        ("{\"Records\": [1]}", "record 1: its source is ``, not `aws:s3`"),
        ("{\"source\": \"aws.s3\"}", "no known form of event has the fields `source`"),
        ("{\"Event\": \"s3:OtherEvent\"}", "no known form of event has the fields `Event`"),
    ] {
        assert_eq!(refused(body), reason, "{body}");
    }
}

#[test]
fn too_long_and_too_deep() {
    let longest = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
    assert_eq!(refused(&longest), "the message is a text, not an object");
    assert_eq!(refused(&format!("{longest} ")), "the message has 1048577 bytes, more than 1048576");
    let deep = "[".repeat(100_000);
    assert_eq!(refused(&deep), "it is not JSON: recursion limit exceeded at line 1 column 128");
    let detail = format!("{}{}", "[".repeat(120), "]".repeat(120));
    let body = format!("{{\"source\":\"aws.s3\",\"detail-type\":\"Object Created\",\"detail\":{detail}}}");
    assert_eq!(refused(&body), "the detail of the event of S3 is a list, not an object");
}

#[test]
fn events_of_eventbridge_that_are_wrong() {
    for (name, pointer, to, reason) in [
        (
            "s3-object-created",
            "/source",
            json!("aws.ec2"),
            "no event `Object Created` of the source `aws.ec2` is known",
        ),
        (
            "s3-object-created",
            "/source",
            json!(7),
            "the event of EventBridge: invalid type: integer `7`, expected a string",
        ),
        ("s3-object-created", "/detail-type", json!("Object Moved"), "no event `Object Moved` of S3 is known"),
        ("s3-object-created", "/detail", Value::Null, "the detail of the event of S3 is null, not an object"),
        ("s3-object-created", "/detail/bucket", Value::Null, "the detail of the event of S3: missing field `bucket`"),
        ("s3-object-created", "/detail/bucket/name", json!(""), "the bucket or the key is empty"),
        ("s3-object-created", "/detail/object/key", Value::Null, "the detail of the event of S3: missing field `key`"),
        ("s3-object-created", "/detail/object/key", json!(""), "the bucket or the key is empty"),
        (
            "s3-object-created",
            "/detail/object/size",
            json!("many"),
            "the detail of the event of S3: `\"many\"` is not a count",
        ),
        ("s3-object-created", "/detail/object/size", json!(-1), "the detail of the event of S3: `-1` is not a count"),
        ("s3-object-created", "/detail/object/size", json!(1.5), "the detail of the event of S3: `1.5` is not a count"),
        (
            "sqs-crawler-succeeded",
            "/detail-type",
            json!("Glue Job State Change"),
            "no event `Glue Job State Change` of the source `aws.glue` is known",
        ),
        (
            "sqs-crawler-succeeded",
            "/detail/crawlerName",
            Value::Null,
            "the detail of `Glue Crawler State Change`: missing field `crawlerName`",
        ),
    ] {
        assert_eq!(refused(&changed(name, pointer, to)), reason, "{name}{pointer}");
    }
}

#[test]
fn own_events_that_are_wrong() {
    for (name, pointer, to, reason) in [
        ("sqs-catalog-updated", "/detail-type", json!("Catalog Lost"), "no event `Catalog Lost` of unglue is known"),
        ("sqs-catalog-updated", "/detail", Value::Null, "`Catalog Updated` has no `version`"),
        ("sqs-catalog-updated", "/detail/version", Value::Null, "`Catalog Updated` has no `version`"),
        ("sqs-catalog-updated", "/detail/version", json!(2), "`Catalog Updated` is of version 2, not 1"),
        ("sqs-catalog-updated", "/detail/version", json!("1"), "`Catalog Updated` is of version \"1\", not 1"),
        (
            "sqs-catalog-updated",
            "/detail/table",
            json!("orders"),
            "the detail of `Catalog Updated`: bad-path: `orders` is not `database.table`",
        ),
        ("sqs-catalog-updated", "/detail/table", Value::Null, "the detail of `Catalog Updated`: missing field `table`"),
        ("transform-succeeded", "/detail/version", json!(9), "`Transform Succeeded` is of version 9, not 1"),
        (
            "transform-succeeded",
            "/detail/receipt/rows",
            Value::Null,
            "the detail of `Transform Succeeded`: missing field `rows`",
        ),
        ("transform-failed", "/detail/error", Value::Null, "the detail of `Transform Failed`: missing field `error`"),
        ("sqs-replay", "/detail/version", json!(0), "`Replay` is of version 0, not 1"),
        ("sqs-replay", "/detail/objects", Value::Null, "the detail of `Replay`: missing field `objects`"),
        (
            "sqs-replay",
            "/detail/objects",
            json!([{"bucket": "b", "key": ""}]),
            "the bucket or the key of a replayed object is empty",
        ),
    ] {
        assert_eq!(refused(&changed(name, pointer, to)), reason, "{name}{pointer}");
    }
    let newer = parse(&changed("sqs-replay", "/detail/version", json!(2))).expect_err("a newer version");
    assert!(newer.help.is_some_and(|help| help.contains("update this one first")));
}

#[test]
fn notifications_that_are_wrong() {
    let first = |change: &dyn Fn(&mut Value)| {
        let mut event: Value = serde_json::from_str(&bodies("sqs-notification")[0]).expect("JSON");
        // The second one is wrong, and with it the message.
        change(&mut event["Records"][1]);
        event.to_string()
    };
    for (pointer, to, reason) in [
        ("/eventVersion", json!("3.0"), "record 2: its version is `3.0`, not 2.x"),
        ("/eventVersion", json!("20.1"), "record 2: its version is `20.1`, not 2.x"),
        ("/eventVersion", json!(2.1), "record 2: its version is ``, not 2.x"),
        ("/eventSource", json!("aws:dynamodb"), "record 2: its source is `aws:dynamodb`, not `aws:s3`"),
        ("/eventSource", json!("aws:sqs"), "record 2: its source is `aws:sqs`, not `aws:s3`"),
        ("/eventName", json!("ObjectMoved:Put"), "record 2: no event `ObjectMoved:Put` of S3 is known"),
        ("/eventName", json!(""), "record 2: no event `` of S3 is known"),
        ("/s3/object/key", json!("raw/%ff.csv"), "record 2: the key `raw/%ff.csv` is not UTF-8"),
        ("/s3/object/key", json!(""), "record 2: the bucket or the key is empty"),
        (
            "/s3/object/size",
            json!("object-size in bytes"),
            "record 2: the record of S3: `\"object-size in bytes\"` is not a count",
        ),
        ("/s3", json!([]), "record 2: the record of S3: invalid length 0, expected struct Subject with 2 elements"),
    ] {
        let body = first(&|record| *record.pointer_mut(pointer).expect("a place") = to.clone());
        assert_eq!(refused(&body), reason, "{pointer}");
    }
}

#[test]
fn notifications_that_are_unusual() {
    for (pointer, to) in [
        ("/eventVersion", json!("2.9")),
        ("/eventVersion", json!("2")),
        ("/eventSource", json!("minio:s3")),
        ("/eventName", json!("s3:ObjectCreated:Put")),
        ("/eventName", json!("ObjectCreated")),
        ("/s3/object/size", json!("1824")),
        ("/s3/object/sequencer", json!("not hexadecimal")),
        ("/s3/object/versionId", json!("")),
        ("/s3/object/eTag", Value::Null),
    ] {
        let mut event: Value = serde_json::from_str(&bodies("sqs-notification")[0]).expect("JSON");
        *event["Records"][1].pointer_mut(pointer).expect("a place") = to;
        let messages = parse(&event.to_string()).expect(pointer);
        assert!(matches!(&messages[1], Message::Object(object) if object.kind == Change::Created), "{pointer}");
    }
    for (name, kind) in [
        ("ObjectRemoved:Delete", Change::VersionRemoved),
        ("ObjectRemoved:DeleteMarkerCreated", Change::Removed),
        ("LifecycleExpiration:Delete", Change::VersionRemoved),
        ("LifecycleExpiration:DeleteMarkerCreated", Change::Removed),
        ("ObjectRestore:Completed", Change::Restored),
    ] {
        let mut event: Value = serde_json::from_str(&bodies("sqs-notification")[0]).expect("JSON");
        event["Records"][1]["eventName"] = json!(name);
        let messages = parse(&event.to_string()).expect(name);
        assert!(matches!(&messages[1], Message::Object(object) if object.kind == kind), "{name}");
    }
}

#[test]
fn messages_of_sns_that_are_wrong() {
    for (pointer, to, reason) in [
        ("/Message", Value::Null, "the notification of SNS has no text `Message`"),
        ("/Message", json!({"Records": []}), "the notification of SNS has no text `Message`"),
        ("/Message", json!("hello"), "in the notification of SNS: it is not JSON: expected value at line 1 column 1"),
        ("/Message", json!("{}"), "in the notification of SNS: no known form of event has the fields ``"),
        (
            "/Type",
            json!("SubscriptionConfirmation"),
            "it is a message of SNS of type `SubscriptionConfirmation`, not a notification",
        ),
    ] {
        assert_eq!(refused(&changed("sqs-sns-notification", pointer, to)), reason, "{pointer}");
    }
    // Wrapped twice: nothing is configured that way, and a loop would be.
    let twice = changed("sqs-sns-notification", "/Message", json!(bodies("sqs-sns-notification")[0]));
    assert!(refused(&twice).starts_with("in the notification of SNS: no known form of event has the fields `Message"));
}

#[test]
fn a_whole_event_of_sqs_is_not_one_message() {
    let error = parse(&sample("sqs-object-created")).expect_err("several messages");
    assert!(error.to_string().contains("it is a whole event of SQS; give the `body` of each"), "{error}");
    let is_sqs = |text: &str| is_sqs(&serde_json::from_str(text).expect("JSON"));
    assert!(is_sqs(&sample("sqs-object-created")));
    for other in [&bodies("sqs-notification")[0], "{\"Records\": []}", "{\"Records\": 1}", "[]"] {
        assert!(!is_sqs(other), "{other}");
    }
}

#[test]
fn what_is_foreign_is_repeated_shortly_and_on_one_line() {
    let long = json!("a\nb".repeat(1000));
    let reason = refused(&changed("s3-object-created", "/detail-type", long.clone()));
    assert!(reason.len() < 1000 && !reason.contains('\n') && reason.contains('…'), "{reason}");
    let reason = refused(&changed("s3-object-created", "/detail/object/size", long));
    assert!(reason.len() < 1000 && !reason.contains('\n') && reason.contains('…'), "{reason}");
}
