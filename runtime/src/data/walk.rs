//! Every payload of a message of the wire, in one place, for payload codecs.
//!
//! [`holds!`] declares the payloads of a message once; encoding and decoding walk the same fields. Headers and search
//! attributes are not transformed: interceptors own the former, and the server must be able to read the latter.

use std::any::Any;
use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use everloop_proto::temporal::api::command::v1::{self as command, command::Attributes as CommandAttributes};
use everloop_proto::temporal::api::history::v1::{self as history, history_event::Attributes as EventAttributes};
use everloop_proto::temporal::api::workflowservice::v1 as service;
use everloop_proto::temporal::api::{failure, protocol, query, sdk, update, workflow};
use prost::{Message, Name};

use super::payload_codec::{DynPayloadCodec, PayloadCodecError, Transformed};
use crate::raw;

/// A message that holds payloads.
pub(crate) trait Walk {
    /// Visits each of them, always in the same order.
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload));
}

/// Encodes the payloads of an outgoing message.
pub(crate) async fn encode_message<M: Walk>(
    codec: Option<&dyn DynPayloadCodec>,
    message: &mut M,
) -> Result<(), PayloadCodecError> {
    let Some(codec) = codec else { return Ok(()) };
    let taken = take(message);
    if taken.is_empty() {
        return Ok(());
    }
    let sent = taken.len();
    put(message, sent, caught(|| codec.encode_boxed(taken)).await?)
}

/// Decodes the payloads of an incoming message.
pub(crate) async fn decode_message<M: Walk>(
    codec: Option<&dyn DynPayloadCodec>,
    message: &mut M,
) -> Result<(), PayloadCodecError> {
    let Some(codec) = codec else { return Ok(()) };
    let taken = take(message);
    if taken.is_empty() {
        return Ok(());
    }
    let sent = taken.len();
    put(message, sent, caught(|| codec.decode_boxed(taken)).await?)
}

/// Converts a panic of a codec into its error.
async fn caught<'a>(start: impl FnOnce() -> Transformed<'a>) -> Result<Vec<raw::Payload>, PayloadCodecError> {
    let panicked = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a value that is not text");
        PayloadCodecError(format!("it panicked: {text}"))
    };
    let mut transformed = catch_unwind(AssertUnwindSafe(start)).map_err(panicked)?;
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| transformed.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Err(panicked(panic))),
    })
    .await
}

fn take(message: &mut impl Walk) -> Vec<raw::Payload> {
    let mut taken = Vec::new();
    message.walk(&mut |payload| taken.push(std::mem::take(payload)));
    taken
}

fn put(message: &mut impl Walk, sent: usize, changed: Vec<raw::Payload>) -> Result<(), PayloadCodecError> {
    if changed.len() != sent {
        return Err(PayloadCodecError(format!("it was given {sent} payloads and answered {}", changed.len())));
    }
    let mut changed = changed.into_iter();
    message.walk(&mut |payload| *payload = changed.next().unwrap_or_default());
    Ok(())
}

impl Walk for raw::Payload {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        visit(self);
    }
}

impl<T: Walk> Walk for Option<T> {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        self.iter_mut().for_each(|value| value.walk(visit));
    }
}

impl<T: Walk> Walk for Vec<T> {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        self.iter_mut().for_each(|value| value.walk(visit));
    }
}

impl<T: Walk + ?Sized> Walk for Box<T> {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        (**self).walk(visit);
    }
}

impl<T: Walk> Walk for HashMap<String, T> {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        // Both walks have the same order, because no key is added or removed between them.
        self.values_mut().for_each(|value| value.walk(visit));
    }
}

/// `Type { fields }`: the fields of a message that hold payloads.
macro_rules! holds {
    ($($($path:ident)::+ { $($field:ident),+ })*) => {$(
        impl Walk for $($path)::+ {
            fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
                $(self.$field.walk(visit);)+
            }
        }
    )*};
}

