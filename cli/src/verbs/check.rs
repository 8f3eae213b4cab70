//! `unglue check`

use handlers::project::folder;
use handlers::words::count;
use transform::Result;

use super::{Verdict, by_place};
use crate::args::{Args, ErrorFormat};
use crate::screen::Screen;
use crate::{diagnostic, edge};

/// All errors of all SQL files against the catalog.
pub(super) async fn check(args: &Args, format: ErrorFormat, screen: &mut Screen) -> Result<Verdict> {
    let (project, mut errors) = folder::read(&args.project)?;
    let checked = edge::engine(args).await?.check(&project).await?.without_full_refresh();
    errors.extend(checked.errors);
    by_place(&mut errors);
    let format = if screen.is_json() { ErrorFormat::Json } else { format };
    match format {
        ErrorFormat::Json => screen.json(&errors)?,
        ErrorFormat::Github => errors.iter().for_each(|error| screen.line(diagnostic::github(error))),
        ErrorFormat::Text => {
            screen.errors(&errors);
            for (name, planned) in &checked.planned {
                screen.line(format!("{name}: {}, {}", write_mode(planned.write), planned.reason));
            }
            let files = project.transforms().len() + project.broken().len();
            screen.note(format!(
                "{} checked, {}",
                count(files as u64, "transform"),
                count(errors.len() as u64, "error")
            ));
        }
    }
    Ok(Verdict::of(!errors.is_empty()))
}

/// A write mode as it stands in a header.
pub(super) fn write_mode(mode: transform::WriteMode) -> &'static str {
    match mode {
        transform::WriteMode::Append => "append",
        transform::WriteMode::Overwrite => "overwrite",
        transform::WriteMode::OverwritePartitions => "overwrite_partitions",
        transform::WriteMode::Merge => "merge",
    }
}
