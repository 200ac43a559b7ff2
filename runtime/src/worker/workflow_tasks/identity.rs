//! Identities of workflow tasks.

use std::sync::Arc;

use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::time::Instant;

/// Identifies a workflow task in calls and messages.
pub(super) struct TaskIdentity {
    pub(super) workflow_id: String,
    pub(super) run_id: Arc<str>,
    pub(super) workflow_type: String,
    pub(super) attempt: u32,
    /// When the worker received it.
    pub(super) received: Instant,
    /// Whether the task came without the events that this worker has had. If it fails, the server offers it once more as a first
    /// attempt, with the whole history.
    pub(super) is_partial: bool,
}

impl TaskIdentity {
    pub(super) fn of(task: &wire::PollWorkflowTaskQueueResponse) -> Self {
        let execution = task.workflow_execution.clone().unwrap_or_default();
        Self {
            workflow_id: execution.workflow_id,
            run_id: execution.run_id.into(),
            workflow_type: task.workflow_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
            attempt: task.attempt.max(1).unsigned_abs(),
            received: Instant::now(),
            is_partial: task
                .history
                .as_ref()
                .and_then(|history| history.events.first())
                .is_some_and(|event| event.event_id > 1),
        }
    }
}
