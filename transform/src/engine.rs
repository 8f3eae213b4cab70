//! The engine: the verbs of unglue over a data folder and a catalog.

mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use crate::arrival::digest;
use crate::catalog::Catalog;
use crate::check::{Checked, check, registered};
use crate::code::Code;
use crate::discover::{self, ArrivedIn, Discovery, NewObject, Produced};
use crate::error::{Error, Result};
use crate::estimate::{PlannedRun, plan_run};
use crate::ledger::Ledger;
use crate::placement::{locations, refuse_overlaps};
use crate::project::Project;
use crate::receipt::Receipt;
use crate::run::Runner;
use crate::runtime::Limits;
use crate::store::DataRoot;
use crate::table::TableName;

/// What makes one invocation different from any other: the time, and something unique. Both come from the edge.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Now.
    pub at: DateTime<Utc>,
    /// A text that no other invocation has.
    pub seed: String,
}

impl Stamp {
    /// Identity of the n-th new run of a transform in this invocation: sorts by time.
    pub(crate) fn run_id(&self, target: &TableName, index: usize) -> String {
        let unique = digest(&[&self.seed, &target.to_string(), &index.to_string()]);
        format!("{}-{}", self.at.format("%Y%m%dt%H%M%Sz"), &unique[..12])
    }

    /// Distinguishes this invocation's attempt at a run from others'.
    pub(crate) fn attempt(&self) -> String {
        digest(&["attempt", &self.seed])[..8].to_owned()
    }
}

/// What an invocation is asked to do.
#[derive(Debug, Clone)]
pub enum Asked {
    /// What is due: all that is new, and all that was begun.
    Due,
    /// To rebuild each table from all of its source, also where nothing is new.
    Rebuild,
    /// To process what arrived in some tables. Of a transform that processes new objects only, nothing else is touched: neither
    /// other objects nor runs of other workers. An object that cannot be read is left out of a run with others, which goes through.
    Arrived {
        /// What arrived, by table.
        tables: BTreeMap<TableName, Arrived>,
        /// Whether it is asked for once more: who was at it may have died, so that what was begun is carried on. Otherwise runs of
        /// other workers are left to them.
        again: bool,
    },
}

/// What arrived in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// These objects, by their URLs.
    Objects(BTreeSet<String>),
    /// Whatever is new.
    Anything,
}

/// What happens while transforms run.
#[derive(Debug, Clone)]
pub enum Progress {
    /// A run begins to read.
    Started {
        /// Its transform.
        transform: TableName,
        /// Objects of the run.
        inputs: usize,
        /// Bytes that it may read, lookups included.
        bytes: u64,
        /// Counts the bytes read so far; pruning and projection may leave some unread.
        bytes_read: Arc<AtomicU64>,
    },
    /// A transform is through.
    Finished {
        /// The transform.
        transform: TableName,
    },
}

/// Tells others of a run.
///
/// It is called once readers see what the run wrote, and before the ledger has the run as done: if it fails, or the process dies, the
/// run stays open, is carried on by whoever comes next, and is announced again. So that each run is announced at least once.
pub type Announce = Arc<dyn Fn(Receipt) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// What became of a transform in one invocation.
#[derive(Debug)]
pub struct Outcome {
    /// The transform.
    pub transform: TableName,
    /// Its runs, in order: those that were carried on, then the new one. Empty if there was nothing to do.
    pub runs: Vec<Result<Receipt>>,
    /// The transform with errors or a failed run, because of which it was not run: it reads from it, or from what does.
    pub waits_for: Option<TableName>,
}

/// The verbs over one data folder and catalog.
#[derive(Clone)]
pub struct Engine {
    root: DataRoot,
    catalog: Arc<dyn Catalog>,
    limits: Limits,
    announce: Option<Announce>,
}

impl Engine {
    /// An engine.
    pub fn new(root: DataRoot, catalog: Arc<dyn Catalog>, limits: Limits) -> Self {
        Self { root, catalog, limits, announce: None }
    }

    /// The same, which tells of every run.
    #[must_use]
    pub fn announcing(self, announce: Announce) -> Self {
        Self { announce: Some(announce), ..self }
    }

    /// The catalog.
    pub fn catalog(&self) -> &dyn Catalog {
        self.catalog.as_ref()
    }

    /// What the catalog does not know yet of the data folder; nothing is changed.
    ///
    /// # Errors
    /// Those of storage and catalog.
    pub async fn catalog_diff(&self, project: &Project) -> Result<Discovery> {
        discover::diff(&self.root, self.catalog(), &self.produced(project).await?).await
    }

    /// Brings the catalog up to date with the data folder. Targets of transforms are left alone.
    ///
    /// # Errors
    /// Those of storage and catalog.
    pub async fn discover(&self, project: &Project) -> Result<Discovery> {
        discover::discover(&self.root, self.catalog(), &self.produced(project).await?).await
    }

