//! Updates: requests with a response, their messages, and the commands that determine the order of the messages.

use std::fmt;

use everloop_proto::temporal::api::command::v1::ProtocolMessageCommandAttributes;
use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;
use everloop_proto::temporal::api::history::v1::{HistoryEvent, WorkflowExecutionUpdateAcceptedEventAttributes};
use everloop_proto::temporal::api::protocol::v1::{Message, message::SequencingId};
use everloop_proto::temporal::api::update::v1 as wire;
use prost::Name;
use prost_types::Any;

use crate::data::{Failure, Headers};
use crate::raw;

/// An update that a task delivered, or that history accepted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: Vec<raw::Payload>,
    /// The id of the message, for the acceptance.
    pub(crate) message_id: String,
    pub(crate) sequencing_event_id: i64,
    pub(crate) request: wire::Request,
}

impl Update {
    /// Reads the update in a delivered message. `None` if the message belongs to another protocol.
    pub(crate) fn from_message(message: &Message) -> Option<Result<Self, prost::DecodeError>> {
        let body = message.body.as_ref()?;
        if body.type_url.rsplit('/').next() != Some(wire::Request::full_name().as_str()) {
            return None;
        }
        let decoded = <wire::Request as prost::Message>::decode(body.value.as_slice()).map(|request| {
            let sequencing_event_id = match message.sequencing_id {
                Some(SequencingId::EventId(id)) => id,
                _ => 0,
            };
            let mut update = Self::from_request(request);
            update.id = message.protocol_instance_id.clone();
            update.message_id = message.id.clone();
            update.sequencing_event_id = sequencing_event_id;
            update
        });
        Some(decoded)
    }

    /// Reads the update that an event accepted. `None` if the event does not contain it.
    pub(crate) fn from_accepted(accepted: &WorkflowExecutionUpdateAcceptedEventAttributes) -> Option<Self> {
        let mut update = Self::from_request(accepted.accepted_request.clone()?);
        update.id.clone_from(&accepted.protocol_instance_id);
        update.message_id.clone_from(&accepted.accepted_request_message_id);
        update.sequencing_event_id = accepted.accepted_request_sequencing_event_id;
        Some(update)
    }

    pub(super) fn from_request(request: wire::Request) -> Self {
        let input = request.input.clone().unwrap_or_default();
        Self {
            id: request.meta.as_ref().map(|meta| meta.update_id.clone()).unwrap_or_default(),
            name: input.name,
            input: input.args.map(|args| args.payloads).unwrap_or_default(),
            message_id: String::new(),
            sequencing_event_id: 0,
            request,
        }
    }

    /// The headers that came with the update.
    pub(super) fn headers(&self) -> Headers {
        Headers::from_wire(self.request.input.as_ref().and_then(|input| input.header.clone()))
    }

    pub(super) fn acceptance(&self) -> Message {
        let body = wire::Acceptance {
            accepted_request_message_id: self.message_id.clone(),
            accepted_request_sequencing_event_id: self.sequencing_event_id,
            accepted_request: Some(self.request.clone()),
        };
        message(accept_message_id(&self.id), &self.id, &body)
    }

    pub(super) fn rejection(&self, failure: Failure) -> Message {
        let body = wire::Rejection {
            rejected_request_message_id: self.message_id.clone(),
            rejected_request_sequencing_event_id: self.sequencing_event_id,
            rejected_request: Some(self.request.clone()),
            failure: Some(failure.into_wire()),
        };
        message(format!("{}/reject", self.id), &self.id, &body)
    }
}

/// The updates that a replayed task accepted, in order, with their events.
pub(super) fn accepted(outputs: &[HistoryEvent]) -> Vec<(i64, Update)> {
    let accepted = outputs.iter().filter_map(|event| match &event.attributes {
        Some(EventAttributes::WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => {
            Some((event.event_id, Update::from_accepted(accepted)?))
        }
        _ => None,
    });
    accepted.collect()
}

/// The identity on replay of a command that places a message among the other commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpdateCommand {
    Accept { update_id: String },
    Complete { update_id: String },
}

impl fmt::Display for UpdateCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept { update_id } => write!(f, "AcceptUpdate({update_id})"),
            Self::Complete { update_id } => write!(f, "CompleteUpdate({update_id})"),
        }
    }
}

impl UpdateCommand {
    /// The command that became this event.
    pub(super) fn recorded(event: &EventAttributes) -> Option<Self> {
        match event {
            EventAttributes::WorkflowExecutionUpdateAcceptedEventAttributes(update) => {
                Some(Self::Accept { update_id: update.protocol_instance_id.clone() })
            }
            EventAttributes::WorkflowExecutionUpdateCompletedEventAttributes(update) => Some(Self::Complete {
                update_id: update.meta.as_ref().map(|meta| meta.update_id.clone()).unwrap_or_default(),
            }),
            _ => None,
        }
    }

    /// The attributes of the command.
    pub(super) fn attributes(&self) -> CommandAttributes {
        let message_id = match self {
            Self::Accept { update_id } => accept_message_id(update_id),
            Self::Complete { update_id } => complete_message_id(update_id),
        };
        CommandAttributes::ProtocolMessageCommandAttributes(ProtocolMessageCommandAttributes { message_id })
    }
}

/// The response of an accepted update.
pub(super) fn response(update_id: &str, result: Result<raw::Payload, Failure>) -> Message {
    use wire::outcome::Value;
    let value = match result {
        Ok(payload) => Value::Success(raw::Payloads { payloads: vec![payload] }),
        Err(failure) => Value::Failure(failure.into_wire()),
    };
    let body = wire::Response {
        meta: Some(wire::Meta { update_id: update_id.to_owned(), ..Default::default() }),
        outcome: Some(wire::Outcome { value: Some(value) }),
    };
    message(complete_message_id(update_id), update_id, &body)
}

fn accept_message_id(update_id: &str) -> String {
    format!("{update_id}/accept")
}

fn complete_message_id(update_id: &str) -> String {
    format!("{update_id}/complete")
}

fn message<B: Name>(id: String, update_id: &str, body: &B) -> Message {
    let body = Any { type_url: format!("type.googleapis.com/{}", B::full_name()), value: body.encode_to_vec() };
    Message { id, protocol_instance_id: update_id.to_owned(), body: Some(body), ..Default::default() }
}
