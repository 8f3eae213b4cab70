//! The resources of a run: memory with a limit and a record of its peak, temporary files, cores.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use crate::code::Code;
use crate::error::{Error, Result};
use crate::store::io_kind;

/// Name of the writer among the consumers of memory.
pub(crate) const WRITER: &str = "parquet writer";

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
    pool: Arc<SharedPool>,
}

impl Runtime {
    pub(crate) fn new(limits: &Limits) -> Result<Self> {
        let pool = Arc::new(SharedPool::new(limits.memory, limits.cores));
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
                let error = error.strip_backtrace();
                Error::new(code, format!("the temporary folder `{folder}` cannot be used: {error}"))
                    .help("name another with `--temp`, or correct its permissions")
            })?;
        Ok(Self { env, pool })
    }

    /// Most bytes that were reserved at one time.
    pub(crate) fn peak_memory(&self) -> usize {
        self.pool.peak.load(Ordering::Relaxed)
    }
}

/// One part in so many of the memory is kept for what carries a result out of its operators.
const OUTGOING_SHARE: usize = 4;

/// What a consumer of memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Holds rows, and spills or fails where there is no room.
    Holding,
    /// Reads back what a sort has spilled, in more rounds where there is less room.
    Rereading,
    /// Merges the sorted parts of a result: can neither spill nor wait.
    Merging,
    /// Writes the result: ends a row group where there is no room.
    Writing,
}

impl Purpose {
    fn of(consumer: &MemoryConsumer) -> Self {
        match consumer.name() {
            WRITER => Self::Writing,
            name if name.starts_with("ExternalSorterMerge") => Self::Rereading,
            name if name.starts_with("SortPreservingMergeExec") => Self::Merging,
            _ => Self::Holding,
        }
    }
}

/// A pool that remembers its peak, and in which sorts cannot use up what the way out of them needs.
///
/// A sort takes all that it can get for reading back what it has spilled. Without bounds, the sorts on other cores, the merge
/// above them and the writer would find nothing left, and the run would fail although it could go on with less.
#[derive(Debug)]
struct SharedPool {
    limit: usize,
    /// All that consumers which hold rows, or read them back, may take.
    inside: usize,
    /// Sorts that there are, or will be: one on each core at least.
    sorts: AtomicUsize,
    cores: usize,
    holding: FairSpillPool,
    outgoing: AtomicUsize,
    peak: AtomicUsize,
}

impl SharedPool {
    fn new(limit: usize, cores: usize) -> Self {
        let inside = limit - limit / OUTGOING_SHARE;
        let holding = FairSpillPool::new(inside);
        let none = || AtomicUsize::new(0);
        Self { limit, inside, sorts: none(), cores: cores.max(1), holding, outgoing: none(), peak: none() }
    }

    /// Most that one sort may take for reading back: a sort above it, which gets its rows meanwhile, needs as much.
    fn rereading(&self) -> usize {
        self.inside / self.sorts.load(Ordering::Relaxed).max(self.cores)
    }

    /// Whether there are sorts, which take what they find: the writer then keeps to its share.
    fn has_sorts(&self) -> bool {
        self.sorts.load(Ordering::Relaxed) > 0
    }

    fn note(&self) {
        self.peak.fetch_max(self.reserved(), Ordering::Relaxed);
    }

    /// Takes memory as long as no more than `room` is taken in this way.
    fn take(&self, name: &str, additional: usize, room: usize) -> DataFusionResult<()> {
        let taken = self.outgoing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |outgoing| {
            outgoing.checked_add(additional).filter(|outgoing| *outgoing <= room)
        });
        match taken {
            Ok(_) => Ok(()),
            Err(outgoing) => Err(DataFusionError::ResourcesExhausted(format!(
                "{name} needs {additional} more bytes, only {} of {} are left for it",
                room.saturating_sub(outgoing),
                self.limit
            ))),
        }
    }
}

impl fmt::Display for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shared pool of {} bytes", self.limit)
    }
}

