//! What can go wrong with a client's calls: one enum for each operation.
//!
//! The `Debug` text of each is its `Display` text: a `main` that returns one shows the reader what to do.

use std::fmt;

use crate::data::{DecodeError, EncodeError, Failure, OptionError, PayloadCodecError, Payloads};

/// Why there is no connection.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address says nothing that this version understands.
    #[error("the address `{address}` cannot be used: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// Nobody answers there. Start the server, or correct the address.
    #[error("no server answers at {address}: {cause}; is it running, and is the address right?")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What the network said.
        cause: String,
    },
    /// One side wants TLS and the other one does not, or one of them does not trust the other.
    #[error("no connection with {address}: {cause}; {advice}")]
    Tls {
        /// Where the server is.
        address: String,
        /// What went wrong.
        cause: String,
        /// What to do.
        advice: String,
    },
    /// The server answers, and refuses.
    #[error("the server at {address} refused the connection: {cause}")]
    Refused {
        /// Where it is.
        address: String,
        /// What it said.
        cause: RpcError,
    },
    /// A variable of the environment cannot be used.
    #[error("the environment variable {variable} {reason}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The profile that the environment asks for cannot be used.
    #[error("the profile file {file}: {reason}")]
    Profile {
        /// Where it is.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header that is to go with each call cannot be sent.
    #[error("`{name}` cannot be sent as a header: {reason}")]
    Metadata {
        /// The header's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An option of the builder cannot be followed.
    #[error("`{option}`: {reason}")]
    InvalidOption {
        /// As it is written.
        option: &'static str,
        /// What is wrong with its value, and what to do.
        reason: String,
    },
    /// The engine in this process did not start.
    #[error("the embedded engine did not start: {0}")]
    Engine(String),
}

debug_as_display!(
    ConnectError,
    RpcError,
    StartError,
    ResultError,
    ExecuteError,
    SignalError,
    QueryError,
    UpdateError,
    HandleError,
    ListError,
);

/// A call that the server, or the way to it, did not answer as hoped.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{operation}: {code}: {message}")]
#[non_exhaustive]
pub struct RpcError {
    /// The method of the workflow service.
    pub operation: &'static str,
    /// What kind of answer it was.
    pub code: RpcCode,
    /// In words.
    pub message: String,
    pub(crate) detail: Option<prost_types::Any>,
}

/// The kinds of answers that are not results, as gRPC names them.
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

/// Why a workflow was not started.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The id is taken. Choose another one, or say with `id_conflict_policy` and `id_reuse_policy` what shall happen.
    #[error(
        "the workflow id `{workflow_id}` is taken by run {run_id}: {}; choose another id, or say with \
         `.id_conflict_policy(..)` and `.id_reuse_policy(..)` what shall happen", without_ids(.message)
    )]
    AlreadyStarted {
        /// The id.
        workflow_id: String,
        /// Which run has it.
        run_id: String,
        /// What the server said.
        message: String,
    },
    /// The workflow id is empty. Leave `.id(..)` away for a fresh one.
    #[error("a workflow id must not be empty: give `.id(\"..\")` some text, or leave it away for a fresh id")]
    EmptyId,
    /// Nothing says which workers shall run it.
    #[error(
        "no task queue for workflow `{workflow_id}`: call `.task_queue(\"..\")` on the start, or give the client one for all \
         starts with `Client::builder(..).task_queue(\"..\")`; in a test environment, `env.worker(\"..\")` before the start does"
    )]
    NoTaskQueue {
        /// The id.
        workflow_id: String,
    },
    /// An option has a value that cannot mean what it says, as a time limit of zero.
    #[error("workflow `{workflow_id}` was not started: {cause}")]
    InvalidOption {
        /// The id.
        workflow_id: String,
        /// Which option, and what to write.
        cause: OptionError,
    },
    /// An argument cannot be serialized.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server refused, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
}

