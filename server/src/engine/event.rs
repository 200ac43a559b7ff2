//! Events, and the numbers that they have or wait for.

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
        event_type: attributes.event_type() as i32,
        attributes: Some(attributes),
        ..HistoryEvent::default()
    }
}
