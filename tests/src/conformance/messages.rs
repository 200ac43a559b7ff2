//! A worker's responses to updates: messages beside the commands.

use everloop_proto::temporal::api::{
    protocol::v1::{Message, message::SequencingId},
    update::v1::{Acceptance, Meta, Outcome, Rejection, Request, Response, outcome::Value},
};
use prost::{Message as _, Name};
use prost_types::Any;

use super::commands::{failure, text};

/// Accepts the update that this message requests.
pub(super) fn acceptance(request: &Message) -> Message {
    let body = Acceptance {
        accepted_request_message_id: request.id.clone(),
        accepted_request_sequencing_event_id: sequencing_event_id(request),
        accepted_request: Some(content(request)),
    };
    message("accept", request, &body)
}

/// Completes the update with a result.
pub(super) fn response(request: &Message) -> Message {
    message("response", request, &response_body(request, Value::Success(text("updated"))))
}

/// Completes the accepted update with a failure.
pub(super) fn failed_response(request: &Message) -> Message {
    message("response", request, &response_body(request, Value::Failure(failure("no").expect("a failure"))))
}

/// Rejects the update.
pub(super) fn rejection(request: &Message) -> Message {
    let body = Rejection {
        rejected_request_message_id: request.id.clone(),
        rejected_request_sequencing_event_id: sequencing_event_id(request),
        rejected_request: Some(content(request)),
        failure: failure("rejected"),
    };
    message("reject", request, &body)
}

fn response_body(request: &Message, value: Value) -> Response {
    let meta = Meta { update_id: request.protocol_instance_id.clone(), identity: "client".into() };
    Response { meta: Some(meta), outcome: Some(Outcome { value: Some(value) }) }
}

fn content(request: &Message) -> Request {
    let body = request.body.as_ref().expect("a message has a body");
    Request::decode(body.value.as_slice()).expect("the server sends requests")
}

fn sequencing_event_id(request: &Message) -> i64 {
    match request.sequencing_id {
        Some(SequencingId::EventId(id)) => id,
        ref other => panic!("requests of updates name an event, not {other:?}"),
    }
}

fn message<B: prost::Message + Name>(kind: &str, request: &Message, body: &B) -> Message {
    let update_id = &request.protocol_instance_id;
    Message {
        id: format!("{update_id}/{kind}"),
        protocol_instance_id: update_id.clone(),
        body: Some(Any { type_url: B::type_url(), value: body.encode_to_vec() }),
        ..Message::default()
    }
}
