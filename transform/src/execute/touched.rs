//! Which partitions of the target a run touches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::Execution;
use super::arrange::column;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::failure::of_execution;
use crate::partition;
use crate::safety::affected::affected;
use crate::write::PartitionValues;

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

    /// The distinct values of the partition keys among the rows of a plan that has them as columns.
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
                Ok(typed.alias(&key.name))
            })
            .collect::<datafusion::error::Result<Vec<_>>>()
            .map_err(of_execution)?;
        let distinct = LogicalPlanBuilder::from(plan)
            .project(columns)
            .and_then(LogicalPlanBuilder::distinct)
            .and_then(LogicalPlanBuilder::build)
            .map_err(of_execution)?;
        let physical = self.state.create_physical_plan(&distinct).await.map_err(of_execution)?;
        let mut stream = execute_stream(physical, self.state.task_ctx()).map_err(of_execution)?;
        let mut touched = BTreeSet::new();
        while let Some(batch) = stream.try_next().await.map_err(of_execution)? {
            for row in 0..batch.num_rows() {
                let values = batch.columns().iter().map(|column| {
                    let value = ScalarValue::try_from_array(column, row).map_err(of_execution)?;
                    partition::text_of(&value)
                });
                touched.insert(values.collect::<Result<PartitionValues>>()?);
            }
            self.not_too_many(&touched)?;
        }
        Ok(touched)
    }

    /// `@max_partitions` holds for the partitions that are replaced, too.
    fn not_too_many(&self, touched: &BTreeSet<PartitionValues>) -> Result<()> {
        let most = &self.job.transform.settings.max_partitions;
        if touched.len() <= most.value {
            return Ok(());
        }
        let counted: BTreeMap<PartitionValues, u64> = touched.iter().map(|values| (values.clone(), 0)).collect();
        Err(crate::write::too_many(most.value, &counted).maybe_at(most.at.clone()))
    }
}
