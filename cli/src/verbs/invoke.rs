//! `unglue invoke`

use std::fs;
use std::path::Path;
use std::time::Duration;

use handlers::functions::{CatalogFunction, NotifyFunction, TransformFunction};
use tokio::time::Instant;
use transform::{Code, Error, Result};

use super::Verdict;
use crate::args::FunctionChoice;
use crate::edge;
use crate::screen::Screen;

/// The longest that Lambda gives a function.
const LONGEST: Duration = Duration::from_secs(900);

/// Gives an event to a function, and prints its answer.
pub(super) async fn invoke(function: FunctionChoice, event: &Path, screen: &mut Screen) -> Result<Verdict> {
    let shown = event.display();
    let text = fs::read_to_string(event).map_err(|error| {
        Error::new(Code::NotFound, format!("the event `{shown}` cannot be read: {error}"))
            .help("name a file with an event")
    })?;
    let event = serde_json::from_str(&text).map_err(|error| {
        Error::new(Code::BadEvent, format!("the event `{shown}` is not JSON: {error}"))
            .help("samples are in `handlers/events/`")
    })?;
    let wiring = edge::wiring().await?;
    let (stamp, deadline) = (edge::stamp(), Instant::now() + LONGEST);
    let answer = match function {
        FunctionChoice::Catalog => CatalogFunction::new(&wiring)?.call(event, stamp, deadline).await,
        FunctionChoice::Transform => TransformFunction::new(&wiring)?.call(event, stamp, deadline).await,
        FunctionChoice::Notify => NotifyFunction::new(&wiring)?.call(event, stamp, deadline).await,
    };
    match answer {
        Ok(answer) => {
            screen.json(&answer)?;
            let failures = answer.get("batchItemFailures").and_then(|failures| failures.as_array());
            Ok(Verdict::of(failures.is_some_and(|failures| !failures.is_empty())))
        }
        Err(error) => {
            screen.errors(&[error]);
            Ok(Verdict::Findings)
        }
    }
}
