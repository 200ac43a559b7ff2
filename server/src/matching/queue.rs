//! One task queue: its waiting tasks, waiting polls, and recent pollers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::delivery::Delivery;
use super::key::QueueKind;
use super::rate::RateLimit;
use super::task::QueuedTask;
use crate::engine::time::Time;
use crate::limits::POLLERS_MAX;

/// A sticky queue counts as served for this time after its last poll.
pub(super) const STICKY_SERVED_FOR: Duration = Duration::from_secs(10);
/// A task in a queue without polls keeps a skipping clock from jumping for this time.
const UNSERVED_HOLDS_FOR: Duration = Duration::from_secs(1);
/// The time for which pollers are remembered.
pub(super) const POLLER_KEPT_FOR: Duration = Duration::from_secs(300);
/// Stale tasks are dropped from a queue with at least this number of tasks.
pub(super) const TASKS_MIN: usize = 1024;

/// The sender of a poll, and the rate that it sets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolledBy<'a> {
    pub(crate) identity: &'a str,
    /// The worker's instance key; empty if the poll has none.
    pub(crate) worker: &'a str,
    /// The rate limit for the queue.
    pub(crate) tasks_per_second: Option<f64>,
}

/// A recent poller of a queue, for `DescribeTaskQueue`.
#[derive(Clone, Debug)]
pub(crate) struct Poller {
    pub(crate) identity: Arc<str>,
    pub(crate) last_access: Time,
    /// The rate limit that its last poll set.
    pub(crate) tasks_per_second: Option<f64>,
    seen: Instant,
}

/// A task queue, for `DescribeTaskQueue`.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueDescription {
    /// The recent pollers.
    pub(crate) pollers: Vec<Poller>,
    /// The number of waiting tasks.
    pub(crate) backlog: usize,
    /// The time since the first of them was added.
    pub(crate) backlog_age: Duration,
    /// The rate limit of the queue.
    pub(crate) tasks_per_second: Option<f64>,
    /// Whether tasks wait because of the rate limit.
    pub(crate) is_throttled: bool,
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    pub(super) tasks: VecDeque<(T, Instant)>,
    pub(super) waiting: VecDeque<Delivery<T>>,
    pollers: HashMap<Arc<str>, Poller>,
    /// The time at which a poll last began or ended; `None` after the worker of a sticky queue has shut down.
    pub(super) last_poll: Option<Instant>,
    /// The rate limit that the last poll set.
    pub(super) limit: RateLimit,
    /// The time at which the rate limit allows the next task, while polls and tasks wait for it.
    pub(super) throttled: watch::Sender<Option<Instant>>,
    /// The time at which a task was last added, or a poll last began or ended.
    pub(super) last_use: Instant,
    /// The number of tasks at which stale ones are dropped.
    sift_at: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            tasks: VecDeque::new(),
            waiting: VecDeque::new(),
            pollers: HashMap::new(),
            last_poll: None,
            limit: RateLimit::default(),
            throttled: watch::Sender::new(None),
            last_use: Instant::now(),
            sift_at: TASKS_MIN,
        }
    }
}

impl<T: QueuedTask> Queue<T> {
    /// Drops stale tasks if there are many tasks.
    pub(super) fn sift(&mut self) {
        if self.tasks.len() >= self.sift_at {
            self.tasks.retain(|(task, _)| !task.is_stale());
            self.sift_at = TASKS_MIN.max(2 * self.tasks.len());
        }
    }
}

impl<T> Queue<T> {
    /// Whether the queue must be kept although it was not used lately.
    pub(super) fn is_needed(&self, kind: QueueKind) -> bool {
        // The tasks of a sticky queue whose worker has gone were offered to all workers since.
        let has_tasks = kind != QueueKind::Sticky && !self.tasks.is_empty();
        has_tasks || self.has_polls()
    }

    /// Whether the worker of this sticky queue polls it.
    pub(super) fn is_served(&self) -> bool {
        self.last_poll.is_some_and(|last| last.elapsed() < STICKY_SERVED_FOR || self.has_polls())
    }

    /// Whether a poll waits for a task.
    pub(super) fn has_polls(&self) -> bool {
        self.waiting.iter().any(|delivery| !delivery.is_closed())
    }

    /// Reports to waiting polls the time at which the rate limit allows the next task.
    pub(super) fn announce_throttling(&self, now: Instant) {
        let waits = !self.tasks.is_empty() && self.has_polls();
        let until = if waits { self.limit.delay(now).map(|delay| now + delay) } else { None };
        self.throttled.send_if_modified(|throttled| std::mem::replace(throttled, until) != until);
    }

    /// Removes polls that have ended without a task.
    pub(super) fn drop_ended_polls(&mut self) {
        self.waiting.retain(|delivery| !delivery.is_closed());
        let now = Instant::now();
        if self.last_poll.is_some() {
            (self.last_poll, self.last_use) = (Some(now), now);
        }
        self.announce_throttling(now);
    }

    /// Adds the sender of a poll to the recent pollers.
    pub(super) fn remember(&mut self, by: PolledBy<'_>, now: Time) {
        let PolledBy { identity, tasks_per_second, .. } = by;
        if let Some(poller) = self.pollers.get_mut(identity) {
            poller.last_access = now;
            poller.tasks_per_second = tasks_per_second;
            poller.seen = Instant::now();
            return;
        }
        if self.pollers.len() >= POLLERS_MAX {
            self.pollers.retain(|_, poller| poller.seen.elapsed() < POLLER_KEPT_FOR);
        }
        if self.pollers.len() < POLLERS_MAX {
            let identity: Arc<str> = identity.into();
            let poller =
                Poller { identity: Arc::clone(&identity), last_access: now, tasks_per_second, seen: Instant::now() };
            self.pollers.insert(identity, poller);
        }
    }

    /// How much longer this queue holds a skipping clock.
    pub(super) fn holds_for(&self) -> Option<Duration> {
        let (_, newest) = self.tasks.back()?;
        let since = self.last_poll.map_or(*newest, |poll| poll.max(*newest));
        let unserved = UNSERVED_HOLDS_FOR.checked_sub(since.elapsed());
        let throttled = self.throttled.borrow().map(|until| until.saturating_duration_since(Instant::now()));
        unserved.max(throttled).filter(|left| !left.is_zero())
    }

    pub(super) fn describe(&self) -> QueueDescription {
        let pollers = self.pollers.values().filter(|poller| poller.seen.elapsed() < POLLER_KEPT_FOR);
        QueueDescription {
            pollers: pollers.cloned().collect(),
            backlog: self.tasks.len(),
            backlog_age: self.tasks.front().map_or(Duration::ZERO, |(_, since)| since.elapsed()),
            tasks_per_second: self.limit.per_second(),
            is_throttled: !self.tasks.is_empty() && self.limit.delay(Instant::now()) != Some(Duration::ZERO),
        }
    }
}
