//! Polls of task queues.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, ready};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::time::sleep_until;

use super::delivery::Delivery;
use super::{Matched, Matching, PolledBy, QueueKey, QueuedTask};
use crate::clock::ClockHolder;
use crate::engine::time::Time;

/// The immediate outcome of a poll.
#[derive(Debug)]
pub(crate) enum Poll<T: QueuedTask> {
    Ready(Matched<T>),
    Waiting(Waiting<T>),
    /// The worker has shut down and receives no more tasks.
    Gone,
}

impl<T: QueuedTask> Matching<T> {
    /// Takes the next task, or waits in line for one. The poll sets the rate limit of the queue.
    pub(crate) fn poll(self: &Arc<Self>, key: &QueueKey, by: PolledBy<'_>, now: Time) -> Poll<T> {
        let mut queues = self.queues();
        // Checked under the lock of the queues, so that a worker that shuts down now finds this poll in the queue.
        if self.gone().has(by.worker) {
            return Poll::Gone;
        }
        let queue = queues.get_or_make(key);
        let polled = Instant::now();
        (queue.last_poll, queue.last_use) = (Some(polled), polled);
        queue.remember(by, now);
        if queue.limit.set(by.tasks_per_second, polled) {
            self.hand_out(queue);
        }
        if queue.limit.delay(polled) == Some(Duration::ZERO)
            && let Some((task, _)) = queue.tasks.pop_front()
        {
            queue.limit.take(polled);
            let hold = self.timers.hold(ClockHolder::Match);
            return Poll::Ready(Matched::new(task, queue.tasks.len(), hold));
        }
        let (delivery, receiver) = Delivery::channel(by.worker);
        queue.waiting.push_back(delivery);
        queue.announce_throttling(polled);
        Poll::Waiting(Waiting {
            matching: Arc::clone(self),
            key: key.clone(),
            receiver,
            throttled: queue.throttled.subscribe(),
            taken: false,
        })
    }
}

/// A waiting poll; resolves to a task. Returns an undelivered task to the queue when dropped.
#[derive(Debug)]
pub(crate) struct Waiting<T: QueuedTask> {
    matching: Arc<Matching<T>>,
    key: QueueKey,
    receiver: oneshot::Receiver<Matched<T>>,
    /// The time until which the rate limit of the queue holds the next task back.
    throttled: watch::Receiver<Option<Instant>>,
    taken: bool,
}

impl<T: QueuedTask> Waiting<T> {
    /// Waits for a task. A task that the rate limit holds back is handed out by this poll when it is due: nothing else
    /// waits for that time.
    pub(crate) async fn task(mut self) -> Option<Matched<T>> {
        let mut throttled = self.throttled.clone();
        loop {
            let until = *throttled.borrow_and_update();
            tokio::select! {
                biased;
                matched = &mut self => return matched,
                Ok(()) = throttled.changed() => {}
                () = passed(until) => self.matching.hand_out_later(&self.key),
            }
        }
    }
}

impl<T: QueuedTask> Future for Waiting<T> {
    /// `None` if the worker shuts down, or the engine is dropped.
    type Output = Option<Matched<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> std::task::Poll<Self::Output> {
        let matched = ready!(Pin::new(&mut self.receiver).poll(context));
        self.taken = true;
        std::task::Poll::Ready(matched.ok())
    }
}

/// Waits until a time; forever if there is none.
async fn passed(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

impl<T: QueuedTask> Drop for Waiting<T> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        self.receiver.close();
        if let Ok(matched) = self.receiver.try_recv() {
            self.matching.give_back(&self.key, matched.task);
        } else if let Some(queue) = self.matching.queues().by_key.get_mut(&self.key) {
            queue.drop_ended_polls();
        }
    }
}
