//! Whole messages through codecs.

use std::collections::BTreeSet;
use std::sync::Mutex;

use everloop_proto::temporal::api::command::v1::{self as command, command::Attributes as CommandAttributes};
use everloop_proto::temporal::api::history::v1 as history;
use everloop_proto::temporal::api::workflowservice::v1 as service;
use everloop_proto::temporal::api::{protocol, query, sdk, update};
use prost::{Message, Name};
use tokio::sync::Barrier;

use super::*;
use crate::data::{Failure, PayloadCodec, encode};

/// Turns the bytes around, and says so.
#[derive(Default)]
struct Backwards {
    /// The owners of what was encoded, and of what was decoded.
    owners: [Mutex<Vec<SerializationContext>>; 2],
}

impl PayloadCodec for Backwards {
    async fn encode(
        &self,
        payload: raw::Payload,
        context: &SerializationContext,
    ) -> Result<raw::Payload, PayloadCodecError> {
        self.owners[0].lock().unwrap().push(context.clone());
        Ok(raw::Payload {
            metadata: HashMap::from([("encoding".to_owned(), "backwards".into())]),
            data: payload.encode_to_vec().into_iter().rev().collect(),
            ..Default::default()
        })
    }

    async fn decode(
        &self,
        payload: raw::Payload,
        context: &SerializationContext,
    ) -> Result<raw::Payload, PayloadCodecError> {
        self.owners[1].lock().unwrap().push(context.clone());
        assert_eq!(payload.metadata["encoding"], "backwards");
        let bytes: Vec<u8> = payload.data.iter().rev().copied().collect();
        raw::Payload::decode(bytes.as_slice()).map_err(|error| PayloadCodecError(error.to_string()))
    }
}

fn codecs(codec: impl PayloadCodec, headers: HeaderCodec) -> PayloadCodecs {
    PayloadCodecs { codecs: vec![Arc::new(codec)], headers }
}

fn owner() -> SerializationContext {
    SerializationContext { namespace: "shop".into(), workflow_id: Some("order".into()), ..Default::default() }
}

fn payloads(text: &str) -> Option<raw::Payloads> {
    Some(raw::Payloads { payloads: vec![encode(&text.to_owned()).unwrap(), encode(&1u8).unwrap()] })
}

fn completion() -> service::RespondWorkflowTaskCompletedRequest {
    let header = Some(raw::Header { fields: HashMap::from([("tenant".to_owned(), encode(&"blue").unwrap())]) });
    let schedule = command::ScheduleActivityTaskCommandAttributes {
        activity_id: "7".into(),
        activity_type: Some(raw::ActivityType { name: "charge".into() }),
        input: payloads("input"),
        header,
        ..Default::default()
    };
    let child = command::StartChildWorkflowExecutionCommandAttributes {
        workflow_id: "invoice".into(),
        input: payloads("child"),
        ..Default::default()
    };
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
            command(CommandAttributes::StartChildWorkflowExecutionCommandAttributes(child.into())),
            command(CommandAttributes::FailWorkflowExecutionCommandAttributes(fail)),
        ],
        messages: vec![protocol::v1::Message { body: Some(body), ..Default::default() }],
        query_results: HashMap::from([("q".to_owned(), answer)]),
        ..Default::default()
    }
}

fn seen(message: &mut impl Walk, headers: HeaderCodec) -> Vec<raw::Payload> {
    let mut seen = Vec::new();
    codecs(Backwards::default(), headers)
        .visit(&Arc::new(owner()), message, &mut |_, payload| seen.push(payload.clone()));
    seen
}

#[tokio::test]
async fn every_payload_goes_through_the_codec_and_comes_back() {
    let codecs = codecs(Backwards::default(), HeaderCodec::Always);
    let original = completion();
    let mut message = original.clone();
    codecs.encode(owner, &mut message).await.unwrap();
    let payloads = seen(&mut message, HeaderCodec::Always);
    assert!(payloads.iter().all(|payload| payload.metadata["encoding"] == "backwards"));
    assert_eq!(payloads.len(), 13);
    let text = format!("{message:?}");
    assert!(!text.contains("json/plain"), "{text}");
    codecs.decode(owner, &mut message).await.unwrap();
    assert_eq!(message, original);
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
        (seen(&mut command, HeaderCodec::Never).len(), seen(&mut event, HeaderCodec::Never).len())
    };
    assert_eq!(payloads_of("core_patch", "patch-data"), (0, 0));
    assert_eq!(payloads_of("other", "patch-data"), (2, 2));
    assert_eq!(payloads_of("core_patch", "other"), (2, 2));
}

/// Values changed places: a message that is packed into another one is decoded twice, and its maps had another order each time.
#[tokio::test]
async fn headers_of_an_update_keep_their_values() {
    let fields = (0..20u8).map(|number| (format!("header-{number}"), encode(&number).unwrap())).collect();
    let input =
        update::v1::Input { header: Some(raw::Header { fields }), name: "tell".into(), args: payloads("input") };
    let request = update::v1::Request { input: Some(input), ..Default::default() };
    let body = prost_types::Any {
        type_url: format!("type.googleapis.com/{}", update::v1::Request::full_name()),
        value: request.encode_to_vec(),
    };
    let mut message = protocol::v1::Message { body: Some(body), ..Default::default() };
    let codecs = codecs(Backwards::default(), HeaderCodec::Always);
    codecs.encode(owner, &mut message).await.unwrap();
    codecs.decode(owner, &mut message).await.unwrap();
    let body = message.body.unwrap();
    assert_eq!(update::v1::Request::decode(body.value.as_slice()).unwrap(), request);
}

