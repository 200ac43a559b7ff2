//! The failure tree: an error in the form that is sent between processes and languages.

pub(super) mod causes;
mod wire;

use std::fmt;
use std::time::Duration;

use everloop_proto::temporal::api::failure::v1::failure::FailureInfo;
use everloop_proto::timeline::is_error_type_named;

use super::payloads::Payloads;

/// The failure of an activity, a workflow or a handler; causes are nested, outermost first.
///
/// Its fields are those of the protocol's failure message, so failures of other SDKs and languages keep all their data, except
/// causes beyond [`CHAIN_MAX`](Self::CHAIN_MAX), which are counted.
#[derive(Clone, PartialEq)]
pub struct Failure {
    /// The error's text.
    pub message: String,
    /// The SDK or server that made the failure.
    pub source: String,
    /// The place in the code at which the failure was created, if the SDK reports one.
    pub stack_trace: String,
    /// The cause. Only `causes` sets it, to limit the length of the chain.
    cause: Option<Box<Failure>>,
    /// The kind of failure, with the data of that kind.
    pub kind: FailureKind,
    /// Message and stack trace of a failure that another SDK encoded as a whole.
    pub(crate) encoded_attributes: Option<crate::raw::Payload>,
}

/// The kinds of [`Failure`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FailureKind {
    /// User code returned an error.
    Application {
        /// The error's type name, which retry policies match.
        type_name: String,
        /// Whether the failure is final, regardless of the retry policy.
        non_retryable: bool,
        /// Values that user code attached.
        details: Payloads,
        /// The delay before the next attempt, regardless of the retry policy.
        next_retry_delay: Option<Duration>,
        /// The category, which affects only how the error is reported.
        category: ErrorCategory,
    },
    /// A time limit passed.
    Timeout {
        /// The time limit.
        timeout_type: TimeoutType,
        /// The last heartbeat's details.
        last_heartbeat_details: Payloads,
    },
    /// A cancellation.
    Cancelled {
        /// Values that user code attached.
        details: Payloads,
    },
    /// The workflow was terminated.
    Terminated,
    /// An error of the server.
    Server {
        /// Whether the failure is final.
        non_retryable: bool,
    },
    /// An activity failed; the cause is its error.
    Activity {
        /// The activity's type.
        activity_type: String,
        /// The activity's id in the workflow.
        activity_id: String,
        /// The reason why there was no further attempt.
        retry_state: RetryState,
        /// The event that scheduled the activity.
        scheduled_event_id: i64,
        /// The event that started the activity; 0 if there is none.
        started_event_id: i64,
        /// The worker that ran the activity.
        identity: String,
    },
    /// A child workflow failed; the cause is its error.
    ChildWorkflow {
        /// The child's type.
        workflow_type: String,
        /// The child's workflow id.
        workflow_id: String,
        /// The child's run id.
        run_id: String,
        /// The reason why there was no further attempt.
        retry_state: RetryState,
    },
    /// A kind that this version does not know, unchanged.
    Other(Box<FailureInfo>),
    /// The failure has no kind.
    Unspecified,
}

/// The time limit that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutType {
    /// One attempt took too long.
    StartToClose,
    /// No worker started the activity in time.
    ScheduleToStart,
    /// All attempts together took too long.
    ScheduleToClose,
    /// The activity did not send a heartbeat in time.
    Heartbeat,
    /// The failure does not specify the limit.
    Unspecified,
    /// A limit that this version does not know: its number in the protocol.
    Unknown(i32),
}

/// The category of an application error. It affects only how the error is reported, not how it is handled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCategory {
    /// An ordinary error.
    #[default]
    Unspecified,
    /// An expected outcome, such as a poll that found nothing yet. Workers log it at the level `DEBUG` in place of `WARN`.
    Benign,
    /// A category that this version does not know: its number in the protocol.
    Unknown(i32),
}

