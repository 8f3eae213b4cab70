//! Which partitions of the target a run touches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::functions::core::expr_fn::nullif;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::execute_stream;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::Execution;
use super::arrange::{column, is_text};
use crate::code::Code;
use crate::error::{Error, Result};
use crate::failure::of_execution;
use crate::partition;
use crate::safety::affected::affected;
use crate::write::{PartitionValues, too_many_touched};

/// How many rows a partition has.
const ROWS: &str = "__unglue_rows";

impl Execution<'_> {
    /// The partitions of the result that the arrivals can change, found by the partition columns alone.
    pub(super) async fn touched_by_arrivals(&self) -> Result<BTreeSet<PartitionValues>> {
        let keys: Vec<String> = self.job.planned.partition_keys.iter().map(|key| key.name.clone()).collect();
        if keys.is_empty() {
            return Ok(BTreeSet::from([Vec::new()]));
        }
        let query = self.planned_query(&self.arrivals())?;
        let Some(driving) = &self.job.transform.driving else { return Ok(BTreeSet::new()) };
        let touched = affected(&query, driving, &keys)
            .map_err(|fault| Error::new(Code::NotIncremental, fault.text.clone()).help(fault.way_out()))?;
        self.partitions(touched).await
    }

    /// The values of the partition keys among the rows of a plan that has them as columns.
    ///
    /// # Errors
    /// [`Code::TooManyPartitions`]: `@max_partitions` holds for the partitions that are replaced, too.
    pub(super) async fn partitions(&self, plan: LogicalPlan) -> Result<BTreeSet<PartitionValues>> {
        let keys = &self.job.planned.partition_keys;
        if keys.is_empty() {
            return Ok(BTreeSet::from([Vec::new()]));
        }
        let schema = Arc::clone(plan.schema());
        let columns = keys
            .iter()
            .map(|key| {
                let found = schema.iter().find(|(_, field)| field.name().eq_ignore_ascii_case(&key.name));
                let own = found.map_or_else(
                    || column(&key.name),
                    |(q, field)| datafusion::logical_expr::Expr::Column((q, field).into()),
                );
                let typed = datafusion::logical_expr::ExprSchemable::cast_to(own, &key.hive_type.arrow(), &schema)?;
                // Hive cannot tell an empty text from NULL.
                let value = if is_text(&key.hive_type) { nullif(typed, lit("")) } else { typed };
                Ok(value.alias(&key.name))
            })
            .collect::<datafusion::error::Result<Vec<_>>>()
            .map_err(of_execution)?;
        let most = &self.job.transform.settings.max_partitions;
        // Those with the most rows, and one more than there may be: whatever their number is, few are held.
        let counted = LogicalPlanBuilder::from(plan)
            .project(columns)
            .and_then(|plan| plan.aggregate(keys.iter().map(|key| column(&key.name)), [count(lit(1)).alias(ROWS)]))
            .and_then(|plan| {
                plan.sort_with_limit([column(ROWS).sort(false, false)], Some(most.value.saturating_add(1)))
            })
            .and_then(LogicalPlanBuilder::build)
            .map_err(of_execution)?;
        let physical = self.state.create_physical_plan(&counted).await.map_err(of_execution)?;
        let mut stream = execute_stream(physical, self.state.task_ctx()).map_err(of_execution)?;
        let mut touched = BTreeMap::new();
        while let Some(batch) = stream.try_next().await.map_err(of_execution)? {
            let (columns, counts) = batch.columns().split_at(keys.len());
            for row in 0..batch.num_rows() {
                let values = columns.iter().map(|column| {
                    let value = ScalarValue::try_from_array(column, row).map_err(of_execution)?;
                    partition::text_of(&value)
                });
                let rows = counts[0].as_primitive::<Int64Type>().value(row);
                *touched.entry(values.collect::<Result<PartitionValues>>()?).or_default() += rows.unsigned_abs();
            }
        }
        if touched.len() > most.value {
            return Err(too_many_touched(most.value, &touched).maybe_at(most.at.clone()));
        }
        Ok(touched.into_keys().collect())
    }
}
