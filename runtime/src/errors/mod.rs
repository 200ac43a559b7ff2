//! The errors that user code returns.

mod activity_failure;
mod cancelled;
mod child_failure;
mod from_error;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

pub use activity_failure::ActivityFailure;
pub(crate) use activity_failure::WholeFailure;
pub use cancelled::Cancelled;
pub use child_failure::ChildFailure;

use crate::data::{ErrorCategory, Failure, FailureKind};

/// The error of a workflow or of one of its handlers. Every error converts into it with `?`.
///
/// An error that `#[run]` returns fails the workflow, and its caller receives the error. If the error is a cancellation
/// ([`Cancelled`](crate::Cancelled), or an activity that was cancelled) and the workflow's cancellation was requested, the
/// workflow ends as cancelled instead. (A *panic* fails only the workflow task, which is retried, so that a fix can be
/// deployed.)
///
/// ```
/// use everloop::WorkflowError;
///
/// fn stock(answer: &str) -> Result<u32, WorkflowError> {
///     let items: u32 = answer.parse()?; // any `std::error::Error`
///     if items == 0 {
///         return Err(WorkflowError::new("sold out").type_name("SoldOut"));
///     }
///     Ok(items)
/// }
/// assert_eq!(stock("0").unwrap_err().to_string(), "SoldOut: sold out");
/// ```
pub struct WorkflowError(Box<Failure>);

/// The return type of a `#[run]` method or a handler.
pub type WorkflowResult<T> = Result<T, WorkflowError>;

impl WorkflowError {
    /// An application failure with this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Failure::application("WorkflowError", message)))
    }

    /// A failure that is final also where the workflow was started with a retry policy.
    pub fn non_retryable(message: impl Into<String>) -> Self {
        let mut error = Self::new(message);
        if let FailureKind::Application { non_retryable, .. } = &mut error.0.kind {
            *non_retryable = true;
        }
        error
    }

    /// The type name of the error in histories and for callers. The default is the last segment of the error's Rust type.
    pub fn type_name(mut self, name: impl Into<String>) -> Self {
        if let FailureKind::Application { type_name, .. } = &mut self.0.kind {
            *type_name = name.into();
        }
        self
    }

    /// Sets the category of the error, which affects only how it is reported.
    pub fn category(mut self, category: ErrorCategory) -> Self {
        set_category(&mut self.0, category);
        self
    }

    /// Adds a value that callers can read from the failure. Call it once for each value.
    ///
    /// # Panics
    /// If the value cannot be serialized.
    pub fn details<T: Serialize + 'static>(mut self, value: T) -> Self {
        push_details(&mut self.0, &value);
        self
    }

    /// When the workflow is tried again, in place of the interval of its retry policy and at most as long as the longest one.
    pub fn next_retry_delay(mut self, delay: Duration) -> Self {
        if let FailureKind::Application { next_retry_delay, .. } = &mut self.0.kind {
            *next_retry_delay = Some(delay);
        }
        self
    }

    /// Whether this is a cancellation.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// The failure that callers receive.
    pub fn failure(&self) -> &Failure {
        &self.0
    }

    pub(crate) fn into_failure(self) -> Failure {
        *self.0
    }
}

debug_as_display!(WorkflowError);

impl fmt::Display for WorkflowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[diagnostic::do_not_recommend]
impl<E: std::error::Error + 'static> From<E> for WorkflowError {
    fn from(error: E) -> Self {
        Self(Box::new(Failure::from_error(&error)))
    }
}

/// The error of an activity. Every error converts into it and is retried according to the retry policy.
///
/// ```
/// use everloop::{ActivityError, ActivityResult};
///
/// fn charge(status: u16) -> ActivityResult<()> {
///     match status {
///         400..500 => Err(ActivityError::non_retryable(format!("status {status}")).type_name("Declined")),
///         500.. => Err(ActivityError::new("try later").next_retry_delay(std::time::Duration::from_secs(30))),
///         _ => Ok(()),
///     }
/// }
/// assert!(charge(402).is_err());
/// ```
pub struct ActivityError {
    failure: Box<Failure>,
    /// Whether another program completes the attempt.
    completes_later: bool,
}

