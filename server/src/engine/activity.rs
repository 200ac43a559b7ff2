//! Activities of one run, from the command that schedules them to the event that finishes them.

use std::sync::Arc;
use std::time::Duration;

use super::commands::{NOT_STARTED, text_payload};
use super::error::Refusal;
use super::event::{Attributes, BUFFERED, EventId, event};
use super::payload::own_all;
use super::retry::{RetryPolicy, timeout_name};
use super::run::{Deadline, Offer, Run};
use super::time::{Time, duration, wire_duration};
use super::workflow_task::HISTORY_SERVICE;
use crate::api::common::{ActivityType, Payloads, Priority, WorkflowType};
use crate::api::enums::{RetryState, TimeoutType};
use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{ApplicationFailureInfo, Failure, ServerFailureInfo, TimeoutFailureInfo};
use crate::api::history::{
    ActivityTaskCanceledEventAttributes, ActivityTaskCompletedEventAttributes, ActivityTaskFailedEventAttributes,
    ActivityTaskScheduledEventAttributes, ActivityTaskStartedEventAttributes, ActivityTaskTimedOutEventAttributes,
};
use crate::api::workflowservice::PollActivityTaskQueueResponse;

/// Larger results and details are refused.
pub(crate) const BLOB_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Of a failed attempt's failure, this much is kept for the next one.
const KEPT_FAILURE_BYTES_MAX: usize = 4 * 1024;

/// The times that matter to an activity. Due together, they happen in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ActivityDeadline {
    /// The pause before the next attempt is over.
    Retry,
    StartToClose,
    ScheduleToStart,
    ScheduleToClose,
    Heartbeat,
}

/// An attempt that a worker has.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) time: Time,
    pub(crate) request_id: Arc<str>,
    pub(crate) identity: Arc<str>,
}

/// An activity that has not finished.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    pub(crate) scheduled_event_id: EventId,
    pub(crate) activity_id: Arc<str>,
    pub(crate) activity_type: Arc<str>,
    pub(crate) task_queue: Arc<str>,
    /// Zero means none, for all four.
    pub(crate) schedule_to_close: Duration,
    pub(crate) schedule_to_start: Duration,
    pub(crate) start_to_close: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) retry: Arc<RetryPolicy>,
    pub(crate) priority: Option<Priority>,
    pub(crate) first_scheduled: Time,
    /// Of the current attempt; in the future while it waits for its time.
    pub(crate) scheduled: Time,
    /// Whether the current attempt waits for its time.
    pub(crate) backing_off: bool,
    pub(crate) attempt: i32,
    pub(crate) started: Option<Attempt>,
    /// The event that asked for cancellation.
    pub(crate) cancel_requested: Option<EventId>,
    pub(crate) heartbeat_details: Option<Payloads>,
    pub(crate) last_heartbeat: Option<Time>,
    pub(crate) last_failure: Option<Failure>,
    pub(crate) last_identity: Arc<str>,
    pub(crate) last_attempt_complete: Option<Time>,
}

impl Activity {
    /// The activity that a scheduled event tells of, waiting for its first attempt.
    ///
    /// # Errors
    ///
    /// What is wrong with the event's retry policy or timeouts.
    pub(super) fn of_event(
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
        })
    }

    /// After this moment there is no further attempt.
    pub(crate) fn expiration(&self) -> Option<Time> {
        (!self.schedule_to_close.is_zero()).then(|| self.first_scheduled + self.schedule_to_close)
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = (Time, ActivityDeadline)> {
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
        [total, one, other].into_iter().flatten()
    }
}

/// How a caller names an activity.
#[derive(Clone, Debug)]
pub(crate) enum ActivityRef {
    /// By the token of one attempt.
    Attempt { scheduled_event_id: EventId, attempt: i32 },
    /// By id, whichever attempt it is.
    Id(String),
}

impl Run {
    /// Adds an activity that a command scheduled.
    pub(super) fn insert_activity(&mut self, activity: Activity) {
        self.state.activity_ids.insert(activity.activity_id.clone(), activity.scheduled_event_id);
        for (at, kind) in activity.deadlines() {
            self.arm(at, Deadline::Activity(activity.scheduled_event_id, kind));
        }
        self.state.activities.insert(activity.scheduled_event_id, Arc::new(activity));
    }

    /// Puts the activity's current attempt on its task queue.
    pub(super) fn offer_activity(&mut self, scheduled_event_id: EventId) {
        if let Some(activity) = self.state.activities.get(&scheduled_event_id) {
            let offer = Offer::ActivityTask {
                scheduled_event_id,
                attempt: activity.attempt,
                queue: activity.task_queue.clone(),
            };
            self.offer(offer);
        }
    }

