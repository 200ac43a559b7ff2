//! Responses to activity tasks.

use bytes::Bytes;
use everloop_proto::temporal::api::workflowservice::v1 as wire;

use super::runner::ActivityRunner;
use crate::activity::ActivityInfo;
use crate::data::{ErrorCategory, Failure, FailureKind, Payloads};
use crate::errors::ActivityError;
use crate::notice::say_unless_heard;
use crate::raw;
use crate::worker::link::Owner;
use crate::worker::send_error::SendError;
use crate::worker::unsent::shortened;

/// From this attempt on, failures are reported to programs without a log, each time their number has doubled.
const ATTEMPTS_BEFORE_A_NOTICE: u32 = 4;

/// The type of the failure of an activity that the worker does not know.
pub(super) const NOT_REGISTERED: &str = "ActivityNotRegistered";

/// The outcome of an attempt.
pub(super) enum AttemptOutcome {
    Completed(raw::Payload),
    Cancelled(Failure),
    /// The failure, and the details of heartbeats that were not sent.
    Failed(Failure, Option<Payloads>),
}

impl ActivityRunner {
    /// Sends the outcome to the server. An outcome that cannot be sent becomes a failure, or a cancellation without details.
    pub(super) async fn answer(&self, info: &ActivityInfo, token: Bytes, outcome: AttemptOutcome) {
        let (link, owner) = (&self.link, Owner::Activity(info));
        let unsent = |error: &SendError| {
            let ActivityInfo { activity_type, workflow_id, .. } = info;
            say_unless_heard(|| {
                format!("what the activity `{activity_type}` of `{workflow_id}` returned cannot be sent: {error}")
            });
        };
        let sent = match outcome {
            AttemptOutcome::Completed(result) => {
                let failed = |error: &SendError| {
                    unsent(error);
                    self.failed(info, &token, error.failure_of("the activity's result"), None)
                };
                link.send_or(owner, self.completed(&token, result), failed).await
            }
            AttemptOutcome::Cancelled(failure) => {
                let without_details = |error: &SendError| {
                    unsent(error);
                    let message = format!("the activity was cancelled (the details cannot be sent: {error})");
                    self.cancelled(&token, &Failure::cancelled(message))
                };
                link.send_or(owner, self.cancelled(&token, &failure), without_details).await
            }
            AttemptOutcome::Failed(failure, details) => {
                let short = |error: &SendError| {
                    unsent(error);
                    self.failed(info, &token, shortened(&failure, error), None)
                };
                link.send_or(owner, self.failed(info, &token, failure.clone(), details), short).await
            }
        };
        if let Err(error) = sent {
            let ActivityInfo { activity_type, activity_id, workflow_id, run_id, .. } = info;
            error.report(format_args!("the activity `{activity_type}` ({activity_id})"), workflow_id, run_id);
        }
    }

    fn completed(&self, token: &Bytes, result: raw::Payload) -> wire::RespondActivityTaskCompletedRequest {
        wire::RespondActivityTaskCompletedRequest {
            task_token: token.clone(),
            result: Some(raw::Payloads { payloads: vec![result] }),
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            ..Default::default()
        }
    }

    fn cancelled(&self, token: &Bytes, failure: &Failure) -> wire::RespondActivityTaskCanceledRequest {
        wire::RespondActivityTaskCanceledRequest {
            task_token: token.clone(),
            details: failure.details().cloned().and_then(Payloads::into_wire),
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            ..Default::default()
        }
    }

    fn failed(
        &self,
        info: &ActivityInfo,
        token: &Bytes,
        failure: Failure,
        details: Option<Payloads>,
    ) -> wire::RespondActivityTaskFailedRequest {
        let failure = ActivityError::reportable(failure);
        warn_failed(info, &failure);
        wire::RespondActivityTaskFailedRequest {
            task_token: token.clone(),
            failure: Some(failure.into_wire()),
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            last_heartbeat_details: details.and_then(Payloads::into_wire),
            ..Default::default()
        }
    }
}

/// Logs a failed attempt.
pub(crate) fn warn_failed(info: &ActivityInfo, failure: &Failure) {
    let is_final = matches!(failure.kind, FailureKind::Application { non_retryable: true, .. });
    let next = if is_final { "it is final" } else { "it is tried again as its retry policy says" };
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                workflow_id = info.workflow_id, run_id = info.run_id, activity_type = info.activity_type,
                activity_id = info.activity_id, attempt = info.attempt, cause = %failure,
                "an activity attempt failed; {next}"
            )
        };
    }
    // A later attempt fails alike, and a skipping clock makes thousands of them a second.
    let is_repeated = failure.type_name() == Some(NOT_REGISTERED) && info.attempt > 1;
    if is_repeated || failure.category() == ErrorCategory::Benign {
        return log!(debug);
    }
    log!(warn);
    // Retries handle a few failures. An activity that keeps failing makes its workflow wait.
    if !is_final && info.attempt >= ATTEMPTS_BEFORE_A_NOTICE && info.attempt.is_power_of_two() {
        say_unless_heard(|| {
            let ActivityInfo { activity_type, workflow_id, attempt, .. } = info;
            format!(
                "the activity `{activity_type}` of `{workflow_id}` has failed {attempt} times, the last time with: {failure}"
            )
        });
    }
}
