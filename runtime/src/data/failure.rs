//! The failure tree: why something did not succeed, as it travels between processes and languages.

pub(super) mod causes;
mod wire;

use std::fmt;
use std::time::Duration;

use everloop_proto::temporal::api::failure::v1::failure::FailureInfo;
use everloop_proto::timeline::is_error_type_named;

use super::payloads::Payloads;

/// The failure of an activity, a workflow or a handler; causes are nested, outermost first.
///
/// It mirrors the protocol's failure message, so nothing is lost between SDKs and languages: but for causes beyond
/// [`CHAIN_MAX`](Self::CHAIN_MAX), which are counted.
#[derive(Clone, PartialEq)]
pub struct Failure {
    /// In words.
    pub message: String,
    /// The SDK or server that made the failure.
    pub source: String,
    /// The place in the code where it was made, if its maker reports one.
    pub stack_trace: String,
    /// The cause. Set by `causes` alone, which keeps the chain short.
    cause: Option<Box<Failure>>,
    /// The kind of failure, with the data of that kind.
    pub kind: FailureKind,
    /// Message and stack trace again, for failures that another SDK encoded as a whole.
    pub(crate) encoded_attributes: Option<crate::raw::Payload>,
}

/// The kinds of [`Failure`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FailureKind {
    /// User code said so.
    Application {
        /// The error's type name, which retry policies match.
        type_name: String,
        /// Whether retry policies must not try again.
        non_retryable: bool,
        /// Values that came with it.
        details: Payloads,
        /// The delay before the next attempt, regardless of the retry policy.
        next_retry_delay: Option<Duration>,
        /// How much attention the error deserves.
        category: ErrorCategory,
    },
    /// A time limit passed.
    Timeout {
        /// The time limit.
        timeout_type: TimeoutType,
        /// The last heartbeat's details.
        last_heartbeat_details: Payloads,
    },
    /// It was cancelled.
    Cancelled {
        /// Values that came with it.
        details: Payloads,
    },
    /// The workflow was terminated.
    Terminated,
    /// The server refused or gave up.
    Server {
        /// Whether trying again is pointless.
        non_retryable: bool,
    },
    /// An activity failed; the cause is its error.
    Activity {
        /// Its type.
        activity_type: String,
        /// Its id in the workflow.
        activity_id: String,
        /// The reason why there was no further attempt.
        retry_state: RetryState,
        /// Event that scheduled it.
        scheduled_event_id: i64,
        /// Event that started it; 0 if none did.
        started_event_id: i64,
        /// The worker that ran it.
        identity: String,
    },
    /// A child workflow failed; the cause is its error.
    ChildWorkflow {
        /// Its type.
        workflow_type: String,
        /// Its workflow id.
        workflow_id: String,
        /// Its run id.
        run_id: String,
        /// The reason why there was no further attempt.
        retry_state: RetryState,
    },
    /// A kind that this version has no name for, kept as it came.
    Other(Box<FailureInfo>),
    /// The failure names no kind.
    Unspecified,
}

/// The time limit that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutType {
    /// One attempt took too long.
    StartToClose,
    /// No worker took it in time.
    ScheduleToStart,
    /// All attempts together took too long.
    ScheduleToClose,
    /// No heartbeat came in time.
    Heartbeat,
    /// Not said.
    Unspecified,
    /// A limit that this version has no name for: its number in the protocol.
    Unknown(i32),
}

/// How much attention an application error deserves. It changes nothing in how the error is handled, only how it is reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCategory {
    /// Not said: an error like any other.
    #[default]
    Unspecified,
    /// An expected outcome, such as a poll that found nothing yet. Workers log it at the level `DEBUG` in place of `WARN`.
    Benign,
    /// A category that this version has no name for: its number in the protocol.
    Unknown(i32),
}

/// The reason why there was no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryState {
    /// There will be one.
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
    /// It was asked to stop.
    CancelRequested,
    /// Not said.
    Unspecified,
    /// A reason that this version has no name for: its number in the protocol.
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

    /// Whether it is a cancellation: its own, or the reason why an activity or a child did not succeed.
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

    /// The details of the first failure in the chain that has some.
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

/// One line: the failure and its causes. The types of errors are named where they say something.
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
