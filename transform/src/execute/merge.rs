//! Merging: of the rows with one key, those in the table and those that arrived, the latest stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::error::Result as DataFusionResult;
use datafusion::functions_window::expr_fn::{lead, row_number};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, lit, when,
};

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
/// Whether a side of the join has a row.
const THERE: &str = "__unglue_there";
/// Whether the new row is the one that stays.
const IS_NEW: &str = "__unglue_is_new";
/// Place of a row among those with its key.
const PLACE: &str = "__unglue_place";
/// The origin of the row that comes next among those with its key.
const NEXT: &str = "__unglue_next";
/// The origin of rows that were there before.
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

    /// Of the new rows with one key the latest, and of it and the row of the table again the latest.
    ///
    /// The new rows are the side of the join that is held: there are few of them, as a rule, and the rows of the table pass by.
    fn latest(&self, new: LogicalPlan, kept: Option<Input>) -> DataFusionResult<LogicalPlan> {
        let new = self.latest_of_new(new)?;
        let Some(kept) = kept else {
            return unqualified(LogicalPlanBuilder::from(new).filter(column(DELETE).is_not_true())?.build()?);
        };
        let source = provider_as_source(Arc::new(SourceTable::new(kept, self.url.clone())));
        let kept = typed(LogicalPlanBuilder::scan("kept", source, None)?.build()?, self.job.planned)?;
        let names: Vec<String> = kept.schema().fields().iter().map(|field| field.name().clone()).collect();
        let there = |plan: LogicalPlan, table: &str| {
            let columns = plan.schema().columns().into_iter().map(Expr::Column);
            let columns: Vec<Expr> = columns.chain([lit(true).alias(THERE)]).collect();
            LogicalPlanBuilder::from(plan).project(columns)?.alias(table)?.build()
        };
        let keys = |table: &str| {
            let name = |key: &String| datafusion::common::Column::new(Some(table), key);
            self.keys().iter().map(name).collect::<Vec<_>>()
        };
        let both = LogicalPlanBuilder::from(there(new, "n")?)
            .join(there(kept, "k")?, JoinType::Full, (keys("n"), keys("k")), None)?
            .build()?;
        let is_new = of("n", THERE).is_true().and(of("k", THERE).is_not_true().or(self.is_later()?));
        let mut columns: Vec<Expr> = both.schema().columns().into_iter().map(Expr::Column).collect();
        columns.push(is_new.alias(IS_NEW));
        let chosen = LogicalPlanBuilder::from(both)
            .project(columns)?
            .filter(column(IS_NEW).and(of("n", DELETE)).is_not_true())?;
        let choose = |of_new: Expr, of_kept: Expr| when(column(IS_NEW), of_new).otherwise(of_kept);
        let mut columns = Vec::with_capacity(names.len() + 2);
        for name in &names {
            columns.push(choose(of("n", name), of("k", name))?.alias(name));
        }
        columns.push(choose(of("n", ORIGIN), lit(KEPT))?.alias(ORIGIN));
        if self.job.transform.settings.latest_by.is_none() {
            columns.push(when(column(IS_NEW), of("n", NEXT)).end()?.alias(NEXT));
        }
        unqualified(chosen.project(columns)?.build()?)
    }

    /// The latest of the new rows with each key, whether that says that the key goes or not.
    fn latest_of_new(&self, new: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let mut columns: Vec<Expr> = new.schema().columns().into_iter().map(Expr::Column).collect();
        let delete = self.job.planned.delete_when.clone().map_or_else(|| lit(false), Expr::is_true);
        columns.push(delete.alias(DELETE));
        let plan = unqualified(LogicalPlanBuilder::from(new).project(columns)?.build()?)?;
        let keys: Vec<Expr> = self.keys().iter().map(|key| column(key)).collect();
        // Functions of one sorted window that look a row ahead at most: they hold few rows, where an aggregate would hold all.
        let mut windows = vec![row_number().partition_by(keys.clone()).order_by(self.order()).build()?.alias(PLACE)];
        if self.job.transform.settings.latest_by.is_none() {
            let next = lead(column(ORIGIN), Some(1), None).partition_by(keys).order_by(self.order()).build()?;
            windows.push(next.alias(NEXT));
        }
        let plan = LogicalPlanBuilder::from(plan).window(windows)?;
        unqualified(plan.filter(column(PLACE).eq(lit(1_u64)))?.build()?)
    }

    /// Whether a new row comes before the row of the table with its key, in the order of [`Self::order`]. Without `@latest_by` all do.
    fn is_later(&self) -> DataFusionResult<Expr> {
        if self.job.transform.settings.latest_by.is_none() {
            return Ok(lit(true));
        }
        let mut is_later = lit(false);
        for name in self.ranks().iter().rev() {
            let (new, kept) = (of("n", name), of("k", name));
            let is_greater = kept.clone().is_null().or(new.clone().gt(kept.clone()).is_true());
            is_later = when(is_distinct_from(new, kept), is_greater).otherwise(is_later)?;
        }
        Ok(is_later)
    }

    /// Which of the rows with one key comes first: the latest by `@latest_by`, else that of the object that came last. The
    /// other columns decide where that leaves a choice, so that the order in which objects are processed makes no difference.
    fn order(&self) -> Vec<Sort> {
        self.ranks().iter().map(|name| column(name).sort(false, false)).collect()
    }

    /// The columns that decide which of the rows with one key comes first: the greatest, where NULL is least.
    fn ranks(&self) -> Vec<String> {
        let planned = self.job.planned;
        let first = match &self.job.transform.settings.latest_by {
            Some(latest_by) => latest_by.value.to_lowercase(),
            None => ORIGIN.to_owned(),
        };
        let others = planned.columns.iter().chain(&planned.partition_keys).filter(|c| !is_nested(&c.hive_type));
        std::iter::once(first).chain(others.map(|other| other.name.clone())).collect()
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

/// A column of one side of the join.
fn of(table: &str, name: &str) -> Expr {
    Expr::Column(datafusion::common::Column::new(Some(table), name))
}

fn is_distinct_from(left: Expr, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::IsDistinctFrom, Box::new(right)))
}
