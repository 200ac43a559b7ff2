//! The updates of one run, from their admission to their outcome.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::{Message as _, Name};
use prost_types::Any;

use crate::api::protocol::Message;
use crate::api::protocol::message::SequencingId;
use crate::api::update::{Outcome, Request};
use crate::engine::error::Refusal;
use crate::engine::event::EventId;
use crate::limits::{UPDATES_IN_FLIGHT_BYTES_MAX, UPDATES_IN_FLIGHT_MAX, UPDATES_MANY, UPDATES_MAX};

/// The progress of an update.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum UpdateProgress {
    Admitted,
    Accepted,
    Completed(Box<Outcome>),
}

/// The state of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateState {
    Admitted,
    Accepted,
    /// The event that contains the outcome.
    Completed(EventId),
}

/// A notice for the callers that wait for an update.
#[derive(Clone, Debug)]
pub(crate) enum UpdateNotice {
    Accepted,
    Completed(Box<Outcome>),
    Aborted(Refusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Admitted,
    /// A worker has received it.
    Sent,
    Accepted {
        event_id: EventId,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Update {
    /// The order of admission.
    number: u64,
    pub(super) request: Arc<Request>,
    pub(super) stage: Stage,
}

/// The updates of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Updates {
    pub(super) live: BTreeMap<Arc<str>, Update>,
    /// The completed updates, with the event that contains the outcome.
    pub(super) completed: BTreeMap<Arc<str>, EventId>,
    next_number: u64,
}

impl Updates {
    pub(crate) fn nearly_too_many(&self) -> bool {
        self.live.len() + self.completed.len() >= UPDATES_MANY
    }

    pub(in crate::engine) fn find(&self, id: &str) -> Option<UpdateState> {
        match self.live.get(id) {
            Some(update) if matches!(update.stage, Stage::Accepted { .. }) => Some(UpdateState::Accepted),
            Some(_) => Some(UpdateState::Admitted),
            None => self.completed.get(id).map(|event_id| UpdateState::Completed(*event_id)),
        }
    }

    /// Whether an update waits to be sent or for the worker's reply to the request.
    pub(crate) fn wait_to_be_sent(&self) -> bool {
        self.live.values().any(|update| matches!(update.stage, Stage::Admitted | Stage::Sent))
    }

    /// Returns the messages for a started workflow task, in the order of admission.
    pub(crate) fn send(&mut self, started_event_id: EventId, again: bool) -> Vec<Message> {
        let mut sent: Vec<_> = self
            .live
            .iter_mut()
            .filter(|(_, update)| update.stage == Stage::Admitted || (again && update.stage == Stage::Sent))
            .map(|(id, update)| {
                update.stage = Stage::Sent;
                let message = Message {
                    id: format!("{id}/request"),
                    protocol_instance_id: id.to_string(),
                    sequencing_id: Some(SequencingId::EventId(started_event_id - 1)),
                    body: Some(any(&*update.request)),
                };
                (update.number, message)
            })
            .collect();
        sent.sort_by_key(|(number, _)| *number);
        sent.into_iter().map(|(_, message)| message).collect()
    }

    pub(super) fn check_room(&self, request: &Request) -> Result<(), Refusal> {
        if self.live.len() >= UPDATES_IN_FLIGHT_MAX {
            return Err(Refusal::TooMany(format!(
                "limit on number of concurrent in-flight updates has been reached ({UPDATES_IN_FLIGHT_MAX})"
            )));
        }
        let bytes: usize = self.live.values().map(|update| update.request.encoded_len()).sum();
        if bytes + request.encoded_len() > UPDATES_IN_FLIGHT_BYTES_MAX {
            return Err(Refusal::TooMany(format!(
                "limit on total size of in-flight updates has been reached ({UPDATES_IN_FLIGHT_BYTES_MAX} bytes)"
            )));
        }
        self.check_total()
    }

    pub(super) fn check_total(&self) -> Result<(), Refusal> {
        if self.live.len() + self.completed.len() >= UPDATES_MAX {
            return Err(Refusal::FailedPrecondition(format!(
                "The limit on the total number of distinct updates in this workflow has been reached ({UPDATES_MAX})."
            )));
        }
        Ok(())
    }

    /// The completed updates, with the event that contains the outcome.
    pub(in crate::engine) fn completed(&self) -> &BTreeMap<Arc<str>, EventId> {
        &self.completed
    }

    /// The updates that the history contains.
    pub(in crate::engine) fn written(&self) -> impl std::fmt::Debug + use<> {
        let accepted = |update: &Update| matches!(update.stage, Stage::Accepted { .. }).then_some(update.stage);
        let live: Vec<_> = self.live.iter().filter_map(|(id, it)| Some((id.clone(), accepted(it)?))).collect();
        (live, self.completed.clone())
    }

    pub(super) fn admit(&mut self, id: Arc<str>, request: Request) {
        let update = Update { number: self.next_number, request: Arc::new(request), stage: Stage::Admitted };
        self.next_number += 1;
        self.live.insert(id, update);
    }
}

fn any<M: Name>(message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/{}", M::full_name()), value: message.encode_to_vec() }
}
