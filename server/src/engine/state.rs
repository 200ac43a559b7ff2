//! The state of a run between its transitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::api::enums::TaskQueueKind;
use crate::api::history::{
    RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionInitiatedEventAttributes,
};
use crate::api::taskqueue::TaskQueue;
use crate::api::{common, sdk};
use crate::engine::activity::state::Activity;
use crate::engine::attributes::state::SearchAttribute;
use crate::engine::child::state::{Child, Origin};
use crate::engine::cron::Cron;
use crate::engine::deadline::Deadline;
use crate::engine::effects::{Offer, Successor};
use crate::engine::event::{Attributes, EventId, HistoryEvent};
use crate::engine::history::Mark;
use crate::engine::intent::Intent;
use crate::engine::retry::RetryPolicy;
use crate::engine::time::Time;
use crate::engine::update::state::Updates;
use crate::engine::workflow_task::state::WorkflowTask;
use crate::model::{NamespaceNames, RunStatus};

/// The part of the state that is fixed when a run starts.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) namespace: NamespaceNames,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run_id: Arc<str>,
    pub(crate) first_run_id: Arc<str>,
    pub(crate) workflow_type: Arc<str>,
    pub(crate) task_queue: Arc<str>,
    /// Zero means no timeout, here and in the next field.
    pub(crate) execution_timeout: Duration,
    pub(crate) run_timeout: Duration,
    /// Whether the first event holds a run timeout, be it zero.
    pub(crate) holds_run_timeout: bool,
    pub(crate) task_timeout: Duration,
    pub(crate) start_time: Time,
    /// When the first workflow task is due: the start time plus the start delay.
    pub(crate) execution_time: Time,
    pub(crate) run_expiration: Option<Time>,
    pub(crate) execution_expiration: Option<Time>,
    pub(crate) create_request_id: Arc<str>,
    pub(crate) user_metadata: Option<sdk::UserMetadata>,
    /// The schedule of the workflow, if it has one.
    pub(crate) cron: Option<Cron>,
    /// The workflow's retry policy, if it has one.
    pub(crate) retry_policy: Option<RetryPolicy>,
    /// The number of the run's attempt under that policy, from 1.
    pub(crate) attempt: i32,
    pub(crate) priority: Option<common::Priority>,
    /// Where the run comes from, if it is a child.
    pub(crate) origin: Option<Origin>,
}

impl Info {
    /// The run's normal task queue, as messages hold it.
    pub(super) fn normal_task_queue(&self) -> TaskQueue {
        TaskQueue { name: self.task_queue.to_string(), kind: TaskQueueKind::Normal as i32, normal_name: String::new() }
    }
}

/// A worker's own queue; the worker has the run cached.
#[derive(Clone, Debug)]
pub(crate) struct Sticky {
    pub(crate) queue: Arc<str>,
    pub(crate) schedule_to_start: Duration,
}

/// The part of the state that changes, and that is rolled back when a completion is rejected.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) status: RunStatus,
    pub(crate) close_time: Option<Time>,
    pub(crate) workflow_task: Option<WorkflowTask>,
    /// Attempt of the current or next workflow task. From the second on, tasks are *transient*: no events are written
    /// until one of them completes.
    pub(crate) workflow_task_attempt: i32,
    /// WorkflowTaskStarted of the last completed workflow task; 0 before the first.
    pub(crate) previous_started_event_id: EventId,
    pub(crate) sticky: Option<Sticky>,
    pub(crate) activities: BTreeMap<EventId, Arc<Activity>>,
    pub(crate) activity_ids: BTreeMap<Arc<str>, EventId>,
    pub(crate) timers: BTreeMap<Arc<str>, UserTimer>,
    /// Events without numbers.
    pub(crate) buffered: Vec<HistoryEvent>,
    pub(crate) cancel_requested: bool,
    /// The workflow tried to close while events were buffered; its next task may close it.
    pub(crate) close_attempted: bool,
    /// The end of the start delay, while the run waits for it.
    pub(crate) first_task_due: Option<Time>,
    pub(crate) updates: Updates,
    pub(crate) memo: BTreeMap<String, common::Payload>,
    pub(crate) search_attributes: BTreeMap<String, SearchAttribute>,
    /// Ids of start requests that found this run open and were attached to it.
    pub(crate) attached_request_ids: BTreeSet<String>,
    /// Children that have not closed, by the events that initiated them.
    pub(crate) children: BTreeMap<EventId, Arc<Child>>,
    /// Signals to other workflows whose result is not recorded.
    pub(crate) signals_sent: BTreeMap<EventId, Arc<SignalExternalWorkflowExecutionInitiatedEventAttributes>>,
    /// Cancel requests to other workflows whose result is not recorded.
    pub(crate) cancels_sent: BTreeMap<EventId, Arc<RequestCancelExternalWorkflowExecutionInitiatedEventAttributes>>,
    /// The number of starts, signals and cancel requests in the last three fields whose result is not recorded.
    pub(crate) unanswered: usize,
    /// Whether this run is a child whose parent may not have recorded its start, so that it has no workflow task.
    pub(crate) awaits_parent: bool,
    /// The event that closed this run, if it is a child and has not reported it.
    pub(super) closing: Option<Box<Attributes>>,
    pub(super) intents: Vec<Intent>,
    pub(super) deadlines: BTreeSet<(Time, Deadline)>,
    pub(super) offers: Vec<Offer>,
    /// The run that follows this one, which closes in the current transition.
    pub(super) successor: Option<Box<Successor>>,
    pub(super) visible: bool,
    pub(super) overlay_changed: bool,
}

/// A running timer.
#[derive(Clone, Debug)]
pub(crate) struct UserTimer {
    pub(crate) started_event_id: EventId,
    pub(crate) expiry: Time,
}

/// The state of a run at the beginning of a transition.
pub(super) type Snapshot = (State, Mark);