/// The reason why there was no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryState {
    /// There will be another attempt.
    InProgress,
    /// The failure is marked as final, or its type is listed as such.
    NonRetryableFailure,
    /// The next attempt would have passed a time limit.
    Timeout,
    /// All attempts were used.
    MaximumAttemptsReached,
    /// There is no retry policy.
    RetryPolicyNotSet,
    /// The server failed.
    InternalServerError,
    /// The activity's cancellation was requested.
    CancelRequested,
    /// The failure does not specify the limit.
    Unspecified,
    /// A reason that this version does not know: its number in the protocol.
    Unknown(i32),
}

/// The source that this SDK writes into its failures.
const SOURCE: &str = "everloop";

impl Failure {
    pub(crate) fn new(message: impl Into<String>, kind: FailureKind) -> Self {
        Self {
            message: message.into(),
            source: SOURCE.to_owned(),
            stack_trace: String::new(),
            cause: None,
            kind,
            encoded_attributes: None,
        }
    }

    /// A failure of user code.
    pub fn application(type_name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(
            message,
            FailureKind::Application {
                type_name: type_name.into(),
                non_retryable: false,
                details: Payloads::new(),
                next_retry_delay: None,
                category: ErrorCategory::Unspecified,
            },
        )
    }

    /// A cancellation.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(message, FailureKind::Cancelled { details: Payloads::new() })
    }

    /// The cause.
    pub fn cause(&self) -> Option<&Self> {
        self.cause.as_deref()
    }

    /// Whether the failure is a cancellation, or that of an activity or child workflow that was cancelled.
    pub fn is_cancelled(&self) -> bool {
        match &self.kind {
            FailureKind::Cancelled { .. } => true,
            FailureKind::Activity { .. } | FailureKind::ChildWorkflow { .. } => {
                self.cause.as_ref().is_some_and(|cause| cause.is_cancelled())
            }
            _ => false,
        }
    }

    /// The chain from this failure to its innermost cause.
    pub fn chain(&self) -> impl Iterator<Item = &Failure> {
        std::iter::successors(Some(self), |failure| failure.cause.as_deref())
    }

    /// The type name of the first application failure in the chain.
    pub fn type_name(&self) -> Option<&str> {
        self.chain().find_map(|failure| match &failure.kind {
            FailureKind::Application { type_name, .. } => Some(type_name.as_str()),
            _ => None,
        })
    }

    /// The category of the first application failure in the chain.
    pub fn category(&self) -> ErrorCategory {
        let category = self.chain().find_map(|failure| match failure.kind {
            FailureKind::Application { category, .. } => Some(category),
            _ => None,
        });
        category.unwrap_or_default()
    }

    /// The details of the first failure in the chain that has details.
    pub fn details(&self) -> Option<&Payloads> {
        self.chain().find_map(|failure| match &failure.kind {
            FailureKind::Application { details, .. } | FailureKind::Cancelled { details } if !details.is_empty() => {
                Some(details)
            }
            _ => None,
        })
    }

    /// The message of the innermost cause.
    pub fn root_message(&self) -> &str {
        &self.chain().last().unwrap_or(self).message
    }
}

/// The text of `Display`, because a `main` that returns a failure prints it with `Debug`; `{:#?}` shows the fields.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        let Self { message, source, stack_trace, cause, kind, encoded_attributes: _ } = self;
        let mut fields = f.debug_struct("Failure");
        fields.field("message", message).field("kind", kind).field("cause", cause).field("source", source);
        fields.field("stack_trace", stack_trace).finish_non_exhaustive()
    }
}

/// Writes the failure and its causes in one line. Type names of errors are written if they add information.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FailureKind::Activity { activity_type, .. } => write!(f, "activity `{activity_type}`: {}", self.message)?,
            FailureKind::ChildWorkflow { workflow_type, .. } => write!(f, "child `{workflow_type}`: {}", self.message)?,
            FailureKind::Application { type_name, .. } if is_error_type_named(type_name, &self.message) => {
                write!(f, "{type_name}: {}", self.message)?;
            }
            _ => f.write_str(&self.message)?,
        }
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// `my_crate::payments::Declined<T>` is `Declined`.
pub(crate) fn short_type_name<T: ?Sized>() -> &'static str {
    let name = std::any::type_name::<T>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}
