//! Memory with a limit and a record of its peak.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// Name of the writer among the consumers of memory.
pub(crate) const WRITER: &str = "parquet writer";

/// One part in so many of the memory is kept for what carries a result out of its operators.
const OUTGOING_SHARE: usize = 4;

/// One part in so many of an aggregate's share is kept for the groups that it makes of what it reads back.
const GROUPS_SHARE: usize = 4;

/// What a consumer of memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Holds rows, and spills or fails where there is no room.
    Holding,
    /// Groups rows: spills, and then needs room for what it reads back as well as for the groups that it makes of it.
    Grouping,
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
            name if name.contains("Aggregate") && consumer.can_spill() => Self::Grouping,
            _ => Self::Holding,
        }
    }
}

/// A pool that remembers its peak, and in which sorts and aggregates cannot use up what they need further on.
///
/// A sort takes all that it can get for reading back what it has spilled. Without bounds, the sorts on other cores, the merge
/// above them and the writer would find nothing left, and the run would fail although it could go on with less. An aggregate does
/// so, too, and then needs room for the groups that it makes, which cannot spill any more.
#[derive(Debug)]
pub(super) struct SharedPool {
    limit: usize,
    /// All that consumers which hold rows, or read them back, may take.
    inside: usize,
    /// Sorts that there are, or will be: one on each core at least.
    sorts: AtomicUsize,
    cores: usize,
    /// Consumers that can spill, which `holding` gives an equal share each.
    spilling: AtomicUsize,
    /// Whether an aggregate has spilled, or will now.
    groups_spilled: AtomicBool,
    holding: FairSpillPool,
    outgoing: AtomicUsize,
    peak: AtomicUsize,
}

impl SharedPool {
    pub(super) fn new(limit: usize, cores: usize) -> Self {
        let inside = limit - limit / OUTGOING_SHARE;
        let holding = FairSpillPool::new(inside);
        let none = || AtomicUsize::new(0);
        Self {
            limit,
            inside,
            sorts: none(),
            cores: cores.max(1),
            spilling: none(),
            groups_spilled: AtomicBool::new(false),
            holding,
            outgoing: none(),
            peak: none(),
        }
    }

    /// The numbers of consumers that one of them belongs to.
    fn counts(&self, consumer: &MemoryConsumer) -> impl Iterator<Item = &AtomicUsize> {
        let sorts = (Purpose::of(consumer) == Purpose::Rereading).then_some(&self.sorts);
        sorts.into_iter().chain(consumer.can_spill().then_some(&self.spilling))
    }

    /// Most that one sort may take for reading back: a sort above it, which gets its rows meanwhile, needs as much.
    fn rereading(&self) -> usize {
        self.inside / self.sorts.load(Ordering::Relaxed).max(self.cores)
    }

    /// Whether there is something that reads back what it spilled, and takes what it finds: the writer then keeps to its share.
    fn rereads(&self) -> bool {
        self.sorts.load(Ordering::Relaxed) > 0 || self.groups_spilled.load(Ordering::Relaxed)
    }

    /// Takes memory for rows that stay inside.
    fn hold(&self, reservation: &MemoryReservation, additional: usize) -> DataFusionResult<()> {
        let room = self.limit.saturating_sub(self.reserved());
        if !self.rereads() && additional > room {
            return Err(self.exhausted(reservation.consumer(), additional, room));
        }
        self.holding.try_grow(reservation, additional)
    }

    /// Takes memory for groups, or for reading them back.
    fn group(&self, reservation: &MemoryReservation, additional: usize) -> DataFusionResult<()> {
        let share = self.inside / self.spilling.load(Ordering::Relaxed).max(1);
        let most = share - share / GROUPS_SHARE;
        if self.groups_spilled.load(Ordering::Relaxed) && reservation.size() + additional > most {
            return Err(self.exhausted(reservation.consumer(), additional, most.saturating_sub(reservation.size())));
        }
        self.hold(reservation, additional).inspect_err(|_| self.groups_spilled.store(true, Ordering::Relaxed))
    }

