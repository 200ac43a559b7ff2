//! Failures with very long chains of causes.
//!
//! A failure contains its cause, which contains the next one. Protobuf decoders reject messages that are nested too
//! deeply (100 levels in most languages), so a longer chain could be written but never read again.

use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{Failure, ServerFailureInfo};
use crate::limits::FAILURE_CHAIN_MAX;

/// Cuts a chain of causes that is too long to be decoded. The outer causes stay; one failure replaces the rest, with
/// their number and the message of the innermost.
///
/// Neither this function nor the drops in it recurse, so a chain of any length is safe.
pub(crate) fn cut_causes(failure: &mut Failure) {
    let mut last = failure;
    for _ in 1..FAILURE_CHAIN_MAX {
        let Some(cause) = &mut last.cause else { return };
        last = cause;
    }
    if last.cause.is_none() {
        return;
    }
    let mut count = 0;
    let mut innermost = std::mem::take(&mut last.message);
    let mut next = last.cause.take();
    while let Some(mut cause) = next {
        next = cause.cause.take();
        innermost = std::mem::take(&mut cause.message);
        count += 1;
    }
    // The last failure that stays is replaced by the summary.
    *last = Failure {
        message: format!("{} causes were cut off here; the innermost: {innermost}", count + 1),
        source: "Server".to_owned(),
        failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo::default())),
        ..Failure::default()
    };
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::api::common::{Payload, Payloads};
    use crate::api::failure::ApplicationFailureInfo;
    use crate::api::history::{
        History, HistoryEvent, WorkflowExecutionUpdateCompletedEventAttributes, history_event::Attributes,
    };
    use crate::api::update::{Outcome, outcome::Value};
    use crate::api::workflowservice::PollWorkflowTaskQueueResponse;

    /// Builds a chain of `length` failures; `1` is the outermost.
    fn chain(length: usize) -> Failure {
        let mut payload = Payload::default();
        payload.metadata.insert("encoding".to_owned(), b"json/plain".to_vec().into());
        let details = Some(Payloads { payloads: vec![payload] });
        let info = ApplicationFailureInfo { details, ..Default::default() };
        let one = |number: usize, cause: Option<Box<Failure>>| Failure {
            message: number.to_string(),
            cause,
            failure_info: Some(FailureInfo::ApplicationFailureInfo(info.clone())),
            ..Failure::default()
        };
        (1..length).rev().fold(one(length, None), |inner, number| one(number, Some(Box::new(inner))))
    }

    fn messages(failure: &Failure) -> Vec<&str> {
        std::iter::successors(Some(failure), |failure| failure.cause.as_deref()).map(|it| &*it.message).collect()
    }

    #[test]
    fn a_short_chain_of_causes_is_unchanged() {
        for length in [1, 2, FAILURE_CHAIN_MAX] {
            let mut failure = chain(length);
            cut_causes(&mut failure);
            assert_eq!(failure, chain(length));
        }
    }

    #[test]
    fn a_long_chain_keeps_its_outer_causes_and_a_summary_of_the_rest() {
        // Dropping or encoding so long a chain recursively would overflow any stack.
        for length in [FAILURE_CHAIN_MAX + 1, 1_000_000] {
            let mut failure = chain(length);
            cut_causes(&mut failure);
            let messages = messages(&failure);
            assert_eq!(messages.len(), FAILURE_CHAIN_MAX);
            assert_eq!(messages[..3], ["1", "2", "3"]);
            let cut = length - FAILURE_CHAIN_MAX + 1;
            assert_eq!(
                messages[FAILURE_CHAIN_MAX - 1],
                format!("{cut} causes were cut off here; the innermost: {length}")
            );
        }
    }

    #[test]
    fn the_longest_chain_can_be_decoded_in_every_message() {
        let outcome = Outcome {
            value: Some(Value::Failure(Failure {
                cause: Some(Box::new(chain(FAILURE_CHAIN_MAX))),
                ..Default::default()
            })),
        };
        let attributes =
            WorkflowExecutionUpdateCompletedEventAttributes { outcome: Some(outcome), ..Default::default() };
        let event = HistoryEvent {
            attributes: Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(Box::new(attributes))),
            ..Default::default()
        };
        let response =
            PollWorkflowTaskQueueResponse { history: Some(History { events: vec![event] }), ..Default::default() };
        assert_eq!(PollWorkflowTaskQueueResponse::decode(response.encode_to_vec().as_slice()), Ok(response));
    }
}
