//! Rules that every history must follow, for tools and tests that check histories.
//!
//! The rules cover the events of timers, activities, signals, updates, cancellation and closing; any other event is rejected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::temporal::api::enums::v1::EventType;
use crate::temporal::api::history::v1::{HistoryEvent, history_event::Attributes};
use crate::timeline::event_name;

/// Checks that events are numbered without gaps, that each follows from an earlier one, that nothing happens twice, and that the
/// end comes last. Returns the work that has begun and not ended.
///
/// # Errors
/// Describes the first event that cannot follow.
pub fn check(events: &[HistoryEvent]) -> Result<Left, String> {
    let mut open = Open::default();
    for (event, number) in events.iter().zip(1..) {
        let is_start = event.event_type() == EventType::WorkflowExecutionStarted;
        let fits = event.event_id == number
            && is_start == (number == 1)
            && !open.is_closed
            && event.attributes.as_ref().is_some_and(|attributes| open.take(number, attributes));
        if !fits {
            return Err(format!("event {} at place {number}, {}, cannot follow", event.event_id, event_name(event)));
        }
    }
    if events.is_empty() {
        return Err("it is empty".to_owned());
    }
    let has_task = open.task.is_some();
    let (timers, activities) = (open.timers.len(), open.activities.len());
    Ok(Left { is_open: !open.is_closed, has_task, timers, activities })
}

/// The work in a history that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// Whether the run has not closed.
    pub is_open: bool,
    /// Whether a workflow task is pending.
    pub has_task: bool,
    /// The timers that have neither fired nor been cancelled.
    pub timers: usize,
    /// The activities that have not ended.
    pub activities: usize,
}

impl Left {
    /// Whether the run has closed and all its work has ended before.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { is_open: false, has_task: false, timers: 0, activities: 0 }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = if self.is_open { "an open run, " } else { "" };
        let task = if self.has_task { "a workflow task, " } else { "" };
        write!(f, "{run}{task}{} timers and {} activities", self.timers, self.activities)
    }
}

/// Pending work, by the event that began it.
#[derive(Default)]
struct Open {
    /// The scheduled task, and its start.
    task: Option<(i64, Option<i64>)>,
    timers: BTreeMap<i64, String>,
    timer_ids: BTreeSet<String>,
    /// Pending activities, each with whether it has started.
    activities: BTreeMap<i64, Option<i64>>,
    activity_ids: BTreeSet<String>,
    /// Accepted updates, and whether they are completed.
    updates: BTreeMap<String, bool>,
    /// The completed task whose commands follow.
    completed: Option<i64>,
    is_cancel_requested: bool,
    is_closed: bool,
}

impl Open {
    /// Checks that an event may come now.
    fn take(&mut self, id: i64, event: &Attributes) -> bool {
        use Attributes as Is;
        match event {
            Is::WorkflowExecutionStartedEventAttributes(_) | Is::WorkflowExecutionSignaledEventAttributes(_) => true,
            Is::WorkflowExecutionCancelRequestedEventAttributes(_) => {
                !std::mem::replace(&mut self.is_cancel_requested, true)
            }

            Is::WorkflowTaskScheduledEventAttributes(_) => self.task.replace((id, None)).is_none(),
            Is::WorkflowTaskStartedEventAttributes(started) => {
                let is_scheduled = self.task == Some((started.scheduled_event_id, None));
                self.task = Some((started.scheduled_event_id, Some(id)));
                is_scheduled
            }
            Is::WorkflowTaskTimedOutEventAttributes(lost) => {
                let start = (lost.started_event_id != 0).then_some(lost.started_event_id);
                self.task.take() == Some((lost.scheduled_event_id, start))
            }
            Is::WorkflowTaskFailedEventAttributes(failed) => {
                self.task.take() == Some((failed.scheduled_event_id, Some(failed.started_event_id)))
            }
            Is::WorkflowTaskCompletedEventAttributes(done) => {
                self.completed = Some(id);
                self.task.take() == Some((done.scheduled_event_id, Some(done.started_event_id)))
            }

            Is::TimerStartedEventAttributes(timer) => {
                self.timers.insert(id, timer.timer_id.clone());
                self.timer_ids.insert(timer.timer_id.clone())
                    && self.completed == Some(timer.workflow_task_completed_event_id)
            }
            Is::TimerFiredEventAttributes(timer) => {
                self.timers.remove(&timer.started_event_id).as_ref() == Some(&timer.timer_id)
            }
            Is::TimerCanceledEventAttributes(timer) => {
                self.timers.remove(&timer.started_event_id).as_ref() == Some(&timer.timer_id)
            }

            Is::ActivityTaskScheduledEventAttributes(activity) => {
                self.activities.insert(id, None);
                self.activity_ids.insert(activity.activity_id.clone())
                    && self.completed == Some(activity.workflow_task_completed_event_id)
            }
            Is::ActivityTaskStartedEventAttributes(started) => {
                self.activities.insert(started.scheduled_event_id, Some(id)) == Some(None)
            }
            Is::ActivityTaskCompletedEventAttributes(done) => {
                self.end_activity(done.scheduled_event_id, done.started_event_id)
            }
            Is::ActivityTaskFailedEventAttributes(done) => {
                self.end_activity(done.scheduled_event_id, done.started_event_id)
            }
            Is::ActivityTaskTimedOutEventAttributes(done) => {
                self.end_activity(done.scheduled_event_id, done.started_event_id)
            }
            Is::ActivityTaskCanceledEventAttributes(done) => {
                self.end_activity(done.scheduled_event_id, done.started_event_id)
            }
            Is::ActivityTaskCancelRequestedEventAttributes(asked) => {
                self.completed == Some(asked.workflow_task_completed_event_id)
            }

            Is::WorkflowExecutionUpdateAcceptedEventAttributes(accepted) => {
                self.updates.insert(accepted.protocol_instance_id.clone(), false).is_none()
            }
            Is::WorkflowExecutionUpdateCompletedEventAttributes(done) => {
                let update_id = done.meta.as_ref().map_or("", |meta| &meta.update_id).to_owned();
                self.updates.insert(update_id, true) == Some(false)
            }

            Is::WorkflowExecutionCompletedEventAttributes(done) => {
                self.is_closed = true;
                self.completed == Some(done.workflow_task_completed_event_id)
            }
            Is::WorkflowExecutionFailedEventAttributes(done) => {
                self.is_closed = true;
                self.completed == Some(done.workflow_task_completed_event_id)
            }
            Is::WorkflowExecutionCanceledEventAttributes(done) => {
                self.is_closed = true;
                self.is_cancel_requested && self.completed == Some(done.workflow_task_completed_event_id)
            }
            Is::WorkflowExecutionTerminatedEventAttributes(_) | Is::WorkflowExecutionTimedOutEventAttributes(_) => {
                self.is_closed = true;
                true
            }
            // No other events occur in the workflows that are checked.
            _ => false,
        }
    }

