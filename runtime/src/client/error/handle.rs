//! Errors of handles and lists.

use super::absent::{absent, not_found};
use super::interceptor::InterceptorError;
use super::rpc::RpcError;
use crate::data::{EncodeError, PayloadCodecError};

/// The reason why a workflow was not cancelled, terminated, described or read; or an activity not completed.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// There is no such workflow; or it has ended, and can no longer be terminated.
    #[error("{}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// The server's message.
        message: String,
    },
    /// The activity has ended, or this attempt of it, and accepts no result any more.
    #[error(
        "the activity takes no answer any more: it was answered before, has timed out or was cancelled, or its workflow has \
         ended ({message})"
    )]
    ActivityEnded {
        /// The server's message.
        message: String,
    },
    /// A value cannot be serialized.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// An interceptor of the client refused the call.
    #[error(transparent)]
    Interceptor(#[from] InterceptorError),
    /// The server returned an error, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
}

not_found!(HandleError);

/// The reason why workflows were not listed or counted.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The server does not understand the filter.
    #[error("the filter `{filter}` is not valid: {message}")]
    Filter {
        /// The filter.
        filter: String,
        /// The server's message.
        message: String,
    },
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// An interceptor of the client refused the call.
    #[error(transparent)]
    Interceptor(#[from] InterceptorError),
    /// The server returned an error, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
}

debug_as_display!(HandleError, ListError);
