//! `everloop workflow describe`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;

use everloop_proto::temporal::api::common::v1::{Payload, WorkflowExecution};
use everloop_proto::temporal::api::enums::v1::{
    PendingActivityState, PendingWorkflowTaskState, TaskQueueType, WorkflowExecutionStatus,
};
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::taskqueue::v1::TaskQueue;
use everloop_proto::temporal::api::workflow::v1::{
    PendingActivityInfo, PendingChildExecutionInfo, PendingWorkflowTaskInfo, WorkflowExecutionInfo,
};
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::{
    DescribeTaskQueueRequest, DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
};

use super::connection::Connection;
use super::error::CommandError;
use super::history::{HistoryPages, close_event, outcome};
use super::print::table::{Table, facts};
use super::print::{json, text};
use crate::arguments::workflow::{Execution, OutputFormat};

pub(super) async fn describe(
    server: &Connection,
    execution: Execution,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let request = DescribeWorkflowExecutionRequest { namespace: server.namespace(), execution: Some(execution.into()) };
    let described = server.call(request, WorkflowServiceClient::describe_workflow_execution).await?;
    let info = described.workflow_execution_info.as_ref().ok_or_else(|| server.without("a description"))?;
    // The event of the described run: another run may have begun meanwhile.
    let closed = match info.status() {
        WorkflowExecutionStatus::Running => None,
        _ => Some(close_event(server, info.execution.clone().unwrap_or_default()).await?),
    };
    match output {
        OutputFormat::Json => as_json(&described, closed.as_ref(), out),
        OutputFormat::Text => {
            as_text(&described, info, closed.as_ref(), out)?;
            for warning in unpolled(server, &described).await? {
                writeln!(out, "\n{warning}")?;
            }
            Ok(())
        }
    }
}

/// The description with the outcome of the run.
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
    let status = text::status(info.status) + if wants_to_cancel { ", cancellation requested" } else { "" };
    // A run with a start delay has an execution time later than its start time.
    let execution_time = info.execution_time.filter(|time| Some(time) != info.start_time.as_ref());
    let mut told = vec![
        ("WorkflowId", execution.workflow_id),
        ("RunId", execution.run_id.clone()),
        ("FirstRunId", Some(info.first_run_id.clone()).filter(|first| *first != execution.run_id).unwrap_or_default()),
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
    // The status has been added already.
    told.extend(closed.and_then(outcome).into_iter().flatten().filter(|(name, _)| *name != "Status"));
    facts(&told, out)?;
    pending_activities(described, out)?;
    if !described.pending_children.is_empty() {
        writeln!(out, "\nPending child workflows")?;
        let head = ["WorkflowId", "Type", "RunId"].map(str::to_owned);
        let rows = [head].into_iter().chain(described.pending_children.iter().map(child));
        Table::new("  ").print(&rows.collect::<Vec<_>>(), out)?;
    }
    Ok(())
}

fn pending_activities(described: &DescribeWorkflowExecutionResponse, out: &mut impl Write) -> Result<(), CommandError> {
    if !described.pending_activities.is_empty() {
        writeln!(out, "\nPending activities")?;
        let head = ["Id", "Type", "State", "Attempt", "NextAttempt", "LastFailure"].map(str::to_owned);
        let rows = [head].into_iter().chain(described.pending_activities.iter().map(activity));
        Table::new("  ").print(&rows.collect::<Vec<_>>(), out)?;
    }
    Ok(())
}

/// State of an open run that its history does not show: pending activities, and queues without pollers.
pub(super) async fn still_pending(
    server: &Connection,
    execution: WorkflowExecution,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let request = DescribeWorkflowExecutionRequest { namespace: server.namespace(), execution: Some(execution) };
    let described = server.call(request, WorkflowServiceClient::describe_workflow_execution).await?;
    pending_activities(&described, out)?;
    for warning in unpolled(server, &described).await? {
        writeln!(out, "\n{warning}")?;
    }
    Ok(())
}

