//! What workflow threads are asked to do, and what they answer.

use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::history::v1::HistoryEvent;
use tokio::sync::oneshot;

use crate::data::Headers;
use crate::executor::{Completion, Definition, QueryError, RunOptions, TaskFailure, Update};
use crate::raw;

/// A workflow task or a query for one run.
pub(super) struct WorkflowJob {
    pub(super) definition: Arc<dyn Definition>,
    pub(super) options: RunOptions,
    pub(super) events: Vec<HistoryEvent>,
    /// Whether pages follow.
    pub(super) more: bool,
    pub(super) updates: Vec<Update>,
    /// The last task that the run must have seen, if it is in the cache.
    pub(super) previous_started_event_id: i64,
    /// Whether there is a task to complete; a query alone completes none.
    pub(super) completes_task: bool,
    pub(super) queries: Vec<Query>,
}

/// A question to the state after the task.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: Vec<raw::Payload>,
}

pub(super) type QueryAnswers = Vec<(String, Result<raw::Payload, QueryError>)>;

/// What came of a job.
pub(super) enum Answer {
    /// The task is done, and the run goes on from there, or is gone if the task closes it. If the server does not take the
    /// task as it is, undo this turn.
    Completed { completion: Completion, answers: QueryAnswers, headers: Headers, turn: Turn },
    /// There was no task; the run is idle again.
    Queried(QueryAnswers),
    /// Send the next page by [`Job::Page`].
    NeedHistory,
    /// The run is not there, or is not where the events begin: send the whole history.
    CacheMiss,
    /// The run is gone.
    Failed(TaskFailure),
}

/// What a thread is asked to do.
pub(super) enum Job {
    Work {
        run_id: Arc<str>,
        job: Box<WorkflowJob>,
        reply: oneshot::Sender<Answer>,
    },
    Page {
        run_id: Arc<str>,
        events: Vec<HistoryEvent>,
        more: bool,
        reply: oneshot::Sender<Answer>,
    },
    /// The page that the run waits for does not come.
    NoPage {
        run_id: Arc<str>,
    },
    /// Which runs have been idle for long.
    ListIdle {
        /// How long a run is idle before it is listed first. Then it is listed whenever that time has doubled.
        first: Duration,
        limit: usize,
        reply: oneshot::Sender<Vec<IdleRun>>,
    },
    /// The server did not take the answer of that turn. Nothing happens if the run has gone on.
    Undo {
        run_id: Arc<str>,
        turn: Turn,
        undo: Undo,
    },
}

/// A cached run that has nothing to do.
#[derive(Debug)]
pub(super) struct IdleRun {
    pub(super) workflow_id: String,
    pub(super) run_id: Arc<str>,
    pub(super) turn: Turn,
}

/// Identifies an idle period of a cached run: no two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(pub(super) u64);

/// What the server made of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undo {
    /// Nobody knows: history will tell.
    Evict,
    /// History will not have the task: go on from this Started event.
    Discard { last_started_event_id: i64 },
}
