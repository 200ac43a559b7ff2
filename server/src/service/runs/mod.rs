//! Runs: those in memory, with one lock per workflow id, and those that only the store has.
//!
//! Every call that changes a run is one synchronous section under the lock of its workflow id: transition, commit
//! queue, tasks, timers, notices for waiting callers. A call whose future is dropped before the section has changed
//! nothing; after it, everything.

pub(super) mod closed;
pub(super) mod closed_runs;
pub(super) mod commit;
pub(super) mod idle;
pub(super) mod intents;
pub(super) mod lookup;
pub(super) mod open;
pub(super) mod recovery;
pub(super) mod slot;
pub(super) mod slots;
pub(super) mod task;

use std::collections::HashMap;
use std::sync::Mutex;

use self::closed_runs::ClosedRuns;
use self::idle::IdleRuns;
use self::intents::Intents;
use self::slots::Slots;
use crate::clock::timers::DeadlineKey;
use crate::model::RunKey;

/// The runs of one engine.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(in crate::service) slots: Slots,
    closed: Mutex<ClosedRuns>,
    idle: Mutex<IdleRuns>,
    intents: Intents,
    /// Open runs that are only in the store and have a deadline.
    dormant: Mutex<HashMap<RunKey, DeadlineKey>>,
}

impl Runs {
    /// Creates an empty set. `remembers_stored`: the store contains only runs of this process.
    pub(super) fn new(remembers_stored: bool) -> Self {
        Self {
            slots: Slots::new(),
            closed: Mutex::new(ClosedRuns::new(remembers_stored)),
            idle: Mutex::default(),
            intents: Intents::default(),
            dormant: Mutex::default(),
        }
    }
}
