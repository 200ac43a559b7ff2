//! The failure tree: why something did not succeed, as it travels between processes and languages.

use std::fmt;
use std::time::Duration;

use everloop_proto::temporal::api::failure::v1 as wire;
use everloop_proto::temporal::api::failure::v1::failure::FailureInfo;

use super::convert::decode;
use super::payloads::Payloads;

/// Why an activity, a workflow or a handler did not succeed; causes are nested, outermost first.
///
/// It mirrors the protocol's failure message, so nothing is lost between SDKs and languages.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// In words.
    pub message: String,
    /// Which SDK or server made it.
    pub source: String,
    /// Where it was made, if the maker says so.
    pub stack_trace: String,
    /// What led to it.
    pub cause: Option<Box<Failure>>,
    /// Which kind of failure, with what belongs to that kind.
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
        /// When to try again, whatever the retry policy says.
        next_retry_delay: Option<Duration>,
    },
    /// A time limit passed.
    Timeout {
        /// Which one.
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
    /// An activity did not succeed; the cause says why.
    Activity {
        /// Its type.
        activity_type: String,
        /// Its id in the workflow.
        activity_id: String,
        /// Why it was not tried again.
        retry_state: RetryState,
        /// Event that scheduled it.
        scheduled_event_id: i64,
        /// Event that started it; 0 if none did.
        started_event_id: i64,
        /// The worker that ran it.
        identity: String,
    },
    /// A child workflow did not succeed; the cause says why.
    ChildWorkflow {
        /// Its type.
        workflow_type: String,
        /// Its workflow id.
        workflow_id: String,
        /// Its run id.
        run_id: String,
        /// Why it was not tried again.
        retry_state: RetryState,
    },
    /// A kind that this version has no name for, kept as it came.
    Other(Box<FailureInfo>),
    /// The failure names no kind.
    Unspecified,
}

/// Which time limit passed.
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
}

/// Why there was no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryState {
    /// There will be one.
    InProgress,
    /// The failure says that it is final, or its type is listed as such.
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
}

/// Message and stack trace of a failure that was encoded as a whole, so that servers cannot read them.
#[derive(serde::Deserialize)]
struct HiddenAttributes {
    #[serde(default)]
    message: String,
    #[serde(default)]
    stack_trace: String,
}

/// What such a failure says to who cannot decode it, in every SDK.
const HIDDEN_MESSAGE: &str = "Encoded failure";

