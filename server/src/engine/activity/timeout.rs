//! Timeouts of attempts, and retries.

use prost::Message as _;

use crate::api::enums::{RetryState, TimeoutType};
use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{ApplicationFailureInfo, Failure, TimeoutFailureInfo};
use crate::api::history::ActivityTaskTimedOutEventAttributes;
use crate::engine::activity::state::{Activity, ActivityDeadline};
use crate::engine::event::EventId;
use crate::engine::retry::timeout_name;
use crate::engine::run::Run;
use crate::engine::time::Time;
use crate::limits::KEPT_FAILURE_BYTES_MAX;

impl Run {
    /// Handles a deadline of an activity.
    pub(in crate::engine) fn activity_deadline(&mut self, id: EventId, kind: ActivityDeadline, now: Time) {
        let timeout = match kind {
            ActivityDeadline::Retry => {
                self.change_activity(id, |activity| activity.backing_off = false);
                self.offer_activity(id);
                return;
            }
            ActivityDeadline::StartToClose => TimeoutType::StartToClose,
            ActivityDeadline::ScheduleToStart => TimeoutType::ScheduleToStart,
            ActivityDeadline::ScheduleToClose => TimeoutType::ScheduleToClose,
            ActivityDeadline::Heartbeat => TimeoutType::Heartbeat,
        };
        self.time_out_attempt(id, timeout, format!("activity {} timeout", timeout_name(timeout)), now);
    }

    /// Ends the started attempt as timed out, because the process that ran it has ended.
    pub(in crate::engine) fn lose_attempt(&mut self, id: EventId, now: Time) {
        let Some(activity) = self.state.activities.get(&id) else { return };
        let message = format!(
            "activity {} timeout: the process that ran attempt {} ended before the attempt did",
            timeout_name(TimeoutType::StartToClose),
            activity.attempt
        );
        self.time_out_attempt(id, TimeoutType::StartToClose, message, now);
    }

    /// Ends the current attempt as timed out; if it was the last one, the activity finishes.
    fn time_out_attempt(&mut self, id: EventId, timeout: TimeoutType, message: String, now: Time) {
        let mut failure = timeout_failure(message, timeout);
        let Err(retry_state) = self.retry_activity(id, &failure, now) else { return };
        let Some(activity) = self.state.activities.get(&id).cloned() else { return };
        if retry_state == RetryState::Timeout && timeout != TimeoutType::ScheduleToStart {
            failure = timeout_failure(
                "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying"
                    .to_owned(),
                TimeoutType::ScheduleToClose,
            );
        }
        if let Some(FailureInfo::TimeoutFailureInfo(info)) = &mut failure.failure_info {
            info.last_heartbeat_details = activity.heartbeat_details.clone();
        }
        failure.cause = activity.last_failure.clone().map(Box::new);
        let started_event_id = self.write_activity_started(id);
        self.append(
            now,
            ActivityTaskTimedOutEventAttributes {
                failure: Some(failure),
                scheduled_event_id: id,
                started_event_id,
                retry_state: retry_state as i32,
            },
        );
        self.ensure_workflow_task(now);
    }

    /// Schedules the next attempt, or returns the reason why there is none.
    pub(super) fn retry_activity(&mut self, id: EventId, failure: &Failure, now: Time) -> Result<(), RetryState> {
        let Some(activity) = self.state.activities.get(&id).cloned() else {
            return Err(RetryState::InternalServerError);
        };
        self.change_activity(id, |activity| activity.last_attempt_complete = Some(now));
        if activity.cancel_requested.is_some() {
            return Err(RetryState::CancelRequested);
        }
        if activity.paused.is_some() {
            activity.retry.check_failure(failure)?;
            self.change_activity(id, |activity| {
                activity.attempt += 1;
                activity.end_attempt(failure);
            });
            return Ok(());
        }
        let wait = activity.retry.next_attempt(activity.attempt, failure, now, activity.expiration())?;
        self.change_activity(id, |activity| {
            activity.attempt += 1;
            activity.scheduled = now + wait;
            activity.backing_off = true;
            activity.end_attempt(failure);
            activity.end_reset();
        });
        Ok(())
    }
}

impl Activity {
    /// Ends the started attempt, which another one follows.
    fn end_attempt(&mut self, failure: &Failure) {
        if let Some(attempt) = self.started.take() {
            self.last_identity = attempt.identity;
        }
        self.last_failure = Some(shortened(failure));
    }
}

fn timeout_failure(message: String, timeout: TimeoutType) -> Failure {
    Failure {
        message,
        source: "Server".to_owned(),
        failure_info: Some(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
            timeout_type: timeout as i32,
            last_heartbeat_details: None,
        })),
        ..Default::default()
    }
}

/// Shortens a failure for keeping until the next attempt: a large failure loses everything except its message and type.
pub(super) fn shortened(failure: &Failure) -> Failure {
    if failure.encoded_len() <= KEPT_FAILURE_BYTES_MAX {
        return failure.clone();
    }
    let cut = |text: &str| {
        let end = (0..=KEPT_FAILURE_BYTES_MAX / 2).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.get(..end).unwrap_or(text).to_owned()
    };
    let failure_info = match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
                r#type: cut(&info.r#type),
                non_retryable: info.non_retryable,
                ..Default::default()
            }))
        }
        _ => None,
    };
    Failure { message: cut(&failure.message), source: failure.source.clone(), failure_info, ..Default::default() }
}
