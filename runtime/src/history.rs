//! The recorded events of one run.

use std::fmt::Write;

use everloop_proto::temporal::api::history::v1 as wire;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::timeline::{Timeline, event_name};
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};
use prost::{DecodeError, Message};

/// The number of the only field of a `History`.
const EVENTS_TAG: u32 = 1;

/// The history of one run: every event, in order.
///
/// A client's handle fetches a history. A history can be stored as bytes and passed to a
/// [`Replayer`](crate::testing::Replayer).
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    workflow_id: String,
    run_id: String,
    events: Vec<wire::HistoryEvent>,
}

/// The error of bytes that are not an encoded history.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no history: {0}")]
pub struct HistoryError(String);

debug_as_display!(HistoryError);

/// The facts about a run that its first event has.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    pub(crate) workflow_type: String,
}

impl Origin {
    pub(crate) fn of(first: Option<&wire::HistoryEvent>) -> Result<Self, HistoryError> {
        let first = first.ok_or_else(|| HistoryError("there are no events".into()))?;
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = &first.attributes else {
            return Err(HistoryError("the first event is not WorkflowExecutionStarted".into()));
        };
        Ok(Self {
            workflow_id: started.workflow_id.clone(),
            run_id: started.original_execution_run_id.clone(),
            workflow_type: workflow_type(first).to_owned(),
        })
    }
}

impl From<&History> for Origin {
    fn from(history: &History) -> Self {
        Self {
            workflow_id: history.workflow_id.clone(),
            run_id: history.run_id.clone(),
            workflow_type: history.workflow_type().to_owned(),
        }
    }
}

fn workflow_type(first: &wire::HistoryEvent) -> &str {
    match &first.attributes {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
            started.workflow_type.as_ref().map_or("", |kind| &kind.name)
        }
        _ => "",
    }
}

/// The events of an encoded history; each is decoded when the iterator reaches it.
pub(crate) struct EncodedEvents<'a>(pub(crate) &'a [u8]);

impl Iterator for EncodedEvents<'_> {
    type Item = Result<wire::HistoryEvent, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            match next_event(&mut self.0) {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(error) => {
                    self.0 = &[];
                    return Some(Err(HistoryError(error.to_string())));
                }
            }
        }
        None
    }
}

/// Takes one field of a `History` from the bytes; returns `None` if the field is not an event.
fn next_event(bytes: &mut &[u8]) -> Result<Option<wire::HistoryEvent>, DecodeError> {
    let (tag, wire_type) = decode_key(bytes)?;
    if (tag, wire_type) != (EVENTS_TAG, WireType::LengthDelimited) {
        skip_field(wire_type, tag, bytes, DecodeContext::default())?;
        return Ok(None);
    }
    wire::HistoryEvent::decode_length_delimited(bytes).map(Some)
}

impl History {
    pub(crate) fn new(
        workflow_id: impl Into<String>,
        run_id: impl Into<String>,
        events: Vec<wire::HistoryEvent>,
    ) -> Self {
        Self { workflow_id: workflow_id.into(), run_id: run_id.into(), events }
    }

    /// Decodes the bytes of [`to_bytes`](Self::to_bytes), or any encoded `temporal.api.history.v1.History`.
    ///
    /// # Errors
    /// If the bytes are not an encoded history.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HistoryError> {
        let events = EncodedEvents(bytes).collect::<Result<Vec<_>, _>>()?;
        let Origin { workflow_id, run_id, .. } = Origin::of(events.first())?;
        Ok(Self::new(workflow_id, run_id, events))
    }

    /// Encodes the history as a `temporal.api.history.v1.History`.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::History { events: self.events.clone() }.encode_to_vec()
    }

    /// The id of the workflow.
    pub fn workflow_id(&self) -> &str {
        &self.workflow_id
    }

    /// The id of the run.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The workflow's type.
    pub fn workflow_type(&self) -> &str {
        self.events.first().map_or("", workflow_type)
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events' names as in the protocol: `TimerStarted`.
    pub fn event_names(&self) -> impl Iterator<Item = String> {
        self.events.iter().map(event_name)
    }

    /// Formats one line an event: its number, the seconds since the start, its name, and its subject. If the run is open, a line
    /// for each pending activity follows, because a history has no events about attempts that will be retried.
    /// ([`WorkflowDescription::pending_activities`](crate::client::WorkflowDescription::pending_activities) has the attempts.)
    ///
    /// ```text
    ///    1       0.000  WorkflowExecutionStarted         OneClickBuy
    ///    5       0.004  TimerStarted                     timer 1, 10 s
    ///    6       0.004  ActivityTaskScheduled            do_purchase, id 2
    ///                   (activity pending)               do_purchase, id 2, since event 6
    /// ```
    pub fn timeline(&self) -> String {
        let mut timeline = Timeline::default();
        let mut text = String::new();
        for event in &self.events {
            let line = timeline.line(event, |failure| crate::Failure::from_wire(failure.clone()).to_string());
            writeln!(text, "{line}").expect("a string takes everything");
        }
        for line in timeline.pending() {
            writeln!(text, "{line}").expect("a string takes everything");
        }
        text
    }

    /// The events in their wire form, in order. Payloads are decoded by the client's codec.
    pub fn events(&self) -> &[wire::HistoryEvent] {
        &self.events
    }
}

#[cfg(test)]
mod tests {
    use everloop_proto::temporal::api::enums::v1::EventType;

    use super::*;

    fn event(event_id: i64, kind: EventType, nanos: i32, attributes: Attributes) -> wire::HistoryEvent {
        wire::HistoryEvent {
            event_id,
            event_type: kind as i32,
            event_time: Some(prost_types::Timestamp { seconds: 5, nanos }),
            attributes: Some(attributes),
            ..Default::default()
        }
    }

    #[test]
    fn a_history_survives_as_bytes_and_reads_as_a_timeline() {
        let started = wire::WorkflowExecutionStartedEventAttributes {
            workflow_type: Some(crate::raw::WorkflowType { name: "Buy".into() }),
            workflow_id: "buy-1".into(),
            original_execution_run_id: "run".into(),
            ..Default::default()
        };
        let timer = wire::TimerStartedEventAttributes {
            timer_id: "1".into(),
            start_to_fire_timeout: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
            ..Default::default()
        };
        let started = Attributes::WorkflowExecutionStartedEventAttributes(started.into());
        let events = vec![
            event(1, EventType::WorkflowExecutionStarted, 0, started),
            event(2, EventType::TimerStarted, 250_000_000, Attributes::from(timer)),
        ];
        let history = History::new("buy-1", "run", events);
        assert_eq!(History::from_bytes(&history.to_bytes()), Ok(history.clone()));
        let lines = [
            "   1       0.000  WorkflowExecutionStarted         Buy",
            "   2       0.250  TimerStarted                     timer 1, 10 s",
        ];
        assert_eq!(history.timeline().lines().collect::<Vec<_>>(), lines);
        assert!(History::from_bytes(b"").is_err() && History::from_bytes(b"\xff\xff").is_err());
        let bytes = history.to_bytes();
        for cut in 1..bytes.len() {
            // Bytes that are cut between two events are a shorter history.
            let shorter = History::from_bytes(&bytes[..cut]).map(|history| history.len());
            assert!(shorter.is_err() || shorter == Ok(1), "{cut}: {shorter:?}");
        }
        // Additions of later versions of the protocol are ignored.
        let later = [&b"\x12\x02hi"[..], &bytes, b"\x18\x07"].concat();
        assert_eq!(History::from_bytes(&later), Ok(history));
    }
}
