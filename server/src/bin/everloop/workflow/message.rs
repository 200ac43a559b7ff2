//! `everloop workflow signal` and `query`.

use std::io::Write;

use everloop_proto::temporal::api::common::v1::{Payload, Payloads};
use everloop_proto::temporal::api::query::v1::WorkflowQuery;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::{QueryWorkflowRequest, SignalWorkflowExecutionRequest};
use tonic::Code;
use uuid::Uuid;

use super::connection::{Connection, identity};
use super::error::CommandError;
use super::print::{json, text};
use crate::arguments::workflow::{Message, OutputFormat};

pub(super) async fn signal(
    server: &Connection,
    message: Message,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let Message { execution, name, input } = message;
    let request = SignalWorkflowExecutionRequest {
        namespace: server.namespace(),
        workflow_execution: Some(execution.clone().into()),
        signal_name: name.clone(),
        input: payloads(input),
        identity: identity(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    server.call(request, WorkflowServiceClient::signal_workflow_execution).await?;
    if output == OutputFormat::Text {
        writeln!(out, "{}: got the signal {name}", execution.workflow_id)?;
    }
    Ok(())
}

pub(super) async fn query(
    server: &Connection,
    message: Message,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let Message { execution, name, input } = message;
    let request = QueryWorkflowRequest {
        namespace: server.namespace(),
        execution: Some(execution.into()),
        query: Some(WorkflowQuery { query_type: name.clone(), query_args: payloads(input), ..Default::default() }),
        ..Default::default()
    };
    let answer = server.try_call(request, WorkflowServiceClient::query_workflow).await;
    let answer = answer.map_err(|status| match status.code() {
        // The worker's message; for an unknown query, it lists the known names.
        Code::InvalidArgument => CommandError::Query { name, message: status.message().to_owned() },
        // The client cancels the call if its own deadline expires first.
        Code::DeadlineExceeded | Code::Cancelled => CommandError::Query { name, message: NO_WORKER.to_owned() },
        _ => server.failure(status),
    })?;
    match output {
        OutputFormat::Json => json::write(&json::value(&answer)?, out),
        OutputFormat::Text => Ok(writeln!(out, "{}", text::payloads(answer.query_result.as_ref()))?),
    }
}

/// Only calls of queries wait for workers for long.
const NO_WORKER: &str = "no worker answered in time; is one polling the workflow's task queue?";

fn payloads(input: Vec<String>) -> Option<Payloads> {
    let payload = |json: String| Payload {
        metadata: [("encoding".to_owned(), "json/plain".into())].into(),
        data: json.into(),
        ..Default::default()
    };
    (!input.is_empty()).then(|| Payloads { payloads: input.into_iter().map(payload).collect() })
}
