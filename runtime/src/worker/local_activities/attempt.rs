//! One attempt of a local activity.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::activity::{ActivityCancelReason, ActivityContext, ActivityInfo, ContextSignals, Heartbeats};
use crate::data::{Failure, FailureKind, Payloads, TimeoutType};
use crate::errors::ActivityError;
use crate::executor::LocalActivityTask;
use crate::raw;
use crate::worker::activity_tasks::{ActivityRunner, warn_failed};
use crate::worker::logging;

/// Sends an activity the reason to stop, unless it has one.
pub(super) fn tell(cancel: &watch::Sender<Option<ActivityCancelReason>>, reason: ActivityCancelReason) {
    cancel.send_if_modified(|known| {
        let is_new = known.is_none();
        known.get_or_insert(reason);
        is_new
    });
}

/// Waits until an activity has a reason to stop.
pub(super) async fn cancellation(
    cancelled: &mut watch::Receiver<Option<ActivityCancelReason>>,
) -> ActivityCancelReason {
    let reason = cancelled.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
    match reason {
        Some(reason) => reason,
        // The sender is gone, so no cancellation can come.
        None => std::future::pending().await,
    }
}

impl ActivityRunner {
    /// Runs one attempt, within the remaining time of all attempts.
    pub(super) async fn attempt_locally(
        &self,
        task: &LocalActivityTask,
        info: ActivityInfo,
        left: Option<Duration>,
        cancelled: &mut watch::Receiver<Option<ActivityCancelReason>>,
    ) -> Result<raw::Payload, Failure> {
        let (of_attempt, of_all) = (task.options.start_to_close_timeout, left);
        let (limit, timeout_type) = match (of_attempt, of_all) {
            (Some(one), Some(all)) if one < all => (Some(one), TimeoutType::StartToClose),
            (_, Some(all)) => (Some(all), TimeoutType::ScheduleToClose),
            (one, None) => (one, TimeoutType::StartToClose),
        };
        let expired = |timeout_type| {
            let message = format!("activity {} timeout", info.activity_type);
            let last_heartbeat_details = Payloads::new();
            Failure::new(message, FailureKind::Timeout { timeout_type, last_heartbeat_details })
        };
        let slot = tokio::select! {
            biased;
            () = passed(of_all) => return Err(expired(TimeoutType::ScheduleToClose)),
            _ = cancellation(cancelled) => return Err(Failure::cancelled("cancelled before it began")),
            slot = self.local_slots.clone().acquire_owned() => slot,
        };
        let (cancel, told) = watch::channel(None);
        // The heartbeats are not read, because the workflow's own worker runs the activity.
        let beats = Arc::new(Heartbeats::default());
        let signals = ContextSignals { cancelled: told, shutdown: self.shutdown.clone(), beats: beats.clone() };
        let context = ActivityContext::new(info.clone(), Payloads::new(), signals);
        let body = self.observed_body(task, &info, context, &beats);
        tokio::pin!(body);
        let out_of_time = passed(limit);
        tokio::pin!(out_of_time);
        let ended = loop {
            tokio::select! {
                ended = &mut body => break ended.map_err(|error| {
                    let is_asked_for = *cancel.borrow() == Some(ActivityCancelReason::Requested);
                    let failure = error.into_failure();
                    // Other cancellations than those that the workflow requested are failures.
                    if failure.is_cancelled() && is_asked_for { failure } else { ActivityError::reportable(failure) }
                }),
                () = &mut out_of_time => {
                    tell(&cancel, ActivityCancelReason::TimedOut);
                    break Err(expired(timeout_type));
                }
                // The activity handles a cancellation itself.
                reason = cancellation(cancelled), if cancel.borrow().is_none() => tell(&cancel, reason),
            }
        };
        drop(slot);
        let failure = match ended {
            Err(failure) if !failure.is_cancelled() => failure,
            ended => return ended,
        };
        let is_unbounded = task.options.retry_policy.unwrap_or_default().maximum_attempts.unwrap_or_default() == 0;
        self.observe_failure(&info, is_unbounded, &failure);
        warn_failed(&info, &failure);
        Err(failure)
    }

    /// Runs the activity's own code, with the interceptors around it.
    async fn observed_body(
        &self,
        task: &LocalActivityTask,
        info: &ActivityInfo,
        context: ActivityContext,
        beats: &Arc<Heartbeats>,
    ) -> Result<raw::Payload, ActivityError> {
        let Some(activity) = self.registry.activity(task.activity_type) else {
            return Err(ActivityError::new(format!("the activity `{}` is no longer registered", task.activity_type)));
        };
        let span = logging::of_activity(info);
        let ended = self.intercepted(info, activity, context, beats, task.input.clone(), span).await;
        match ended {
            Err(error) if error.completes_later() => Err(completes_later(info)),
            ended => ended,
        }
    }
}

/// Waits until a limit has passed; forever if there is none.
async fn passed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn completes_later(info: &ActivityInfo) -> ActivityError {
    ActivityError::non_retryable(format!(
        "the local activity `{}` is to be completed later, for which its workflow task cannot wait: call it without `local()`",
        info.activity_type
    ))
}
