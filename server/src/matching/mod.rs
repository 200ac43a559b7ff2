//! Task queues: tasks that wait for workers, and workers that wait for tasks.
//!
//! A queue is only an order: what waits in it is also in the state of its run, and whether a task is still to be had is
//! asked of the run when a worker gets it. So a task may be offered twice, or too late, without harm; it must not be
//! lost.

mod queues;
mod rate;
mod wait;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock::ClockHolder;
use crate::clock::timers::{Backlog, Hold, Timers};
use crate::engine::time::Time;
use crate::limits::POLLERS_MAX;
use crate::model::NamespaceKey;

use queues::Queues;
use rate::RateLimit;
use wait::Delivery;
pub(crate) use wait::Waiting;

/// A worker's own queue counts as served this long after the last poll.
const STICKY_SERVED_FOR: Duration = Duration::from_secs(10);
/// A task that nobody polls for keeps a skipping clock from jumping this long.
const UNSERVED_HOLDS_FOR: Duration = Duration::from_secs(1);
/// Pollers are remembered this long.
const POLLER_KEPT_FOR: Duration = Duration::from_secs(300);
/// A worker that shut down is remembered this long: no poll that it sent before takes longer to arrive.
const GONE_WORKER_KEPT_FOR: Duration = Duration::from_secs(70);
/// From so many tasks on, those that no worker would get are dropped.
const TASKS_MIN: usize = 1024;

/// The kind of tasks in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QueueKind {
    Workflow,
    /// Workflow tasks of the runs that one worker has in its cache.
    Sticky,
    Activity,
    /// Without tasks: there are no Nexus operations. Workers poll it all the same.
    Nexus,
}

/// One task queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueueKey {
    pub(crate) namespace: NamespaceKey,
    pub(crate) kind: QueueKind,
    pub(crate) name: Arc<str>,
}

/// A task that a worker got, and that keeps a skipping clock from jumping until it is looked at.
#[derive(Debug)]
pub(crate) struct Matched<T> {
    pub(crate) task: T,
    /// Tasks still waiting in the queue.
    pub(crate) backlog: usize,
    _hold: Hold,
}

/// A task as its queue sees it.
pub(crate) trait QueuedTask {
    /// The worker's own queue that has this task is not served any more: every worker may have it.
    fn leave_sticky_queue(self, queue: &QueueKey);

    /// Whether no worker would get it any more. The caller may hold the lock of any run, so this must not wait for one.
    fn is_stale(&self) -> bool;
}

/// The immediate outcome of a poll.
#[derive(Debug)]
pub(crate) enum Poll<T: QueuedTask> {
    Ready(Matched<T>),
    Waiting(Waiting<T>),
    /// The worker has shut down: it gets no more tasks.
    Gone,
}

/// The poller, and the rate that it asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolledBy<'a> {
    pub(crate) identity: &'a str,
    /// The worker's instance key; empty when it gave none.
    pub(crate) worker: &'a str,
    /// The limit of the queue that it asks for.
    pub(crate) tasks_per_second: Option<f64>,
}

/// Someone who polls a queue, for `DescribeTaskQueue`.
#[derive(Clone, Debug)]
pub(crate) struct Poller {
    pub(crate) identity: Arc<str>,
    pub(crate) last_access: Time,
    /// The limit it asked for last.
    pub(crate) tasks_per_second: Option<f64>,
    seen: Instant,
}

/// A task queue, for `DescribeTaskQueue`.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueDescription {
    /// The recent pollers.
    pub(crate) pollers: Vec<Poller>,
    /// Tasks that wait.
    pub(crate) backlog: usize,
    /// How long the first of them has waited.
    pub(crate) backlog_age: Duration,
    /// The limit of the queue.
    pub(crate) tasks_per_second: Option<f64>,
    /// Whether tasks wait because of the limit.
    pub(crate) is_throttled: bool,
}

