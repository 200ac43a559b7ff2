//! Messages as the protocol's JSON.
//!
//! Histories are written in full, so that every SDK can read them. Elsewhere, payloads that contain JSON are replaced
//! by it, as in the Temporal CLI: `"Pending"` instead of its bytes in base 64.

use std::io::Write;
use std::sync::LazyLock;

use everloop_proto::temporal::api::common::v1::{Payload, Payloads};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, SerializeOptions, Value as Content};
use serde_json::{Map, Value};

use crate::workflow::error::CommandError;

static MESSAGES: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(everloop_proto::DESCRIPTORS).expect("a test reads the committed descriptors")
});

/// Writes the whole message, on several lines.
pub(crate) fn write_whole(message: &impl Name, out: &mut impl Write) -> Result<(), CommandError> {
    let mut serializer = serde_json::Serializer::pretty(&mut *out);
    reflect(message).serialize_with_options(&mut serializer, &SerializeOptions::new())?;
    Ok(writeln!(out)?)
}

/// Writes a value on several lines.
pub(crate) fn write(value: &Value, out: &mut impl Write) -> Result<(), CommandError> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// Converts the message, with JSON in place of payloads that contain it.
pub(crate) fn value(message: &impl Name) -> Result<Value, CommandError> {
    let message = reflect(message);
    let options = SerializeOptions::new();
    let mut value = message.serialize_with_options(serde_json::value::Serializer, &options)?;
    shorten(&mut value, &message);
    Ok(value)
}

fn reflect<M: Message + Name>(message: &M) -> DynamicMessage {
    let name = M::full_name();
    let descriptor = MESSAGES.get_message_by_name(&name).unwrap_or_else(|| panic!("{name} is described"));
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message).expect("the descriptors are those of the generated code");
    dynamic
}

