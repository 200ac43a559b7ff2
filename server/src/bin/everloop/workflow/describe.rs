//! `everloop workflow describe`.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use everloop_proto::temporal::api::common::v1::{Payload, WorkflowExecution};
use everloop_proto::temporal::api::enums::v1::{
    PendingActivityState, PendingWorkflowTaskState, WorkflowExecutionStatus,
};
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::workflow::v1::{
    PendingActivityInfo, PendingChildExecutionInfo, PendingWorkflowTaskInfo, WorkflowExecutionInfo,
};
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
};

use super::connection::Connection;
use super::error::CommandError;
use super::history::{close_event, outcome};
use super::print::table::{Table, facts};
use super::print::{json, text};
use crate::arguments::workflow::{Execution, Output};

pub(super) async fn describe(
    server: &Connection,
    execution: Execution,
    output: Output,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let request = DescribeWorkflowExecutionRequest { namespace: server.namespace(), execution: Some(execution.into()) };
    let described = server.call(request, WorkflowServiceClient::describe_workflow_execution).await?;
    let info = described.workflow_execution_info.as_ref().ok_or_else(|| server.without("a description"))?;
    // Of the described run: another one may have begun meanwhile.
    let closed = match info.status() {
        WorkflowExecutionStatus::Running => None,
        _ => Some(close_event(server, info.execution.clone().unwrap_or_default()).await?),
    };
    match output {
        Output::Json => as_json(&described, closed.as_ref(), out),
        Output::Text => as_text(&described, info, closed.as_ref(), out),
    }
}

/// The description, with how the run ended.
fn as_json(
    described: &DescribeWorkflowExecutionResponse,
    closed: Option<&HistoryEvent>,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let mut value = json::value(described)?;
    if let Some(event) = closed {
        value["closeEvent"] = json::value(event)?;
        if let Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) = &event.attributes {
            value["result"] = match completed.result.as_ref().map(|result| result.payloads.as_slice()) {
                None => serde_json::Value::Null,
                Some([result]) => json::value(result)?,
                Some(_) => json::value(&completed.result.clone().unwrap_or_default())?,
            };
        }
    }
    json::write(&value, out)
}

fn as_text(
    described: &DescribeWorkflowExecutionResponse,
    info: &WorkflowExecutionInfo,
    closed: Option<&HistoryEvent>,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let execution = info.execution.clone().unwrap_or_default();
    let extended = described.workflow_extended_info.clone().unwrap_or_default();
    let wants_to_cancel = extended.cancel_requested && closed.is_none();
    let status = text::status(info.status) + if wants_to_cancel { ", asked to cancel itself" } else { "" };
    // A run with a start delay executes later than it starts.
    let execution_time = info.execution_time.filter(|time| Some(time) != info.start_time.as_ref());
    let mut told = vec![
        ("WorkflowId", execution.workflow_id),
        ("RunId", execution.run_id),
        ("Type", info.r#type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default()),
        ("Status", status),
        ("TaskQueue", info.task_queue.clone()),
        ("StartTime", text::time(info.start_time)),
        ("ExecutionTime", text::time(execution_time)),
        ("CloseTime", text::time(info.close_time)),
        ("RunExpiration", text::time(extended.run_expiration_time)),
        ("Expiration", text::time(extended.execution_expiration_time)),
        ("History", format!("{} events, {} bytes", info.history_length, info.history_size_bytes)),
        ("Parent", info.parent_execution.as_ref().map(in_words).unwrap_or_default()),
        ("Memo", info.memo.as_ref().map(|memo| named(&memo.fields)).unwrap_or_default()),
        (
            "SearchAttributes",
            info.search_attributes.as_ref().map(|attributes| named(&attributes.indexed_fields)).unwrap_or_default(),
        ),
        ("WorkflowTask", described.pending_workflow_task.as_ref().map(workflow_task).unwrap_or_default()),
    ];
    // The status is told already.
    told.extend(closed.and_then(outcome).into_iter().flatten().filter(|(name, _)| *name != "Status"));
    facts(&told, out)?;
    if !described.pending_activities.is_empty() {
        writeln!(out, "\nPending activities")?;
        let head = ["Id", "Type", "State", "Attempt", "NextAttempt", "LastFailure"].map(str::to_owned);
        let rows = [head].into_iter().chain(described.pending_activities.iter().map(activity));
        Table::new("  ").print(&rows.collect::<Vec<_>>(), out)?;
    }
    if !described.pending_children.is_empty() {
        writeln!(out, "\nPending child workflows")?;
        let head = ["WorkflowId", "Type", "RunId"].map(str::to_owned);
        let rows = [head].into_iter().chain(described.pending_children.iter().map(child));
        Table::new("  ").print(&rows.collect::<Vec<_>>(), out)?;
    }
    Ok(())
}

fn in_words(execution: &WorkflowExecution) -> String {
    format!("{}, run {}", execution.workflow_id, execution.run_id)
}

/// In the order of their names: that of a map changes from call to call.
fn named(values: &HashMap<String, Payload>) -> String {
    let values: BTreeMap<_, _> = values.iter().collect();
    let each = values.into_iter().map(|(name, value)| format!("{name} = {}", text::payload(value)));
    each.collect::<Vec<_>>().join(", ")
}

fn workflow_task(task: &PendingWorkflowTaskInfo) -> String {
    let state = PendingWorkflowTaskState::try_from(task.state).map(|state| state.as_str_name()).unwrap_or_default();
    let state = text::name(state, "PENDING_WORKFLOW_TASK_STATE_");
    let since = match task.started_time {
        Some(started) => text::time(Some(started)),
        None => text::time(task.scheduled_time),
    };
    format!("{state} since {since}, attempt {}", task.attempt)
}

fn activity(activity: &PendingActivityInfo) -> [String; 6] {
    let state = PendingActivityState::try_from(activity.state).map(|state| state.as_str_name()).unwrap_or_default();
    let attempt = match activity.maximum_attempts {
        0 => activity.attempt.to_string(),
        most => format!("{} of {most}", activity.attempt),
    };
    [
        activity.activity_id.clone(),
        activity.activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
        text::name(state, "PENDING_ACTIVITY_STATE_"),
        attempt,
        text::time(activity.next_attempt_schedule_time),
        activity.last_failure.as_ref().map(text::failure).unwrap_or_default(),
    ]
}

fn child(child: &PendingChildExecutionInfo) -> [String; 3] {
    [child.workflow_id.clone(), child.workflow_type_name.clone(), child.run_id.clone()]
}
