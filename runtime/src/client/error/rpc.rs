//! Errors of single calls.

use std::fmt;

/// The error of a call that the server rejected or did not receive.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{operation}: {code}: {message}")]
#[non_exhaustive]
pub struct RpcError {
    /// The method of the workflow service.
    pub operation: &'static str,
    /// The kind of error.
    pub code: RpcCode,
    /// The error's text.
    pub message: String,
    pub(crate) detail: Option<prost_types::Any>,
}

impl RpcError {
    /// Whether the workflow cannot exist. Servers reject an empty id with another code than a missing workflow.
    pub(in crate::client) fn is_absent(&self, workflow_id: &str) -> bool {
        self.code == RpcCode::NotFound || workflow_id.is_empty() && self.code == RpcCode::InvalidArgument
    }
}

debug_as_display!(RpcError);

/// The kinds of errors of calls, as gRPC names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "gRPC's own names")]
pub enum RpcCode {
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl fmt::Display for RpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown error",
            Self::InvalidArgument => "invalid argument",
            Self::DeadlineExceeded => "deadline exceeded",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::PermissionDenied => "permission denied",
            Self::ResourceExhausted => "resource exhausted",
            Self::FailedPrecondition => "failed precondition",
            Self::Aborted => "aborted",
            Self::OutOfRange => "out of range",
            Self::Unimplemented => "not implemented by the server",
            Self::Internal => "internal error",
            Self::Unavailable => "unavailable",
            Self::DataLoss => "data loss",
            Self::Unauthenticated => "not authenticated",
        })
    }
}