/// The return type of an activity.
pub type ActivityResult<T> = Result<T, ActivityError>;

impl ActivityError {
    /// An error that is retried according to the retry policy.
    pub fn new(message: impl Into<String>) -> Self {
        Self::from_failure(Failure::application("ActivityError", message))
    }

    /// An error that is final, regardless of the retry policy.
    pub fn non_retryable(message: impl Into<String>) -> Self {
        let mut error = Self::new(message);
        if let FailureKind::Application { non_retryable, .. } = &mut error.failure.kind {
            *non_retryable = true;
        }
        error
    }

    /// The error of an activity that stopped because its cancellation was requested. Without such a request, the worker reports
    /// it as an ordinary failure.
    pub fn cancelled() -> Self {
        Self::from_failure(Failure::cancelled("the activity was cancelled"))
    }

    /// The type name of the error in histories, for callers and in `non_retryable_error_types`. The default is the last segment
    /// of the error's type.
    pub fn type_name(mut self, name: impl Into<String>) -> Self {
        if let FailureKind::Application { type_name, .. } = &mut self.failure.kind {
            *type_name = name.into();
        }
        self
    }

    /// Sets the category of the error, which affects only how it is reported.
    pub fn category(mut self, category: ErrorCategory) -> Self {
        set_category(&mut self.failure, category);
        self
    }

    /// Adds a value that the workflow can read from the failure. Call it once for each value.
    ///
    /// # Panics
    /// If the value cannot be serialized.
    pub fn details<T: Serialize + 'static>(mut self, value: T) -> Self {
        push_details(&mut self.failure, &value);
        self
    }

    /// The delay before the next attempt, in place of the retry policy's interval. Zero retries at once; durations are clamped
    /// to a hundred years.
    pub fn next_retry_delay(mut self, delay: Duration) -> Self {
        if let FailureKind::Application { next_retry_delay, .. } = &mut self.failure.kind {
            *next_retry_delay = Some(delay);
        }
        self
    }

    /// Whether this is a cancellation.
    pub fn is_cancelled(&self) -> bool {
        self.failure.is_cancelled()
    }

    pub(crate) fn from_failure(failure: Failure) -> Self {
        Self { failure: Box::new(failure), completes_later: false }
    }

    /// The error of a function whose activity another program completes. Tests may read the failure.
    pub(crate) fn completes_elsewhere() -> Self {
        let failure = Failure::application("CompletesLater", "the activity is completed later, by another program");
        Self { completes_later: true, ..Self::from_failure(failure) }
    }

    /// Whether it is no failure: another program completes the activity. See
    /// [`ActivityContext::complete_later`](crate::ActivityContext::complete_later).
    pub fn completes_later(&self) -> bool {
        self.completes_later
    }

    /// The failure that the workflow receives as the cause of its [`ActivityFailure`](struct@crate::ActivityFailure).
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    pub(crate) fn into_failure(self) -> Failure {
        *self.failure
    }

    /// The failure as servers accept it from an activity: every other kind becomes the cause of an application failure.
    pub(crate) fn reportable(failure: Failure) -> Failure {
        match failure.kind {
            FailureKind::Application { .. } => failure,
            _ => Failure::application("ActivityError", failure.message.clone()).caused_by(failure),
        }
    }
}

debug_as_display!(ActivityError);

impl fmt::Display for ActivityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

#[diagnostic::do_not_recommend]
impl<E: std::error::Error + 'static> From<E> for ActivityError {
    fn from(error: E) -> Self {
        Self::from_failure(Failure::from_error(&error))
    }
}

fn set_category(failure: &mut Failure, wanted: ErrorCategory) {
    if let FailureKind::Application { category, .. } = &mut failure.kind {
        *category = wanted;
    }
}

#[track_caller]
fn push_details<T: Serialize + 'static>(failure: &mut Failure, value: &T) {
    let (FailureKind::Application { details, .. } | FailureKind::Cancelled { details }) = &mut failure.kind else {
        return;
    };
    if let Err(error) = details.push(value) {
        panic!("{}", error.of("the details of a failure"));
    }
}
