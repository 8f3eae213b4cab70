//! What arrives: a message of a queue or bus, in any of the forms that AWS and unglue send, to what it is about.
//!
//! All of it is pure. What is not understood is an error [`Code::BadEvent`], which no retry would mend.

mod crawler;
mod expected;
mod key;
mod newest;
mod number;
mod object;
pub mod own;
mod s3;
mod sequencer;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value;
use transform::{Code, Error, Result};

pub use crawler::CrawlerState;
pub use expected::expected;
pub use key::{Found, KeyCandidates};
pub use newest::newest;
pub use object::{Change, ObjectEvent};
pub use own::{CatalogUpdated, RunFailed, RunRequested, RunSucceeded};
pub use sequencer::Sequencer;

/// Bytes of the longest message that is read: what SQS and EventBridge carry at most.
const LONGEST: usize = 1024 * 1024;

/// Characters of a foreign text that an error repeats.
const SHOWN: usize = 200;

/// What a message is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// An object was created, removed or restored, or is to be processed again.
    Object(ObjectEvent),
    /// The catalog says something new about a table.
    CatalogUpdated(CatalogUpdated),
    /// A run was done.
    RunSucceeded(RunSucceeded),
    /// A run failed.
    RunFailed(RunFailed),
    /// Transforms are to run now.
    RunRequested(RunRequested),
    /// A Glue crawler changed its state.
    Crawler(CrawlerState),
    /// Nothing to do, with the reason: to be acknowledged and counted.
    Nothing(String),
}

/// What a message is about, from the text of an SQS record's body or of an event itself. One message may be about several
/// things; where one of them is not understood, none is returned.
///
/// # Errors
/// [`Code::BadEvent`] with what is wrong: set the message aside, it will never be understood.
pub fn parse(body: &str) -> Result<Vec<Message>> {
    understand(body).map_err(|error| match error.help {
        Some(_) => error,
        None => error.help(
            "correct the rule, notification or program that sends it; `unglue explain bad-event` lists what is understood",
        ),
    })
}

fn understand(body: &str) -> Result<Vec<Message>> {
    if body.len() > LONGEST {
        return Err(bad(format!("the message has {} bytes, more than {LONGEST}", body.len())));
    }
    let value = json(body)?;
    match wrapped(&value)? {
        Some(inner) => json(inner).and_then(unwrapped).map_err(|mut error| {
            error.message = format!("in the notification of SNS: {}", error.message);
            error
        }),
        None => unwrapped(value),
    }
}

/// Whether it is what Lambda hands over for a queue: then each record's `body` is a message for [`parse`].
pub fn is_sqs(event: &Value) -> bool {
    let records = event.get("Records").and_then(Value::as_array);
    let is_of_queue = |record: &Value| text(record, "eventSource") == Some("aws:sqs");
    records.is_some_and(|records| !records.is_empty() && records.iter().all(is_of_queue))
}

/// The message that SNS wraps, if it does.
fn wrapped(value: &Value) -> Result<Option<&str>> {
    let (Some(kind), Some(_topic)) = (text(value, "Type"), text(value, "TopicArn")) else {
        return Ok(None);
    };
    if kind != "Notification" {
        return Err(bad(format!("it is a message of SNS of type `{}`, not a notification", shown(kind)))
            .help("confirm the subscription by visiting its `SubscribeURL`, or remove it"));
    }
    match text(value, "Message") {
        Some(message) => Ok(Some(message)),
        None => Err(bad("the notification of SNS has no text `Message`")),
    }
}

fn unwrapped(value: Value) -> Result<Vec<Message>> {
    let Some(fields) = value.as_object() else {
        return Err(bad(format!("the message is {}, not an object", kind_of(&value))));
    };
    if is_sqs(&value) {
        return Err(bad("it is a whole event of SQS").help("give the `body` of each of its records on its own"));
    }
    if fields.contains_key("Records") {
        return s3::notification(value);
    }
    // What S3 sends once, when a notification is configured.
    if text(&value, "Event") == Some("s3:TestEvent") {
        let bucket = text(&value, "Bucket").unwrap_or("no bucket");
        return Ok(vec![Message::Nothing(format!("the test event of `{}`", shown(bucket)))]);
    }
    if fields.contains_key("source") && fields.contains_key("detail-type") {
        return enveloped(typed(value, "the event of EventBridge")?);
    }
    let names: Vec<&str> = fields.keys().take(8).map(String::as_str).collect();
    Err(bad(format!("no known form of event has the fields `{}`", shown(&names.join("`, `")))))
}

/// An event of EventBridge.
#[derive(Deserialize)]
struct Envelope {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    account: Option<String>,
    region: Option<String>,
    time: Option<String>,
    #[serde(default)]
    detail: Value,
}

fn enveloped(envelope: Envelope) -> Result<Vec<Message>> {
    match (envelope.source.as_str(), envelope.detail_type.as_str()) {
        ("aws.s3", _) => s3::event(envelope).map(|message| vec![message]),
        (own::SOURCE, _) => own::event(envelope),
        ("aws.glue", crawler::DETAIL_TYPE) => {
            let state = typed(envelope.detail, "the detail of `Glue Crawler State Change`")?;
            Ok(vec![Message::Crawler(state)])
        }
        (source, detail_type) => {
            Err(bad(format!("no event `{}` of the source `{}` is known", shown(detail_type), shown(source))))
        }
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Code::BadEvent, message)
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| bad(format!("it is not JSON: {}", shown(&error.to_string()))))
}

/// Reads an object as a type.
fn typed<T: for<'de> Deserialize<'de>>(value: Value, what: &str) -> Result<T> {
    // serde would take a list for the fields in order.
    if !value.is_object() {
        return Err(bad(format!("{what} is {}, not an object", kind_of(&value))));
    }
    // The texts of serde hold values of any length.
    serde_json::from_value(value).map_err(|error| bad(format!("{what}: {}", shown(&error.to_string()))))
}

/// A field that is a text.
fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

/// A foreign text as an error repeats it: short and on one line.
fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
