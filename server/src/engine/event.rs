//! Events, and the numbers that they have or wait for.

pub(crate) use crate::api::enums::EventType;
pub(crate) use crate::api::history::HistoryEvent;
pub(crate) use crate::api::history::history_event::Attributes;

use crate::engine::time::Time;

/// The identity in events that the server itself causes.
pub(crate) const HISTORY_SERVICE: &str = "history-service";

/// Number of an event within its run, from 1.
pub(crate) type EventId = i64;

/// Stands for an event that has no number yet because it waits in the buffer.
pub(crate) const BUFFERED: EventId = -123;

/// Where an event stands among those that happen while a worker has a workflow task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// At once: the workflow task itself brings it about, so the worker knows of it.
    Now,
    /// After the task.
    Later,
    /// After the task: it starts what this event asked for.
    Starting(EventId),
    /// After the task, and after all that start something: it ends what this event asked for.
    Ending(EventId),
}

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
