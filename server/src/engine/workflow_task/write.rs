//! The events of workflow tasks.

use crate::api::enums::{SuggestContinueAsNewReason, TaskQueueKind, TimeoutType};
use crate::api::history::{
    WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes, WorkflowTaskTimedOutEventAttributes,
};
use crate::api::taskqueue::TaskQueue;
use crate::engine::event::{EventId, HistoryEvent, event};
use crate::engine::run::Run;
use crate::engine::time::{Time, duration, wire_duration};
use crate::engine::workflow_task::state::{StartedTask, TaskKind, WorkflowTask};

impl Run {
    /// Makes a speculative task a normal one before other changes are written.
    pub(in crate::engine) fn make_speculative_task_normal(&mut self) {
        let Some(mut task) = self.state.workflow_task.clone() else { return };
        if task.kind != TaskKind::Speculative {
            return;
        }
        if task.scheduled_event_id != self.history.next_event_id() {
            // The scheduled event is written already; the task becomes normal when it starts or ends.
            return;
        }
        task.kind = TaskKind::Normal;
        task.scheduled_event_id = self.write_task_scheduled(&task);
        // The identity of the worker is left out, as on the Temporal server.
        self.write_task_started(&mut task, "");
        self.set_workflow_task(Some(task));
    }

    /// Writes the events of a speculative task that are not written yet.
    pub(super) fn write_speculative_task(&mut self, task: &mut WorkflowTask, identity: &str) {
        if task.kind == TaskKind::Speculative {
            task.scheduled_event_id = self.write_task_scheduled(task);
            self.write_task_started(task, identity);
        }
    }

    /// Writes the scheduled and started events of a task whose kind does not write them as they happen.
    pub(in crate::engine) fn write_late_task(&mut self, task: &mut WorkflowTask, identity: &str) {
        if !task.is_written() {
            task.scheduled_event_id = self.write_task_scheduled(task);
            self.write_task_started(task, identity);
        }
    }

    /// Also ends a start delay; a speculative task, which may write nothing, does not.
    pub(in crate::engine) fn apply_task_scheduled(
        &mut self,
        id: EventId,
        time: Time,
        scheduled: &WorkflowTaskScheduledEventAttributes,
    ) -> Result<(), &'static str> {
        self.end_start_delay();
        self.state.awaits_parent = false;
        if let Some(task) = self.state.workflow_task.as_mut().filter(|task| !task.is_written()) {
            // The events of the task are written late.
            task.scheduled_event_id = id;
            return Ok(());
        }
        self.set_workflow_task(Some(WorkflowTask {
            stamp: id,
            kind: TaskKind::Normal,
            attempt: scheduled.attempt,
            scheduled_event_id: id,
            scheduled_time: time,
            original_scheduled_time: time,
            timeout: duration(scheduled.start_to_close_timeout.as_ref()).map_err(|_| "its timeout is negative")?,
            sticky: false,
            started: None,
        }));
        Ok(())
    }

    pub(in crate::engine) fn apply_task_started(
        &mut self,
        id: EventId,
        time: Time,
        started: &WorkflowTaskStartedEventAttributes,
    ) -> Result<(), &'static str> {
        let mut task = self.state.workflow_task.clone().ok_or("no workflow task was scheduled")?;
        match &mut task.started {
            // The events of the task are written late.
            Some(started) => started.event_id = id,
            None => {
                let reasons = started.suggest_continue_as_new_reasons.iter();
                task.started = Some(StartedTask {
                    event_id: id,
                    time,
                    request_id: started.request_id.as_str().into(),
                    identity: started.identity.as_str().into(),
                    history_size_bytes: started.history_size_bytes,
                    suggest_continue_as_new: reasons
                        .filter_map(|reason| SuggestContinueAsNewReason::try_from(*reason).ok())
                        .collect(),
                });
            }
        }
        self.set_workflow_task(Some(task));
        Ok(())
    }

    pub(super) fn write_task_scheduled(&mut self, task: &WorkflowTask) -> EventId {
        let attributes = self.task_scheduled(task);
        self.append(task.scheduled_time, attributes)
    }

    fn task_scheduled(&self, task: &WorkflowTask) -> WorkflowTaskScheduledEventAttributes {
        WorkflowTaskScheduledEventAttributes {
            task_queue: Some(self.current_task_queue()),
            start_to_close_timeout: wire_duration(task.timeout),
            attempt: task.attempt,
        }
    }

    /// Writes the started event, which always ends a batch.
    pub(super) fn write_task_started(&mut self, task: &mut WorkflowTask, identity: &str) {
        let Some(attributes) = task_started(task, identity) else { return };
        let Some(started) = &mut task.started else { return };
        started.event_id = self.append(started.time, attributes);
        self.history.cut();
    }

    pub(super) fn write_task_timed_out(
        &mut self,
        task: &WorkflowTask,
        started_event_id: EventId,
        timeout: TimeoutType,
        now: Time,
    ) {
        self.append(
            now,
            WorkflowTaskTimedOutEventAttributes {
                scheduled_event_id: task.scheduled_event_id,
                started_event_id,
                timeout_type: timeout as i32,
            },
        );
    }

    /// The queue of the next task: the sticky queue if the run has one.
    fn current_task_queue(&self) -> TaskQueue {
        let normal = self.info.task_queue.to_string();
        match &self.state.sticky {
            Some(sticky) => {
                TaskQueue { name: sticky.queue.to_string(), kind: TaskQueueKind::Sticky as i32, normal_name: normal }
            }
            None => TaskQueue { name: normal, kind: TaskQueueKind::Normal as i32, normal_name: String::new() },
        }
    }

    /// The events of a pending task that are not written, or not yet.
    pub(crate) fn unwritten_task_events(&self) -> Vec<HistoryEvent> {
        let Some(task) = self.state.workflow_task.as_ref().filter(|task| !task.is_written()) else {
            return Vec::new();
        };
        if task.scheduled_event_id != self.history.next_event_id() {
            return Vec::new();
        }
        let numbered = |mut event: HistoryEvent, id| {
            event.event_id = id;
            event
        };
        let mut events = vec![numbered(event(task.scheduled_time, self.task_scheduled(task)), task.scheduled_event_id)];
        if let Some(started) = &task.started
            && let Some(attributes) = task_started(task, &started.identity)
        {
            events.push(numbered(event(started.time, attributes), started.event_id));
        }
        events
    }
}

fn task_started(task: &WorkflowTask, identity: &str) -> Option<WorkflowTaskStartedEventAttributes> {
    let started = task.started.as_ref()?;
    Some(WorkflowTaskStartedEventAttributes {
        scheduled_event_id: task.scheduled_event_id,
        identity: identity.to_owned(),
        request_id: started.request_id.to_string(),
        suggest_continue_as_new: !started.suggest_continue_as_new.is_empty(),
        suggest_continue_as_new_reasons: started.suggest_continue_as_new.iter().map(|reason| *reason as i32).collect(),
        history_size_bytes: started.history_size_bytes,
        ..Default::default()
    })
}
