//! One attempt of an activity.

use std::sync::Arc;

use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::sync::watch;

use super::answer::{AttemptOutcome, NOT_REGISTERED};
use super::runner::ActivityRunner;
use crate::activity::{ActivityCancelReason, ActivityContext, ActivityInfo, ContextSignals, Heartbeats};
use crate::data::{Failure, FailureKind, Payloads};
use crate::errors::ActivityError;
use crate::executor::listed;
use crate::notice::say_unless_heard;
use crate::worker::link::Owner;
use crate::worker::logging;

/// The failure of an attempt. One that stopped when it was told to says why; nothing but a request of its workflow ends an activity
/// as cancelled.
fn stopped(error: ActivityError, reason: Option<ActivityCancelReason>) -> Failure {
    let (is_cancelled, failure) = (error.is_cancelled(), error.into_failure());
    match reason {
        Some(reason) if is_cancelled => {
            let message = format!("{}: {reason}", failure.message);
            Failure::application("ActivityStopped", message).caused_by(failure)
        }
        _ => failure,
    }
}

impl ActivityRunner {
    pub(super) async fn run(&self, mut task: wire::PollActivityTaskQueueResponse) {
        let token = std::mem::take(&mut task.task_token);
        let is_unbounded = task.retry_policy.as_ref().is_none_or(|policy| policy.maximum_attempts == 0);
        // The task names its workflow.
        if let Err(error) = self.link.decode(Owner::Workflow(""), &mut task).await {
            let info = self.info(&task, &token);
            let failure = Failure::application("PayloadCodecError", error.to_string());
            return self.answer(&info, token, AttemptOutcome::Failed(failure, None)).await;
        }
        let info = self.info(&task, &token);
        let input = task.input.take().map(|input| input.payloads).unwrap_or_default();
        let Some(activity) = self.registry.activity(&info.activity_type) else {
            let known = self.registry.activity_names();
            let message = format!(
                "the activity type `{}` is not registered with this worker, where there are: {}; register it, or call it with \
                 the task queue of a worker that has it",
                info.activity_type,
                listed(&known)
            );
            if info.attempt == 1 {
                say_unless_heard(|| format!("an activity of `{}` fails again and again: {message}", info.workflow_id));
            }
            let failure = Failure::application(NOT_REGISTERED, message);
            self.observe_failure(&info, is_unbounded, &failure);
            return self.answer(&info, token, AttemptOutcome::Failed(failure, None)).await;
        };
        let (cancel, cancelled) = watch::channel(None);
        let beats = Arc::new(Heartbeats::default());
        let signals = ContextSignals { cancelled, shutdown: self.shutdown.clone(), beats: beats.clone() };
        let last_details = Payloads::from_wire(task.heartbeat_details.take());
        let mut last_sent = activity.auto_heartbeat.then(|| last_details.clone());
        let context = ActivityContext::new(info.clone(), last_details, signals);
        let span = logging::of_activity(&info);
        let body = self.intercepted(&info, activity, context.clone(), &beats, input, span);
        let ended = tokio::select! {
            ended = body => ended,
            // The activity handles a cancellation itself. Only heartbeats that cannot be sent end the attempt.
            failed = self.watch(&info, &token, &cancel, &beats, &mut last_sent) => failed,
        };
        let completes_later = ended.as_ref().is_err_and(ActivityError::completes_later);
        if completes_later {
            // Nothing else would send the details that have not been sent yet.
            if let Some(details) = beats.take()
                && let Err(error) = self.heartbeat(&info, &token, details).await
            {
                tracing::debug!(%error, "the last heartbeat of an activity that is completed later was not sent");
            }
            return;
        }
        let ended = match ended {
            Ok(result) => AttemptOutcome::Completed(result),
            Err(error) if error.is_cancelled() && *cancel.borrow() == Some(ActivityCancelReason::Requested) => {
                AttemptOutcome::Cancelled(error.into_failure())
            }
            // The failure includes details that have not been sent yet, for the next attempt.
            Err(error) => {
                let failure = stopped(error, *cancel.borrow());
                self.observe_failure(&info, is_unbounded, &failure);
                AttemptOutcome::Failed(failure, beats.take().or(last_sent))
            }
        };
        self.answer(&info, token, ended).await;
    }

    /// Reports a failed attempt to the observer, if the activity has no limit on attempts.
    pub(crate) fn observe_failure(&self, info: &ActivityInfo, is_unbounded: bool, failure: &Failure) {
        let is_final = matches!(failure.kind, FailureKind::Application { non_retryable: true, .. });
        if let Some(observer) = self.observer.as_ref().filter(|_| is_unbounded && !is_final) {
            observer.attempt_failed(info, failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_stopped_when_told_to_says_why() {
        let failure = stopped(ActivityError::cancelled(), Some(ActivityCancelReason::Paused));
        let text = "ActivityStopped: the activity was cancelled: paused: the activity was cancelled";
        assert_eq!(failure.to_string(), text);
        let failure = stopped(ActivityError::new("broken"), Some(ActivityCancelReason::Paused));
        assert_eq!(failure.to_string(), "broken");
        assert!(stopped(ActivityError::cancelled(), None).is_cancelled());
    }
}
