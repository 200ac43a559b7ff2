//! The description of an activity that has not finished.

use crate::api::common::ActivityType;
use crate::api::enums::PendingActivityState;
use crate::api::workflow::PendingActivityInfo;
use crate::engine::activity::state::Activity;
use crate::engine::time::wire_duration;

pub(super) fn pending_activity(activity: &Activity) -> PendingActivityInfo {
    let state = match (&activity.cancel_requested, &activity.started) {
        (Some(_), _) => PendingActivityState::CancelRequested,
        (None, Some(_)) => PendingActivityState::Started,
        (None, None) => PendingActivityState::Scheduled,
    };
    let identity = activity.started.as_ref().map_or(&activity.last_identity, |started| &started.identity);
    PendingActivityInfo {
        activity_id: activity.activity_id.to_string(),
        activity_type: Some(ActivityType { name: activity.activity_type.to_string() }),
        state: state as i32,
        heartbeat_details: activity.heartbeat_details.clone(),
        last_heartbeat_time: activity.last_heartbeat.map(Into::into),
        last_started_time: activity.started.as_ref().map(|started| started.time.into()),
        attempt: activity.attempt,
        maximum_attempts: activity.retry.maximum_attempts,
        scheduled_time: Some(activity.scheduled.into()),
        expiration_time: activity.expiration().map(Into::into),
        last_failure: activity.last_failure.clone(),
        last_worker_identity: identity.to_string(),
        current_retry_interval: activity
            .last_attempt_complete
            .filter(|_| activity.backing_off)
            .and_then(|complete| wire_duration(activity.scheduled.since(complete))),
        last_attempt_complete_time: activity.last_attempt_complete.map(Into::into),
        next_attempt_schedule_time: activity.backing_off.then(|| activity.scheduled.into()),
        priority: activity.priority.clone(),
        ..Default::default()
    }
}
