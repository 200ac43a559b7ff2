//! Issuing: operations and their commands.

use super::{Access, Core, Inner};
use crate::executor::command::{CallSite, CommandKind, Issued};
use crate::executor::operations::{Durable, Key, Kind, Operation, OperationId};
use crate::executor::scope::ScopeId;
use everloop_proto::temporal::api::command::v1::command::Attributes;

impl Core {
    /// The next id for an operation: one counter for timers and activities, in order of issue.
    pub(in crate::executor) fn take_id(&self) -> u64 {
        let mut inner = self.inner.borrow_mut();
        let id = inner.next_id;
        inner.next_id += 1;
        id
    }

    /// Begins an operation and issues its command. `key` finds it from now on.
    pub(in crate::executor) fn begin_operation(
        &self,
        machine: impl Into<Durable>,
        scope: ScopeId,
        command: Issued,
        key: Option<Key>,
    ) -> OperationId {
        let mut inner = self.inner.borrow_mut();
        let operation = inner.add(scope, Kind::Durable(machine.into()), command.site);
        if let Some(key) = key {
            inner.keys.insert(key, operation);
        }
        inner.issue(Issued { operation: Some(operation), ..command });
        operation
    }

    /// Something to wait for that only this run knows.
    #[track_caller]
    pub(crate) fn wait_locally(&self, scope: ScopeId) -> OperationId {
        self.refuse_reader("waits");
        self.inner.borrow_mut().add(scope, Kind::Local, CallSite::NONE)
    }

    /// The cancellation of a scope, as something to wait for.
    #[track_caller]
    pub(crate) fn wait_for_cancellation(&self, scope: ScopeId) -> OperationId {
        self.refuse_reader("waits");
        self.inner.borrow_mut().add(scope, Kind::Cancellation, CallSite::NONE)
    }

    pub(in crate::executor) fn issue(&self, issued: Issued) {
        self.inner.borrow_mut().issue(issued);
    }

    pub(in crate::executor) fn take_issued(&self) -> Vec<Issued> {
        std::mem::take(&mut self.inner.borrow_mut().issued)
    }
}

impl Inner {
    pub(super) fn add(&mut self, scope: ScopeId, kind: Kind, site: CallSite) -> OperationId {
        let id = OperationId(self.next_operation);
        self.next_operation += 1;
        self.operations.insert(id, Operation::new(scope, kind, site));
        id
    }

    pub(super) fn issue(&mut self, issued: Issued) {
        if self.access == Access::Full {
            self.issued.push(issued);
        }
    }

    pub(super) fn issue_cancel(&mut self, id: OperationId, kind: CommandKind, attributes: Attributes) {
        let site = self.operations.get(&id).map_or(CallSite::NONE, |operation| operation.site);
        let mut issued = Issued::new(kind, site, Some(attributes));
        issued.cancels = Some(id);
        self.issue(issued);
    }

    /// Takes back a command that has not left, with every trace of it.
    pub(super) fn withdraw(&mut self, id: OperationId) {
        self.issued.retain(|issued| issued.operation != Some(id));
        self.keys.retain(|_, known| *known != id);
    }
}
