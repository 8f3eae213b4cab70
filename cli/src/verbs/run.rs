//! `unglue run`

use handlers::project::folder;
use std::sync::Arc;
use std::time::Duration;

use handlers::words::{bytes, count};
use serde_json::json;
use transform::{Asked, Discovery, Error, Outcome, Receipt, Result};

use super::catalog::{changes, findings};
use super::check::write_mode;
use super::{Verdict, by_place, chosen};
use crate::args::{Args, CatalogChoice};
use crate::edge;
use crate::progress::Bar;
use crate::screen::Screen;

/// Brings the catalog up to date, then runs what is due.
pub(super) async fn run(args: &Args, names: &[String], full_refresh: bool, screen: &mut Screen) -> Result<Verdict> {
    let (project, mut errors) = folder::read(&args.project)?;
    let engine = edge::engine(args).await?;
    let names = chosen(&project, names)?;
    // The Glue catalog is kept by the function `catalog` or by a crawler.
    let discovery = match args.catalog {
        CatalogChoice::Embedded => engine.discover(&project).await?,
        CatalogChoice::Glue => Discovery::default(),
    };
    changes(&discovery).for_each(|line| screen.note(line));
    let findings = findings(discovery);
    screen.errors(&findings);
    let mut checked = engine.check(&project).await?;
    if !full_refresh {
        checked = checked.without_full_refresh();
    }
    errors.append(&mut checked.errors);
    by_place(&mut errors);
    screen.errors(&errors);

    let bar = Arc::new(Bar::new());
    let ticking = Arc::clone(&bar);
    let ticker = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            ticking.tick();
        }
    });
    let asked = if full_refresh { Asked::Rebuild } else { Asked::Due };
    let outcomes =
        engine.run(&project, &checked, &names, &asked, &edge::stamp(), &|progress| bar.follow(progress)).await;
    ticker.abort();
    bar.clear();

    errors.extend(findings);
    Ok(Verdict::of(report(outcomes, errors, screen)?))
}

/// Prints receipts and the errors of the runs; whether anything failed. `known` are errors that were printed before.
pub(super) fn report(outcomes: Vec<Outcome>, known: Vec<Error>, screen: &mut Screen) -> Result<bool> {
    let mut receipts = Vec::new();
    let mut errors = Vec::new();
    let mut idle = Vec::new();
    let mut waiting = Vec::new();
    for outcome in outcomes {
        match outcome.waits_for {
            Some(upstream) => waiting.push((outcome.transform, upstream)),
            None if outcome.runs.is_empty() => idle.push(outcome.transform),
            None => {}
        }
        for run in outcome.runs {
            match run {
                Ok(receipt) => receipts.push(receipt),
                Err(error) => errors.push(error),
            }
        }
    }
    let failed = !errors.is_empty() || !waiting.is_empty() || !known.is_empty();
    screen.errors(&errors);
    for (transform, upstream) in &waiting {
        screen.note(format!("{transform}: not run, because `{upstream}` failed"));
    }
    if screen.is_json() {
        let waiting: Vec<_> = waiting
            .iter()
            .map(|(transform, upstream)| json!({"transform": transform, "waits_for": upstream}))
            .collect();
        let errors: Vec<&Error> = known.iter().chain(&errors).collect();
        screen.json(&json!({"runs": receipts, "errors": errors, "up_to_date": idle, "waiting": waiting}))?;
        return Ok(failed);
    }
    for receipt in &receipts {
        screen.line(text(receipt));
    }
    for transform in idle {
        screen.line(format!("{transform}: up to date"));
    }
    Ok(failed)
}

/// A receipt in a few lines.
pub(super) fn text(receipt: &Receipt) -> String {
    let read: u64 = receipt.inputs.iter().map(|input| input.bytes).sum();
    let mut lines = vec![
        format!("{}: {} ({})", receipt.transform, write_mode(receipt.write), receipt.run_id),
        format!(
            "    read     {}, {}, {}",
            count(receipt.inputs.len() as u64, "object"),
            bytes(read),
            count(receipt.rows_read, "row")
        ),
        format!(
            "    wrote    {} in {}, {}, {}",
            count(receipt.rows, "row"),
            count(
                receipt.partitions.len() as u64,
                if receipt.partitions.iter().any(|p| p.values.is_empty()) { "table" } else { "partition" }
            ),
            count(receipt.files, "file"),
            bytes(receipt.bytes)
        ),
        format!("    cost     {:.2} s, {} peak memory", receipt.seconds, bytes(receipt.peak_memory)),
    ];
    if !receipt.checks.is_empty() {
        lines.push(format!("    checked  {}", receipt.checks.join(", ")));
    }
    if let Some(quarantine) = &receipt.quarantine {
        lines.push(format!("    left out {} that cannot be read: {quarantine}", count(receipt.rejected, "record")));
    }
    for object in &receipt.superseded {
        lines.push(format!("    left out {object}: deleted or replaced before it was read"));
    }
    lines.join("\n")
}
