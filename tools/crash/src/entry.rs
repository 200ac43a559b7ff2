//! The requests to the engine and its responses, from which the model learns as they happen.

use serde::{Deserialize, Serialize};

use crate::script::Script;

/// Records requests and responses: a request before it is sent, a response after it has arrived.
pub(crate) trait Journal: Send + Sync + 'static {
    fn note(&self, entry: Entry);
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// The request is being sent, perhaps again.
    Sent(Operation),
    Answered {
        workflow_id: String,
        id: String,
        answer: Answer,
    },
    /// The body of an activity begins.
    Executed {
        workflow_id: String,
        activity_id: String,
        attempt: i32,
        /// The maximum number of attempts; zero means without limit.
        maximum_attempts: u32,
    },
}

/// One request with an effect that histories show, or a query with a result that the model can check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// Identifies the operation in histories: as request id, update id, reason, result or identity, whichever exists.
    pub(crate) id: String,
    pub(crate) workflow_id: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// The workflow id is the id of this operation.
    Start {
        script: Script,
        with_signal: bool,
    },
    Signal,
    /// The validator rejects the update if `must_be_rejected` is set.
    Update {
        must_be_rejected: bool,
    },
    /// Returns the number of signals received, at least those acknowledged before.
    Query {
        at_least: u32,
    },
    Cancel,
    Terminate,
    /// A worker reports the result of an activity.
    Activity {
        activity_id: String,
        attempt: i32,
    },
    /// A worker completes a workflow task.
    WorkflowTask,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Acknowledged, with the result: a run id, a result, or nothing.
    Done(String),
    /// The engine reports that the operation has no effect.
    Refused(String),
}

impl Operation {
    /// Whether the operation can be sent again under the same id and still counts once.
    pub(crate) fn is_repeatable(&self) -> bool {
        matches!(self.kind, Kind::Start { .. } | Kind::Signal | Kind::Update { .. } | Kind::Cancel)
    }
}