/// A warning for each task queue that the run waits for and that no worker polls. None for a file: it does not contain
/// pollers, and workers may poll in the program that has it open.
async fn unpolled(
    server: &Connection,
    described: &DescribeWorkflowExecutionResponse,
) -> Result<Vec<String>, CommandError> {
    let info = described.workflow_execution_info.as_ref();
    let open = info.filter(|info| info.status() == WorkflowExecutionStatus::Running && !server.is_file());
    let Some(info) = open else {
        return Ok(Vec::new());
    };
    let mut warnings = Vec::new();
    if !is_polled(server, &info.task_queue, TaskQueueType::Workflow).await? {
        warnings.push(format!(
            "no worker polls queue \"{}\": the workflow continues when a worker of that queue runs",
            info.task_queue
        ));
    }
    for queue in activity_queues(server, described, info.execution.clone().unwrap_or_default()).await? {
        if !is_polled(server, &queue, TaskQueueType::Activity).await? {
            warnings.push(format!(
                "no worker polls queue \"{queue}\" for activities: the pending ones run when a worker that has them runs"
            ));
        }
    }
    Ok(warnings)
}

/// The queues of activities that wait for a worker: read from the history, since not every server describes them.
async fn activity_queues(
    server: &Connection,
    described: &DescribeWorkflowExecutionResponse,
    execution: WorkflowExecution,
) -> Result<BTreeSet<String>, CommandError> {
    let waiting = described.pending_activities.iter();
    let waiting = waiting.filter(|activity| activity.state() == PendingActivityState::Scheduled);
    let waiting: BTreeSet<_> = waiting.map(|activity| activity.activity_id.as_str()).collect();
    let mut queues = BTreeSet::new();
    if waiting.is_empty() {
        return Ok(queues);
    }
    let mut pages = HistoryPages::new(server, execution, false);
    while let Some(events) = pages.next().await? {
        for event in events {
            let Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) = event.attributes else { continue };
            if waiting.contains(scheduled.activity_id.as_str()) {
                queues.insert(scheduled.task_queue.unwrap_or_default().name);
            }
        }
    }
    Ok(queues)
}

async fn is_polled(server: &Connection, queue: &str, kind: TaskQueueType) -> Result<bool, CommandError> {
    let request = DescribeTaskQueueRequest {
        namespace: server.namespace(),
        task_queue: Some(TaskQueue { name: queue.to_owned(), ..Default::default() }),
        task_queue_type: kind as i32,
        ..Default::default()
    };
    let described = server.call(request, WorkflowServiceClient::describe_task_queue).await?;
    Ok(!described.pollers.is_empty())
}

fn in_words(execution: &WorkflowExecution) -> String {
    format!("{}, run {}", execution.workflow_id, execution.run_id)
}

/// Sorted by name, since the order of a map changes from call to call.
fn named(values: &HashMap<String, Payload>) -> String {
    let values: BTreeMap<_, _> = values.iter().collect();
    let each = values.into_iter().map(|(name, value)| format!("{name} = {}", text::payload(value)));
    each.collect::<Vec<_>>().join(", ")
}

fn workflow_task(task: &PendingWorkflowTaskInfo) -> String {
    let state = text::value(task.state, PendingWorkflowTaskState::as_str_name, "PENDING_WORKFLOW_TASK_STATE_");
    let since = match task.started_time {
        Some(started) => text::time(Some(started)),
        None => text::time(task.scheduled_time),
    };
    format!("{state} since {since}, attempt {}", task.attempt)
}

fn activity(activity: &PendingActivityInfo) -> [String; 6] {
    let state = text::value(activity.state, PendingActivityState::as_str_name, "PENDING_ACTIVITY_STATE_");
    let attempt = match activity.maximum_attempts {
        0 => activity.attempt.to_string(),
        most => format!("{} of {most}", activity.attempt),
    };
    [
        activity.activity_id.clone(),
        activity.activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
        state,
        attempt,
        text::time(activity.next_attempt_schedule_time),
        activity.last_failure.as_ref().map(text::failure).unwrap_or_default(),
    ]
}

fn child(child: &PendingChildExecutionInfo) -> [String; 3] {
    [child.workflow_id.clone(), child.workflow_type_name.clone(), child.run_id.clone()]
}