#[derive(Debug)]
struct Queue<T> {
    tasks: VecDeque<(T, Instant)>,
    waiting: VecDeque<Delivery<T>>,
    pollers: HashMap<Arc<str>, Poller>,
    /// When a poll last began or ended; `None` after the worker said good-bye.
    last_poll: Option<Instant>,
    /// The last poll's.
    limit: RateLimit,
    /// When the limit lets the next task go, while workers and tasks wait for that.
    throttled: watch::Sender<Option<Instant>>,
    /// When a task last came, or a poll last began or ended.
    last_use: Instant,
    /// At this number of tasks, those that no worker would get are dropped.
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

/// The task queues of one engine, with tasks of type `T`.
#[derive(Debug)]
pub(crate) struct Matching<T> {
    queues: Mutex<Queues<T>>,
    gone: Mutex<GoneWorkers>,
    timers: Arc<Timers>,
}

/// The instance keys of workers that have shut down, in that order.
#[derive(Debug, Default)]
struct GoneWorkers(VecDeque<(Arc<str>, Instant)>);

impl<T: QueuedTask> Matching<T> {
    pub(crate) fn new(timers: Arc<Timers>) -> Self {
        Self { queues: Mutex::default(), gone: Mutex::default(), timers }
    }

    /// Hands a task to a waiting worker, or lets it wait.
    pub(crate) fn offer(&self, key: &QueueKey, task: T) {
        let mut queues = self.queues();
        let queue = queues.get_or_make(key);
        self.deliver(queue, task, Position::Back);
    }

    /// As [`Matching::offer`] on a worker's own queue; returns the task when nobody serves it.
    pub(crate) fn offer_sticky(&self, key: &QueueKey, task: T) -> Result<(), T> {
        let mut queues = self.queues();
        match queues.by_key.get_mut(key) {
            Some(queue) if queue.is_served() => {
                self.deliver(queue, task, Position::Back);
                Ok(())
            }
            _ => Err(task),
        }
    }

    /// Puts a task back that did not reach its worker. On a worker's own queue it goes to another poll of that worker, or
    /// leaves the queue: whoever drops a poll with a task in it is probably gone.
    pub(crate) fn give_back(&self, key: &QueueKey, task: T) {
        let mut queues = self.queues();
        let queue = queues.get_or_make(key);
        if key.kind == QueueKind::Sticky && queue.waiting.iter().all(Delivery::is_closed) {
            // Until it waits elsewhere, the clock must not jump past it.
            let _hold = self.timers.hold(ClockHolder::Match);
            drop(queues);
            return task.leave_sticky_queue(key);
        }
        queue.limit.put_back();
        self.deliver(queue, task, Position::Front);
    }

    fn deliver(&self, queue: &mut Queue<T>, task: T, position: Position) {
        let waiting = (task, Instant::now());
        queue.last_use = waiting.1;
        match position {
            Position::Back => queue.tasks.push_back(waiting),
            Position::Front => queue.tasks.push_front(waiting),
        }
        self.hand_out(queue);
        queue.sift();
    }

    /// Hands waiting tasks to waiting workers, as fast as the limit of the queue allows.
    fn hand_out(&self, queue: &mut Queue<T>) {
        let now = Instant::now();
        while !queue.tasks.is_empty() && queue.limit.delay(now) == Some(Duration::ZERO) {
            let Some(delivery) = queue.waiting.pop_front() else { break };
            if delivery.is_closed() {
                continue;
            }
            let Some((task, since)) = queue.tasks.pop_front() else { break };
            let matched = Matched { task, backlog: queue.tasks.len(), _hold: self.timers.hold(ClockHolder::Match) };
            match delivery.send(matched) {
                Ok(()) => queue.limit.take(now),
                Err(back) => queue.tasks.push_front((back.task, since)),
            }
        }
        queue.announce_throttling(now);
    }