impl MemoryPool for SharedPool {
    fn name(&self) -> &str {
        "shared"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if Purpose::of(consumer) == Purpose::Rereading {
            self.sorts.fetch_add(1, Ordering::Relaxed);
        }
        self.holding.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if Purpose::of(consumer) == Purpose::Rereading {
            self.sorts.fetch_sub(1, Ordering::Relaxed);
        }
        self.holding.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        match Purpose::of(reservation.consumer()) {
            Purpose::Holding | Purpose::Rereading => self.holding.grow(reservation, additional),
            _ => {
                self.outgoing.fetch_add(additional, Ordering::Relaxed);
            }
        }
        self.note();
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        match Purpose::of(reservation.consumer()) {
            Purpose::Holding | Purpose::Rereading => self.holding.shrink(reservation, shrink),
            _ => {
                self.outgoing.fetch_sub(shrink, Ordering::Relaxed);
            }
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> DataFusionResult<()> {
        let consumer = reservation.consumer();
        match Purpose::of(consumer) {
            Purpose::Rereading if reservation.size() + additional > self.rereading() => {
                return Err(DataFusionError::ResourcesExhausted(format!(
                    "{} needs {additional} more bytes, but may take {} in all",
                    consumer.name(),
                    self.rereading()
                )));
            }
            Purpose::Holding | Purpose::Rereading => {
                let room = self.limit.saturating_sub(self.reserved());
                if !self.has_sorts() && additional > room {
                    return Err(DataFusionError::ResourcesExhausted(format!(
                        "{} needs {additional} more bytes, only {room} of {} are left",
                        consumer.name(),
                        self.limit
                    )));
                }
                self.holding.try_grow(reservation, additional)?;
            }
            Purpose::Merging => {
                self.take(consumer.name(), additional, self.limit.saturating_sub(self.holding.reserved()))?
            }
            Purpose::Writing => {
                let unused = (self.limit / 2).saturating_sub(self.holding.reserved());
                let room = if self.has_sorts() { 0 } else { unused };
                self.take(consumer.name(), additional, room.max(self.limit / OUTGOING_SHARE / 2))?;
            }
        }
        self.note();
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.holding.reserved() + self.outgoing.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(pool: &Arc<dyn MemoryPool>, name: &str) -> MemoryReservation {
        MemoryConsumer::new(name).register(pool)
    }

    #[test]
    fn sorts_above_sorts_have_their_share() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(800, 1));
        let below = consumer(&pool, "ExternalSorterMerge[0]");
        let above = consumer(&pool, "ExternalSorterMerge[0]");
        below.try_grow(300).unwrap();
        assert!(below.try_grow(1).is_err());
        above.try_grow(300).unwrap();
        drop(below);
        above.try_grow(300).unwrap();
        assert!(above.try_grow(1).is_err());
    }

    #[test]
    fn what_carries_a_result_out_finds_room_beside_sorts_that_took_all() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(800, 2));
        let reread = consumer(&pool, "ExternalSorterMerge[0]");
        reread.try_grow(300).unwrap();
        assert!(reread.try_grow(1).is_err(), "as much is kept for the sort on the other core");
        let sort = consumer(&pool, "ExternalSorter[1]");
        sort.try_grow(300).unwrap();
        assert!(sort.try_grow(1).is_err(), "a quarter is kept");
        let writer = consumer(&pool, WRITER);
        writer.try_grow(100).unwrap();
        assert!(writer.try_grow(1).is_err(), "half of the quarter is kept from the writer");
        let merge = consumer(&pool, "SortPreservingMergeExec[0]");
        merge.try_grow(100).unwrap();
        let error = merge.try_grow(1).unwrap_err();
        assert!(matches!(error, DataFusionError::ResourcesExhausted(_)), "{error}");
        assert_eq!(pool.reserved(), 800);
        drop((sort, reread));
        merge.try_grow(600).unwrap();
        drop((merge, writer));
        assert_eq!(pool.reserved(), 0);
    }
}
