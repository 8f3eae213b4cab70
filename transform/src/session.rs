//! The DataFusion session that queries are planned in: functions, and nothing that reaches outside.

use chrono::{DateTime, Utc};
use datafusion::config::ConfigNonZeroUsize;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;
use url::Url;

use crate::runtime::Limits;

/// Memory of a core for each row of a batch: some forty batches of common rows have room. Only small limits make batches
/// smaller than DataFusion's own.
const MEMORY_FOR_ROW: usize = 4 << 10;
/// Rows of a batch at least.
const LEAST_BATCH: usize = 1024;
/// One part in so many of the memory is set aside for merging what sorts have spilled; never less than `LEAST_FOR_MERGE`.
const MERGES_SHARE: usize = 8;
const LEAST_FOR_MERGE: usize = 64 << 10;
/// Size at which a file is full that holds what is spilled on its way to another core: with its first batch. Two cores that
/// spill at the same time add to two files, and who reads these waits at the older one, while its rows may come in the other:
/// <https://github.com/apache/datafusion/issues/24883>.
const ONE_BATCH: usize = 1;

/// How tables are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joins {
    /// One side is held, which is fastest, and cannot spill.
    Hashed,
    /// Both sides are sorted, which can.
    Sorted,
}

/// A session for planning: DataFusion's scalar, aggregate and window functions, but no tables, no table functions, no files.
///
/// Spans are collected, so that errors know their place.
pub(crate) fn planner() -> SessionContext {
    SessionContext::new_with_state(builder(config(), Arc::new(runtime_without_local_files())).build())
}

/// The same with a value for `now()`, for optimising; without one it stays unknown.
pub(crate) fn planner_at(now: Option<DateTime<Utc>>) -> SessionState {
    let mut properties = ExecutionProps::new();
    properties.query_execution_start_time = now;
    builder(config(), Arc::new(runtime_without_local_files())).with_execution_props(properties).build()
}

/// The state that a run is planned and executed with: the same functions, the run's resources, and its `now()`.
pub(crate) fn executor(env: Arc<RuntimeEnv>, limits: &Limits, now: DateTime<Utc>, joins: Joins) -> SessionState {
    let core_memory = limits.memory / limits.cores.max(1);
    // With one part DataFusion knows hash joins only.
    let parts = if joins == Joins::Sorted { limits.cores.max(2) } else { limits.cores };
    let config = config().with_target_partitions(parts);
    let batch_size = (core_memory / MEMORY_FOR_ROW).clamp(LEAST_BATCH, config.batch_size());
    let mut config = config.with_batch_size(batch_size);
    let options = config.options_mut();
    // Every sort sets this aside for its merge, one on each core: DataFusion's default would use up a small limit.
    let for_merge = (core_memory / MERGES_SHARE).max(LEAST_FOR_MERGE);
    options.execution.sort_spill_reservation_bytes = options.execution.sort_spill_reservation_bytes.min(for_merge);
    if let Ok(size) = ConfigNonZeroUsize::try_new(ONE_BATCH) {
        options.execution.max_spill_file_size_bytes = size;
    }
    options.optimizer.prefer_hash_join = joins == Joins::Hashed;
    options.execution.parquet.reorder_filters = true;
    let properties = ExecutionProps::new().with_query_execution_start_time(now);
    builder(config, env).with_execution_props(properties).build()
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_create_default_catalog_and_schema(false).with_information_schema(false);
    config.options_mut().sql_parser.collect_spans = true;
    config
}

fn builder(config: SessionConfig, env: Arc<RuntimeEnv>) -> SessionStateBuilder {
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(env)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(SessionStateDefaults::default_scalar_functions())
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
}

/// A runtime whose registry does not know `file://`, which DataFusion's own would read.
fn runtime_without_local_files() -> RuntimeEnv {
    let runtime = RuntimeEnv::default();
    if let Ok(local) = Url::parse("file:///") {
        // An error means that there was no such store: just what is wanted.
        let _ = runtime.deregister_object_store(&local);
    }
    runtime
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_no_local_file() {
        let local = Url::parse("file:///etc/passwd").unwrap();
        assert!(planner().runtime_env().object_store_registry.get_store(&local).is_err());
    }

    #[test]
    fn has_functions_but_neither_tables_nor_table_functions_nor_factories() {
        let state = planner().state();
        assert!(state.scalar_functions().contains_key("abs"));
        assert!(state.aggregate_functions().contains_key("sum"));
        assert!(state.window_functions().contains_key("row_number"));
        assert!(state.table_functions().is_empty());
        assert!(state.table_factories().is_empty());
        assert!(state.catalog_list().catalog_names().is_empty());
    }
}
