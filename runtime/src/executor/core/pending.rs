//! Pending operations: their futures poll, cancel and drop them.

use std::task::{Poll, Waker};

use super::{Access, Core, CoreState, SharedCore};
use crate::executor::operations::{Cancel, Kind, OperationId, Outcome};
use crate::executor::scope::ScopeId;

impl Core {
    /// Takes the outcome of an operation. An undelivered cancellation is taken at an operation's first poll.
    pub(crate) fn poll(&self, id: OperationId, waker: &Waker) -> Poll<Outcome> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        let Some(operation) = inner.operations.get_mut(&id) else { return Poll::Pending };
        if !std::mem::replace(&mut operation.polled, true)
            && operation.is_unsettled()
            && inner.scopes.take_undelivered(operation.scope)
        {
            inner.cancel(id);
        }
        let Some(operation) = inner.operations.get_mut(&id) else { return Poll::Pending };
        match operation.outcome.take() {
            Some(started @ Outcome::Started { .. }) => {
                self.ready.pass(operation.site);
                operation.outcome = operation.next_outcome.take();
                Poll::Ready(started)
            }
            Some(outcome) => {
                self.ready.pass(operation.site);
                operation.stays = false;
                inner.forget(id);
                Poll::Ready(outcome)
            }
            None => {
                match &mut operation.waker {
                    Some(known) => known.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                Poll::Pending
            }
        }
    }

    /// Takes an undelivered cancellation of a scope, for operations that issue nothing before their first poll.
    pub(crate) fn take_cancellation(&self, scope: ScopeId) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.access == Access::Full && inner.scopes.take_undelivered(scope)
    }

    /// Polls a future whose first operation takes a cancellation of a scope, as if the operation had been pending when the
    /// cancellation came.
    pub(crate) fn delivering_cancellation<R>(&self, scope: ScopeId, poll: impl FnOnce() -> R) -> R {
        let before = self.inner.borrow_mut().scopes.replace_undelivered(scope, true);
        let polled = poll();
        self.inner.borrow_mut().scopes.replace_undelivered(scope, before);
        polled
    }

    /// Resolves a local operation.
    pub(crate) fn resolve(&self, id: OperationId) {
        if let Some(operation) = self.inner.borrow_mut().operations.get_mut(&id) {
            operation.resolve(Outcome::Ready);
        }
    }

    /// Cancels one operation according to its type, as a cancellation of its scope would.
    pub(crate) fn cancel_operation(&self, id: OperationId) {
        let mut inner = self.inner.borrow_mut();
        if inner.access == Access::Full {
            inner.cancel(id);
        }
    }

    /// Handles the drop of an operation's future before its outcome was taken.
    pub(super) fn dropped(&self, id: OperationId, on_drop: OnDrop) {
        // During a panic the run is lost, and a drop must not panic.
        if std::thread::panicking() {
            return;
        }
        let Ok(mut inner) = self.inner.try_borrow_mut() else { return };
        if inner.access == Access::TornDown {
            return;
        }
        inner.conditions.retain(|(known, _)| *known != id);
        if on_drop == OnDrop::Cancel {
            inner.cancel(id);
        }
        inner.detach(id);
    }
}

impl CoreState {
    /// Cancels an operation according to its type.
    pub(super) fn cancel(&mut self, id: OperationId) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        match &mut operation.kind {
            Kind::Local => operation.resolve(Outcome::Cancelled),
            Kind::Cancellation => operation.resolve(Outcome::Ready),
            Kind::Durable(machine) => match machine.cancel() {
                Cancel::Withdraw(outcome) => {
                    operation.resolve(outcome);
                    self.withdraw(id);
                }
                Cancel::Ask { command, attributes, outcome } => {
                    if let Some(outcome) = outcome {
                        operation.resolve(outcome);
                    }
                    self.issue_cancel(id, command, attributes);
                }
                Cancel::Worker { outcome } => self.cancel_local(id, outcome),
                Cancel::GoOn(outcome) => {
                    operation.resolve(outcome);
                    if let Some(timer) = self.local.take_timer(id) {
                        self.cancel(timer);
                        self.forget(timer);
                    }
                }
                Cancel::Nothing => {}
            },
        }
    }

    /// Handles the drop of an operation's future without a cancellation. An operation that later events name is kept until then.
    pub(super) fn detach(&mut self, id: OperationId) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        operation.detached = true;
        operation.waker = None;
        self.forget(id);
    }

    /// Drops an operation, unless later events name it.
    pub(super) fn forget(&mut self, id: OperationId) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        if operation.is_over() {
            self.operations.remove(&id);
        } else {
            operation.detached = true;
        }
    }
}

/// The effect of dropping the future of a pending operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDrop {
    /// Cancels the operation durably, according to its type.
    Cancel,
    /// Does not cancel the operation.
    Detach,
}

/// One operation that a future waits for. If it is dropped before its outcome was taken, `on_drop` decides the effect.
pub(crate) struct Pending {
    core: SharedCore,
    id: OperationId,
    on_drop: OnDrop,
    is_done: bool,
}

impl Pending {
    pub(crate) fn new(core: SharedCore, id: OperationId, on_drop: OnDrop) -> Self {
        Self { core, id, on_drop, is_done: false }
    }

    pub(crate) fn id(&self) -> OperationId {
        self.id
    }

    /// # Panics
    /// If the outcome was taken before, because a second wait would never be woken.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Outcome> {
        assert!(!self.is_done, "a future of the workflow was polled again after it gave its output");
        let outcome = self.core.poll(self.id, waker);
        self.is_done |= matches!(&outcome, Poll::Ready(outcome) if !matches!(outcome, Outcome::Started { .. }));
        outcome
    }

    /// Whether the outcome was taken.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    pub(crate) fn cancel(&self) {
        self.core.cancel_operation(self.id);
    }

    pub(crate) fn set_on_drop(&mut self, on_drop: OnDrop) {
        self.on_drop = on_drop;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_done {
            self.core.dropped(self.id, self.on_drop);
        }
    }
}