#[tokio::test]
async fn headers_go_through_the_codec_only_if_the_client_says_so() {
    let mut message = completion();
    codecs(Backwards::default(), HeaderCodec::Never).encode(owner, &mut message).await.unwrap();
    let plain: Vec<_> = seen(&mut message, HeaderCodec::Always);
    let plain: Vec<_> = plain.iter().filter(|payload| payload.metadata["encoding"] == "json/plain").collect();
    assert_eq!(plain, [&encode(&"blue").unwrap()]);
}

#[tokio::test]
async fn codec_is_told_the_owner_of_each_payload_and_the_same_both_ways() {
    let codec = Arc::new(Backwards::default());
    struct Shared(Arc<Backwards>);
    impl PayloadCodec for Shared {
        async fn encode(
            &self,
            payload: raw::Payload,
            context: &SerializationContext,
        ) -> Result<raw::Payload, PayloadCodecError> {
            self.0.encode(payload, context).await
        }
        async fn decode(
            &self,
            payload: raw::Payload,
            context: &SerializationContext,
        ) -> Result<raw::Payload, PayloadCodecError> {
            self.0.decode(payload, context).await
        }
    }
    let codecs = codecs(Shared(codec.clone()), HeaderCodec::Always);
    let mut message = completion();
    codecs.encode(owner, &mut message).await.unwrap();
    codecs.decode(owner, &mut message).await.unwrap();
    let [encoded, decoded] = &codec.owners;
    let (encoded, decoded) = (encoded.lock().unwrap(), decoded.lock().unwrap());
    assert_eq!(*encoded, *decoded);
    assert!(encoded.iter().all(|owner| owner.namespace == "shop"));
    let names = |owner: &SerializationContext| {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".into());
        format!("{} {} {}", part(&owner.workflow_id), part(&owner.activity_type), part(&owner.activity_id))
    };
    let different: BTreeSet<_> = encoded.iter().map(names).collect();
    assert_eq!(different.into_iter().collect::<Vec<_>>(), ["invoice - -", "order - -", "order charge 7"]);
}

#[tokio::test]
async fn codecs_of_a_chain_are_undone_in_the_opposite_order() {
    struct Letter(u8);
    impl PayloadCodec for Letter {
        async fn encode(
            &self,
            payload: raw::Payload,
            _: &SerializationContext,
        ) -> Result<raw::Payload, PayloadCodecError> {
            Ok(raw::Payload { data: [&payload.data[..], &[self.0]].concat().into(), ..payload })
        }
        async fn decode(
            &self,
            payload: raw::Payload,
            _: &SerializationContext,
        ) -> Result<raw::Payload, PayloadCodecError> {
            let Some(data) = payload.data.strip_suffix(&[self.0]) else {
                return Err(PayloadCodecError(format!("no {} at the end", self.0 as char)));
            };
            Ok(raw::Payload { data: data.to_vec().into(), ..payload })
        }
    }
    let both = PayloadCodecs { codecs: vec![Arc::new(Letter(b'a')), Arc::new(Letter(b'b'))], ..Default::default() };
    let mut payload = raw::Payload::default();
    both.encode(owner, &mut payload).await.unwrap();
    assert_eq!(payload.data, "ab");
    both.decode(owner, &mut payload).await.unwrap();
    assert_eq!(payload, raw::Payload::default());
    let error = both.decode(owner, &mut payload).await.unwrap_err();
    assert_eq!(error.to_string(), "payload codec: no b at the end");
}

#[tokio::test]
async fn payloads_of_a_message_are_encoded_at_the_same_time() {
    /// Waits until all payloads are encoded concurrently.
    struct Together(Barrier);
    impl PayloadCodec for Together {
        async fn encode(
            &self,
            payload: raw::Payload,
            _: &SerializationContext,
        ) -> Result<raw::Payload, PayloadCodecError> {
            self.0.wait().await;
            Ok(payload)
        }
        async fn decode(
            &self,
            payload: raw::Payload,
            _: &SerializationContext,
        ) -> Result<raw::Payload, PayloadCodecError> {
            Ok(payload)
        }
    }
    let count = seen(&mut completion(), HeaderCodec::Never).len();
    let codecs = codecs(Together(Barrier::new(count)), HeaderCodec::Never);
    codecs.encode(owner, &mut completion()).await.unwrap();
}

#[tokio::test]
async fn panic_of_a_codec_is_its_error() {
    struct Clumsy;
    impl PayloadCodec for Clumsy {
        async fn encode(&self, _: raw::Payload, _: &SerializationContext) -> Result<raw::Payload, PayloadCodecError> {
            panic!("no key")
        }
        async fn decode(
            &self,
            payload: raw::Payload,
            _: &SerializationContext,
        ) -> Result<raw::Payload, PayloadCodecError> {
            Ok(payload)
        }
    }
    let error = codecs(Clumsy, HeaderCodec::Never).encode(owner, &mut completion()).await.unwrap_err();
    assert_eq!(error.to_string(), "payload codec: it panicked: no key");
}
