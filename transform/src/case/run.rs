//! Runs a case, and compares what came with what is expected.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::compare::{Difference, ExpectedAt, compare};
use super::sandbox::{Sandbox, of_file};
use super::survey::{Survey, survey};
use super::{Case, CaseOutcome, Content, Expectation, KnownColumns, Tested, expect};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::inputs::{Input, InputObject};
use crate::project::Project;
use crate::runtime::Limits;
use crate::source::fields;
use crate::table::{Column, Table, TableName};
use crate::transform::SourceFile;

/// Memory of a case's query: its rows are few.
const MEMORY: usize = 256 << 20;

impl Case {
    /// Runs the case. `known` are columns whose types need not be told from its rows; `temp` is a folder for what does not fit
    /// into memory.
    pub async fn run(self, project: &Project, known: &KnownColumns, temp: PathBuf) -> Tested {
        let Self { transform: name, name: case, folder, content } = self;
        let outcome = match (content, project.transform(&name)) {
            (Content::Wrong(errors), _) => CaseOutcome::Failed { errors: placed(errors, &name, &folder) },
            (Content::Whole { rows, expectation }, Some(transform)) => {
                // One core, so that a case comes out the same on any machine.
                let limits = Limits { memory: MEMORY, temp, cores: 1 };
                let sandbox = Sandbox::new(transform, rows, limits);
                match Box::pin(test(&sandbox, known, &folder, &expectation)).await {
                    Ok(None) => CaseOutcome::Passed,
                    Ok(Some(difference)) => CaseOutcome::Differs { difference },
                    Err(errors) => CaseOutcome::Failed { errors: placed(errors, &name, &folder) },
                }
            }
            (Content::Untestable, _) | (_, None) => CaseOutcome::NotRun,
        };
        Tested { transform: name, name: case, folder, outcome }
    }
}

/// The errors with the transform's name, and with the case's folder where they have no place.
fn placed(errors: Vec<Error>, transform: &TableName, folder: &str) -> Vec<Error> {
    let place = |error: Error| match (&error.at, &error.object) {
        (None, None) => error.in_transform(transform).in_object(folder, None),
        _ => error.in_transform(transform),
    };
    errors.into_iter().map(place).collect()
}

/// What differs from what is expected; `None` if nothing does.
async fn test(
    sandbox: &Sandbox,
    known: &KnownColumns,
    folder: &str,
    expectation: &Expectation,
) -> Result<Option<Difference>, Vec<Error>> {
    sandbox.put_tables(known, folder).await?;
    let ran = sandbox.run(known).await;
    match (expectation, ran) {
        (Expectation::Rows(file), Ok(columns)) => {
            difference(sandbox, file, &columns).await.map_err(|error| vec![error])
        }
        (Expectation::Rows(_), Err(errors)) => Err(errors),
        (Expectation::Refusal(refusal), Err(errors)) if refusal.is_met(&errors) => Ok(None),
        (Expectation::Refusal(refusal), Err(mut errors)) => {
            errors.insert(0, refusal.unmet("another came"));
            Err(errors)
        }
        (Expectation::Refusal(refusal), Ok(_)) => Err(vec![refusal.unmet("the query gave rows")]),
    }
}

/// How the rows of the result differ from those of a file, which may name some of its columns only.
async fn difference(sandbox: &Sandbox, file: &SourceFile, result: &[Column]) -> Result<Option<Difference>> {
    let target = &sandbox.transform()?.target;
    let survey = survey(file)?;
    let columns = expect::columns(file, &survey, target, result)?;
    let expected = expected(sandbox, file, &survey, &columns).await?;
    // A run without objects to process makes no table.
    let found = match sandbox.result().await? {
        Some(input) => sandbox.read(input).await?,
        None => RecordBatch::new_empty(Arc::new(Schema::new(fields(result)))),
    };
    let indices: Vec<usize> = columns.iter().filter_map(|column| found.schema().index_of(&column.name).ok()).collect();
    let found = found.project(&indices).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let place = |line| ExpectedAt { file: file.path.clone(), line };
    let places: Vec<ExpectedAt> = survey.records.iter().map(|record| place(record.line)).collect();
    Ok(compare(&expected, &found, &places))
}

/// The rows of a file, read as the rows of a table are.
async fn expected(sandbox: &Sandbox, file: &SourceFile, survey: &Survey, columns: &[Column]) -> Result<RecordBatch> {
    if survey.records.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::new(Schema::new(fields(columns)))));
    }
    let meta = sandbox.put_expected(file).await?;
    let table = Table {
        name: sandbox.transform()?.target.clone(),
        columns: columns.to_vec(),
        partition_keys: Vec::new(),
        format: survey.format.clone(),
        location: String::new(),
        description: None,
        parameters: BTreeMap::new(),
        version: None,
    };
    let objects = vec![InputObject::alone(sandbox.root(), meta, Arc::default())];
    let read = sandbox.read(Input { table: Arc::new(table), objects }).await.map_err(|error| {
        let line = error.object.as_ref().and_then(|place| place.line).and_then(|line| usize::try_from(line).ok());
        of_file(Error { object: None, ..error }, file, line)
    })?;
    if read.num_rows() != survey.records.len() {
        let error = Error::new(Code::Internal, "expected rows were not read as they are written");
        return Err(error.in_object(&file.path, None));
    }
    Ok(read)
}
