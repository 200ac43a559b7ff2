//! The memo of one run.

use prost::Message as _;

use super::commands::Commands;
use super::error::Rejected;
use super::payload::own;
use super::run::Run;
use crate::api::command::ModifyWorkflowPropertiesCommandAttributes;
use crate::api::common::Payload;
use crate::api::enums::WorkflowTaskFailedCause as Cause;
use crate::api::history::WorkflowPropertiesModifiedEventAttributes;
use crate::engine::payload::BLOB_BYTES_MAX;

impl Run {
    pub(super) fn modify_properties(
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

    /// Sets the entries of the memo; null ones are removed.
    pub(super) fn apply_properties_modified(&mut self, modified: &WorkflowPropertiesModifiedEventAttributes) {
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

/// Whether a payload stands for "remove this".
pub(super) fn is_null(payload: &Payload) -> bool {
    payload.data.is_empty() || &*payload.data == b"null"
}
