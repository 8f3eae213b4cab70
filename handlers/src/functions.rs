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
use crate::service::unannounced;
use crate::transform::TransformHandler;
use crate::wiring::{ProjectSource, Wiring};

/// One function.
pub enum Function {
    /// Objects arrive, the catalog learns of them.
    Catalog(CatalogHandler),
    /// The catalog has news, transforms run.
    Transform(TransformHandler),
    /// What happened, told to people.
    Notify(NotifyHandler),
}

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// [`Function::Catalog`]
    Catalog,
    /// [`Function::Transform`]
    Transform,
    /// [`Function::Notify`]
    Notify,
}

/// A function with what it needs to be called.
pub struct Callable {
    function: Function,
    project: Option<ProjectSource>,
    queue: Queue,
}

impl Callable {
    /// Made once, when the process starts.
    ///
    /// # Errors
    /// [`Code::Usage`] for settings that cannot be; for a project in a folder: what is wrong with it.
    pub fn new(role: Role, wiring: &Wiring) -> Result<Self> {
        let function = match role {
            Role::Catalog => Function::Catalog(wiring.catalog()?),
            Role::Transform => Function::Transform(wiring.transform()?),
            Role::Notify => Function::Notify(wiring.notify()),
        };
        let project = if role == Role::Notify { None } else { Some(wiring.project()?) };
        Ok(Self { function, project, queue: wiring.queue() })
    }

    /// Answers an event. Of a batch, the answer says which messages are to come again; a single message that fails is an error.
    ///
    /// # Errors
    /// That of a single message.
    pub async fn call(&self, event: Value, stamp: Stamp, deadline: Instant) -> Result<Value> {
        if is_sqs(&event) {
            let batch = serde_json::from_value(event)
                .map_err(|error| Error::new(Code::BadEvent, format!("it is no event of SQS: {error}")))?;
            let fates = self.process(Item::of(batch), &stamp, deadline).await;
            let response = self.queue.settle(fates).await;
            return serde_json::to_value(response).map_err(|error| Error::new(Code::Internal, error.to_string()));
        }
        if let (Function::Transform(handler), Some(source)) = (&self.function, &self.project)
            && let [Message::RunRequested(request)] = &parse(&event.to_string())?[..]
        {
            return handler.run_named(source.current().await?.as_ref(), request, &stamp, deadline).await;
        }
        let item = Item { id: String::new(), body: event.to_string(), receipt: None, tries: 1 };
        for (_, fate) in self.process(vec![item], &stamp, deadline).await {
            fate?;
        }
        Ok(Value::Null)
    }

    async fn process(&self, items: Vec<Item>, stamp: &Stamp, deadline: Instant) -> Vec<(Item, Fate)> {
        let project = match &self.project {
            None => return self.notify(items).await,
            Some(source) => source.current().await,
        };
        let project = match project {
            Ok(project) => project,
            Err(error) => return items.into_iter().map(|item| (item, Err(error.copy()))).collect(),
        };
        match &self.function {
            Function::Catalog(handler) => handler.handle(&project, items).await,
            Function::Transform(handler) => handler.handle(&project, items, stamp, deadline).await,
            Function::Notify(handler) => handler.handle(items).await,
        }
    }

    async fn notify(&self, items: Vec<Item>) -> Vec<(Item, Fate)> {
        match &self.function {
            Function::Notify(handler) => handler.handle(items).await,
            Function::Catalog(_) | Function::Transform(_) => Vec::new(),
        }
    }
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
