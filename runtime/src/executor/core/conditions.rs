//! Conditions, which are evaluated after every sweep.

use std::cell::RefCell;
use std::task::Waker;

use super::{Access, Core, CoreState};
use crate::executor::operations::OperationId;

impl Core {
    /// Evaluates a condition after every sweep, until its operation is gone.
    pub(crate) fn register_condition(&self, operation: OperationId, waker: &Waker) {
        let mut inner = self.inner.borrow_mut();
        match inner.conditions.iter_mut().find(|(known, _)| *known == operation) {
            Some((_, known)) => known.clone_from(waker),
            None => inner.conditions.push((operation, waker.clone())),
        }
    }

    /// Counts a condition that holds.
    pub(crate) fn condition_met(&self, operation: OperationId) {
        let mut inner = self.inner.borrow_mut();
        inner.conditions.retain(|(known, _)| *known != operation);
        inner.conditions_met += 1;
        inner.operations.remove(&operation);
    }

    /// Runs a closure that can only read, such as a condition.
    pub(crate) fn reading<R>(&self, reader: &str, read: impl FnOnce() -> R) -> R {
        struct Restore<'a>(&'a RefCell<CoreState>, Access);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.borrow_mut().access = self.1.clone();
            }
        }
        let access = std::mem::replace(&mut self.inner.borrow_mut().access, Access::Read(reader.to_owned()));
        let _restore = Restore(&self.inner, access);
        read()
    }

    /// Queues every waiting condition's coroutine. Returns whether there is any.
    pub(in crate::executor) fn wake_conditions(&self) -> bool {
        let wakers: Vec<Waker> = self.inner.borrow().conditions.iter().map(|(_, waker)| waker.clone()).collect();
        wakers.iter().for_each(Waker::wake_by_ref);
        !wakers.is_empty()
    }

    /// The number of conditions that were met since the last call.
    pub(in crate::executor) fn take_conditions_met(&self) -> usize {
        std::mem::take(&mut self.inner.borrow_mut().conditions_met)
    }
}
