//! The reasons why a workflow task cannot be completed.

use everloop_proto::temporal::api::enums::v1::WorkflowTaskFailedCause;

use super::call_site::CallSite;
use super::command::CommandKind;
use super::panic::Panic;
use crate::data::{DecodeError, Failure};

/// Advice for code that no longer fits its history.
const ADVICE: &str = "the workflow's code has changed since the history was recorded, or depends on something that differs \
     between runs (clock, random numbers, the order of a hash map): run this workflow with the code that recorded it";

/// The reason why a history cannot be replayed with this workflow code.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The code issued another command than it did when the history was recorded.
    #[error("event {event_id}: history has {recorded}, the workflow issued {issued} at {site}; {ADVICE}")]
    CommandMismatch { event_id: i64, recorded: CommandKind, issued: CommandKind, site: CallSite },
    /// The code issued fewer commands than it did when the history was recorded.
    #[error("event {event_id}: history has {recorded}, the workflow issued nothing more in this task; {ADVICE}")]
    CommandMissing { event_id: i64, recorded: CommandKind },
    /// The code issued more commands than it did when the history was recorded.
    #[error(
        "after event {event_id}: the workflow issued {issued} at {site}, history has no such event in this task; {ADVICE}"
    )]
    CommandUnrecorded { event_id: i64, issued: CommandKind, site: CallSite },
    /// In a test: the code issued the same command with another value.
    #[error(
        "event {event_id}: {what} was {recorded} at first and {issued} when the same code ran again, at {site}; the workflow \
         depends on something that differs between runs: most often the order of a `HashMap` or `HashSet` (take a `BTreeMap` \
         or `BTreeSet`), else a clock (`workflow::now()`) or a random number (`workflow::random()`)"
    )]
    ValueMismatch { event_id: i64, what: String, recorded: String, issued: String, site: CallSite },
    /// History has a patch that the code does not ask for any more.
    #[error(
        "event {event_id}: history has the patch `{id}`, the workflow does not ask for it: write \
         `workflow::deprecate_patch(\"{id}\")` where `workflow::patched(\"{id}\")` was, and remove that when no run is left \
         that has the patch"
    )]
    PatchMissing { event_id: i64, id: String },
    /// The history violates the protocol; the workflow code is not at fault.
    #[error("event {event_id} is not possible in this history: {reason}")]
    InvalidHistory { event_id: i64, reason: String },
    /// A kind of event that this version does not know, and must not ignore.
    #[error("event {event_id} is of a kind ({event_type}) that this version of everloop does not support")]
    UnsupportedEvent { event_id: i64, event_type: String },
    /// A later version recorded the event.
    #[error(
        "event {event_id} was recorded under rule {number}, which this version of everloop does not know: deploy the version \
         that recorded it, or a later one"
    )]
    UnknownRule { event_id: i64, number: u32 },
    /// The history accepted an update whose handler does not exist any more.
    #[error("event {event_id}: history has an accepted update `{name}`, the workflow has no such update; {ADVICE}")]
    UpdateHandlerMissing { event_id: i64, name: String },
}

impl ReplayError {
    pub(super) fn invalid(event_id: i64, reason: impl Into<String>) -> Self {
        Self::InvalidHistory { event_id, reason: reason.into() }
    }
}

/// The reason why a workflow task fails. The workflow itself does not fail: the server offers the task again, so that a fix can
/// be deployed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum TaskFailure {
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("{panic}{advice}", panic = .0, advice = .0.advice())]
    Panic(Panic),
    #[error(
        "the input of workflow `{workflow_type}` does not fit: {cause}; deploy code that takes it, or terminate the workflow \
         and start it with what fits"
    )]
    Input { workflow_type: &'static str, cause: DecodeError },
    #[error("{0}")]
    Waker(String),
}

impl TaskFailure {
    pub(crate) fn cause(&self) -> WorkflowTaskFailedCause {
        match self {
            Self::Replay(_) => WorkflowTaskFailedCause::NonDeterministicError,
            Self::Panic(_) | Self::Input { .. } | Self::Waker(_) => {
                WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure
            }
        }
    }

    pub(crate) fn to_failure(&self) -> Failure {
        let (type_name, stack_trace) = match self {
            Self::Replay(_) => ("NondeterminismError", String::new()),
            Self::Panic(panic) => ("Panic", panic.location.clone().unwrap_or_default()),
            Self::Input { .. } => ("DecodeError", String::new()),
            Self::Waker(_) => ("NondeterminismError", String::new()),
        };
        let mut failure = Failure::application(type_name, self.to_string());
        failure.stack_trace = stack_trace;
        failure
    }
}
