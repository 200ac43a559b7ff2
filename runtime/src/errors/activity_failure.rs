//! The error of awaiting an activity.

use std::fmt;

use crate::data::{Failure, FailureKind, RetryState, TimeoutType};

/// The failure of an activity after its last attempt.
#[derive(Clone, PartialEq)]
pub struct ActivityFailure(Box<WholeFailure>);

/// The failure as the source of a [`CallError`](crate::CallError). The type marks a source that is the error itself, not a
/// cause of it.
#[derive(Clone, PartialEq)]
pub(crate) struct WholeFailure(pub(crate) Failure);

impl ActivityFailure {
    pub(crate) fn new(failure: Failure) -> Self {
        Self(Box::new(WholeFailure(failure)))
    }

    pub(crate) fn whole(&self) -> &WholeFailure {
        &self.0
    }

    /// The activity's type.
    pub fn activity_type(&self) -> &str {
        match &self.failure().kind {
            FailureKind::Activity { activity_type, .. } => activity_type,
            _ => "",
        }
    }

    /// Whether the activity was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.failure().is_cancelled()
    }

    /// The time limit that passed, if one did.
    pub fn timeout(&self) -> Option<TimeoutType> {
        match &self.cause()?.kind {
            FailureKind::Timeout { timeout_type, .. } => Some(*timeout_type),
            _ => None,
        }
    }

    /// The error's type name, if the activity returned an error.
    pub fn type_name(&self) -> Option<&str> {
        self.failure().type_name()
    }

    /// The message of the activity's error.
    pub fn message(&self) -> &str {
        &self.cause().unwrap_or(self.failure()).message
    }

    /// The reason why there was no further attempt.
    pub fn retry_state(&self) -> RetryState {
        match &self.failure().kind {
            FailureKind::Activity { retry_state, .. } => *retry_state,
            _ => RetryState::Unspecified,
        }
    }

    /// The failure that the activity returned.
    pub fn cause(&self) -> Option<&Failure> {
        self.failure().cause()
    }

    /// The whole failure.
    pub fn failure(&self) -> &Failure {
        &self.0.0
    }
}

impl fmt::Debug for ActivityFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActivityFailure({})", self.failure())
    }
}

impl fmt::Display for ActivityFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(f)
    }
}

impl std::error::Error for ActivityFailure {}

impl fmt::Debug for WholeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes the innermost cause, because the error above has written the whole failure.
impl fmt::Display for WholeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.root_message())
    }
}

impl std::error::Error for WholeFailure {}
