//! What is asked of the engine and what it answers: the model learns it from here, as it happens.

use serde::{Deserialize, Serialize};

use crate::script::Script;

/// Takes down what happens. Something sent is noted before it is sent, an answer after it has come.
pub(crate) trait Journal: Send + Sync + 'static {
    fn note(&self, entry: Entry);
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// It is on its way, perhaps not for the first time.
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
        /// How often the body may begin; zero means without limit.
        maximum_attempts: u32,
    },
}

/// One request with an effect that can be found again, or a question whose answer can be checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// In histories, where it came through: as request id, update id, reason, result or identity, whatever is there.
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
    /// Its validator says no if it shall be refused.
    Update {
        shall_be_refused: bool,
    },
    /// How many signals there are; those acknowledged before were so many.
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
    /// Acknowledged, with what came back: a run id, a result, or nothing.
    Done(String),
    /// It has no effect, says the engine.
    Refused(String),
}

impl Operation {
    /// Whether it can be sent again under the same id, and counts once all the same.
    pub(crate) fn is_repeatable(&self) -> bool {
        matches!(self.kind, Kind::Start { .. } | Kind::Signal | Kind::Update { .. } | Kind::Cancel)
    }
}
