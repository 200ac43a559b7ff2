//! Reading whole histories.

use everloop_proto::temporal::api::history::v1 as wire;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryRequest;

use super::client::Client;
use super::error::HandleError;
use crate::history::History;
use crate::raw;

pub(super) async fn fetch(client: &Client, execution: raw::WorkflowExecution) -> Result<History, HandleError> {
    let raw::WorkflowExecution { workflow_id, mut run_id } = execution.clone();
    let mut request = GetWorkflowExecutionHistoryRequest {
        namespace: client.namespace().to_owned(),
        execution: Some(execution),
        ..Default::default()
    };
    let mut events = Vec::new();
    loop {
        let page = client.connection().call(request.clone()).await;
        let page = page.map_err(|error| HandleError::from_rpc(&workflow_id, error))?;
        events.extend(page.history.unwrap_or_default().events);
        if page.next_page_token.is_empty() {
            break;
        }
        request.next_page_token = page.next_page_token;
    }
    let mut history = wire::History { events };
    client.decode_of(&workflow_id, &mut history).await?;
    // A handle may mean the latest run, whose id is in the history.
    if let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) =
        history.events.first().and_then(|event| event.attributes.as_ref()).filter(|_| run_id.is_empty())
    {
        run_id.clone_from(&started.original_execution_run_id);
    }
    Ok(History::new(workflow_id, run_id, history.events))
}

/// The histories of a run and of those that it follows, earliest first.
pub(super) async fn fetch_chain(
    client: &Client,
    execution: raw::WorkflowExecution,
) -> Result<Vec<History>, HandleError> {
    let mut histories = vec![fetch(client, execution).await?];
    while let Some(run_id) = histories.last().and_then(continued_run) {
        let workflow_id = histories[0].workflow_id().to_owned();
        match fetch(client, raw::WorkflowExecution { workflow_id, run_id }).await {
            Ok(earlier) => histories.push(earlier),
            // It closed so long ago that the server has forgotten it.
            Err(HandleError::NotFound { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    histories.reverse();
    Ok(histories)
}

/// The run that the run of this history follows.
fn continued_run(history: &History) -> Option<String> {
    match &history.events().first()?.attributes {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
            Some(started.continued_execution_run_id.clone()).filter(|run_id| !run_id.is_empty())
        }
        _ => None,
    }
}
