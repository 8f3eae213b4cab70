//! Test cases of transforms: rows of the tables that a query reads, and the rows that it must give.
//!
//! A case lies in `sql/<database>/<table>.test/<case>/`. Its rows become the objects of an in-memory data folder, in which the
//! transform runs as it runs anywhere else; what it wrote is read back and compared.

mod compare;
mod expect;
mod files;
mod fixture;
mod run;
mod sandbox;
mod survey;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::Catalog;
use crate::check::{check, registered};
use crate::error::{Error, Result};
use crate::project::Project;
use crate::table::{Column, TableName};
use crate::transform::SourceFile;

pub use compare::{Difference, ExpectedAt, RowDifference};
pub use files::cases;

/// The columns of tables whose types need not be told from the rows of a case, partition keys last.
pub type KnownColumns = BTreeMap<TableName, Vec<Column>>;

/// A test case of a transform.
#[derive(Debug)]
pub struct Case {
    /// The transform that it is about.
    pub transform: TableName,
    /// Name of its folder.
    pub name: String,
    /// Path of its folder, as the user knows it.
    pub folder: String,
    content: Content,
}

/// What a case's folder holds.
#[derive(Debug)]
enum Content {
    /// All that it needs.
    Whole {
        /// Rows, by table.
        rows: BTreeMap<TableName, SourceFile>,
        expectation: Expectation,
    },
    /// Something that is no case.
    Wrong(Vec<Error>),
    /// The transform itself has errors.
    Untestable,
}

/// What must come of a case.
#[derive(Debug)]
enum Expectation {
    /// The rows of this file, in any order.
    Rows(SourceFile),
    /// An error.
    Refusal(expect::Refusal),
}

/// A case that was run.
#[derive(Debug, Serialize)]
pub struct Tested {
    /// The transform.
    pub transform: TableName,
    /// Name of the case.
    #[serde(rename = "case")]
    pub name: String,
    /// Path of its folder, as the user knows it.
    pub folder: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: CaseOutcome,
}

/// What came of a case.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CaseOutcome {
    /// What was expected.
    Passed,
    /// Other rows.
    Differs {
        /// Which.
        difference: Difference,
    },
    /// An error that was not expected, or none where one was.
    Failed {
        /// What is wrong; at least one.
        errors: Vec<Error>,
    },
    /// Nothing was run, because the file of the transform has errors.
    NotRun,
}

/// The columns of the tables that a project reads: of a transform's table as it will be, of others as the catalog has them.
///
/// # Errors
/// Those of the catalog.
pub async fn known_columns(catalog: &dyn Catalog, project: &Project) -> Result<KnownColumns> {
    let registered = registered(catalog, project).await?;
    let checked = check(catalog, &registered, project).await?;
    let mut known = KnownColumns::new();
    for input in project.transforms().iter().flat_map(|transform| &transform.inputs) {
        if known.contains_key(&input.name) {
            continue;
        }
        if let Some(planned) = checked.planned.get(&input.name) {
            known.insert(input.name.clone(), [planned.columns.as_slice(), &planned.partition_keys].concat());
        } else if let Some(table) = registered.get(&input.name) {
            known.insert(input.name.clone(), [table.columns.as_slice(), &table.partition_keys].concat());
        }
    }
    Ok(known)
}
