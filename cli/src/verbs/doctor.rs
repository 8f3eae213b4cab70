//! `unglue doctor`

use handlers::project::folder;
use handlers::words::count;
use serde_json::json;
use transform::{Error, Finding, Result};

use super::{Verdict, by_place, chosen};
use crate::args::Args;
use crate::edge;
use crate::screen::Screen;

/// Examines the tables of the named transforms, one after the other.
pub(super) async fn doctor(args: &Args, names: &[String], repair: bool, screen: &mut Screen) -> Result<Verdict> {
    let (project, mut errors) = folder::read(&args.project)?;
    let names = chosen(&project, names)?;
    let engine = edge::engine(args).await?;
    // Rows that no longer fit are found below, column by column.
    let mut checked = engine.check(&project).await?;
    errors.append(&mut checked.errors);
    by_place(&mut errors);
    let (mut findings, mut failed): (Vec<Finding>, Vec<Error>) = (Vec::new(), Vec::new());
    for transform in project.transforms().iter().filter(|transform| names.contains(&transform.target)) {
        match engine.doctor(transform, checked.planned.get(&transform.target), repair).await {
            Ok(found) => findings.extend(found),
            Err(error) => failed.push(error),
        }
    }
    errors.append(&mut failed);
    screen.errors(&errors);
    let left = findings.iter().filter(|finding| finding.repaired.is_none()).count();
    if screen.is_json() {
        screen.json(&json!({"findings": findings, "errors": errors}))?;
    } else {
        findings.iter().for_each(|finding| screen.line(text(finding)));
        let repaired = findings.len() - left;
        let repaired = if repaired > 0 { format!(", {repaired} repaired") } else { String::new() };
        screen.note(format!(
            "{} examined, {}{repaired}",
            count(names.len() as u64, "table"),
            count(left as u64, "finding")
        ));
    }
    Ok(Verdict::of(left > 0 || !errors.is_empty()))
}

fn text(finding: &Finding) -> String {
    let head = format!("{}: {}: {}\n    at       {}", finding.transform, finding.kind, finding.message, finding.place);
    match &finding.repaired {
        Some(done) => format!("{head}\n    repaired {done}"),
        None => format!("{head}\n    help     {}", finding.help),
    }
}
