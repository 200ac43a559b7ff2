//! Workflow tasks: scheduled, started, failed, timed out. Completions have their own module.
//!
//! A run has at most one. Three kinds differ in the events they write:
//! - a *normal* task writes each of its events when it happens;
//! - a *transient* task (second and later attempts) writes nothing until it completes, so that a worker that fails for
//!   hours does not fill the history;
//! - a *speculative* task carries updates to an idle run and writes nothing if all of them are rejected.
//!
//! Transient and speculative tasks have preliminary event numbers. The numbers are valid until another event is
//! written; then the task becomes a normal one.

pub(crate) mod completion;
pub(crate) mod end;
pub(crate) mod state;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::api::common::WorkflowType;
use crate::api::enums::{PendingWorkflowTaskState, SuggestContinueAsNewReason};
use crate::api::history::History as WireHistory;
use crate::api::workflow::PendingWorkflowTaskInfo;
use crate::api::workflowservice::{DescribeWorkflowExecutionResponse, PollWorkflowTaskQueueResponse};
use crate::engine::deadline::Deadline;
use crate::engine::effects::Offer;
use crate::engine::event::{Attributes, EventId, Order};
use crate::engine::overlay::Overlay;
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;
use crate::engine::workflow_task::state::{StartedTask, TaskKind, WorkflowTask};
use crate::limits::{SUGGEST_CONTINUE_BYTES, SUGGEST_CONTINUE_EVENTS};

/// A speculative task on a normal queue waits this long for a worker.
const SPECULATIVE_WAIT: Duration = Duration::from_secs(5);
/// Up to this attempt the timeout is constant; later attempts have longer timeouts.
const PLAIN_ATTEMPTS: i32 = 3;
const RETRY_BACKOFF_FIRST: Duration = Duration::from_secs(5);
const RETRY_BACKOFF_MAX: Duration = Duration::from_secs(600);
/// From this attempt on, the worker counts as failing: queries and updates do not wait for it.
const FAILING_FROM_ATTEMPT: i32 = 3;

/// The rules of workflow tasks.
pub(in crate::engine) struct WorkflowTaskRules;

impl Subject for WorkflowTaskRules {
    fn order(event: &Attributes) -> Option<Order> {
        match event {
            Attributes::WorkflowTaskScheduledEventAttributes(_)
            | Attributes::WorkflowTaskStartedEventAttributes(_)
            | Attributes::WorkflowTaskCompletedEventAttributes(_)
            | Attributes::WorkflowTaskFailedEventAttributes(_)
            | Attributes::WorkflowTaskTimedOutEventAttributes(_) => Some(Order::Now),
            _ => None,
        }
    }

