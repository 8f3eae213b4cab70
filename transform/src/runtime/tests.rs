//! Queries that need more memory than there is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use chrono::DateTime;
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::prelude::{DataFrame, SessionContext, col, lit};
use futures::TryStreamExt;
use futures::future::join_all;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::session::{self, Joins};

const ROWS: usize = 300_000;
/// Far longer than any query here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keys that all differ, about 29 MB, in two parts.
fn keys() -> Arc<MemTable> {
    let keys: Vec<String> = (0..ROWS).map(|row| format!("{row:08}").repeat(12)).collect();
    let batch = |keys: &[String]| {
        RecordBatch::try_from_iter([("k", Arc::new(StringArray::from_iter_values(keys)) as ArrayRef)]).unwrap()
    };
    let batches: Vec<_> = keys.chunks(1536).map(batch).collect();
    let (one, other) = batches.split_at(batches.len() / 2);
    Arc::new(MemTable::try_new(batches[0].schema(), vec![one.to_vec(), other.to_vec()]).unwrap())
}

/// The rows of a table within limits, and what they come to use.
fn rows(table: &Arc<MemTable>, memory: usize, temp: &TempDir) -> (DataFrame, Arc<dyn MemoryPool>) {
    let limits = Limits { memory, temp: temp.path().to_owned(), cores: 2 };
    let runtime = Runtime::new(&limits).unwrap();
    let pool = Arc::clone(&runtime.env.memory_pool);
    let state = session::executor(runtime.env, &limits, DateTime::UNIX_EPOCH, Joins::Hashed);
    (SessionContext::new_with_state(state).read_table(Arc::clone(table) as _).unwrap(), pool)
}

/// Takes all that it gets until `done`, and keeps it: the real writer makes room only as rows come, and none come while aggregates
/// read back what they spilled.
fn write_until(done: &AtomicBool, pool: &Arc<dyn MemoryPool>) {
    let memory = MemoryConsumer::new(WRITER).register(pool);
    while !done.load(Ordering::Relaxed) {
        if memory.try_grow(64 << 10).is_err() {
            sleep(Duration::from_millis(1));
        }
    }
}

async fn counted(mut rows: SendableRecordBatchStream) -> usize {
    let mut counted = 0;
    while let Some(batch) = rows.try_next().await.unwrap() {
        counted += batch.num_rows();
    }
    counted
}

/// With files of DataFusion's own size, the first or the third of these runs never ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_that_are_dealt_out_all_arrive_where_each_of_them_spills() {
    let (table, temp) = (keys(), tempfile::tempdir().unwrap());
    for run in 0..20 {
        let (rows, _) = rows(&table, 64 << 10, &temp);
        let context = Arc::new(rows.task_ctx());
        let scan = rows.create_physical_plan().await.unwrap();
        let by = Partitioning::Hash(vec![Arc::new(Column::new("k", 0))], 2);
        let dealt = RepartitionExec::try_new(scan, by).unwrap();
        let parts = [0, 1].map(|part| dealt.execute(part, Arc::clone(&context)).unwrap());
        let parts = join_all(parts.into_iter().map(|part| tokio::spawn(counted(part))));
        let parts = timeout(PATIENCE, parts).await.unwrap_or_else(|_| panic!("run {run} does not end"));
        assert_eq!(parts.into_iter().map(Result::unwrap).sum::<usize>(), ROWS);
        assert!(dealt.metrics().unwrap().spilled_rows().unwrap() > ROWS / 2, "hardly any of them spilled");
    }
    assert_eq!(temp.path().read_dir().unwrap().count(), 0, "temporary files are left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aggregates_that_spill_end_beside_a_writer_that_takes_all_it_gets() {
    let (table, temp) = (keys(), tempfile::tempdir().unwrap());
    for run in 0..12 {
        let (rows, pool) = rows(&table, 12 << 20, &temp);
        let done = Arc::new(AtomicBool::new(false));
        let writing = Arc::clone(&done);
        let writer = tokio::task::spawn_blocking(move || write_until(&writing, &pool));
        let groups = rows.aggregate(vec![col("k")], vec![count(lit(1))]).unwrap();
        let ended = timeout(PATIENCE, groups.collect()).await;
        done.store(true, Ordering::Relaxed);
        writer.await.unwrap();
        let groups = ended.unwrap_or_else(|_| panic!("run {run} does not end")).unwrap();
        assert_eq!(groups.iter().map(RecordBatch::num_rows).sum::<usize>(), ROWS);
    }
    assert_eq!(temp.path().read_dir().unwrap().count(), 0, "temporary files are left");
}
