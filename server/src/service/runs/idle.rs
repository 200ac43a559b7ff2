//! Evicts idle open runs from memory when they take too much of it; the store has them.
//!
//! Only a store that outlives the process allows that: a store in memory would keep the runs in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::engine::time::Time;
use crate::limits::IDLE_RUNS_BYTES_MAX;
use crate::service::core::Core;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::{Current, Slot, lock};
use crate::store::Wake;

/// The approximate size of an open run without its history.
const RUN_BYTES: usize = 2048;
/// The number of runs that one change checks: each change does a little of the work.
const CHECKS_PER_CHANGE: usize = 4;

/// The open runs in memory: their total size, and the idle ones.
#[derive(Debug)]
pub(in crate::service) struct IdleRuns {
    bytes: usize,
    bytes_max: usize,
    /// Runs that were idle when they were added, oldest first.
    idle_slots: VecDeque<Weak<Slot>>,
    /// At this length, slots that are gone are removed.
    idle_slots_max: usize,
}

impl Default for IdleRuns {
    fn default() -> Self {
        Self { bytes: 0, bytes_max: IDLE_RUNS_BYTES_MAX, idle_slots: VecDeque::new(), idle_slots_max: 1024 }
    }
}

impl IdleRuns {
    fn list(&mut self, slot: &Arc<Slot>) {
        if self.idle_slots.len() >= self.idle_slots_max {
            self.idle_slots.retain(|slot| slot.strong_count() > 0);
            self.idle_slots_max = 1024.max(2 * self.idle_slots.len());
        }
        self.idle_slots.push_back(Arc::downgrade(slot));
    }
}

impl Core {
    /// Counts a run after a change. The caller holds its lock.
    pub(in crate::service) fn count_open(self: &Arc<Self>, slot: &Arc<Slot>, open: &mut OpenRun) {
        if !self.store.outlives_process() {
            return;
        }
        let is_open = open.run.is_open();
        let bytes = if is_open { RUN_BYTES + usize::try_from(open.run.history.size_bytes()).unwrap_or(0) } else { 0 };
        let mut idle = lock(&self.runs.idle);
        idle.bytes = (idle.bytes + bytes).saturating_sub(std::mem::replace(&mut open.counted_bytes, bytes));
        if is_open && open.run.is_idle() && !std::mem::replace(&mut open.is_listed_idle, true) {
            idle.list(slot);
        }
    }

    /// Evicts some idle runs if the open runs take too much memory. The caller holds no run's lock.
    pub(super) fn evict_idle_runs(self: &Arc<Self>) {
        for _ in 0..CHECKS_PER_CHANGE {
            let slot = {
                let mut idle = lock(&self.runs.idle);
                if idle.bytes <= idle.bytes_max {
                    return;
                }
                idle.idle_slots.pop_front()
            };
            match slot {
                Some(slot) => slot.upgrade().iter().for_each(|slot| self.evict_idle(slot)),
                None => return,
            }
        }
    }

    /// Evicts a run that was idle, if it still is and no caller waits for it.
    fn evict_idle(self: &Arc<Self>, slot: &Arc<Slot>) {
        let Some(mut state) = slot.lock() else { return };
        let Some(Current::Open(open)) = &mut state.current else { return };
        open.is_listed_idle = false;
        if !open.run.is_idle() {
            // The run is listed again when it becomes idle.
            return;
        }
        let is_written = open.seq.is_none_or(|seq| self.store.is_durable(seq));
        if !is_written || open.is_waited_for() {
            open.is_listed_idle = true;
            lock(&self.runs.idle).list(slot);
            return;
        }
        lock(&self.runs.idle).bytes -= open.counted_bytes;
        if let Wake::At(moment) = open.wake() {
            self.keep_dormant(slot.key.clone(), open.key, Time::from_nanos(moment));
        }
        // Only now, so that a time-skipping clock cannot jump past the deadline.
        if let Some(ticket) = open.armed.take() {
            self.timers.disarm(ticket);
        }
        self.tidy(slot, state);
    }

    /// For tests: limits the memory of open runs.
    #[cfg(test)]
    pub(in crate::service) fn limit_open_bytes(&self, bytes_max: usize) {
        lock(&self.runs.idle).bytes_max = bytes_max;
    }

    /// For tests: whether a workflow id has a run in memory.
    #[cfg(test)]
    pub(in crate::service) fn is_in_memory(&self, key: &crate::service::runs::slot::SlotKey) -> bool {
        self.runs.slots.find(key).is_some()
    }
}
