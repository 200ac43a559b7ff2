//! Values, failures, times and names of the protocol, formatted for people.

use everloop_proto::temporal::api::common::v1::{Payload, Payloads};
use everloop_proto::temporal::api::enums::v1::WorkflowExecutionStatus;
use everloop_proto::temporal::api::failure::v1::Failure;
use everloop_proto::temporal::api::failure::v1::failure::FailureInfo;
use everloop_proto::timeline::is_error_type_named;
use prost_types::Timestamp;
use serde_json::Value;

/// The values, separated by commas; empty if there are none.
pub(crate) fn payloads(payloads: Option<&Payloads>) -> String {
    let each = payloads.map(|payloads| payloads.payloads.iter().map(payload).collect::<Vec<_>>());
    each.unwrap_or_default().join(", ")
}

/// JSON unchanged; of other payloads only the encoding and size.
pub(crate) fn payload(payload: &Payload) -> String {
    let encoding = String::from_utf8_lossy(payload.metadata.get("encoding").map_or(&[], |encoding| encoding));
    let size = payload.data.len();
    match &*encoding {
        "binary/null" => "null".to_owned(),
        "json/plain" | "json/protobuf" if serde_json::from_slice::<Value>(&payload.data).is_ok() => {
            String::from_utf8_lossy(&payload.data).into_owned()
        }
        "" => format!("({size} bytes)"),
        encoding => format!("({size} bytes, {encoding})"),
    }
}

/// The failure and its causes, on one line.
pub(crate) fn failure(failure: &Failure) -> String {
    let hidden = failure.encoded_attributes.as_ref().and_then(hidden_message);
    let message = hidden.as_ref().unwrap_or(&failure.message);
    let text = match &failure.failure_info {
        Some(FailureInfo::ActivityFailureInfo(info)) => {
            let name = info.activity_type.as_ref().map_or("", |kind| &kind.name);
            format!("activity `{name}`: {message}")
        }
        Some(FailureInfo::ChildWorkflowExecutionFailureInfo(info)) => {
            let name = info.workflow_type.as_ref().map_or("", |kind| &kind.name);
            format!("child `{name}`: {message}")
        }
        Some(FailureInfo::ApplicationFailureInfo(info)) if is_error_type_named(&info.r#type, message) => {
            format!("{}: {message}", info.r#type)
        }
        _ => message.clone(),
    };
    match &failure.cause {
        Some(cause) => format!("{text}: {}", self::failure(cause)),
        None => text,
    }
}

/// The message of a failure that was encoded as a whole, unless it is encrypted.
fn hidden_message(attributes: &Payload) -> Option<String> {
    let attributes: Value = serde_json::from_slice(&attributes.data).ok()?;
    Some(attributes.get("message")?.as_str()?.to_owned())
}

/// RFC 3339, to the millisecond.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    let Some(Timestamp { seconds, nanos }) = time else { return String::new() };
    let whole = Timestamp { seconds, nanos: 0 }.to_string();
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), nanos / 1_000_000)
}

/// Formats `WORKFLOW_EXECUTION_STATUS_TIMED_OUT` as `TimedOut`, as filters write it.
pub(crate) fn status(status: i32) -> String {
    value(status, WorkflowExecutionStatus::as_str_name, "WORKFLOW_EXECUTION_STATUS_")
}

/// The name of a value of an enum of the protocol, without its prefix. A newer server may send values that have no name here.
pub(crate) fn value<E: TryFrom<i32>>(value: i32, as_str_name: fn(&E) -> &'static str, prefix: &str) -> String {
    match E::try_from(value) {
        Ok(known) => name(as_str_name(&known), prefix),
        Err(_) => format!("Unknown({value})"),
    }
}

/// A name of the protocol without its prefix, in camel case.
fn name(name: &str, prefix: &str) -> String {
    let words = name.strip_prefix(prefix).unwrap_or(name).split('_').filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use everloop_proto::temporal::api::common::v1::ActivityType;
    use everloop_proto::temporal::api::enums::v1::PendingActivityState;
    use everloop_proto::temporal::api::failure::v1::{ActivityFailureInfo, ApplicationFailureInfo};

    use super::*;

    fn encoded(encoding: &str, data: &'static [u8]) -> Payload {
        let metadata = [("encoding".to_owned(), encoding.to_owned().into())].into();
        Payload { metadata, data: data.into(), ..Default::default() }
    }

    #[test]
    fn payloads_other_than_json_are_shown_by_encoding_and_size() {
        let values = [
            encoded("json/plain", br#"{"item":"lamp"}"#),
            encoded("binary/null", b""),
            encoded("binary/encrypted", b"1234"),
            encoded("json/plain", b"no json"),
        ];
        let text = payloads(Some(&Payloads { payloads: values.to_vec() }));
        assert_eq!(text, r#"{"item":"lamp"}, null, (4 bytes, binary/encrypted), (7 bytes, json/plain)"#);
        assert_eq!(payloads(None), "");
        assert_eq!(payload(&Payload::default()), "(0 bytes)");
    }

    #[test]
    fn failures_name_the_failed_operation_and_the_cause() {
        let refused = Failure {
            message: "Encoded failure".into(),
            encoded_attributes: Some(encoded("json/plain", br#"{"message":"status 400","stack_trace":""}"#)),
            failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
                r#type: "Refused".into(),
                ..Default::default()
            })),
            ..Default::default()
        };
        let activity = Failure {
            message: "the activity failed".into(),
            cause: Some(refused.into()),
            failure_info: Some(FailureInfo::ActivityFailureInfo(ActivityFailureInfo {
                activity_type: Some(ActivityType { name: "charge".into() }),
                ..Default::default()
            })),
            ..Default::default()
        };
        assert_eq!(failure(&activity), "activity `charge`: the activity failed: Refused: status 400");
        let mut said_twice = *activity.cause.unwrap();
        said_twice.encoded_attributes = Some(encoded("json/plain", br#"{"message":"Refused { status: 400 }"}"#));
        assert_eq!(failure(&said_twice), "Refused { status: 400 }");
    }

    #[test]
    fn times_and_names_are_short() {
        let moment = Timestamp { seconds: 1_700_000_000, nanos: 7_890_000 };
        assert_eq!(time(Some(moment)), "2023-11-14T22:13:20.007Z");
        assert_eq!(time(None), "");
        assert_eq!(status(WorkflowExecutionStatus::TimedOut as i32), "TimedOut");
        assert_eq!(status(99), "Unknown(99)");
        let state = |state| value(state, PendingActivityState::as_str_name, "PENDING_ACTIVITY_STATE_");
        assert_eq!((state(1), state(99)), ("Scheduled".to_owned(), "Unknown(99)".to_owned()));
    }
}
