//! Reports of workers about attempts.

use std::sync::Arc;

use prost::Message as _;

use crate::api::common::Payloads;
use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{Failure, ServerFailureInfo};
use crate::api::history::{
    ActivityTaskCanceledEventAttributes, ActivityTaskCompletedEventAttributes, ActivityTaskFailedEventAttributes,
    ActivityTaskStartedEventAttributes,
};
use crate::engine::activity::state::Attempt;
use crate::engine::activity::timeout::shortened;
use crate::engine::error::Refusal;
use crate::engine::event::{BUFFERED, EventId, event};
use crate::engine::payload::own_all;
use crate::engine::run::Run;
use crate::engine::time::Time;
use crate::limits::BLOB_BYTES_MAX;

/// How a caller names an activity.
#[derive(Clone, Debug)]
pub(crate) enum ActivityRef {
    /// By the token of one attempt.
    Attempt { scheduled_event_id: EventId, attempt: i32 },
    /// By id; the current attempt is meant.
    Id(String),
}

/// The content of the response to a heartbeat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeartbeatNews {
    pub(crate) cancel_requested: bool,
    pub(crate) paused: bool,
    pub(crate) reset: bool,
}

impl Run {
    /// Completes the activity with the worker's result.
    pub(crate) fn complete_activity(
        &mut self,
        which: &ActivityRef,
        result: Option<Payloads>,
        identity: String,
        now: Time,
    ) -> Result<(), Refusal> {
        let id = self.reported_activity(which, matches!(which, ActivityRef::Id(_)))?;
        if result.as_ref().is_some_and(|result| result.encoded_len() > BLOB_BYTES_MAX) {
            let failure = server_failure("Complete result exceeds size limit.");
            return self.fail_activity(which, failure, None, identity, now).map(drop);
        }
        if self.state.activities.get(&id).is_some_and(|activity| activity.started.is_none()) {
            // The activity was completed by id before a worker started it: its caller is recorded as the starter.
            let by: Arc<str> = identity.as_str().into();
            self.change_activity(id, |activity| {
                activity.started = Some(Attempt { time: now, request_id: "".into(), identity: by });
            });
        }
        let started_event_id = self.write_activity_started(id);
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
        self.ensure_workflow_task(now);
        Ok(())
    }

    /// Records the failure that a worker reports; returns whether another attempt follows.
    pub(crate) fn fail_activity(
        &mut self,
        which: &ActivityRef,
        failure: Failure,
        heartbeat_details: Option<Payloads>,
        identity: String,
        now: Time,
    ) -> Result<bool, Refusal> {
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
        self.ensure_workflow_task(now);
        Ok(false)
    }

    /// Ends the activity as canceled, on the report of its worker.
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
        self.ensure_workflow_task(now);
        Ok(())
    }

    /// Finishes an activity as canceled, without scheduling a workflow task.
    pub(in crate::engine) fn write_activity_canceled(
        &mut self,
        id: EventId,
        requested: EventId,
        details: Option<Payloads>,
        identity: String,
        now: Time,
    ) {
        let started_event_id = self.write_activity_started(id);
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

    /// Records a heartbeat; returns the news for the attempt.
    pub(crate) fn heartbeat_activity(
        &mut self,
        which: &ActivityRef,
        details: Option<Payloads>,
        now: Time,
    ) -> Result<HeartbeatNews, Refusal> {
        let id = self.reported_activity(which, false)?;
        if details.as_ref().is_some_and(|details| details.encoded_len() > BLOB_BYTES_MAX) {
            let failure = server_failure("Heartbeat details exceed size limit.");
            self.fail_activity(which, failure, None, String::new(), now)?;
            return Ok(HeartbeatNews { cancel_requested: true, ..HeartbeatNews::default() });
        }
        self.change_activity(id, |activity| {
            activity.last_heartbeat = Some(now);
            activity.heartbeat_details = details.as_ref().map(own_all);
        });
        let news = self.state.activities.get(&id).map(|activity| HeartbeatNews {
            cancel_requested: activity.cancel_requested.is_some(),
            paused: activity.paused.is_some(),
            reset: activity.reset,
        });
        Ok(news.unwrap_or_default())
    }

    /// Writes the start of an attempt that is about to finish; returns 0 if no worker had started it.
    pub(super) fn write_activity_started(&mut self, id: EventId) -> EventId {
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

    /// Finds the activity of a report.
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

/// Checks that a worker may report this failure.
pub(crate) fn check_reported_failure(failure: Option<&Failure>) -> Result<(), Refusal> {
    match failure.and_then(|failure| failure.failure_info.as_ref()) {
        Some(FailureInfo::ApplicationFailureInfo(_)) => Ok(()),
        None if failure.is_none() => Ok(()),
        _ => Err(Refusal::invalid("Failure must have ApplicationFailureInfo.")),
    }
}

/// A failure that the server decides on and that is not retried.
fn server_failure(message: &str) -> Failure {
    Failure {
        message: message.to_owned(),
        failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo { non_retryable: true })),
        ..Default::default()
    }
}
