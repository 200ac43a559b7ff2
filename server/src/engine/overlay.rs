//! State of a run that its history does not hold and that must survive the process.
//!
//! Attempts of activities and workflow tasks write no events until they succeed or fail for good, and events that
//! arrive while a worker has a workflow task have no numbers yet. Most runs usually have no such state; then there is
//! no overlay.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use crate::api::common::Payloads;
use crate::api::failure::Failure;
use crate::engine::activity::state::{Activity, Attempt, Pause};
use crate::engine::event::{EventId, HistoryEvent};
use crate::engine::time::Time;

/// The state of a run beside its history. A protobuf message, so that later versions can add fields.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Overlay {
    #[prost(string, repeated, tag = "1")]
    pub(crate) attached_request_ids: Vec<String>,
    /// Attempt of the current workflow task; unset for the first.
    #[prost(int32, tag = "2")]
    pub(super) workflow_task_attempt: i32,
    #[prost(message, repeated, tag = "3")]
    pub(super) activities: Vec<ActivityOverlay>,
    #[prost(message, repeated, tag = "4")]
    pub(super) buffered: Vec<HistoryEvent>,
}

/// The state of an activity that its scheduled event does not hold.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ActivityOverlay {
    #[prost(int64, tag = "1")]
    pub(super) scheduled_event_id: EventId,
    #[prost(int32, tag = "2")]
    attempt: i32,
    #[prost(int64, tag = "3")]
    scheduled_ns: i64,
    #[prost(bool, tag = "4")]
    backing_off: bool,
    #[prost(message, optional, tag = "5")]
    started: Option<AttemptOverlay>,
    #[prost(message, optional, tag = "6")]
    heartbeat_details: Option<Payloads>,
    #[prost(int64, optional, tag = "7")]
    last_heartbeat_ns: Option<i64>,
    #[prost(message, optional, tag = "8")]
    last_failure: Option<Failure>,
    #[prost(string, tag = "9")]
    last_identity: String,
    #[prost(int64, optional, tag = "10")]
    last_attempt_complete_ns: Option<i64>,
    #[prost(message, optional, tag = "11")]
    paused: Option<PauseOverlay>,
    #[prost(bool, tag = "12")]
    reset: bool,
    #[prost(bool, tag = "13")]
    reset_heartbeat: bool,
}

/// The request that paused an activity.
#[derive(Clone, PartialEq, Message)]
struct PauseOverlay {
    #[prost(int64, tag = "1")]
    time_ns: i64,
    #[prost(string, tag = "2")]
    identity: String,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(string, tag = "4")]
    request_id: String,
}

/// An attempt that a worker has started.
#[derive(Clone, PartialEq, Message)]
struct AttemptOverlay {
    #[prost(int64, tag = "1")]
    time_ns: i64,
    #[prost(string, tag = "2")]
    request_id: String,
    #[prost(string, tag = "3")]
    identity: String,
}

impl Overlay {
    /// The stored form; empty when the overlay is empty.
    pub(crate) fn to_bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}

impl ActivityOverlay {
    pub(super) fn of(activity: &Activity) -> Option<Self> {
        let started = activity.started.as_ref().map(|attempt| AttemptOverlay {
            time_ns: attempt.time.nanos(),
            request_id: attempt.request_id.to_string(),
            identity: attempt.identity.to_string(),
        });
        let paused = activity.paused.as_ref().map(|pause| PauseOverlay {
            time_ns: pause.time.nanos(),
            identity: pause.identity.to_string(),
            reason: pause.reason.to_string(),
            request_id: pause.request_id.to_string(),
        });
        // A reset activity is at its first attempt again, and remembers the others.
        let is_first = activity.attempt == 1
            && activity.last_attempt_complete.is_none()
            && activity.scheduled == activity.first_scheduled
            && !activity.reset;
        if is_first && started.is_none() && activity.last_heartbeat.is_none() && paused.is_none() {
            return None;
        }
        Some(Self {
            scheduled_event_id: activity.scheduled_event_id,
            attempt: activity.attempt,
            scheduled_ns: activity.scheduled.nanos(),
            backing_off: activity.backing_off,
            started,
            heartbeat_details: activity.heartbeat_details.clone(),
            last_heartbeat_ns: activity.last_heartbeat.map(Time::nanos),
            last_failure: activity.last_failure.clone(),
            last_identity: activity.last_identity.to_string(),
            last_attempt_complete_ns: activity.last_attempt_complete.map(Time::nanos),
            paused,
            reset: activity.reset,
            reset_heartbeat: activity.reset_heartbeat,
        })
    }

    /// Restores an activity that was rebuilt from its scheduled event.
    pub(super) fn restore(self, activity: &mut Activity) {
        activity.attempt = self.attempt;
        activity.scheduled = Time::from_nanos(self.scheduled_ns);
        activity.backing_off = self.backing_off;
        activity.started = self.started.map(|started| Attempt {
            time: Time::from_nanos(started.time_ns),
            request_id: started.request_id.into(),
            identity: started.identity.into(),
        });
        activity.heartbeat_details = self.heartbeat_details;
        activity.last_heartbeat = self.last_heartbeat_ns.map(Time::from_nanos);
        activity.last_failure = self.last_failure;
        activity.last_identity = Arc::from(self.last_identity);
        activity.last_attempt_complete = self.last_attempt_complete_ns.map(Time::from_nanos);
        activity.paused = self.paused.map(|pause| Pause {
            time: Time::from_nanos(pause.time_ns),
            identity: pause.identity.into(),
            reason: pause.reason.into(),
            request_id: pause.request_id.into(),
        });
        activity.reset = self.reset;
        activity.reset_heartbeat = self.reset_heartbeat;
    }
}
