//! The verbs: one file each.

mod catalog;
mod check;
mod deploy_sql;
mod doctor;
mod explain;
mod gc;
mod history;
mod init;
mod invoke;
mod plan;
mod remote;
mod run;
mod test;

use std::collections::BTreeSet;

use transform::{Error, Project, Result, TableName};

use crate::args::{Args, Verb};
use crate::screen::Screen;

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As wished.
    Clean,
    /// There are findings, or runs that failed.
    Findings,
}

impl Verdict {
    fn of(findings: bool) -> Self {
        if findings { Self::Findings } else { Self::Clean }
    }
}

/// Runs the verb of the arguments.
pub(crate) async fn dispatch(args: &Args, screen: &mut Screen) -> Result<Verdict> {
    match &args.verb {
        Verb::Init => init::init(args, screen),
        Verb::Catalog { action } => catalog::catalog(args, action.as_ref(), screen).await,
        Verb::Check { format } => check::check(args, *format, screen).await,
        Verb::Plan { names, arrival } => plan::plan(args, names, arrival, screen).await,
        Verb::Run { names, full_refresh, remote: Some(function) } => {
            remote::run(function, names, *full_refresh, screen).await
        }
        Verb::Run { names, full_refresh, remote: None } => run::run(args, names, *full_refresh, screen).await,
        Verb::Test { names } => test::test(args, names, screen).await,
        Verb::History { names, limit, run } => history::history(args, names, *limit, run.as_deref(), screen).await,
        Verb::Doctor { names, repair } => doctor::doctor(args, names, *repair, screen).await,
        Verb::Gc { names, older_than, dry_run } => gc::gc(args, names, *older_than, *dry_run, screen).await,
        Verb::DeploySql { to } => deploy_sql::deploy_sql(args, to, screen).await,
        Verb::Invoke { function, event } => invoke::invoke(*function, event, screen).await,
        Verb::Explain { code } => explain::explain(code.as_deref(), screen),
    }
}

/// Sorts errors by file and position.
fn by_place(errors: &mut [Error]) {
    errors.sort_by(|a, b| a.at.cmp(&b.at));
}

/// The targets of the named transforms, also of those whose files have errors.
fn named(project: &Project, names: &[String]) -> Result<BTreeSet<TableName>> {
    let broken = |name: &str| {
        let wanted = name.to_lowercase();
        project.broken().iter().find(|broken| broken.to_string() == wanted || broken.table == wanted).cloned()
    };
    let target = |name: &String| match project.find(name) {
        Ok(transform) => Ok(transform.target.clone()),
        Err(error) => broken(name).ok_or(error),
    };
    names.iter().map(target).collect()
}

/// The targets of the named transforms; all of them without names.
fn chosen(project: &Project, names: &[String]) -> Result<BTreeSet<TableName>> {
    if names.is_empty() {
        return Ok(project.transforms().iter().map(|transform| transform.target.clone()).collect());
    }
    names.iter().map(|name| Ok(project.find(name)?.target.clone())).collect()
}
