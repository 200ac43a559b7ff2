//! What a run is, between its transitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::api::enums::TaskQueueKind;
use crate::api::taskqueue::TaskQueue;
use crate::api::{common, sdk};
use crate::engine::activity::state::Activity;
use crate::engine::deadline::Deadline;
use crate::engine::effects::Offer;
use crate::engine::event::{EventId, HistoryEvent};
use crate::engine::history::Mark;
use crate::engine::time::Time;
use crate::engine::update::state::Updates;
use crate::engine::workflow_task::state::WorkflowTask;
use crate::model::RunStatus;

/// What is fixed when a run starts.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) namespace: Arc<str>,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run_id: Arc<str>,
    pub(crate) first_run_id: Arc<str>,
    pub(crate) workflow_type: Arc<str>,
    pub(crate) task_queue: Arc<str>,
    /// Zero means without limit, here and in the next one.
    pub(crate) execution_timeout: Duration,
    pub(crate) run_timeout: Duration,
    pub(crate) task_timeout: Duration,
    pub(crate) start_time: Time,
    /// When the first workflow task is due: the start, and the start delay after it.
    pub(crate) execution_time: Time,
    pub(crate) run_expiration: Option<Time>,
    pub(crate) execution_expiration: Option<Time>,
    pub(crate) create_request_id: Arc<str>,
    pub(crate) user_metadata: Option<sdk::UserMetadata>,
    pub(crate) priority: Option<common::Priority>,
}

impl Info {
    /// The run's own task queue, as messages name it.
    pub(super) fn normal_task_queue(&self) -> TaskQueue {
        TaskQueue { name: self.task_queue.to_string(), kind: TaskQueueKind::Normal as i32, normal_name: String::new() }
    }
}

/// A worker's own queue, where it has the run's state already.
#[derive(Clone, Debug)]
pub(crate) struct Sticky {
    pub(crate) queue: Arc<str>,
    pub(crate) schedule_to_start: Duration,
}

/// What changes while a run goes on, and is taken back when a completion turns out to be wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) status: RunStatus,
    pub(crate) close_time: Option<Time>,
    pub(crate) workflow_task: Option<WorkflowTask>,
    /// Attempt of the current or next workflow task. From the second on, tasks are *transient*: nothing is written
    /// until one of them completes.
    pub(crate) workflow_task_attempt: i32,
    /// WorkflowTaskStarted of the last completed workflow task; 0 before the first.
    pub(crate) previous_started_event_id: EventId,
    pub(crate) sticky: Option<Sticky>,
    pub(crate) activities: BTreeMap<EventId, Arc<Activity>>,
    pub(crate) activity_ids: BTreeMap<Arc<str>, EventId>,
    pub(crate) timers: BTreeMap<Arc<str>, UserTimer>,
    /// Events without numbers yet.
    pub(crate) buffered: Vec<HistoryEvent>,
    pub(crate) cancel_requested: bool,
    /// The workflow tried to close while events waited; its next task may.
    pub(crate) close_attempted: bool,
    /// When the first workflow task becomes due, while the run waits for that.
    pub(crate) first_task_due: Option<Time>,
    pub(crate) updates: Updates,
    pub(crate) memo: BTreeMap<String, common::Payload>,
    /// Start requests that found this run and left their id with it.
    pub(crate) attached_request_ids: BTreeSet<String>,
    pub(super) deadlines: BTreeSet<(Time, Deadline)>,
    pub(super) offers: Vec<Offer>,
    pub(super) visible: bool,
    pub(super) overlay_changed: bool,
}

/// A running timer.
#[derive(Clone, Debug)]
pub(crate) struct UserTimer {
    pub(crate) started_event_id: EventId,
    pub(crate) expiry: Time,
}

/// A run at the beginning of a transition.
pub(super) type Snapshot = (State, Mark);
