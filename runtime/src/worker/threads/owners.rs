//! The owners of runs: workflow threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::running_code::lock;
use crate::worker::jobs::IdlePeriod;

/// The owner of each run. Shared by all threads of a worker.
#[derive(Default)]
pub(super) struct RunOwners {
    owned: Mutex<Owned>,
    idle_periods: AtomicU64,
}

#[derive(Default)]
struct Owned {
    /// The slot of each run's thread.
    slots: HashMap<Arc<str>, usize>,
    /// The number of threads that each slot has had. All but the last one were abandoned and own nothing.
    generations: Vec<u64>,
}

/// Identifies a thread by its slot and its number in the slot, so no two threads of a worker have the same seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    slot: usize,
    generation: u64,
}

impl RunOwners {
    /// Assigns a slot to a new thread. The previous thread owns nothing from now on.
    pub(super) fn take_seat(&self, slot: usize) -> Seat {
        let mut owners = lock(&self.owned);
        let Owned { slots, generations } = &mut *owners;
        slots.retain(|_, owner| *owner != slot);
        if generations.len() <= slot {
            generations.resize(slot + 1, 0);
        }
        generations[slot] += 1;
        Seat { slot, generation: generations[slot] }
    }

    /// Makes a thread the owner of a run, unless the thread was abandoned.
    pub(super) fn claim(&self, run_id: &Arc<str>, seat: Seat) {
        let mut owners = lock(&self.owned);
        if owners.is_taken_by(seat) {
            owners.slots.insert(run_id.clone(), seat.slot);
        }
    }

    /// Ends a thread's ownership of a run.
    pub(super) fn release(&self, run_id: &Arc<str>, seat: Seat) {
        let mut owners = lock(&self.owned);
        if owners.is_taken_by(seat) && owners.slots.get(run_id) == Some(&seat.slot) {
            owners.slots.remove(run_id);
        }
    }

    /// The slot of the thread that owns a run.
    pub(super) fn slot_of(&self, run_id: &Arc<str>) -> Option<usize> {
        lock(&self.owned).slots.get(run_id).copied()
    }

    /// The slot of the thread that owns a run. If there is none, the thread of another slot becomes the owner.
    pub(super) fn slot_or(&self, run_id: &Arc<str>, other: impl FnOnce() -> usize) -> usize {
        *lock(&self.owned).slots.entry(run_id.clone()).or_insert_with(other)
    }

    /// Removes the owner of a run.
    pub(super) fn forget(&self, run_id: &Arc<str>) {
        lock(&self.owned).slots.remove(run_id);
    }

    /// Identifies the next idle period.
    pub(super) fn next_idle_period(&self) -> IdlePeriod {
        IdlePeriod(self.idle_periods.fetch_add(1, Ordering::Relaxed))
    }
}

impl Owned {
    /// Whether the thread was not abandoned.
    fn is_taken_by(&self, seat: Seat) -> bool {
        self.generations.get(seat.slot) == Some(&seat.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_comes_back_leaves_the_runs_of_its_successor_alone() {
        let (owners, run_id) = (RunOwners::default(), Arc::from("run"));
        let lost = owners.take_seat(0);
        owners.claim(&run_id, lost);
        let next = owners.take_seat(0);
        assert_eq!(owners.slot_of(&run_id), None, "runs of a lost thread are rebuilt anywhere");
        owners.claim(&run_id, next);
        owners.release(&run_id, lost);
        assert_eq!(owners.slot_of(&run_id), Some(0));
        owners.release(&run_id, next);
        owners.claim(&run_id, lost);
        assert_eq!(owners.slot_of(&run_id), None);
    }
}
