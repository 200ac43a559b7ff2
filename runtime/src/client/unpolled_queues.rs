//! Task queues that were found without a worker, and the times of the checks.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::TaskQueueType;
use tokio::time::Instant;

/// The shortest time between two checks of a queue, and between two warnings about it.
const PAUSE: Duration = Duration::from_secs(60);

/// The queues that were checked, and those that were warned about.
#[derive(Default)]
pub(super) struct Unpolled {
    pub(super) looked_at: Recent,
    pub(super) warned: Recent,
}

/// The time of the last action for each queue.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<(String, TaskQueueType), Instant>>);

impl Recent {
    /// Whether the action is due for a queue. If so, it is recorded as done now.
    pub(super) fn is_due(&self, task_queue: &str, kind: TaskQueueType) -> bool {
        // No code panics under this lock.
        let mut done = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let now = Instant::now();
        let is_recent = |last: &Instant| now.duration_since(*last) < PAUSE;
        if done.len() == done.capacity() {
            done.retain(|_, last| is_recent(last));
        }
        let queue = (task_queue.to_owned(), kind);
        if done.get(&queue).is_some_and(is_recent) {
            return false;
        }
        done.insert(queue, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn queues_of_the_last_minute_are_kept() {
        let recent = Recent::default();
        for minute in 0..20 {
            for queue in 0..100 {
                assert!(recent.is_due(&format!("{minute}-{queue}"), TaskQueueType::Workflow));
            }
            assert!(!recent.is_due(&format!("{minute}-0"), TaskQueueType::Workflow));
            tokio::time::advance(PAUSE).await;
            assert!(recent.is_due(&format!("{minute}-0"), TaskQueueType::Workflow));
        }
        let kept = recent.0.lock().unwrap().len();
        assert!(kept <= 500, "{kept} of 2000");
    }
}
