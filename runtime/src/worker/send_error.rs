//! The reason why a response to a polled task did not reach the server.

use everloop_proto::temporal::api::enums::v1::WorkflowTaskFailedCause;

use crate::client::{RpcCode, RpcError};
use crate::data::{Failure, FailureKind, PayloadCodecError};

/// The reason why a response to a polled task did not reach the server.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The response is too large; the text has its size.
    #[error("{0}")]
    TooLarge(String),
}

impl SendError {
    /// Whether the server no longer waits for the response.
    pub(super) fn is_unwanted(&self) -> bool {
        matches!(self, Self::Rpc(error) if error.code == RpcCode::NotFound)
    }

    /// Whether the response can never be sent unchanged.
    pub(super) fn is_unsendable(&self) -> bool {
        match self {
            Self::Rpc(error) => error.is_too_large(),
            Self::Codec(_) | Self::TooLarge(_) => true,
        }
    }

    /// Whether the response is too large. A codec may succeed next time, while the size of a message stays the same.
    pub(super) fn is_about_size(&self) -> bool {
        matches!(self, Self::Rpc(_) | Self::TooLarge(_)) && self.is_unsendable()
    }

    /// The failure that replaces an unsendable value in history.
    pub(super) fn failure_of(&self, unsent: &str) -> Failure {
        let type_name = match self {
            Self::Rpc(_) | Self::TooLarge(_) => "MessageTooLarge",
            Self::Codec(_) => "PayloadCodecError",
        };
        let mut failure = Failure::application(type_name, format!("{unsent} cannot be sent: {self}"));
        if let FailureKind::Application { non_retryable, .. } = &mut failure.kind {
            *non_retryable = self.is_about_size();
        }
        failure
    }

    /// The cause of a workflow task that fails because its completion cannot be sent.
    pub(super) fn cause(&self) -> WorkflowTaskFailedCause {
        if self.is_about_size() {
            WorkflowTaskFailedCause::GrpcMessageTooLarge
        } else {
            WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure
        }
    }
}
