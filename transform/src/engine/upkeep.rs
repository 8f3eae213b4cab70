//! The verbs that look after tables.

use chrono::{DateTime, TimeDelta, Utc};

use super::Engine;
use crate::base::location;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::plan::Planned;
use crate::publish::Publisher;
use crate::table::TableName;
use crate::transform::Transform;
use crate::upkeep::doctor::Doctor;
use crate::upkeep::gc::Collector;
use crate::upkeep::{Collected, Finding, PastRun, history};

impl Engine {
    /// The newest runs of some transforms, newest first, at most `limit`. A run whose records cannot be read is an error in
    /// its place.
    ///
    /// # Errors
    /// The storage's.
    pub async fn history(&self, targets: &[TableName], limit: usize) -> Result<Vec<Result<PastRun>>> {
        history::history(&self.root, targets, limit).await
    }

    /// One run of some transforms.
    ///
    /// # Errors
    /// [`Code::NotFound`](crate::Code::NotFound) if none has such a run;
    /// [`Code::CatalogDamaged`](crate::Code::CatalogDamaged) if its records cannot be read; the storage's.
    pub async fn past_run(&self, targets: &[TableName], run_id: &str) -> Result<PastRun> {
        history::past_run(&self.root, targets, run_id).await
    }

    /// Deletes what nothing has referred to for a while: files of replaced versions, and what runs left behind. With
    /// `dry_run` it only says what.
    ///
    /// `older_than` must be longer than any reader holds on to what it found in the catalog. `now` is compared with the
    /// storage's clock.
    ///
    /// # Errors
    /// [`Code::ForeignTable`](crate::Code::ForeignTable) if the table is not the transform's; those of storage, catalog and
    /// ledger. It may be called again.
    pub async fn gc(
        &self,
        transform: &Transform,
        older_than: TimeDelta,
        now: DateTime<Utc>,
        dry_run: bool,
    ) -> Result<Collected> {
        let target = &transform.target;
        let collector = Collector {
            root: &self.root,
            catalog: self.catalog(),
            target,
            location: &location(&self.root, self.catalog(), transform).await?,
            ledger: Ledger::new(self.root.clone(), target),
            older_than,
            now,
            dry_run,
        };
        collector.collect().await.map_err(|error| error.in_transform(target))
    }

    /// What is not as it should be with a transform's table: in the ledger, the catalog and the storage.
    ///
    /// `planned` is what the SQL gives now, if it is sound. With `repair`, what can safely be put right is; those findings
    /// say so.
    ///
    /// # Errors
    /// Those of storage and catalog. Records that cannot be read are findings.
    pub async fn doctor(&self, transform: &Transform, planned: Option<&Planned>, repair: bool) -> Result<Vec<Finding>> {
        let target = &transform.target;
        let ledger = Ledger::new(self.root.clone(), target);
        let announce = self.announce.as_ref();
        let (root, catalog) = (&self.root, self.catalog());
        let publisher = Publisher { root, catalog, ledger: &ledger, announce, ends: true, ends_others: true, target };
        let doctor = Doctor { publisher, location: location(root, catalog, transform).await?, planned };
        doctor.examine(repair).await.map_err(|error| error.in_transform(target))
    }
}
