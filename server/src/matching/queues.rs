//! The queues by their names. Clients make names up, and every worker has a queue of its own: what nobody uses any more is
//! dropped.

use std::collections::HashMap;
use std::time::Duration;

use super::{POLLER_KEPT_FOR, Queue, QueueKey, STICKY_SERVED_FOR};

/// From so many queues on, those that nobody uses any more are dropped.
pub(super) const QUEUES_MIN: usize = 1024;
/// From so many on, a queue is dropped soon after its last use.
const QUEUES_MANY: usize = 10_000;

#[derive(Debug)]
pub(super) struct Queues<T> {
    pub(super) by_key: HashMap<QueueKey, Queue<T>>,
    /// At this number of queues, those that nobody uses are dropped.
    sweep_at: usize,
    /// A queue counts as unused this long after its last use.
    pub(super) kept_for: Duration,
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), sweep_at: QUEUES_MIN, kept_for: POLLER_KEPT_FOR }
    }
}

impl<T> Queues<T> {
    pub(super) fn get_or_make(&mut self, key: &QueueKey) -> &mut Queue<T> {
        if self.by_key.len() >= self.sweep_at && !self.by_key.contains_key(key) {
            self.sweep();
        }
        self.by_key.entry(key.clone()).or_default()
    }

    fn sweep(&mut self) {
        self.drop_unused(self.kept_for);
        if self.by_key.len() >= QUEUES_MANY {
            self.drop_unused(STICKY_SERVED_FOR);
        }
        self.sweep_at = QUEUES_MIN.max(2 * self.by_key.len());
    }

    fn drop_unused(&mut self, kept_for: Duration) {
        self.by_key.retain(|key, queue| queue.last_use.elapsed() < kept_for || queue.is_needed(key.kind));
    }
}
