//! Failures of workflow tasks.

use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::WorkflowTaskFailedCause;
use everloop_proto::temporal::api::workflowservice::v1 as wire;

use super::identity::TaskIdentity;
use crate::data::Failure;
use crate::notice::say_unless_heard;
use crate::worker::link::Owner;
use crate::worker::send_error::SendError;
use crate::worker::shell::Shell;
use crate::worker::unsent::shortened;

/// The pause before the worker reports the failure of a second attempt; it doubles with each further attempt. The server offers
/// the task again at once, so without a pause the task would fail many times a second.
const FIRST_FAILURE_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_FAILURE_PAUSE: Duration = Duration::from_secs(60);

impl Shell {
    /// Reports a failed task to the log, the observer and the server.
    pub(super) async fn fail_task(
        &self,
        identity: &TaskIdentity,
        token: bytes::Bytes,
        cause: WorkflowTaskFailedCause,
        failure: Failure,
        slot: &mut Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Result<(), SendError> {
        self.warn_failed(identity, &failure, cause == WorkflowTaskFailedCause::GrpcMessageTooLarge);
        if let Some(observer) = &self.observer {
            observer.task_failed(&identity.workflow_id, &identity.run_id, &failure);
        }
        // Another task may have the slot during the pause.
        drop(slot.take());
        self.fail(identity, token, cause, failure).await
    }

    async fn fail(
        &self,
        identity: &TaskIdentity,
        task_token: bytes::Bytes,
        cause: WorkflowTaskFailedCause,
        failure: Failure,
    ) -> Result<(), SendError> {
        tokio::select! {
            () = tokio::time::sleep(failure_pause(identity.attempt)) => {}
            () = self.stop_polling.begin.cancelled() => {}
        }
        let failed = |failure: Failure| wire::RespondWorkflowTaskFailedRequest {
            task_token: task_token.clone(),
            cause: cause as i32,
            failure: Some(failure.into_wire()),
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            ..Default::default()
        };
        let owner = Owner::Workflow(&identity.workflow_id);
        self.link.send_or(owner, failed(failure.clone()), |error| failed(shortened(&failure, error))).await
    }

    pub(super) fn warn_failed(&self, identity: &TaskIdentity, failure: &Failure, is_final: bool) {
        let TaskIdentity { workflow_id, run_id, workflow_type, attempt, .. } = identity;
        let next = failure_pause(*attempt);
        if is_final {
            tracing::warn!(
                %workflow_id, %run_id, %workflow_type, attempt, cause = %failure,
                "a workflow task failed, and the server terminates the workflow: it cannot go on from there"
            );
            say_unless_heard(|| format!("the {workflow_type} `{workflow_id}` cannot go on: {failure}"));
            return;
        }
        tracing::warn!(
            %workflow_id, %run_id, %workflow_type, attempt, cause = %failure,
            "a workflow task failed; the workflow is not lost, the task is tried again {}",
            if next.is_zero() { "at once".to_owned() } else { format!("in {next:?}") }
        );
        if *attempt == 1 && !identity.is_partial {
            say_unless_heard(|| {
                format!("a task of the {workflow_type} `{workflow_id}` failed, and is tried again and again: {failure}")
            });
        }
    }
}

fn failure_pause(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        more => FIRST_FAILURE_PAUSE.saturating_mul(1 << (more - 2).min(10)).min(LONGEST_FAILURE_PAUSE),
    }
}
