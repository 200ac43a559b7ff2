//! Errors of starting workflows.

use super::interceptor::InterceptorError;
use super::rpc::RpcError;
use crate::data::{EncodeError, OptionError, PayloadCodecError};

/// The reason why a workflow was not started.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The id is taken. Choose another one, or set `id_conflict_policy` or `id_reuse_policy`.
    #[error(
        "the workflow id `{workflow_id}` is taken by run {run_id}: {}; choose another id, or set \
         `.id_conflict_policy(..)` or `.id_reuse_policy(..)`", without_ids(.message)
    )]
    AlreadyStarted {
        /// The id.
        workflow_id: String,
        /// The run that has the id.
        run_id: String,
        /// The server's message.
        message: String,
    },
    /// The workflow id is empty. Omit `.id(..)` for a generated one.
    #[error("a workflow id must not be empty: give `.id(\"..\")` some text, or leave it away for a fresh id")]
    EmptyId,
    /// The start has no task queue.
    #[error(
        "no task queue for workflow `{workflow_id}`: call `.task_queue(\"..\")` on the start, or give the client one for all \
         starts with `Client::builder(..).task_queue(\"..\")`; in a test environment, `env.worker(\"..\")` before the start does"
    )]
    NoTaskQueue {
        /// The id.
        workflow_id: String,
    },
    /// An option has an invalid value, such as a time limit of zero.
    #[error("workflow `{workflow_id}` was not started: {cause}")]
    InvalidOption {
        /// The id.
        workflow_id: String,
        /// The option, and its valid values.
        cause: OptionError,
    },
    /// An argument cannot be serialized.
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

debug_as_display!(StartError);

/// The server's message about a taken id, without the ids, which the error contains already.
fn without_ids(message: &str) -> &str {
    message.split(". WorkflowId:").next().unwrap_or(message).trim_end_matches('.')
}
