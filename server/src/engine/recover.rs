//! A run, from what the store has of it.
//!
//! State is rebuilt from history alone, event by event, and completed from the [`Overlay`]. What neither has is gone, and
//! may go: queries and unaccepted updates, whose callers ask again; a worker's own queue, which the next task passes
//! over; speculative workflow tasks, which left nothing.

use std::sync::Arc;
use std::time::Duration;

use super::activity::Activity;
use super::deadline::Deadline;
use super::effects::{Close, Effects};
use super::event::{Attributes, EventId, HistoryEvent};
use super::history::{History, decode_all};
use super::overlay::Overlay;
use super::payload::{own, own_metadata};
use super::run::{Info, Run};
use super::start::expirations;
use super::time::{Time, duration};
use super::timer::UserTimer;
use super::workflow_task::{StartedTask, TaskKind, WorkflowTask};
use crate::api::enums::SuggestContinueAsNewReason;
use crate::api::history::{
    WorkflowExecutionStartedEventAttributes, WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes,
};
use crate::model::HistoryBatch;

/// What the store has of an open run.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) namespace: Arc<str>,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run_id: Arc<str>,
    pub(crate) create_request_id: Arc<str>,
    pub(crate) batches: Vec<HistoryBatch>,
    pub(crate) overlay: Overlay,
}

/// A history from which no open run can be made: the store is damaged, or of another program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("history of run {run_id}: {problem}")]
pub(crate) struct Unrecoverable {
    run_id: Arc<str>,
    problem: String,
}

impl Run {
    /// Rebuilds an open run as it was when the store last heard of it. [`Run::resume`] sets it going.
    pub(crate) fn recover(stored: Stored) -> Result<Self, Unrecoverable> {
        let run_id = Arc::clone(&stored.run_id);
        let unrecoverable = |problem: String| Unrecoverable { run_id: Arc::clone(&run_id), problem };
        let events = decode_all(&stored.batches).map_err(|error| unrecoverable(error.to_string()))?;
        let mut events = events.into_iter();
        let Some((first, started)) = events.next().and_then(started_attributes) else {
            return Err(unrecoverable("it does not begin with WorkflowExecutionStarted".to_owned()));
        };
        let mut run = Self::of_start(&stored, &first, &started).map_err(unrecoverable)?;
        run.history = History::recovered(stored.batches);
        for event in events {
            let (id, kind) = (event.event_id, event.event_type());
            run.replay(event).map_err(|problem| unrecoverable(format!("event {id}, {kind:?}: {problem}")))?;
        }
        run.restore(stored.overlay).map_err(unrecoverable)?;
        run.state.visible = false;
        run.arm_all();
        Ok(run)
    }

    /// Sets a recovered run going: what waited for a worker is offered again.
    ///
    /// `workers_are_gone` means that all workers lived in the process that is no more: the workflow task and the attempts of
    /// activities that they had count as timed out at once.
    pub(crate) fn resume(&mut self, workers_are_gone: bool, now: Time) -> Effects {
        self.queries.number_from(now);
        match &self.state.workflow_task {
            Some(task) if task.started.is_none() => self.offer_workflow_task(),
            Some(_) if workers_are_gone => self.workflow_task_start_to_close(now),
            Some(_) => {}
            // Of the second and later attempts nothing is written.
            None if self.state.workflow_task_attempt > 1 || !self.state.buffered.is_empty() => {
                self.want_workflow_task(now);
            }
            None => {}
        }
        if workers_are_gone {
            let started = self.state.activities.values().filter(|it| it.started.is_some());
            for id in started.map(|it| it.scheduled_event_id).collect::<Vec<_>>() {
                self.lose_attempt(id, now);
            }
        }
        let waiting = self.state.activities.values().filter(|it| it.started.is_none() && !it.backing_off);
        for id in waiting.map(|it| it.scheduled_event_id).collect::<Vec<_>>() {
            self.offer_activity(id);
        }
        self.close_transaction(now, Close::Write)
    }

