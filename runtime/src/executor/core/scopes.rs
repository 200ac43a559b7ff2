//! The current scope, and the cancellation of scopes.

use super::{Access, Core, CoreState};
use crate::executor::operations::OperationId;
use crate::executor::scope::ScopeId;

impl Core {
    /// The number of cancellations that have reached a scope.
    pub(crate) fn cancel_requests(&self, scope: ScopeId) -> usize {
        self.inner.borrow().scopes.requests(scope)
    }

    pub(crate) fn scope(&self) -> ScopeId {
        self.inner.borrow().scope
    }

    pub(crate) fn new_scope(&self, parent: Option<ScopeId>) -> ScopeId {
        self.inner.borrow_mut().scopes.add(parent)
    }

    pub(crate) fn is_cancelled(&self, scope: ScopeId) -> bool {
        self.inner.borrow().scopes.is_cancelled(scope)
    }

    pub(crate) fn cancel_scope(&self, scope: ScopeId) {
        let mut inner = self.inner.borrow_mut();
        if inner.access == Access::Full {
            inner.cancel_scope(scope);
        }
    }

    pub(in crate::executor) fn set_scope(&self, scope: ScopeId) {
        self.inner.borrow_mut().scope = scope;
    }

    pub(in crate::executor) fn scope_leaves_children(&self, scope: ScopeId) -> bool {
        self.inner.borrow().scopes.leaves_children(scope)
    }

    /// Ends the scope of a coroutine that has ended. Its remaining operations move to the scope above.
    pub(in crate::executor) fn end_scope(&self, scope: ScopeId, stays_for_children: bool) {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if let Some(heir) = inner.scopes.end(scope, stays_for_children) {
            let left = inner.operations.values_mut().filter(|operation| operation.scope == scope);
            left.for_each(|operation| operation.scope = heir);
        }
    }
}

impl CoreState {
    /// Cancels the pending operations of a scope, in creation order. If there is none, the next one that is polled takes the
    /// cancellation.
    pub(super) fn cancel_scope(&mut self, scope: ScopeId) {
        if !self.scopes.cancel(scope) {
            return;
        }
        let within: Vec<OperationId> = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.is_unsettled() && self.scopes.is_within(operation.scope, scope))
            .map(|(id, _)| *id)
            .collect();
        let reached = within.iter().any(|id| self.operations[id].is_pending());
        within.into_iter().for_each(|id| self.cancel(id));
        if !reached {
            self.scopes.leave_undelivered(scope);
        }
    }
}
