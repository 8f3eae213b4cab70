//! `unglue run --remote`

use handlers::functions::invoke;
use handlers::http;
use serde::Deserialize;
use serde_json::json;
use transform::{Code, Error, Outcome, Receipt, Result, TableName};

use super::Verdict;
use super::run::report;
use crate::screen::Screen;

/// What the function answers.
#[derive(Deserialize)]
struct Answer {
    runs: Vec<Receipt>,
    errors: Vec<Error>,
    up_to_date: Vec<TableName>,
    waiting: Vec<Waiting>,
}

#[derive(Deserialize)]
struct Waiting {
    transform: TableName,
    waits_for: TableName,
}

/// Calls the deployed function, waits for it, and prints what it answers.
pub(super) async fn run(function: &str, names: &[String], full_refresh: bool, screen: &mut Screen) -> Result<Verdict> {
    screen.note(format!("waiting for the function `{function}`"));
    let request = json!({
        "source": "unglue",
        "detail-type": "Run Requested",
        "detail": {"version": 1, "names": names, "full_refresh": full_refresh},
    });
    let answer = invoke(&http::config().await, function, &request).await?;
    let Answer { runs, errors, up_to_date, waiting } = serde_json::from_value(answer).map_err(|error| {
        Error::new(Code::Usage, format!("`{function}` answers as no function of unglue does: {error}"))
            .help("name the function `transform` of the stack, or update it")
    })?;
    let done = runs.into_iter().map(|receipt| Outcome {
        transform: receipt.transform.clone(),
        runs: vec![Ok(receipt)],
        waits_for: None,
    });
    let idle = up_to_date.into_iter().map(|transform| Outcome { transform, runs: Vec::new(), waits_for: None });
    let waiting = waiting.into_iter().map(|Waiting { transform, waits_for }| Outcome {
        transform,
        runs: Vec::new(),
        waits_for: Some(waits_for),
    });
    let outcomes = done.chain(idle).chain(waiting).collect();
    screen.errors(&errors);
    Ok(Verdict::of(report(outcomes, errors, screen)?))
}