/// `Enum { Variants }`: the alternatives that hold payloads.
macro_rules! one_of {
    ($($enum:ty { $($variant:ident),+ })*) => {$(
        impl Walk for $enum {
            fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
                match self {
                    $(Self::$variant(value) => value.walk(visit),)+
                    #[allow(unreachable_patterns, reason = "some name all their alternatives")]
                    _ => {}
                }
            }
        }
    )*};
}

holds! {
    raw::Payloads { payloads }
    raw::Memo { fields }
    sdk::v1::UserMetadata { summary, details }
    failure::v1::ApplicationFailureInfo { details }
    failure::v1::TimeoutFailureInfo { last_heartbeat_details }
    failure::v1::CanceledFailureInfo { details }
    failure::v1::ResetWorkflowFailureInfo { last_heartbeat_details }
    query::v1::WorkflowQuery { query_args }
    query::v1::WorkflowQueryResult { answer, failure }
    update::v1::Request { input }
    update::v1::Input { args }
    update::v1::Outcome { value }
    update::v1::Acceptance { accepted_request }
    update::v1::Rejection { rejected_request, failure }
    update::v1::Response { outcome }

    command::Command { user_metadata, attributes }
    command::ScheduleActivityTaskCommandAttributes { input }
    command::CompleteWorkflowExecutionCommandAttributes { result }
    command::FailWorkflowExecutionCommandAttributes { failure }
    command::CancelWorkflowExecutionCommandAttributes { details }
    command::SignalExternalWorkflowExecutionCommandAttributes { input }
    command::ModifyWorkflowPropertiesCommandAttributes { upserted_memo }
    command::ContinueAsNewWorkflowExecutionCommandAttributes { input, failure, last_completion_result, memo }
    command::StartChildWorkflowExecutionCommandAttributes { input, memo }
    command::ScheduleNexusOperationCommandAttributes { input }

    history::History { events }
    history::HistoryEvent { user_metadata, attributes }
    history::WorkflowExecutionStartedEventAttributes { input, continued_failure, last_completion_result, memo }
    history::WorkflowExecutionCompletedEventAttributes { result }
    history::WorkflowExecutionFailedEventAttributes { failure }
    history::WorkflowExecutionContinuedAsNewEventAttributes { input, failure, last_completion_result, memo }
    history::WorkflowTaskFailedEventAttributes { failure }
    history::ActivityTaskScheduledEventAttributes { input }
    history::ActivityTaskStartedEventAttributes { last_failure }
    history::ActivityTaskCompletedEventAttributes { result }
    history::ActivityTaskFailedEventAttributes { failure }
    history::ActivityTaskTimedOutEventAttributes { failure }
    history::ActivityTaskCanceledEventAttributes { details }
    history::WorkflowExecutionCanceledEventAttributes { details }
    history::WorkflowExecutionSignaledEventAttributes { input }
    history::WorkflowExecutionTerminatedEventAttributes { details }
    history::SignalExternalWorkflowExecutionInitiatedEventAttributes { input }
    history::WorkflowPropertiesModifiedEventAttributes { upserted_memo }
    history::WorkflowPropertiesModifiedExternallyEventAttributes { upserted_memo }
    history::StartChildWorkflowExecutionInitiatedEventAttributes { input, memo }
    history::ChildWorkflowExecutionCompletedEventAttributes { result }
    history::ChildWorkflowExecutionFailedEventAttributes { failure }
    history::ChildWorkflowExecutionCanceledEventAttributes { details }
    history::WorkflowExecutionUpdateAcceptedEventAttributes { accepted_request }
    history::WorkflowExecutionUpdateCompletedEventAttributes { outcome }
    history::WorkflowExecutionUpdateRejectedEventAttributes { rejected_request, failure }
    history::WorkflowExecutionUpdateAdmittedEventAttributes { request }
    history::NexusOperationScheduledEventAttributes { input }
    history::NexusOperationCompletedEventAttributes { result }
    history::NexusOperationFailedEventAttributes { failure }
    history::NexusOperationTimedOutEventAttributes { failure }
    history::NexusOperationCanceledEventAttributes { failure }
    history::NexusOperationCancelRequestFailedEventAttributes { failure }

    service::StartWorkflowExecutionRequest { input, memo, user_metadata, continued_failure, last_completion_result }
    service::SignalWithStartWorkflowExecutionRequest { input, signal_input, memo, user_metadata }
    service::SignalWorkflowExecutionRequest { input }
    service::QueryWorkflowRequest { query }
    service::QueryWorkflowResponse { query_result }
    service::UpdateWorkflowExecutionRequest { request }
    service::TerminateWorkflowExecutionRequest { details }
    service::RespondWorkflowTaskCompletedRequest { commands, query_results, messages }
    service::RespondWorkflowTaskFailedRequest { failure }
    service::RespondQueryTaskCompletedRequest { query_result, failure }
    service::RespondActivityTaskCompletedRequest { result }
    service::RespondActivityTaskCompletedByIdRequest { result }
    service::RespondActivityTaskFailedRequest { failure, last_heartbeat_details }
    service::RespondActivityTaskFailedByIdRequest { failure, last_heartbeat_details }
    service::RespondActivityTaskCanceledRequest { details }
    service::RespondActivityTaskCanceledByIdRequest { details }
    service::RecordActivityTaskHeartbeatRequest { details }
    service::RecordActivityTaskHeartbeatByIdRequest { details }
    service::PollWorkflowTaskQueueResponse { history, query, queries, messages }
    service::PollActivityTaskQueueResponse { input, heartbeat_details }
    service::DescribeWorkflowExecutionResponse { execution_config, workflow_execution_info, pending_activities }
    workflow::v1::WorkflowExecutionConfig { user_metadata }
    workflow::v1::WorkflowExecutionInfo { memo }
    workflow::v1::PendingActivityInfo { heartbeat_details, last_failure }
}

