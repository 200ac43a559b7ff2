//! The memo of one run.

use prost::Message as _;

use crate::api::command::ModifyWorkflowPropertiesCommandAttributes;
use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::common::Payload;
use crate::api::enums::{CommandType, WorkflowTaskFailedCause as Cause};
use crate::api::history::WorkflowPropertiesModifiedEventAttributes;
use crate::engine::commands::Commands;
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, Order};
use crate::engine::payload::own;
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;
use crate::limits::BLOB_BYTES_MAX;

/// The rules of memos.
pub(super) struct MemoRules;

impl Subject for MemoRules {
    const COMMANDS: &'static [(CommandType, Cause)] =
        &[(CommandType::ModifyWorkflowProperties, Cause::BadModifyWorkflowPropertiesAttributes)];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::ModifyWorkflowPropertiesCommandAttributes(it) => Ok(run.modify_properties(it, commands)),
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        matches!(event, Attributes::WorkflowPropertiesModifiedEventAttributes(_)).then_some(Order::Now)
    }

    fn apply(run: &mut Run, _: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        let Attributes::WorkflowPropertiesModifiedEventAttributes(modified) = event else { return None };
        run.apply_properties_modified(modified);
        Some(Ok(()))
    }
}

impl Run {
    fn modify_properties(
        &mut self,
        attributes: ModifyWorkflowPropertiesCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let Some(memo) = attributes.upserted_memo.filter(|memo| !memo.fields.is_empty()) else {
            return Err(Rejected::new(
                Cause::BadModifyWorkflowPropertiesAttributes,
                "UpsertedMemo is not set on ModifyWorkflowPropertiesCommand.",
            ));
        };
        if memo.encoded_len() > BLOB_BYTES_MAX {
            let detail = "ModifyWorkflowPropertiesCommandAttributes.UpsertedMemo exceeds size limit.";
            return Err(Rejected::new(Cause::BadModifyWorkflowPropertiesAttributes, detail).terminating());
        }
        let event = commands.event(WorkflowPropertiesModifiedEventAttributes {
            workflow_task_completed_event_id: commands.completed_event_id,
            upserted_memo: Some(memo),
        });
        self.append_event(event);
        Ok(())
    }

    /// Sets entries of the memo; entries with null values are removed.
    fn apply_properties_modified(&mut self, modified: &WorkflowPropertiesModifiedEventAttributes) {
        self.touch_visibility();
        for (key, value) in modified.upserted_memo.iter().flat_map(|memo| &memo.fields) {
            if is_null(value) {
                self.state.memo.remove(key);
            } else {
                self.state.memo.insert(key.clone(), own(value));
            }
        }
    }
}

/// Whether a payload is null, which removes the entry.
pub(super) fn is_null(payload: &Payload) -> bool {
    payload.data.is_empty() || &*payload.data == b"null"
}
