//! `everloop workflow cancel` and `terminate`.

use std::io::Write;

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::{
    RequestCancelWorkflowExecutionRequest, TerminateWorkflowExecutionRequest,
};
use uuid::Uuid;

use super::connection::{Connection, identity, user};
use super::error::CommandError;
use crate::arguments::workflow::{CloseArguments, OutputFormat};

pub(super) async fn cancel(
    server: &Connection,
    close: CloseArguments,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let request = RequestCancelWorkflowExecutionRequest {
        namespace: server.namespace(),
        workflow_execution: Some(close.execution.clone().into()),
        identity: identity(),
        request_id: Uuid::new_v4().to_string(),
        reason: close.reason,
        ..Default::default()
    };
    server.call(request, WorkflowServiceClient::request_cancel_workflow_execution).await?;
    if output == OutputFormat::Text {
        writeln!(out, "{}: cancellation requested", close.execution.workflow_id)?;
    }
    Ok(())
}

pub(super) async fn terminate(
    server: &Connection,
    close: CloseArguments,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let reason = match close.reason.as_str() {
        "" => format!("asked for on the command line by {}", user()),
        reason => reason.to_owned(),
    };
    let request = TerminateWorkflowExecutionRequest {
        namespace: server.namespace(),
        workflow_execution: Some(close.execution.clone().into()),
        reason,
        identity: identity(),
        ..Default::default()
    };
    server.call(request, WorkflowServiceClient::terminate_workflow_execution).await?;
    if output == OutputFormat::Text {
        writeln!(out, "{}: terminated", close.execution.workflow_id)?;
    }
    Ok(())
}
