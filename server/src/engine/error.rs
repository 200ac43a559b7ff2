//! Reasons why the engine refuses a request. The service maps each to a gRPC code.

use std::sync::Arc;

use crate::api::enums::WorkflowTaskFailedCause;

/// The reason why a request was refused; the request changed nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The named run, task or activity does not exist or is closed.
    #[error("{0}")]
    NotFound(String),
    /// The request is invalid in every state.
    #[error("{0}")]
    InvalidArgument(String),
    /// The request is not possible in the current state.
    #[error("{0}")]
    FailedPrecondition(String),
    /// The workflow cannot answer yet, or its worker keeps failing.
    #[error("{0}")]
    NotReady(String),
    /// The workflow is about to close; the caller should try again.
    #[error("{0}")]
    Busy(String),
    /// A limit of the run on concurrent operations is reached.
    #[error("{0}")]
    TooMany(String),
    /// The engine does not support the feature.
    #[error("{0} is not supported by this server")]
    Unsupported(&'static str),
    /// The request needs a feature that is switched off.
    #[error("{0}")]
    Denied(String),
    /// The request is valid but was not carried out; the caller should retry.
    #[error("{0}")]
    Unavailable(String),
    /// The stored data of the run is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The workflow id of a start is already in use.
    #[error("{message}")]
    AlreadyStarted { message: String, start_request_id: String, run_id: Arc<str>, first_run_id: Arc<str> },
}

impl Refusal {
    pub(crate) fn damaged(run_id: &str, problem: &dyn std::fmt::Display) -> Self {
        Self::Damaged(format!("the history of run \"{run_id}\" is damaged: {problem}"))
    }

    pub(crate) fn closed() -> Self {
        Self::NotFound("workflow execution already completed".to_owned())
    }

    pub(crate) fn unknown_run() -> Self {
        Self::NotFound("workflow execution not found".to_owned())
    }

    pub(crate) fn unknown_workflow_task() -> Self {
        Self::NotFound("Workflow task not found.".to_owned())
    }

    pub(crate) fn unknown_activity() -> Self {
        Self::NotFound("invalid activityID or activity already timed out or invoking workflow is completed".to_owned())
    }

    pub(crate) fn closing() -> Self {
        Self::Busy("workflow operation can not be applied because workflow is closing".to_owned())
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidArgument(message.into())
    }
}

/// The reason why a completion is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(super) cause: WorkflowTaskFailedCause,
    pub(super) detail: String,
    /// Whether the run must be terminated, since no other completion could help.
    pub(super) terminates: bool,
}

impl Rejected {
    pub(super) fn new(cause: WorkflowTaskFailedCause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), terminates: false }
    }

    pub(super) fn terminating(self) -> Self {
        Self { terminates: true, ..self }
    }

    pub(super) fn message(&self) -> String {
        let name = cause_name(self.cause);
        if self.detail.is_empty() { name } else { format!("{name}: {}", self.detail) }
    }
}

/// Formats `BAD_START_TIMER_ATTRIBUTES` as `BadStartTimerAttributes`.
fn cause_name(cause: WorkflowTaskFailedCause) -> String {
    let name = cause.as_str_name();
    let name = name.strip_prefix("WORKFLOW_TASK_FAILED_CAUSE_").unwrap_or(name);
    name.split('_')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_owned(), rest.to_ascii_lowercase()]
        })
        .collect()
}
