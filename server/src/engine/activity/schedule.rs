//! The commands that schedule and cancel an activity.

use prost::Message as _;

use crate::api::command::{RequestCancelActivityTaskCommandAttributes, ScheduleActivityTaskCommandAttributes};
use crate::api::enums::{TaskQueueKind, WorkflowTaskFailedCause as Cause};
use crate::api::history::{ActivityTaskCancelRequestedEventAttributes, ActivityTaskScheduledEventAttributes};
use crate::api::taskqueue::TaskQueue;
use crate::engine::activity::state::finished_activity;
use crate::engine::commands::{Commands, wrong_state};
use crate::engine::error::Rejected;
use crate::engine::event::HistoryEvent;
use crate::engine::payload::text_payload;
use crate::engine::retry::RetryPolicy;
use crate::engine::run::Run;
use crate::engine::time::{duration, wire_duration};
use crate::limits::{BLOB_BYTES_MAX, ID_BYTES_MAX, PENDING_ACTIVITIES_MAX};

/// The text in the event of an activity that is canceled before a worker started it.
pub(in crate::engine) const NOT_STARTED: &str = "ACTIVITY_ID_NOT_STARTED";

impl Run {
    pub(super) fn schedule_activity(
        &mut self,
        attributes: ScheduleActivityTaskCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let wanted = ActivityWanted::read(self, &attributes)
            .map_err(|detail| Rejected::new(Cause::BadScheduleActivityAttributes, detail))?;
        if attributes.input.as_ref().is_some_and(|input| input.encoded_len() > BLOB_BYTES_MAX) {
            let detail = "ScheduleActivityTaskCommandAttributes.Input exceeds size limit.";
            return Err(Rejected::new(Cause::BadScheduleActivityAttributes, detail).terminating());
        }
        if self.state.activities.len() >= PENDING_ACTIVITIES_MAX {
            return Err(Rejected::new(
                Cause::PendingActivitiesLimitExceeded,
                format!("the number of pending activities, {PENDING_ACTIVITIES_MAX}, has reached the limit"),
            ));
        }
        if self.state.activity_ids.contains_key(attributes.activity_id.as_str()) {
            return Err(Rejected::new(
                Cause::ScheduleActivityDuplicateId,
                wrong_state("add-activitytask-scheduled-event", &format!("ActivityID: {}", attributes.activity_id)),
            ));
        }
        let eager = attributes.request_eager_execution;
        let scheduled = ActivityTaskScheduledEventAttributes {
            activity_id: attributes.activity_id,
            activity_type: attributes.activity_type,
            task_queue: Some(wanted.task_queue),
            header: attributes.header,
            input: attributes.input,
            schedule_to_close_timeout: wire_duration(wanted.schedule_to_close),
            schedule_to_start_timeout: wire_duration(wanted.schedule_to_start),
            start_to_close_timeout: wire_duration(wanted.start_to_close),
            heartbeat_timeout: wire_duration(wanted.heartbeat),
            workflow_task_completed_event_id: commands.completed_event_id,
            retry_policy: Some(wanted.retry.to_wire()),
            priority: attributes.priority,
            use_workflow_build_id: attributes.use_workflow_build_id,
        };
        let event = commands.event(scheduled);
        let scheduled_event_id = self.append_event(event);
        if eager {
            commands.wanted_eagerly.push(scheduled_event_id);
        } else {
            self.offer_activity(scheduled_event_id);
        }
        Ok(())
    }

