//! The facts about an activity that its task contains.

use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1 as wire;

use super::runner::ActivityRunner;
use crate::activity::{ActivityInfo, TaskToken};
use crate::data::{Headers, limit_from_wire};

impl ActivityRunner {
    pub(super) fn info(&self, task: &wire::PollActivityTaskQueueResponse, token: &bytes::Bytes) -> ActivityInfo {
        let time = |time: Option<prost_types::Timestamp>| time.and_then(|time| time.try_into().ok());
        let execution = task.workflow_execution.clone().unwrap_or_default();
        ActivityInfo {
            namespace: task.workflow_namespace.clone(),
            activity_type: task.activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
            activity_id: task.activity_id.clone(),
            workflow_id: execution.workflow_id,
            run_id: execution.run_id,
            workflow_type: task.workflow_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
            task_queue: self.task_queue.clone(),
            attempt: task.attempt.max(1).unsigned_abs(),
            scheduled_time: time(task.scheduled_time),
            current_attempt_scheduled_time: time(task.current_attempt_scheduled_time),
            started_time: time(task.started_time),
            start_to_close_timeout: limit_from_wire(task.start_to_close_timeout),
            schedule_to_close_timeout: limit_from_wire(task.schedule_to_close_timeout),
            heartbeat_timeout: limit_from_wire(task.heartbeat_timeout),
            is_local: false,
            headers: Headers::from_wire(task.header.clone()),
            task_token: TaskToken(token.clone()),
        }
    }
}

/// The time limit of the attempt that the worker can derive from its task.
pub(super) fn attempt_limit(info: &ActivityInfo) -> Option<Duration> {
    let total = info.schedule_to_close_timeout.zip(info.scheduled_time).zip(info.started_time);
    let left = total.map(|((total, scheduled), started)| {
        total.saturating_sub(started.duration_since(scheduled).unwrap_or_default())
    });
    info.start_to_close_timeout.into_iter().chain(left).min()
}

/// The limit of the wait before the attempt begins. A waiting attempt sends no heartbeats.
pub(super) fn waiting_limit(info: &ActivityInfo) -> Option<Duration> {
    attempt_limit(info).into_iter().chain(info.heartbeat_timeout).min()
}
