//! Cases through the engine, and each step by itself.

mod files;
mod rows;
mod survey;

use super::*;
use crate::code::Code;
use crate::hive::HiveType;

/// Rows of the table `raw.t` that most cases read.
const ROWS: &str = "id,name,price\n1,a,1.5\n2,,2\n";

/// A project of one transform, `sales.t`, with the files of its case `c`.
fn project(sql: &str, files: &[(&str, &str)]) -> (Project, Vec<Case>, Vec<Error>) {
    let (project, errors) = Project::parse(vec![("sql/sales/t.sql".to_owned(), sql.as_bytes().to_vec())]);
    assert!(errors.is_empty(), "{errors:?}");
    let in_case = |(name, text): &(&str, &str)| (format!("sql/sales/t.test/c/{name}"), text.as_bytes().to_vec());
    let (cases, errors) = cases(&project, files.iter().map(in_case).collect());
    (project, cases, errors)
}

/// What comes of the case.
async fn tested(sql: &str, files: &[(&str, &str)], known: &KnownColumns) -> CaseOutcome {
    let (project, mut cases, errors) = project(sql, files);
    assert!(errors.is_empty() && cases.len() == 1, "{cases:?} {errors:?}");
    cases.remove(0).run(&project, known, std::env::temp_dir()).await.outcome
}

/// `ok`, the rows that differ, or the errors with their places.
fn told(outcome: &CaseOutcome) -> Vec<String> {
    let row = |values: &Option<Vec<Option<String>>>| {
        let cells = values.iter().flatten().map(|value| value.clone().unwrap_or("NULL".to_owned()));
        cells.collect::<Vec<_>>().join("|")
    };
    match outcome {
        CaseOutcome::Passed => vec!["ok".to_owned()],
        CaseOutcome::Differs { difference } => difference
            .rows
            .iter()
            .map(|rows| {
                let line = rows.at.as_ref().map_or(String::new(), |at| format!("{}: ", at.line));
                format!("{line}{} / {}", row(&rows.expected), row(&rows.found))
            })
            .collect(),
        CaseOutcome::Failed { errors } => errors.iter().map(place).collect(),
        CaseOutcome::NotRun => vec!["not run".to_owned()],
    }
}

/// Code, file without its folder, line and column.
fn place(error: &Error) -> String {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let place = match (&error.at, &error.object) {
        (Some(at), _) => format!("{}:{}:{}", name(&at.file), at.line, at.column),
        (None, Some(object)) => name(&object.object),
        (None, None) => "nowhere".to_owned(),
    };
    assert!(error.help.is_some(), "{error} does not say what to do");
    format!("{} {place}", error.code)
}

fn column(name: &str, hive_type: &str) -> Column {
    Column { name: name.to_owned(), hive_type: hive_type.parse::<HiveType>().unwrap(), comment: None }
}

fn known(columns: &[(&str, &str)]) -> KnownColumns {
    let columns = columns.iter().map(|(name, hive_type)| column(name, hive_type)).collect();
    [(TableName::new("raw", "t").unwrap(), columns)].into()
}
