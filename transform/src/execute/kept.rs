//! Corrections: the rows of arrivals that came again take the place of those of their former versions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, Volatility, create_udf, lit,
};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use super::arrange::{column, typed, unqualified};
use super::{Execution, Rows};
use crate::arrival::ArrivalId;
use crate::code::Code;
use crate::error::{Error, Result};
use crate::failure::of_execution;
use crate::inputs::{Input, InputObject};
use crate::origins::{Origin, Origins};
use crate::source::{ROW, SourceTable, footer};
use crate::table::Table;
use crate::trace::ORIGIN;
use crate::write::PartitionValues;

/// The hidden column that numbers the files of the target.
const FILE: &str = "__unglue_file";
/// Footers read at a time.
const PARALLEL: usize = 32;

impl Execution<'_> {
    /// New rows, and those of the touched partitions that stay.
    pub(super) async fn correct(
        &self,
        target: &Input,
        replacing: &[ArrivalId],
        among: Option<&BTreeSet<PartitionValues>>,
    ) -> Result<Rows> {
        let goes = |origin: &Origin| replacing.iter().any(|id| id.replaces(&origin.folder, &origin.object));
        let candidates = target.objects.iter().filter(|object| among.is_none_or(|a| a.contains(&*object.partition)));
        let mut traces = self.traces(candidates).await?;
        let holds = |object: &&InputObject| {
            traces.get(&object.meta.location).is_some_and(|origins| origins.names().iter().any(&goes))
        };
        let mut touched: BTreeSet<PartitionValues> =
            target.objects.iter().filter(holds).map(|object| object.partition.as_ref().clone()).collect();
        touched.extend(self.touched_by_arrivals().await?);

        let (new, origins) = self.query(&self.arrivals())?;
        let mut origins = origins.unwrap_or_default();
        let new_below = i32::try_from(origins.len()).unwrap_or(i32::MAX);
        let kept = self.part_of(target, &touched);
        if kept.objects.is_empty() {
            let plan = new;
            return Ok(Rows {
                plan,
                touched: Some(touched),
                origins: Some(origins),
                new_below: None,
                checks: Vec::new(),
            });
        }
        let untraced = kept.objects.iter().filter(|object| !traces.contains_key(&object.meta.location));
        let others = self.traces(untraced).await?;
        traces.extend(others);
        let mut numbers = HashMap::new();
        let mut of_files = Vec::new();
        let mut known: BTreeMap<Origin, i32> = BTreeMap::new();
        for (number, object) in kept.objects.iter().enumerate() {
            let traced = &traces[&object.meta.location];
            let of_names: Vec<i32> = traced
                .names()
                .iter()
                .map(|origin| {
                    if goes(origin) {
                        return GOES;
                    }
                    *known.entry(origin.clone()).or_insert_with(|| {
                        origins.push(origin.clone());
                        i32::try_from(origins.len()).unwrap_or(i32::MAX) - 1
                    })
                })
                .collect();
            of_files.push(traced.ranges().map(|(first, name)| (first, of_names[name as usize])).collect());
            numbers.insert(object.meta.location.clone(), i32::try_from(number).unwrap_or(i32::MAX));
        }
        let source = SourceTable::new(kept, self.url.clone()).numbered(FILE, numbers, true);
        let plan = self.kept(source, of_files).map_err(of_execution)?;
        let plan = LogicalPlanBuilder::from(new)
            .union(plan)
            .and_then(LogicalPlanBuilder::build)
            .and_then(unqualified)
            .map_err(of_execution)?;
        Ok(Rows {
            plan,
            touched: Some(touched),
            origins: Some(origins),
            new_below: Some(new_below),
            checks: Vec::new(),
        })
    }

    fn kept(&self, source: SourceTable, of_files: Vec<Vec<(u64, i32)>>) -> datafusion::error::Result<LogicalPlan> {
        let scan = LogicalPlanBuilder::scan("kept", provider_as_source(Arc::new(source)), None)?.build()?;
        let mut columns: Vec<Expr> = scan
            .schema()
            .columns()
            .into_iter()
            .filter(|column| column.name != FILE && column.name != ROW)
            .map(Expr::Column)
            .collect();
        columns.push(origin_of(of_files).call(vec![column(FILE), column(ROW)]).alias(ORIGIN));
        let plan = LogicalPlanBuilder::from(scan).project(columns)?.build()?;
        let plan = LogicalPlanBuilder::from(plan).filter(column(ORIGIN).not_eq(lit(GOES)))?.build()?;
        typed(plan, self.job.planned)
    }

    /// The objects of some partitions of the target, as a table with the columns that the query gives: files that were
    /// written before a column was added lack it.
    pub(super) fn part_of(&self, target: &Input, partitions: &BTreeSet<PartitionValues>) -> Input {
        let planned = self.job.planned;
        let table = Table {
            columns: planned.columns.clone(),
            partition_keys: planned.partition_keys.clone(),
            ..target.table.as_ref().clone()
        };
        let is_in = |object: &&InputObject| partitions.contains(object.partition.as_ref());
        Input { table: Arc::new(table), objects: target.objects.iter().filter(is_in).cloned().collect() }
    }

    /// The origins of the rows of files, from their footers.
    async fn traces(&self, objects: impl Iterator<Item = &InputObject>) -> Result<HashMap<Path, Origins>> {
        stream::iter(objects.collect::<Vec<_>>())
            .map(|object| async move {
                let path = object.meta.location.clone();
                let metadata = footer(&self.store, &object.meta).await?;
                let origins = Origins::of(&metadata).ok_or_else(|| untraced(&path))?;
                Ok((path, origins))
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }
}

/// The number of rows that go.
const GOES: i32 = -1;

/// A function of the number of a file and of a row in it: the number of the row's origin.
fn origin_of(of_files: Vec<Vec<(u64, i32)>>) -> ScalarUDF {
    let function = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let (files, rows) = (arrays[0].as_primitive::<Int32Type>(), arrays[1].as_primitive::<Int64Type>());
        let numbers: Int32Array = files
            .values()
            .iter()
            .zip(rows.values())
            .map(|(file, row)| {
                let ranges = of_files.get(usize::try_from(*file).ok()?)?;
                let after = ranges.partition_point(|(first, _)| i64::try_from(*first).is_ok_and(|first| first <= *row));
                Some(ranges.get(after.checked_sub(1)?)?.1)
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(numbers) as ArrayRef))
    };
    create_udf(
        "__unglue_origin_of",
        vec![DataType::Int32, DataType::Int64],
        DataType::Int32,
        Volatility::Immutable,
        Arc::new(function),
    )
}

fn untraced(path: &Path) -> Error {
    Error::new(Code::ChangedInput, "an object arrived again with other content, but a file of the table does not say which of its rows came from it")
        .help("it was written under another `@changed_input`; rebuild the table with `unglue run --full-refresh`")
        .in_object(path.as_ref(), None)
}
