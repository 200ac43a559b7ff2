//! What a test environment learns from its workers.

use std::sync::Arc;

use everloop_proto::temporal::api::history::v1::HistoryEvent;

use crate::activity::ActivityInfo;
use crate::data::Failure;
use crate::executor::Definition;

/// Who watches a worker: a test environment.
pub(crate) trait Observer: Send + Sync {
    /// A task is about to be done. `events` is what the server sent, or the whole history.
    fn task_begins(&self, workflow_id: &str, run_id: &str, definition: &Arc<dyn Definition>, events: &[HistoryEvent]);
    /// A task failed; it will be tried again.
    fn task_failed(&self, workflow_id: &str, run_id: &str, failure: &Failure);
    /// An attempt of an activity failed, which is tried again without a limit.
    fn attempt_failed(&self, info: &ActivityInfo, failure: &Failure);
    /// The server has the end of a run.
    fn run_closed(&self, workflow_id: &str, run_id: &str);
}