    /// As [`Matching::hand_out`]; for workers that waited until the limit lets the next task go.
    fn hand_out_later(&self, key: &QueueKey) {
        if let Some(queue) = self.queues().by_key.get_mut(key) {
            self.hand_out(queue);
        }
    }

    /// A task went out, but was not to be had any more: it does not count for the limit of its queue.
    pub(crate) fn uncount(&self, key: &QueueKey) {
        if let Some(queue) = self.queues().by_key.get_mut(key) {
            queue.limit.put_back();
            self.hand_out(queue);
        }
    }

    /// Takes the next task, or a place in the line for one. The limit of the poll becomes that of the queue, in tasks per
    /// second.
    pub(crate) fn poll(self: &Arc<Self>, key: &QueueKey, by: PolledBy<'_>, now: Time) -> Poll<T> {
        let mut queues = self.queues();
        // Under the lock of the queues: a worker that shuts down now finds this poll in the line.
        if self.gone().has(by.worker) {
            return Poll::Gone;
        }
        let queue = queues.get_or_make(key);
        let moment = Instant::now();
        (queue.last_poll, queue.last_use) = (Some(moment), moment);
        queue.remember(by, now);
        if queue.limit.set(by.tasks_per_second, moment) {
            self.hand_out(queue);
        }
        if queue.limit.delay(moment) == Some(Duration::ZERO)
            && let Some((task, _)) = queue.tasks.pop_front()
        {
            queue.limit.take(moment);
            let hold = self.timers.hold(ClockHolder::Match);
            return Poll::Ready(Matched { task, backlog: queue.tasks.len(), _hold: hold });
        }
        let (delivery, receiver) = Delivery::channel(by.worker);
        queue.waiting.push_back(delivery);
        queue.announce_throttling(moment);
        Poll::Waiting(Waiting::new(Arc::clone(self), key.clone(), receiver, queue.throttled.subscribe()))
    }

    /// A poll ended without a task.
    fn poll_ended(&self, key: &QueueKey) {
        if let Some(queue) = self.queues().by_key.get_mut(key) {
            queue.waiting.retain(|delivery| !delivery.is_closed());
            let now = Instant::now();
            if queue.last_poll.is_some() {
                (queue.last_poll, queue.last_use) = (Some(now), now);
            }
            queue.announce_throttling(now);
        }
    }

    /// A worker shuts down: its open polls end without a task, and what waits on its own queue leaves it.
    pub(crate) fn shut_down(&self, namespace: NamespaceKey, worker: &str, sticky_queue: Option<&QueueKey>) {
        let mut queues = self.queues();
        if !worker.is_empty() {
            self.gone().add(worker);
            let of_namespace = queues.by_key.iter_mut().filter(|(key, _)| key.namespace == namespace);
            for (_, queue) in of_namespace {
                queue.waiting.retain(|delivery| delivery.worker() != worker);
            }
        }
        let Some((key, queue)) = sticky_queue.and_then(|key| Some((key, queues.by_key.get_mut(key)?))) else { return };
        queue.last_poll = None;
        queue.waiting.clear();
        // Until they wait elsewhere, the clock must not jump past them.
        let _hold = self.timers.hold(ClockHolder::Match);
        let left: Vec<_> = queue.tasks.drain(..).collect();
        drop(queues);
        left.into_iter().for_each(|(task, _)| task.leave_sticky_queue(key));
    }

    /// Describes a queue; one that nobody has used is empty.
    pub(crate) fn describe(&self, key: &QueueKey) -> QueueDescription {
        let queues = self.queues();
        let Some(queue) = queues.by_key.get(key) else { return QueueDescription::default() };
        let pollers = queue.pollers.values().filter(|poller| poller.seen.elapsed() < POLLER_KEPT_FOR);
        QueueDescription {
            pollers: pollers.cloned().collect(),
            backlog: queue.tasks.len(),
            backlog_age: queue.tasks.front().map_or(Duration::ZERO, |(_, since)| since.elapsed()),
            tasks_per_second: queue.limit.per_second(),
            is_throttled: !queue.tasks.is_empty() && queue.limit.delay(Instant::now()) != Some(Duration::ZERO),
        }
    }

