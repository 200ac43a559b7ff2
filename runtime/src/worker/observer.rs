//! Notifications of workers to their test environment.

use std::sync::Arc;

use everloop_proto::temporal::api::history::v1::HistoryEvent;

use crate::activity::ActivityInfo;
use crate::data::Failure;
use crate::executor::Definition;

/// Watches the workers of a test environment.
pub(crate) trait Observer: Send + Sync {
    /// A task begins. `events` are those of the task, or a page of the whole history.
    fn task_begins(&self, workflow_id: &str, run_id: &str, definition: &Arc<dyn Definition>, events: &[HistoryEvent]);
    /// A task failed; the server offers it again.
    fn task_failed(&self, workflow_id: &str, run_id: &str, failure: &Failure);
    /// An attempt failed of an activity that is retried without a limit.
    fn attempt_failed(&self, info: &ActivityInfo, failure: &Failure);
    /// The server has accepted the task that closes a run.
    fn run_closed(&self, workflow_id: &str, run_id: &str);
}
