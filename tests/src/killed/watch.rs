//! Waits for an event of a run, with long polls of its history.

use everloop_proto::{
    temporal::api::{
        common::v1::WorkflowExecution,
        history::v1::HistoryEvent,
        workflowservice::v1::{GetWorkflowExecutionHistoryRequest, workflow_service_client::WorkflowServiceClient},
    },
    timeline::event_name,
};

use crate::target::{Connection, workflow_client};

/// The history of a run as it grows.
pub(super) struct Watch {
    service: WorkflowServiceClient<Connection>,
    request: GetWorkflowExecutionHistoryRequest,
}

impl Watch {
    pub(super) fn new(connection: Connection, workflow_id: &str) -> Self {
        let execution = WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: String::new() };
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: "default".to_owned(),
            execution: Some(execution),
            wait_new_event: true,
            ..Default::default()
        };
        Self { service: workflow_client(connection), request }
    }

    /// Returns as soon as there is such an event.
    pub(super) async fn until(mut self, is_it: impl Fn(&Seen) -> bool) {
        loop {
            let page = self.service.get_workflow_execution_history(self.request.clone()).await;
            let page = page.expect("the run is there").into_inner();
            let events = page.history.unwrap_or_default().events;
            if events.into_iter().map(Seen).any(|event| is_it(&event)) {
                return;
            }
            assert!(!page.next_page_token.is_empty(), "the run has ended without it");
            self.request.next_page_token = page.next_page_token;
        }
    }
}

/// An event that was found.
pub(super) struct Seen(HistoryEvent);

impl Seen {
    pub(super) fn id(&self) -> usize {
        usize::try_from(self.0.event_id).expect("ids count from 1")
    }

    pub(super) fn name(&self) -> String {
        event_name(&self.0)
    }
}