    /// Takes back what `unwanted` says.
    pub(crate) fn withdraw(&self, key: &QueueKey, unwanted: impl Fn(&T) -> bool) {
        if let Some(queue) = self.queues().by_key.get_mut(key) {
            queue.tasks.retain(|(task, _)| !unwanted(task));
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues<T>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> MutexGuard<'_, GoneWorkers> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GoneWorkers {
    fn add(&mut self, worker: &str) {
        self.forget_old();
        self.0.push_back((worker.into(), Instant::now()));
    }

    fn has(&mut self, worker: &str) -> bool {
        self.forget_old();
        !worker.is_empty() && self.0.iter().any(|(gone, _)| **gone == *worker)
    }

    fn forget_old(&mut self) {
        while self.0.front().is_some_and(|(_, since)| since.elapsed() > GONE_WORKER_KEPT_FOR) {
            self.0.pop_front();
        }
    }
}

impl<T: QueuedTask + Send> Backlog for Matching<T> {
    fn holds_for(&self) -> Option<Duration> {
        let hold = |queue: &Queue<T>| {
            let (_, newest) = queue.tasks.back()?;
            let since = queue.last_poll.map_or(*newest, |poll| poll.max(*newest));
            let unserved = UNSERVED_HOLDS_FOR.checked_sub(since.elapsed());
            let throttled = queue.throttled.borrow().map(|until| until.saturating_duration_since(Instant::now()));
            unserved.max(throttled).filter(|left| !left.is_zero())
        };
        self.queues().by_key.values().filter_map(hold).max()
    }

    fn explain(&self) -> String {
        let queues = self.queues();
        let each: Vec<_> = queues
            .by_key
            .iter()
            .filter(|(_, queue)| !queue.tasks.is_empty())
            .map(|(key, queue)| format!("{} in {:?} queue {}", queue.tasks.len(), key.kind, key.name))
            .collect();
        if each.is_empty() { "no tasks waiting".to_owned() } else { format!("waiting: {}", each.join(", ")) }
    }
}

impl<T: QueuedTask> Queue<T> {
    /// Drops the tasks that no worker would get, when there are many.
    fn sift(&mut self) {
        if self.tasks.len() >= self.sift_at {
            self.tasks.retain(|(task, _)| !task.is_stale());
            self.sift_at = TASKS_MIN.max(2 * self.tasks.len());
        }
    }
}

impl<T> Queue<T> {
    /// Whether the queue has to stay although nobody used it lately.
    fn is_needed(&self, kind: QueueKind) -> bool {
        // A task on the queue of a worker that has gone was offered to all workers since.
        let has_tasks = kind != QueueKind::Sticky && !self.tasks.is_empty();
        has_tasks || self.waiting.iter().any(|delivery| !delivery.is_closed())
    }

    fn is_served(&self) -> bool {
        self.last_poll.is_some_and(|last| {
            last.elapsed() < STICKY_SERVED_FOR || self.waiting.iter().any(|delivery| !delivery.is_closed())
        })
    }

    /// Lets the workers in the line know until when the limit makes them wait.
    fn announce_throttling(&self, now: Instant) {
        let waits = !self.tasks.is_empty() && self.waiting.iter().any(|delivery| !delivery.is_closed());
        let until = if waits { self.limit.delay(now).map(|delay| now + delay) } else { None };
        self.throttled.send_if_modified(|throttled| std::mem::replace(throttled, until) != until);
    }

    fn remember(&mut self, by: PolledBy<'_>, now: Time) {
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
}

#[derive(Clone, Copy)]
enum Position {
    Front,
    Back,
}
