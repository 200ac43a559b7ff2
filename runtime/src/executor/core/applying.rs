//! Applying events of history to operations.

use std::any::Any;
use std::rc::Rc;

use super::{Access, Core, CoreState};
use crate::executor::error::ReplayError;
use crate::executor::operations::{Change, Key, Kind, Operation, OperationId, Outcome};

impl Core {
    /// Confirms an operation: history has the event of its command.
    pub(in crate::executor) fn confirm(&self, id: OperationId, event_id: i64) {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if let Some(Operation { kind: Kind::Durable(machine), .. }) = inner.operations.get_mut(&id)
            && let Some(key) = machine.confirmed(event_id)
        {
            inner.keys.insert(key, id);
        }
    }

    /// Confirms the cancellation of an operation: history has the event of its command.
    pub(in crate::executor) fn confirm_cancel(&self, id: OperationId, event_id: i64) {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if let Some(Operation { kind: Kind::Durable(machine), stays, .. }) = inner.operations.get_mut(&id) {
            if let Some(key) = machine.cancel_confirmed(event_id) {
                inner.keys.insert(key, id);
            }
            if machine.is_over() {
                inner.keys.retain(|_, known| *known != id);
                if !*stays {
                    inner.forget(id);
                }
            }
        }
    }

    /// Operations that this task cancelled, that end when history confirms the cancellation, and whose outcome was not taken
    /// yet.
    pub(in crate::executor) fn cancelled_and_untaken(&self) -> Vec<OperationId> {
        let inner = self.inner.borrow();
        let cancelled = inner.issued.iter().filter_map(|issued| issued.cancels);
        let is_untaken = |id: &OperationId| match inner.operations.get(id) {
            Some(Operation { kind: Kind::Durable(machine), outcome: Some(_), detached: false, .. }) => {
                machine.ends_when_cancel_is_confirmed()
            }
            _ => false,
        };
        cancelled.filter(is_untaken).collect()
    }

    /// Keeps operations until their outcome is taken.
    pub(in crate::executor) fn keep(&self, operations: &[OperationId]) {
        let mut inner = self.inner.borrow_mut();
        for id in operations {
            if let Some(operation) = inner.operations.get_mut(id) {
                operation.stays = true;
            }
        }
    }

    /// Applies an event to the operation that it names.
    pub(in crate::executor) fn apply(&self, event_id: i64, key: &Key, change: Change) -> Result<(), ReplayError> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        let Some(&id) = inner.keys.get(key) else {
            return Err(ReplayError::invalid(event_id, change.unknown(key)));
        };
        let Some(Operation { kind: Kind::Durable(machine), detached, .. }) = inner.operations.get_mut(&id) else {
            inner.keys.remove(key);
            return Ok(());
        };
        let outcome = machine.apply(change).map_err(|reason| ReplayError::invalid(event_id, reason))?;
        let (is_over, is_detached) = (machine.is_over(), *detached);
        if is_over {
            inner.keys.remove(key);
        }
        match outcome {
            Some(outcome) => inner.settle(id, outcome),
            // Its outcome was taken before its last event.
            None if is_over && is_detached => drop(inner.operations.remove(&id)),
            None => {}
        }
        Ok(())
    }

    /// Makes operations inert: from now on they issue nothing, resolve nothing, and do not panic.
    pub(in crate::executor) fn tear_down(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.access = Access::TornDown;
        inner.conditions.clear();
    }

    /// Whether the run has ended, or is being dropped.
    pub(in crate::executor) fn is_torn_down(&self) -> bool {
        self.inner.borrow().access == Access::TornDown
    }

    /// Takes the workflow's state from a run that is torn down. This breaks the reference cycle of a handle in one of its fields,
    /// which holds this core.
    pub(in crate::executor) fn take_workflow(&self) -> Option<Rc<dyn Any>> {
        self.inner.borrow_mut().workflow.take()
    }

    /// Takes the operations, with the wakers of user code.
    pub(in crate::executor) fn take_operations(&self) -> impl Sized + use<> {
        std::mem::take(&mut self.inner.borrow_mut().operations)
    }

    /// Describes the pending operations, for people who look for the reason why a workflow does not continue.
    pub(in crate::executor) fn waiting(&self) -> Vec<String> {
        let inner = self.inner.borrow();
        let pending = inner.operations.values().filter(|operation| operation.is_pending());
        pending.map(Operation::describe).collect()
    }
}

impl CoreState {
    /// Resolves an operation by an event. A command of this task that cancels the operation is withdrawn, because the operation
    /// has ended.
    pub(super) fn settle(&mut self, id: OperationId, outcome: Outcome) {
        if let Outcome::Started { .. } = outcome {
            // The operation goes on, and so does a command that cancels it.
            if let Some(operation) = self.operations.get_mut(&id).filter(|operation| !operation.detached) {
                operation.resolve(outcome);
            }
            return;
        }
        self.issued.retain(|issued| issued.cancels != Some(id));
        if self.end_backoff(id) {
            return;
        }
        let Some(operation) = self.operations.get_mut(&id) else { return };
        if operation.detached {
            if operation.is_over() {
                self.operations.remove(&id);
            }
        } else {
            operation.resolve(outcome);
        }
    }
}
