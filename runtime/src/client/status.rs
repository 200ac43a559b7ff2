//! The status of a workflow.

use std::fmt;

use everloop_proto::temporal::api::enums::v1::WorkflowExecutionStatus;

/// Whether a workflow runs, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkflowStatus {
    /// It has not ended.
    Running,
    /// It returned a value.
    Completed,
    /// It returned an error.
    Failed,
    /// It ended because it was asked to.
    Cancelled,
    /// It was ended without being asked.
    Terminated,
    /// It goes on in another run.
    ContinuedAsNew,
    /// A time limit passed.
    TimedOut,
    /// It has not ended, and its tasks are held back.
    Paused,
    /// Something that this version has no name for.
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

    /// Whether it can still do something.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

impl fmt::Display for WorkflowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
