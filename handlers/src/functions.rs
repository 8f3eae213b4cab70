//! The three functions as Lambda calls them: an event in, an answer out.
//!
//! An event is a batch of a queue, or, for those who call a function by hand, a single message.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;
use tokio::time::Instant;
use transform::{Code, Error, Result, Stamp};

use crate::catalog::CatalogHandler;
use crate::event::{Message, is_sqs, parse};
use crate::notify::NotifyHandler;
use crate::queue::{Fate, Item, Queue};
use crate::transform::TransformHandler;
use crate::unannounced::unannounced;
use crate::wiring::{ProjectSource, Wiring};

/// Objects arrive, the catalog learns of them.
pub struct CatalogFunction {
    handler: CatalogHandler,
    project: ProjectSource,
    queue: Queue,
}

impl CatalogFunction {
    /// Made once, when the process starts.
    ///
    /// # Errors
    /// [`Code::Usage`] for settings that cannot be; for a project in a folder: what is wrong with it.
    pub fn new(wiring: &Wiring) -> Result<Self> {
        Ok(Self { handler: wiring.catalog()?, project: wiring.project()?, queue: wiring.queue() })
    }

    /// Answers an event. Of a batch, the answer says which messages are to come again; a single message that fails is an error.
    ///
    /// # Errors
    /// That of a single message.
    pub async fn call(&self, event: Value, _stamp: Stamp, _deadline: Instant) -> Result<Value> {
        answer(&self.queue, event, async |items| Box::pin(self.handler.handle(&self.project, items)).await).await
    }
}

/// The catalog has news, transforms run.
pub struct TransformFunction {
    handler: TransformHandler,
    project: ProjectSource,
    queue: Queue,
}

impl TransformFunction {
    /// As [`CatalogFunction::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(wiring: &Wiring) -> Result<Self> {
        Ok(Self { handler: wiring.transform()?, project: wiring.project()?, queue: wiring.queue() })
    }

    /// As [`CatalogFunction::call`]; a request for runs is answered with their receipts.
    ///
    /// # Errors
    /// That of a single message.
    pub async fn call(&self, event: Value, stamp: Stamp, deadline: Instant) -> Result<Value> {
        if !is_sqs(&event)
            && let [Message::RunRequested(request)] = &parse(&event.to_string())?[..]
        {
            let project = self.project.current().await?;
            return Box::pin(self.handler.run_named(&project, request, &stamp, deadline)).await;
        }
        answer(&self.queue, event, async |items| match self.project.current().await {
            Ok(project) => Box::pin(self.handler.handle(&project, items, &stamp, deadline)).await,
            Err(error) => all_failed(items, &error),
        })
        .await
    }
}

/// What happened, told to people.
pub struct NotifyFunction {
    handler: NotifyHandler,
    queue: Queue,
}

impl NotifyFunction {
    /// As [`CatalogFunction::new`].
    ///
    /// # Errors
    /// None.
    pub fn new(wiring: &Wiring) -> Result<Self> {
        Ok(Self { handler: wiring.notify(), queue: wiring.queue() })
    }

    /// As [`CatalogFunction::call`].
    ///
    /// # Errors
    /// That of a single message.
    pub async fn call(&self, event: Value, _stamp: Stamp, _deadline: Instant) -> Result<Value> {
        answer(&self.queue, event, async |items| self.handler.handle(items).await).await
    }
}

async fn answer(
    queue: &Queue,
    event: Value,
    process: impl AsyncFnOnce(Vec<Item>) -> Vec<(Item, Fate)>,
) -> Result<Value> {
    if is_sqs(&event) {
        let batch = serde_json::from_value(event)
            .map_err(|error| Error::new(Code::BadEvent, format!("it is no event of SQS: {error}")))?;
        let response = queue.settle(process(Item::of(batch)).await).await;
        return serde_json::to_value(response).map_err(|error| Error::new(Code::Internal, error.to_string()));
    }
    let item = Item { id: String::new(), body: event.to_string(), receipt: None, tries: 1 };
    for (_, fate) in process(vec![item]).await {
        fate?;
    }
    Ok(Value::Null)
}

fn all_failed(items: Vec<Item>, error: &Error) -> Vec<(Item, Fate)> {
    items.into_iter().map(|item| (item, Err(error.copy()))).collect()
}

/// Calls a deployed function and waits for its answer.
///
/// # Errors
/// [`Code::NotFound`], [`Code::PermissionDenied`]; the function's own error.
pub async fn invoke(sdk: &SdkConfig, function: &str, event: &Value) -> Result<Value> {
    // A second try would run beside the first, which may take the longest time that there is.
    let config = aws_sdk_lambda::config::Builder::from(sdk).retry_config(RetryConfig::disabled());
    let client = aws_sdk_lambda::Client::from_conf(config.build());
    let called = client.invoke().function_name(function).payload(Blob::new(event.to_string())).send().await;
    let called = called.map_err(|error| match error.as_service_error() {
        Some(service) if service.is_resource_not_found_exception() => {
            Error::new(Code::NotFound, format!("there is no function `{function}`"))
                .help("name the output `TransformFunction` of the stack")
        }
        _ => unannounced(&format!("the function `{function}`"), error),
    })?;
    let answer = called.payload().map(|blob| serde_json::from_slice(blob.as_ref())).transpose();
    let answer: Value = answer
        .map_err(|error| Error::new(Code::Internal, format!("`{function}` answers no JSON: {error}")))?
        .unwrap_or_default();
    if called.function_error().is_none() {
        return Ok(answer);
    }
    let said = |field: &str| answer.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = serde_json::from_value(Value::String(said("errorType"))).unwrap_or(Code::Internal);
    Err(Error::new(code, format!("the function `{function}` failed: {}", said("errorMessage"))))
}

/// When an invocation ends that Lambda says to end then, in milliseconds since 1970.
pub fn deadline(milliseconds: u64) -> Instant {
    let ends = UNIX_EPOCH + Duration::from_millis(milliseconds);
    Instant::now() + ends.duration_since(SystemTime::now()).unwrap_or_default()
}