/// What this SDK writes as the source of its failures.
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
            },
        )
    }

    /// A cancellation.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(message, FailureKind::Cancelled { details: Payloads::new() })
    }

    pub(crate) fn caused_by(mut self, cause: Failure) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// An error of any type: the last segment of its type's name, its text, its sources as causes.
    pub(crate) fn from_error<E: std::error::Error + 'static>(error: &E) -> Self {
        let mut failure = Self::application(short_type_name::<E>(), error.to_string());
        failure.cause = error.source().map(|source| Box::new(Self::from_source(source)));
        failure
    }

    fn from_source(error: &(dyn std::error::Error + 'static)) -> Self {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.clone();
        }
        let mut failure = Self::application("", error.to_string());
        failure.cause = error.source().map(|source| Box::new(Self::from_source(source)));
        failure
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

    /// The details of the first failure in the chain that has some.
    pub fn details(&self) -> Option<&Payloads> {
        self.chain().find_map(|failure| match &failure.kind {
            FailureKind::Application { details, .. } | FailureKind::Cancelled { details } if !details.is_empty() => {
                Some(details)
            }
            _ => None,
        })
    }

    /// The message of the innermost cause: what went wrong, without who reported it.
    pub fn root_message(&self) -> &str {
        &self.chain().last().unwrap_or(self).message
    }

    pub(crate) fn from_wire(failure: wire::Failure) -> Self {
        let kind = match failure.failure_info {
            Some(FailureInfo::ApplicationFailureInfo(info)) => FailureKind::Application {
                type_name: info.r#type,
                non_retryable: info.non_retryable,
                details: Payloads::from_wire(info.details),
                next_retry_delay: info.next_retry_delay.and_then(|delay| delay.try_into().ok()),
            },
            Some(FailureInfo::TimeoutFailureInfo(info)) => FailureKind::Timeout {
                timeout_type: TimeoutType::from_wire(info.timeout_type),
                last_heartbeat_details: Payloads::from_wire(info.last_heartbeat_details),
            },
            Some(FailureInfo::CanceledFailureInfo(info)) => {
                FailureKind::Cancelled { details: Payloads::from_wire(info.details) }
            }
            Some(FailureInfo::TerminatedFailureInfo(_)) => FailureKind::Terminated,
            Some(FailureInfo::ServerFailureInfo(info)) => FailureKind::Server { non_retryable: info.non_retryable },
            Some(FailureInfo::ActivityFailureInfo(info)) => FailureKind::Activity {
                activity_type: info.activity_type.map(|kind| kind.name).unwrap_or_default(),
                activity_id: info.activity_id,
                retry_state: RetryState::from_wire(info.retry_state),
                scheduled_event_id: info.scheduled_event_id,
                started_event_id: info.started_event_id,
                identity: info.identity,
            },
            Some(FailureInfo::ChildWorkflowExecutionFailureInfo(info)) => {
                let execution = info.workflow_execution.unwrap_or_default();
                FailureKind::ChildWorkflow {
                    workflow_type: info.workflow_type.map(|kind| kind.name).unwrap_or_default(),
                    workflow_id: execution.workflow_id,
                    run_id: execution.run_id,
                    retry_state: RetryState::from_wire(info.retry_state),
                }
            }
            Some(other) => FailureKind::Other(Box::new(other)),
            None => FailureKind::Unspecified,
        };
        let hidden = failure.encoded_attributes.as_ref().and_then(|hidden| decode::<HiddenAttributes>(hidden).ok());
        let (message, stack_trace) = match hidden {
            Some(hidden) => (hidden.message, hidden.stack_trace),
            None => (failure.message, failure.stack_trace),
        };
        Self {
            message,
            source: failure.source,
            stack_trace,
            cause: failure.cause.map(|cause| Box::new(Self::from_wire(*cause))),
            kind,
            encoded_attributes: failure.encoded_attributes,
        }
    }

    pub(crate) fn into_wire(self) -> wire::Failure {
        let info = match self.kind {
            FailureKind::Application { type_name, non_retryable, details, next_retry_delay } => {
                Some(FailureInfo::ApplicationFailureInfo(wire::ApplicationFailureInfo {
                    r#type: type_name,
                    non_retryable,
                    details: details.into_wire(),
                    next_retry_delay: next_retry_delay.and_then(|delay| delay.try_into().ok()),
                    ..Default::default()
                }))
            }
            FailureKind::Timeout { timeout_type, last_heartbeat_details } => {
                Some(FailureInfo::TimeoutFailureInfo(wire::TimeoutFailureInfo {
                    timeout_type: timeout_type.into_wire(),
                    last_heartbeat_details: last_heartbeat_details.into_wire(),
                }))
            }
            FailureKind::Cancelled { details } => Some(FailureInfo::CanceledFailureInfo(wire::CanceledFailureInfo {
                details: details.into_wire(),
                ..Default::default()
            })),
            FailureKind::Terminated => Some(FailureInfo::TerminatedFailureInfo(Default::default())),
            FailureKind::Server { non_retryable } => {
                Some(FailureInfo::ServerFailureInfo(wire::ServerFailureInfo { non_retryable }))
            }
            FailureKind::Activity {
                activity_type,
                activity_id,
                retry_state,
                scheduled_event_id,
                started_event_id,
                identity,
            } => Some(FailureInfo::ActivityFailureInfo(wire::ActivityFailureInfo {
                activity_type: Some(crate::raw::ActivityType { name: activity_type }),
                activity_id,
                retry_state: retry_state.into_wire(),
                scheduled_event_id,
                started_event_id,
                identity,
            })),
            FailureKind::ChildWorkflow { workflow_type, workflow_id, run_id, retry_state } => {
                Some(FailureInfo::ChildWorkflowExecutionFailureInfo(wire::ChildWorkflowExecutionFailureInfo {
                    workflow_type: Some(crate::raw::WorkflowType { name: workflow_type }),
                    workflow_execution: Some(crate::raw::WorkflowExecution { workflow_id, run_id }),
                    retry_state: retry_state.into_wire(),
                    ..Default::default()
                }))
            }
            FailureKind::Other(info) => Some(*info),
            FailureKind::Unspecified => None,
        };
        // What came hidden leaves hidden.
        let (message, stack_trace) = match &self.encoded_attributes {
            Some(_) => (HIDDEN_MESSAGE.to_owned(), String::new()),
            None => (self.message, self.stack_trace),
        };
        wire::Failure {
            message,
            source: self.source,
            stack_trace,
            encoded_attributes: self.encoded_attributes,
            cause: self.cause.map(|cause| Box::new(cause.into_wire())),
            failure_info: info,
        }
    }
}