    pub(super) fn request_cancel_activity(
        &mut self,
        attributes: &RequestCancelActivityTaskCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let id = attributes.scheduled_event_id;
        let bad = || {
            let detail = wrong_state("add-activitytask-cancel-requested-event", &format!("ScheduledEventID: {id}"));
            Rejected::new(Cause::BadRequestCancelActivityAttributes, detail)
        };
        let activity = self.state.activities.get(&id).cloned();
        let finishes = |event: &HistoryEvent| event.attributes.as_ref().and_then(finished_activity) == Some(id);
        let finish_waits = || self.state.buffered.iter().any(finishes);
        if id <= 0
            || activity.as_ref().is_some_and(|activity| activity.cancel_requested.is_some())
            || (activity.is_none() && !finish_waits())
        {
            return Err(bad());
        }
        let event = commands.event(ActivityTaskCancelRequestedEventAttributes {
            scheduled_event_id: id,
            workflow_task_completed_event_id: commands.completed_event_id,
        });
        let requested = self.append_event(event);
        let Some(activity) = activity else { return Ok(()) };
        if activity.started.is_none() {
            let details = Some(text_payload(NOT_STARTED));
            self.withdraw_activity_offers(id);
            self.write_activity_canceled(id, requested, details, commands.identity.clone(), commands.now);
            commands.canceled_unstarted_activity = true;
        }
        Ok(())
    }
}

/// The attributes of an activity's scheduled event, with defaults for unset fields.
struct ActivityWanted {
    task_queue: TaskQueue,
    schedule_to_close: std::time::Duration,
    schedule_to_start: std::time::Duration,
    start_to_close: std::time::Duration,
    heartbeat: std::time::Duration,
    retry: RetryPolicy,
}

impl ActivityWanted {
    fn read(run: &Run, attributes: &ScheduleActivityTaskCommandAttributes) -> Result<Self, String> {
        let id = &attributes.activity_id;
        let kind = attributes.activity_type.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default();
        let named = format!("ActivityId={id} ActivityType={kind}");
        if id.is_empty() {
            return Err(format!("ActivityId is not set on ScheduleActivityTaskCommand. ActivityType={kind}"));
        }
        if kind.is_empty() {
            return Err(format!("ActivityType is not set on ScheduleActivityTaskCommand. ActivityID={id}"));
        }
        if id.len() > ID_BYTES_MAX || kind.len() > ID_BYTES_MAX {
            return Err("ActivityId or ActivityType on ScheduleActivityTaskCommand exceeds length limit.".to_owned());
        }
        let Some(queue) = &attributes.task_queue else { return Err("taskQueue is not set".to_owned()) };
        let queue = queue.name.as_str();
        if queue.len() > ID_BYTES_MAX {
            return Err(format!("TaskQueue on ScheduleActivityTaskCommand exceeds length limit. {named}"));
        }
        if queue.is_empty() {
            return Err("missing task queue name".to_owned());
        }
        let read = |name: &str, wire: &Option<prost_types::Duration>| {
            duration(wire.as_ref())
                .map_err(|_| format!("Invalid {name} for ScheduleActivityTaskCommand: negative duration. {named}"))
        };
        let mut total = read("ScheduleToCloseTimeout", &attributes.schedule_to_close_timeout)?;
        let mut to_start = read("ScheduleToStartTimeout", &attributes.schedule_to_start_timeout)?;
        let mut to_close = read("StartToCloseTimeout", &attributes.start_to_close_timeout)?;
        let heartbeat = read("HeartbeatTimeout", &attributes.heartbeat_timeout)?;
        let run_timeout = run.info.run_timeout;
        if !total.is_zero() {
            to_start = if to_start.is_zero() { total } else { to_start.min(total) };
            to_close = if to_close.is_zero() { total } else { to_close.min(total) };
        } else if !to_close.is_zero() {
            total = run_timeout;
            if to_start.is_zero() {
                to_start = run_timeout;
            }
        } else {
            return Err(format!(
                "A valid StartToClose or ScheduleToCloseTimeout is not set on ScheduleActivityTaskCommand. {named}"
            ));
        }
        let cap = |timeout: std::time::Duration| {
            if run_timeout.is_zero() { timeout } else { timeout.min(run_timeout) }
        };
        let to_close = cap(to_close);
        Ok(Self {
            task_queue: TaskQueue {
                name: queue.to_owned(),
                kind: TaskQueueKind::Normal as i32,
                normal_name: String::new(),
            },
            schedule_to_close: cap(total),
            schedule_to_start: cap(to_start),
            start_to_close: to_close,
            heartbeat: cap(heartbeat).min(to_close),
            retry: RetryPolicy::read(attributes.retry_policy.as_ref())?,
        })
    }
}
