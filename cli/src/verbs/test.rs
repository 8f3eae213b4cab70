//! `unglue test`

use handlers::project::folder;
use std::collections::BTreeSet;

use handlers::words::count;
use serde_json::json;
use transform::{Case, CaseOutcome, Code, KnownColumns, Project, Result, Tested, cases, known_columns};

use super::{Verdict, named};
use crate::args::{Args, DEFAULT_DATA};
use crate::screen::Screen;
use crate::{diagnostic, difference, edge};

/// Runs the test cases of the named transforms on their own rows; nothing of the data folder is read but its catalog.
pub(super) async fn test(args: &Args, names: &[String], screen: &mut Screen) -> Result<Verdict> {
    let (project, mut errors) = folder::read(&args.project)?;
    let (mut cases, misplaced) = cases(&project, folder::tests(&args.project)?);
    if names.is_empty() {
        errors.extend(misplaced);
    } else {
        let chosen = named(&project, names)?;
        cases.retain(|case| chosen.contains(&case.transform));
        let chosen: BTreeSet<String> = chosen.iter().map(ToString::to_string).collect();
        errors.retain(|error| error.transform.as_ref().is_some_and(|transform| chosen.contains(transform)));
    }
    screen.errors(&errors);
    if cases.is_empty() && errors.is_empty() {
        screen.note(how_to_write_one(&project, names));
    }

    let known = known(args, &project).await?;
    let temp = edge::temp(args)?;
    let mut tested = Vec::with_capacity(cases.len());
    // The same error of a query comes with each of its cases, and is told once.
    let mut told = BTreeSet::new();
    for case in cases {
        let done = run(case, &project, &known, temp.clone()).await;
        report(&done, &mut told, screen);
        tested.push(done);
    }

    let passed = tested.iter().filter(|case| matches!(case.outcome, CaseOutcome::Passed)).count();
    let failed = tested.len() - passed;
    if screen.is_json() {
        screen.json(&json!({"cases": tested, "errors": errors, "passed": passed, "failed": failed}))?;
    } else if !tested.is_empty() {
        screen.line(format!("{}: {passed} ok, {failed} failed", count(tested.len() as u64, "test")));
    }
    Ok(Verdict::of(failed > 0 || !errors.is_empty()))
}

/// What the catalog tells of the tables that the project reads. A project may be tested before it has a data folder.
async fn known(args: &Args, project: &Project) -> Result<KnownColumns> {
    match edge::engine(args).await {
        Ok(engine) => known_columns(engine.catalog(), project).await,
        Err(error) if error.code == Code::NotFound && args.data == DEFAULT_DATA => Ok(KnownColumns::new()),
        Err(error) => Err(error),
    }
}

async fn run(case: Case, project: &Project, known: &KnownColumns, temp: std::path::PathBuf) -> Tested {
    Box::pin(case.run(project, known, temp)).await
}

/// One line for a case, and what is wrong with it.
fn report(tested: &Tested, told: &mut BTreeSet<String>, screen: &mut Screen) {
    let name = format!("{}/{}", tested.transform, tested.name);
    let lines = match &tested.outcome {
        CaseOutcome::Passed => vec![format!("ok   {name}")],
        CaseOutcome::Differs { difference } => {
            let mut lines = vec![format!("FAIL {name}: {}", difference::summary(difference))];
            lines.extend(difference::lines(difference));
            lines
        }
        CaseOutcome::Failed { errors } => {
            let codes: Vec<&str> = errors.iter().map(|error| error.code.as_str()).collect();
            vec![format!("FAIL {name}: {}", codes.join(", "))]
        }
        CaseOutcome::NotRun => vec![format!("FAIL {name}: not run, because the SQL file has errors")],
    };
    if !screen.is_json() {
        lines.iter().for_each(|line| screen.line(line));
    }
    if let CaseOutcome::Failed { errors } = &tested.outcome {
        let new = errors.iter().filter(|error| told.insert(diagnostic::render(error, false)));
        screen.errors(new);
    }
}

fn how_to_write_one(project: &Project, names: &[String]) -> String {
    let wanted = names.first().and_then(|name| project.find(name).ok()).or(project.transforms().first());
    let Some(transform) = wanted else { return "no test found".to_owned() };
    let folder = format!("sql/{}/{}.test/<case>/", transform.target.database, transform.target.table);
    let mut lines = vec![format!("no test found; to write one, put into a folder `{folder}`")];
    for input in &transform.inputs {
        let name = format!("{}.csv", input.name);
        lines.push(format!("    {name:<24} rows of the table"));
    }
    lines.push(format!("    {:<24} the rows that the query must give", "expect.csv"));
    lines.join("\n")
}