/// Why a workflow gave no result.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// It failed.
    #[error("the workflow failed: {0}")]
    Failed(Failure),
    /// It was cancelled.
    #[error("the workflow was cancelled")]
    Cancelled {
        /// Values that came with it.
        details: Payloads,
    },
    /// It was terminated.
    #[error("the workflow was terminated: {reason}")]
    Terminated {
        /// Why, as who did it said.
        reason: String,
    },
    /// In a test environment: one of the workflow's tasks failed. Elsewhere the task would be tried again until a fix is
    /// deployed.
    #[error("a task of workflow `{workflow_id}` failed: {failure}")]
    TaskFailed {
        /// The workflow.
        workflow_id: String,
        /// Why, with the line where it is known.
        failure: Failure,
    },
    /// Its execution or run timeout passed.
    #[error("the workflow did not end within its time limit")]
    TimedOut,
    /// There is no such workflow, or its retention has passed.
    #[error("{}", absent(.workflow_id, .message))]
    NotFound {
        /// The id that was asked for.
        workflow_id: String,
        /// What the server said.
        message: String,
    },
    /// It gave a value of another type.
    #[error("workflow `{workflow_id}` returned something else than was asked for: {cause}")]
    Decode {
        /// The workflow.
        workflow_id: String,
        /// What did not fit.
        cause: DecodeError,
    },
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server refused, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
    /// The worker that `Worker::run_until` ran beside this call has stopped first.
    #[error("the worker stopped before the result was there: {reason}")]
    WorkerStopped {
        /// Why it stopped.
        reason: String,
    },
}

/// Why [`execute`](crate::Client::execute) gave no result.
#[expect(clippy::large_enum_variant, reason = "made once for each call, and matched by users")]
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// It was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It was started, and gave no result.
    #[error(transparent)]
    Result(#[from] ResultError),
}

/// Why a signal was not sent.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// There is no such workflow, or it has ended.
    #[error("the signal was not sent: {}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// What the server said.
        message: String,
    },
    /// An argument cannot be serialized.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server refused, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
}

/// Why a query was not answered.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The workflow's query failed, or there is no such query.
    #[error("the query failed: {0}")]
    Failed(Failure),
    /// The workflow is not in a state that the query asked for.
    #[error("the query was rejected: the workflow is {status}")]
    Rejected {
        /// The state it is in.
        status: super::WorkflowStatus,
    },
    /// There is no such workflow.
    #[error("the query was not answered: {}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// What the server said.
        message: String,
    },
    /// The workflow has not begun yet, or its tasks keep failing: see the worker's log.
    #[error("workflow `{workflow_id}` cannot answer now: {message}")]
    NotReady {
        /// The workflow.
        workflow_id: String,
        /// What the server said.
        message: String,
    },
    /// No worker answered in time. Is one running for the workflow's task queue?
    #[error("no worker answered the query of workflow `{workflow_id}` in time; is one running for its task queue?")]
    NoAnswer {
        /// The workflow.
        workflow_id: String,
    },
    /// The answer is of another type.
    #[error("workflow `{workflow_id}` answered something else than was asked for: {cause}")]
    Decode {
        /// The workflow.
        workflow_id: String,
        /// What did not fit.
        cause: DecodeError,
    },
    /// An argument cannot be serialized.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server refused, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
    /// In a test environment: one of the workflow's tasks failed. Elsewhere the task would be tried again until a fix is
    /// deployed.
    #[error("a task of workflow `{workflow_id}` failed: {failure}")]
    TaskFailed {
        /// The workflow.
        workflow_id: String,
        /// Why, with the line where it is known.
        failure: Failure,
    },
    /// The worker that `Worker::run_until` ran beside this call has stopped first.
    #[error("the worker stopped before the query was answered: {reason}")]
    WorkerStopped {
        /// Why it stopped.
        reason: String,
    },
}

/// Why an update gave no answer.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The workflow rejected it, or its handler failed.
    #[error("the update failed: {0}")]
    Failed(Failure),
    /// There is no such workflow or update, or the workflow ended before it took the update.
    #[error("the update was not taken: {}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// What the server said.
        message: String,
    },
    /// The workflow's tasks keep failing: see the worker's log.
    #[error("workflow `{workflow_id}` cannot take updates now: {message}")]
    NotReady {
        /// The workflow.
        workflow_id: String,
        /// What the server said.
        message: String,
    },
    /// The answer is of another type.
    #[error("workflow `{workflow_id}` answered something else than was asked for: {cause}")]
    Decode {
        /// The workflow.
        workflow_id: String,
        /// What did not fit.
        cause: DecodeError,
    },
    /// An argument cannot be serialized.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server refused, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
    /// In a test environment: one of the workflow's tasks failed. Elsewhere the task would be tried again until a fix is
    /// deployed.
    #[error("a task of workflow `{workflow_id}` failed: {failure}")]
    TaskFailed {
        /// The workflow.
        workflow_id: String,
        /// Why, with the line where it is known.
        failure: Failure,
    },
    /// The worker that `Worker::run_until` ran beside this call has stopped first.
    #[error("the worker stopped before the update was answered: {reason}")]
    WorkerStopped {
        /// Why it stopped.
        reason: String,
    },
}

