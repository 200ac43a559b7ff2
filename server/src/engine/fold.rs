//! What each event does to the state of its run.
//!
//! One table serves all who need it: an event that is written is applied at once, also when it waits in the buffer; a run
//! from the store, open or closed, is its events applied one after the other.

use std::sync::Arc;

use super::event::{Attributes, EventId, HistoryEvent};
use super::run::Run;
use super::time::Time;
use crate::model::{RunStatus, VisibilityRow};

/// What tells a run from all others. The first event names only some of it.
#[derive(Clone, Debug)]
pub(crate) struct RunIds {
    pub(crate) namespace: Arc<str>,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run_id: Arc<str>,
    pub(crate) create_request_id: Arc<str>,
}

impl RunIds {
    /// Those of a run with this row, whose namespace has this name.
    pub(crate) fn of(row: &VisibilityRow, namespace: &Arc<str>) -> Self {
        Self {
            namespace: Arc::clone(namespace),
            workflow_id: Arc::clone(&row.workflow_id),
            run_id: Arc::clone(&row.run_id),
            create_request_id: Arc::clone(&row.create_request_id),
        }
    }
}

/// A history from which no run can be made: the store is damaged, or of another program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("history of run {run_id}: {problem}")]
pub(crate) struct Unrecoverable {
    pub(super) run_id: Arc<str>,
    pub(super) problem: String,
}

/// A run that is rebuilt from its events.
#[derive(Debug)]
pub(crate) struct Fold {
    ids: RunIds,
    run: Option<Run>,
}

impl Fold {
    pub(crate) fn new(ids: RunIds) -> Self {
        Self { ids, run: None }
    }

    /// Applies the next event.
    ///
    /// # Errors
    ///
    /// An event that contradicts those before it.
    pub(crate) fn apply(&mut self, event: &HistoryEvent) -> Result<(), Unrecoverable> {
        let applied = match &mut self.run {
            None => Run::begin(&self.ids, event).map(|run| self.run = Some(run)),
            Some(run) => run
                .apply(event.event_id, event)
                .map_err(|problem| format!("event {}, {:?}: {problem}", event.event_id, event.event_type())),
        };
        applied.map_err(|problem| self.unrecoverable(problem))
    }

    /// The run after all of its events. Its history is empty: whoever has read the events has that.
    ///
    /// # Errors
    ///
    /// There was no event.
    pub(crate) fn into_run(mut self) -> Result<Run, Unrecoverable> {
        let run = self.run.take();
        run.ok_or_else(|| self.unrecoverable("it does not begin with WorkflowExecutionStarted".to_owned()))
    }

    fn unrecoverable(&self, problem: String) -> Unrecoverable {
        Unrecoverable { run_id: Arc::clone(&self.ids.run_id), problem }
    }
}

impl Run {
    /// Changes the state as the event says. `id` is [`BUFFERED`](super::event::BUFFERED) for an event that waits.
    ///
    /// # Errors
    ///
    /// How the event contradicts the state. An event of this engine does not.
    pub(super) fn apply(&mut self, id: EventId, event: &HistoryEvent) -> Result<(), &'static str> {
        use Attributes as A;
        let Some(attributes) = &event.attributes else { return Err("it has no attributes") };
        let time = event.event_time.as_ref().map(Time::from).unwrap_or_default();
        match attributes {
            A::WorkflowTaskScheduledEventAttributes(it) => return self.apply_task_scheduled(id, time, it),
            A::WorkflowTaskStartedEventAttributes(it) => return self.apply_task_started(id, time, it),
            A::WorkflowTaskCompletedEventAttributes(it) => self.apply_task_completed(it),
            A::WorkflowTaskFailedEventAttributes(_) | A::WorkflowTaskTimedOutEventAttributes(_) => {
                self.set_workflow_task(None);
            }
            A::ActivityTaskScheduledEventAttributes(it) => return self.apply_activity_scheduled(id, time, it),
            A::ActivityTaskCancelRequestedEventAttributes(it) => {
                self.apply_activity_cancel_requested(id, it.scheduled_event_id);
            }
            A::ActivityTaskCompletedEventAttributes(it) => self.apply_activity_finished(it.scheduled_event_id),
            A::ActivityTaskFailedEventAttributes(it) => self.apply_activity_finished(it.scheduled_event_id),
            A::ActivityTaskTimedOutEventAttributes(it) => self.apply_activity_finished(it.scheduled_event_id),
            A::ActivityTaskCanceledEventAttributes(it) => self.apply_activity_finished(it.scheduled_event_id),
            A::TimerStartedEventAttributes(it) => return self.apply_timer_started(id, time, it),
            A::TimerFiredEventAttributes(it) => self.apply_timer_finished(&it.timer_id, it.started_event_id),
            A::TimerCanceledEventAttributes(it) => self.apply_timer_finished(&it.timer_id, it.started_event_id),
            A::WorkflowExecutionSignaledEventAttributes(it) => self.apply_signaled(it),
            A::WorkflowExecutionCancelRequestedEventAttributes(_) => self.state.cancel_requested = true,
            A::WorkflowExecutionOptionsUpdatedEventAttributes(it) => self.apply_options_updated(it),
            A::WorkflowExecutionUpdateAcceptedEventAttributes(it) => return self.apply_update_accepted(id, it),
            A::WorkflowExecutionUpdateCompletedEventAttributes(it) => return self.apply_update_completed(id, it),
            A::WorkflowPropertiesModifiedEventAttributes(it) => self.apply_properties_modified(it),
            A::WorkflowExecutionCompletedEventAttributes(_) => self.apply_closed(RunStatus::Completed, time),
            A::WorkflowExecutionFailedEventAttributes(_) => self.apply_closed(RunStatus::Failed, time),
            A::WorkflowExecutionCanceledEventAttributes(_) => self.apply_closed(RunStatus::Canceled, time),
            A::WorkflowExecutionTerminatedEventAttributes(_) => self.apply_closed(RunStatus::Terminated, time),
            A::WorkflowExecutionTimedOutEventAttributes(_) => self.apply_closed(RunStatus::TimedOut, time),
            // Attempts and markers change nothing that the engine decides by.
            A::ActivityTaskStartedEventAttributes(_) | A::MarkerRecordedEventAttributes(_) => {}
            A::WorkflowExecutionStartedEventAttributes(_) => return Err("a run starts once"),
            _ => return Err("this engine has no such event"),
        }
        Ok(())
    }
}
