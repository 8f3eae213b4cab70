//! The third function: what happened, told to people.

use std::collections::BTreeSet;

use aws_sdk_sns::types::MessageAttributeValue;
use transform::{Code, Error, Result};

use crate::event::{Message, parse};
use crate::mail::{self, Mail};
use crate::queue::{Fate, Item};
use crate::unannounced::unannounced;

/// Messages at once that are told in one.
const BURST: usize = 5;

/// What the function needs.
pub struct NotifyHandler {
    /// SNS.
    pub client: aws_sdk_sns::Client,
    /// The topic.
    pub topic: Option<String>,
}

impl NotifyHandler {
    /// Tells people what a batch of events says: each by itself, or all in one message if there are many.
    pub async fn handle(&self, items: Vec<Item>) -> Vec<(Item, Fate)> {
        let mut fates: Vec<Fate> = items.iter().map(|_| Ok(())).collect();
        let mut told = BTreeSet::new();
        let mut mails: Vec<(usize, Mail)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match parse(&item.body) {
                Ok(messages) => {
                    let new =
                        messages.iter().filter(|message| run_of(message).is_none_or(|run| told.insert(run.to_owned())));
                    mails.extend(new.filter_map(of).map(|mail| (index, mail)));
                }
                Err(error) => fates[index] = Err(error),
            }
        }
        let whole: Vec<Mail> = mails.iter().map(|(_, mail)| mail.clone()).collect();
        if whole.len() > BURST {
            if let Err(error) = self.publish(&mail::digest(&whole)).await {
                mails.iter().for_each(|(item, _)| fates[*item] = Err(error.copy()));
            }
        } else {
            for (item, mail) in &mails {
                if let Err(error) = self.publish(mail).await {
                    fates[*item] = Err(error);
                }
            }
        }
        items.into_iter().zip(fates).collect()
    }

    async fn publish(&self, mail: &Mail) -> Result<()> {
        let Some(topic) = &self.topic else {
            return Err(Error::new(Code::Usage, "no topic is set").help("set `UNGLUE_TOPIC_ARN`"));
        };
        let mut publish = self.client.publish().topic_arn(topic).subject(&mail.subject).message(&mail.text);
        for (name, value) in &mail.attributes {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let attribute = attribute.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
            publish = publish.message_attributes(*name, attribute);
        }
        publish.send().await.map_err(|error| unannounced("the topic", error))?;
        Ok(())
    }
}

/// The run that a message tells of: the bus may deliver it twice.
fn run_of(message: &Message) -> Option<&str> {
    match message {
        Message::RunSucceeded(run) => Some(&run.receipt.run_id),
        _ => None,
    }
}

fn of(message: &Message) -> Option<Mail> {
    match message {
        Message::RunSucceeded(run) => Some(mail::succeeded(run)),
        Message::RunFailed(run) => Some(mail::failed(run)),
        Message::CatalogUpdated(update) => mail::catalog_updated(update),
        Message::Object(_) | Message::RunRequested(_) | Message::Crawler(_) | Message::Nothing(_) => None,
    }
}
