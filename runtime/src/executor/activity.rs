//! One activity of one run: `Requested -> Scheduled -> Cancelling -> Closed`.

use std::time::Duration;

use everloop_proto::temporal::api::command::v1::ScheduleActivityTaskCommandAttributes;

use super::error::ReplayError;
use crate::data::{
    ActivityCancellationType, ActivityOptions, DEFAULT_START_TO_CLOSE_TIMEOUT, Failure, FailureKind, RetryState,
    duration_to_wire,
};
use crate::raw;

/// What a call asks for, before the run gives it an id.
pub(crate) struct ActivityRequest {
    pub(crate) activity_type: &'static str,
    /// The call's own, then what holds for the call.
    pub(crate) options: ActivityOptions,
    pub(crate) attribute: ActivityOptions,
    pub(crate) task_queue: Option<String>,
    pub(crate) activity_id: Option<String>,
    pub(crate) summary: Option<String>,
}

/// Each state holds what only it can know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Activity {
    pub(super) activity_type: &'static str,
    pub(super) activity_id: String,
    pub(super) cancellation: ActivityCancellationType,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The command is queued; history does not know it yet.
    Requested,
    Scheduled {
        event_id: i64,
    },
    /// It was asked to stop. `Some` where the command has an event to name.
    Cancelling {
        event_id: i64,
    },
    Closed,
}

/// What cancelling asks of the server, and whether the workflow goes on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CancelActivity {
    /// The command that schedules it has not left: take it back; the workflow goes on.
    Withdraw,
    /// Send a command.
    Command { scheduled_event_id: i64, goes_on: bool },
    /// Tell nobody; the workflow goes on.
    Abandon,
    /// It is over, or was cancelled before.
    Nothing,
}

impl Activity {
    /// History has the event that scheduled it.
    pub(super) fn scheduled(&mut self, event_id: i64) {
        if self.state == State::Requested {
            self.state = State::Scheduled { event_id };
        }
    }

    pub(super) fn closed(&mut self, event_id: i64) -> Result<(), ReplayError> {
        match self.state {
            State::Scheduled { .. } | State::Cancelling { .. } => {
                self.state = State::Closed;
                Ok(())
            }
            State::Requested => Err(ReplayError::invalid(event_id, "an activity closed before it was scheduled")),
            State::Closed => Err(ReplayError::invalid(event_id, "an activity closed twice")),
        }
    }

    pub(super) fn cancel(&mut self) -> CancelActivity {
        match self.state {
            State::Requested => {
                self.state = State::Closed;
                CancelActivity::Withdraw
            }
            State::Scheduled { .. } if self.cancellation == ActivityCancellationType::Abandon => {
                CancelActivity::Abandon
            }
            State::Scheduled { event_id } => {
                self.state = State::Cancelling { event_id };
                let goes_on = self.cancellation == ActivityCancellationType::TryCancel;
                CancelActivity::Command { scheduled_event_id: event_id, goes_on }
            }
            State::Cancelling { .. } | State::Closed => CancelActivity::Nothing,
        }
    }

    /// The failure of an activity, around why it failed.
    pub(super) fn failure(&self, cause: Failure, ended: Ended) -> Failure {
        let message = match &cause.kind {
            FailureKind::Cancelled { .. } => "the activity was cancelled",
            FailureKind::Timeout { .. } => "the activity timed out",
            _ => "the activity failed",
        };
        let kind = FailureKind::Activity {
            activity_type: self.activity_type.to_owned(),
            activity_id: self.activity_id.clone(),
            retry_state: ended.retry_state,
            scheduled_event_id: ended.scheduled_event_id,
            started_event_id: ended.started_event_id,
            identity: ended.identity,
        };
        Failure::new(message, kind).caused_by(cause)
    }

    /// The failure of an activity that the workflow cancelled without waiting for it.
    pub(super) fn cancelled(&self) -> Failure {
        let scheduled_event_id = match self.state {
            State::Scheduled { event_id } | State::Cancelling { event_id } => event_id,
            State::Requested | State::Closed => 0,
        };
        let ended = Ended { retry_state: RetryState::CancelRequested, scheduled_event_id, ..Ended::default() };
        self.failure(Failure::cancelled("cancelled by the workflow"), ended)
    }
}

/// What the closing event says about an activity.
pub(super) struct Ended {
    pub(super) retry_state: RetryState,
    pub(super) scheduled_event_id: i64,
    pub(super) started_event_id: i64,
    pub(super) identity: String,
}

impl Default for Ended {
    fn default() -> Self {
        let identity = String::new();
        Self { retry_state: RetryState::Unspecified, scheduled_event_id: 0, started_event_id: 0, identity }
    }
}

/// The command's attributes. `defaults` are the worker's, `task_queue` is the workflow's own.
pub(super) fn schedule_command(
    request: ActivityRequest,
    activity_id: String,
    input: Vec<raw::Payload>,
    task_queue: &str,
) -> ScheduleActivityTaskCommandAttributes {
    let mut options = request.options;
    if options.start_to_close_timeout.is_none() && options.schedule_to_close_timeout.is_none() {
        options.start_to_close_timeout = Some(DEFAULT_START_TO_CLOSE_TIMEOUT);
    }
    let duration = |limit: Option<Duration>| limit.map(duration_to_wire);
    ScheduleActivityTaskCommandAttributes {
        activity_id,
        activity_type: Some(raw::ActivityType { name: request.activity_type.to_owned() }),
        task_queue: Some(raw::TaskQueue {
            name: request.task_queue.unwrap_or_else(|| task_queue.to_owned()),
            ..Default::default()
        }),
        input: (!input.is_empty()).then_some(raw::Payloads { payloads: input }),
        start_to_close_timeout: duration(options.start_to_close_timeout),
        schedule_to_close_timeout: duration(options.schedule_to_close_timeout),
        schedule_to_start_timeout: duration(options.schedule_to_start_timeout),
        heartbeat_timeout: duration(options.heartbeat_timeout),
        retry_policy: options.retry_policy.map(|policy| policy.to_wire()),
        request_eager_execution: true,
        ..Default::default()
    }
}
