//! The events of one open run, each encoded once.
//!
//! A batch holds the events that one transaction wrote, in the wire form of a `History` message: the same bytes are
//! stored and sent to workers and readers.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{decode_varint, encode_varint};

use crate::engine::event::{EventId, HistoryEvent};
use crate::model::HistoryBatch;

/// Key of `History.events` on the wire: field 1, length delimited.
const EVENTS_KEY: u8 = 0x0a;

/// An event that cannot be read: the store is damaged, or another program wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event_id} cannot be read: {problem}")]
pub(crate) struct DamagedEvent {
    event_id: EventId,
    problem: String,
}

impl DamagedEvent {
    /// The event is missing.
    pub(crate) fn missing(event_id: EventId) -> Self {
        Self { event_id, problem: "it is missing".to_owned() }
    }

    /// The event is of another type than the reference to it expects.
    pub(crate) fn other_than(event_id: EventId, expected: &str) -> Self {
        Self { event_id, problem: format!("it is not {expected}") }
    }
}

/// Decodes the events of a batch from `first` up to, but not including, `end`.
///
/// # Errors
///
/// Returns the first event that cannot be read. The events before it are in `into`.
pub(crate) fn decode(
    batch: &HistoryBatch,
    first: EventId,
    end: EventId,
    into: &mut Vec<HistoryEvent>,
) -> Result<(), DamagedEvent> {
    let mut rest = batch.events.clone();
    for event_id in batch.first_event_id..batch.next_event_id.min(end) {
        let damaged = |problem: String| DamagedEvent { event_id, problem };
        let bytes = take_event(&mut rest).map_err(damaged)?;
        if event_id < first {
            continue;
        }
        let event = HistoryEvent::decode(bytes).map_err(|error| damaged(error.to_string()))?;
        if event.event_id != event_id {
            return Err(damaged(format!("event {} is in its place", event.event_id)));
        }
        into.push(event);
    }
    Ok(())
}

/// Removes the bytes of the next event from a batch.
fn take_event(rest: &mut Bytes) -> Result<Bytes, String> {
    if !rest.has_remaining() {
        return Err("its batch ends before it".to_owned());
    }
    if rest.get_u8() != EVENTS_KEY {
        return Err("no event begins in its place".to_owned());
    }
    let length = decode_varint(rest).map_err(|error| error.to_string())?;
    match usize::try_from(length) {
        Ok(length) if length <= rest.remaining() => Ok(rest.split_to(length)),
        _ => Err("its batch ends within it".to_owned()),
    }
}

/// Decodes all events of consecutive batches.
///
/// # Errors
///
/// Returns the first event that cannot be read or is missing.
pub(crate) fn decode_all(batches: &[HistoryBatch]) -> Result<Vec<HistoryEvent>, DamagedEvent> {
    let mut events = Vec::new();
    let mut next = batches.first().map_or(1, |batch| batch.first_event_id);
    for batch in batches {
        if batch.first_event_id != next {
            return Err(DamagedEvent::missing(next));
        }
        next = batch.next_event_id;
        decode(batch, batch.first_event_id, batch.next_event_id, &mut events)?;
    }
    Ok(events)
}

/// The end of a history before a transition that may have to be undone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    batches: usize,
    next_event_id: EventId,
    size_bytes: i64,
    transitions: i64,
}

