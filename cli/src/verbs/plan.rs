//! `unglue plan`

use handlers::project::folder;
use std::collections::BTreeSet;

use handlers::words::{bytes, count};
use transform::{Checked, Code, Error, PlannedRun, Project, Result, TableName, Transform, WriteMode};

use super::check::write_mode;
use super::{Verdict, by_place, chosen};
use crate::args::Args;
use crate::edge;
use crate::screen::Screen;

/// What would run and why. Nothing is changed, so what `run` would first add to the catalog is not seen yet.
pub(super) async fn plan(args: &Args, names: &[String], arrivals: &[String], screen: &mut Screen) -> Result<Verdict> {
    let (project, mut errors) = folder::read(&args.project)?;
    let engine = edge::engine(args).await?;
    let mut names = chosen(&project, names)?;
    let mut checked = engine.check(&project).await?.without_full_refresh();
    if !arrivals.is_empty() {
        let triggered = triggered(&project, &engine, &checked, arrivals)?;
        names.retain(|name| triggered.contains(name));
    }
    errors.append(&mut checked.errors);
    by_place(&mut errors);
    screen.errors(&errors);
    let runs = engine.plan(&project, &checked, &names).await?;
    if screen.is_json() {
        screen.json(&runs)?;
    } else {
        runs.iter().for_each(|run| screen.line(text(run)));
    }
    let too_large: Vec<Error> = runs.iter().filter(|run| !run.fits).map(too_large).collect();
    screen.errors(&too_large);
    Ok(Verdict::of(!errors.is_empty() || !too_large.is_empty()))
}

/// The transforms that the arrival of these objects would start, with those after them.
fn triggered(
    project: &Project,
    engine: &transform::Engine,
    checked: &Checked,
    arrivals: &[String],
) -> Result<BTreeSet<TableName>> {
    let mut found = BTreeSet::new();
    for arrival in arrivals {
        let mut waiting = vec![engine.table_of(arrival)?];
        while let Some(table) = waiting.pop() {
            let started = project.downstream(&table).into_iter().filter(|transform| {
                checked.planned.get(&transform.target).is_some_and(|planned| starts(transform, planned.write, &table))
            });
            for transform in started {
                if found.insert(transform.target.clone()) {
                    waiting.push(transform.target.clone());
                }
            }
        }
    }
    Ok(found)
}

/// Whether new objects of a table start a transform that reads it.
fn starts(transform: &Transform, write: WriteMode, table: &TableName) -> bool {
    match &transform.settings.trigger {
        Some(tables) => tables.iter().any(|trigger| trigger.value == *table),
        None => write != WriteMode::Append || transform.driving.as_ref() == Some(table),
    }
}

fn text(run: &PlannedRun) -> String {
    let mut lines = vec![format!("{}: {}, {}", run.transform, write_mode(run.write), run.reason)];
    if !run.is_due() {
        lines.push("    nothing to do".to_owned());
        return lines.join("\n");
    }
    if !run.inputs.is_empty() {
        let listed = run.inputs.iter().take(5).map(|input| format!("{} ({})", input.object, bytes(input.bytes)));
        let more = run.inputs.len().saturating_sub(5);
        let mut objects: Vec<String> = listed.collect();
        if more > 0 {
            objects.push(format!("and {more} more"));
        }
        let noun = if run.write == WriteMode::Append { "new object" } else { "object" };
        let of_inputs: u64 = run.inputs.iter().map(|input| input.bytes).sum();
        let lookups = run.bytes.saturating_sub(of_inputs);
        let lookups = if lookups > 0 { format!(", and {} of lookups", bytes(lookups)) } else { String::new() };
        let objects_read = count(run.inputs.len() as u64, noun);
        lines.push(format!("    reads    {objects_read}, up to {}{lookups}", bytes(of_inputs)));
        lines.extend(objects.into_iter().map(|object| format!("             {object}")));
        lines.push(format!(
            "    about    {:.1} s, {} memory, ${:.6} on Lambda (estimates)",
            run.estimated_seconds,
            bytes(run.estimated_memory),
            run.estimated_dollars
        ));
    }
    if !run.partition_by.is_empty() {
        lines.push(format!("    writes   partitions by {}", run.partition_by.join(", ")));
    }
    if !run.after.is_empty() {
        let names: Vec<String> = run.after.iter().map(ToString::to_string).collect();
        lines.push(format!("    after    {}, whose rows are its new input", names.join(", ")));
    }
    lines.join("\n")
}

fn too_large(run: &PlannedRun) -> Error {
    Error::new(
        Code::OutOfMemory,
        format!(
            "the query joins on something else than equal columns, which takes about {} of memory, more than the limit",
            bytes(run.estimated_memory)
        ),
    )
    .in_transform(&run.transform)
    .help("raise `--memory`, or join on equal columns: those joins spill to disk")
}
