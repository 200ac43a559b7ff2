//! Issuing: operations and their commands.

use std::fmt::Display;
use std::panic::Location;
use std::sync::Arc;

use everloop_proto::temporal::api::command::v1::ContinueAsNewWorkflowExecutionCommandAttributes;
use everloop_proto::temporal::api::command::v1::command::Attributes;

use super::{Access, Core, CoreState};
use crate::data::WorkerActivityOptions;
use crate::executor::call_site::CallSite;
use crate::executor::command::CommandKind;
use crate::executor::end::EndCommand;
use crate::executor::info::WorkflowInfo;
use crate::executor::issued::Issued;
use crate::executor::operations::{
    Command, Durable, Issuer, Kind, Machine, Operation, OperationId, Request, Requested,
};
use crate::executor::scope::ScopeId;

impl Core {
    /// Begins an operation, and adds its command to the current task.
    ///
    /// # Panics
    /// In queries, validators and conditions, which may only read.
    #[track_caller]
    pub(crate) fn begin<R: Request>(&self, request: R, scope: ScopeId, site: &'static Location<'static>) -> OperationId
    where
        Durable: From<R::Machine>,
        Command: From<<R::Machine as Machine>::Command>,
    {
        self.refuse_reader(&request.deed());
        self.pass(site);
        self.begin_at(request, scope, site.into())
    }

    /// As [`begin`](Self::begin), of the executor itself, for code at this line.
    #[track_caller]
    pub(super) fn begin_at<R: Request>(&self, request: R, scope: ScopeId, site: CallSite) -> OperationId
    where
        Durable: From<R::Machine>,
        Command: From<<R::Machine as Machine>::Command>,
    {
        let Requested { machine, command, mut attributes, summary, key } = request.issue(self, site);
        self.show(attributes.as_mut());
        let mut inner = self.inner.borrow_mut();
        let operation = inner.add(scope, Kind::Durable(machine.into()), site);
        if let Some(key) = key {
            inner.keys.insert(key, operation);
        }
        let issued = Issued::new(CommandKind::Operation(command.into()), site, attributes);
        inner.issue(Issued { operation: Some(operation), summary, ..issued });
        operation
    }

    /// Begins a local operation, which is not in history.
    #[track_caller]
    pub(crate) fn wait_locally(&self, scope: ScopeId) -> OperationId {
        self.refuse_reader("waits");
        self.inner.borrow_mut().add(scope, Kind::Local, CallSite::NONE)
    }

    /// Begins a local operation that waits for the cancellation of a scope.
    #[track_caller]
    pub(crate) fn wait_for_cancellation(&self, scope: ScopeId) -> OperationId {
        self.refuse_reader("waits");
        self.inner.borrow_mut().add(scope, Kind::Cancellation, CallSite::NONE)
    }

    /// Ends the workflow: it continues in a new run. `next` makes the command, from facts about this run.
    ///
    /// # Panics
    /// In queries, validators and conditions: they may only read. If there is no such command.
    pub(crate) fn continue_as_new<E: Display>(
        &self,
        next: impl FnOnce(&WorkflowInfo) -> Result<Box<ContinueAsNewWorkflowExecutionCommandAttributes>, E>,
        site: &'static Location<'static>,
    ) {
        self.refuse_reader("continues as new");
        self.pass(site);
        let mut attributes = self.needs_payloads().then(|| match next(&self.info()) {
            Ok(next) => Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(next),
            Err(error) => panic!("`continue_as_new`, called at {}: {error}", CallSite::from(site)),
        });
        self.show(attributes.as_mut());
        let issued = Issued::new(CommandKind::End(EndCommand::ContinueAsNew), site.into(), attributes);
        self.inner.borrow_mut().ended.get_or_insert(issued);
    }

    /// Takes the command that ended the workflow in place of a return.
    pub(in crate::executor) fn take_ended(&self) -> Option<Issued> {
        self.inner.borrow_mut().ended.take()
    }

    /// Shows a command that leaves for the first time to the definition. User code sees it: no borrow may be held here.
    fn show(&self, attributes: Option<&mut Attributes>) {
        let Some(attributes) = attributes else { return };
        let (observer, message) = {
            let inner = self.inner.borrow();
            match &inner.observer {
                Some(observer) if !inner.replaying && inner.access == Access::Full => {
                    (observer.clone(), inner.message.clone())
                }
                _ => return,
            }
        };
        self.reading("an interceptor", || observer.outgoing(attributes, &message));
    }

    pub(in crate::executor) fn issue(&self, issued: Issued) {
        self.inner.borrow_mut().issue(issued);
    }

    pub(in crate::executor) fn take_issued(&self) -> Vec<Issued> {
        std::mem::take(&mut self.inner.borrow_mut().issued)
    }
}

impl Issuer for Core {
    fn take_id(&self) -> u64 {
        let mut inner = self.inner.borrow_mut();
        let id = inner.next_id;
        inner.next_id += 1;
        id
    }

    fn is_replaying(&self) -> bool {
        self.inner.borrow().replaying
    }

    fn needs_payloads(&self) -> bool {
        !self.inner.borrow().replaying || self.compares_payloads()
    }

    fn worker_options(&self) -> Arc<WorkerActivityOptions> {
        self.inner.borrow().worker_options.clone()
    }

    fn task_queue(&self) -> String {
        self.inner.borrow().info.as_ref().map(|info| info.task_queue.clone()).unwrap_or_default()
    }
}

impl CoreState {
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

    pub(super) fn issue_cancel(&mut self, id: OperationId, command: Command, attributes: Attributes) {
        let site = self.operations.get(&id).map_or(CallSite::NONE, |operation| operation.site);
        let mut issued = Issued::new(CommandKind::Operation(command), site, Some(attributes));
        issued.cancels = Some(id);
        self.issue(issued);
    }

    /// Removes the unsent command of an operation, and the operation.
    pub(super) fn withdraw(&mut self, id: OperationId) {
        self.issued.retain(|issued| issued.operation != Some(id));
        self.keys.retain(|_, known| *known != id);
        self.local.withdraw(id);
    }
}