    /// Most bytes that were reserved at one time.
    pub(super) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.peak.fetch_max(self.reserved(), Ordering::Relaxed);
    }

    /// Takes memory as long as no more than `room` is taken in this way.
    fn take(&self, consumer: &MemoryConsumer, additional: usize, room: usize) -> DataFusionResult<()> {
        let taken = self.outgoing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |outgoing| {
            outgoing.checked_add(additional).filter(|outgoing| *outgoing <= room)
        });
        match taken {
            Ok(_) => Ok(()),
            Err(outgoing) => Err(self.exhausted(consumer, additional, room.saturating_sub(outgoing))),
        }
    }

    fn exhausted(&self, consumer: &MemoryConsumer, additional: usize, left: usize) -> DataFusionError {
        DataFusionError::ResourcesExhausted(format!(
            "{} needs {additional} more bytes, only {left} of {} are left for it",
            consumer.name(),
            self.limit
        ))
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
        self.counts(consumer).for_each(|count| _ = count.fetch_add(1, Ordering::Relaxed));
        self.holding.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.counts(consumer).for_each(|count| _ = count.fetch_sub(1, Ordering::Relaxed));
        self.holding.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        match Purpose::of(reservation.consumer()) {
            Purpose::Holding | Purpose::Grouping | Purpose::Rereading => self.holding.grow(reservation, additional),
            _ => {
                self.outgoing.fetch_add(additional, Ordering::Relaxed);
            }
        }
        self.note();
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        match Purpose::of(reservation.consumer()) {
            Purpose::Holding | Purpose::Grouping | Purpose::Rereading => self.holding.shrink(reservation, shrink),
            _ => {
                self.outgoing.fetch_sub(shrink, Ordering::Relaxed);
            }
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> DataFusionResult<()> {
        let consumer = reservation.consumer();
        match Purpose::of(consumer) {
            Purpose::Rereading if reservation.size() + additional > self.rereading() => {
                let left = self.rereading().saturating_sub(reservation.size());
                return Err(self.exhausted(consumer, additional, left));
            }
            Purpose::Holding | Purpose::Rereading => self.hold(reservation, additional)?,
            Purpose::Grouping => self.group(reservation, additional)?,
            Purpose::Merging => self.take(consumer, additional, self.limit.saturating_sub(self.holding.reserved()))?,
            Purpose::Writing => {
                let unused = (self.limit / 2).saturating_sub(self.holding.reserved());
                let room = if self.rereads() { 0 } else { unused };
                self.take(consumer, additional, room.max(self.limit / OUTGOING_SHARE / 2))?;
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
    use std::sync::Arc;

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
    fn groups_of_what_aggregates_read_back_find_room_beside_all_that_they_took_for_reading() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(800, 2));
        let aggregate = |number| {
            MemoryConsumer::new(format!("FinalHashAggregateStream[{number}]")).with_can_spill(true).register(&pool)
        };
        let (one, other) = (aggregate(0), aggregate(1));
        let writer = consumer(&pool, WRITER);
        writer.try_grow(400).unwrap();
        writer.free();
        one.try_grow(300).unwrap();
        assert!(one.try_grow(1).is_err(), "as much is kept for the aggregate on the other core");
        // It spills, and its first groups are written while the other one still has to.
        one.free();
        writer.try_grow(100).unwrap();
        assert!(writer.try_grow(1).is_err(), "the aggregates will need the rest");
        let read = [one.new_empty(), other.new_empty()];
        for read in &read {
            read.try_grow(225).unwrap();
            assert!(read.try_grow(1).is_err(), "a quarter is kept for groups");
        }
        one.try_grow(100).unwrap();
        other.try_grow(100).unwrap();
        assert_eq!(pool.reserved(), 750);
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
