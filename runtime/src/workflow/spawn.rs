//! Coroutines of one workflow.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::errors::Cancelled;
use crate::executor::current::current;
use crate::executor::{OnDrop, OperationId, Outcome, Output, Pending, ScopeId, SharedCore, WorkflowOnly};

/// Runs a future or a call as another coroutine of the same workflow. The coroutine starts when the caller waits.
///
/// A cancellation of the workflow reaches the coroutine as well. The coroutine continues when its handle is dropped, and is
/// dropped when the workflow ends. It accesses the workflow's fields with [`this`](crate::workflow::this).
///
/// # Panics
/// Outside a workflow.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: IntoFuture<Output: 'static, IntoFuture: 'static>,
{
    let core = current("spawn", "elsewhere use `tokio::spawn`");
    let scope = core.new_scope(Some(core.scope()));
    spawn_in(core, scope, future.into_future())
}

/// Runs a future or a call that cancellations of the workflow do not reach.
///
/// A cancellation ends the code that awaits the handle; the shielded future continues.
///
/// # Panics
/// Outside a workflow.
#[track_caller]
pub fn shield<F>(future: F) -> JoinHandle<F::Output>
where
    F: IntoFuture<Output: 'static, IntoFuture: 'static>,
{
    let core = current("shield", "elsewhere nothing cancels a future but its drop");
    let scope = core.new_scope(None);
    spawn_in(core, scope, future.into_future())
}

#[track_caller]
fn spawn_in<F: Future<Output: 'static> + 'static>(
    core: SharedCore,
    scope: ScopeId,
    future: F,
) -> JoinHandle<F::Output> {
    let joint = Rc::new(Joint { output: RefCell::new(None), waiting: RefCell::new(None) });
    let (ours, its_core) = (joint.clone(), Rc::downgrade(&core));
    let coroutine = async move {
        let output = future.await;
        ours.output.replace(Some(output));
        if let (Some(core), Some(waiting)) = (its_core.upgrade(), ours.waiting.take()) {
            core.resolve(waiting);
        }
        Output::Spawned
    };
    core.spawn(Box::pin(coroutine), scope);
    JoinHandle { core, scope, joint, pending: None, has_given: false, cancel_on_drop: false, _only: PhantomData }
}

struct Joint<T> {
    output: RefCell<Option<T>>,
    waiting: RefCell<Option<OperationId>>,
}

/// A coroutine that [`spawn`] or [`shield`] started. Awaiting it returns its output; dropping it has no effect.
#[must_use = "dropping it lets the coroutine run on; `drop` it if that is meant"]
pub struct JoinHandle<T> {
    core: SharedCore,
    scope: ScopeId,
    joint: Rc<Joint<T>>,
    pending: Option<Pending>,
    /// Whether the output was taken.
    has_given: bool,
    cancel_on_drop: bool,
    _only: WorkflowOnly,
}

impl<T> JoinHandle<T> {
    /// Cancels the operations of the coroutine.
    pub fn cancel(&self) {
        self.core.cancel_scope(self.scope);
    }

    /// Cancels the coroutine when the handle is dropped.
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancel_on_drop = true;
        self
    }

    /// Whether the coroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.has_given || self.joint.output.borrow().is_some()
    }
}

// No field is ever pinned.
impl<T> Unpin for JoinHandle<T> {}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        assert!(!this.has_given, "a join handle was polled after it gave the output of its coroutine");
        if this.pending.is_none() {
            let scope = this.core.scope();
            if this.core.take_cancellation(scope) {
                return Poll::Ready(Err(Cancelled));
            }
            if let Some(output) = this.joint.output.take() {
                this.has_given = true;
                return Poll::Ready(Ok(output));
            }
            let id = this.core.wait_locally(scope);
            this.joint.waiting.replace(Some(id));
            this.pending = Some(Pending::new(this.core.clone(), id, OnDrop::Detach));
        }
        let Some(pending) = &mut this.pending else { return Poll::Pending };
        match pending.poll(cx.waker()) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(outcome) => {
                this.pending = None;
                this.joint.waiting.replace(None);
                // A cancelled waiter can await the handle again, so the output is kept.
                let output = if outcome == Outcome::Ready { this.joint.output.take() } else { None };
                this.has_given = output.is_some();
                Poll::Ready(output.ok_or(Cancelled))
            }
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.cancel_on_drop && !std::thread::panicking() {
            self.core.cancel_scope(self.scope);
        }
    }
}
