//! The events of one open run, each encoded once.
//!
//! A batch holds what one transaction wrote, in the wire form of a `History` message: what is stored, what a poll
//! sends and what a reader gets are the same bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{decode_varint, encode_varint};

use super::event::{EventId, HistoryEvent};
use crate::store::HistoryBatch;

/// Key of `History.events` on the wire: field 1, length delimited.
const EVENTS_KEY: u8 = 0x0a;

/// Decodes the events of a batch from `first` up to, but not including, `end`.
pub(crate) fn decode(batch: &HistoryBatch, first: EventId, end: EventId, into: &mut Vec<HistoryEvent>) {
    let mut rest = batch.events.clone();
    let mut id = batch.first_event_id;
    while rest.has_remaining() && id < end {
        debug_assert_eq!(rest[0], EVENTS_KEY);
        rest.advance(1);
        let Ok(length) = decode_varint(&mut rest) else { return };
        let event = rest.split_to(length as usize);
        if id >= first {
            // The bytes were written by `History::append`.
            into.extend(HistoryEvent::decode(event));
        }
        id += 1;
    }
}

/// Decodes all events of some batches.
pub(crate) fn decode_all(batches: &[HistoryBatch]) -> Vec<HistoryEvent> {
    let mut events = Vec::new();
    for batch in batches {
        decode(batch, batch.first_event_id, batch.next_event_id, &mut events);
    }
    events
}

/// Where a history stood before a transition that may have to be taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    batches: usize,
    next_event_id: EventId,
}

/// The history of one open run.
#[derive(Debug)]
pub(crate) struct History {
    batches: Vec<HistoryBatch>,
    /// How many batches have been handed out for writing.
    handed_out: usize,
    open: BytesMut,
    next_event_id: EventId,
    size_bytes: i64,
    /// How many transitions have written something.
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

    /// A history that was written before.
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

    /// Adds an event and gives it its number.
    pub(crate) fn append(&mut self, mut event: HistoryEvent) -> EventId {
        let id = self.next_event_id;
        self.next_event_id += 1;
        event.event_id = id;
        // Any number that grows will do; nothing reads it.
        event.task_id = 1_048_576 + id;
        let length = event.encoded_len();
        self.open.reserve(length + 6);
        self.open.put_u8(EVENTS_KEY);
        encode_varint(length as u64, &mut self.open);
        event.encode_raw(&mut self.open);
        id
    }

    /// Ends the current batch: what follows is written as another one.
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

    /// Ends the transition and returns the batches nobody has seen yet.
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
        Mark { batches: self.batches.len(), next_event_id: self.next_event_id }
    }

    /// Forgets what was appended since `mark`, which must be of the current transition.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        debug_assert!(mark.batches >= self.handed_out, "what was handed out stays");
        self.batches.truncate(mark.batches);
        self.open.clear();
        self.next_event_id = mark.next_event_id;
    }

    /// Number of the next event.
    pub(crate) fn next_event_id(&self) -> EventId {
        self.next_event_id
    }

    /// Encoded size of everything handed out.
    pub(crate) fn size_bytes(&self) -> i64 {
        self.size_bytes
    }

    /// How many transitions have written something.
    pub(crate) fn transitions(&self) -> i64 {
        self.transitions
    }

    pub(crate) fn batches(&self) -> &[HistoryBatch] {
        &self.batches
    }

    /// The batches from the one that holds `event_id` on.
    pub(crate) fn batches_from(&self, event_id: EventId) -> &[HistoryBatch] {
        let start = self.batches.partition_point(|batch| batch.next_event_id <= event_id);
        &self.batches[start..]
    }

    /// Decodes one event.
    pub(crate) fn event(&self, event_id: EventId) -> Option<HistoryEvent> {
        let mut found = Vec::with_capacity(1);
        decode(self.batches_from(event_id).first()?, event_id, event_id + 1, &mut found);
        found.pop()
    }

    /// As [`History::event`], for events of the current transition too.
    pub(crate) fn event_in_progress(&self, event_id: EventId) -> Option<HistoryEvent> {
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
        decode(&open, event_id, event_id + 1, &mut found);
        found.pop()
    }

    /// Gives up the history, as batches, when the run closes.
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
        assert_eq!(history.event(3), None);
    }
}
