//! Eager starts: the response to a start contains the first workflow task, for a worker of the same client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use everloop_proto::temporal::api::workflowservice::v1::PollWorkflowTaskQueueResponse;

/// Hands one workflow task to a worker. Releases its slot when it is dropped unused.
pub(crate) type TakeTask = Box<dyn FnOnce(PollWorkflowTaskQueueResponse) + Send>;

/// A worker that accepts tasks without a poll.
pub(crate) trait TakesTasks: Send + Sync {
    /// Reserves a slot for one task, if one is free.
    fn reserve(self: Arc<Self>) -> Option<TakeTask>;
}

/// The running workers of a client, by task queue.
#[derive(Default)]
pub(crate) struct EagerWorkers(Mutex<HashMap<String, Vec<Weak<dyn TakesTasks>>>>);

impl EagerWorkers {
    /// Adds a worker. Workers that were dropped are removed with the next call.
    pub(crate) fn add(&self, task_queue: &str, worker: Weak<dyn TakesTasks>) {
        let mut queues = self.lock();
        queues.retain(|_, workers| {
            workers.retain(|worker| worker.strong_count() > 0);
            !workers.is_empty()
        });
        queues.entry(task_queue.to_owned()).or_default().push(worker);
    }

    /// Reserves a slot at a worker of this queue, if one is free.
    pub(super) fn reserve(&self, task_queue: &str) -> Option<TakeTask> {
        let mut workers = self.lock();
        let workers = workers.get_mut(task_queue)?;
        workers.retain(|worker| worker.strong_count() > 0);
        workers.iter().find_map(|worker| worker.upgrade()?.reserve())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Weak<dyn TakesTasks>>>> {
        // No code panics under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NeverTakes;

    impl TakesTasks for NeverTakes {
        fn reserve(self: Arc<Self>) -> Option<TakeTask> {
            None
        }
    }

    /// A client may outlive many workers with different queues.
    #[test]
    fn workers_that_have_stopped_are_forgotten() {
        let workers = EagerWorkers::default();
        for number in 0..100 {
            let worker: Arc<dyn TakesTasks> = Arc::new(NeverTakes);
            workers.add(&format!("queue-{number}"), Arc::downgrade(&worker));
            workers.add("shared", Arc::downgrade(&worker));
        }
        let queues = workers.lock();
        assert_eq!((queues.len(), queues["shared"].len()), (2, 1));
    }
}
