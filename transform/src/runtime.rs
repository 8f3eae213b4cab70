//! The resources of a run: memory with a limit and a record of its peak, temporary files, cores.

mod pool;
mod temporary;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::failure::of_execution;

use pool::SharedPool;
pub(crate) use pool::WRITER;
use temporary::TemporaryFiles;

/// What a run may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory of the query in bytes; what needs more spills to `temp`.
    pub memory: usize,
    /// Folder for temporary files on a local disk.
    pub temp: PathBuf,
    /// Parallel parts of a plan.
    pub cores: usize,
}

/// Temporary files that the sorts and aggregates of all cores read at a time, where each merges as many as it has room for; and
/// what one of them reads in any case.
const MERGED_FILES: usize = 256;
const LEAST_MERGED: usize = 8;

/// A run's DataFusion resources.
pub(crate) struct Runtime {
    pub(crate) env: Arc<RuntimeEnv>,
    pool: Arc<SharedPool>,
}

impl Runtime {
    pub(crate) fn new(limits: &Limits) -> Result<Self> {
        let pool = Arc::new(SharedPool::new(limits.memory, limits.cores));
        let files = TemporaryFiles::below(&limits.temp).map_err(|error| {
            let code = match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Code::NotFound,
                _ => Code::PermissionDenied,
            };
            let folder = limits.temp.display();
            Error::new(code, format!("the temporary folder `{folder}` cannot be used: {error}"))
                .help("name another with `--temp`, or correct its permissions")
        })?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Custom(Arc::new(files)))
            .with_max_spill_merge_fan_in((MERGED_FILES / limits.cores.max(1)).max(LEAST_MERGED));
        let env = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&pool) as _)
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(of_execution)?;
        Ok(Self { env, pool })
    }

    /// Most bytes that were reserved at one time.
    pub(crate) fn peak_memory(&self) -> usize {
        self.pool.peak()
    }
}
