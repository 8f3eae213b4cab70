//! Checks a transform against the catalog: its query, its columns, its settings, and how it may be written.

mod asserts;
mod check;
mod limits;
mod mode;
mod output;
mod tables;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::logical_plan::builder::LogicalTableSource;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableSource};
use datafusion::sql::sqlparser::ast::Query;

use crate::code::Code;
use crate::diagnose::text::Text;
use crate::diagnose::{self, Subject};
use crate::error::{Error, Location};
use crate::nearest::nearest;
use crate::session;
use crate::settings::WriteMode;
use crate::table::{Column, TableName};
use crate::transform::{Input, Transform};
use check::{Check, Checked, check, check_to_run};
pub use tables::SourceOf;
pub(crate) use tables::table_name;

/// A transform that has been found sound.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The query, not optimised; its columns bear their final, lower-case names in the order of the SELECT.
    /// Its tables are schemas only: to run the query, plan it with [`plan_with`].
    pub plan: LogicalPlan,
    /// The columns that go into the files, in the order of the SELECT.
    pub columns: Vec<Column>,
    /// The partition columns, in the order of `@partition`.
    pub partition_keys: Vec<Column>,
    /// How a run changes the target: as `@write` says, or else as the query allows.
    pub write: WriteMode,
    /// Why, for people.
    pub reason: String,
    /// The clause that the reason is about, where there is one.
    pub reason_at: Option<Location>,
    /// The conditions of `@assert` as written and as boolean expressions over the result's columns, unqualified.
    pub asserts: Vec<(String, Expr)>,
    /// The condition of `@delete_when` as a boolean expression over the result's columns, unqualified.
    pub delete_when: Option<Expr>,
}

/// Checks a transform without reading data.
///
/// `schema_of` tells the columns of the tables that exist; `known` are their names, for suggestions.
///
/// # Errors
/// All that is wrong, in the order of the file. DataFusion's planner stops at the first mistakes of the query; what depends on
/// its result is then not checked.
pub fn plan(
    transform: &Transform,
    schema_of: &dyn Fn(&TableName) -> Option<SchemaRef>,
    known: &[TableName],
) -> Result<Planned, Vec<Error>> {
    let mut errors: Vec<Error> = transform
        .inputs
        .iter()
        .filter(|input| schema_of(&input.name).is_none())
        .map(|input| unknown_table(input, &transform.target, known))
        .collect();
    if errors.is_empty() {
        match plan_known(transform, schema_of) {
            Ok(planned) => return Ok(planned),
            Err(found) => errors = found,
        }
    }
    errors.sort_by_key(|error| error.at.as_ref().map(|at| (at.line, at.column)));
    Err(errors.into_iter().map(|error| error.in_transform(&transform.target)).collect())
}

/// Plans the query of a transform that [`plan`] has found sound over given tables, for a run.
///
/// # Errors
/// What is wrong with the query, at its place.
pub fn plan_with(
    transform: &Transform,
    state: &SessionState,
    source_of: &SourceOf<'_>,
) -> Result<LogicalPlan, Vec<Error>> {
    checked(transform, &Text::of_file(&transform.file), state, source_of, check)
        .and_then(|checked| final_names(checked.plan))
}

fn plan_known(
    transform: &Transform,
    schema_of: &dyn Fn(&TableName) -> Option<SchemaRef>,
) -> Result<Planned, Vec<Error>> {
    let state = session::planner().state();
    let text = Text::of_file(&transform.file);
    let source_of: &SourceOf<'_> = &|name| {
        let schema = schema_of(name)?;
        Some(Arc::new(LogicalTableSource::new(schema)) as Arc<dyn TableSource>)
    };
    let checked = checked(transform, &text, &state, source_of, check_to_run)?;
    let (columns, mut errors) = output::columns(checked.typed.schema(), &transform.query, &text, &transform.comments);
    let mut asserts = Vec::new();
    let mut delete_when = None;
    if errors.is_empty() {
        errors.extend(output::settings(&transform.settings, &columns));
        let table = asserts::ResultTable::new(&transform.target, checked.typed.schema());
        for setting in &transform.settings.assert {
            match asserts::condition(setting, &table, &state) {
                Ok(expr) => asserts.push((setting.value.clone(), expr)),
                Err(found) => errors.extend(found),
            }
        }
        if let Some(setting) = &transform.settings.delete_when {
            match asserts::condition(setting, &table, &state) {
                Ok(expr) => delete_when = Some(expr),
                Err(found) => errors.extend(found),
            }
        }
    }
    let mode = mode::write_mode(transform, &checked.plan, &text, &state).map_err(|error| errors.push(error));
    let (Ok(mode), true) = (mode, errors.is_empty()) else { return Err(errors) };
    let key = |name: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).cloned();
    let partition_keys = transform.settings.partition.iter().filter_map(|setting| key(&setting.value)).collect();
    let in_files = columns.iter().filter(|column| !output::is_partition(&transform.settings, &column.name));
    Ok(Planned {
        plan: final_names(checked.plan)?,
        columns: in_files.cloned().collect(),
        partition_keys,
        write: mode.write,
        reason: mode.reason,
        reason_at: mode.at,
        asserts,
        delete_when,
    })
}

/// Checks a transform's query, at some depth.
fn checked(
    transform: &Transform,
    text: &Text<'_>,
    state: &SessionState,
    source_of: &SourceOf<'_>,
    check: Check,
) -> Result<Checked, Vec<Error>> {
    if let Some(error) = limits::too_complex(&transform.query) {
        return Err(vec![error.maybe_at(start(text))]);
    }
    let check_alone = |query: Query| check(query, state, source_of).map(drop);
    let subject = Subject { text, query: &transform.query, state, check: &check_alone };
    check(transform.query.as_ref().clone(), state, source_of).map_err(|error| diagnose::errors(&error, &subject))
}

/// The first word of a transform's query.
pub(crate) fn query_start(transform: &Transform) -> Option<Location> {
    start(&Text::of_file(&transform.file))
}

fn start(text: &Text<'_>) -> Option<Location> {
    text.location(diagnose::text::Extent { first: 0, last: 0 })
}

fn unknown_table(input: &Input, target: &TableName, known: &[TableName]) -> Error {
    let names: Vec<String> = known.iter().filter(|name| *name != target).map(ToString::to_string).collect();
    let error = Error::new(Code::UnknownTable, format!("there is no table `{}`", input.name)).at(input.at.clone());
    match nearest(&input.name.to_string(), names.iter().map(String::as_str)) {
        Some(nearest) => error.help(format!("did you mean `{nearest}`?")),
        None => error.help("`unglue catalog` adds the tables that lie in the data folder"),
    }
}

/// Renames columns that were quoted with capital letters: the catalog knows lower case only.
fn final_names(plan: LogicalPlan) -> Result<LogicalPlan, Vec<Error>> {
    let lower = |name: &String| name.to_lowercase();
    if plan.schema().fields().iter().all(|field| lower(field.name()) == *field.name()) {
        return Ok(plan);
    }
    let columns: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .map(|column| {
            let name = lower(&column.name);
            Expr::Column(column).alias(name)
        })
        .collect();
    let renamed = LogicalPlanBuilder::from(plan).project(columns).and_then(LogicalPlanBuilder::build);
    renamed.map_err(|error: DataFusionError| vec![Error::new(Code::Internal, error.strip_backtrace()).because(error)])
}
