//! Waits for the value of a `State`.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::state::State;
use crate::errors::Cancelled;
use crate::executor::current::current;
use crate::executor::{OnDrop, Pending, WorkflowOnly};

impl<T> State<T> {
    /// Waits until the condition holds for the value. The condition is checked at once and after each write of this field,
    /// which costs less than [`wait_condition`](crate::workflow::wait_condition), which is checked after every step of the
    /// workflow.
    ///
    /// # Errors
    /// [`Cancelled`](crate::Cancelled), as every operation.
    #[track_caller]
    pub fn wait<F: Fn(&T) -> bool>(&self, wanted: F) -> WaitState<'_, T, F> {
        WaitState { state: self, wanted, pending: None, _only: PhantomData }
    }
}

/// See [`State::wait`].
#[must_use = "nothing waits until it is awaited"]
pub struct WaitState<'a, T, F> {
    state: &'a State<T>,
    wanted: F,
    pending: Option<Pending>,
    _only: WorkflowOnly,
}

// No field is ever pinned.
impl<T, F> Unpin for WaitState<'_, T, F> {}

impl<T, F: Fn(&T) -> bool> Future for WaitState<'_, T, F> {
    type Output = Result<(), Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let core = current("State::wait", "elsewhere use a channel or `tokio::sync::watch`");
        if let Some(pending) = &mut self.pending {
            if pending.poll(cx.waker()).is_ready() {
                self.pending = None;
                return Poll::Ready(Err(Cancelled));
            }
        } else if core.take_cancellation(core.scope()) {
            return Poll::Ready(Err(Cancelled));
        }
        if core.reading("a condition", || self.state.with(&self.wanted)) {
            self.pending = None;
            return Poll::Ready(Ok(()));
        }
        self.state.wake_on_change(cx.waker());
        let pending = self.pending.get_or_insert_with(|| {
            let id = core.wait_locally(core.scope());
            Pending::new(core.clone(), id, OnDrop::Detach)
        });
        pending.poll(cx.waker()).map(|_| Err(Cancelled))
    }
}
