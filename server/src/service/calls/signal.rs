//! Signals, and requests to cancel or terminate.

use std::sync::Arc;

use prost::Message as _;
use tonic::Status;

use crate::api::common::Payloads;
use crate::api::workflowservice::{
    RequestCancelWorkflowExecutionRequest, RequestCancelWorkflowExecutionResponse, SignalWorkflowExecutionRequest,
    SignalWorkflowExecutionResponse, TerminateWorkflowExecutionRequest, TerminateWorkflowExecutionResponse,
};
use crate::engine::cancel::StopRequest;
use crate::engine::effects::Close;
use crate::engine::error::Refusal;
use crate::engine::signal::Signal;
use crate::engine::start::check_name;
use crate::limits::BLOB_BYTES_MAX;
use crate::service::calls::call::Call;
use crate::service::calls::history::{check_run_id, execution};
use crate::service::core::Core;
use crate::service::runs::lookup::Located;

impl Core {
    pub(in crate::service) async fn signal_workflow_execution(
        self: &Arc<Self>,
        request: SignalWorkflowExecutionRequest,
        _call: Call,
    ) -> Result<SignalWorkflowExecutionResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.workflow_execution.as_ref())?;
        check_name("SignalName", &request.signal_name)?;
        check_input(request.input.as_ref())?;
        self.store.admit()?;
        let signal = Signal {
            name: request.signal_name,
            input: request.input,
            header: request.header,
            identity: request.identity,
            request_id: request.request_id,
            links: request.links,
            sender: None,
        };
        let seq = self
            .with_run(&namespace, &workflow_id, &run_id, |located| match located {
                Located::Open(slot, open) => {
                    self.change(slot, open, |open, now| {
                        Ok::<_, Refusal>((open.run.signal(signal, now)?, Close::Write))
                    })?;
                    Ok(open.seq)
                }
                // A signal that was recorded before the run closed is acknowledged again.
                Located::Closed(closed) if closed.state()?.signal_request_ids.contains(&signal.request_id) => {
                    Ok(closed.seq)
                }
                Located::Closed(_) => Err(Refusal::closed().into()),
            })
            .await?;
        self.durable(seq).await?;
        Ok(SignalWorkflowExecutionResponse::default())
    }

    pub(in crate::service) async fn request_cancel_workflow_execution(
        self: &Arc<Self>,
        request: RequestCancelWorkflowExecutionRequest,
        _call: Call,
    ) -> Result<RequestCancelWorkflowExecutionResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.workflow_execution.as_ref())?;
        let first_run_id = &request.first_execution_run_id;
        check_run_id(first_run_id)?;
        let run_id = if first_run_id.is_empty() { run_id } else { String::new() };
        let stop = StopRequest {
            reason: request.reason,
            identity: request.identity,
            links: request.links,
            ..Default::default()
        };
        let seq = self
            .with_run(&namespace, &workflow_id, &run_id, |located| {
                check_chain(&located, first_run_id)?;
                // Canceling a closed run succeeds: the run has ended, as the caller wanted.
                let (slot, open) = match located {
                    Located::Open(slot, open) => (slot, open),
                    Located::Closed(closed) => return Ok(closed.seq),
                };
                self.change(slot, open, |open, now| {
                    open.run.request_cancel(stop, now);
                    Ok::<_, Refusal>(((), Close::Write))
                })?;
                Ok(open.seq)
            })
            .await?;
        self.durable(seq).await?;
        Ok(RequestCancelWorkflowExecutionResponse {})
    }

    pub(in crate::service) async fn terminate_workflow_execution(
        self: &Arc<Self>,
        request: TerminateWorkflowExecutionRequest,
        _call: Call,
    ) -> Result<TerminateWorkflowExecutionResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.workflow_execution.as_ref())?;
        let first_run_id = &request.first_execution_run_id;
        check_run_id(first_run_id)?;
        let run_id = if first_run_id.is_empty() { run_id } else { String::new() };
        let stop = StopRequest {
            reason: request.reason,
            details: request.details,
            identity: request.identity,
            links: request.links,
            source: None,
        };
        let seq = self
            .with_run(&namespace, &workflow_id, &run_id, |located| {
                check_chain(&located, first_run_id)?;
                let Located::Open(slot, open) = located else { return Err(Refusal::closed().into()) };
                self.change(slot, open, |open, now| Ok::<_, Refusal>((open.run.terminate(stop, now)?, Close::Write)))?;
                Ok(open.seq)
            })
            .await?;
        self.durable(seq).await?;
        Ok(TerminateWorkflowExecutionResponse {})
    }
}

/// Checks that the run belongs to the chain whose first run the caller names.
pub(in crate::service) fn check_chain(located: &Located<'_>, first_run_id: &str) -> Result<(), Status> {
    let belongs = match located {
        _ if first_run_id.is_empty() => true,
        Located::Open(_, open) => *open.run.info.first_run_id == *first_run_id,
        Located::Closed(closed) => *closed.state()?.info.first_run_id == *first_run_id,
    };
    if belongs { Ok(()) } else { Err(Refusal::unknown_run().into()) }
}

pub(in crate::service) fn check_input(input: Option<&Payloads>) -> Result<(), Refusal> {
    if input.is_some_and(|input| input.encoded_len() > BLOB_BYTES_MAX) {
        return Err(Refusal::invalid("Blob data size exceeds limit."));
    }
    Ok(())
}
