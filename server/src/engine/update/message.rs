//! Messages about updates in a worker's completion.

use prost::{Message as _, Name};
use prost_types::Any;

use crate::api::failure::Failure;
use crate::api::protocol::Message;
use crate::api::update::{Acceptance, Rejection, Response, outcome};
use crate::engine::failure::cut_causes;

/// Whether a message is a rejection.
pub(in crate::engine) fn is_rejection(message: &Message) -> bool {
    message.body.as_ref().is_some_and(|body| type_name(body) == Rejection::full_name())
}

/// A worker's message about an update.
pub(super) enum MessageBody {
    Acceptance(Acceptance),
    Rejection(Rejection),
    Response(Response),
}

impl MessageBody {
    pub(super) fn read(body: &Any) -> Result<Self, String> {
        let name = type_name(body);
        let bytes = body.value.as_slice();
        let read = if name == Acceptance::full_name() {
            Acceptance::decode(bytes).map(Self::Acceptance)
        } else if name == Rejection::full_name() {
            Rejection::decode(bytes).map(Self::Rejection)
        } else if name == Response::full_name() {
            Response::decode(bytes).map(Self::Response)
        } else {
            return Err(format!("Message type {name} not supported"));
        };
        let mut read = read.map_err(|error| format!("unable to unmarshal request: {error}"))?;
        if let Some(failure) = read.failure() {
            // A failure that can be decoded here must also be decodable inside an event.
            cut_causes(failure);
        }
        Ok(read)
    }

    fn failure(&mut self) -> Option<&mut Failure> {
        match self {
            Self::Acceptance(_) => None,
            Self::Rejection(rejection) => rejection.failure.as_mut(),
            Self::Response(response) => match response.outcome.as_mut()?.value.as_mut()? {
                outcome::Value::Failure(failure) => Some(failure),
                outcome::Value::Success(_) => None,
            },
        }
    }
}

pub(super) fn type_name(any: &Any) -> &str {
    any.type_url.rsplit('/').next().unwrap_or_default()
}