/// Replaces the payloads in the JSON of a message.
fn shorten(value: &mut Value, message: &DynamicMessage) {
    match message.descriptor().full_name() {
        "temporal.api.common.v1.Payload" => {
            let payload = message.transcode_to().ok();
            if let Some(short) = payload.as_ref().and_then(short) {
                *value = short;
            }
            return;
        }
        "temporal.api.common.v1.Payloads" => {
            // All of them or none, so that a reader can tell the two forms apart.
            let payloads: Payloads = message.transcode_to().unwrap_or_default();
            if let Some(short) = payloads.payloads.iter().map(short).collect() {
                *value = Value::Array(short);
            }
            return;
        }
        _ => {}
    }
    // Types with their own JSON form, such as timestamps, are not objects.
    let Value::Object(fields) = value else { return };
    for (field, content) in message.fields() {
        match (fields.get_mut(field.json_name()), content) {
            (Some(value), Content::Message(message)) => shorten(value, message),
            (Some(Value::Array(values)), Content::List(items)) => {
                for (value, item) in values.iter_mut().zip(items) {
                    if let Content::Message(message) = item {
                        shorten(value, message);
                    }
                }
            }
            (Some(Value::Object(values)), Content::Map(items)) => {
                for (key, item) in items {
                    let value = key.as_str().and_then(|key| values.get_mut(key));
                    if let (Some(value), Content::Message(message)) = (value, item) {
                        shorten(value, message);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The content of a payload, if it can be converted to JSON and back.
fn short(payload: &Payload) -> Option<Value> {
    let text = |name: &str| payload.metadata.get(name).and_then(|value| str::from_utf8(value).ok());
    match (text("encoding")?, payload.metadata.len()) {
        ("binary/null", _) => Some(Value::Null),
        ("json/plain", 1) => serde_json::from_slice(&payload.data).ok(),
        ("json/protobuf", 2) => {
            let mut fields: Map<_, _> = serde_json::from_slice(&payload.data).ok()?;
            fields.insert("_protoMessageType".to_owned(), text("messageType")?.into());
            Some(Value::Object(fields))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use everloop_proto::temporal::api::common::v1::WorkflowType;
    use everloop_proto::temporal::api::enums::v1::EventType;
    use everloop_proto::temporal::api::history::v1::history_event::Attributes;
    use everloop_proto::temporal::api::history::v1::{
        History, HistoryEvent, TimerStartedEventAttributes, WorkflowExecutionStartedEventAttributes,
    };
    use everloop_proto::temporal::api::workflowservice::v1::QueryWorkflowResponse;
    use expect_test::expect;
    use prost_types::{Duration, Timestamp};

    use super::*;

    fn encoded(metadata: &[(&str, &str)], data: &'static [u8]) -> Payload {
        let metadata = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()));
        Payload { metadata: metadata.collect(), data: data.into(), ..Default::default() }
    }

    fn history() -> History {
        let started = WorkflowExecutionStartedEventAttributes {
            workflow_type: Some(WorkflowType { name: "Buy".into() }),
            input: Some(Payloads { payloads: vec![encoded(&[("encoding", "json/plain")], b"\"red lamp\"")] }),
            attempt: 1,
            ..Default::default()
        };
        let timer = TimerStartedEventAttributes {
            timer_id: "1".into(),
            start_to_fire_timeout: Some(Duration { seconds: 10, nanos: 500_000_000 }),
            ..Default::default()
        };
        let event = |event_id, kind: EventType, attributes| HistoryEvent {
            event_id,
            event_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 }),
            event_type: kind as i32,
            task_id: 1 << 60,
            attributes: Some(attributes),
            ..Default::default()
        };
        let started = Attributes::WorkflowExecutionStartedEventAttributes(started.into());
        let timer = Attributes::from(timer);
        let events =
            vec![event(1, EventType::WorkflowExecutionStarted, started), event(5, EventType::TimerStarted, timer)];
        History { events }
    }

    #[test]
    fn a_history_round_trips_through_the_protocol_json() {
        let mut out = Vec::new();
        write_whole(&history(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        expect![[r#"
            {
              "events": [
                {
                  "eventId": "1",
                  "eventTime": "2023-11-14T22:13:20.123456789Z",
                  "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
                  "taskId": "1152921504606846976",
                  "workflowExecutionStartedEventAttributes": {
                    "workflowType": {
                      "name": "Buy"
                    },
                    "input": {
                      "payloads": [
                        {
                          "metadata": {
                            "encoding": "anNvbi9wbGFpbg=="
                          },
                          "data": "InJlZCBsYW1wIg=="
                        }
                      ]
                    },
                    "attempt": 1
                  }
                },
                {
                  "eventId": "5",
                  "eventTime": "2023-11-14T22:13:20.123456789Z",
                  "eventType": "EVENT_TYPE_TIMER_STARTED",
                  "taskId": "1152921504606846976",
                  "timerStartedEventAttributes": {
                    "timerId": "1",
                    "startToFireTimeout": "10.500s"
                  }
                }
              ]
            }
        "#]]
        .assert_eq(&text);

        let descriptor = reflect(&history()).descriptor();
        let back = DynamicMessage::deserialize(descriptor, &mut serde_json::Deserializer::from_str(&text)).unwrap();
        assert_eq!(back.transcode_to::<History>().unwrap(), history());
    }

    #[test]
    fn payloads_that_contain_json_are_shown_as_json() {
        let check = |payloads: &[Payload], expected: &str| {
            let query_result = Some(Payloads { payloads: payloads.to_vec() });
            let value = value(&QueryWorkflowResponse { query_result, ..Default::default() }).unwrap();
            assert_eq!(value["queryResult"].to_string(), expected);
        };
        let plain = encoded(&[("encoding", "json/plain")], br#"{"a": [1, null]}"#);
        let null = encoded(&[("encoding", "binary/null")], b"");
        check(&[plain.clone(), null], r#"[{"a":[1,null]},null]"#);
        let message = encoded(&[("encoding", "json/protobuf"), ("messageType", "shop.Item")], br#"{"a":1}"#);
        check(&[message], r#"[{"_protoMessageType":"shop.Item","a":1}]"#);
        let secret = encoded(&[("encoding", "binary/encrypted")], b"1");
        check(
            &[plain.clone(), secret],
            r#"{"payloads":[{"data":"eyJhIjogWzEsIG51bGxdfQ==","metadata":{"encoding":"anNvbi9wbGFpbg=="}},{"data":"MQ==","metadata":{"encoding":"YmluYXJ5L2VuY3J5cHRlZA=="}}]}"#,
        );
    }

    #[test]
    fn payloads_are_found_in_fields_lists_and_maps() {
        let mut history = value(&history()).unwrap();
        let started = history["events"][0]["workflowExecutionStartedEventAttributes"].take();
        assert_eq!(started["input"].to_string(), r#"["red lamp"]"#);
        assert_eq!(history["events"][1]["timerStartedEventAttributes"]["startToFireTimeout"], "10.500s");
        let memo = [("item".to_owned(), encoded(&[("encoding", "json/plain")], b"1"))];
        let memo = everloop_proto::temporal::api::common::v1::Memo { fields: memo.into() };
        assert_eq!(value(&memo).unwrap().to_string(), r#"{"fields":{"item":1}}"#);
    }
}
