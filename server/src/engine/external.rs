//! Signals and cancel requests to other workflows.

use std::sync::Arc;

use prost::Message as _;

use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::command::{
    RequestCancelExternalWorkflowExecutionCommandAttributes, SignalExternalWorkflowExecutionCommandAttributes,
};
use crate::api::common::WorkflowExecution;
use crate::api::enums::{
    CancelExternalWorkflowExecutionFailedCause, CommandType, SignalExternalWorkflowExecutionFailedCause,
    WorkflowTaskFailedCause as Cause,
};
use crate::api::history::{
    ExternalWorkflowExecutionCancelRequestedEventAttributes, ExternalWorkflowExecutionSignaledEventAttributes,
    RequestCancelExternalWorkflowExecutionFailedEventAttributes,
    RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionFailedEventAttributes, SignalExternalWorkflowExecutionInitiatedEventAttributes,
};
use crate::engine::cancel::{ExternalSource, StopRequest};
use crate::engine::commands::Commands;
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, HISTORY_SERVICE, Order};
use crate::engine::intent::Intent;
use crate::engine::run::Run;
use crate::engine::signal::Signal;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;
use crate::limits::{BLOB_BYTES_MAX, ID_BYTES_MAX, PENDING_CANCEL_REQUESTS_MAX, PENDING_SIGNALS_MAX};

/// The rules of messages to other workflows.
pub(super) struct ExternalRules;

/// A message to another workflow, to be carried out.
#[derive(Debug)]
pub(crate) struct External<M> {
    pub(crate) target: WorkflowExecution,
    /// Whether the target must be a child of the sender.
    pub(crate) child_only: bool,
    pub(crate) message: M,
}

impl Subject for ExternalRules {
    const COMMANDS: &'static [(CommandType, Cause)] = &[
        (CommandType::SignalExternalWorkflowExecution, Cause::BadSignalWorkflowExecutionAttributes),
        (
            CommandType::RequestCancelExternalWorkflowExecution,
            Cause::BadRequestCancelExternalWorkflowExecutionAttributes,
        ),
    ];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::SignalExternalWorkflowExecutionCommandAttributes(it) => {
                Ok(run.initiate_signal(it, commands))
            }
            CommandAttributes::RequestCancelExternalWorkflowExecutionCommandAttributes(it) => {
                Ok(run.initiate_cancel(it, commands))
            }
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        use Attributes as A;
        match event {
            A::SignalExternalWorkflowExecutionInitiatedEventAttributes(_)
            | A::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(_) => Some(Order::Now),
            _ => answered(event).map(|_| Order::Later),
        }
    }

    fn apply(run: &mut Run, id: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        use Attributes as A;
        match event {
            A::SignalExternalWorkflowExecutionInitiatedEventAttributes(it) => {
                run.state.unanswered += 1;
                run.state.signals_sent.insert(id, Arc::new((**it).clone()));
            }
            A::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(it) => {
                run.state.unanswered += 1;
                run.state.cancels_sent.insert(id, Arc::new((**it).clone()));
            }
            _ => {
                let initiated = answered(event)?;
                let signal = run.state.signals_sent.remove(&initiated).is_some();
                if signal || run.state.cancels_sent.remove(&initiated).is_some() {
                    run.state.unanswered -= 1;
                }
            }
        }
        Some(Ok(()))
    }
}

