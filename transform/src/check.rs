//! Checks a project against the catalog: every query is planned in dependency order, no data is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt, stream};

use crate::catalog::Catalog;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::plan::{Planned, plan, query_start};
use crate::project::Project;
use crate::registration::{OWNER, register};
use crate::settings::WriteMode;
use crate::source::{fields, table_schema};
use crate::table::{Table, TableName};
use crate::transform::Transform;

/// Requests at a time.
const TABLES_AT_ONCE: usize = 16;

/// A project's transforms, checked.
#[derive(Debug, Default)]
pub struct Checked {
    /// Those without errors, by target.
    pub planned: BTreeMap<TableName, Planned>,
    /// All errors, by file and position.
    pub errors: Vec<Error>,
    /// Those among `planned` whose rows no longer fit the table that is there: only a full refresh can run them.
    pub misfits: BTreeMap<TableName, Error>,
    /// The tables that no transform makes, as the queries were planned over them.
    pub(crate) sources: Registered,
    /// The tables that transforms have made, as they were before.
    pub(crate) targets: Registered,
}

impl Checked {
    /// Counts what only a full refresh can run as errors.
    #[must_use]
    pub fn without_full_refresh(mut self) -> Self {
        for (target, error) in std::mem::take(&mut self.misfits) {
            self.planned.remove(&target);
            self.errors.push(error);
        }
        self.errors.sort_by(|a, b| a.at.cmp(&b.at));
        self
    }
}

/// The tables that a project reads or writes, as the catalog has them; those that it does not have are left out.
pub(crate) type Registered = BTreeMap<TableName, Table>;

/// Asks the catalog for the tables of a project, once for each.
///
/// # Errors
/// Those of the catalog.
pub(crate) async fn registered(catalog: &dyn Catalog, project: &Project) -> Result<Registered> {
    let transforms = || project.transforms().iter().chain(project.unsound());
    let inputs = transforms().flat_map(|transform| &transform.inputs).map(|input| &input.name);
    let names: BTreeSet<&TableName> = inputs.chain(transforms().map(|transform| &transform.target)).collect();
    stream::iter(names)
        .map(|name| async move { Ok(catalog.table(name).await?.map(|table| (name.clone(), table))) })
        .buffer_unordered(TABLES_AT_ONCE)
        .try_filter_map(|table| async move { Ok(table) })
        .try_collect()
        .await
}

/// Plans every transform over the catalog's tables and over what the transforms before it produce.
///
/// # Errors
/// Only those of the catalog itself; what is wrong with the project is in the result.
pub(crate) async fn check(catalog: &dyn Catalog, registered: &Registered, project: &Project) -> Result<Checked> {
    let mut known: BTreeMap<TableName, SchemaRef> = BTreeMap::new();
    // Of all tables, for suggestions: listed only where a table is missing.
    let mut names: Option<Vec<TableName>> = None;
    let is_source = |table: &Table| project.transform(&table.name).is_none() && !table.parameters.contains_key(OWNER);
    let (sources, targets) =
        registered.iter().map(|(name, table)| (name.clone(), table.clone())).partition(|(_, table)| is_source(table));
    let mut checked = Checked { sources, targets, ..Checked::default() };
    let mut unplanned: BTreeSet<TableName> = project.broken().clone();
    // What is wrong with the query of a file is told together with what is wrong with its header.
    for transform in project.transforms().iter().chain(project.unsound()) {
        for input in &transform.inputs {
            // What a transform of this project produces counts as it will be, not as an earlier version left it.
            if known.contains_key(&input.name) || project.transform(&input.name).is_some() {
                continue;
            }
            if let Some(table) = registered.get(&input.name) {
                known.insert(input.name.clone(), table_schema(table));
            }
        }
        if transform.inputs.iter().any(|input| unplanned.contains(&input.name)) {
            // Its errors would only follow from those of the table it reads.
            unplanned.insert(transform.target.clone());
            continue;
        }
        if names.is_none() && transform.inputs.iter().any(|input| !known.contains_key(&input.name)) {
            let mut listed = match catalog.tables().await {
                // Who may not list them can still be told what is missing.
                Err(error) if error.code == Code::PermissionDenied => Vec::new(),
                listed => listed?,
            };
            listed.extend(project.transforms().iter().map(|transform| transform.target.clone()));
            names = Some(listed);
        }
        let is_sound = !project.broken().contains(&transform.target);
        let outcome = plan(transform, &|name| known.get(name).cloned(), names.as_deref().unwrap_or_default())
            .and_then(|planned| after_rebuilds(transform, planned, &checked.planned));
        let misfit = match &outcome {
            Ok(planned) => misfit(registered.get(&transform.target).cloned(), transform, planned),
            Err(_) => None,
        };
        let (outcome, misfit) = match misfit {
            Some(error) if error.code != Code::SchemaChanged => (Err(vec![error]), None),
            other => (outcome, other),
        };
        checked.misfits.extend(misfit.filter(|_| is_sound).map(|error| (transform.target.clone(), error)));
        match outcome {
            Ok(_) if !is_sound => {}
            Ok(planned) => {
                known.insert(transform.target.clone(), schema_of(&planned));
                checked.planned.insert(transform.target.clone(), planned);
            }
            Err(errors) => {
                unplanned.insert(transform.target.clone());
                checked.errors.extend(errors.into_iter().map(|error| error.in_transform(&transform.target)));
            }
        }
    }
    checked.errors.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(checked)
}

fn schema_of(planned: &Planned) -> SchemaRef {
    Arc::new(Schema::new(fields(planned.columns.iter().chain(&planned.partition_keys))))
}

/// Why a run could not write into the table that the catalog has.
fn misfit(existing: Option<Table>, transform: &Transform, planned: &Planned) -> Option<Error> {
    let registered =
        register(existing, transform, &planned.columns, &planned.partition_keys, planned.write, String::new());
    let error = registered.err()?;
    let at = error.at.clone().or_else(|| query_start(transform));
    Some(error.maybe_at(at).in_transform(&transform.target))
}

/// A table that is rebuilt has all its rows in new objects each time: appending them would double what is there.
fn after_rebuilds(
    transform: &Transform,
    planned: Planned,
    earlier: &BTreeMap<TableName, Planned>,
) -> Result<Planned, Vec<Error>> {
    let rebuilt = transform
        .inputs
        .iter()
        .find(|input| transform.driving.as_ref() == Some(&input.name))
        .filter(|input| earlier.get(&input.name).is_some_and(|upstream| upstream.write == WriteMode::Overwrite));
    let (WriteMode::Append, Some(driving)) = (planned.write, rebuilt) else {
        return Ok(planned);
    };
    let reason = format!("`{}` is rebuilt by its own transform, so that its rows arrive anew each time", driving.name);
    if transform.settings.write.is_none() {
        return Ok(Planned { write: WriteMode::Overwrite, reason, ..planned });
    }
    Err(vec![
        Error::new(Code::NotIncremental, reason)
            .at(driving.at.clone())
            .help("use `@write: overwrite`, or make that one append"),
    ])
}
