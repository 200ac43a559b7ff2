//! What kind of event is what: which wait in the buffer, which finish something, which close the run.

pub(crate) use crate::api::enums::EventType;
pub(crate) use crate::api::history::HistoryEvent;
pub(crate) use crate::api::history::history_event::Attributes;

use super::time::Time;

/// The identity in events that the server itself causes.
pub(crate) const HISTORY_SERVICE: &str = "history-service";

/// Number of an event within its run, from 1.
pub(crate) type EventId = i64;

/// Stands for an event that has no number yet because it waits in the buffer.
pub(crate) const BUFFERED: EventId = -123;

/// Makes an event without a number; the history gives it one.
pub(crate) fn event(time: Time, attributes: impl Into<Attributes>) -> HistoryEvent {
    let attributes = attributes.into();
    HistoryEvent {
        event_time: Some(time.into()),
        event_type: event_type(&attributes) as i32,
        attributes: Some(attributes),
        ..HistoryEvent::default()
    }
}

/// Whether the event must wait while a workflow task is in progress.
///
/// What the workflow task itself brings about never waits: the worker knows of it already.
pub(crate) fn waits_in_buffer(event: &HistoryEvent) -> bool {
    use EventType as T;
    !matches!(
        event.event_type(),
        T::WorkflowExecutionStarted
            | T::WorkflowExecutionCompleted
            | T::WorkflowExecutionFailed
            | T::WorkflowExecutionTimedOut
            | T::WorkflowTaskScheduled
            | T::WorkflowTaskStarted
            | T::WorkflowTaskCompleted
            | T::WorkflowTaskTimedOut
            | T::WorkflowTaskFailed
            | T::ActivityTaskScheduled
            | T::ActivityTaskCancelRequested
            | T::TimerStarted
            | T::TimerCanceled
            | T::WorkflowExecutionCanceled
            | T::MarkerRecorded
            | T::WorkflowExecutionTerminated
            | T::WorkflowExecutionUpdateAccepted
            | T::WorkflowExecutionUpdateCompleted
            | T::WorkflowPropertiesModified
    )
}

/// Whether the event ends something that another event started; such events leave the buffer last.
pub(crate) fn finishes_something(event: &HistoryEvent) -> bool {
    use EventType as T;
    matches!(
        event.event_type(),
        T::ActivityTaskCompleted | T::ActivityTaskFailed | T::ActivityTaskTimedOut | T::ActivityTaskCanceled
    )
}

/// The scheduled event of the activity that this event finishes.
pub(crate) fn finished_activity(event: &HistoryEvent) -> Option<EventId> {
    match event.attributes.as_ref()? {
        Attributes::ActivityTaskCompletedEventAttributes(a) => Some(a.scheduled_event_id),
        Attributes::ActivityTaskFailedEventAttributes(a) => Some(a.scheduled_event_id),
        Attributes::ActivityTaskTimedOutEventAttributes(a) => Some(a.scheduled_event_id),
        Attributes::ActivityTaskCanceledEventAttributes(a) => Some(a.scheduled_event_id),
        _ => None,
    }
}

/// Where a finishing event names the event that started what it finishes.
pub(crate) fn started_event_id_mut(event: &mut HistoryEvent) -> Option<&mut EventId> {
    match event.attributes.as_mut()? {
        Attributes::ActivityTaskCompletedEventAttributes(a) => Some(&mut a.started_event_id),
        Attributes::ActivityTaskFailedEventAttributes(a) => Some(&mut a.started_event_id),
        Attributes::ActivityTaskTimedOutEventAttributes(a) => Some(&mut a.started_event_id),
        Attributes::ActivityTaskCanceledEventAttributes(a) => Some(&mut a.started_event_id),
        _ => None,
    }
}

/// The type that goes with attributes this engine writes.
fn event_type(attributes: &Attributes) -> EventType {
    use Attributes as A;
    use EventType as T;
    match attributes {
        A::WorkflowExecutionStartedEventAttributes(_) => T::WorkflowExecutionStarted,
        A::WorkflowExecutionCompletedEventAttributes(_) => T::WorkflowExecutionCompleted,
        A::WorkflowExecutionFailedEventAttributes(_) => T::WorkflowExecutionFailed,
        A::WorkflowExecutionTimedOutEventAttributes(_) => T::WorkflowExecutionTimedOut,
        A::WorkflowTaskScheduledEventAttributes(_) => T::WorkflowTaskScheduled,
        A::WorkflowTaskStartedEventAttributes(_) => T::WorkflowTaskStarted,
        A::WorkflowTaskCompletedEventAttributes(_) => T::WorkflowTaskCompleted,
        A::WorkflowTaskTimedOutEventAttributes(_) => T::WorkflowTaskTimedOut,
        A::WorkflowTaskFailedEventAttributes(_) => T::WorkflowTaskFailed,
        A::ActivityTaskScheduledEventAttributes(_) => T::ActivityTaskScheduled,
        A::ActivityTaskStartedEventAttributes(_) => T::ActivityTaskStarted,
        A::ActivityTaskCompletedEventAttributes(_) => T::ActivityTaskCompleted,
        A::ActivityTaskFailedEventAttributes(_) => T::ActivityTaskFailed,
        A::ActivityTaskTimedOutEventAttributes(_) => T::ActivityTaskTimedOut,
        A::ActivityTaskCancelRequestedEventAttributes(_) => T::ActivityTaskCancelRequested,
        A::ActivityTaskCanceledEventAttributes(_) => T::ActivityTaskCanceled,
        A::TimerStartedEventAttributes(_) => T::TimerStarted,
        A::TimerFiredEventAttributes(_) => T::TimerFired,
        A::TimerCanceledEventAttributes(_) => T::TimerCanceled,
        A::WorkflowExecutionCancelRequestedEventAttributes(_) => T::WorkflowExecutionCancelRequested,
        A::WorkflowExecutionCanceledEventAttributes(_) => T::WorkflowExecutionCanceled,
        A::MarkerRecordedEventAttributes(_) => T::MarkerRecorded,
        A::WorkflowExecutionSignaledEventAttributes(_) => T::WorkflowExecutionSignaled,
        A::WorkflowExecutionTerminatedEventAttributes(_) => T::WorkflowExecutionTerminated,
        A::WorkflowExecutionUpdateAcceptedEventAttributes(_) => T::WorkflowExecutionUpdateAccepted,
        A::WorkflowExecutionUpdateCompletedEventAttributes(_) => T::WorkflowExecutionUpdateCompleted,
        A::WorkflowExecutionOptionsUpdatedEventAttributes(_) => T::WorkflowExecutionOptionsUpdated,
        A::WorkflowPropertiesModifiedEventAttributes(_) => T::WorkflowPropertiesModified,
        // Events of features that are refused before anything is written.
        _ => T::Unspecified,
    }
}