    /// Changes an activity and moves its deadlines along.
    pub(super) fn change_activity(&mut self, scheduled_event_id: EventId, change: impl FnOnce(&mut Activity)) {
        let Some(mut activity) = self.state.activities.remove(&scheduled_event_id) else { return };
        for (at, kind) in activity.deadlines() {
            self.disarm(at, Deadline::Activity(scheduled_event_id, kind));
        }
        change(Arc::make_mut(&mut activity));
        self.touch_overlay();
        for (at, kind) in activity.deadlines() {
            self.arm(at, Deadline::Activity(scheduled_event_id, kind));
        }
        self.state.activities.insert(scheduled_event_id, activity);
    }

    pub(super) fn remove_activity(&mut self, scheduled_event_id: EventId) -> Option<Arc<Activity>> {
        let activity = self.state.activities.remove(&scheduled_event_id)?;
        self.state.activity_ids.remove(&activity.activity_id);
        self.touch_overlay();
        for (at, kind) in activity.deadlines() {
            self.disarm(at, Deadline::Activity(scheduled_event_id, kind));
        }
        Some(activity)
    }

    /// A worker takes the attempt.
    ///
    /// The event is written when the attempt finishes the activity, so that retries do not fill the history.
    pub(crate) fn start_activity(
        &mut self,
        scheduled_event_id: EventId,
        attempt: i32,
        request_id: Arc<str>,
        identity: &str,
        now: Time,
    ) -> Result<PollActivityTaskQueueResponse, Refusal> {
        let not_to_be_had = || Err(Refusal::unknown_activity());
        let Some(activity) = self.state.activities.get(&scheduled_event_id) else { return not_to_be_had() };
        if !self.is_open() || activity.started.is_some() || activity.backing_off || activity.attempt != attempt {
            return not_to_be_had();
        }
        let started = Attempt { time: now, request_id, identity: identity.into() };
        let task = self.task_of(activity, &started)?;
        self.change_activity(scheduled_event_id, |activity| activity.started = Some(started));
        Ok(task)
    }

    /// The attempt did not reach its worker: it is offered again, as the same attempt. One that the workflow has canceled
    /// meanwhile is finished instead.
    pub(crate) fn return_activity(
        &mut self,
        scheduled_event_id: EventId,
        attempt: i32,
        request_id: &str,
        now: Time,
    ) -> Result<(), Refusal> {
        let is_it = |started: &Attempt| *started.request_id == *request_id;
        let activity = self.state.activities.get(&scheduled_event_id).filter(|activity| {
            self.is_open() && activity.attempt == attempt && activity.started.as_ref().is_some_and(is_it)
        });
        let cancel_requested = activity.ok_or_else(Refusal::unknown_activity)?.cancel_requested;
        self.change_activity(scheduled_event_id, |activity| activity.started = None);
        match cancel_requested {
            Some(requested) => {
                let (details, identity) = (Some(text_payload(NOT_STARTED)), HISTORY_SERVICE.to_owned());
                self.write_activity_canceled(scheduled_event_id, requested, details, identity, now);
                self.want_workflow_task(now);
            }
            None => self.offer_activity(scheduled_event_id),
        }
        Ok(())
    }

    /// What a worker needs to run the started attempt; the token is the caller's. `None` when no attempt is started.
    pub(crate) fn activity_task(
        &self,
        scheduled_event_id: EventId,
    ) -> Result<Option<PollActivityTaskQueueResponse>, Refusal> {
        let activity = self.state.activities.get(&scheduled_event_id);
        let started = activity.and_then(|activity| Some((activity, activity.started.as_ref()?)));
        started.map(|(activity, started)| self.task_of(activity, started)).transpose()
    }

