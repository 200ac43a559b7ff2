//! How long the history of one run may get.
//!
//! A worker that has lost a run reads all of its history, so a run that grows for ever becomes slower and slower and one
//! day cannot go on. Workers are asked to continue as new long before (`workflow_task.rs`).

use super::cancel::StopRequest;
use super::run::Run;
use super::time::Time;
use super::workflow_task::HISTORY_SERVICE;

/// A run with more is terminated.
const EVENTS_MAX: i64 = 51_200;
const BYTES_MAX: i64 = 50 << 20;
/// A run with more is worth a warning.
const EVENTS_MANY: i64 = 10_240;
const BYTES_MANY: i64 = 10 << 20;

impl Run {
    /// Whether the history is so long that somebody should know before the run is terminated for it.
    pub(crate) fn is_long(&self) -> bool {
        self.history.next_event_id() - 1 > EVENTS_MANY || self.history.size_bytes() > BYTES_MANY
    }

    /// Why the history is too long, in the words of the usual server.
    pub(super) fn excess(&self) -> Option<&'static str> {
        if self.history.size_bytes() + self.history.pending_bytes() > BYTES_MAX {
            return Some("Workflow history size exceeds limit.");
        }
        (self.history.next_event_id() - 1 > EVENTS_MAX).then_some("Workflow history count exceeds limit.")
    }

    /// Ends the run because its history is too long.
    pub(super) fn terminate_for_excess(&mut self, reason: &str, now: Time) {
        let request =
            StopRequest { reason: reason.to_owned(), identity: HISTORY_SERVICE.to_owned(), ..StopRequest::default() };
        // Only a run that has closed refuses, and then nothing is to be done.
        let _ = self.terminate(request, now);
    }
}
