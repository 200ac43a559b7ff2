//! Responses that cannot be sent: too large for gRPC, or rejected by the payload codec. Each is replaced by a failure with the
//! reason; otherwise its task would time out and be retried forever.

use everloop_proto::temporal::api::command::v1::Command;
use everloop_proto::temporal::api::enums::v1::QueryResultType;
use everloop_proto::temporal::api::protocol::v1 as protocol;
use everloop_proto::temporal::api::query::v1::WorkflowQueryResult;
use everloop_proto::temporal::api::update::v1 as update;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use prost::{Message, Name};

use super::link::{Owner, ServerLink};
use super::send_error::SendError;
use crate::data::{Failure, FailureKind, Payloads};

/// Results of queries above this size are left out of a completion that is too large.
const LARGE_ANSWER_BYTES: usize = 64 << 10;
/// The length to which the message of a failure that cannot be sent is cut.
const KEPT_MESSAGE_BYTES: usize = 1 << 10;

/// Returns a failure without the parts that may have prevented sending it: details, causes, stack, most of a long message.
pub(super) fn shortened(failure: &Failure, why: &SendError) -> Failure {
    let end =
        (0..=failure.message.len().min(KEPT_MESSAGE_BYTES)).rev().find(|end| failure.message.is_char_boundary(*end));
    let kept = &failure.message[..end.unwrap_or_default()];
    let message = format!("{kept} (the rest of this failure cannot be sent: {why})");
    let mut short = Failure::application("ActivityError", message);
    if let FailureKind::Application { .. } = failure.kind {
        short.kind = failure.kind.clone();
    }
    if let FailureKind::Application { details, .. } = &mut short.kind {
        *details = Payloads::new();
    }
    short
}

/// Encodes the payloads of a completion. If the codec rejects the result of a query or update, only that one fails.
pub(super) async fn encode_parts(
    request: &mut wire::RespondWorkflowTaskCompletedRequest,
    link: &ServerLink,
    owner: Owner<'_>,
) -> Result<(), SendError> {
    let mut answers = std::mem::take(&mut request.query_results);
    let mut messages = std::mem::take(&mut request.messages);
    link.encode(owner, request).await?;
    for answer in answers.values_mut() {
        if let Err(error) = link.encode(owner, answer).await {
            *answer = failed_query_result(SendError::from(error).failure_of("the query's answer"));
        }
    }
    for message in &mut messages {
        let original = message.clone();
        if let Err(error) = link.encode(owner, message).await.map_err(SendError::from) {
            *message = original;
            replace_result(message, &error).ok_or(error)?;
        }
    }
    (request.query_results, request.messages) = (answers, messages);
    Ok(())
}

/// Replaces large results of queries and updates by failures; returns whether there were any. Their callers receive the
/// reason, and the workflow continues.
pub(super) fn replace_large_parts(request: &mut wire::RespondWorkflowTaskCompletedRequest, why: &SendError) -> bool {
    let mut replaced = false;
    for result in request.query_results.values_mut().filter(|result| result.encoded_len() > LARGE_ANSWER_BYTES) {
        *result = failed_query_result(why.failure_of("the query's answer"));
        replaced = true;
    }
    for message in request.messages.iter_mut().filter(|message| message.encoded_len() > LARGE_ANSWER_BYTES) {
        replaced |= replace_result(message, why).is_some();
    }
    replaced
}

/// Replaces the result of a completed update by a failure; `None` if the message has none.
fn replace_result(message: &mut protocol::Message, why: &SendError) -> Option<()> {
    let body = message.body.as_mut()?;
    if body.type_url.rsplit('/').next() != Some(update::Response::full_name().as_str()) {
        return None;
    }
    let mut response = update::Response::decode(body.value.as_slice()).ok()?;
    let failure = why.failure_of("the update completed, but its result").into_wire();
    response.outcome = Some(update::Outcome { value: Some(update::outcome::Value::Failure(failure)) });
    body.value = response.encode_to_vec();
    Some(())
}

pub(super) fn failed_query_result(failure: Failure) -> WorkflowQueryResult {
    let failure = failure.into_wire();
    WorkflowQueryResult {
        result_type: QueryResultType::Failed as i32,
        error_message: failure.message.clone(),
        failure: Some(failure),
        ..Default::default()
    }
}

/// Adds to the error the size of a completion, and its largest command.
pub(super) fn too_large(request: &wire::RespondWorkflowTaskCompletedRequest, error: &SendError) -> SendError {
    let total = request.encoded_len();
    let largest = request.commands.iter().max_by_key(|command| command.encoded_len());
    let largest = largest.map(|command| format!(", of which {} has {}", name(command), command.encoded_len()));
    SendError::TooLarge(format!("it has {total} bytes{}: {error}", largest.unwrap_or_default()))
}

fn name(command: &Command) -> &'static str {
    let name = command.command_type().as_str_name();
    name.strip_prefix("COMMAND_TYPE_").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn why() -> SendError {
        SendError::TooLarge("it is 5 MiB".to_owned())
    }

    #[test]
    fn unsendable_failure_keeps_its_retry_decision() {
        let mut failure =
            Failure::application("Declined", "ü".repeat(5 << 20)).caused_by(Failure::application("x", "y"));
        if let FailureKind::Application { non_retryable, details, .. } = &mut failure.kind {
            (*non_retryable, *details) = (true, Payloads::of(&"z".repeat(5 << 20)).unwrap());
        }
        let short = shortened(&failure, &why());
        let wire = short.clone().into_wire();
        assert!(wire.encoded_len() < 2 * KEPT_MESSAGE_BYTES, "{}", wire.encoded_len());
        assert!(short.message.ends_with("(the rest of this failure cannot be sent: it is 5 MiB)"), "{}", short.message);
        let FailureKind::Application { type_name, non_retryable, .. } = short.kind else { panic!("{short:?}") };
        assert_eq!((type_name.as_str(), non_retryable), ("Declined", true));
    }

    #[test]
    fn large_answers_are_replaced_and_small_ones_stay() {
        let answer = |bytes: usize| WorkflowQueryResult {
            result_type: QueryResultType::Answered as i32,
            error_message: "a".repeat(bytes),
            ..Default::default()
        };
        let results = HashMap::from([("large".to_owned(), answer(1 << 20)), ("small".to_owned(), answer(1))]);
        let mut request = wire::RespondWorkflowTaskCompletedRequest { query_results: results, ..Default::default() };
        assert!(replace_large_parts(&mut request, &why()));
        assert_eq!(request.query_results["small"], answer(1));
        assert_eq!(request.query_results["large"].error_message, "the query's answer cannot be sent: it is 5 MiB");
        assert!(!replace_large_parts(&mut request, &why()), "nothing large is left");
    }
}
