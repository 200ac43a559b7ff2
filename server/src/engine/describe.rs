//! What callers see of a run without its history.

use prost::Message as _;

use super::closed::ClosedState;
use super::error::Refusal;
use super::run::Run;
use super::time::{Time, set_duration, wire_duration};
use crate::api::common::{ActivityType, Memo, SearchAttributes, WorkflowExecution, WorkflowType};
use crate::api::enums::{PendingActivityState, PendingWorkflowTaskState};
use crate::api::workflow::{
    PendingActivityInfo, PendingWorkflowTaskInfo, WorkflowExecutionConfig, WorkflowExecutionExtendedInfo,
    WorkflowExecutionInfo,
};
use crate::api::workflowservice::DescribeWorkflowExecutionResponse;
use crate::engine::activity::state::Activity;
use crate::engine::state::Info;
use crate::model::{NamespaceKey, VisibilityRow};

impl Run {
    /// What lists show of the run.
    pub(crate) fn visibility_row(&self, namespace: NamespaceKey) -> VisibilityRow {
        let memo = Memo { fields: self.state.memo.clone().into_iter().collect() };
        VisibilityRow {
            namespace,
            workflow_id: self.info.workflow_id.clone(),
            run_id: self.info.run_id.clone(),
            create_request_id: self.info.create_request_id.clone(),
            workflow_type: self.info.workflow_type.clone(),
            task_queue: self.info.task_queue.clone(),
            status: self.state.status,
            start_time_ns: self.info.start_time.nanos(),
            execution_time_ns: self.info.execution_time.nanos(),
            close_time_ns: self.state.close_time.map(Time::nanos),
            history_length: self.history.next_event_id() - 1,
            history_size_bytes: self.history.size_bytes(),
            state_transition_count: self.history.transitions(),
            memo: (!memo.fields.is_empty()).then(|| memo.encode_to_vec().into()),
        }
    }

    /// Describes an open run.
    pub(crate) fn describe(&self, namespace: NamespaceKey) -> Result<DescribeWorkflowExecutionResponse, Refusal> {
        let described = describe(&self.visibility_row(namespace), &self.info, self.state.cancel_requested)?;
        Ok(DescribeWorkflowExecutionResponse {
            pending_activities: self.state.activities.values().map(|activity| pending_activity(activity)).collect(),
            pending_workflow_task: self.pending_workflow_task(),
            ..described
        })
    }

    fn pending_workflow_task(&self) -> Option<PendingWorkflowTaskInfo> {
        let task = self.state.workflow_task.as_ref()?;
        let state = if task.started.is_some() {
            PendingWorkflowTaskState::Started
        } else {
            PendingWorkflowTaskState::Scheduled
        };
        Some(PendingWorkflowTaskInfo {
            state: state as i32,
            scheduled_time: Some(task.scheduled_time.into()),
            original_scheduled_time: Some(task.original_scheduled_time.into()),
            started_time: task.started.as_ref().map(|started| started.time.into()),
            attempt: task.attempt,
        })
    }
}

/// Describes a closed run.
///
/// # Errors
///
/// A memo that cannot be read.
pub(crate) fn describe_closed(
    row: &VisibilityRow,
    closed: &ClosedState,
) -> Result<DescribeWorkflowExecutionResponse, Refusal> {
    describe(row, &closed.info, closed.cancel_requested)
}

/// What is the same for open and closed runs.
fn describe(
    row: &VisibilityRow,
    info: &Info,
    cancel_requested: bool,
) -> Result<DescribeWorkflowExecutionResponse, Refusal> {
    let execution = WorkflowExecutionInfo {
        first_run_id: info.first_run_id.to_string(),
        priority: info.priority.clone(),
        ..execution_info(row)?
    };
    Ok(DescribeWorkflowExecutionResponse {
        execution_config: Some(WorkflowExecutionConfig {
            task_queue: Some(info.normal_task_queue()),
            workflow_execution_timeout: set_duration(info.execution_timeout),
            workflow_run_timeout: set_duration(info.run_timeout),
            default_workflow_task_timeout: wire_duration(info.task_timeout),
            user_metadata: info.user_metadata.clone(),
        }),
        workflow_execution_info: Some(execution),
        workflow_extended_info: Some(WorkflowExecutionExtendedInfo {
            execution_expiration_time: info.execution_expiration.map(Into::into),
            run_expiration_time: info.run_expiration.map(Into::into),
            cancel_requested,
            original_start_time: Some(info.start_time.into()),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// A run as lists show it.
///
/// # Errors
///
/// A memo that cannot be read.
pub(crate) fn execution_info(row: &VisibilityRow) -> Result<WorkflowExecutionInfo, Refusal> {
    let damaged = |error| Refusal::Damaged(format!("the memo of run \"{}\" is damaged: {error}", row.run_id));
    let memo = row.memo.clone().map(Memo::decode).transpose().map_err(damaged)?;
    let execution = WorkflowExecution { workflow_id: row.workflow_id.to_string(), run_id: row.run_id.to_string() };
    let execution_time = Time::from_nanos(row.execution_time_ns);
    let close_time = row.close_time_ns.map(Time::from_nanos);
    Ok(WorkflowExecutionInfo {
        execution: Some(execution.clone()),
        r#type: Some(WorkflowType { name: row.workflow_type.to_string() }),
        start_time: Some(Time::from_nanos(row.start_time_ns).into()),
        close_time: close_time.map(Into::into),
        status: row.status.number(),
        history_length: row.history_length,
        execution_time: Some(execution_time.into()),
        memo: Some(memo.unwrap_or_default()),
        // Clients read the fields of this message without a look at whether it is set.
        search_attributes: Some(SearchAttributes::default()),
        task_queue: row.task_queue.to_string(),
        state_transition_count: row.state_transition_count,
        history_size_bytes: row.history_size_bytes,
        execution_duration: close_time.and_then(|close| wire_duration(close.since(execution_time))),
        root_execution: Some(execution),
        ..Default::default()
    })
}

fn pending_activity(activity: &Activity) -> PendingActivityInfo {
    let state = match (&activity.cancel_requested, &activity.started) {
        (Some(_), _) => PendingActivityState::CancelRequested,
        (None, Some(_)) => PendingActivityState::Started,
        (None, None) => PendingActivityState::Scheduled,
    };
    let identity = activity.started.as_ref().map_or(&activity.last_identity, |started| &started.identity);
    PendingActivityInfo {
        activity_id: activity.activity_id.to_string(),
        activity_type: Some(ActivityType { name: activity.activity_type.to_string() }),
        state: state as i32,
        heartbeat_details: activity.heartbeat_details.clone(),
        last_heartbeat_time: activity.last_heartbeat.map(Into::into),
        last_started_time: activity.started.as_ref().map(|started| started.time.into()),
        attempt: activity.attempt,
        maximum_attempts: activity.retry.maximum_attempts,
        scheduled_time: Some(activity.scheduled.into()),
        expiration_time: activity.expiration().map(Into::into),
        last_failure: activity.last_failure.clone(),
        last_worker_identity: identity.to_string(),
        current_retry_interval: activity
            .last_attempt_complete
            .filter(|_| activity.backing_off)
            .and_then(|complete| wire_duration(activity.scheduled.since(complete))),
        last_attempt_complete_time: activity.last_attempt_complete.map(Into::into),
        next_attempt_schedule_time: activity.backing_off.then(|| activity.scheduled.into()),
        priority: activity.priority.clone(),
        ..Default::default()
    }
}
