//! Queries that reach a worker in a task of their own.

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

/// The queries that wait for an answer in a task of their own, by number.
#[derive(Debug)]
pub(crate) struct DirectQueries {
    waiting: Mutex<HashMap<u64, Arc<DirectQuery>>>,
    next_id: AtomicU64,
}

impl DirectQueries {
    /// Without any. Workers may still have queries of a process before this one, whose numbers lie before `now`.
    pub(in crate::service) fn new(now: Time) -> Self {
        Self { waiting: Mutex::default(), next_id: AtomicU64::new(u64::try_from(now.nanos()).unwrap_or(0)) }
    }

    pub(in crate::service) fn get(&self, id: u64) -> Option<Arc<DirectQuery>> {
        lock(&self.waiting).get(&id).cloned()
    }
}

/// A query on its way to a worker and back.
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
    /// Whether somebody still waits for the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        lock(&self.reply).as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// No worker will answer here: the caller asks elsewhere, or fails.
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

/// The caller's end of a query; when it goes, so does the query.
#[derive(Debug)]
pub(in crate::service) struct PendingQuery {
    core: Arc<Core>,
    /// Where the query waits for a worker, or has waited.
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
        // No worker may ever look into the queue again.
        let id = self.query.id;
        self.core.matching.withdraw(&self.queue, |task| matches!(task, Task::Query(query) if query.id == id));
    }
}