impl Run {
    fn initiate_signal(
        &mut self,
        attributes: SignalExternalWorkflowExecutionCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        const COMMAND: &str = "SignalExternalWorkflowExecutionCommand";
        let bad = |detail: String| Rejected::new(Cause::BadSignalWorkflowExecutionAttributes, detail);
        let Some(target) = attributes.execution else {
            return Err(bad(format!("Execution is not set on {COMMAND}.")));
        };
        self.check_namespace(&attributes.namespace).map_err(bad)?;
        let (namespace, name) = (&attributes.namespace, &attributes.signal_name);
        let WorkflowExecution { workflow_id, run_id } = &target;
        if workflow_id.is_empty() {
            return Err(bad(format!(
                "WorkflowId is not set on {COMMAND}. Namespace={namespace} RunId={run_id} SignalName={name}"
            )));
        }
        if workflow_id.len() > ID_BYTES_MAX {
            return Err(bad(format!(
                "WorkflowId on {COMMAND} exceeds length limit. WorkflowId={workflow_id} Length={} Limit={ID_BYTES_MAX} \
                 Namespace={namespace} RunId={run_id} SignalName={name}",
                workflow_id.len()
            )));
        }
        if !is_run_id(run_id) {
            return Err(bad(format!(
                "Invalid RunId set on {COMMAND}. WorkflowId={workflow_id} Namespace={namespace} RunId={run_id} \
                 SignalName={name}"
            )));
        }
        if name.is_empty() {
            return Err(bad(format!(
                "SignalName is not set on {COMMAND}. WorkflowId={workflow_id} Namespace={namespace} RunId={run_id}"
            )));
        }
        if attributes.input.as_ref().is_some_and(|input| input.encoded_len() > BLOB_BYTES_MAX) {
            let detail = "SignalExternalWorkflowExecutionCommandAttributes.Input exceeds size limit.".to_owned();
            return Err(bad(detail).terminating());
        }
        if self.state.signals_sent.len() >= PENDING_SIGNALS_MAX {
            return Err(Rejected::new(
                Cause::PendingSignalsLimitExceeded,
                format!(
                    "the number of pending signals to external workflows, {PENDING_SIGNALS_MAX}, has reached the limit"
                ),
            ));
        }
        let event = commands.event(SignalExternalWorkflowExecutionInitiatedEventAttributes {
            workflow_task_completed_event_id: commands.completed_event_id,
            namespace: attributes.namespace,
            namespace_id: self.info.namespace.id.to_string(),
            workflow_execution: Some(target),
            signal_name: attributes.signal_name,
            input: attributes.input,
            control: attributes.control,
            child_workflow_only: attributes.child_workflow_only,
            header: attributes.header,
        });
        let id = self.append_event(event);
        self.send(Intent::SignalExternal(id));
        Ok(())
    }

