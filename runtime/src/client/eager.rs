//! Eager starts: the first workflow task comes back with the response to the start, for a worker of the same client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use everloop_proto::temporal::api::workflowservice::v1::PollWorkflowTaskQueueResponse;

/// Takes one workflow task. Dropped unused, it releases its slot.
pub(crate) type TakeTask = Box<dyn FnOnce(PollWorkflowTaskQueueResponse) + Send>;

/// A worker that may take tasks which it did not poll.
pub(crate) trait TakesTasks: Send + Sync {
    /// Room for one task, if there is some.
    fn reserve(self: Arc<Self>) -> Option<TakeTask>;
}

/// The running workers of a client, by task queue.
#[derive(Default)]
pub(crate) struct EagerWorkers(Mutex<HashMap<String, Vec<Weak<dyn TakesTasks>>>>);

impl EagerWorkers {
    /// A worker that stops is to be dropped; then it is forgotten when the next one comes.
    pub(crate) fn add(&self, task_queue: &str, worker: Weak<dyn TakesTasks>) {
        let mut queues = self.lock();
        queues.retain(|_, workers| {
            workers.retain(|worker| worker.strong_count() > 0);
            !workers.is_empty()
        });
        queues.entry(task_queue.to_owned()).or_default().push(worker);
    }

    /// Room for one task at a worker of this queue.
    pub(super) fn reserve(&self, task_queue: &str) -> Option<TakeTask> {
        let mut workers = self.lock();
        let workers = workers.get_mut(task_queue)?;
        workers.retain(|worker| worker.strong_count() > 0);
        workers.iter().find_map(|worker| worker.upgrade()?.reserve())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Weak<dyn TakesTasks>>>> {
        // Nothing panics while it is held.
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

    /// A client may outlive many workers, each with a queue of its own.
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
