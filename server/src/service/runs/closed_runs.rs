//! The closed runs in memory, and their eviction.
//!
//! A closed run stays in memory for a while, since its result is often read soon. It is evicted when there are too
//! many, or when the retention of its namespace is over, but never before it is committed: until then only memory has
//! it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, TryLockError};

use crate::limits::{CLOSED_RUNS_BYTES_MAX, CLOSED_RUNS_MAX};
use crate::model::NamespaceKey;
use crate::service::core::Core;
use crate::service::runs::closed::ClosedRun;
use crate::service::runs::slot::{Current, Slot, SlotKey, SlotState, lock};

/// The number of runs that are evicted, at most, when a run closes.
const EVICTIONS_PER_CLOSE: usize = 4;
/// From this number of stored workflow ids on, ids that the store no longer has are searched for.
const STORED_MIN: usize = 1 << 16;

/// The closed runs in memory, in the order in which they closed.
#[derive(Debug)]
pub(in crate::service) struct ClosedRuns {
    in_memory: VecDeque<Kept>,
    bytes: usize,
    runs_max: usize,
    /// Workflow ids whose last run is only in the store. `None` if the store has runs of earlier processes.
    stored: Option<StoredIds>,
}

/// A closed run in the count.
#[derive(Debug)]
struct Kept {
    slot: Arc<Slot>,
    bytes: usize,
    close_time_ns: i64,
}

/// Hashes of workflow ids. They save most starts a read of the store.
#[derive(Debug)]
struct StoredIds {
    hashes: HashSet<u64>,
    /// At this number, the hashes of ids that the store no longer has are dropped.
    refresh_at: usize,
    refresh_min: usize,
}

/// The result of an attempt to evict a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eviction {
    /// The run is not in memory any more, or its workflow id has another run.
    Done,
    /// The run is not committed, or another thread has its lock.
    NotYet,
}

impl ClosedRuns {
    /// `remembers_stored`: the store contains only runs of this process, so their ids can be remembered.
    pub(in crate::service) fn new(remembers_stored: bool) -> Self {
        let ids = || StoredIds { hashes: HashSet::new(), refresh_at: STORED_MIN, refresh_min: STORED_MIN };
        Self { in_memory: VecDeque::new(), bytes: 0, runs_max: CLOSED_RUNS_MAX, stored: remembers_stored.then(ids) }
    }

    /// Whether the store may have a run of a workflow id with this hash that is not in memory.
    pub(in crate::service) fn may_be_stored(&self, hash: u64) -> bool {
        self.stored.as_ref().is_none_or(|stored| stored.hashes.contains(&hash))
    }

    fn add(&mut self, kept: Kept) {
        self.bytes += kept.bytes;
        self.in_memory.push_back(kept);
    }

    /// Removes and returns the run that closed first, if there are too many.
    fn take_surplus(&mut self) -> Option<Kept> {
        if self.bytes <= CLOSED_RUNS_BYTES_MAX && self.in_memory.len() <= self.runs_max {
            return None;
        }
        let kept = self.in_memory.pop_front()?;
        self.bytes -= kept.bytes;
        Some(kept)
    }

    /// Removes and returns the runs of a namespace that closed before `before_ns`.
    fn take_closed_before(&mut self, namespace: NamespaceKey, before_ns: i64) -> Vec<Kept> {
        let is_expired = |kept: &Kept| kept.slot.key.namespace == namespace && kept.close_time_ns < before_ns;
        let (expired, others) = std::mem::take(&mut self.in_memory).into_iter().partition::<VecDeque<_>, _>(is_expired);
        self.in_memory = others;
        self.bytes -= expired.iter().map(|kept| kept.bytes).sum::<usize>();
        expired.into()
    }

    /// As [`ClosedRuns::add`], for a run that could not be evicted.
    fn put_back(&mut self, kept: Kept) {
        self.bytes += kept.bytes;
        self.in_memory.push_front(kept);
    }
}

