//! `unglue deploy-sql`

use handlers::project::{deploy, folder};
use handlers::words::count;
use transform::{Code, Error, Project, Result};

use super::{Verdict, by_place};
use crate::args::Args;
use crate::edge;
use crate::screen::Screen;

/// Checks the project, uploads it, and switches the functions to it. Nothing is uploaded if it has errors.
pub(super) async fn deploy_sql(args: &Args, to: &str, screen: &mut Screen) -> Result<Verdict> {
    let files = folder::files(&args.project)?;
    let (project, mut errors) = Project::parse(files.clone());
    let checked = edge::engine(args).await?.check(&project).await?;
    // A table that has not arrived yet is no mistake: a project is deployed before its first objects come.
    let (missing, wrong): (Vec<Error>, Vec<Error>) =
        checked.errors.into_iter().partition(|error| error.code == Code::UnknownTable);
    errors.extend(wrong);
    by_place(&mut errors);
    screen.errors(&errors);
    missing.iter().for_each(|error| screen.note(format!("note: {} (it may arrive yet)", error.message)));
    if !errors.is_empty() {
        screen.note("nothing was deployed");
        return Ok(Verdict::Findings);
    }
    let (store, place) = edge::place("--to", to).await?;
    let transforms = project.transforms().len() as u64;
    let deployed = deploy(store.as_ref(), &place, files, edge::stamp().at).await?;
    if screen.is_json() {
        screen.json(&deployed)?;
    } else {
        screen.line(format!("{} deployed to s3://{place}, as {}", count(transforms, "transform"), deployed.project));
    }
    Ok(Verdict::Clean)
}
