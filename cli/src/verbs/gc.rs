//! `unglue gc`

use chrono::TimeDelta;
use handlers::project::folder;
use handlers::words::{bytes, count};
use serde_json::json;
use transform::{Amount, Collected, Error, Result};

use super::{Verdict, chosen};
use crate::args::Args;
use crate::edge;
use crate::screen::Screen;

/// Deletes what nothing refers to, table by table; an error with one does not keep the others from it.
pub(super) async fn gc(
    args: &Args,
    names: &[String],
    older_than: TimeDelta,
    dry_run: bool,
    screen: &mut Screen,
) -> Result<Verdict> {
    let (project, errors_of_sql) = folder::read(&args.project)?;
    let names = chosen(&project, names)?;
    let engine = edge::engine(args).await?;
    let now = edge::stamp().at;
    let (mut tables, mut errors): (Vec<Collected>, Vec<Error>) = (Vec::new(), Vec::new());
    for transform in project.transforms().iter().filter(|transform| names.contains(&transform.target)) {
        match engine.gc(transform, older_than, now, dry_run).await {
            Ok(collected) => tables.push(collected),
            Err(error) => errors.push(error),
        }
    }
    screen.errors(&errors);
    if !errors_of_sql.is_empty() {
        screen.note("tables of SQL files with errors were left out; `unglue check` lists the errors");
    }
    if screen.is_json() {
        screen.json(&json!({"dry_run": dry_run, "tables": tables, "errors": errors}))?;
    } else {
        tables.iter().for_each(|collected| screen.line(text(collected, dry_run)));
    }
    Ok(Verdict::of(!errors.is_empty()))
}

fn text(collected: &Collected, dry_run: bool) -> String {
    let verb = if dry_run { "would delete" } else { "deleted" };
    let mut parts = Vec::new();
    if collected.replaced.files > 0 {
        parts.push(format!("{verb} {}", amount(collected.replaced, "replaced file")));
    }
    if collected.staged.files > 0 {
        parts.push(format!("{verb} {}", amount(collected.staged, "staged file")));
    }
    if collected.uploads > 0 {
        let verb = if dry_run { "would give up" } else { "gave up" };
        parts.push(format!("{verb} {}", count(collected.uploads, "upload")));
    }
    if parts.is_empty() {
        parts.push("nothing to delete".to_owned());
    }
    if collected.too_young.files > 0 {
        parts.push(format!("kept {} for readers", amount(collected.too_young, "replaced file")));
    }
    if collected.held.files > 0 {
        let runs: Vec<&str> = collected.held_by.iter().map(String::as_str).collect();
        let open = format!("kept {} for the open {}", amount(collected.held, "replaced file"), runs.join(", "));
        parts.push(open);
    }
    format!("{}: {}", collected.transform, parts.join("; "))
}

fn amount(amount: Amount, noun: &str) -> String {
    format!("{} ({})", count(amount.files, noun), bytes(amount.bytes))
}