    fn end_activity(&mut self, scheduled: i64, started: i64) -> bool {
        self.activities.remove(&scheduled) == Some((started != 0).then_some(started))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temporal::api::history::v1::{
        TimerStartedEventAttributes, WorkflowExecutionCompletedEventAttributes,
        WorkflowExecutionStartedEventAttributes, WorkflowTaskCompletedEventAttributes,
        WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes,
    };

    fn numbered(all: Vec<(EventType, Attributes)>) -> Vec<HistoryEvent> {
        let event = |(event_id, (kind, attributes))| HistoryEvent {
            event_id,
            event_type: kind as i32,
            attributes: Some(attributes),
            ..Default::default()
        };
        (1..).zip(all).map(event).collect()
    }

    /// One task, which starts a timer and completes the workflow.
    fn history() -> Vec<HistoryEvent> {
        use EventType::*;
        let started = WorkflowExecutionStartedEventAttributes::default();
        let task = WorkflowTaskStartedEventAttributes { scheduled_event_id: 2, ..Default::default() };
        let done =
            WorkflowTaskCompletedEventAttributes { scheduled_event_id: 2, started_event_id: 3, ..Default::default() };
        let timer = TimerStartedEventAttributes {
            timer_id: "1".to_owned(),
            workflow_task_completed_event_id: 4,
            ..Default::default()
        };
        let end =
            WorkflowExecutionCompletedEventAttributes { workflow_task_completed_event_id: 4, ..Default::default() };
        numbered(vec![
            (WorkflowExecutionStarted, Attributes::WorkflowExecutionStartedEventAttributes(started.into())),
            (WorkflowTaskScheduled, WorkflowTaskScheduledEventAttributes::default().into()),
            (WorkflowTaskStarted, task.into()),
            (WorkflowTaskCompleted, done.into()),
            (TimerStarted, timer.into()),
            (WorkflowExecutionCompleted, end.into()),
        ])
    }

    #[test]
    fn pending_work_is_counted() {
        let history = history();
        let left = check(&history).unwrap();
        assert_eq!((left.is_open, left.has_task, left.timers, left.activities), (false, false, 1, 0));
        assert_eq!((left.is_empty(), left.to_string()), (false, "1 timers and 0 activities".to_owned()));
        let left = check(&history[..3]).unwrap();
        assert_eq!((left.is_open, left.has_task, left.timers), (true, true, 0));
        assert!(check(&[]).is_err());
    }

    #[test]
    fn missing_doubled_and_misplaced_events_are_found() {
        let history = history();
        for place in 0..history.len() {
            let mut missing = history.clone();
            missing.remove(place);
            let is_last = place == history.len() - 1;
            assert_eq!(check(&missing).is_err(), !is_last, "{place}");
            let mut doubled = history.clone();
            doubled.insert(place, history[place].clone());
            assert!(check(&doubled).is_err(), "{place}");
        }
        let mut renumbered = history.clone();
        renumbered.remove(2);
        for (event, number) in renumbered.iter_mut().zip(1..) {
            event.event_id = number;
        }
        let error = check(&renumbered).unwrap_err();
        assert_eq!(error, "event 3 at place 3, WorkflowTaskCompleted, cannot follow");
    }
}
