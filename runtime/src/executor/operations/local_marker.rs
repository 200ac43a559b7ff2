//! The marker with the result of a local activity in history, in the format of the SDKs of other languages.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use everloop_proto::temporal::api::command::v1::RecordMarkerCommandAttributes;
use everloop_proto::temporal::api::history::v1::MarkerRecordedEventAttributes;
use serde::{Deserialize, Serialize};

use crate::data::{Failure, decode, encode};
use crate::raw;

const MARKER_NAME: &str = "core_local_activity";
/// The detail with the facts about the activity.
const DATA: &str = "data";
/// The detail with the result, if the activity returned one.
const RESULT: &str = "result";

/// The facts about a local activity in its marker. Other SDKs expect every field, `null` where there is no value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct MarkerData {
    pub(super) seq: u32,
    /// The number of the last attempt.
    #[serde(default)]
    pub(super) attempt: u32,
    #[serde(default)]
    pub(super) activity_id: String,
    #[serde(default)]
    pub(super) activity_type: String,
    #[serde(default)]
    pub(super) complete_time: Option<Seconds>,
    /// The wait before the next attempt. `None` if the activity has ended.
    #[serde(default)]
    pub(super) backoff: Option<Seconds>,
    /// The time at which the workflow called the activity.
    #[serde(default)]
    pub(super) original_schedule_time: Option<Seconds>,
}

/// A time since 1970, or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Seconds {
    seconds: i64,
    nanos: i32,
}

impl Seconds {
    pub(super) fn of(duration: Duration) -> Self {
        let seconds = duration.as_secs().try_into().unwrap_or(i64::MAX);
        Self { seconds, nanos: duration.subsec_nanos().cast_signed() }
    }

    pub(super) fn since_epoch(time: SystemTime) -> Self {
        Self::of(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// Converts to a duration; a negative value counts as zero.
    pub(super) fn duration(self) -> Duration {
        let seconds = self.seconds.try_into().unwrap_or_default();
        Duration::from_secs(seconds).saturating_add(Duration::from_nanos(self.nanos.try_into().unwrap_or_default()))
    }

    pub(super) fn time(self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(self.duration())
    }
}

/// The content of a marker.
#[derive(Debug)]
pub(super) struct Marker {
    pub(super) data: MarkerData,
    pub(super) result: Result<Option<raw::Payload>, Box<Failure>>,
}

impl Marker {
    /// The facts in a marker; `None` if the marker has another purpose, or cannot be decoded.
    pub(super) fn data(event: &MarkerRecordedEventAttributes) -> Option<MarkerData> {
        if event.marker_name != MARKER_NAME {
            return None;
        }
        decode(event.details.get(DATA)?.payloads.first()?).ok()
    }

    /// The content of a marker; `None` if the marker has another purpose, or cannot be decoded.
    pub(super) fn read(event: &MarkerRecordedEventAttributes) -> Option<Self> {
        let data = Self::data(event)?;
        let result = match &event.failure {
            Some(failure) => Err(Failure::from_wire(failure.clone()).into()),
            None => Ok(event.details.get(RESULT).and_then(|result| result.payloads.first().cloned())),
        };
        Some(Self { data, result })
    }

    pub(super) fn into_command(self) -> RecordMarkerCommandAttributes {
        let one = |payload: raw::Payload| raw::Payloads { payloads: vec![payload] };
        let data = encode(&self.data).expect("numbers and strings can be encoded");
        let (result, failure) = match self.result {
            Ok(result) => (result, None),
            Err(failure) => (None, Some(failure.into_wire())),
        };
        let result = result.map(|result| (RESULT.to_owned(), one(result)));
        RecordMarkerCommandAttributes {
            marker_name: MARKER_NAME.to_owned(),
            details: [(DATA.to_owned(), one(data))].into_iter().chain(result).collect(),
            failure,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_has_the_form_that_other_sdks_read() {
        let data = MarkerData {
            seq: 3,
            attempt: 2,
            activity_id: "3".into(),
            activity_type: "charge".into(),
            complete_time: Some(Seconds::since_epoch(UNIX_EPOCH + Duration::from_millis(1500))),
            backoff: None,
            original_schedule_time: Some(Seconds::of(Duration::from_secs(1))),
        };
        let command = Marker { data: data.clone(), result: Ok(Some(encode(&7).unwrap())) }.into_command();
        let text = |name: &str| String::from_utf8(command.details[name].payloads[0].data.to_vec()).unwrap();
        assert_eq!(
            text("data"),
            "{\"seq\":3,\"attempt\":2,\"activity_id\":\"3\",\"activity_type\":\"charge\",\
             \"complete_time\":{\"seconds\":1,\"nanos\":500000000},\"backoff\":null,\
             \"original_schedule_time\":{\"seconds\":1,\"nanos\":0}}"
        );
        assert_eq!((command.marker_name.as_str(), text("result").as_str()), ("core_local_activity", "7"));
        let event = MarkerRecordedEventAttributes {
            marker_name: command.marker_name,
            details: command.details,
            ..Default::default()
        };
        assert_eq!(Marker::read(&event).unwrap().data, data);
    }

    #[test]
    fn markers_of_something_else_are_left_alone() {
        let event = MarkerRecordedEventAttributes { marker_name: "core_patch".into(), ..Default::default() };
        assert!(Marker::read(&event).is_none());
    }
}
