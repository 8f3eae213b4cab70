//! One batch of a queue: what is known of each message in the end, and what becomes of it.
//!
//! A message that can be processed by another try is reported as failed, and comes again. One that never can is sent to the dead
//! letters at once, with its code, and is done with. The queue itself gives up on what fails too often.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_sqs::types::MessageAttributeValue;
use transform::{Code, Error, Kind, Result};

use crate::unannounced::unannounced;

/// The attribute of a message that says how often it was received.
const TRIES: &str = "ApproximateReceiveCount";
/// Seconds before a second try, doubled for each further one, and at most. Without it a message would come again only after the
/// time that the longest run may take.
const PAUSE: i32 = 15;
const LONGEST_PAUSE: i32 = 900;
/// Characters of an error in an attribute of a message.
const LONGEST: usize = 1000;

/// One message of a batch.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id, by which it is reported.
    pub id: String,
    /// Its text.
    pub body: String,
    /// By which the queue knows this delivery of it.
    pub receipt: Option<String>,
    /// How often it was received, from 1.
    pub tries: u32,
}

impl Item {
    /// The messages of an event.
    pub fn of(event: SqsEvent) -> Vec<Self> {
        event.records.into_iter().map(Self::of_message).collect()
    }

    fn of_message(message: SqsMessage) -> Self {
        let tries = message.attributes.get(TRIES).and_then(|count| count.parse().ok()).unwrap_or(1);
        let (id, body) = (message.message_id.unwrap_or_default(), message.body.unwrap_or_default());
        Self { id, body, receipt: message.receipt_handle, tries }
    }

    /// Whether it came back after a try that failed: it is processed by itself then.
    pub fn is_again(&self) -> bool {
        self.tries > 1
    }
}

/// What became of a message.
pub type Fate = Result<()>;

/// The worse of two fates: what can never be mended by another try is worse than what can.
///
/// # Errors
/// The worse of both.
pub fn worse(one: Fate, other: Fate) -> Fate {
    match (one, other) {
        (Err(one), Err(other)) => Err(if is_permanent(&other) && !is_permanent(&one) { other } else { one }),
        (one, other) => one.and(other),
    }
}

/// Whether no other try can succeed, unless people change something.
///
/// What is wrong with the surroundings is not: people mend permissions, and the message goes on; it comes again as often as the
/// queue allows. Nor is a table that is missing, which may arrive.
pub fn is_permanent(error: &Error) -> bool {
    match error.kind() {
        _ if error.code == Code::UnknownTable => false,
        Kind::Data | Kind::Project => true,
        Kind::Environment | Kind::Retry | Kind::Internal => false,
    }
}

/// The queue of a function, and the one for its dead letters.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    own: Option<String>,
    dead_letters: Option<String>,
}

impl Queue {
    /// By their URLs. Without its own, messages come again when the queue thinks fit; without dead letters, what can never be
    /// processed fails until the queue gives up on it.
    pub fn new(client: aws_sdk_sqs::Client, own: Option<String>, dead_letters: Option<String>) -> Self {
        Self { client, own, dead_letters }
    }

    /// Reports a batch: which messages are to come again.
    pub async fn settle(&self, fates: Vec<(Item, Fate)>) -> SqsBatchResponse {
        let mut failures = Vec::new();
        for (item, fate) in fates {
            let Err(error) = fate else { continue };
            tracing::error!(message_id = item.id, tries = item.tries, code = %error.code, "{error}");
            if is_permanent(&error) && self.dead_letters.is_some() {
                match self.send(&item, &error).await {
                    Ok(()) => continue,
                    Err(error) => tracing::error!(message_id = item.id, code = %error.code, "{error}"),
                }
            }
            self.delay(&item).await;
            failures.push(item.id);
        }
        response(failures)
    }

    /// Has a message come again after a while. If that fails, it does later.
    async fn delay(&self, item: &Item) {
        let (Some(url), Some(receipt)) = (&self.own, &item.receipt) else { return };
        let pause = PAUSE.saturating_mul(1 << (item.tries - 1).min(10)).min(LONGEST_PAUSE);
        let delayed = self.client.change_message_visibility().queue_url(url).receipt_handle(receipt);
        if let Err(error) = delayed.visibility_timeout(pause).send().await {
            let error = unannounced("the queue", error);
            tracing::warn!(message_id = item.id, code = %error.code, "{error}");
        }
    }

    async fn send(&self, item: &Item, error: &Error) -> Result<()> {
        let text = |value: String| {
            let value: String = value.chars().filter(|c| !c.is_control() || *c == '\n').take(LONGEST).collect();
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            attribute.map_err(|error| Error::new(Code::Internal, error.to_string()))
        };
        let sent = self.client.send_message().set_queue_url(self.dead_letters.clone()).message_body(&item.body);
        let sent = sent.message_attributes("code", text(error.code.to_string())?);
        let sent = sent.message_attributes("error", text(error.to_string())?);
        sent.send().await.map_err(|error| unannounced("the queue for dead letters", error))?;
        Ok(())
    }
}

fn response(failures: Vec<String>) -> SqsBatchResponse {
    let failed = |id: String| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        failure
    };
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures.into_iter().map(failed).collect();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_fates_stays() {
        let failed = |code| Err(Error::new(code, ""));
        let code = |fate: Fate| fate.err().map(|error| error.code);
        assert_eq!(code(worse(Ok(()), Ok(()))), None);
        assert_eq!(code(worse(Ok(()), failed(Code::Storage))), Some(Code::Storage));
        assert_eq!(code(worse(failed(Code::Storage), Ok(()))), Some(Code::Storage));
        assert_eq!(code(worse(failed(Code::Storage), failed(Code::BadObject))), Some(Code::BadObject));
        assert_eq!(code(worse(failed(Code::BadObject), failed(Code::Storage))), Some(Code::BadObject));
    }

    #[test]
    fn messages_are_counted_as_the_queue_does() {
        let event = r#"{"Records": [
            {"messageId": "a", "body": "x", "attributes": {"ApproximateReceiveCount": "3"}},
            {"messageId": "b", "body": "y"}]}"#;
        let items = Item::of(serde_json::from_str(event).unwrap());
        assert_eq!(
            items.iter().map(|item| (item.id.as_str(), item.is_again())).collect::<Vec<_>>(),
            [("a", true), ("b", false)]
        );
        let response = serde_json::to_value(response(vec!["a".into()])).unwrap();
        assert_eq!(response, serde_json::json!({"batchItemFailures": [{"itemIdentifier": "a"}]}));
    }
}
