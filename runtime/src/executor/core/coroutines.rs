//! Coroutines that workflow code spawns, and running handlers.

use std::rc::Rc;

use super::{Access, Core};
use crate::data::Headers;
use crate::executor::coroutine::{Coroutine, LocalFuture, Output};
use crate::executor::scope::ScopeId;

impl Core {
    /// Adds a coroutine, which runs after those that are ready now.
    #[track_caller]
    pub(crate) fn spawn(&self, future: LocalFuture<Output>, scope: ScopeId) {
        self.refuse_reader("spawns a coroutine");
        let mut inner = self.inner.borrow_mut();
        if inner.access == Access::TornDown {
            return;
        }
        let id = inner.next_coroutine;
        inner.next_coroutine += 1;
        let coroutine = Coroutine::new(id, future, scope, inner.message.clone(), &self.ready);
        coroutine.queue();
        inner.spawned.push((id, coroutine));
    }

    pub(in crate::executor) fn handler_started(&self) {
        self.inner.borrow_mut().handlers_running += 1;
    }

    pub(in crate::executor) fn handler_ended(&self) {
        self.inner.borrow_mut().handlers_running -= 1;
    }

    /// Creates a coroutine that is not queued: the caller runs its first step.
    pub(in crate::executor) fn coroutine(
        &self,
        future: LocalFuture<Output>,
        scope: ScopeId,
        message: Rc<Headers>,
    ) -> (u64, Coroutine) {
        let mut inner = self.inner.borrow_mut();
        let id = inner.next_coroutine;
        inner.next_coroutine += 1;
        (id, Coroutine::new(id, future, scope, message, &self.ready))
    }

    pub(in crate::executor) fn take_spawned(&self) -> Vec<(u64, Coroutine)> {
        std::mem::take(&mut self.inner.borrow_mut().spawned)
    }
}