/// Why a workflow was not cancelled, terminated, described or read.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// There is no such workflow; or it has ended, and can no longer be terminated.
    #[error("{}", absent(.workflow_id, .message))]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// What the server said.
        message: String,
    },
    /// The activity of this token takes no answer any more.
    #[error(
        "the activity takes no answer any more: it was answered before, has timed out or was cancelled, or its workflow has \
         ended ({message})"
    )]
    ActivityEnded {
        /// What the server said.
        message: String,
    },
    /// A value cannot be serialized.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server refused, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
}

/// Why workflows were not listed or counted.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The server does not understand the filter.
    #[error("the filter `{filter}` is not valid: {message}")]
    Filter {
        /// As it was given.
        filter: String,
        /// What the server said.
        message: String,
    },
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server refused, or was not reached.
    #[error(transparent)]
    Rpc(RpcError),
}

/// What the server says of a taken id, less the ids, which are said already.
fn without_ids(message: &str) -> &str {
    message.split(". WorkflowId:").next().unwrap_or(message).trim_end_matches('.')
}

/// What a "not found" of the server means for a caller that named this workflow, and what to do about it.
fn absent(workflow_id: &str, message: &str) -> String {
    let said = message.trim_end_matches('.').to_lowercase();
    if workflow_id.is_empty() {
        "the workflow id is empty: give the id that the workflow was started with".to_owned()
    } else if said.contains("namespace") {
        format!("{}: check the client's namespace", message.trim_end_matches('.'))
    } else if said.contains("already completed") {
        format!("workflow `{workflow_id}` has ended already")
    } else if said.contains("update") || !said.contains("not found") && !said.contains("no rows") {
        format!("workflow `{workflow_id}`: {message}")
    } else {
        format!(
            "there is no workflow `{workflow_id}`: check the id and the client's namespace; closed workflows are kept for the \
             namespace's retention only"
        )
    }
}

impl RpcError {
    /// Whether the workflow that was named cannot be there: servers reject an empty id by another code.
    pub(super) fn is_absent(&self, workflow_id: &str) -> bool {
        self.code == RpcCode::NotFound || workflow_id.is_empty() && self.code == RpcCode::InvalidArgument
    }
}

macro_rules! not_found {
    ($($error:ident),*) => {$(
        impl $error {
            pub(crate) fn from_rpc(workflow_id: &str, error: RpcError) -> Self {
                match error.is_absent(workflow_id) {
                    true => Self::NotFound { workflow_id: workflow_id.to_owned(), message: error.message },
                    false => Self::Rpc(error),
                }
            }
        }
    )*};
}
not_found!(ResultError, SignalError, HandleError);

#[cfg(test)]
mod tests {
    use super::*;

    fn not_found(workflow_id: &str, message: &str) -> String {
        HandleError::NotFound { workflow_id: workflow_id.to_owned(), message: message.to_owned() }.to_string()
    }

    #[test]
    fn what_is_not_found_is_said_with_what_to_check() {
        let gone = "there is no workflow `buy-9`: check the id and the client's namespace; closed workflows are kept for the \
                    namespace's retention only";
        assert_eq!(not_found("buy-9", "workflow not found for ID: buy-9"), gone);
        assert_eq!(not_found("buy-9", "sql: no rows in result set"), gone);
        let ended = "workflow `buy-9` has ended already";
        assert_eq!(not_found("buy-9", "workflow execution already completed"), ended);
        let namespace = "Namespace shop is not found: check the client's namespace";
        assert_eq!(not_found("buy-9", "Namespace shop is not found."), namespace);
        assert_eq!(not_found("buy-9", "update u-1 not found"), "workflow `buy-9`: update u-1 not found");
        assert_eq!(not_found("", ""), "the workflow id is empty: give the id that the workflow was started with");
        let signal = SignalError::NotFound { workflow_id: "b".to_owned(), message: "already completed".to_owned() };
        assert_eq!(signal.to_string(), "the signal was not sent: workflow `b` has ended already");
    }

    #[test]
    fn errors_that_main_returns_read_as_text() {
        let error: Box<dyn std::error::Error> = StartError::EmptyId.into();
        assert_eq!(format!("{error:?}"), error.to_string());
        let error: Box<dyn std::error::Error> = ExecuteError::from(ResultError::TimedOut).into();
        assert_eq!(format!("{error:?}"), "the workflow did not end within its time limit");
    }
}
