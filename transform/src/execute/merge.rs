//! Merging: of the rows with one key, those in the table and those that arrived, the latest stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::error::Result as DataFusionResult;
use datafusion::functions_window::expr_fn::{lead, row_number};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Expr, ExprFunctionExt, JoinType, LogicalPlan, LogicalPlanBuilder, lit};

use super::arrange::{column, typed, unqualified};
use super::{Execution, Rows};
use crate::error::Result;
use crate::failure::of_execution;
use crate::hive::is_nested;
use crate::inputs::Input;
use crate::source::SourceTable;
use crate::trace::ORIGIN;
use crate::write::PartitionValues;

/// Whether a row says that its key goes.
const DELETE: &str = "__unglue_delete";
/// Place of a row among those with its key.
const PLACE: &str = "__unglue_place";
/// The origin of the row that comes next among those with its key.
const NEXT: &str = "__unglue_next";
/// The origin of rows that were there before: they come before all others.
const KEPT: i32 = -1;

impl Execution<'_> {
    pub(super) async fn merge(&self, target: Option<&Input>, all: bool) -> Result<Rows> {
        let listing = if all { self.job.listing.clone() } else { self.arrivals() };
        let (new, _) = self.query(&listing)?;
        let mut touched = BTreeSet::new();
        let mut kept = None;
        if let Some(target) = target {
            touched.extend(self.touched_by_arrivals().await?);
            touched.extend(self.partitions_with_keys_of(&new, target).await?);
            kept = Some(self.part_of(target, &touched)).filter(|kept| !kept.objects.is_empty());
        }
        let plan = self.latest(new, kept).map_err(of_execution)?;
        Ok(Rows {
            plan,
            touched: target.map(|_| touched),
            origins: None,
            new_below: Some(i32::MAX),
            checks: self.checks(),
        })
    }

    /// The partitions of the target that hold a key of the new rows. Only the key columns are read.
    async fn partitions_with_keys_of(&self, new: &LogicalPlan, target: &Input) -> Result<BTreeSet<PartitionValues>> {
        if self.job.planned.partition_keys.is_empty() || target.objects.is_empty() {
            return Ok(BTreeSet::new());
        }
        let all = target.objects.iter().map(|object| object.partition.as_ref().clone()).collect();
        let target = self.part_of(target, &all);
        let found = || -> DataFusionResult<LogicalPlan> {
            let keys = self.keys();
            let source = provider_as_source(Arc::new(SourceTable::new(target, self.url.clone())));
            let new = LogicalPlanBuilder::from(new.clone()).project(keys.iter().map(|key| column(key)))?;
            let new = new.alias("new")?.build()?;
            let of = |table: &str| {
                keys.iter().map(|key| datafusion::common::Column::new(Some(table), key)).collect::<Vec<_>>()
            };
            let kept = LogicalPlanBuilder::scan("kept", source, None)?.build()?;
            // The left side is held in memory.
            LogicalPlanBuilder::from(new).join(kept, JoinType::RightSemi, (of("new"), of("kept")), None)?.build()
        };
        self.partitions(found().map_err(of_execution)?).await
    }

    /// The names of the columns of `@key`.
    fn keys(&self) -> Vec<String> {
        self.job.transform.settings.key.iter().map(|key| key.value.to_lowercase()).collect()
    }

    fn latest(&self, new: LogicalPlan, kept: Option<Input>) -> DataFusionResult<LogicalPlan> {
        let planned = self.job.planned;
        let columns = |plan: &LogicalPlan| plan.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
        let mut of_new = columns(&new);
        let delete = planned.delete_when.clone().map_or_else(|| lit(false), Expr::is_true);
        of_new.push(delete.alias(DELETE));
        let mut plan = LogicalPlanBuilder::from(new).project(of_new)?;
        if let Some(kept) = kept {
            let source = provider_as_source(Arc::new(SourceTable::new(kept, self.url.clone())));
            let scan = LogicalPlanBuilder::scan("kept", source, None)?.build()?;
            let scan = typed(scan, planned)?;
            let mut of_kept = columns(&scan);
            of_kept.extend([lit(KEPT).alias(ORIGIN), lit(false).alias(DELETE)]);
            plan = plan.union(LogicalPlanBuilder::from(scan).project(of_kept)?.build()?)?;
        }
        let plan = unqualified(plan.build()?)?;
        let keys: Vec<Expr> = self.keys().iter().map(|key| column(key)).collect();
        // Functions of one sorted window that look a row ahead at most: they hold few rows, where an aggregate would hold all.
        let mut windows = vec![row_number().partition_by(keys.clone()).order_by(self.order()).build()?.alias(PLACE)];
        if self.job.transform.settings.latest_by.is_none() {
            let next = lead(column(ORIGIN), Some(1), None).partition_by(keys).order_by(self.order()).build()?;
            windows.push(next.alias(NEXT));
        }
        let plan = LogicalPlanBuilder::from(plan).window(windows)?;
        let latest = plan.filter(column(PLACE).eq(lit(1_u64)).and(column(DELETE).is_not_true()))?;
        unqualified(latest.build()?)
    }

    /// Which of the rows with one key comes first: the latest by `@latest_by`, else that of the object that came last. The
    /// other columns decide where that leaves a choice, so that the order in which objects are processed makes no difference.
    fn order(&self) -> Vec<Sort> {
        let planned = self.job.planned;
        let first = match &self.job.transform.settings.latest_by {
            Some(latest_by) => column(&latest_by.value.to_lowercase()),
            None => column(ORIGIN),
        };
        let others = planned.columns.iter().chain(&planned.partition_keys).filter(|c| !is_nested(&c.hive_type));
        std::iter::once(first).chain(others.map(|other| column(&other.name))).map(|by| by.sort(false, false)).collect()
    }

    /// A key is never NULL, and without `@latest_by` it must be clear which row of an object is meant.
    fn checks(&self) -> Vec<(String, Option<crate::error::Location>, Expr)> {
        let settings = &self.job.transform.settings;
        let at = settings.key.first().and_then(|key| key.at.clone());
        let mut checks: Vec<_> = settings
            .key
            .iter()
            .map(|key| {
                let is_there = column(&key.value.to_lowercase()).is_not_null();
                (format!("@key: {} is never NULL", key.value), key.at.clone(), is_there)
            })
            .collect();
        if settings.latest_by.is_none() {
            let text = "@key: one row of an object for each key, unless `@latest_by` names the column that decides";
            // Rows with one key are in the order of their origins.
            let is_alone = column(NEXT).is_null().or(column(NEXT).not_eq(column(ORIGIN)));
            checks.push((text.to_owned(), at, is_alone));
        }
        checks
    }
}
