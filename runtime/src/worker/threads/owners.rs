//! Which thread owns which run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::running_code::lock;
use crate::worker::jobs::Turn;

/// What the threads have in common.
#[derive(Default)]
pub(super) struct Shared {
    owners: Mutex<Owners>,
    turns: AtomicU64,
}

#[derive(Default)]
struct Owners {
    /// The slot of the thread that has each run.
    slots: HashMap<Arc<str>, usize>,
    /// How many threads each slot has had. All but the last were given up, and own nothing any more.
    generations: Vec<u64>,
}

/// A thread's place: which slot, and the how manieth thread there. No two threads of a worker have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    slot: usize,
    generation: u64,
}

impl Shared {
    /// The place of a new thread in a slot, from which all others are gone with what they own.
    pub(super) fn take_seat(&self, slot: usize) -> Seat {
        let mut owners = lock(&self.owners);
        let Owners { slots, generations } = &mut *owners;
        slots.retain(|_, owner| *owner != slot);
        if generations.len() <= slot {
            generations.resize(slot + 1, 0);
        }
        generations[slot] += 1;
        Seat { slot, generation: generations[slot] }
    }

    /// A thread has a run.
    pub(super) fn has(&self, run_id: &Arc<str>, seat: Seat) {
        let mut owners = lock(&self.owners);
        if owners.is_taken_by(seat) {
            owners.slots.insert(run_id.clone(), seat.slot);
        }
    }

    /// A thread has a run no more.
    pub(super) fn has_not(&self, run_id: &Arc<str>, seat: Seat) {
        let mut owners = lock(&self.owners);
        if owners.is_taken_by(seat) && owners.slots.get(run_id) == Some(&seat.slot) {
            owners.slots.remove(run_id);
        }
    }

    /// The slot of the thread that has a run.
    pub(super) fn slot_of(&self, run_id: &Arc<str>) -> Option<usize> {
        lock(&self.owners).slots.get(run_id).copied()
    }

    /// The slot of the thread that has a run; the run is given to another one if there is none.
    pub(super) fn slot_or(&self, run_id: &Arc<str>, other: impl FnOnce() -> usize) -> usize {
        *lock(&self.owners).slots.entry(run_id.clone()).or_insert_with(other)
    }

    /// No thread has a run.
    pub(super) fn forget(&self, run_id: &Arc<str>) {
        lock(&self.owners).slots.remove(run_id);
    }

    pub(super) fn next_turn(&self) -> Turn {
        Turn(self.turns.fetch_add(1, Ordering::Relaxed))
    }
}

impl Owners {
    /// Whether the thread was not given up.
    fn is_taken_by(&self, seat: Seat) -> bool {
        self.generations.get(seat.slot) == Some(&seat.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_comes_back_leaves_the_runs_of_its_successor_alone() {
        let (shared, run_id) = (Shared::default(), Arc::from("run"));
        let lost = shared.take_seat(0);
        shared.has(&run_id, lost);
        let next = shared.take_seat(0);
        assert_eq!(shared.slot_of(&run_id), None, "runs of a lost thread are rebuilt anywhere");
        shared.has(&run_id, next);
        shared.has_not(&run_id, lost);
        assert_eq!(shared.slot_of(&run_id), Some(0));
        shared.has_not(&run_id, next);
        shared.has(&run_id, lost);
        assert_eq!(shared.slot_of(&run_id), None);
    }
}
