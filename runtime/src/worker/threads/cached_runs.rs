//! The cached runs of a thread.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::Span;

use crate::executor::Run;
use crate::worker::jobs::{IdlePeriod, IdleRun, JobReply, Query, WorkflowJob};

/// A run in the cache, with its current job and waiting ones.
pub(super) struct CachedRun {
    pub(super) run: Run,
    pub(super) workflow_id: String,
    pub(super) workflow_type: &'static str,
    /// The span around all code of the run.
    pub(super) span: Span,
    pub(super) state: RunState,
    pub(super) idle_since: Instant,
    /// The number of times that [`list_idle`](CachedRuns::list_idle) has returned the run since then.
    pub(super) listed: u32,
    /// Jobs that arrived during another one.
    pub(super) waiting: VecDeque<(Box<WorkflowJob>, oneshot::Sender<JobReply>)>,
}

/// The state of a cached run.
pub(super) enum RunState {
    Idle(IdlePeriod),
    /// A job has begun, and its reply was not sent yet. The run may wait for a page of history, or for its next turn.
    Working {
        /// The WorkflowTaskStarted event of the task that the job completes; `None` for a query.
        task: Option<i64>,
        queries: Vec<Query>,
        reply: Option<oneshot::Sender<JobReply>>,
        /// Set while the task waits for local activities.
        pause: Option<IdlePeriod>,
    },
}

/// The runs of one thread.
#[derive(Default)]
pub(super) struct CachedRuns {
    pub(super) entries: HashMap<Arc<str>, CachedRun>,
    /// Idle runs, the least recently used ones first.
    pub(super) idle: BTreeMap<IdlePeriod, Arc<str>>,
    /// Long replays that wait for their next turn.
    pub(super) yielded: VecDeque<Arc<str>>,
    /// Jobs whose run has become idle or was evicted. They begin before all others.
    pub(super) ready: VecDeque<(Arc<str>, Box<WorkflowJob>, oneshot::Sender<JobReply>)>,
}

/// The idle time at which a run is listed again, in units of the first one. It doubles six times, then grows by 64 each time.
fn listed_after(times: u32) -> u32 {
    if times < 6 { 1 << times } else { (times - 5).saturating_mul(64) }
}

impl CachedRuns {
    /// Whether all runs wait for another job.
    pub(super) fn is_waiting(&self) -> bool {
        self.yielded.is_empty() && self.ready.is_empty()
    }

    /// Lists runs that have been idle for `first`, and again each time their idle time has doubled.
    pub(super) fn list_idle(&mut self, first: Duration, limit: usize) -> Vec<IdleRun> {
        let mut list = Vec::new();
        for (idle_period, run_id) in &self.idle {
            if list.len() == limit {
                break;
            }
            let Some(entry) = self.entries.get_mut(run_id) else { continue };
            if entry.idle_since.elapsed() >= first.saturating_mul(listed_after(entry.listed)) {
                entry.listed += 1;
                list.push(IdleRun {
                    workflow_id: entry.workflow_id.clone(),
                    run_id: run_id.clone(),
                    idle_period: *idle_period,
                });
            }
        }
        list
    }
}
