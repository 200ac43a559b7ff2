//! Conversion between failures and messages of the wire.

use everloop_proto::temporal::api::failure::v1 as wire;
use everloop_proto::temporal::api::failure::v1::failure::FailureInfo;

use super::causes::from_nested;
use super::{ErrorCategory, Failure, FailureKind, RetryState, TimeoutType};
use crate::data::{Payloads, decode, delay_from_wire, duration_to_wire};

/// Message and stack trace of a failure that was encoded as a whole, so that servers cannot read them.
#[derive(serde::Deserialize)]
struct HiddenAttributes {
    #[serde(default)]
    message: String,
    #[serde(default)]
    stack_trace: String,
}

/// The message of such a failure for readers that cannot decode it; all SDKs use this text.
const HIDDEN_MESSAGE: &str = "Encoded failure";

impl Failure {
    /// Converts a received failure, whose causes may be nested deeper than the stack allows.
    pub(crate) fn from_wire(failure: wire::Failure) -> Self {
        from_nested(failure, |failure| failure.cause.take().map(|cause| *cause), Self::without_cause)
    }

    fn without_cause(failure: wire::Failure) -> Self {
        let kind = match failure.failure_info {
            Some(FailureInfo::ApplicationFailureInfo(info)) => FailureKind::Application {
                type_name: info.r#type,
                non_retryable: info.non_retryable,
                details: Payloads::from_wire(info.details),
                next_retry_delay: delay_from_wire(info.next_retry_delay),
                category: ErrorCategory::from_wire(info.category),
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
            cause: None,
            kind,
            encoded_attributes: failure.encoded_attributes,
        }
    }

    /// Converts the failure into a message that is at most [`CHAIN_MAX`](Self::CHAIN_MAX) deep.
    pub(crate) fn into_wire(self) -> wire::Failure {
        let info = match self.kind {
            FailureKind::Application { type_name, non_retryable, details, next_retry_delay, category } => {
                Some(FailureInfo::ApplicationFailureInfo(wire::ApplicationFailureInfo {
                    r#type: type_name,
                    non_retryable,
                    details: details.into_wire(),
                    next_retry_delay: next_retry_delay.map(duration_to_wire),
                    category: category.into_wire(),
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
        // A failure that was encoded when it was received is sent encoded.
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

macro_rules! mirrors {
    ($ours:ident, $theirs:ident, { $($variant:ident),* }) => {
        impl $ours {
            pub(crate) fn from_wire(value: i32) -> Self {
                use everloop_proto::temporal::api::enums::v1::$theirs as Wire;
                match Wire::try_from(value) {
                    $(Ok(Wire::$variant) => Self::$variant,)*
                    Ok(Wire::Unspecified) => Self::Unspecified,
                    Err(_) => Self::Unknown(value),
                }
            }
            pub(crate) fn into_wire(self) -> i32 {
                use everloop_proto::temporal::api::enums::v1::$theirs as Wire;
                match self {
                    $(Self::$variant => Wire::$variant as i32,)*
                    Self::Unspecified => Wire::Unspecified as i32,
                    Self::Unknown(value) => value,
                }
            }
        }
    };
}
mirrors!(ErrorCategory, ApplicationErrorCategory, { Benign });
mirrors!(TimeoutType, TimeoutType, { StartToClose, ScheduleToStart, ScheduleToClose, Heartbeat });
mirrors!(RetryState, RetryState, {
    InProgress, NonRetryableFailure, Timeout, MaximumAttemptsReached, RetryPolicyNotSet, InternalServerError, CancelRequested
});

#[cfg(test)]
mod tests {
    use super::*;

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
        let failure = Failure::new(
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
        let failure = failure.caused_by(Failure::application("Declined", "no").caused_by(Failure::cancelled("stop")));
        assert_eq!(Failure::from_wire(failure.clone().into_wire()), failure);
        assert!(!failure.is_cancelled());
    }

    #[test]
    fn numbers_of_a_later_protocol_are_kept() {
        let states = (RetryState::Unknown(77), TimeoutType::Unknown(78), ErrorCategory::Unknown(79));
        let (retry, timeout, category) = (states.0.into_wire(), states.1.into_wire(), states.2.into_wire());
        assert_eq!((retry, timeout, category), (77, 78, 79));
        let read = (RetryState::from_wire(77), TimeoutType::from_wire(78), ErrorCategory::from_wire(79));
        assert_eq!(read, states);
        let unset = (RetryState::from_wire(0), TimeoutType::from_wire(0), ErrorCategory::from_wire(0));
        assert_eq!(unset, (RetryState::Unspecified, TimeoutType::Unspecified, ErrorCategory::Unspecified));
    }
}
