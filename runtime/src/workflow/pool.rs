//! Futures of one type that run concurrently, with a limit.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, Stream};

use crate::executor::current::try_current;

/// Polls its members when they were woken, in wake order. Members beyond the limit wait, and start in the order in which they
/// were added.
///
/// A member that waits while its scope is cancelled still starts at its turn, but its first operation is cancelled, so that
/// it schedules nothing.
pub(super) struct Pool<F> {
    waiting: VecDeque<Member<F>>,
    running: FuturesUnordered<Member<F>>,
}

impl<F: Future + Unpin> Pool<F> {
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), running: FuturesUnordered::new() }
    }

    /// Adds a member that receives only the cancellations of its operations.
    pub(super) fn push(&mut self, future: F) {
        self.add(future, usize::MAX);
    }

    /// Adds a member that may have to wait, and then receives cancellations from now on.
    pub(super) fn push_waiting(&mut self, future: F) {
        self.add(future, requests());
    }

    /// Adds a member whose first operation is cancelled.
    pub(super) fn push_cancelled(&mut self, future: F) {
        self.add(future, 0);
    }

    fn add(&mut self, future: F, requests_known: usize) {
        self.waiting.push_back(Member { future, requests_known, has_started: false });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Returns the next output, or `None` if no member is left.
    pub(super) fn poll_next(&mut self, limit: usize, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        while self.running.len() < limit
            && let Some(member) = self.waiting.pop_front()
        {
            self.running.push(member);
        }
        Pin::new(&mut self.running).poll_next(cx)
    }
}

struct Member<F> {
    future: F,
    /// The number of cancellations of the scope when the member was added.
    requests_known: usize,
    has_started: bool,
}

impl<F: Future + Unpin> Future for Member<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let has_started = std::mem::replace(&mut this.has_started, true);
        let future = Pin::new(&mut this.future);
        match try_current() {
            Some(core) if !has_started && requests() > this.requests_known => {
                core.delivering_cancellation(core.scope(), || future.poll(cx))
            }
            _ => future.poll(cx),
        }
    }
}

/// The number of cancellations of the current scope.
fn requests() -> usize {
    try_current().map_or(0, |core| core.cancel_requests(core.scope()))
}
