//! The resources of a run: memory with a limit and a record of its peak, temporary files, cores.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::Result as DataFusionResult;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::store::io_kind;

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

/// A run's DataFusion resources.
pub(crate) struct Runtime {
    pub(crate) env: Arc<RuntimeEnv>,
    pool: Arc<PeakPool>,
}

impl Runtime {
    pub(crate) fn new(limits: &Limits) -> Result<Self> {
        let pool = Arc::new(PeakPool {
            inner: FairSpillPool::new(limits.memory),
            peak: AtomicUsize::new(0),
            limit: limits.memory,
        });
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![limits.temp.clone()]));
        let env = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&pool) as _)
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| {
                let code = match io_kind(&error) {
                    Some(ErrorKind::NotFound | ErrorKind::NotADirectory) => Code::NotFound,
                    _ => Code::PermissionDenied,
                };
                let folder = limits.temp.display();
                Error::new(code, format!("the temporary folder `{folder}` cannot be used: {}", error.strip_backtrace()))
                    .help("name another with `--temp`, or correct its permissions")
                    .because(error)
            })?;
        Ok(Self { env, pool })
    }

    /// Most bytes that were reserved at one time.
    pub(crate) fn peak_memory(&self) -> usize {
        self.pool.peak.load(Ordering::Relaxed)
    }
}

/// A pool that remembers its peak.
#[derive(Debug)]
struct PeakPool {
    inner: FairSpillPool,
    peak: AtomicUsize,
    limit: usize,
}

impl PeakPool {
    fn note(&self) {
        self.peak.fetch_max(self.inner.reserved(), Ordering::Relaxed);
    }
}

impl fmt::Display for PeakPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fair pool of {} bytes", self.limit)
    }
}

impl MemoryPool for PeakPool {
    fn name(&self) -> &str {
        "peak"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
        self.note();
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> DataFusionResult<()> {
        self.inner.try_grow(reservation, additional)?;
        self.note();
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.inner.memory_limit()
    }
}
