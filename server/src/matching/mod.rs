//! Task queues: tasks that wait for workers, and polls of workers that wait for tasks.
//!
//! A queue only orders its tasks: each is also part of the state of its run, and the run decides whether a task is still
//! valid when a worker receives it. So a task may be offered twice or too late, but it must not be lost.

mod delivery;
mod gone;
mod key;
pub(crate) mod poll;
mod queue;
mod queues;
mod rate;
mod task;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::ClockHolder;
use crate::clock::timers::{Backlog, Timers};
use crate::model::NamespaceKey;

use gone::GoneWorkers;
pub(crate) use key::{QueueKey, QueueKind};
use queue::Queue;
pub(crate) use queue::{PolledBy, QueueDescription};
use queues::Queues;
pub(crate) use task::{Matched, QueuedTask};

/// The task queues of one engine, with tasks of type `T`.
#[derive(Debug)]
pub(crate) struct Matching<T> {
    queues: Mutex<Queues<T>>,
    gone: Mutex<GoneWorkers>,
    timers: Arc<Timers>,
}

impl<T: QueuedTask> Matching<T> {
    pub(crate) fn new(timers: Arc<Timers>) -> Self {
        Self { queues: Mutex::default(), gone: Mutex::default(), timers }
    }

    /// Hands a task to a waiting poll, or adds it to the queue.
    pub(crate) fn offer(&self, key: &QueueKey, task: T) {
        let mut queues = self.queues();
        let queue = queues.get_or_make(key);
        self.deliver(queue, task, Position::Back);
    }

    /// As [`Matching::offer`] on a sticky queue; returns the task if no worker serves the queue.
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

    /// Returns a task that did not reach its worker to the front of its queue.
    ///
    /// A worker that drops a poll with a task in it is probably gone: the task leaves a sticky queue, unless that worker
    /// has another poll.
    pub(crate) fn give_back(&self, key: &QueueKey, task: T) {
        let mut queues = self.queues();
        let queue = queues.get_or_make(key);
        if key.kind == QueueKind::Sticky && !queue.has_polls() {
            // The clock must not jump until the task is in another queue.
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

    /// Hands waiting tasks to waiting polls, as fast as the rate limit of the queue allows.
    fn hand_out(&self, queue: &mut Queue<T>) {
        let now = Instant::now();
        while !queue.tasks.is_empty() && queue.limit.delay(now) == Some(Duration::ZERO) {
            let Some(delivery) = queue.waiting.pop_front() else { break };
            if delivery.is_closed() {
                continue;
            }
            let Some((task, since)) = queue.tasks.pop_front() else { break };
            let matched = Matched::new(task, queue.tasks.len(), self.timers.hold(ClockHolder::Match));
            match delivery.send(matched) {
                Ok(()) => queue.limit.take(now),
                Err(back) => queue.tasks.push_front((back.task, since)),
            }
        }
        queue.announce_throttling(now);
    }

    /// As [`Matching::hand_out`], for a poll that has waited until the rate limit allows the next task.
    fn hand_out_later(&self, key: &QueueKey) {
        if let Some(queue) = self.queues().by_key.get_mut(key) {
            self.hand_out(queue);
        }
    }

    /// Removes a delivered task from the count of the rate limit, because it was stale.
    pub(crate) fn uncount(&self, key: &QueueKey) {
        if let Some(queue) = self.queues().by_key.get_mut(key) {
            queue.limit.put_back();
            self.hand_out(queue);
        }
    }

    /// Handles the shutdown of a worker: ends its open polls without a task, and empties its sticky queue.
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
        // The clock must not jump until the tasks are in other queues.
        let _hold = self.timers.hold(ClockHolder::Match);
        let left: Vec<_> = queue.tasks.drain(..).collect();
        drop(queues);
        left.into_iter().for_each(|(task, _)| task.leave_sticky_queue(key));
    }

    /// Describes a queue; an unknown queue is empty.
    pub(crate) fn describe(&self, key: &QueueKey) -> QueueDescription {
        self.queues().by_key.get(key).map(Queue::describe).unwrap_or_default()
    }

    /// Removes the tasks for which `unwanted` is true.
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

impl<T: QueuedTask + Send> Backlog for Matching<T> {
    fn holds_for(&self) -> Option<Duration> {
        self.queues().by_key.values().filter_map(Queue::holds_for).max()
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

#[derive(Clone, Copy)]
enum Position {
    Front,
    Back,
}
