//! Errors of signals, queries and updates.

use super::absent::{absent, not_found};
use super::interceptor::InterceptorError;
use super::rpc::RpcError;
use crate::client::status::WorkflowStatus;
use crate::data::{DecodeError, EncodeError, Failure, PayloadCodecError};

/// The reason why a signal was not sent.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// There is no such workflow, or it has ended.
    #[error("the signal was not sent: {}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// The server's message.
        message: String,
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

not_found!(SignalError);

/// The reason why a query has no result.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The workflow's query failed, or there is no such query.
    #[error("the query failed: {0}")]
    Failed(Failure),
    /// The workflow's status is not one that the query requires.
    #[error("the query was rejected: the workflow is {status}")]
    Rejected {
        /// The workflow's status.
        status: WorkflowStatus,
    },
    /// There is no such workflow.
    #[error("the query was not answered: {}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// The server's message.
        message: String,
    },
    /// The workflow has not started yet, or its tasks keep failing: see the worker's log.
    #[error("workflow `{workflow_id}` cannot answer now: {message}")]
    NotReady {
        /// The workflow.
        workflow_id: String,
        /// The server's message.
        message: String,
    },
    /// No worker answered in time. Is one running for the workflow's task queue?
    #[error("no worker answered the query of workflow `{workflow_id}` in time; is one running for its task queue?")]
    NoAnswer {
        /// The workflow.
        workflow_id: String,
    },
    /// The result is of another type.
    #[error("workflow `{workflow_id}` answered something else than was asked for: {cause}")]
    Decode {
        /// The workflow.
        workflow_id: String,
        /// The mismatch.
        cause: DecodeError,
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
    /// In a test environment: one of the workflow's tasks failed. In production, the task would be retried until a fix is
    /// deployed.
    #[error("a task of workflow `{workflow_id}` failed: {failure}")]
    TaskFailed {
        /// The workflow.
        workflow_id: String,
        /// The failure, with its line if it is known.
        failure: Failure,
    },
    /// The worker that `Worker::run_until` ran beside this call has stopped first.
    #[error("the worker stopped before the query was answered: {reason}")]
    WorkerStopped {
        /// The reason why it stopped.
        reason: String,
    },
}

/// The reason why an update has no result.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The workflow rejected the update, or its handler failed.
    #[error("the workflow rejected the update, or its handler failed: {0}")]
    Failed(Failure),
    /// There is no such workflow or update, or the workflow ended before it accepted the update.
    #[error("the update was not taken: {}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// The server's message.
        message: String,
    },
    /// The workflow's tasks keep failing: see the worker's log.
    #[error("workflow `{workflow_id}` cannot take updates now: {message}")]
    NotReady {
        /// The workflow.
        workflow_id: String,
        /// The server's message.
        message: String,
    },
    /// The result is of another type.
    #[error("workflow `{workflow_id}` answered something else than was asked for: {cause}")]
    Decode {
        /// The workflow.
        workflow_id: String,
        /// The mismatch.
        cause: DecodeError,
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
    /// In a test environment: one of the workflow's tasks failed. In production, the task would be retried until a fix is
    /// deployed.
    #[error("a task of workflow `{workflow_id}` failed: {failure}")]
    TaskFailed {
        /// The workflow.
        workflow_id: String,
        /// The failure, with its line if it is known.
        failure: Failure,
    },
    /// The worker that `Worker::run_until` ran beside this call has stopped first.
    #[error("the worker stopped before the update was answered: {reason}")]
    WorkerStopped {
        /// The reason why it stopped.
        reason: String,
    },
}

debug_as_display!(SignalError, QueryError, UpdateError);
