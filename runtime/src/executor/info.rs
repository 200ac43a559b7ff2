//! Facts about a run, for its workflow.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use everloop_proto::temporal::api::history::v1::WorkflowExecutionStartedEventAttributes;

use crate::data::limit_from_wire;
use crate::raw;

/// Facts about a run, for its workflow. See [`info`](crate::workflow::info).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WorkflowInfo {
    /// The namespace it runs in.
    pub namespace: String,
    /// Chosen by the caller that started it.
    pub workflow_id: String,
    /// Made by the server.
    pub run_id: String,
    /// The first run of its chain.
    pub first_execution_run_id: String,
    /// The run that this one continues, if any.
    pub continued_run_id: Option<String>,
    /// Its type's name.
    pub workflow_type: String,
    /// The task queue.
    pub task_queue: String,
    /// Counted from 1.
    pub attempt: u32,
    /// When it was started.
    pub start_time: SystemTime,
    /// The limit of the whole chain of runs.
    pub execution_timeout: Option<Duration>,
    /// The limit of this run.
    pub run_timeout: Option<Duration>,
    /// The limit of one workflow task.
    pub task_timeout: Option<Duration>,
    /// Values that came with the start request.
    pub memo: BTreeMap<String, raw::Payload>,
    /// Attributes it can be found by.
    pub search_attributes: BTreeMap<String, raw::Payload>,
    /// Headers of the start request.
    pub headers: BTreeMap<String, raw::Payload>,
    /// How many events there were when the current task started.
    pub history_length: i64,
    /// Their size in bytes.
    pub history_size_bytes: i64,
    /// Whether the server thinks that the history has become too long.
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

/// Sorts the fields: maps of the wire have no order, and workflow code must see one.
fn sorted<'a>(fields: impl Iterator<Item = (&'a String, &'a raw::Payload)>) -> BTreeMap<String, raw::Payload> {
    fields.map(|(key, value)| (key.clone(), value.clone())).collect()
}
