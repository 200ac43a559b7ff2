//! The error of awaiting a child workflow.

use std::fmt;

use crate::data::{Failure, FailureKind, TimeoutType};

/// The failure of a child workflow: how it ended, or why it did not start.
#[derive(Clone, PartialEq)]
pub struct ChildFailure(Box<Failure>);

impl ChildFailure {
    pub(crate) fn new(failure: Failure) -> Self {
        Self(Box::new(failure))
    }

    /// The child's type.
    pub fn workflow_type(&self) -> &str {
        match &self.0.kind {
            FailureKind::ChildWorkflow { workflow_type, .. } => workflow_type,
            _ => "",
        }
    }

    /// The child's workflow id.
    pub fn workflow_id(&self) -> &str {
        match &self.0.kind {
            FailureKind::ChildWorkflow { workflow_id, .. } => workflow_id,
            _ => "",
        }
    }

    /// Whether the child was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Whether the child was terminated.
    pub fn is_terminated(&self) -> bool {
        self.cause().is_some_and(|cause| matches!(cause.kind, FailureKind::Terminated))
    }

    /// Whether the child did not start because its workflow id is in use, or may not be used again.
    pub fn is_already_started(&self) -> bool {
        self.type_name() == Some("WorkflowAlreadyStarted")
    }

    /// The time limit that passed, if one did.
    pub fn timeout(&self) -> Option<TimeoutType> {
        match &self.cause()?.kind {
            FailureKind::Timeout { timeout_type, .. } => Some(*timeout_type),
            _ => None,
        }
    }

    /// The error's type name, if the child returned an error.
    pub fn type_name(&self) -> Option<&str> {
        self.0.type_name()
    }

    /// The message of the child's error.
    pub fn message(&self) -> &str {
        &self.cause().unwrap_or(&self.0).message
    }

    /// The failure that the child ended with.
    pub fn cause(&self) -> Option<&Failure> {
        self.0.cause()
    }

    /// The whole failure.
    pub fn failure(&self) -> &Failure {
        &self.0
    }
}

impl fmt::Debug for ChildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildFailure({})", self.0)
    }
}

impl fmt::Display for ChildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for ChildFailure {}
