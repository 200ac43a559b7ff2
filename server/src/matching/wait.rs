//! A worker's place in the line.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::{oneshot, watch};
use tokio::time::sleep_until;

use super::{Matched, Matching, QueueKey, QueuedTask};

/// The queue's end of a place in the line.
#[derive(Debug)]
pub(super) struct Delivery<T> {
    sender: oneshot::Sender<Matched<T>>,
    worker: Box<str>,
}

impl<T> Delivery<T> {
    pub(super) fn channel(worker: &str) -> (Self, oneshot::Receiver<Matched<T>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { sender, worker: worker.into() }, receiver)
    }

    /// The instance key of the worker that waits.
    pub(super) fn worker(&self) -> &str {
        &self.worker
    }

    pub(super) fn send(self, matched: Matched<T>) -> Result<(), Matched<T>> {
        self.sender.send(matched)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The worker's end: resolves to a task. Dropped before that, it gives back a task that is on its way.
#[derive(Debug)]
pub(crate) struct Waiting<T: QueuedTask> {
    matching: Arc<Matching<T>>,
    key: QueueKey,
    receiver: oneshot::Receiver<Matched<T>>,
    /// Until when the limit of the queue makes it wait for a task that is there.
    throttled: watch::Receiver<Option<Instant>>,
    taken: bool,
}

impl<T: QueuedTask> Waiting<T> {
    pub(super) fn new(
        matching: Arc<Matching<T>>,
        key: QueueKey,
        receiver: oneshot::Receiver<Matched<T>>,
        throttled: watch::Receiver<Option<Instant>>,
    ) -> Self {
        Self { matching, key, receiver, throttled, taken: false }
    }

    /// Waits for a task, also for one that the limit of the queue holds back: nobody else lets that go when it is due.
    pub(crate) async fn task(mut self) -> Option<Matched<T>> {
        let mut throttled = self.throttled.clone();
        loop {
            let until = *throttled.borrow_and_update();
            tokio::select! {
                biased;
                matched = &mut self => return matched,
                Ok(()) = throttled.changed() => {}
                () = moment(until) => self.matching.hand_out_later(&self.key),
            }
        }
    }
}

impl<T: QueuedTask> Future for Waiting<T> {
    /// `None` when the worker shuts down, or the queue is gone with its engine.
    type Output = Option<Matched<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let matched = std::task::ready!(Pin::new(&mut self.receiver).poll(context));
        self.taken = true;
        Poll::Ready(matched.ok())
    }
}

/// Waits until then; for ever without a moment.
async fn moment(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until.into()).await,
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
        } else {
            self.matching.poll_ended(&self.key);
        }
    }
}
