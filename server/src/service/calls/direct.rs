//! Queries that reach a worker in a query task of their own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::api::query::WorkflowQuery;
use crate::api::workflowservice::RespondQueryTaskCompletedRequest;
use crate::engine::time::Time;
use crate::matching::QueueKey;
use crate::service::core::Core;
use crate::service::runs::slot::lock;
use crate::service::runs::task::Task;

/// The direct queries that wait for an answer, by number.
#[derive(Debug)]
pub(crate) struct DirectQueries {
    waiting: Mutex<HashMap<u64, Arc<DirectQuery>>>,
    next_id: AtomicU64,
}

impl DirectQueries {
    /// Creates an empty set. Workers may still have queries of an earlier process, whose numbers are below `now`.
    pub(in crate::service) fn new(now: Time) -> Self {
        Self { waiting: Mutex::default(), next_id: AtomicU64::new(u64::try_from(now.nanos()).unwrap_or(0)) }
    }

    pub(in crate::service) fn get(&self, id: u64) -> Option<Arc<DirectQuery>> {
        lock(&self.waiting).get(&id).cloned()
    }
}

/// A direct query, from its offer to its answer.
#[derive(Debug)]
pub(crate) struct DirectQuery {
    pub(crate) id: u64,
    pub(crate) namespace: Arc<str>,
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    pub(crate) query: WorkflowQuery,
    reply: Mutex<Option<oneshot::Sender<RespondQueryTaskCompletedRequest>>>,
}

impl DirectQuery {
    /// Whether the caller still waits for the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        lock(&self.reply).as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// Ends the wait: no worker of this queue will answer. The caller tries another queue, or fails.
    pub(crate) fn release(&self) {
        lock(&self.reply).take();
    }

    fn is_answered(&self) -> bool {
        lock(&self.reply).is_none()
    }

    pub(crate) fn answer(&self, answer: RespondQueryTaskCompletedRequest) -> bool {
        lock(&self.reply).take().is_some_and(|reply| reply.send(answer).is_ok())
    }
}

/// The caller's side of a query; dropping it withdraws the query.
#[derive(Debug)]
pub(in crate::service) struct PendingQuery {
    core: Arc<Core>,
    /// The queue of the query.
    queue: QueueKey,
    pub(in crate::service) query: Arc<DirectQuery>,
    pub(in crate::service) answer: oneshot::Receiver<RespondQueryTaskCompletedRequest>,
}

impl PendingQuery {
    pub(in crate::service) fn new(
        core: &Arc<Core>,
        queue: QueueKey,
        namespace: Arc<str>,
        workflow_id: String,
        run_id: String,
        query: WorkflowQuery,
    ) -> Self {
        let id = core.direct_queries.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let query =
            Arc::new(DirectQuery { id, namespace, workflow_id, run_id, query, reply: Mutex::new(Some(sender)) });
        lock(&core.direct_queries.waiting).insert(id, Arc::clone(&query));
        Self { core: Arc::clone(core), queue, query, answer }
    }
}

impl Drop for PendingQuery {
    fn drop(&mut self) {
        lock(&self.core.direct_queries.waiting).remove(&self.query.id);
        if self.query.is_answered() {
            return;
        }
        // No worker may ever poll the queue again.
        let id = self.query.id;
        self.core.matching.withdraw(&self.queue, |task| matches!(task, Task::Query(query) if query.id == id));
    }
}
