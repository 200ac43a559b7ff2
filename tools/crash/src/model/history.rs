//! Rules for every history, and the traces of the load in it.

use everloop_proto::temporal::api::enums::v1::{EventType, WorkflowExecutionStatus as Status};
use everloop_proto::temporal::api::history::v1::{HistoryEvent, history_event::Attributes};
use everloop_proto::timeline::Timeline;
use everloop_proto::well_formed;

use crate::calls::from_json;

/// Returns the violations in a history of the load, whose workflows complete only when nothing is pending.
pub(crate) fn check(events: &[HistoryEvent]) -> Result<(), String> {
    let left = well_formed::check(events)?;
    let is_completed = status(events) == Status::Completed;
    if is_completed && !left.is_empty() { Err(format!("it completed and left {left}")) } else { Ok(()) }
}

/// Returns the status of the run after the last event.
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

/// Counts the signals that workflow tasks have delivered to the workflow.
pub(crate) fn signals_brought(events: &[HistoryEvent]) -> u32 {
    let started = events.iter().rev().find_map(|event| match &event.attributes {
        Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) => Some(completed.started_event_id),
        _ => None,
    });
    let before = events.iter().take_while(|event| Some(event.event_id) < started);
    before.filter(|event| event.event_type() == EventType::WorkflowExecutionSignaled).map(|_| 1).sum()
}

/// Formats a history for reports.
pub(crate) fn text(events: &[HistoryEvent]) -> String {
    let mut timeline = Timeline::default();
    let lines = events.iter().map(|event| timeline.line(event, |failure| failure.message.clone()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The place in a history where an operation left a trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trace {
    Start,
    Signal,
    Accepted,
    /// With its result.
    Updated(Option<String>),
    Cancel,
    Terminate,
    /// The activity, and its attempt according to this history.
    Activity(String, i32),
    WorkflowTask,
}

/// Returns every trace of an operation in a history, with the operation's id.
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
        // The worker of the program itself has another identity, which is no operation's id.
        Is::WorkflowTaskCompletedEventAttributes(done) if done.identity.contains("-w") => {
            (done.identity.clone(), Trace::WorkflowTask)
        }
        _ => return None,
    })
}
