//! The limit on the length of a run's history.
//!
//! A worker that has lost a run reads its whole history, so a run whose history grows without limit becomes slower and
//! slower. Workers are asked to continue as new long before the limit (`workflow_task/mod.rs`). A transition that would
//! exceed the limit is undone and the run is terminated instead, as on the Temporal server.

use crate::engine::cancel::StopRequest;
use crate::engine::effects::{Effects, Notice};
use crate::engine::error::Refusal;
use crate::engine::event::HISTORY_SERVICE;
use crate::engine::run::Run;
use crate::engine::state::Snapshot;
use crate::engine::time::Time;
use crate::limits::{HISTORY_BYTES_MANY, HISTORY_BYTES_MAX, HISTORY_EVENTS_MANY, HISTORY_EVENTS_MAX};

/// A run this close to its limit takes a snapshot before each transition. Completions of workflow tasks can add more
/// events than this at once, so they take a snapshot at any length.
const EVENTS_NEAR: i64 = 1_024;
const BYTES_NEAR: i64 = 8 << 20;

impl Run {
    /// Whether the history is long enough to log a warning, before the run is terminated for its length.
    pub(crate) fn is_long(&self) -> bool {
        self.history.next_event_id() - 1 > HISTORY_EVENTS_MANY || self.history.size_bytes() > HISTORY_BYTES_MANY
    }

    /// Takes a snapshot of the run if its next transition may exceed the limit.
    pub(super) fn snapshot_if_nearly_too_long(&mut self) {
        let events = self.history.next_event_id() - 1;
        let is_near =
            events > HISTORY_EVENTS_MAX - EVENTS_NEAR || self.history.size_bytes() > HISTORY_BYTES_MAX - BYTES_NEAR;
        self.before_excess = (self.is_open() && is_near).then(|| Box::new(self.snapshot()));
    }

    /// If the history is too long, undoes the current transition, terminates the run, and returns the refusal of the
    /// transition.
    pub(super) fn end_if_too_long(&mut self, now: Time) -> Option<Refusal> {
        let reason = self.excess()?;
        if let Some(before) = self.before_excess.take() {
            self.undo_transition(*before);
        }
        let request =
            StopRequest { reason: reason.to_owned(), identity: HISTORY_SERVICE.to_owned(), ..StopRequest::default() };
        let terminated = self.terminate(request, now);
        debug_assert_eq!(terminated, Ok(()), "the run is open");
        Some(Refusal::invalid(reason))
    }

    /// Undoes all steps of the current transition.
    fn undo_transition(&mut self, before: Snapshot) {
        let notices = std::mem::take(&mut self.effects).notices.into_iter().chain(std::mem::take(&mut self.notices));
        // Notices of queries are kept: the worker has answered these queries or they become direct ones; neither
        // changed the run.
        let of_queries = notices.filter(|notice| !matches!(notice, Notice::Update { .. })).collect();
        self.roll_back(before);
        self.effects = Effects::default();
        self.notices = of_queries;
    }

    /// The limit that the history exceeds, with the text of the Temporal server.
    pub(super) fn excess(&self) -> Option<&'static str> {
        if self.history.size_bytes() + self.history.pending_bytes() > HISTORY_BYTES_MAX {
            return Some("Workflow history size exceeds limit.");
        }
        (self.history.next_event_id() - 1 > HISTORY_EVENTS_MAX).then_some("Workflow history count exceeds limit.")
    }
}
