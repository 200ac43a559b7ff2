//! What every history keeps to, and what of the load can be found in it.

use std::collections::{BTreeMap, BTreeSet};

use everloop_proto::temporal::api::enums::v1::{EventType, WorkflowExecutionStatus as Status};
use everloop_proto::temporal::api::history::v1::{HistoryEvent, history_event::Attributes};
use everloop_proto::timeline::{Timeline, event_name};

use crate::calls::from_json;

/// What is wrong with a history: nothing, if events are numbered without gaps, each follows from one before it, nothing
/// happens twice, and the end comes last.
pub(crate) fn check(events: &[HistoryEvent]) -> Result<(), String> {
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
    if events.is_empty() { Err("it is empty".to_owned()) } else { Ok(()) }
}

/// How the last event leaves the run.
pub(crate) fn status(events: &[HistoryEvent]) -> Status {
    match events.last().map(HistoryEvent::event_type) {
        Some(EventType::WorkflowExecutionCompleted) => Status::Completed,
        Some(EventType::WorkflowExecutionFailed) => Status::Failed,
        Some(EventType::WorkflowExecutionCanceled) => Status::Canceled,
        Some(EventType::WorkflowExecutionTerminated) => Status::Terminated,
        Some(EventType::WorkflowExecutionTimedOut) => Status::TimedOut,
        _ => Status::Running,
    }
}

/// The signals that workflow tasks have brought to the workflow.
pub(crate) fn signals_brought(events: &[HistoryEvent]) -> u32 {
    let started = events.iter().rev().find_map(|event| match &event.attributes {
        Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) => Some(completed.started_event_id),
        _ => None,
    });
    let before = events.iter().take_while(|event| Some(event.event_id) < started);
    before.filter(|event| event.event_type() == EventType::WorkflowExecutionSignaled).map(|_| 1).sum()
}

/// A history for people.
pub(crate) fn text(events: &[HistoryEvent]) -> String {
    let mut timeline = Timeline::default();
    let lines = events.iter().map(|event| timeline.line(event, |failure| failure.message.clone()));
    lines.collect::<Vec<_>>().join("\n")
}

/// What has begun and not ended, by the event that began it.
#[derive(Default)]
struct Open {
    /// The scheduled task, and its start.
    task: Option<(i64, Option<i64>)>,
    timers: BTreeMap<i64, String>,
    timer_ids: BTreeSet<String>,
    /// With their starts.
    activities: BTreeMap<i64, Option<i64>>,
    activity_ids: BTreeSet<String>,
    /// Updates accepted, and whether they are done.
    updates: BTreeMap<String, bool>,
    /// The completed task whose commands come now.
    completed: Option<i64>,
    is_cancel_requested: bool,
    is_closed: bool,
}

impl Open {
    /// Whether an event may come now.
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
                let nothing_waits = self.timers.is_empty() && self.activities.is_empty();
                nothing_waits && self.completed == Some(done.workflow_task_completed_event_id)
            }
            Is::WorkflowExecutionFailedEventAttributes(done) => {
                self.is_closed = true;
                self.completed == Some(done.workflow_task_completed_event_id)
            }
            Is::WorkflowExecutionCanceledEventAttributes(done) => {
                self.is_closed = true;
                self.is_cancel_requested && self.completed == Some(done.workflow_task_completed_event_id)
            }
            Is::WorkflowExecutionTerminatedEventAttributes(_) => {
                self.is_closed = true;
                true
            }
            // Nothing else happens to these workflows.
            _ => false,
        }
    }

    fn end_activity(&mut self, scheduled: i64, started: i64) -> bool {
        self.activities.remove(&scheduled) == Some((started != 0).then_some(started))
    }
}

/// Where an operation shows in a history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trace {
    Start,
    Signal,
    Accepted,
    /// With its result.
    Updated(Option<String>),
    Cancel,
    Terminate,
    /// The activity and the attempt that this history has.
    Activity(String, i32),
    WorkflowTask,
}

/// Everything in a history that an operation has left there, with the operation's id.
pub(crate) fn traces(events: &[HistoryEvent]) -> Vec<(String, Trace)> {
    events.iter().filter_map(|event| trace(event, events)).filter(|(id, _)| !id.is_empty()).collect()
}

fn trace(event: &HistoryEvent, events: &[HistoryEvent]) -> Option<(String, Trace)> {
    use Attributes as Is;
    Some(match event.attributes.as_ref()? {
        Is::WorkflowExecutionStartedEventAttributes(started) => (started.workflow_id.clone(), Trace::Start),
        Is::WorkflowExecutionSignaledEventAttributes(signaled) => {
            // Input and request id are the same text.
            let input: Option<String> = from_json(signaled.input.as_ref());
            let id =
                if input.as_ref() == Some(&signaled.request_id) { input } else { Some("a mixed-up signal".into()) };
            (id.unwrap_or_default(), Trace::Signal)
        }
        Is::WorkflowExecutionUpdateAcceptedEventAttributes(accepted) => {
            (accepted.protocol_instance_id.clone(), Trace::Accepted)
        }
        Is::WorkflowExecutionUpdateCompletedEventAttributes(done) => {
            use everloop_proto::temporal::api::update::v1::outcome::Value;
            let result = match done.outcome.as_ref().and_then(|outcome| outcome.value.as_ref()) {
                Some(Value::Success(payloads)) => from_json(Some(payloads)),
                _ => None,
            };
            (done.meta.as_ref()?.update_id.clone(), Trace::Updated(result))
        }
        Is::WorkflowExecutionCancelRequestedEventAttributes(asked) => (asked.cause.clone(), Trace::Cancel),
        Is::WorkflowExecutionTerminatedEventAttributes(ended) => (ended.reason.clone(), Trace::Terminate),
        Is::ActivityTaskCompletedEventAttributes(done) => {
            let at = |id: i64| events.get(usize::try_from(id - 1).ok()?)?.attributes.as_ref();
            let activity_id = match at(done.scheduled_event_id)? {
                Is::ActivityTaskScheduledEventAttributes(scheduled) => scheduled.activity_id.clone(),
                _ => String::new(),
            };
            let attempt = match at(done.started_event_id)? {
                Is::ActivityTaskStartedEventAttributes(started) => started.attempt,
                _ => 0,
            };
            (from_json(done.result.as_ref())?, Trace::Activity(activity_id, attempt))
        }
        // The worker of the program itself has an identity of its own, and tells nothing.
        Is::WorkflowTaskCompletedEventAttributes(done) if done.identity.contains("-w") => {
            (done.identity.clone(), Trace::WorkflowTask)
        }
        _ => return None,
    })
}