    fn task_of(&self, activity: &Activity, started: &Attempt) -> Result<PollActivityTaskQueueResponse, Refusal> {
        let id = activity.scheduled_event_id;
        let damaged = |problem: &dyn std::fmt::Display| Refusal::damaged(&self.info.run_id, problem);
        let event = self.history.event_in_progress(id).map_err(|error| damaged(&error))?;
        let Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) = event.attributes else {
            return Err(damaged(&format!("event {id} schedules no activity")));
        };
        Ok(PollActivityTaskQueueResponse {
            workflow_namespace: self.info.namespace.to_string(),
            workflow_type: Some(WorkflowType { name: self.info.workflow_type.to_string() }),
            workflow_execution: Some(self.execution()),
            activity_type: Some(ActivityType { name: activity.activity_type.to_string() }),
            activity_id: activity.activity_id.to_string(),
            header: scheduled.header,
            input: scheduled.input,
            heartbeat_details: activity.heartbeat_details.clone(),
            scheduled_time: Some(activity.first_scheduled.into()),
            current_attempt_scheduled_time: Some(activity.scheduled.into()),
            started_time: Some(started.time.into()),
            attempt: activity.attempt,
            schedule_to_close_timeout: wire_duration(activity.schedule_to_close),
            start_to_close_timeout: wire_duration(activity.start_to_close),
            heartbeat_timeout: wire_duration(activity.heartbeat),
            retry_policy: Some(activity.retry.to_wire()),
            priority: activity.priority.clone(),
            ..Default::default()
        })
    }

    /// The worker reports a result.
    pub(crate) fn complete_activity(
        &mut self,
        which: &ActivityRef,
        result: Option<Payloads>,
        identity: String,
        now: Time,
    ) -> Result<(), Refusal> {
        use prost::Message as _;
        let id = self.reported_activity(which, matches!(which, ActivityRef::Id(_)))?;
        if result.as_ref().is_some_and(|result| result.encoded_len() > BLOB_BYTES_MAX) {
            let failure = server_failure("Complete result exceeds size limit.");
            return self.fail_activity(which, failure, None, identity, now).map(drop);
        }
        if self.state.activities.get(&id).is_some_and(|activity| activity.started.is_none()) {
            // Completed by id before a worker took it: whoever completed it counts as having started it.
            let by: Arc<str> = identity.as_str().into();
            self.change_activity(id, |activity| {
                activity.started = Some(Attempt { time: now, request_id: "".into(), identity: by });
            });
        }
        let started_event_id = self.write_activity_started(id);
        self.remove_activity(id);
        self.append(
            now,
            ActivityTaskCompletedEventAttributes {
                result,
                scheduled_event_id: id,
                started_event_id,
                identity,
                ..Default::default()
            },
        );
        self.want_workflow_task(now);
        Ok(())
    }

    /// The worker reports a failure; returns whether another attempt follows.
    pub(crate) fn fail_activity(
        &mut self,
        which: &ActivityRef,
        failure: Failure,
        heartbeat_details: Option<Payloads>,
        identity: String,
        now: Time,
    ) -> Result<bool, Refusal> {
        use prost::Message as _;
        let id = self.reported_activity(which, false)?;
        let failure = if failure.encoded_len() > BLOB_BYTES_MAX {
            let cause = Some(Box::new(shortened(&failure)));
            Failure { cause, ..server_failure("Failure exceeds size limit.") }
        } else {
            failure
        };
        if heartbeat_details.is_some() {
            self.change_activity(id, |activity| {
                activity.heartbeat_details = heartbeat_details.as_ref().map(own_all);
                activity.last_heartbeat = Some(now);
            });
        }
        let retry_state = match self.retry_activity(id, &failure, now) {
            Ok(()) => return Ok(true),
            Err(state) => state,
        };
        let started_event_id = self.write_activity_started(id);
        self.remove_activity(id);
        self.append(
            now,
            ActivityTaskFailedEventAttributes {
                failure: Some(failure),
                scheduled_event_id: id,
                started_event_id,
                identity,
                retry_state: retry_state as i32,
                ..Default::default()
            },
        );
        self.want_workflow_task(now);
        Ok(false)
    }

    /// The worker reports that the attempt ended because the workflow asked for it.
    pub(crate) fn cancel_activity(
        &mut self,
        which: &ActivityRef,
        details: Option<Payloads>,
        identity: String,
        now: Time,
    ) -> Result<(), Refusal> {
        let id = self.reported_activity(which, false)?;
        let Some(requested) = self.state.activities.get(&id).and_then(|activity| activity.cancel_requested) else {
            return Err(Refusal::invalid("ActivityTask cancellation was not requested."));
        };
        self.write_activity_canceled(id, requested, details, identity, now);
        self.want_workflow_task(now);
        Ok(())
    }

    /// Finishes an activity as canceled, without asking for a workflow task.
    pub(super) fn write_activity_canceled(
        &mut self,
        id: EventId,
        requested: EventId,
        details: Option<Payloads>,
        identity: String,
        now: Time,
    ) {
        let started_event_id = self.write_activity_started(id);
        self.remove_activity(id);
        self.append(
            now,
            ActivityTaskCanceledEventAttributes {
                details,
                latest_cancel_requested_event_id: requested,
                scheduled_event_id: id,
                started_event_id,
                identity,
                ..Default::default()
            },
        );
    }

    /// The worker is alive; returns whether the workflow wants the activity canceled.
    pub(crate) fn heartbeat_activity(
        &mut self,
        which: &ActivityRef,
        details: Option<Payloads>,
        now: Time,
    ) -> Result<bool, Refusal> {
        use prost::Message as _;
        let id = self.reported_activity(which, false)?;
        if details.as_ref().is_some_and(|details| details.encoded_len() > BLOB_BYTES_MAX) {
            let failure = server_failure("Heartbeat details exceed size limit.");
            self.fail_activity(which, failure, None, String::new(), now)?;
            return Ok(true);
        }
        self.change_activity(id, |activity| {
            activity.last_heartbeat = Some(now);
            activity.heartbeat_details = details.as_ref().map(own_all);
        });
        Ok(self.state.activities.get(&id).is_some_and(|activity| activity.cancel_requested.is_some()))
    }

    /// An activity's time has come.
    pub(super) fn activity_deadline(&mut self, id: EventId, kind: ActivityDeadline, now: Time) {
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

    /// Counts the started attempt as timed out, because the process that ran it has ended.
    pub(super) fn lose_attempt(&mut self, id: EventId, now: Time) {
        let Some(activity) = self.state.activities.get(&id) else { return };
        let message = format!(
            "activity {} timeout: the process that ran attempt {} ended before the attempt did",
            timeout_name(TimeoutType::StartToClose),
            activity.attempt
        );
        self.time_out_attempt(id, TimeoutType::StartToClose, message, now);
    }

    /// Ends the current attempt as timed out, and the activity with it when the attempt was the last.
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
        self.remove_activity(id);
        self.append(
            now,
            ActivityTaskTimedOutEventAttributes {
                failure: Some(failure),
                scheduled_event_id: id,
                started_event_id,
                retry_state: retry_state as i32,
            },
        );
        self.want_workflow_task(now);
    }

    /// Plans the next attempt, or says why there is none.
    fn retry_activity(&mut self, id: EventId, failure: &Failure, now: Time) -> Result<(), RetryState> {
        let Some(activity) = self.state.activities.get(&id).cloned() else {
            return Err(RetryState::InternalServerError);
        };
        self.change_activity(id, |activity| activity.last_attempt_complete = Some(now));
        if activity.cancel_requested.is_some() {
            return Err(RetryState::CancelRequested);
        }
        let wait = activity.retry.next_attempt(activity.attempt, failure, now, activity.expiration())?;
        self.change_activity(id, |activity| {
            activity.attempt += 1;
            activity.scheduled = now + wait;
            activity.backing_off = true;
            if let Some(attempt) = activity.started.take() {
                activity.last_identity = attempt.identity;
            }
            activity.last_failure = Some(shortened(failure));
        });
        Ok(())
    }

    /// Writes the start of an attempt that is about to finish; 0 when no worker had taken it.
    fn write_activity_started(&mut self, id: EventId) -> EventId {
        let Some(activity) = self.state.activities.get(&id).cloned() else { return 0 };
        let Some(attempt) = &activity.started else { return 0 };
        let started = ActivityTaskStartedEventAttributes {
            scheduled_event_id: id,
            identity: attempt.identity.to_string(),
            request_id: attempt.request_id.to_string(),
            attempt: activity.attempt,
            last_failure: activity.last_failure.clone(),
            ..Default::default()
        };
        self.append_event(event(attempt.time, started));
        BUFFERED
    }

    /// The activity a report is about.
    fn reported_activity(&self, which: &ActivityRef, unstarted: bool) -> Result<EventId, Refusal> {
        if !self.is_open() {
            return Err(Refusal::closed());
        }
        let found = match which {
            ActivityRef::Attempt { scheduled_event_id, attempt } => {
                self.state.activities.get(scheduled_event_id).filter(|activity| activity.attempt == *attempt)
            }
            ActivityRef::Id(id) => {
                self.state.activity_ids.get(id.as_str()).and_then(|id| self.state.activities.get(id))
            }
        };
        match found {
            Some(activity) if unstarted || activity.started.is_some() => Ok(activity.scheduled_event_id),
            _ => Err(Refusal::unknown_activity()),
        }
    }
}

/// Whether a worker may report this failure.
pub(crate) fn check_reported_failure(failure: Option<&Failure>) -> Result<(), Refusal> {
    match failure.and_then(|failure| failure.failure_info.as_ref()) {
        Some(FailureInfo::ApplicationFailureInfo(_)) => Ok(()),
        None if failure.is_none() => Ok(()),
        _ => Err(Refusal::invalid("Failure must have ApplicationFailureInfo.")),
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

/// A final failure that the server itself decides on.
fn server_failure(message: &str) -> Failure {
    Failure {
        message: message.to_owned(),
        failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo { non_retryable: true })),
        ..Default::default()
    }
}

/// The part of a failure that is kept for the next attempt: large ones lose all but message and type.
fn shortened(failure: &Failure) -> Failure {
    use prost::Message as _;
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
