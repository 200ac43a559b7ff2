//! Descriptions of a run, without its history.

use prost::Message as _;

use crate::api::common::{Memo, WorkflowExecution, WorkflowType};
use crate::api::workflow::{WorkflowExecutionConfig, WorkflowExecutionExtendedInfo, WorkflowExecutionInfo};
use crate::api::workflowservice::DescribeWorkflowExecutionResponse;
use crate::engine::attributes::read_stored;
use crate::engine::child::state::Origin;
use crate::engine::closed::ClosedState;
use crate::engine::error::Refusal;
use crate::engine::run::Run;
use crate::engine::state::Info;
use crate::engine::time::{Time, set_duration, wire_duration};
use crate::model::{NamespaceKey, VisibilityRow};

impl Run {
    /// The visibility row of the run.
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
            search_attributes: self.stored_search_attributes().map(Into::into),
        }
    }

    /// Describes an open run.
    pub(crate) fn describe(&self, namespace: NamespaceKey) -> Result<DescribeWorkflowExecutionResponse, Refusal> {
        let mut described = describe(&self.visibility_row(namespace), &self.info, self.state.cancel_requested)?;
        self.describe_subjects(&mut described);
        Ok(described)
    }
}

/// Describes a closed run.
///
/// # Errors
///
/// Fails if the memo or the search attributes cannot be decoded.
pub(crate) fn describe_closed(
    row: &VisibilityRow,
    closed: &ClosedState,
) -> Result<DescribeWorkflowExecutionResponse, Refusal> {
    describe(row, &closed.info, closed.cancel_requested)
}

/// The part of a description that open and closed runs share.
fn describe(
    row: &VisibilityRow,
    info: &Info,
    cancel_requested: bool,
) -> Result<DescribeWorkflowExecutionResponse, Refusal> {
    let mut execution = WorkflowExecutionInfo {
        first_run_id: info.first_run_id.to_string(),
        priority: info.priority.clone(),
        ..execution_info(row)?
    };
    if let Some(Origin { parent, root }) = &info.origin {
        execution.parent_namespace_id = parent.namespace.id.to_string();
        execution.parent_execution = Some(parent.execution.clone());
        execution.root_execution = Some(root.clone());
    }
    Ok(DescribeWorkflowExecutionResponse {
        execution_config: Some(WorkflowExecutionConfig {
            task_queue: Some(info.normal_task_queue()),
            workflow_execution_timeout: set_duration(info.execution_timeout),
            workflow_run_timeout: wire_duration(info.run_timeout).filter(|_| info.holds_run_timeout),
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

/// The run as `ListWorkflowExecutions` returns it.
///
/// # Errors
///
/// Fails if the memo or the search attributes cannot be decoded.
pub(crate) fn execution_info(row: &VisibilityRow) -> Result<WorkflowExecutionInfo, Refusal> {
    let damaged = |error| Refusal::Damaged(format!("the memo of run \"{}\" is damaged: {error}", row.run_id));
    let memo = row.memo.clone().map(Memo::decode).transpose().map_err(damaged)?;
    let search_attributes = row.search_attributes.as_deref().map_or(Ok(Default::default()), read_stored);
    let search_attributes = search_attributes.map_err(|error| {
        Refusal::Damaged(format!("the search attributes of run \"{}\" are damaged: {error}", row.run_id))
    })?;
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
        // Clients read the fields of this message without checking whether it is set.
        search_attributes: Some(search_attributes),
        task_queue: row.task_queue.to_string(),
        state_transition_count: row.state_transition_count,
        history_size_bytes: row.history_size_bytes,
        execution_duration: close_time.and_then(|close| wire_duration(close.since(execution_time))),
        root_execution: Some(execution),
        ..Default::default()
    })
}