    fn of_start(
        stored: &Stored,
        first: &HistoryEvent,
        started: &WorkflowExecutionStartedEventAttributes,
    ) -> Result<Self, String> {
        let read = |name: &str, wire: &Option<prost_types::Duration>| {
            duration(wire.as_ref()).map_err(|error| format!("event 1: its {name} is wrong: {error}"))
        };
        let start_time = event_time(first);
        let start_delay = read("start delay", &started.first_workflow_task_backoff)?;
        let execution_timeout = read("execution timeout", &started.workflow_execution_timeout)?;
        let run_timeout = read("run timeout", &started.workflow_run_timeout)?;
        let execution_time = start_time + start_delay;
        let (execution_expiration, run_expiration) =
            expirations(execution_timeout, run_timeout, start_time, execution_time);
        let name = |text: &str| Arc::<str>::from(text);
        let info = Info {
            namespace: Arc::clone(&stored.namespace),
            workflow_id: Arc::clone(&stored.workflow_id),
            run_id: Arc::clone(&stored.run_id),
            first_run_id: name(&started.first_execution_run_id),
            workflow_type: name(started.workflow_type.as_ref().map_or("", |kind| &kind.name)),
            task_queue: name(started.task_queue.as_ref().map_or("", |queue| &queue.name)),
            execution_timeout,
            run_timeout,
            task_timeout: read("task timeout", &started.workflow_task_timeout)?,
            start_time,
            execution_time,
            run_expiration,
            execution_expiration,
            create_request_id: Arc::clone(&stored.create_request_id),
            user_metadata: first.user_metadata.as_deref().map(own_metadata),
            priority: started.priority.clone(),
        };
        let memo = started.memo.iter().flat_map(|memo| &memo.fields).map(|(key, value)| (key.clone(), own(value)));
        let mut run = Self::new(info, memo.collect());
        if start_delay > Duration::ZERO {
            run.state.first_task_due = Some(execution_time);
        }
        Ok(run)
    }

    /// Does to the state what the event did when it was written.
    fn replay(&mut self, event: HistoryEvent) -> Result<(), &'static str> {
        use Attributes as A;
        let (id, time) = (event.event_id, event_time(&event));
        let state = &mut self.state;
        match event.attributes {
            Some(A::WorkflowTaskScheduledEventAttributes(scheduled)) => {
                state.first_task_due = None;
                state.workflow_task = Some(scheduled_task(id, time, &scheduled)?);
            }
            Some(A::WorkflowTaskStartedEventAttributes(started)) => {
                let task = state.workflow_task.as_mut().ok_or("no workflow task was scheduled")?;
                task.started = Some(started_task(id, time, *started));
            }
            Some(A::WorkflowTaskCompletedEventAttributes(completed)) => {
                state.workflow_task = None;
                state.previous_started_event_id = completed.started_event_id;
            }
            Some(A::WorkflowTaskFailedEventAttributes(_) | A::WorkflowTaskTimedOutEventAttributes(_)) => {
                state.workflow_task = None;
            }
            Some(A::ActivityTaskScheduledEventAttributes(scheduled)) => {
                let activity =
                    Activity::of_event(id, time, &scheduled).map_err(|_| "its retry policy or a timeout is wrong")?;
                state.activity_ids.insert(Arc::clone(&activity.activity_id), id);
                state.activities.insert(id, Arc::new(activity));
            }
            Some(A::ActivityTaskCancelRequestedEventAttributes(requested)) => {
                // The activity may have finished, unknown to the workflow.
                if let Some(activity) = state.activities.get_mut(&requested.scheduled_event_id) {
                    Arc::make_mut(activity).cancel_requested = Some(id);
                }
            }
            Some(A::ActivityTaskCompletedEventAttributes(finished)) => {
                self.forget_activity(finished.scheduled_event_id)
            }
            Some(A::ActivityTaskFailedEventAttributes(finished)) => self.forget_activity(finished.scheduled_event_id),
            Some(A::ActivityTaskTimedOutEventAttributes(finished)) => self.forget_activity(finished.scheduled_event_id),
            Some(A::ActivityTaskCanceledEventAttributes(finished)) => self.forget_activity(finished.scheduled_event_id),
            Some(A::TimerStartedEventAttributes(started)) => {
                let after = duration(started.start_to_fire_timeout.as_ref()).map_err(|_| "its duration is negative")?;
                let expiry = time + after;
                state.timers.insert(started.timer_id.into(), UserTimer { started_event_id: id, expiry });
            }
            Some(A::TimerFiredEventAttributes(fired)) => drop(state.timers.remove(fired.timer_id.as_str())),
            Some(A::TimerCanceledEventAttributes(canceled)) => drop(state.timers.remove(canceled.timer_id.as_str())),
            Some(A::WorkflowExecutionSignaledEventAttributes(signaled)) => {
                self.signal_count += 1;
                if !signaled.request_id.is_empty() {
                    self.signal_request_ids.insert(signaled.request_id);
                }
            }
            Some(A::WorkflowExecutionCancelRequestedEventAttributes(_)) => state.cancel_requested = true,
            Some(A::WorkflowExecutionOptionsUpdatedEventAttributes(updated)) => {
                if !updated.attached_request_id.is_empty() {
                    self.attached_request_ids.insert(updated.attached_request_id);
                }
            }
            Some(A::WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => {
                let request = accepted.accepted_request.ok_or("it has no request")?;
                state.updates.recover_accepted(accepted.protocol_instance_id.into(), request, id);
            }
            Some(A::WorkflowExecutionUpdateCompletedEventAttributes(completed)) => {
                let update_id = completed.meta.ok_or("it names no update")?.update_id;
                state.updates.recover_completed(update_id.into(), id);
            }
            Some(A::WorkflowPropertiesModifiedEventAttributes(modified)) => {
                self.modify_memo(&modified.upserted_memo.unwrap_or_default());
            }
            Some(A::ActivityTaskStartedEventAttributes(_) | A::MarkerRecordedEventAttributes(_)) => {}
            _ => return Err("an open run has no such event"),
        }
        Ok(())
    }

