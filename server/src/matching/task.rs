//! Tasks as task queues handle them.

use super::key::QueueKey;
use crate::clock::timers::Hold;

/// A task in a queue.
pub(crate) trait QueuedTask {
    /// Offers the task to all workers, because no worker serves its sticky queue any more.
    fn leave_sticky_queue(self, queue: &QueueKey);

    /// Whether the run does not have the task any more. The caller may hold the lock of any run, so this must not wait
    /// for one.
    fn is_stale(&self) -> bool;
}

/// A task that a worker received. It keeps a skipping clock from jumping until it is dropped.
#[derive(Debug)]
pub(crate) struct Matched<T> {
    pub(crate) task: T,
    /// The number of tasks that still wait in the queue.
    pub(crate) backlog: usize,
    _hold: Hold,
}

impl<T> Matched<T> {
    pub(super) fn new(task: T, backlog: usize, hold: Hold) -> Self {
        Self { task, backlog, _hold: hold }
    }
}
