//! Markers: notes of a workflow in its history.

use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::enums::{CommandType, WorkflowTaskFailedCause as Cause};
use crate::engine::event::{Attributes, EventId, Order};
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;
use crate::limits::BLOB_BYTES_MAX;
use prost::Message as _;

use crate::api::command::RecordMarkerCommandAttributes;
use crate::api::common::Payloads;
use crate::api::history::MarkerRecordedEventAttributes;
use crate::engine::commands::Commands;
use crate::engine::error::Rejected;
use crate::engine::run::Run;

/// The rules of markers. Markers do not change the state.
pub(super) struct MarkerRules;

impl Subject for MarkerRules {
    const COMMANDS: &'static [(CommandType, Cause)] = &[(CommandType::RecordMarker, Cause::BadRecordMarkerAttributes)];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::RecordMarkerCommandAttributes(it) => Ok(run.record_marker(it, commands)),
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        matches!(event, Attributes::MarkerRecordedEventAttributes(_)).then_some(Order::Now)
    }

    fn apply(_: &mut Run, _: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        matches!(event, Attributes::MarkerRecordedEventAttributes(_)).then_some(Ok(()))
    }
}

impl Run {
    fn record_marker(
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
