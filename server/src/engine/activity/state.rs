//! The state of an activity that has not finished, and of its started attempt.

use std::sync::Arc;
use std::time::Duration;

use crate::api::common::{Payloads, Priority};
use crate::api::failure::Failure;
use crate::api::history::ActivityTaskScheduledEventAttributes;
use crate::engine::event::{Attributes, EventId};
use crate::engine::retry::RetryPolicy;
use crate::engine::time::{Time, duration};

/// Deadlines of an activity. Deadlines due at the same time happen in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ActivityDeadline {
    /// The backoff before the next attempt ends.
    Retry,
    StartToClose,
    ScheduleToStart,
    ScheduleToClose,
    Heartbeat,
}

/// An attempt that a worker has started.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) time: Time,
    pub(crate) request_id: Arc<str>,
    pub(crate) identity: Arc<str>,
}

/// The request that paused an activity.
#[derive(Clone, Debug)]
pub(crate) struct Pause {
    pub(crate) time: Time,
    pub(crate) identity: Arc<str>,
    pub(crate) reason: Arc<str>,
    pub(crate) request_id: Arc<str>,
}

/// An activity that has not finished.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    pub(crate) scheduled_event_id: EventId,
    pub(crate) activity_id: Arc<str>,
    pub(crate) activity_type: Arc<str>,
    pub(crate) task_queue: Arc<str>,
    /// Zero means no timeout, for all four.
    pub(crate) schedule_to_close: Duration,
    pub(crate) schedule_to_start: Duration,
    pub(crate) start_to_close: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) retry: Arc<RetryPolicy>,
    pub(crate) priority: Option<Priority>,
    pub(crate) first_scheduled: Time,
    /// When the current attempt is due; in the future while the activity backs off.
    pub(crate) scheduled: Time,
    /// Whether the current attempt waits for the end of its backoff.
    pub(crate) backing_off: bool,
    pub(crate) attempt: i32,
    pub(crate) started: Option<Attempt>,
    /// The event that requested cancellation.
    pub(crate) cancel_requested: Option<EventId>,
    pub(crate) heartbeat_details: Option<Payloads>,
    pub(crate) last_heartbeat: Option<Time>,
    pub(crate) last_failure: Option<Failure>,
    pub(crate) last_identity: Arc<str>,
    pub(crate) last_attempt_complete: Option<Time>,
    /// While it is paused, no attempt starts and no timeout counts.
    pub(crate) paused: Option<Pause>,
    /// Whether it was reset while an attempt ran, which its next heartbeat reports.
    pub(crate) reset: bool,
    /// Whether the attempt after that one begins without heartbeat details.
    pub(crate) reset_heartbeat: bool,
}

impl Activity {
    pub(super) fn forget_heartbeats(&mut self) {
        self.heartbeat_details = None;
        self.last_heartbeat = None;
    }

    /// Completes a reset: another attempt begins.
    pub(super) fn end_reset(&mut self) {
        if self.reset_heartbeat {
            self.forget_heartbeats();
        }
        self.reset = false;
        self.reset_heartbeat = false;
    }

    /// Creates an activity from its scheduled event; it waits for its first attempt.
    ///
    /// # Errors
    ///
    /// Returns a description of the invalid retry policy or timeout.
    pub(in crate::engine) fn of_event(
        id: EventId,
        time: Time,
        scheduled: &ActivityTaskScheduledEventAttributes,
    ) -> Result<Self, String> {
        let read = |wire: &Option<prost_types::Duration>| {
            duration(wire.as_ref()).map_err(|error| format!("a timeout of activity {}: {error}", scheduled.activity_id))
        };
        let name = |name: &str| Arc::<str>::from(name);
        Ok(Self {
            scheduled_event_id: id,
            activity_id: name(&scheduled.activity_id),
            activity_type: name(scheduled.activity_type.as_ref().map_or("", |kind| &kind.name)),
            task_queue: name(scheduled.task_queue.as_ref().map_or("", |queue| &queue.name)),
            schedule_to_close: read(&scheduled.schedule_to_close_timeout)?,
            schedule_to_start: read(&scheduled.schedule_to_start_timeout)?,
            start_to_close: read(&scheduled.start_to_close_timeout)?,
            heartbeat: read(&scheduled.heartbeat_timeout)?,
            retry: Arc::new(RetryPolicy::read(scheduled.retry_policy.as_ref())?),
            priority: scheduled.priority.clone(),
            first_scheduled: time,
            scheduled: time,
            backing_off: false,
            attempt: 1,
            started: None,
            cancel_requested: None,
            heartbeat_details: None,
            last_heartbeat: None,
            last_failure: None,
            last_identity: name(""),
            last_attempt_complete: None,
            paused: None,
            reset: false,
            reset_heartbeat: false,
        })
    }

    /// The time after which no attempt starts.
    pub(crate) fn expiration(&self) -> Option<Time> {
        (!self.schedule_to_close.is_zero()).then(|| self.first_scheduled + self.schedule_to_close)
    }

    pub(in crate::engine) fn deadlines(&self) -> impl Iterator<Item = (Time, ActivityDeadline)> {
        let timeout = |from: Time, after: Duration, kind| (!after.is_zero()).then(|| (from + after, kind));
        let total = timeout(self.first_scheduled, self.schedule_to_close, ActivityDeadline::ScheduleToClose);
        let [one, other] = match &self.started {
            Some(attempt) => [
                timeout(attempt.time, self.start_to_close, ActivityDeadline::StartToClose),
                timeout(
                    self.last_heartbeat.unwrap_or_default().max(attempt.time),
                    self.heartbeat,
                    ActivityDeadline::Heartbeat,
                ),
            ],
            None if self.backing_off => [Some((self.scheduled, ActivityDeadline::Retry)), None],
            None => [timeout(self.scheduled, self.schedule_to_start, ActivityDeadline::ScheduleToStart), None],
        };
        let counts = self.paused.is_none();
        [total, one, other].into_iter().flatten().filter(move |_| counts)
    }
}

/// Returns the scheduled event of the activity that `event` finishes.
pub(super) fn finished_activity(event: &Attributes) -> Option<EventId> {
    match event {
        Attributes::ActivityTaskCompletedEventAttributes(it) => Some(it.scheduled_event_id),
        Attributes::ActivityTaskFailedEventAttributes(it) => Some(it.scheduled_event_id),
        Attributes::ActivityTaskTimedOutEventAttributes(it) => Some(it.scheduled_event_id),
        Attributes::ActivityTaskCanceledEventAttributes(it) => Some(it.scheduled_event_id),
        _ => None,
    }
}