/// One line: the failure and its causes.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FailureKind::Activity { activity_type, .. } => write!(f, "activity `{activity_type}`: {}", self.message)?,
            FailureKind::ChildWorkflow { workflow_type, .. } => write!(f, "child `{workflow_type}`: {}", self.message)?,
            FailureKind::Application { type_name, .. } if !type_name.is_empty() => {
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

macro_rules! mirrors {
    ($ours:ident, $theirs:ident, { $($variant:ident),* }) => {
        impl $ours {
            pub(crate) fn from_wire(value: i32) -> Self {
                use everloop_proto::temporal::api::enums::v1::$theirs as Wire;
                match Wire::try_from(value) {
                    $(Ok(Wire::$variant) => Self::$variant,)*
                    _ => Self::Unspecified,
                }
            }
            pub(crate) fn into_wire(self) -> i32 {
                use everloop_proto::temporal::api::enums::v1::$theirs as Wire;
                match self {
                    $(Self::$variant => Wire::$variant as i32,)*
                    Self::Unspecified => Wire::Unspecified as i32,
                }
            }
        }
    };
}
mirrors!(TimeoutType, TimeoutType, { StartToClose, ScheduleToStart, ScheduleToClose, Heartbeat });
mirrors!(RetryState, RetryState, {
    InProgress, NonRetryableFailure, Timeout, MaximumAttemptsReached, RetryPolicyNotSet, InternalServerError, CancelRequested
});

/// `my_crate::payments::Declined<T>` is `Declined`.
pub(crate) fn short_type_name<T: ?Sized>() -> &'static str {
    let name = std::any::type_name::<T>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("card refused")]
    struct Declined<T: fmt::Debug>(#[source] std::num::ParseIntError, T);

    #[test]
    fn an_error_becomes_its_type_its_text_and_its_sources() {
        let failure = Failure::from_error(&Declined("x".parse::<u8>().unwrap_err(), 1u8));
        assert_eq!(failure.type_name(), Some("Declined"));
        assert_eq!(failure.to_string(), "Declined: card refused: invalid digit found in string");
    }

    #[test]
    fn a_hidden_message_is_read_and_leaves_hidden() {
        let hidden = std::collections::HashMap::from([("message", "card refused"), ("stack_trace", "line 1")]);
        let wire = wire::Failure {
            message: HIDDEN_MESSAGE.into(),
            encoded_attributes: Some(crate::data::encode(&serde_json::to_value(hidden).unwrap()).unwrap()),
            ..Default::default()
        };
        let failure = Failure::from_wire(wire.clone());
        assert_eq!((failure.message.as_str(), failure.stack_trace.as_str()), ("card refused", "line 1"));
        assert_eq!(failure.into_wire(), wire);
    }

    #[test]
    fn a_failure_survives_the_wire() {
        let mut failure = Failure::new(
            "activity failed",
            FailureKind::Activity {
                activity_type: "charge".into(),
                activity_id: "1".into(),
                retry_state: RetryState::MaximumAttemptsReached,
                scheduled_event_id: 5,
                started_event_id: 6,
                identity: "me".into(),
            },
        );
        failure.cause = Some(Box::new(Failure::application("Declined", "no").caused_by(Failure::cancelled("stop"))));
        assert_eq!(Failure::from_wire(failure.clone().into_wire()), failure);
        assert!(!failure.is_cancelled());
    }
}
