//! S3's own events: as EventBridge has them, and as notifications have them.

use serde::Deserialize;
use serde_json::Value;
use transform::Result;

use super::key::{KeyCandidates, unquoted};
use super::number::count;
use super::object::{Change, ObjectEvent};
use super::sequencer::Sequencer;
use super::{Envelope, Message, bad, shown, text, typed};

/// The object of either form; only the spelling differs.
#[derive(Deserialize)]
struct Object {
    key: String,
    #[serde(default, deserialize_with = "count")]
    size: Option<u64>,
    #[serde(alias = "eTag")]
    etag: Option<String>,
    #[serde(alias = "versionId", rename = "version-id")]
    version: Option<String>,
    sequencer: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

/// The detail of an event of EventBridge.
#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: Object,
    #[serde(rename = "deletion-type")]
    deletion_type: Option<String>,
}

/// What an event of EventBridge is about.
pub(super) fn event(envelope: Envelope) -> Result<Message> {
    let change = match envelope.detail_type.as_str() {
        "Object Created" => Change::Created,
        "Object Deleted" => Change::Removed,
        "Object Restore Completed" => Change::Restored,
        "Object Restore Initiated"
        | "Object Restore Expired"
        | "Object Storage Class Changed"
        | "Object Access Tier Changed"
        | "Object ACL Updated"
        | "Object Tags Added"
        | "Object Tags Deleted" => return Ok(unchanged(&envelope.detail_type)),
        other => return Err(bad(format!("no event `{}` of S3 is known", shown(other)))),
    };
    let detail: Detail = typed(envelope.detail, "the detail of the event of S3")?;
    let is_marker = detail.deletion_type.as_deref() == Some("Delete Marker Created");
    let keys = KeyCandidates::either(&detail.object.key);
    let happened = object_event(change, is_marker, detail.bucket, detail.object, keys)?;
    Ok(Message::Object(ObjectEvent {
        account: envelope.account,
        region: envelope.region,
        time: envelope.time,
        ..happened
    }))
}

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Records")]
    records: Vec<Value>,
}

/// One record of a notification.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    aws_region: Option<String>,
    event_time: Option<String>,
    s3: Subject,
}

#[derive(Deserialize)]
struct Subject {
    bucket: Bucket,
    object: Object,
}

/// What the records of a notification are about.
pub(super) fn notification(value: Value) -> Result<Vec<Message>> {
    let Notification { records } = typed(value, "the notification of S3")?;
    if records.is_empty() {
        return Err(bad("the notification has no records"));
    }
    let numbered = records.into_iter().enumerate();
    numbered
        .map(|(index, value)| {
            record(value).map_err(|mut error| {
                error.message = format!("record {}: {}", index + 1, error.message);
                error
            })
        })
        .collect()
}

fn record(value: Value) -> Result<Message> {
    // S3's look-alikes have a source of their own before the colon.
    let source = text(&value, "eventSource").unwrap_or_default();
    if !source.ends_with(":s3") {
        return Err(bad(format!("its source is `{}`, not `aws:s3`", shown(source))));
    }
    // A minor version adds fields; a major one changes what is there.
    let version = text(&value, "eventVersion").unwrap_or_default();
    if version.split('.').next() != Some("2") {
        return Err(bad(format!("its version is `{}`, not 2.x", shown(version))));
    }
    let record: Record = typed(value, "the record of S3")?;
    let name = record.event_name.strip_prefix("s3:").unwrap_or(&record.event_name);
    let (group, action) = name.split_once(':').unwrap_or((name, ""));
    let change = match (group, action) {
        ("ObjectCreated", _) => Change::Created,
        ("ObjectRemoved" | "LifecycleExpiration", _) => Change::Removed,
        ("ObjectRestore", "Completed") => Change::Restored,
        (
            "ObjectRestore"
            | "ObjectAcl"
            | "ObjectTagging"
            | "LifecycleTransition"
            | "IntelligentTiering"
            | "Replication"
            | "ReducedRedundancyLostObject",
            _,
        ) => return Ok(unchanged(name)),
        _ => return Err(bad(format!("no event `{}` of S3 is known", shown(name)))),
    };
    let object = record.s3.object;
    let Some(keys) = KeyCandidates::encoded(&object.key) else {
        return Err(bad(format!("the key `{}` is not UTF-8", shown(&object.key)))
            .help("copy the object to a key in UTF-8 and delete this one"));
    };
    let happened = object_event(change, action == "DeleteMarkerCreated", record.s3.bucket, object, keys)?;
    Ok(Message::Object(ObjectEvent { region: record.aws_region, time: record.event_time, ..happened }))
}

fn object_event(
    change: Change,
    is_marker: bool,
    bucket: Bucket,
    object: Object,
    keys: KeyCandidates,
) -> Result<ObjectEvent> {
    if bucket.name.is_empty() || object.key.is_empty() {
        return Err(bad("the bucket or the key is empty"));
    }
    let version = object.version.filter(|version| !version.is_empty());
    // A delete that names a version takes away that one only; any other leaves a marker, or nothing.
    let kind = match (change, &version) {
        (Change::Removed, Some(_)) if !is_marker => Change::VersionRemoved,
        _ => change,
    };
    Ok(ObjectEvent {
        kind,
        bucket: bucket.name,
        keys,
        size: object.size,
        etag: object.etag.map(|etag| unquoted(&etag).to_owned()).filter(|etag| !etag.is_empty()),
        version,
        sequencer: object.sequencer.as_deref().and_then(Sequencer::new),
        account: None,
        region: None,
        time: None,
    })
}

/// The content of the object is what it was.
fn unchanged(name: &str) -> Message {
    Message::Nothing(format!("`{name}` leaves the object's content as it is"))
}