one_of! {
    failure::v1::failure::FailureInfo {
        ApplicationFailureInfo, TimeoutFailureInfo, CanceledFailureInfo, ResetWorkflowFailureInfo
    }
    update::v1::outcome::Value { Success, Failure }
    CommandAttributes {
        ScheduleActivityTaskCommandAttributes, CompleteWorkflowExecutionCommandAttributes,
        FailWorkflowExecutionCommandAttributes, CancelWorkflowExecutionCommandAttributes,
        SignalExternalWorkflowExecutionCommandAttributes, ModifyWorkflowPropertiesCommandAttributes,
        RecordMarkerCommandAttributes, ContinueAsNewWorkflowExecutionCommandAttributes,
        StartChildWorkflowExecutionCommandAttributes, ScheduleNexusOperationCommandAttributes
    }
    EventAttributes {
        WorkflowExecutionStartedEventAttributes, WorkflowExecutionCompletedEventAttributes,
        WorkflowExecutionFailedEventAttributes, WorkflowExecutionContinuedAsNewEventAttributes,
        WorkflowTaskFailedEventAttributes, ActivityTaskScheduledEventAttributes, ActivityTaskStartedEventAttributes,
        ActivityTaskCompletedEventAttributes, ActivityTaskFailedEventAttributes, ActivityTaskTimedOutEventAttributes,
        ActivityTaskCanceledEventAttributes, WorkflowExecutionCanceledEventAttributes, MarkerRecordedEventAttributes,
        WorkflowExecutionSignaledEventAttributes, WorkflowExecutionTerminatedEventAttributes,
        SignalExternalWorkflowExecutionInitiatedEventAttributes, WorkflowPropertiesModifiedEventAttributes,
        WorkflowPropertiesModifiedExternallyEventAttributes, StartChildWorkflowExecutionInitiatedEventAttributes,
        ChildWorkflowExecutionCompletedEventAttributes, ChildWorkflowExecutionFailedEventAttributes,
        ChildWorkflowExecutionCanceledEventAttributes, WorkflowExecutionUpdateAcceptedEventAttributes,
        WorkflowExecutionUpdateCompletedEventAttributes, WorkflowExecutionUpdateRejectedEventAttributes,
        WorkflowExecutionUpdateAdmittedEventAttributes, NexusOperationScheduledEventAttributes,
        NexusOperationCompletedEventAttributes, NexusOperationFailedEventAttributes,
        NexusOperationTimedOutEventAttributes, NexusOperationCanceledEventAttributes,
        NexusOperationCancelRequestFailedEventAttributes
    }
}