/// The history of one open run.
#[derive(Debug)]
pub(crate) struct History {
    batches: Vec<HistoryBatch>,
    /// How many batches have been returned for writing.
    handed_out: usize,
    open: BytesMut,
    next_event_id: EventId,
    size_bytes: i64,
    /// How many transitions have written events.
    transitions: i64,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            batches: Vec::new(),
            handed_out: 0,
            open: BytesMut::new(),
            next_event_id: 1,
            size_bytes: 0,
            transitions: 0,
        }
    }

    /// Creates a history from stored batches.
    pub(crate) fn recovered(batches: Vec<HistoryBatch>) -> Self {
        Self {
            handed_out: batches.len(),
            next_event_id: batches.last().map_or(1, |batch| batch.next_event_id),
            size_bytes: batches.iter().map(|batch| batch.events.len() as i64).sum(),
            transitions: batches.last().map_or(0, |batch| batch.transition),
            batches,
            ..Self::new()
        }
    }

    /// Appends an event and numbers it.
    pub(crate) fn append(&mut self, mut event: HistoryEvent) -> EventId {
        let id = self.next_event_id;
        self.next_event_id += 1;
        event.event_id = id;
        // The number must grow; no client reads it.
        event.task_id = 1_048_576 + id;
        let length = event.encoded_len();
        self.open.reserve(length + 6);
        self.open.put_u8(EVENTS_KEY);
        encode_varint(length as u64, &mut self.open);
        event.encode_raw(&mut self.open);
        id
    }

    /// Ends the current batch: later events go into another one.
    pub(crate) fn cut(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let first_event_id = self.batches.last().map_or(1, |batch| batch.next_event_id);
        self.batches.push(HistoryBatch {
            first_event_id,
            next_event_id: self.next_event_id,
            transition: self.transitions + 1,
            events: self.open.split().freeze(),
        });
    }

    /// Ends the transition and returns the batches that have not been returned before.
    pub(crate) fn hand_out(&mut self) -> &[HistoryBatch] {
        self.cut();
        let new = &self.batches[self.handed_out..];
        self.handed_out = self.batches.len();
        self.transitions += i64::from(!new.is_empty());
        self.size_bytes += new.iter().map(|batch| batch.events.len() as i64).sum::<i64>();
        new
    }

    pub(crate) fn mark(&self) -> Mark {
        debug_assert!(self.open.is_empty(), "a transition starts with nothing open");
        Mark {
            batches: self.batches.len(),
            next_event_id: self.next_event_id,
            size_bytes: self.size_bytes,
            transitions: self.transitions,
        }
    }

    /// Removes the events appended since `mark`, which must belong to the current transition. The batches of its steps
    /// must not have been written yet.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.batches.truncate(mark.batches);
        self.open.clear();
        self.handed_out = self.handed_out.min(mark.batches);
        self.next_event_id = mark.next_event_id;
        self.size_bytes = mark.size_bytes;
        self.transitions = mark.transitions;
    }

    /// The number of the next event.
    pub(crate) fn next_event_id(&self) -> EventId {
        self.next_event_id
    }

    /// The encoded size of all returned batches.
    pub(crate) fn size_bytes(&self) -> i64 {
        self.size_bytes
    }

    /// The encoded size of the events that have not been returned yet.
    pub(crate) fn pending_bytes(&self) -> i64 {
        let cut = self.batches[self.handed_out..].iter().map(|batch| batch.events.len()).sum::<usize>();
        (cut + self.open.len()) as i64
    }

    /// How many transitions have written events.
    pub(crate) fn transitions(&self) -> i64 {
        self.transitions
    }

    pub(crate) fn batches(&self) -> &[HistoryBatch] {
        &self.batches
    }

    /// The batches from the one that contains `event_id`.
    pub(crate) fn batches_from(&self, event_id: EventId) -> &[HistoryBatch] {
        let start = self.batches.partition_point(|batch| batch.next_event_id <= event_id);
        &self.batches[start..]
    }

    /// Decodes one event.
    pub(crate) fn event(&self, event_id: EventId) -> Result<HistoryEvent, DamagedEvent> {
        let mut found = Vec::with_capacity(1);
        if let Some(batch) = self.batches_from(event_id).first() {
            decode(batch, event_id, event_id + 1, &mut found)?;
        }
        found.pop().ok_or_else(|| DamagedEvent::missing(event_id))
    }

    /// As [`History::event`], for events of the current transition too.
    pub(crate) fn event_in_progress(&self, event_id: EventId) -> Result<HistoryEvent, DamagedEvent> {
        let written = self.batches.last().map_or(1, |batch| batch.next_event_id);
        if event_id < written {
            return self.event(event_id);
        }
        let open = HistoryBatch {
            first_event_id: written,
            next_event_id: self.next_event_id,
            transition: self.transitions + 1,
            events: Bytes::copy_from_slice(&self.open),
        };
        let mut found = Vec::with_capacity(1);
        decode(&open, event_id, event_id + 1, &mut found)?;
        found.pop().ok_or_else(|| DamagedEvent::missing(event_id))
    }

    /// Converts the history into its batches when the run closes.
    pub(crate) fn into_batches(self) -> Vec<HistoryBatch> {
        self.batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::history::History as WireHistory;

    fn named(reason: &str) -> HistoryEvent {
        use crate::api::history::WorkflowExecutionTerminatedEventAttributes;
        use crate::engine::event::event;
        use crate::engine::time::Time;
        event(
            Time::from_nanos(1),
            WorkflowExecutionTerminatedEventAttributes { reason: reason.to_owned(), ..Default::default() },
        )
    }

    #[test]
    fn a_batch_is_a_history_message() {
        let mut history = History::new();
        history.append(named("a"));
        history.append(named("b"));
        let batch = history.hand_out()[0].clone();
        let decoded = WireHistory::decode(batch.events.clone()).unwrap();
        assert_eq!(decoded.events.iter().map(|e| e.event_id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((batch.first_event_id, batch.next_event_id), (1, 3));
        assert_eq!(history.event(2).unwrap(), decoded.events[1]);
        assert_eq!(history.size_bytes(), batch.events.len() as i64);
        assert!(history.hand_out().is_empty());
    }

    #[test]
    fn a_roll_back_reuses_the_numbers() {
        let mut history = History::new();
        history.append(named("a"));
        history.hand_out();
        let mark = history.mark();
        history.append(named("b"));
        history.cut();
        history.append(named("c"));
        history.roll_back(mark);
        assert_eq!(history.append(named("d")), 2);
        history.hand_out();
        assert_eq!(history.event(2).unwrap().attributes, named("d").attributes);
        assert_eq!(history.event(3), Err(DamagedEvent::missing(3)));
    }

    /// A wrong length in a batch used to panic, and an unreadable event used to be skipped.
    #[test]
    fn every_damage_to_a_batch_is_an_error() {
        let mut history = History::new();
        history.append(named("a"));
        history.append(named("b"));
        let whole = history.hand_out()[0].clone();
        let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = whole.events.to_vec();
            change(&mut bytes);
            let batch = HistoryBatch { events: bytes.into(), ..whole.clone() };
            decode_all(&[batch]).unwrap_err().to_string()
        };
        let second = 2 + usize::from(whole.events[1]);
        assert_eq!(damaged(&|bytes| bytes[0] = 0x12), "event 1 cannot be read: no event begins in its place");
        assert_eq!(damaged(&|bytes| bytes[second + 1] = 0x7f), "event 2 cannot be read: its batch ends within it");
        assert_eq!(damaged(&|bytes| bytes.truncate(second)), "event 2 cannot be read: its batch ends before it");
        assert_eq!(
            damaged(&|bytes| bytes.copy_within(..second, second)),
            "event 2 cannot be read: event 1 is in its place"
        );
        for at in 0..whole.events.len() {
            // Any change of a byte must not panic and must not skip an event.
            let mut bytes = whole.events.to_vec();
            bytes[at] ^= 0xff;
            let batch = HistoryBatch { events: bytes.into(), ..whole.clone() };
            if let Ok(events) = decode_all(&[batch]) {
                assert_eq!(events.len(), 2, "byte {at}");
            }
        }
        let gap = HistoryBatch { first_event_id: 4, next_event_id: 5, ..whole.clone() };
        assert_eq!(decode_all(&[whole, gap]), Err(DamagedEvent::missing(3)));
    }
}
