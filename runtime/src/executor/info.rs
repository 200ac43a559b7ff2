//! Facts about a run, for its workflow.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use everloop_proto::temporal::api::history::v1::WorkflowExecutionStartedEventAttributes;

use crate::data::{Failure, Payloads, limit_from_wire};
use crate::raw;

/// Facts about a run, for its workflow. See [`info`](crate::workflow::info).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WorkflowInfo {
    /// The namespace of the workflow.
    pub namespace: String,
    /// The workflow's id, which the starting caller chose.
    pub workflow_id: String,
    /// The run's id, which the server created.
    pub run_id: String,
    /// The first run of its chain.
    pub first_execution_run_id: String,
    /// The run that this one continues, if any.
    pub continued_run_id: Option<String>,
    /// The name of the workflow's type.
    pub workflow_type: String,
    /// The task queue.
    pub task_queue: String,
    /// The attempt of the workflow's retry policy, counted from 1.
    pub attempt: u32,
    /// The workflow's retry policy, if it was started with one.
    pub retry_policy: Option<raw::RetryPolicy>,
    /// The workflow's schedule, if it was started with one.
    pub cron_schedule: Option<String>,
    /// The failure of the run before, if this one was started because that one failed.
    pub last_failure: Option<Failure>,
    /// The result of the last run of the schedule that completed; empty if there is none.
    pub last_result: Payloads,
    /// The time of the start.
    pub start_time: SystemTime,
    /// The time limit of the whole chain of runs.
    pub execution_timeout: Option<Duration>,
    /// The time limit of this run.
    pub run_timeout: Option<Duration>,
    /// The time limit of one workflow task.
    pub task_timeout: Option<Duration>,
    /// The memo of the start request.
    pub memo: BTreeMap<String, raw::Payload>,
    /// The search attributes.
    pub search_attributes: BTreeMap<String, raw::Payload>,
    /// Headers of the start request.
    pub headers: BTreeMap<String, raw::Payload>,
    /// The number of events at the start of the current task.
    pub history_length: i64,
    /// The size of these events in bytes.
    pub history_size_bytes: i64,
    /// Whether the server suggests to continue as new, because the history is long.
    pub continue_as_new_suggested: bool,
}

impl WorkflowInfo {
    pub(super) fn new(
        namespace: &str,
        workflow_id: &str,
        run_id: &str,
        start_time: SystemTime,
        started: &WorkflowExecutionStartedEventAttributes,
    ) -> Self {
        let duration = |limit: &Option<prost_types::Duration>| limit_from_wire(*limit);
        let not_empty = |text: &String| (!text.is_empty()).then(|| text.clone());
        Self {
            namespace: namespace.to_owned(),
            workflow_id: workflow_id.to_owned(),
            run_id: run_id.to_owned(),
            first_execution_run_id: started.first_execution_run_id.clone(),
            continued_run_id: not_empty(&started.continued_execution_run_id),
            workflow_type: started.workflow_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
            task_queue: started.task_queue.as_ref().map(|queue| queue.name.clone()).unwrap_or_default(),
            attempt: started.attempt.max(1).unsigned_abs(),
            retry_policy: started.retry_policy.clone(),
            cron_schedule: not_empty(&started.cron_schedule),
            last_result: Payloads::from_wire(started.last_completion_result.clone()),
            last_failure: started.continued_failure.clone().map(Failure::from_wire),
            start_time,
            execution_timeout: duration(&started.workflow_execution_timeout),
            run_timeout: duration(&started.workflow_run_timeout),
            task_timeout: duration(&started.workflow_task_timeout),
            memo: sorted(started.memo.iter().flat_map(|memo| &memo.fields)),
            search_attributes: sorted(
                started.search_attributes.iter().flat_map(|attributes| &attributes.indexed_fields),
            ),
            headers: sorted(started.header.iter().flat_map(|header| &header.fields)),
            history_length: 0,
            history_size_bytes: 0,
            continue_as_new_suggested: false,
        }
    }
}

/// Sorts the fields: maps of the wire have no order, and workflow code must iterate in a fixed one.
fn sorted<'a>(fields: impl Iterator<Item = (&'a String, &'a raw::Payload)>) -> BTreeMap<String, raw::Payload> {
    fields.map(|(key, value)| (key.clone(), value.clone())).collect()
}
