//! The events that unglue itself puts on the bus, as they are sent and as they are read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use transform::{Receipt, Result, TableName};

use super::key::{KeyCandidates, unquoted};
use super::number::count;
use super::object::{Change, ObjectEvent};
use super::{Envelope, Message, bad, shown, typed};

/// `source` of every one of them.
pub const SOURCE: &str = "unglue";
/// `detail-type` of [`CatalogUpdated`].
pub const CATALOG_UPDATED: &str = "Catalog Updated";
/// `detail-type` of [`RunSucceeded`].
pub const TRANSFORM_SUCCEEDED: &str = "Transform Succeeded";
/// `detail-type` of [`RunFailed`].
pub const TRANSFORM_FAILED: &str = "Transform Failed";
/// `detail-type` of [`Replay`].
pub const REPLAY: &str = "Replay";

/// `detail-type` of [`RunRequested`].
pub const RUN_REQUESTED: &str = "Run Requested";

/// `version` of every detail. Fields may be added; a change of what is there is a new version.
pub const VERSION: u64 = 1;

/// The catalog says something new about a table, or the table has new objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogUpdated {
    /// [`VERSION`].
    pub version: u64,
    /// The table.
    pub table: TableName,
    /// Whether the table is new.
    #[serde(default)]
    pub created: bool,
    /// Columns that are new.
    #[serde(default)]
    pub columns_added: Vec<ColumnAdded>,
    /// How the objects differ from the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns_changed: Vec<ColumnChanged>,
    /// Values of the partitions that are new, in the order of the partition keys; `null` is SQL NULL.
    #[serde(default)]
    pub partitions_added: Vec<Vec<Option<String>>>,
    /// Object versions that arrived.
    #[serde(default)]
    pub arrivals: Vec<Arrival>,
    /// What people should look at.
    #[serde(default)]
    pub findings: Vec<Value>,
}

/// A column that a table did not have before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnAdded {
    /// Name.
    pub name: String,
    /// Hive type.
    #[serde(rename = "type")]
    pub hive_type: String,
}

/// How objects differ from their table in one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnChanged {
    /// Name.
    pub column: String,
    /// `added`, `missing`, `reordered`, `recased`, `widened`, `narrowed`, `incompatible` or `decided`.
    pub kind: String,
    /// Hive type in the catalog before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// Hive type that the objects show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// A value that shows it; of `recased` the name as the object writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// The object that shows it.
    pub object: String,
    /// Whether the catalog has changed for it.
    pub applied: bool,
}

/// One object version that arrived in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// URL.
    pub object: String,
    /// Etag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Version id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Size.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "count")]
    pub bytes: Option<u64>,
}

/// A run was done; what it wrote is visible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSucceeded {
    /// [`VERSION`].
    pub version: u64,
    /// The receipt. Its lists are shortened where an event could not hold them.
    pub receipt: Receipt,
    /// How many inputs there were: their list may be shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_total: Option<u64>,
    /// How many partitions there were: their list may be shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions_total: Option<u64>,
    /// What the run cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// What the time of a run cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory of the function times seconds.
    pub gb_seconds: f64,
    /// At the list price, in US dollars.
    pub usd: f64,
}

/// A run failed; the table is as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFailed {
    /// [`VERSION`].
    pub version: u64,
    /// The table that was to be produced. A text, so that no odd name keeps a failure from being told; absent where a failure
    /// concerns the whole project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// The error, as [`transform::Error`] is serialized: `code`, `message`, `at`, `object`, `help`.
    pub error: Value,
    /// What the reader must do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Value>,
}

/// Objects that are to be processed as if they had arrived now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// [`VERSION`].
    pub version: u64,
    /// The objects.
    pub objects: Vec<ReplayedObject>,
}

/// Transforms that are to run now, for whoever calls the function `transform` directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequested {
    /// [`VERSION`].
    pub version: u64,
    /// Names, `database.table` or the table alone; all transforms where there are none.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether the tables are rebuilt from all of their source.
    #[serde(default)]
    pub full_refresh: bool,
}

/// One object of a [`Replay`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayedObject {
    /// Bucket.
    pub bucket: String,
    /// Key, as it is.
    pub key: String,
    /// Etag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "count")]
    pub size: Option<u64>,
    /// Version id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What an event of unglue is about.
pub(super) fn event(envelope: Envelope) -> Result<Vec<Message>> {
    let message = match envelope.detail_type.as_str() {
        CATALOG_UPDATED => Message::CatalogUpdated(detail(envelope)?),
        TRANSFORM_SUCCEEDED => Message::RunSucceeded(detail(envelope)?),
        TRANSFORM_FAILED => Message::RunFailed(detail(envelope)?),
        RUN_REQUESTED => Message::RunRequested(detail(envelope)?),
        REPLAY => return replayed(envelope),
        other => return Err(bad(format!("no event `{}` of unglue is known", shown(other))).help(NEWER)),
    };
    Ok(vec![message])
}

const NEWER: &str = "if a newer unglue sends it, update this one first and send the message again";

/// Reads the detail, if it is of the version that is known.
fn detail<T: for<'de> Deserialize<'de>>(envelope: Envelope) -> Result<T> {
    let Envelope { detail_type, detail, .. } = envelope;
    match detail.get("version") {
        Some(version) if version.as_u64() == Some(VERSION) => typed(detail, &format!("the detail of `{detail_type}`")),
        Some(version) => {
            let version = shown(&version.to_string());
            Err(bad(format!("`{detail_type}` is of version {version}, not {VERSION}")).help(NEWER))
        }
        None => Err(bad(format!("`{detail_type}` has no `version`"))),
    }
}

fn replayed(envelope: Envelope) -> Result<Vec<Message>> {
    let (region, time) = (envelope.region.clone(), envelope.time.clone());
    let Replay { objects, .. } = detail(envelope)?;
    if objects.is_empty() {
        return Ok(vec![Message::Nothing("a replay of no objects".into())]);
    }
    let message = |object: ReplayedObject| {
        if object.bucket.is_empty() || object.key.is_empty() {
            return Err(bad("the bucket or the key of a replayed object is empty"));
        }
        Ok(Message::Object(ObjectEvent {
            kind: Change::Created,
            keys: KeyCandidates::exact(&object.key),
            bucket: object.bucket,
            size: object.size,
            etag: object.etag.map(|etag| unquoted(&etag).to_owned()),
            version: object.version,
            // It says nothing of when the object was written.
            sequencer: None,
            // The account of the envelope is the sender's, who need not own the bucket.
            account: None,
            region: region.clone(),
            time: time.clone(),
        }))
    };
    objects.into_iter().map(message).collect()
}
