//! Options of child workflows.

use everloop_proto::temporal::api::enums::v1 as enums;

/// When a workflow goes on after it cancels a child workflow, and whether the child is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildCancellationType {
    /// Request the cancellation of the child, and wait for its end: its result counts if it completes all the same.
    #[default]
    WaitCancellationCompleted,
    /// Request the cancellation of the child, and go on as cancelled when the child has the request.
    WaitCancellationRequested,
    /// Request the cancellation of the child, and go on at once as cancelled.
    TryCancel,
    /// Leave the child running, and go on at once as cancelled.
    Abandon,
}

/// The effect of a parent's end, of any kind, on a child workflow. Continuing as new counts as an end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParentClosePolicy {
    /// The child is terminated.
    #[default]
    Terminate,
    /// The cancellation of the child is requested.
    RequestCancel,
    /// The child continues.
    Abandon,
}

impl ParentClosePolicy {
    pub(crate) fn to_wire(self) -> enums::ParentClosePolicy {
        match self {
            Self::Terminate => enums::ParentClosePolicy::Terminate,
            Self::RequestCancel => enums::ParentClosePolicy::RequestCancel,
            Self::Abandon => enums::ParentClosePolicy::Abandon,
        }
    }
}