    fn apply(run: &mut Run, id: EventId, time: Time, event: &Attributes) -> Option<Applied> {
        match event {
            Attributes::WorkflowTaskScheduledEventAttributes(it) => {
                return Some(run.apply_task_scheduled(id, time, it));
            }
            Attributes::WorkflowTaskStartedEventAttributes(it) => return Some(run.apply_task_started(id, time, it)),
            Attributes::WorkflowTaskCompletedEventAttributes(it) => run.apply_task_completed(it),
            Attributes::WorkflowTaskFailedEventAttributes(_) | Attributes::WorkflowTaskTimedOutEventAttributes(_) => {
                run.set_workflow_task(None);
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn due(run: &mut Run, deadline: Deadline, now: Time) -> Result<(), Deadline> {
        match deadline {
            Deadline::WorkflowTaskScheduleToStart => run.workflow_task_schedule_to_start(now),
            Deadline::WorkflowTaskStartToClose => run.workflow_task_start_to_close(now),
            other => return Err(other),
        }
        Ok(())
    }

    fn keep(run: &Run, overlay: &mut Overlay) {
        let attempt = run.state.workflow_task_attempt;
        overlay.workflow_task_attempt = if attempt > 1 && run.is_open() { attempt } else { 0 };
    }

    fn restore(run: &mut Run, overlay: &mut Overlay) -> Result<(), String> {
        run.state.workflow_task_attempt = match &run.state.workflow_task {
            Some(task) => task.attempt,
            None => overlay.workflow_task_attempt.max(1),
        };
        Ok(())
    }

    fn describe(run: &Run, described: &mut DescribeWorkflowExecutionResponse) {
        described.pending_workflow_task = run.pending_workflow_task();
    }
}

impl Run {
    pub(crate) fn has_started_workflow_task(&self) -> bool {
        self.state.workflow_task.as_ref().is_some_and(|task| task.started.is_some())
    }

    /// Whether the worker keeps failing on this run.
    pub(crate) fn worker_is_failing(&self) -> bool {
        self.state.workflow_task_attempt >= FAILING_FROM_ATTEMPT
    }

    /// Schedules a workflow task unless there is one.
    pub(in crate::engine) fn ensure_workflow_task(&mut self, now: Time) {
        if self.is_open() && self.state.workflow_task.is_none() {
            self.schedule_workflow_task(TaskKind::Normal, now, now);
        }
    }

    /// Schedules a task; the run must have none.
    pub(in crate::engine) fn schedule_workflow_task(
        &mut self,
        kind: TaskKind,
        now: Time,
        original_scheduled_time: Time,
    ) {
        debug_assert!(self.state.workflow_task.is_none());
        let mut kind = kind;
        if !self.state.buffered.is_empty() {
            // New events make the next task a normal first attempt, not a transient or speculative one.
            self.state.workflow_task_attempt = 1;
            kind = TaskKind::Normal;
            self.flush_buffer();
        }
        let attempt = self.state.workflow_task_attempt;
        let mut task = WorkflowTask {
            stamp: self.history.next_event_id(),
            kind,
            attempt,
            scheduled_event_id: self.history.next_event_id(),
            scheduled_time: now,
            original_scheduled_time,
            timeout: self.info.task_timeout + retry_backoff(attempt),
            sticky: self.state.sticky.is_some(),
            started: None,
        };
        if task.is_written() {
            task.scheduled_event_id = self.write_task_scheduled(&task);
        }
        self.set_workflow_task(Some(task));
        self.offer_workflow_task();
    }

    /// Adds the scheduled task to its task queue.
    pub(in crate::engine) fn offer_workflow_task(&mut self) {
        if let Some(task) = &self.state.workflow_task {
            let offer = Offer::WorkflowTask {
                stamp: task.stamp,
                sticky: self.state.sticky.as_ref().map(|sticky| sticky.queue.clone()),
                queue: self.info.task_queue.clone(),
            };
            self.offer(offer);
        }
    }

    /// Starts the task for a worker. Returns `None` when the task is gone.
    ///
    /// `sticky_queue` is the sticky queue that the task was polled from, if any.
    pub(crate) fn start_workflow_task(
        &mut self,
        stamp: EventId,
        request_id: Arc<str>,
        identity: &str,
        sticky_queue: Option<&str>,
        now: Time,
    ) -> Option<Started> {
        let task = self.state.workflow_task.as_ref()?;
        if !self.is_open() || task.stamp != stamp || task.started.is_some() {
            return None;
        }
        let run_queue = self.state.sticky.as_ref().map(|sticky| &*sticky.queue);
        match sticky_queue {
            Some(queue) if run_queue != Some(queue) => return None,
            Some(_) => {}
            None => {
                // The sticky worker has not polled lately and another worker takes the task: its schedule-to-start
                // timeout is removed.
                if let Some((at, deadline)) = self.workflow_task_deadline() {
                    self.disarm(at, deadline);
                }
                self.state.sticky = None;
            }
        }
        self.mark_started(request_id, identity, now);
        Some(Started { sticky: sticky_queue.is_some() })
    }

    /// Starts the task that was just scheduled, for the worker whose request is being handled.
    pub(in crate::engine) fn start_inline(&mut self, request_id: Arc<str>, identity: &str, now: Time) {
        self.mark_started(request_id, identity, now);
        self.withdraw_workflow_task_offers();
    }

    fn mark_started(&mut self, request_id: Arc<str>, identity: &str, now: Time) {
        let Some(mut task) = self.state.workflow_task.clone() else { return };
        let started = StartedTask {
            event_id: task.scheduled_event_id + 1,
            time: now,
            request_id,
            identity: identity.into(),
            history_size_bytes: self.history.size_bytes(),
            suggest_continue_as_new: self.continue_as_new_reasons(),
        };
        let written = task.is_written();
        task.started = Some(started);
        if written {
            self.write_task_started(&mut task, identity);
        } else if task.scheduled_event_id != self.history.next_event_id() {
            // Events were written since, so the preliminary numbers are taken: the task becomes a normal one.
            task.attempt = 1;
            task.kind = TaskKind::Normal;
            self.state.workflow_task_attempt = 1;
            task.scheduled_time = now;
            task.scheduled_event_id = self.write_task_scheduled(&task);
            task.stamp = task.scheduled_event_id;
            self.write_task_started(&mut task, identity);
        }
        self.set_workflow_task(Some(task));
    }

    fn continue_as_new_reasons(&self) -> Vec<SuggestContinueAsNewReason> {
        let mut reasons = Vec::new();
        if self.history.size_bytes() >= SUGGEST_CONTINUE_BYTES {
            reasons.push(SuggestContinueAsNewReason::HistorySizeTooLarge);
        }
        if self.history.next_event_id() > SUGGEST_CONTINUE_EVENTS {
            reasons.push(SuggestContinueAsNewReason::TooManyHistoryEvents);
        }
        if self.state.updates.nearly_too_many() {
            reasons.push(SuggestContinueAsNewReason::TooManyUpdates);
        }
        reasons
    }

    pub(in crate::engine) fn set_workflow_task(&mut self, task: Option<WorkflowTask>) {
        if let Some((at, deadline)) = self.workflow_task_deadline() {
            self.disarm(at, deadline);
        }
        self.state.workflow_task = task;
        if let Some((at, deadline)) = self.workflow_task_deadline() {
            self.arm(at, deadline);
        }
        if self.state.workflow_task.is_none() {
            self.withdraw_workflow_task_offers();
        }
    }

    pub(in crate::engine) fn workflow_task_deadline(&self) -> Option<(Time, Deadline)> {
        let task = self.state.workflow_task.as_ref()?;
        if let Some(started) = &task.started {
            return Some((started.time + task.timeout, Deadline::WorkflowTaskStartToClose));
        }
        let wait = match &self.state.sticky {
            Some(sticky) if task.sticky => sticky.schedule_to_start,
            _ if task.kind == TaskKind::Speculative => SPECULATIVE_WAIT,
            _ => return None,
        };
        Some((task.scheduled_time + wait, Deadline::WorkflowTaskScheduleToStart))
    }

    /// Clears the sticky queue. A task that waits there is offered on the normal queue.
    pub(crate) fn clear_sticky(&mut self) {
        if let Some((at, deadline)) = self.workflow_task_deadline() {
            self.disarm(at, deadline);
        }
        self.state.sticky = None;
        if let Some((at, deadline)) = self.workflow_task_deadline() {
            self.arm(at, deadline);
        }
        if self.state.workflow_task.as_ref().is_some_and(|task| task.started.is_none() && task.sticky) {
            self.offer_workflow_task();
        }
    }

    /// Builds the poll response for the worker that started the task, without history, token and backlog counts.
    pub(crate) fn workflow_task_response(&mut self, resend_updates: bool) -> Option<PollWorkflowTaskQueueResponse> {
        let task = self.state.workflow_task.clone()?;
        let started = task.started?;
        let messages = self.state.updates.send(started.event_id, resend_updates);
        let queries: BTreeMap<String, _> =
            self.queries.waiting().map(|(id, query)| (id.to_string(), query.clone())).collect();
        Some(PollWorkflowTaskQueueResponse {
            workflow_execution: Some(self.execution()),
            workflow_type: Some(WorkflowType { name: self.info.workflow_type.to_string() }),
            previous_started_event_id: self.state.previous_started_event_id,
            started_event_id: started.event_id,
            attempt: task.attempt,
            workflow_execution_task_queue: Some(self.info.normal_task_queue()),
            scheduled_time: Some(task.scheduled_time.into()),
            started_time: Some(started.time.into()),
            queries: queries.into_iter().collect(),
            messages,
            history: Some(WireHistory::default()),
            ..Default::default()
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

    /// Whether the run's sticky queue is `queue`.
    pub(crate) fn has_sticky_queue(&self, queue: &str) -> bool {
        self.state.sticky.as_ref().is_some_and(|sticky| &*sticky.queue == queue)
    }
}

/// A task that was just started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    /// Whether the worker has the run cached and needs only the new events.
    pub(crate) sticky: bool,
}

/// Additional timeout of an attempt: a failing worker that does not respond gets its tasks less and less often.
fn retry_backoff(attempt: i32) -> Duration {
    if attempt <= PLAIN_ATTEMPTS {
        return Duration::ZERO;
    }
    let doublings = u32::try_from(attempt - PLAIN_ATTEMPTS - 1).unwrap_or(0).min(16);
    RETRY_BACKOFF_FIRST.saturating_mul(1 << doublings).min(RETRY_BACKOFF_MAX)
}
