//! Which closed runs are in memory, and when they leave it.
//!
//! A run that closes stays in memory for a while, since its result is read soon. It leaves when there are too many, or when
//! its namespace's retention is over, but never before the store has all of it: until then it can be found nowhere else.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, TryLockError};

use crate::limits::{CLOSED_RUNS_BYTES_MAX, CLOSED_RUNS_MAX};
use crate::model::NamespaceKey;
use crate::service::core::Core;
use crate::service::runs::closed::ClosedRun;
use crate::service::runs::slot::{Current, Slot, SlotKey, SlotState, lock};

/// How many runs leave memory, at most, when one more closes.
const EVICTIONS_PER_CLOSE: usize = 4;
/// From so many stored workflow ids on, those that the store has forgotten are looked for.
const STORED_MIN: usize = 1 << 16;

/// The closed runs in memory, the first closed first.
#[derive(Debug)]
pub(in crate::service) struct ClosedRuns {
    in_memory: VecDeque<Kept>,
    bytes: usize,
    runs_max: usize,
    /// Workflow ids whose last run is in the store alone. `None` where the store has more than this process put there.
    stored: Option<StoredIds>,
}

/// A closed run that was counted.
#[derive(Debug)]
struct Kept {
    slot: Arc<Slot>,
    bytes: usize,
    close_time_ns: i64,
}

/// Hashes of workflow ids. They spare most starts a look into the store.
#[derive(Debug)]
struct StoredIds {
    hashes: HashSet<u64>,
    /// At this number, the hashes of what the store has forgotten are dropped.
    refresh_at: usize,
    refresh_min: usize,
}

/// What became of an attempt to let a run go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eviction {
    /// Nothing of it is left in memory, or its workflow id has another run by now.
    Done,
    /// The store does not have all of it, or another thread is at work there.
    NotYet,
}

impl ClosedRuns {
    /// `remembers_stored`: the store has nothing but what this process puts there, so it is worth knowing what that is.
    pub(in crate::service) fn new(remembers_stored: bool) -> Self {
        let ids = || StoredIds { hashes: HashSet::new(), refresh_at: STORED_MIN, refresh_min: STORED_MIN };
        Self { in_memory: VecDeque::new(), bytes: 0, runs_max: CLOSED_RUNS_MAX, stored: remembers_stored.then(ids) }
    }

    /// Whether there may be a run with a workflow id of that hash in the store, though not in memory.
    pub(in crate::service) fn may_be_stored(&self, hash: u64) -> bool {
        self.stored.as_ref().is_none_or(|stored| stored.hashes.contains(&hash))
    }

    fn add(&mut self, kept: Kept) {
        self.bytes += kept.bytes;
        self.in_memory.push_back(kept);
    }

    /// Takes the run that closed first, if there are too many.
    fn take_surplus(&mut self) -> Option<Kept> {
        if self.bytes <= CLOSED_RUNS_BYTES_MAX && self.in_memory.len() <= self.runs_max {
            return None;
        }
        let kept = self.in_memory.pop_front()?;
        self.bytes -= kept.bytes;
        Some(kept)
    }

    /// Takes the runs of a namespace that closed before a moment.
    fn take_closed_before(&mut self, namespace: NamespaceKey, before_ns: i64) -> Vec<Kept> {
        let is_expired = |kept: &Kept| kept.slot.key.namespace == namespace && kept.close_time_ns < before_ns;
        let (expired, others) = std::mem::take(&mut self.in_memory).into_iter().partition::<VecDeque<_>, _>(is_expired);
        self.in_memory = others;
        self.bytes -= expired.iter().map(|kept| kept.bytes).sum::<usize>();
        expired.into()
    }

    /// As [`ClosedRuns::add`], for a run that could not go.
    fn put_back(&mut self, kept: Kept) {
        self.bytes += kept.bytes;
        self.in_memory.push_front(kept);
    }
}

impl Core {
    /// Replaces an open run that has closed by what remains of it. The run's lock is held.
    pub(in crate::service) fn settle(self: &Arc<Self>, slot: &Arc<Slot>, state: &mut SlotState) {
        match state.current.take() {
            Some(Current::Open(open)) if !open.run.is_open() => {
                let closed = Arc::new(ClosedRun::from_open(*open, Arc::clone(&self.store)));
                let close_time_ns = closed.row.close_time_ns.unwrap_or(i64::MAX);
                lock(&self.runs.closed).add(Kept { slot: Arc::clone(slot), bytes: closed.size(), close_time_ns });
                state.current = Some(Current::Closed(closed));
                self.evict_surplus(EVICTIONS_PER_CLOSE);
            }
            current => state.current = current,
        }
    }

    /// Lets closed runs go while there are too many, `runs_max` at most.
    fn evict_surplus(&self, runs_max: usize) {
        for _ in 0..runs_max {
            let Some(kept) = lock(&self.runs.closed).take_surplus() else { return };
            if self.evict(&kept.slot, |_| true) == Eviction::NotYet {
                // The others closed later, so the store does not have them either.
                lock(&self.runs.closed).put_back(kept);
                return;
            }
        }
    }

    /// Lets go of runs that have been closed for longer than their namespace keeps them, and of closed runs that are too many.
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

    /// Lets a closed run go that `may_go`, if the store has all of it.
    fn evict(&self, slot: &Arc<Slot>, may_go: impl Fn(&ClosedRun) -> bool) -> Eviction {
        // The caller may hold a run's lock, so waiting for another one could be for ever.
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

    /// Notes that a workflow id has a run in the store.
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
        // A store that cannot be read has failed, and the next call says so.
        if read.is_ok() {
            stored.hashes = hashes;
        }
        stored.refresh_at = stored.refresh_min.max(2 * stored.hashes.len());
    }

    /// For tests: how many closed runs may be in memory, and how many stored workflow ids are known before a refresh.
    #[cfg(test)]
    pub(in crate::service) fn limit_closed_runs(&self, runs_max: usize, stored_min: usize) {
        let mut closed = lock(&self.runs.closed);
        closed.runs_max = runs_max;
        if let Some(stored) = &mut closed.stored {
            (stored.refresh_at, stored.refresh_min) = (stored_min, stored_min);
        }
    }

    /// For tests: closed runs in memory, slots in memory, and known ids of stored runs.
    #[cfg(test)]
    pub(in crate::service) fn count_closed(&self) -> (usize, usize, usize) {
        let slots = self.runs.slots.count();
        let closed = lock(&self.runs.closed);
        (closed.in_memory.len(), slots, closed.stored.as_ref().map_or(0, |stored| stored.hashes.len()))
    }
}
