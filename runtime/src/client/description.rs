//! The server's description of a workflow.

use std::time::{Duration, SystemTime};

use everloop_proto::temporal::api::workflow::v1::PendingActivityInfo;
use everloop_proto::temporal::api::workflowservice::v1::DescribeWorkflowExecutionResponse;

use super::summary::WorkflowSummary;
use crate::data::{Failure, Payloads, decode, limit_from_wire};

/// The server's description of a workflow. Derefs to its [`WorkflowSummary`].
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowDescription {
    summary: WorkflowSummary,
    rest: DescribeWorkflowExecutionResponse,
}

impl WorkflowDescription {
    pub(super) fn new(mut described: DescribeWorkflowExecutionResponse) -> Self {
        let info = described.workflow_execution_info.take().unwrap_or_default();
        Self { summary: WorkflowSummary::new(info), rest: described }
    }

    /// Activities that have not ended.
    pub fn pending_activities(&self) -> impl Iterator<Item = PendingActivity<'_>> {
        self.rest.pending_activities.iter().map(PendingActivity)
    }

    /// The time limit of all runs together.
    pub fn execution_timeout(&self) -> Option<Duration> {
        limit_from_wire(self.rest.execution_config.as_ref()?.workflow_execution_timeout)
    }

    /// The time limit of one run.
    pub fn run_timeout(&self) -> Option<Duration> {
        limit_from_wire(self.rest.execution_config.as_ref()?.workflow_run_timeout)
    }

    /// The time limit of one workflow task.
    pub fn task_timeout(&self) -> Option<Duration> {
        limit_from_wire(self.rest.execution_config.as_ref()?.default_workflow_task_timeout)
    }

    /// The summary text that was set at the start.
    pub fn static_summary(&self) -> Option<String> {
        let metadata = self.rest.execution_config.as_ref()?.user_metadata.as_ref()?;
        decode(metadata.summary.as_ref()?).ok()
    }

    /// The attempt of the current workflow task; 0 if there is none.
    pub fn workflow_task_attempt(&self) -> u32 {
        self.rest.pending_workflow_task.as_ref().map(|task| task.attempt.unsigned_abs()).unwrap_or_default()
    }
}

impl std::ops::Deref for WorkflowDescription {
    type Target = WorkflowSummary;

    fn deref(&self) -> &WorkflowSummary {
        &self.summary
    }
}

/// An activity that has not ended.
#[derive(Debug, Clone, Copy)]
pub struct PendingActivity<'a>(&'a PendingActivityInfo);

impl PendingActivity<'_> {
    /// The activity's id in the workflow.
    pub fn activity_id(&self) -> &str {
        &self.0.activity_id
    }

    /// The name of the activity's type.
    pub fn activity_type(&self) -> &str {
        self.0.activity_type.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default()
    }

    /// The number of the current or next attempt, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt.unsigned_abs()
    }

    /// The failure of the last attempt.
    pub fn last_failure(&self) -> Option<Failure> {
        self.0.last_failure.clone().map(Failure::from_wire)
    }

    /// The details of the last heartbeat.
    pub fn heartbeat_details(&self) -> Payloads {
        Payloads::from_wire(self.0.heartbeat_details.clone())
    }

    /// The time of the next attempt, if the activity waits for one.
    pub fn next_attempt_time(&self) -> Option<SystemTime> {
        self.0.next_attempt_schedule_time.and_then(|time| time.try_into().ok())
    }

    /// Whether it is paused: see [`WorkflowHandle::pause_activity`](crate::WorkflowHandle::pause_activity).
    pub fn is_paused(&self) -> bool {
        self.0.paused
    }

    /// The identity of the worker of the last attempt.
    pub fn last_worker_identity(&self) -> &str {
        &self.0.last_worker_identity
    }
}