/// The details of markers that hold no value of a user: other SDKs read them as they are. By the names of the marker and
/// of the detail.
const PLAIN_DETAILS: [(&str, &str); 1] = [("core_patch", "patch-data")];

fn walk_details(
    marker_name: &str,
    details: &mut HashMap<String, raw::Payloads>,
    visit: &mut dyn FnMut(&mut raw::Payload),
) {
    let hold_values = details.iter_mut().filter(|(name, _)| !PLAIN_DETAILS.contains(&(marker_name, name)));
    hold_values.for_each(|(_, detail)| detail.walk(visit));
}

impl Walk for command::RecordMarkerCommandAttributes {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        walk_details(&self.marker_name, &mut self.details, visit);
        self.failure.walk(visit);
    }
}

impl Walk for history::MarkerRecordedEventAttributes {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        walk_details(&self.marker_name, &mut self.details, visit);
        self.failure.walk(visit);
    }
}

/// Walks the causes in a loop, since they can be nested deeper than the stack allows.
impl Walk for failure::v1::Failure {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        let mut next = Some(self);
        while let Some(failure) = next {
            failure.encoded_attributes.walk(visit);
            failure.failure_info.walk(visit);
            next = failure.cause.as_deref_mut();
        }
    }
}

/// The messages of updates are packed into `Any`: they are unpacked for the walk and packed again.
impl Walk for protocol::v1::Message {
    fn walk(&mut self, visit: &mut dyn FnMut(&mut raw::Payload)) {
        let Some(body) = &mut self.body else { return };
        fn repack<M: Message + Name + Default + Walk>(
            body: &mut prost_types::Any,
            visit: &mut dyn FnMut(&mut raw::Payload),
        ) -> bool {
            if body.type_url.rsplit('/').next() != Some(M::full_name().as_str()) {
                return false;
            }
            if let Ok(mut message) = M::decode(body.value.as_slice()) {
                message.walk(visit);
                body.value = message.encode_to_vec();
            }
            true
        }
        let _ = repack::<update::v1::Request>(body, visit)
            || repack::<update::v1::Acceptance>(body, visit)
            || repack::<update::v1::Rejection>(body, visit)
            || repack::<update::v1::Response>(body, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Failure, PayloadCodec, encode};

    /// Reverses the bytes, and marks the payload.
    struct Backwards;

    impl PayloadCodec for Backwards {
        async fn encode(&self, payloads: Vec<raw::Payload>) -> Result<Vec<raw::Payload>, PayloadCodecError> {
            let turn = |payload: raw::Payload| raw::Payload {
                metadata: HashMap::from([("encoding".to_owned(), "backwards".into())]),
                data: payload.encode_to_vec().into_iter().rev().collect(),
                ..Default::default()
            };
            Ok(payloads.into_iter().map(turn).collect())
        }
        async fn decode(&self, payloads: Vec<raw::Payload>) -> Result<Vec<raw::Payload>, PayloadCodecError> {
            let turn = |payload: raw::Payload| {
                assert_eq!(payload.metadata["encoding"], "backwards");
                let bytes: Vec<u8> = payload.data.iter().rev().copied().collect();
                raw::Payload::decode(bytes.as_slice()).map_err(|error| PayloadCodecError(error.to_string()))
            };
            payloads.into_iter().map(turn).collect()
        }
    }

    fn payloads(text: &str) -> Option<raw::Payloads> {
        Some(raw::Payloads { payloads: vec![encode(&text.to_owned()).unwrap(), encode(&1u8).unwrap()] })
    }

    fn completion() -> service::RespondWorkflowTaskCompletedRequest {
        let schedule =
            command::ScheduleActivityTaskCommandAttributes { input: payloads("input"), ..Default::default() };
        let failure = Failure::application("Declined", "no").caused_by(Failure::cancelled("stop")).into_wire();
        let mut encoded = failure.clone();
        encoded.encoded_attributes = Some(encode(&"secret").unwrap());
        let fail = command::FailWorkflowExecutionCommandAttributes { failure: Some(encoded) };
        let command = |attributes| command::Command {
            attributes: Some(attributes),
            user_metadata: Some(sdk::v1::UserMetadata { summary: Some(encode(&"summary").unwrap()), details: None }),
            ..Default::default()
        };
        let response = update::v1::Response {
            outcome: Some(update::v1::Outcome {
                value: Some(update::v1::outcome::Value::Success(payloads("answer").unwrap())),
            }),
            ..Default::default()
        };
        let body = prost_types::Any {
            type_url: format!("type.googleapis.com/{}", update::v1::Response::full_name()),
            value: response.encode_to_vec(),
        };
        let answer = query::v1::WorkflowQueryResult { answer: payloads("query"), ..Default::default() };
        service::RespondWorkflowTaskCompletedRequest {
            commands: vec![
                command(CommandAttributes::ScheduleActivityTaskCommandAttributes(schedule)),
                command(CommandAttributes::FailWorkflowExecutionCommandAttributes(fail)),
            ],
            messages: vec![protocol::v1::Message { body: Some(body), ..Default::default() }],
            query_results: HashMap::from([("q".to_owned(), answer)]),
            ..Default::default()
        }
    }

    #[test]
    fn markers_of_patches_stay_readable_for_other_sdks() {
        let payloads_of = |marker_name: &str, detail: &str| {
            let marker_name = marker_name.to_owned();
            let details = HashMap::from([(detail.to_owned(), payloads("value").unwrap())]);
            let mut command = command::RecordMarkerCommandAttributes {
                marker_name: marker_name.clone(),
                details: details.clone(),
                ..Default::default()
            };
            let mut event = history::MarkerRecordedEventAttributes { marker_name, details, ..Default::default() };
            let mut seen = (0, 0);
            command.walk(&mut |_| seen.0 += 1);
            event.walk(&mut |_| seen.1 += 1);
            seen
        };
        assert_eq!(payloads_of("core_patch", "patch-data"), (0, 0));
        assert_eq!(payloads_of("other", "patch-data"), (2, 2));
        assert_eq!(payloads_of("core_patch", "other"), (2, 2));
    }

    #[tokio::test]
    async fn every_payload_goes_through_the_codec_and_comes_back() {
        let original = completion();
        let mut message = original.clone();
        encode_message(Some(&Backwards), &mut message).await.unwrap();
        let mut seen = 0;
        message.walk(&mut |payload| {
            assert_eq!(payload.metadata["encoding"], "backwards");
            seen += 1;
        });
        assert_eq!(seen, 9);
        let text = format!("{message:?}");
        assert!(!text.contains("json/plain"), "{text}");
        decode_message(Some(&Backwards), &mut message).await.unwrap();
        assert_eq!(message, original);
    }

    #[tokio::test]
    async fn a_codec_that_loses_payloads_is_refused() {
        struct Lossy;
        impl PayloadCodec for Lossy {
            async fn encode(&self, _: Vec<raw::Payload>) -> Result<Vec<raw::Payload>, PayloadCodecError> {
                Ok(Vec::new())
            }
            async fn decode(&self, payloads: Vec<raw::Payload>) -> Result<Vec<raw::Payload>, PayloadCodecError> {
                Ok(payloads)
            }
        }
        let error = encode_message(Some(&Lossy), &mut completion()).await.unwrap_err();
        assert_eq!(error.to_string(), "payload codec: it was given 9 payloads and answered 0");
    }
}