    /// Brings the catalog up to date with objects that have arrived, by the tables that they are in; `place` is the table in whose
    /// place in the data folder they lie. Of a table that the catalog knows, nothing else is looked at, and the project is not asked
    /// for. An object where the catalog does not have the table is a finding.
    ///
    /// # Errors
    /// Those of storage, catalog and project; [`Code::MisplacedObject`] for an object that is in no table's place.
    pub async fn discover_arrived(
        &self,
        project: impl AsyncFnOnce() -> Result<Arc<Project>>,
        place: Option<&TableName>,
        objects: &[NewObject],
    ) -> Result<Vec<ArrivedIn>> {
        let produced = async || self.produced(&*project().await?).await;
        discover::arrived(&self.root, self.catalog(), place, objects, produced).await
    }

    /// What the project's transforms write: no source.
    async fn produced(&self, project: &Project) -> Result<Produced> {
        let locations = locations(&self.root, self.catalog(), project).await?;
        Ok(Produced::new(targets(project), locations))
    }

    /// Checks every transform against the catalog; no data is read.
    ///
    /// # Errors
    /// Those of the catalog; what is wrong with the project is in the result.
    pub async fn check(&self, project: &Project) -> Result<Checked> {
        let registered = registered(self.catalog(), project).await?;
        let mut checked = check(self.catalog(), &registered, project).await?;
        refuse_overlaps(&self.root, self.catalog(), &registered, project, &mut checked).await?;
        Ok(checked)
    }

    /// What a run would do and why; nothing is changed.
    ///
    /// # Errors
    /// Those of storage, catalog and ledger.
    pub async fn plan(
        &self,
        project: &Project,
        checked: &Checked,
        names: &BTreeSet<TableName>,
    ) -> Result<Vec<PlannedRun>> {
        let mut runs: Vec<PlannedRun> = Vec::new();
        for transform in project.transforms().iter().filter(|transform| names.contains(&transform.target)) {
            let Some(planned) = checked.planned.get(&transform.target) else { continue };
            let upstream: Vec<TableName> = transform
                .inputs
                .iter()
                .map(|input| &input.name)
                .filter(|name| runs.iter().any(|run| run.transform == **name && run.is_due()))
                .cloned()
                .collect();
            let run =
                plan_run(&self.root, self.catalog(), &self.limits, transform, planned, &checked.sources, upstream)
                    .await;
            runs.push(run.map_err(|error| error.in_transform(&transform.target))?);
        }
        Ok(runs)
    }

    /// Runs what is asked of the named transforms, in dependency order. One that reads from a failed one is not run.
    pub async fn run(
        &self,
        project: &Project,
        checked: &Checked,
        names: &BTreeSet<TableName>,
        asked: &Asked,
        stamp: &Stamp,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        // Tables that are not as they should be, with the transform at fault.
        let mut failed: BTreeMap<TableName, TableName> =
            project.broken().iter().map(|name| (name.clone(), name.clone())).collect();
        for transform in project.transforms() {
            let target = transform.target.clone();
            let is_chosen = names.contains(&target);
            if let Some(fault) = transform.inputs.iter().find_map(|input| failed.get(&input.name)).cloned() {
                failed.insert(target.clone(), fault.clone());
                if is_chosen {
                    outcomes.push(Outcome { transform: target, runs: Vec::new(), waits_for: Some(fault) });
                }
                continue;
            }
            let Some(planned) = checked.planned.get(&target) else {
                failed.insert(target.clone(), target);
                continue;
            };
            if !is_chosen {
                continue;
            }
            let runner = Runner {
                root: &self.root,
                catalog: self.catalog(),
                limits: &self.limits,
                announce: self.announce.as_ref(),
                transform,
                planned,
                sources: &checked.sources,
                // What was checked long ago may have changed since.
                known: checked.targets.get(&target).filter(|_| matches!(asked, Asked::Arrived { .. })),
                asked,
                stamp,
                progress,
                ledger: Ledger::new(self.root.clone(), &target),
                unreadable: Mutex::default(),
            };
            let runs = runner.run().await;
            if runs.iter().any(Result::is_err) {
                failed.insert(target.clone(), target.clone());
            }
            progress(Progress::Finished { transform: target.clone() });
            outcomes.push(Outcome { transform: target, runs, waits_for: None });
        }
        outcomes
    }

    /// The table that an object belongs to, by its place in the data folder.
    ///
    /// # Errors
    /// [`Code::MisplacedObject`] for an object that is in no table's folder.
    pub fn table_of(&self, object: &str) -> Result<TableName> {
        let inside = self.root.relative(object).unwrap_or(object);
        match inside.split('/').collect::<Vec<_>>()[..] {
            [database, table, _, ..] => TableName::new(database, table),
            _ => Err(Error::new(Code::MisplacedObject, format!("`{object}` is in no table's folder"))
                .help("name an object as a URL, or as `database/table/...` below the data folder")),
        }
    }
}

fn targets(project: &Project) -> BTreeSet<TableName> {
    let broken = project.broken().iter().cloned();
    project.transforms().iter().map(|transform| transform.target.clone()).chain(broken).collect()
}

#[cfg(test)]
mod tests;
