//! What awaiting an activity gives when it did not succeed.

use std::fmt;

use crate::data::{Failure, FailureKind, RetryState, TimeoutType};

/// An activity did not succeed, after all its attempts.
#[derive(Clone, PartialEq)]
pub struct ActivityFailure(Box<Failure>);

impl ActivityFailure {
    pub(crate) fn new(failure: Failure) -> Self {
        Self(Box::new(failure))
    }

    /// The activity's type.
    pub fn activity_type(&self) -> &str {
        match &self.0.kind {
            FailureKind::Activity { activity_type, .. } => activity_type,
            _ => "",
        }
    }

    /// Whether the activity was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Which time limit passed, if one did.
    pub fn timeout(&self) -> Option<TimeoutType> {
        match &self.cause()?.kind {
            FailureKind::Timeout { timeout_type, .. } => Some(*timeout_type),
            _ => None,
        }
    }

    /// The error's type name, where the activity returned an error.
    pub fn type_name(&self) -> Option<&str> {
        self.0.type_name()
    }

    /// What the activity said.
    pub fn message(&self) -> &str {
        &self.cause().unwrap_or(&self.0).message
    }

    /// Why there was no further attempt.
    pub fn retry_state(&self) -> RetryState {
        match &self.0.kind {
            FailureKind::Activity { retry_state, .. } => *retry_state,
            _ => RetryState::Unspecified,
        }
    }

    /// What the activity failed with.
    pub fn cause(&self) -> Option<&Failure> {
        self.0.cause()
    }

    /// The whole failure.
    pub fn failure(&self) -> &Failure {
        &self.0
    }
}

impl fmt::Debug for ActivityFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActivityFailure({})", self.0)
    }
}

impl fmt::Display for ActivityFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ActivityFailure {}
