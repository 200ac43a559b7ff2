//! Requests for operations on other workflows.

use std::borrow::Cow;

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::command::v1::{
    RequestCancelExternalWorkflowExecutionCommandAttributes, SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
};

use super::child::ChildOperation;
use super::external::ExternalOperation;
use super::other_command::OtherCommand;
use super::other_workflow::OtherOperation;
use super::request::{Issuer, Request, Requested};
use crate::data::ChildCancellationType;
use crate::executor::call_site::CallSite;
use crate::raw;

/// A call of a child workflow.
pub(crate) struct ChildRequest<C> {
    pub(crate) workflow_type: &'static str,
    pub(crate) workflow_id: String,
    pub(crate) cancellation: ChildCancellationType,
    pub(crate) summary: Option<String>,
    /// Makes the command with user code, which encodes the input. It lacks a task queue if the call named none.
    pub(crate) command: C,
}

impl<C: FnOnce() -> StartChildWorkflowExecutionCommandAttributes> Request for ChildRequest<C> {
    type Machine = OtherOperation;

    fn deed(&self) -> Cow<'static, str> {
        format!("starts the child workflow `{}`", self.workflow_type).into()
    }

    fn issue(self, run: &impl Issuer, _: CallSite) -> Requested<OtherOperation> {
        let Self { workflow_type, workflow_id, cancellation, summary, command } = self;
        let attributes = run.needs_payloads().then(|| {
            let mut command = command();
            let queue = command.task_queue.get_or_insert_default();
            if queue.name.is_empty() {
                queue.name = run.task_queue();
            }
            CommandAttributes::StartChildWorkflowExecutionCommandAttributes(command.into())
        });
        let command =
            OtherCommand::StartChild { workflow_type: workflow_type.into(), workflow_id: workflow_id.as_str().into() };
        let child = ChildOperation::new(workflow_type, workflow_id, cancellation);
        Requested { machine: child.into(), command, attributes, summary, key: None }
    }
}

/// A signal to another workflow.
pub(crate) struct SignalRequest<I> {
    pub(crate) target: raw::WorkflowExecution,
    pub(crate) child_only: bool,
    pub(crate) name: String,
    /// Encodes the input and headers with user code.
    pub(crate) input: I,
}

/// The content of a signal: its input and its headers.
pub(crate) type SignalContent = (Vec<raw::Payload>, Option<raw::Header>);

impl<I: FnOnce() -> SignalContent> Request for SignalRequest<I> {
    type Machine = OtherOperation;

    fn deed(&self) -> Cow<'static, str> {
        format!("signals the workflow `{}`", self.target.workflow_id).into()
    }

    fn issue(self, run: &impl Issuer, _: CallSite) -> Requested<OtherOperation> {
        let Self { target, child_only, name, input } = self;
        let command =
            OtherCommand::Signal { workflow_id: target.workflow_id.as_str().into(), name: name.as_str().into() };
        let machine = ExternalOperation::new(format!("signal `{name}` to workflow {}", target.workflow_id));
        let attributes = run.needs_payloads().then(|| {
            let (input, header) = input();
            CommandAttributes::SignalExternalWorkflowExecutionCommandAttributes(
                SignalExternalWorkflowExecutionCommandAttributes {
                    execution: Some(target),
                    signal_name: name,
                    input: (!input.is_empty()).then_some(raw::Payloads { payloads: input }),
                    child_workflow_only: child_only,
                    header,
                    ..Default::default()
                },
            )
        });
        Requested { machine: machine.into(), command, attributes, summary: None, key: None }
    }
}

/// A request to cancel another workflow.
pub(crate) struct CancelRequest {
    pub(crate) target: raw::WorkflowExecution,
    pub(crate) reason: String,
}

impl Request for CancelRequest {
    type Machine = OtherOperation;

    fn deed(&self) -> Cow<'static, str> {
        format!("cancels the workflow `{}`", self.target.workflow_id).into()
    }

    fn issue(self, _: &impl Issuer, _: CallSite) -> Requested<OtherOperation> {
        let raw::WorkflowExecution { workflow_id, run_id } = self.target;
        let machine = ExternalOperation::new(format!("request to cancel workflow {workflow_id}"));
        let command = OtherCommand::Cancel { workflow_id: workflow_id.as_str().into() };
        let attributes = RequestCancelExternalWorkflowExecutionCommandAttributes {
            workflow_id,
            run_id,
            reason: self.reason,
            ..Default::default()
        };
        let attributes = CommandAttributes::RequestCancelExternalWorkflowExecutionCommandAttributes(attributes);
        Requested { machine: machine.into(), command, attributes: Some(attributes), summary: None, key: None }
    }
}
