//! `unglue invoke`

use std::fs;
use std::path::Path;
use std::time::Duration;

use handlers::functions::Role;
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
    let role = match function {
        FunctionChoice::Catalog => Role::Catalog,
        FunctionChoice::Transform => Role::Transform,
        FunctionChoice::Notify => Role::Notify,
    };
    let function = edge::function(role).await?;
    match function.call(event, edge::stamp(), Instant::now() + LONGEST).await {
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
