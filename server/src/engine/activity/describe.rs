//! The description of an activity that has not finished.

use crate::api::common::ActivityType;
use crate::api::enums::PendingActivityState;
use crate::api::workflow::PendingActivityInfo;
use crate::api::workflow::pending_activity_info::PauseInfo;
use crate::api::workflow::pending_activity_info::pause_info::{Manual, PausedBy};
use crate::engine::activity::state::Activity;
use crate::engine::time::wire_duration;

pub(super) fn pending_activity(activity: &Activity) -> PendingActivityInfo {
    let is_paused = activity.paused.is_some();
    let state = match (&activity.cancel_requested, &activity.started) {
        (Some(_), _) => PendingActivityState::CancelRequested,
        (None, Some(_)) if is_paused => PendingActivityState::PauseRequested,
        (None, Some(_)) => PendingActivityState::Started,
        (None, None) if is_paused => PendingActivityState::Paused,
        (None, None) => PendingActivityState::Scheduled,
    };
    let backs_off = activity.backing_off && !is_paused;
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
            .filter(|_| backs_off)
            .and_then(|complete| wire_duration(activity.scheduled.since(complete))),
        last_attempt_complete_time: activity.last_attempt_complete.map(Into::into),
        next_attempt_schedule_time: backs_off.then(|| activity.scheduled.into()),
        priority: activity.priority.clone(),
        paused: is_paused,
        pause_info: activity.paused.as_ref().map(|pause| PauseInfo {
            pause_time: Some(pause.time.into()),
            paused_by: Some(PausedBy::Manual(Manual {
                identity: pause.identity.to_string(),
                reason: pause.reason.to_string(),
            })),
        }),
        ..Default::default()
    }
}
