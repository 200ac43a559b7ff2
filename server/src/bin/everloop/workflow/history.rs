//! Reading histories.

use everloop_proto::temporal::api::common::v1::WorkflowExecution;
use everloop_proto::temporal::api::enums::v1::{EventType, HistoryEventFilterType};
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryRequest;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;

use super::connection::Connection;
use super::error::CommandError;
use super::print::text;
use crate::arguments::workflow::Execution;

impl From<Execution> for WorkflowExecution {
    fn from(execution: Execution) -> Self {
        Self { workflow_id: execution.workflow_id, run_id: execution.run_id }
    }
}

/// Reads the pages of a history one after the other.
pub(super) struct HistoryPages<'a> {
    server: &'a Connection,
    /// The request for the next page; `None` at the end.
    request: Option<GetWorkflowExecutionHistoryRequest>,
}

impl<'a> HistoryPages<'a> {
    /// With `follow`, waits for new events until the run closes.
    pub(super) fn new(server: &'a Connection, execution: WorkflowExecution, follow: bool) -> Self {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: server.namespace(),
            execution: Some(execution),
            wait_new_event: follow,
            ..Default::default()
        };
        Self { server, request: Some(request) }
    }

    /// Returns the next events, possibly none; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<HistoryEvent>>, CommandError> {
        let Some(request) = self.request.take() else { return Ok(None) };
        let get = WorkflowServiceClient::get_workflow_execution_history;
        let page = match request.wait_new_event {
            true => self.server.long_call(request.clone(), get).await?,
            false => self.server.call(request.clone(), get).await?,
        };
        let next_page_token = page.next_page_token;
        if !next_page_token.is_empty() {
            self.request = Some(GetWorkflowExecutionHistoryRequest { next_page_token, ..request });
        }
        Ok(Some(page.history.unwrap_or_default().events))
    }
}

/// The event that closed a run.
pub(super) async fn close_event(
    server: &Connection,
    execution: WorkflowExecution,
) -> Result<HistoryEvent, CommandError> {
    let request = GetWorkflowExecutionHistoryRequest {
        namespace: server.namespace(),
        execution: Some(execution),
        history_event_filter_type: HistoryEventFilterType::CloseEvent as i32,
        ..Default::default()
    };
    let page = server.call(request, WorkflowServiceClient::get_workflow_execution_history).await?;
    page.history
        .and_then(|history| history.events.into_iter().next_back())
        .ok_or_else(|| server.without("a close event"))
}

/// The outcome of a run, as facts; `None` if the event does not close a run.
pub(super) fn outcome(event: &HistoryEvent) -> Option<Vec<(&'static str, String)>> {
    use Attributes::*;
    let fact = match event.attributes.as_ref()? {
        WorkflowExecutionCompletedEventAttributes(completed) => ("Result", text::payloads(completed.result.as_ref())),
        WorkflowExecutionFailedEventAttributes(failed) => {
            ("Failure", failed.failure.as_ref().map(text::failure).unwrap_or_default())
        }
        WorkflowExecutionCanceledEventAttributes(canceled) => ("Details", text::payloads(canceled.details.as_ref())),
        WorkflowExecutionTerminatedEventAttributes(terminated) => ("Reason", terminated.reason.clone()),
        WorkflowExecutionTimedOutEventAttributes(_) => ("Result", String::new()),
        WorkflowExecutionContinuedAsNewEventAttributes(_) => ("Result", String::new()),
        _ => return None,
    };
    let status = text::value(event.event_type, EventType::as_str_name, "EVENT_TYPE_WORKFLOW_EXECUTION_");
    Some(vec![("Status", status), fact, ("NewRunId", next_run(event).unwrap_or_default())])
}

/// The run that follows a run, which this event closes.
pub(super) fn next_run(event: &HistoryEvent) -> Option<String> {
    use Attributes::*;
    let run_id = match event.attributes.as_ref()? {
        WorkflowExecutionContinuedAsNewEventAttributes(continued) => &continued.new_execution_run_id,
        WorkflowExecutionCompletedEventAttributes(completed) => &completed.new_execution_run_id,
        WorkflowExecutionFailedEventAttributes(failed) => &failed.new_execution_run_id,
        WorkflowExecutionTimedOutEventAttributes(timed_out) => &timed_out.new_execution_run_id,
        _ => return None,
    };
    Some(run_id.clone()).filter(|run_id| !run_id.is_empty())
}
