//! Sorting rows by partition, for partitions that are too large to be arranged in memory.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalSortExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::EmptyRecordBatchStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};

/// A stream sorted by some of its columns, on all cores, spilling to disk where memory does not suffice.
pub(super) fn sorted(
    stream: SendableRecordBatchStream,
    by: Range<usize>,
    context: &Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let schema = stream.schema();
    let order = by.map(|index| PhysicalSortExpr::new_default(Arc::new(Column::new(schema.field(index).name(), index))));
    let Some(order) = LexOrdering::new(order) else { return Ok(stream) };
    let cores = context.session_config().target_partitions();
    let rest = Arc::new(Rest { schema: Arc::clone(&schema), stream: Mutex::new(Some(stream)) });
    let rest: Arc<dyn ExecutionPlan> =
        Arc::new(StreamingTableExec::try_new(schema, vec![rest], None, Vec::new(), false, None)?);
    let spread = Arc::new(RepartitionExec::try_new(rest, Partitioning::RoundRobinBatch(cores))?);
    let sorted = Arc::new(SortExec::new(order.clone(), spread).with_preserve_partitioning(true));
    SortPreservingMergeExec::new(order, sorted).execute(0, Arc::clone(context))
}

/// A stream that can be read once, as a part of a plan.
struct Rest {
    schema: SchemaRef,
    stream: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows of large partitions")
    }
}

impl PartitionStream for Rest {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _ctx: Arc<TaskContext>) -> SendableRecordBatchStream {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        stream.unwrap_or_else(|| Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.schema))))
    }
}
