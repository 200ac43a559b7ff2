//! What every history keeps to, whatever happened to the workers.

use std::collections::{BTreeMap, BTreeSet};

use everloop::History;
use everloop_proto::{
    temporal::api::{enums::v1::EventType, history::v1::history_event::Attributes},
    timeline::event_name,
};

/// What has begun and not ended, by the event that began it.
#[derive(Default)]
struct Open {
    /// The scheduled task, and its start.
    task: Option<(i64, Option<i64>)>,
    timers: BTreeSet<i64>,
    /// With their starts.
    activities: BTreeMap<i64, Option<i64>>,
    /// The completed task whose commands come now.
    completed: Option<i64>,
    is_closed: bool,
}

/// Events are numbered without gaps, each follows from one before it, nothing happens twice, and the end comes last.
pub(super) fn check(history: &History) -> Result<(), String> {
    let mut open = Open::default();
    for (event, number) in history.events().iter().zip(1..) {
        let is_start = event.event_type == EventType::WorkflowExecutionStarted as i32;
        let fits = event.event_id == number
            && is_start == (number == 1)
            && !open.is_closed
            && event.attributes.as_ref().is_some_and(|attributes| open.take(number, attributes));
        if !fits {
            return Err(format!("event {number}, {}, cannot follow", event_name(event)));
        }
    }
    let nothing_waits = open.timers.is_empty() && open.activities.is_empty() && open.task.is_none();
    (open.is_closed && nothing_waits).then_some(()).ok_or_else(|| "something has no end".to_owned())
}

impl Open {
    /// Whether an event may come now.
    fn take(&mut self, id: i64, event: &Attributes) -> bool {
        use Attributes as Is;
        match event {
            Is::WorkflowExecutionStartedEventAttributes(_) | Is::WorkflowExecutionSignaledEventAttributes(_) => true,

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
            Is::WorkflowTaskCompletedEventAttributes(done) => {
                self.completed = Some(id);
                self.task.take() == Some((done.scheduled_event_id, Some(done.started_event_id)))
            }

            Is::TimerStartedEventAttributes(timer) => {
                self.timers.insert(id);
                self.completed == Some(timer.workflow_task_completed_event_id)
            }
            Is::TimerFiredEventAttributes(timer) => self.timers.remove(&timer.started_event_id),

            Is::ActivityTaskScheduledEventAttributes(activity) => {
                self.activities.insert(id, None);
                self.completed == Some(activity.workflow_task_completed_event_id)
            }
            Is::ActivityTaskStartedEventAttributes(started) => {
                self.activities.insert(started.scheduled_event_id, Some(id)) == Some(None)
            }
            Is::ActivityTaskCompletedEventAttributes(done) => {
                self.activities.remove(&done.scheduled_event_id) == Some(Some(done.started_event_id))
            }

            Is::WorkflowExecutionCompletedEventAttributes(done) => {
                self.is_closed = true;
                self.completed == Some(done.workflow_task_completed_event_id)
            }
            // Nothing else happens to a purchase.
            _ => false,
        }
    }
}
