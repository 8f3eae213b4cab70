//! A data folder in memory, in which the engine does what it always does.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use chrono::{DateTime, Utc};
use datafusion::datasource::provider_as_source;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::collect;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::survey::whole_line;
use super::{KnownColumns, fixture};
use crate::catalog::{Catalog, EmbeddedCatalog};
use crate::code::Code;
use crate::engine::{Asked, Engine, Stamp};
use crate::error::{Error, Result};
use crate::failure::of_execution;
use crate::inputs::Input;
use crate::panic::unpanicked;
use crate::project::Project;
use crate::runtime::{Limits, Runtime};
use crate::session;
use crate::source::{SourceTable, table_schema};
use crate::store::{Bucket, DataRoot, storage};
use crate::table::{Column, TableName};
use crate::transform::{SourceFile, Transform};

/// `now()` of every case, in seconds since 1970: 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600;
/// Name of the one object of a table.
const OBJECT: &str = "rows";

/// A data folder in memory with a project of one transform.
pub(super) struct Sandbox {
    root: DataRoot,
    catalog: Arc<EmbeddedCatalog>,
    project: Project,
    rows: BTreeMap<TableName, SourceFile>,
    limits: Limits,
}

impl Sandbox {
    pub(super) fn new(transform: &Transform, rows: BTreeMap<TableName, SourceFile>, limits: Limits) -> Self {
        let store = Arc::new(InMemory::new());
        let multipart = Some(Arc::clone(&store) as _);
        let root = DataRoot::new(Bucket { base: "memory://test/".to_owned(), store, multipart }, Path::default());
        let mut transform = transform.clone();
        // The table is written where the case can find it.
        transform.settings.location = None;
        let catalog = Arc::new(EmbeddedCatalog::new(root.clone()));
        Self { root, catalog, project: Project::of(transform), rows, limits }
    }

    pub(super) fn root(&self) -> &DataRoot {
        &self.root
    }

    pub(super) fn transform(&self) -> Result<&Transform> {
        self.project.transforms().first().ok_or_else(|| Error::new(Code::Internal, "a case without a transform"))
    }

    /// Puts the tables that the query reads into the catalog, and their rows beside it.
    pub(super) async fn put_tables(&self, known: &KnownColumns, folder: &str) -> Result<(), Vec<Error>> {
        let mut errors = Vec::new();
        for input in &self.transform().map_err(|error| vec![error])?.inputs {
            let file = self.rows.get(&input.name);
            let location = self.root.table_location(&input.name);
            let put = async {
                let table = fixture::table(input, file, known, folder, location)?;
                if let Some(file) = file {
                    self.put(&format!("{}{OBJECT}", table.location), file).await?;
                }
                self.catalog.put_table(&table).await
            };
            errors.extend(put.await.err());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    async fn put(&self, url: &str, file: &SourceFile) -> Result<Path> {
        let path = self.root.path_of(url)?;
        let put = self.root.store().put(&path, file.text.to_string().into()).await;
        put.map(|_| path).map_err(|error| storage(url, error))
    }

    /// What `unglue run` does. Returns the columns of the result.
    pub(super) async fn run(&self, known: &KnownColumns) -> Result<Vec<Column>, Vec<Error>> {
        let one = |error| vec![error];
        let target = self.transform().map_err(one)?.target.clone();
        let engine = Engine::new(self.root.clone(), Arc::clone(&self.catalog) as _, self.limits.clone());
        let checked = engine.check(&self.project).await.map_err(one)?;
        let Some(planned) = checked.planned.get(&target) else {
            return Err(checked.errors.into_iter().map(|error| self.of_columns(error, known)).collect());
        };
        let stamp = Stamp { at: now(), seed: "test".to_owned() };
        let names = [target].into();
        let outcomes = Box::pin(engine.run(&self.project, &checked, &names, &Asked::Due, &stamp, &|_| {})).await;
        let runs = outcomes.into_iter().flat_map(|outcome| outcome.runs);
        let errors: Vec<Error> = runs.filter_map(Result::err).map(|error| self.in_file(error)).collect();
        if errors.is_empty() { Ok([planned.columns.as_slice(), &planned.partition_keys].concat()) } else { Err(errors) }
    }

    /// A column may be unknown only because the rows of the case lack it.
    fn of_columns(&self, error: Error, known: &KnownColumns) -> Error {
        let told: Vec<String> =
            self.rows.keys().filter(|name| !known.contains_key(name)).map(|name| format!("`{name}`")).collect();
        if error.code != Code::UnknownColumn || told.is_empty() {
            return error;
        }
        let hint = format!("the columns of {} are those of the test's own rows", told.join(" and "));
        let help = error.help.as_ref().map_or_else(|| hint.clone(), |help| format!("{help}; {hint}"));
        error.help(help)
    }

    /// An error about an object of the case at its line of the user's file.
    fn in_file(&self, mut error: Error) -> Error {
        let Some(place) = &error.object else { return error };
        let object = place.object.strip_prefix(&self.root.bucket().base).unwrap_or(&place.object);
        let of_table = |name: &TableName| format!("{}/{}/{OBJECT}", name.database, name.table);
        let Some((_, file)) = self.rows.iter().find(|(name, _)| of_table(name) == object) else { return error };
        let line = place.line.and_then(|line| usize::try_from(line).ok());
        error.object = None;
        of_file(error, file, line)
    }

    /// Where the result lies; `None` if no run has made a table.
    pub(super) async fn result(&self) -> Result<Option<Input>> {
        let target = &self.transform()?.target;
        match self.catalog.table(target).await? {
            Some(table) => Input::list(&self.root, self.catalog.as_ref(), table, &[], None).await.map(Some),
            None => Ok(None),
        }
    }

    /// Puts expected rows where no table of a query lies.
    pub(super) async fn put_expected(&self, file: &SourceFile) -> Result<ObjectMeta> {
        let url = format!("{}_expected", self.root.bucket().base);
        let path = self.put(&url, file).await?;
        self.root.store().head(&path).await.map_err(|error| storage(&url, error))
    }

    /// All rows of a table, its columns first.
    pub(super) async fn read(&self, input: Input) -> Result<RecordBatch> {
        let schema = table_schema(&input.table);
        let runtime = Runtime::new(&self.limits)?;
        let url = ObjectStoreUrl::parse("unglue://inputs").map_err(of_execution)?;
        runtime.env.register_object_store(url.as_ref(), Arc::clone(self.root.store()) as Arc<dyn ObjectStore>);
        let state = session::executor(Arc::clone(&runtime.env), &self.limits, now(), session::Joins::Hashed);
        let source = provider_as_source(Arc::new(SourceTable::new(input, url)));
        let read = async {
            let plan = LogicalPlanBuilder::scan("result", source, None)?.build()?;
            let physical = state.create_physical_plan(&plan).await?;
            let batches = collect(physical, state.task_ctx()).await?;
            Ok(concat_batches(&schema, &batches)?)
        };
        unpanicked(async { read.await.map_err(of_execution) }).await
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap_or_default()
}

/// An error about a file of the case, at its line.
pub(super) fn of_file(error: Error, file: &SourceFile, line: Option<usize>) -> Error {
    let error = error.help("correct the file of the test");
    match line {
        Some(line) => error.at(whole_line(file, line)),
        None => error.in_object(&file.path, None),
    }
}
