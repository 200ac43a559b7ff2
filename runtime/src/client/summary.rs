//! The summary of a workflow, in lists and descriptions.

use std::time::SystemTime;

use everloop_proto::temporal::api::workflow::v1::WorkflowExecutionInfo;

use super::status::WorkflowStatus;
use crate::data::{Payload, decode};
use crate::raw;

/// One workflow of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowSummary(WorkflowExecutionInfo);

impl WorkflowSummary {
    pub(super) fn new(info: WorkflowExecutionInfo) -> Self {
        Self(info)
    }

    /// The workflow's id.
    pub fn workflow_id(&self) -> &str {
        self.0.execution.as_ref().map(|execution| execution.workflow_id.as_str()).unwrap_or_default()
    }

    /// The run.
    pub fn run_id(&self) -> &str {
        self.0.execution.as_ref().map(|execution| execution.run_id.as_str()).unwrap_or_default()
    }

    /// The name of the workflow's type.
    pub fn workflow_type(&self) -> &str {
        self.0.r#type.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default()
    }

    /// The task queue.
    pub fn task_queue(&self) -> &str {
        &self.0.task_queue
    }

    /// The workflow's status.
    pub fn status(&self) -> WorkflowStatus {
        WorkflowStatus::from_wire(self.0.status)
    }

    /// The time of the start.
    pub fn start_time(&self) -> Option<SystemTime> {
        self.0.start_time.and_then(|time| time.try_into().ok())
    }

    /// The time of the first workflow task; later than `start_time` if there was a start delay.
    pub fn execution_time(&self) -> Option<SystemTime> {
        self.0.execution_time.and_then(|time| time.try_into().ok())
    }

    /// The time of the end.
    pub fn close_time(&self) -> Option<SystemTime> {
        self.0.close_time.and_then(|time| time.try_into().ok())
    }

    /// The number of events.
    pub fn history_length(&self) -> i64 {
        self.0.history_length
    }

    /// A value of the memo: `None` if there is no value of that name, an error if it has another type.
    pub fn memo<T: Payload>(&self, name: &str) -> Option<Result<T, String>> {
        self.0.memo.as_ref()?.fields.get(name).map(decode)
    }

    /// A search attribute.
    pub fn search_attribute(&self, name: &str) -> Option<&raw::Payload> {
        self.0.search_attributes.as_ref()?.indexed_fields.get(name)
    }
}
