//! Deadlines of a run.

use std::sync::Arc;

use crate::engine::activity::state::ActivityDeadline;
use crate::engine::event::EventId;

/// A deadline of a run. Deadlines due at the same time happen in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    ExecutionTimeout,
    RunTimeout,
    /// The end of the start delay.
    FirstTask,
    WorkflowTaskScheduleToStart,
    WorkflowTaskStartToClose,
    /// A timer, identified by the event that started it.
    Timer(EventId, Arc<str>),
    Activity(EventId, ActivityDeadline),
}
