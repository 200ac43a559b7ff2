//! Errors of requests about namespaces, and their gRPC statuses.

use std::sync::Arc;

use everloop_proto::temporal::api::enums::v1::NamespaceState;
use everloop_proto::temporal::api::errordetails::v1::{
    NamespaceAlreadyExistsFailure, NamespaceInvalidStateFailure, NamespaceNotFoundFailure,
};
use tonic::{Code, Status};

use crate::status::with_detail;
use crate::store::StoreError;

/// Why a namespace cannot be used or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NamespaceError {
    #[error("Namespace not set on request.")]
    NotSet,
    #[error("Namespace length exceeds limit.")]
    TooLong,
    #[error("Namespace {name} is not found.")]
    NotFound { name: String },
    #[error("Namespace {name:?} already exists")]
    AlreadyExists { name: String },
    /// New runs are refused; those that are there go on.
    #[error("Namespace has invalid state: Deprecated. Must be Registered.")]
    Deprecated { name: Arc<str> },
    #[error("A valid retention period is not set on request.")]
    Retention,
    #[error("Invalid namespace state update.")]
    StateUpdate,
    #[error("{0}")]
    InvalidArgument(String),
    #[error("{0} is not supported by this server")]
    Unsupported(&'static str),
    /// So that nobody fills the memory with them.
    #[error("there are {count} namespaces, no more can be registered")]
    TooMany { count: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NamespaceError> for Status {
    fn from(error: NamespaceError) -> Self {
        let message = error.to_string();
        match error {
            NamespaceError::NotFound { name } => {
                with_detail(Code::NotFound, message, &NamespaceNotFoundFailure { namespace: name })
            }
            NamespaceError::AlreadyExists { .. } => {
                with_detail(Code::AlreadyExists, message, &NamespaceAlreadyExistsFailure {})
            }
            NamespaceError::Deprecated { name } => {
                let detail = NamespaceInvalidStateFailure {
                    namespace: name.to_string(),
                    state: NamespaceState::Deprecated.into(),
                    allowed_states: vec![NamespaceState::Registered.into()],
                };
                with_detail(Code::FailedPrecondition, message, &detail)
            }
            NamespaceError::NotSet
            | NamespaceError::TooLong
            | NamespaceError::Retention
            | NamespaceError::StateUpdate
            | NamespaceError::InvalidArgument(_) => Self::invalid_argument(message),
            NamespaceError::Unsupported(_) => Self::unimplemented(message),
            NamespaceError::TooMany { .. } => Self::resource_exhausted(message),
            NamespaceError::Store(error) => error.into(),
        }
    }
}
