//! Errors of waiting for a workflow's result.

use super::absent::{absent, not_found};
use super::rpc::RpcError;
use super::start::StartError;
use crate::data::{DecodeError, Failure, PayloadCodecError, Payloads};

/// The reason why a workflow has no result.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The workflow failed.
    #[error("the workflow failed: {0}")]
    Failed(Failure),
    /// The workflow was cancelled.
    #[error("the workflow was cancelled")]
    Cancelled {
        /// Values that the workflow attached.
        details: Payloads,
    },
    /// The workflow was terminated.
    #[error("the workflow was terminated: {reason}")]
    Terminated {
        /// The reason of the termination.
        reason: String,
    },
    /// In a test environment: one of the workflow's tasks failed. In production, the task would be retried until a fix is
    /// deployed.
    #[error("a task of workflow `{workflow_id}` failed: {failure}")]
    TaskFailed {
        /// The workflow.
        workflow_id: String,
        /// The failure, with its line if it is known.
        failure: Failure,
    },
    /// The execution or run timeout of the workflow has passed.
    #[error("the workflow did not end within its time limit")]
    TimedOut,
    /// There is no such workflow, or its retention has passed.
    #[error("{}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow id of the request.
        workflow_id: String,
        /// The server's message.
        message: String,
    },
    /// The result is of another type.
    #[error("workflow `{workflow_id}` returned something else than was asked for: {cause}")]
    Decode {
        /// The workflow.
        workflow_id: String,
        /// The mismatch.
        cause: DecodeError,
    },
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server returned an error, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
    /// The worker that `Worker::run_until` ran beside this call has stopped first.
    #[error("the worker stopped before the result was there: {reason}")]
    WorkerStopped {
        /// The reason why it stopped.
        reason: String,
    },
}

not_found!(ResultError);

/// The reason why [`execute`](crate::Client::execute) returned no result.
#[expect(clippy::large_enum_variant, reason = "made once for each call, and matched by users")]
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The workflow was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The workflow was started, and has no result.
    #[error(transparent)]
    Result(#[from] ResultError),
}

debug_as_display!(ResultError, ExecuteError);