impl Core {
    /// Replaces an open run that has closed by the run that follows it, or by its closed form. The caller holds the
    /// run's lock.
    pub(in crate::service) fn settle(self: &Arc<Self>, slot: &Arc<Slot>, state: &mut SlotState) {
        match state.current.take() {
            Some(Current::Open(mut open)) if !open.run.is_open() => {
                if let Some(next) = open.successor.take() {
                    // The store has the closed run.
                    state.current = Some(Current::Open(next));
                    return;
                }
                let closed = Arc::new(ClosedRun::from_open(*open, Arc::clone(&self.store)));
                let close_time_ns = closed.row.close_time_ns.unwrap_or(i64::MAX);
                lock(&self.runs.closed).add(Kept { slot: Arc::clone(slot), bytes: closed.size(), close_time_ns });
                state.current = Some(Current::Closed(closed));
                self.evict_surplus(EVICTIONS_PER_CLOSE);
            }
            current => state.current = current,
        }
    }

    /// Evicts closed runs while there are too many, at most `runs_max`.
    fn evict_surplus(&self, runs_max: usize) {
        for _ in 0..runs_max {
            let Some(kept) = lock(&self.runs.closed).take_surplus() else { return };
            if self.evict(&kept.slot, |_| true) == Eviction::NotYet {
                // The others closed later, so they are not committed either.
                lock(&self.runs.closed).put_back(kept);
                return;
            }
        }
    }

    /// Evicts runs whose retention is over, and surplus closed runs.
    pub(in crate::service) fn forget_expired(&self) {
        let now = self.clock.now();
        for namespace in self.namespaces.all() {
            let before_ns = (now - namespace.retention()).nanos();
            self.store.forget_closed(namespace.key, before_ns);
            let expired = lock(&self.runs.closed).take_closed_before(namespace.key, before_ns);
            let is_expired = |closed: &ClosedRun| closed.row.close_time_ns.is_some_and(|at| at < before_ns);
            for kept in expired {
                if self.evict(&kept.slot, is_expired) == Eviction::NotYet {
                    lock(&self.runs.closed).put_back(kept);
                }
            }
        }
        self.evict_surplus(usize::MAX);
    }

    /// Evicts a closed run that `may_go`, if it is committed.
    fn evict(&self, slot: &Arc<Slot>, may_go: impl Fn(&ClosedRun) -> bool) -> Eviction {
        // The caller may hold a run's lock, so waiting for another lock could deadlock.
        let state = match slot.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Eviction::NotYet,
        };
        match &state.current {
            Some(Current::Closed(closed)) if !may_go(closed) => return Eviction::Done,
            Some(Current::Closed(closed)) if closed.seq.is_some_and(|seq| !self.store.is_durable(seq)) => {
                return Eviction::NotYet;
            }
            Some(Current::Closed(_)) => {}
            _ => return Eviction::Done,
        }
        self.remember_stored(&slot.key);
        self.tidy(slot, state);
        Eviction::Done
    }

    /// Remembers that the store has a run of a workflow id.
    fn remember_stored(&self, key: &SlotKey) {
        let mut closed = lock(&self.runs.closed);
        let Some(stored) = &mut closed.stored else { return };
        stored.hashes.insert(self.runs.slots.hash(key));
        if stored.hashes.len() < stored.refresh_at {
            return;
        }
        let mut hashes = HashSet::new();
        let read = self.store.workflow_ids(&mut |namespace, workflow_id| {
            hashes.insert(self.runs.slots.hash(&SlotKey { namespace, workflow_id: workflow_id.into() }));
        });
        // A store that cannot be read has failed, and the next call reports it.
        if read.is_ok() {
            stored.hashes = hashes;
        }
        stored.refresh_at = stored.refresh_min.max(2 * stored.hashes.len());
    }

    /// For tests: limits the closed runs in memory and the remembered workflow ids before a refresh.
    #[cfg(test)]
    pub(in crate::service) fn limit_closed_runs(&self, runs_max: usize, stored_min: usize) {
        let mut closed = lock(&self.runs.closed);
        closed.runs_max = runs_max;
        if let Some(stored) = &mut closed.stored {
            (stored.refresh_at, stored.refresh_min) = (stored_min, stored_min);
        }
    }

    /// For tests: closed runs in memory, slots in memory, and remembered ids of stored runs.
    #[cfg(test)]
    pub(in crate::service) fn count_closed(&self) -> (usize, usize, usize) {
        let slots = self.runs.slots.count();
        let closed = lock(&self.runs.closed);
        (closed.in_memory.len(), slots, closed.stored.as_ref().map_or(0, |stored| stored.hashes.len()))
    }
}