    fn initiate_cancel(
        &mut self,
        attributes: RequestCancelExternalWorkflowExecutionCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        const COMMAND: &str = "RequestCancelExternalWorkflowExecutionCommand";
        let bad = |detail: String| Rejected::new(Cause::BadRequestCancelExternalWorkflowExecutionAttributes, detail);
        self.check_namespace(&attributes.namespace).map_err(bad)?;
        let (namespace, workflow_id, run_id) = (&attributes.namespace, &attributes.workflow_id, &attributes.run_id);
        if workflow_id.is_empty() {
            return Err(bad(format!("WorkflowId is not set on {COMMAND}. Namespace={namespace} RunId={run_id}")));
        }
        if workflow_id.len() > ID_BYTES_MAX {
            return Err(bad(format!(
                "WorkflowId on {COMMAND} exceeds length limit. WorkflowId={workflow_id} Length={} Limit={ID_BYTES_MAX} \
                 RunId={run_id} Namespace={namespace}",
                workflow_id.len()
            )));
        }
        if !is_run_id(run_id) {
            return Err(bad(format!(
                "Invalid RunId set on {COMMAND}. WorkflowId={workflow_id} RunId={run_id} Namespace={namespace}"
            )));
        }
        if commands.initiated_children.contains(workflow_id) {
            return Err(bad(format!(
                "Start and RequestCancel for child workflow is not allowed in same workflow task. \
                 WorkflowId={workflow_id} RunId={run_id} Namespace={namespace}"
            )));
        }
        if self.state.cancels_sent.len() >= PENDING_CANCEL_REQUESTS_MAX {
            return Err(Rejected::new(
                Cause::PendingRequestCancelLimitExceeded,
                format!(
                    "the number of pending requests to cancel external workflows, {PENDING_CANCEL_REQUESTS_MAX}, has \
                     reached the limit"
                ),
            ));
        }
        let event = commands.event(RequestCancelExternalWorkflowExecutionInitiatedEventAttributes {
            workflow_task_completed_event_id: commands.completed_event_id,
            namespace: attributes.namespace,
            namespace_id: self.info.namespace.id.to_string(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id: attributes.workflow_id,
                run_id: attributes.run_id,
            }),
            control: attributes.control,
            child_workflow_only: attributes.child_workflow_only,
            reason: attributes.reason,
        });
        let id = self.append_event(event);
        self.send(Intent::CancelExternal(id));
        Ok(())
    }

    /// Checks that a command is about this run's own namespace.
    pub(super) fn check_namespace(&self, namespace: &str) -> Result<(), String> {
        if namespace.is_empty() || *namespace == *self.info.namespace.name {
            return Ok(());
        }
        Err("cross namespace commands are not allowed".to_owned())
    }

    /// Returns a signal that waits to be sent; `None` if it was sent, or if this run has closed.
    pub(crate) fn signal_to_send(&self, initiated_event_id: EventId) -> Option<External<Signal>> {
        let initiated = self.state.signals_sent.get(&initiated_event_id)?;
        Some(External {
            target: initiated.workflow_execution.clone().unwrap_or_default(),
            child_only: initiated.child_workflow_only,
            message: Signal {
                name: initiated.signal_name.clone(),
                input: initiated.input.clone(),
                header: initiated.header.clone(),
                identity: HISTORY_SERVICE.to_owned(),
                // A repeated signal is recognized by this id.
                request_id: format!("{}:{initiated_event_id}", self.info.run_id),
                links: Vec::new(),
                sender: Some(self.execution()),
            },
        })
    }

    /// Records the result of a signal to another workflow. A repeat changes nothing.
    pub(crate) fn signal_answered(
        &mut self,
        initiated_event_id: EventId,
        result: Result<(), SignalExternalWorkflowExecutionFailedCause>,
        now: Time,
    ) {
        let Some(initiated) = self.state.signals_sent.get(&initiated_event_id).cloned() else { return };
        let namespace = self.info.namespace.name.to_string();
        let namespace_id = initiated.namespace_id.clone();
        let workflow_execution = initiated.workflow_execution.clone();
        let control = initiated.control.clone();
        let attributes: Attributes = match result {
            Ok(()) => ExternalWorkflowExecutionSignaledEventAttributes {
                initiated_event_id,
                namespace,
                namespace_id,
                workflow_execution,
                control,
            }
            .into(),
            Err(cause) => SignalExternalWorkflowExecutionFailedEventAttributes {
                cause: cause as i32,
                namespace,
                namespace_id,
                workflow_execution,
                initiated_event_id,
                control,
                ..Default::default()
            }
            .into(),
        };
        self.append(now, attributes);
        self.ensure_workflow_task(now);
    }

    /// Returns a cancel request that waits to be sent; `None` if it was sent, or if this run has closed.
    pub(crate) fn cancel_to_send(&self, initiated_event_id: EventId) -> Option<External<StopRequest>> {
        let initiated = self.state.cancels_sent.get(&initiated_event_id)?;
        Some(External {
            target: initiated.workflow_execution.clone().unwrap_or_default(),
            child_only: initiated.child_workflow_only,
            message: StopRequest {
                reason: initiated.reason.clone(),
                identity: HISTORY_SERVICE.to_owned(),
                source: Some(ExternalSource { execution: self.execution(), initiated_event_id }),
                ..StopRequest::default()
            },
        })
    }

    /// Records the result of a cancel request to another workflow. A repeat changes nothing.
    pub(crate) fn cancel_answered(
        &mut self,
        initiated_event_id: EventId,
        result: Result<(), CancelExternalWorkflowExecutionFailedCause>,
        now: Time,
    ) {
        let Some(initiated) = self.state.cancels_sent.get(&initiated_event_id).cloned() else { return };
        let namespace = self.info.namespace.name.to_string();
        let namespace_id = initiated.namespace_id.clone();
        let workflow_execution = initiated.workflow_execution.clone();
        let attributes: Attributes = match result {
            Ok(()) => ExternalWorkflowExecutionCancelRequestedEventAttributes {
                initiated_event_id,
                namespace,
                namespace_id,
                workflow_execution,
            }
            .into(),
            Err(cause) => RequestCancelExternalWorkflowExecutionFailedEventAttributes {
                cause: cause as i32,
                namespace,
                namespace_id,
                workflow_execution,
                initiated_event_id,
                control: initiated.control.clone(),
                ..Default::default()
            }
            .into(),
        };
        self.append(now, attributes);
        self.ensure_workflow_task(now);
    }
}

/// Returns the event that asked for what `event` reports.
fn answered(event: &Attributes) -> Option<EventId> {
    use Attributes as A;
    match event {
        A::ExternalWorkflowExecutionSignaledEventAttributes(it) => Some(it.initiated_event_id),
        A::SignalExternalWorkflowExecutionFailedEventAttributes(it) => Some(it.initiated_event_id),
        A::ExternalWorkflowExecutionCancelRequestedEventAttributes(it) => Some(it.initiated_event_id),
        A::RequestCancelExternalWorkflowExecutionFailedEventAttributes(it) => Some(it.initiated_event_id),
        _ => None,
    }
}

/// Whether a run id is a UUID, or absent.
pub(crate) fn is_run_id(run_id: &str) -> bool {
    run_id.is_empty() || uuid::Uuid::try_parse(run_id).is_ok()
}