    fn forget_activity(&mut self, scheduled_event_id: EventId) {
        if let Some(activity) = self.state.activities.remove(&scheduled_event_id) {
            self.state.activity_ids.remove(&activity.activity_id);
        }
    }

    fn restore(&mut self, overlay: Overlay) -> Result<(), String> {
        self.attached_request_ids.extend(overlay.attached_request_ids);
        for it in overlay.activities {
            let id = it.scheduled_event_id;
            let activity = self.state.activities.get_mut(&id).ok_or_else(|| format!("event {id} is no activity"))?;
            it.restore(Arc::make_mut(activity));
        }
        self.state.workflow_task_attempt = match &self.state.workflow_task {
            Some(task) => task.attempt,
            None => overlay.workflow_task_attempt.max(1),
        };
        for event in overlay.buffered {
            self.replay(event.clone())?;
            self.state.buffered.push(event);
        }
        Ok(())
    }

    /// Sets every deadline that follows from the state.
    fn arm_all(&mut self) {
        let info = &self.info;
        let mut deadlines = Vec::new();
        deadlines.extend(info.execution_expiration.map(|at| (at, Deadline::ExecutionTimeout)));
        deadlines.extend(info.run_expiration.map(|at| (at, Deadline::RunTimeout)));
        deadlines.extend(self.state.first_task_due.map(|at| (at, Deadline::FirstTask)));
        deadlines.extend(self.workflow_task_deadline());
        for (id, timer) in &self.state.timers {
            deadlines.push((timer.expiry, Deadline::Timer(timer.started_event_id, Arc::clone(id))));
        }
        for (id, activity) in &self.state.activities {
            deadlines.extend(activity.deadlines().map(|(at, kind)| (at, Deadline::Activity(*id, kind))));
        }
        for (at, deadline) in deadlines {
            self.arm(at, deadline);
        }
    }
}

fn started_attributes(mut event: HistoryEvent) -> Option<(HistoryEvent, WorkflowExecutionStartedEventAttributes)> {
    match event.attributes.take()? {
        Attributes::WorkflowExecutionStartedEventAttributes(started) => Some((event, *started)),
        _ => None,
    }
}

fn scheduled_task(
    id: EventId,
    time: Time,
    scheduled: &WorkflowTaskScheduledEventAttributes,
) -> Result<WorkflowTask, &'static str> {
    Ok(WorkflowTask {
        stamp: id,
        kind: TaskKind::Normal,
        attempt: scheduled.attempt,
        scheduled_event_id: id,
        scheduled_time: time,
        original_scheduled_time: time,
        timeout: duration(scheduled.start_to_close_timeout.as_ref()).map_err(|_| "its timeout is negative")?,
        sticky: false,
        started: None,
    })
}

fn started_task(id: EventId, time: Time, started: WorkflowTaskStartedEventAttributes) -> StartedTask {
    let reasons = started.suggest_continue_as_new_reasons.iter();
    StartedTask {
        event_id: id,
        time,
        request_id: started.request_id.into(),
        identity: started.identity.into(),
        history_size_bytes: started.history_size_bytes,
        suggest_continue_as_new: reasons.filter_map(|it| SuggestContinueAsNewReason::try_from(*it).ok()).collect(),
    }
}

fn event_time(event: &HistoryEvent) -> Time {
    event.event_time.as_ref().map(Time::from).unwrap_or_default()
}
