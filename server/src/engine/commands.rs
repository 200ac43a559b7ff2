//! Commands of a completion, each turned into its event.

use std::sync::Arc;

use super::error::Rejected;
use super::event::{Attributes, EventId, HistoryEvent, event};
use super::run::Run;
use super::time::Time;
use crate::api::command::Command;
use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::enums::{CommandType, WorkflowTaskFailedCause as Cause};
use crate::api::protocol::Message;
use crate::api::sdk::{EventGroupMarker, UserMetadata};

/// Ids and names are at most this long, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 1000;

/// One completion's commands and messages on their way into history.
pub(super) struct Commands {
    pub(super) completed_event_id: EventId,
    pub(super) identity: String,
    pub(super) messages: Vec<Option<Message>>,
    pub(super) now: Time,
    /// Events wait that the worker has not seen: it must not close the workflow.
    pub(super) has_buffered_events: bool,
    /// An activity ended on the spot, so the workflow has something to react to.
    pub(super) canceled_unstarted_activity: bool,
    /// Activities that the same worker gets with the answer.
    pub(super) started_eagerly: Vec<EventId>,
    /// Of the current command, for its event.
    user_metadata: Option<UserMetadata>,
    event_group_markers: Vec<EventGroupMarker>,
}

impl Commands {
    pub(super) fn new(completed_event_id: EventId, identity: String, messages: Vec<Message>, now: Time) -> Self {
        Self {
            completed_event_id,
            identity,
            messages: messages.into_iter().map(Some).collect(),
            now,
            has_buffered_events: false,
            canceled_unstarted_activity: false,
            started_eagerly: Vec::new(),
            user_metadata: None,
            event_group_markers: Vec::new(),
        }
    }

    pub(super) fn event(&mut self, attributes: impl Into<Attributes>) -> HistoryEvent {
        HistoryEvent {
            user_metadata: self.user_metadata.take().map(Box::new),
            event_group_markers: std::mem::take(&mut self.event_group_markers),
            ..event(self.now, attributes)
        }
    }
}

impl Run {
    /// Applies all commands in order, then the messages no command placed.
    pub(super) fn apply_commands(
        &mut self,
        list: Vec<Command>,
        commands: &mut Commands,
        fresh_id: &mut dyn FnMut() -> Arc<str>,
    ) -> Result<(), Rejected> {
        let mut eager = Vec::new();
        for command in list {
            commands.user_metadata = command.user_metadata;
            commands.event_group_markers = command.event_group_markers;
            let kind = CommandType::try_from(command.command_type).unwrap_or_default();
            if let Some(id) = self.apply_command(kind, command.attributes, commands)? {
                eager.push(id);
            }
        }
        for message in std::mem::take(&mut commands.messages).into_iter().flatten() {
            self.handle_message(message, commands.now)?;
        }
        if self.is_open() {
            for id in eager {
                if let Some(attempt) = self.state.activities.get(&id).map(|activity| activity.attempt) {
                    let identity = commands.identity.clone();
                    // It was scheduled a moment ago, so it is to be had.
                    if self.start_activity(id, attempt, fresh_id(), &identity, commands.now).is_ok() {
                        commands.started_eagerly.push(id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies one command. Returns the activity that its worker would like to start at once.
    fn apply_command(
        &mut self,
        kind: CommandType,
        attributes: Option<CommandAttributes>,
        commands: &mut Commands,
    ) -> Result<Option<EventId>, Rejected> {
        use CommandAttributes as A;
        let unsupported =
            |name: &str| Err(Rejected::new(Cause::FeatureDisabled, format!("{name} is not supported by this server")));
        match attributes {
            Some(A::ScheduleActivityTaskCommandAttributes(a)) => return self.schedule_activity(a, commands),
            Some(A::RequestCancelActivityTaskCommandAttributes(a)) => self.request_cancel_activity(&a, commands),
            Some(A::StartTimerCommandAttributes(a)) => self.start_timer(a, commands),
            Some(A::CancelTimerCommandAttributes(a)) => self.cancel_timer(a, commands),
            Some(A::RecordMarkerCommandAttributes(a)) => self.record_marker(a, commands),
            Some(A::ModifyWorkflowPropertiesCommandAttributes(a)) => self.modify_properties(a, commands),
            Some(A::CompleteWorkflowExecutionCommandAttributes(a)) => self.complete_workflow(a, commands),
            Some(A::FailWorkflowExecutionCommandAttributes(a)) => self.fail_workflow(a, commands),
            Some(A::CancelWorkflowExecutionCommandAttributes(a)) => self.cancel_workflow(a, commands),
            Some(A::ProtocolMessageCommandAttributes(a)) => self.place_message(&a.message_id, commands),
            Some(A::ContinueAsNewWorkflowExecutionCommandAttributes(_)) => unsupported("continue-as-new"),
            Some(A::StartChildWorkflowExecutionCommandAttributes(_)) => unsupported("starting a child workflow"),
            Some(A::RequestCancelExternalWorkflowExecutionCommandAttributes(_)) => {
                unsupported("canceling an external workflow")
            }
            Some(A::SignalExternalWorkflowExecutionCommandAttributes(_)) => {
                unsupported("signaling an external workflow")
            }
            Some(A::UpsertWorkflowSearchAttributesCommandAttributes(_)) => unsupported("upserting search attributes"),
            Some(A::ScheduleNexusOperationCommandAttributes(_))
            | Some(A::RequestCancelNexusOperationCommandAttributes(_)) => unsupported("a Nexus operation"),
            None => Err(self.missing_attributes(kind)),
        }?;
        Ok(None)
    }

    fn missing_attributes(&self, kind: CommandType) -> Rejected {
        let cause = match kind {
            CommandType::ScheduleActivityTask => Cause::BadScheduleActivityAttributes,
            CommandType::RequestCancelActivityTask => Cause::BadRequestCancelActivityAttributes,
            CommandType::StartTimer => Cause::BadStartTimerAttributes,
            CommandType::CancelTimer => Cause::BadCancelTimerAttributes,
            CommandType::RecordMarker => Cause::BadRecordMarkerAttributes,
            CommandType::CompleteWorkflowExecution => Cause::BadCompleteWorkflowExecutionAttributes,
            CommandType::FailWorkflowExecution => Cause::BadFailWorkflowExecutionAttributes,
            CommandType::CancelWorkflowExecution => Cause::BadCancelWorkflowExecutionAttributes,
            CommandType::ModifyWorkflowProperties => Cause::BadModifyWorkflowPropertiesAttributes,
            CommandType::ProtocolMessage => Cause::BadUpdateWorkflowExecutionMessage,
            _ => Cause::FeatureDisabled,
        };
        Rejected::new(cause, format!("attributes of {kind:?} are not set on command"))
    }
}

/// A command that does not fit the state, in the words that clients know.
pub(super) fn wrong_state(action: &str, what: &str) -> String {
    format!("invalid history builder state for action: {action}, {what}")
}
