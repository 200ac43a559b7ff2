//! Jobs for workflow threads, and the replies to them.

use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::history::v1::HistoryEvent;
use tokio::sync::oneshot;

use crate::data::Headers;
use crate::executor::{
    Completion, Definition, LocalEnded, LocalRequest, QueryFailure, RunOptions, TaskFailure, Update,
};
use crate::raw;

/// A workflow task or a query for one run.
pub(super) struct WorkflowJob {
    pub(super) definition: Arc<dyn Definition>,
    pub(super) options: RunOptions,
    pub(super) events: Vec<HistoryEvent>,
    /// Whether further pages of the history follow.
    pub(super) more: bool,
    pub(super) updates: Vec<Update>,
    /// The WorkflowTaskStarted event of the last task that a cached run must have processed.
    pub(super) previous_started_event_id: i64,
    /// The WorkflowTaskStarted event of this task.
    pub(super) started_event_id: i64,
    /// Whether the job completes a task; a query alone does not.
    pub(super) completes_task: bool,
    pub(super) queries: Vec<Query>,
}

/// A query that reads the state after the task.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: Vec<raw::Payload>,
    pub(super) headers: Headers,
}

pub(super) type QueryAnswers = Vec<(String, Result<raw::Payload, QueryFailure>)>;

/// The reply to a job.
pub(super) enum JobReply {
    /// The task is done. The run is idle, or dropped if the task closes it. If the server does not accept the response
    /// unchanged, send [`Job::Undo`] with this idle period.
    Completed { completion: Completion, answers: QueryAnswers, idle_period: IdlePeriod },
    /// There was no task to complete; the run is idle again.
    Queried(QueryAnswers),
    /// The run needs the next page: send [`Job::Page`].
    NeedHistory,
    /// The task waits for local activities: do what it asks for, and send [`Job::GoOn`] with this pause.
    WaitsForLocal { requests: Vec<LocalRequest>, headers: Headers, task_timeout: Option<Duration>, pause: IdlePeriod },
    /// The thread does not have the run with the history before these events: send the whole history.
    CacheMiss,
    /// The task failed, and the run is dropped.
    Failed(TaskFailure),
    /// The history continues after the start of the task: the server has ended the task, and accepts no response.
    Ended,
}

/// A job for a workflow thread.
pub(super) enum Job {
    Work {
        run_id: Arc<str>,
        job: Box<WorkflowJob>,
        reply: oneshot::Sender<JobReply>,
    },
    Page {
        run_id: Arc<str>,
        events: Vec<HistoryEvent>,
        more: bool,
        reply: oneshot::Sender<JobReply>,
    },
    /// The task of a run that waits for local activities goes on.
    GoOn {
        run_id: Arc<str>,
        pause: IdlePeriod,
        news: LocalNews,
        reply: oneshot::Sender<JobReply>,
    },
    /// The run waits for something that does not come, as a page that cannot be fetched.
    GiveUp {
        run_id: Arc<str>,
    },
    /// Lists runs that have been idle for long.
    ListIdle {
        /// The idle time after which a run is listed first. It is listed again each time its idle time has doubled.
        first: Duration,
        limit: usize,
        reply: oneshot::Sender<Vec<IdleRun>>,
    },
    /// The server did not accept the task before this idle period. Ignored if the idle period is over.
    Undo {
        run_id: Arc<str>,
        idle_period: IdlePeriod,
        undo: Undo,
    },
}

/// The reason why a task that waits for local activities goes on.
pub(super) enum LocalNews {
    Ended(Vec<LocalEnded>),
    /// The task has to be completed before it times out. The activities run on.
    CompleteEarly,
}

/// An idle run in the cache.
#[derive(Debug)]
pub(super) struct IdleRun {
    pub(super) workflow_id: String,
    pub(super) run_id: Arc<str>,
    pub(super) idle_period: IdlePeriod,
}

/// Identifies one idle period of a cached run, so that a late [`Job::Undo`] of an earlier period is ignored; or one pause of a
/// task that waits for local activities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IdlePeriod(pub(super) u64);

/// The fate of a run whose task the server did not accept as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undo {
    /// The worker does not know the outcome of the task: drop the run.
    Evict,
    /// The history will not contain the task: continue after the task with this Started event.
    Discard { last_started_event_id: i64 },
}
