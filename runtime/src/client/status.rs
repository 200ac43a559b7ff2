//! The status of a workflow.

use std::fmt;

use everloop_proto::temporal::api::enums::v1::WorkflowExecutionStatus;

/// The status of a workflow: running, or the kind of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkflowStatus {
    /// The workflow has not ended.
    Running,
    /// The workflow returned a value.
    Completed,
    /// The workflow returned an error.
    Failed,
    /// The workflow ended because of a cancellation.
    Cancelled,
    /// The workflow was terminated from outside.
    Terminated,
    /// The workflow continues in another run.
    ContinuedAsNew,
    /// A time limit passed.
    TimedOut,
    /// The workflow has not ended, and its tasks are paused.
    Paused,
    /// A status that this version does not know.
    Unknown,
}

impl WorkflowStatus {
    pub(crate) fn from_wire(status: i32) -> Self {
        use WorkflowExecutionStatus as Wire;
        match Wire::try_from(status) {
            Ok(Wire::Running) => Self::Running,
            Ok(Wire::Completed) => Self::Completed,
            Ok(Wire::Failed) => Self::Failed,
            Ok(Wire::Canceled) => Self::Cancelled,
            Ok(Wire::Terminated) => Self::Terminated,
            Ok(Wire::ContinuedAsNew) => Self::ContinuedAsNew,
            Ok(Wire::TimedOut) => Self::TimedOut,
            Ok(Wire::Paused) => Self::Paused,
            Ok(Wire::Unspecified) | Err(_) => Self::Unknown,
        }
    }

    /// Whether the workflow has not ended.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

impl fmt::Display for WorkflowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
