//! The workflow task of a run.

use std::sync::Arc;
use std::time::Duration;

use crate::api::enums::SuggestContinueAsNewReason;
use crate::engine::event::EventId;
use crate::engine::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskKind {
    Normal,
    Speculative,
}

/// The current workflow task.
#[derive(Clone, Debug)]
pub(crate) struct WorkflowTask {
    /// Identifies the task among all workflow tasks of the run, together with attempt and start: the number of its
    /// scheduled event when the task was offered. It follows from history, so that a worker's token stays valid after a
    /// restart.
    pub(crate) stamp: EventId,
    pub(crate) kind: TaskKind,
    pub(crate) attempt: i32,
    /// Preliminary for transient and speculative tasks.
    pub(crate) scheduled_event_id: EventId,
    pub(crate) scheduled_time: Time,
    /// When the first task of a chain of heartbeating tasks was scheduled.
    pub(crate) original_scheduled_time: Time,
    pub(crate) timeout: Duration,
    /// Whether the task waits on the sticky queue.
    pub(crate) sticky: bool,
    pub(crate) started: Option<StartedTask>,
}

/// The part of a workflow task that exists after a worker has started it.
#[derive(Clone, Debug)]
pub(crate) struct StartedTask {
    pub(crate) event_id: EventId,
    pub(crate) time: Time,
    pub(crate) request_id: Arc<str>,
    pub(crate) identity: Arc<str>,
    pub(crate) history_size_bytes: i64,
    pub(crate) suggest_continue_as_new: Vec<SuggestContinueAsNewReason>,
}

impl WorkflowTask {
    /// Whether the events of the task are written as they happen.
    pub(in crate::engine) fn is_written(&self) -> bool {
        self.attempt == 1 && self.kind == TaskKind::Normal
    }
}

/// The task that a worker's token identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskRef {
    pub(crate) stamp: EventId,
    pub(crate) attempt: i32,
    pub(crate) started_time: Time,
}
