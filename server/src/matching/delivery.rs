//! The way of a task from its queue to a waiting poll.

use tokio::sync::oneshot;

use super::task::Matched;

/// The queue's end of a waiting poll.
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

    /// The instance key of the polling worker.
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
