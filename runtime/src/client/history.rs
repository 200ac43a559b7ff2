//! Reading whole histories.

use everloop_proto::temporal::api::history::v1::History;
use everloop_proto::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryRequest;

use super::Client;
use super::error::HandleError;
use crate::raw;

/// Everything that happened to one run.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowHistory {
    workflow_id: String,
    run_id: String,
    history: History,
}

impl WorkflowHistory {
    /// The workflow's id.
    pub fn workflow_id(&self) -> &str {
        &self.workflow_id
    }

    /// The run; empty if the handle named none.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The events, first one first, with their payloads decoded.
    pub fn events(&self) -> &[raw::HistoryEvent] {
        &self.history.events
    }

    /// The events as a `temporal.api.history.v1.History` message.
    pub fn to_bytes(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(&self.history)
    }

    /// The names of the events, such as `WORKFLOW_EXECUTION_STARTED`.
    pub fn event_names(&self) -> impl Iterator<Item = &'static str> {
        self.history.events.iter().map(|event| {
            let name = event.event_type().as_str_name();
            name.strip_prefix("EVENT_TYPE_").unwrap_or(name)
        })
    }
}

pub(super) async fn fetch(client: &Client, execution: raw::WorkflowExecution) -> Result<WorkflowHistory, HandleError> {
    let raw::WorkflowExecution { workflow_id, run_id } = execution.clone();
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
    let mut history = History { events };
    client.decode(&mut history).await?;
    Ok(WorkflowHistory { workflow_id, run_id, history })
}
