//! Runs: the ones in memory, with one lock per workflow id, and the ones that only the store has.
//!
//! Every call that changes a run is one synchronous section under its workflow id's lock: transition, commit queue,
//! tasks, timers, news for waiting callers. A caller whose future is dropped before has changed nothing, after it
//! everything.

pub(super) mod closed;
pub(super) mod closed_runs;
pub(super) mod commit;
pub(super) mod idle;
pub(super) mod lookup;
pub(super) mod open;
pub(super) mod recovery;
pub(super) mod slot;
pub(super) mod task;
