//! Markers: what a workflow notes in its history.

use crate::engine::payload::BLOB_BYTES_MAX;
use prost::Message as _;

use super::commands::Commands;
use super::error::Rejected;
use super::run::Run;
use crate::api::command::RecordMarkerCommandAttributes;
use crate::api::common::Payloads;
use crate::api::enums::WorkflowTaskFailedCause as Cause;
use crate::api::history::MarkerRecordedEventAttributes;

impl Run {
    pub(super) fn record_marker(
        &mut self,
        attributes: RecordMarkerCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        if attributes.marker_name.is_empty() {
            return Err(Rejected::new(
                Cause::BadRecordMarkerAttributes,
                "MarkerName is not set on RecordMarkerCommand.",
            ));
        }
        if attributes.details.values().map(Payloads::encoded_len).sum::<usize>() > BLOB_BYTES_MAX {
            let detail = "RecordMarkerCommandAttributes.Details exceeds size limit.";
            return Err(Rejected::new(Cause::BadRecordMarkerAttributes, detail).terminating());
        }
        let event = commands.event(MarkerRecordedEventAttributes {
            marker_name: attributes.marker_name,
            details: attributes.details,
            workflow_task_completed_event_id: commands.completed_event_id,
            header: attributes.header,
            failure: attributes.failure,
        });
        self.append_event(event);
        Ok(())
    }
}
