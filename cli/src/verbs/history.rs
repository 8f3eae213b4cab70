//! `unglue history`

use chrono::{DateTime, SecondsFormat, Utc};
use handlers::project::folder;
use handlers::words::{bytes, count};
use serde_json::{Value, json};
use transform::{Code, Error, PastRun, Project, Result, RunOutcome, TableName};

use super::check::write_mode;
use super::{Verdict, named};
use crate::args::Args;
use crate::edge;
use crate::screen::Screen;

/// The newest runs, or all about one.
pub(super) async fn history(
    args: &Args,
    names: &[String],
    limit: usize,
    run: Option<&str>,
    screen: &mut Screen,
) -> Result<Verdict> {
    // What is wrong with the SQL now does not change what was run.
    let (project, _) = folder::read(&args.project)?;
    let targets = targets(&project, names)?;
    let engine = edge::engine(args).await?;
    if let Some(run_id) = run {
        let past = engine.past_run(&targets, run_id).await?;
        if screen.is_json() {
            screen.json(&past)?;
        } else {
            screen.line(whole(&past));
        }
        return Ok(Verdict::Clean);
    }
    let (mut runs, mut errors): (Vec<PastRun>, Vec<Error>) = (Vec::new(), Vec::new());
    for run in engine.history(&targets, limit).await? {
        match run {
            Ok(run) => runs.push(run),
            Err(error) if error.code == Code::CatalogDamaged => errors.push(error),
            Err(error) => return Err(error),
        }
    }
    screen.errors(&errors);
    if screen.is_json() {
        screen.json(&json!({"runs": runs.iter().map(summary).collect::<Vec<_>>(), "errors": errors}))?;
    } else {
        runs.iter().for_each(|run| screen.line(line(run)));
        if runs.is_empty() && errors.is_empty() {
            screen.note("no run has begun yet");
        }
    }
    Ok(Verdict::of(!errors.is_empty()))
}

/// The named transforms; all of the project without names.
fn targets(project: &Project, names: &[String]) -> Result<Vec<TableName>> {
    if !names.is_empty() {
        return Ok(named(project, names)?.into_iter().collect());
    }
    let sound = project.transforms().iter().map(|transform| transform.target.clone());
    Ok(sound.chain(project.broken().iter().cloned()).collect())
}

fn summary(run: &PastRun) -> Value {
    let receipt = run.receipt.as_ref();
    let mut value = json!({
        "run_id": run.run_id,
        "transform": run.transform,
        "at": run.at,
        "outcome": run.outcome,
        "write": run.write,
        "inputs": run.inputs.len(),
        "rows": receipt.map(|receipt| receipt.rows),
        "files": receipt.map(|receipt| receipt.files),
        "partitions": receipt.map(|receipt| receipt.partitions.len()),
        "bytes": receipt.map(|receipt| receipt.bytes),
        "seconds": receipt.map(|receipt| receipt.seconds),
    });
    if let Some(ended) = run.ended {
        value["ended"] = json!(ended);
    }
    if let Some(successor) = &run.successor {
        value["successor"] = json!(successor);
    }
    value
}

fn line(run: &PastRun) -> String {
    let mode = run.write.map_or("", write_mode);
    let head = format!("{}  {}  {}", run.at.map_or_else(String::new, time), run.run_id, run.transform);
    let objects = count(run.inputs.len() as u64, "object");
    let outcome = outcome(run);
    let Some(receipt) = &run.receipt else { return format!("{head}  {outcome}: {objects}") };
    let partitions = if receipt.partitions.iter().any(|partition| partition.values.is_empty()) {
        "1 table".to_owned()
    } else {
        count(receipt.partitions.len() as u64, "partition")
    };
    format!(
        "{head}  {mode}, {outcome}: {objects}, {} in {partitions}, {}, {:.2} s",
        count(receipt.rows, "row"),
        bytes(receipt.bytes),
        receipt.seconds
    )
}

fn outcome(run: &PastRun) -> String {
    match (run.outcome, &run.successor) {
        (RunOutcome::Succeeded, _) => "succeeded".to_owned(),
        (RunOutcome::Superseded, Some(successor)) => format!("superseded by {successor}"),
        (RunOutcome::Superseded, None) => "superseded".to_owned(),
        (RunOutcome::NotCommitted, _) => "open, not committed".to_owned(),
        (RunOutcome::NotVisible, _) => "open, committed but not yet visible".to_owned(),
    }
}

/// Everything about one run.
fn whole(run: &PastRun) -> String {
    let mut lines = match &run.receipt {
        Some(receipt) => vec![super::run::text(receipt)],
        None => vec![format!("{}: {}", run.transform, run.run_id)],
    };
    lines.push(format!("    outcome  {}", outcome(run)));
    if let Some(at) = run.at {
        lines.push(format!("    began    {}", time(at)));
    }
    if let Some(ended) = run.ended {
        lines.push(format!("    ended    {}", time(ended)));
    }
    lines.push(format!("    inputs   {}", count(run.inputs.len() as u64, "object")));
    for input in &run.inputs {
        let version = input.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
        lines.push(format!("             {} ({}{version})", input.object, bytes(input.bytes)));
    }
    let Some(receipt) = &run.receipt else { return lines.join("\n") };
    lines.push(format!("    places   {}", count(receipt.partitions.len() as u64, "folder")));
    for partition in &receipt.partitions {
        let files = count(partition.files, "file");
        lines.push(format!("             {}: {}, {files}", partition.location, count(partition.rows, "row")));
    }
    lines.join("\n")
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
