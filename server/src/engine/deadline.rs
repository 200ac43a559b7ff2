//! What happens to a run by itself when its time comes.

use std::sync::Arc;

use crate::engine::activity::state::ActivityDeadline;
use crate::engine::event::EventId;

/// Something that happens by itself when its time comes. Due together, they happen in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    ExecutionTimeout,
    RunTimeout,
    /// The start delay is over.
    FirstTask,
    WorkflowTaskScheduleToStart,
    WorkflowTaskStartToClose,
    /// By the event that started the timer.
    Timer(EventId, Arc<str>),
    Activity(EventId, ActivityDeadline),
}
