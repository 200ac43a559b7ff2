//! All task queues of an engine. Clients choose names freely, and every worker has a sticky queue, so unused queues are
//! dropped.

use std::collections::HashMap;
use std::time::Duration;

use super::key::QueueKey;
use super::queue::{POLLER_KEPT_FOR, Queue, STICKY_SERVED_FOR};

/// Unused queues are dropped from this number of queues.
pub(super) const QUEUES_MIN: usize = 1024;
/// From this number of queues, a queue is dropped soon after its last use.
const QUEUES_MANY: usize = 10_000;

#[derive(Debug)]
pub(super) struct Queues<T> {
    pub(super) by_key: HashMap<QueueKey, Queue<T>>,
    /// The number of queues at which unused ones are dropped.
    sweep_at: usize,
    /// The time after its last use from which a queue counts as unused.
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
