//! Commands of a completion; each becomes an event.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::command::Command;
use crate::api::enums::CommandType;
use crate::api::protocol::Message;
use crate::api::sdk::{EventGroupMarker, UserMetadata};
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, HistoryEvent, event};
use crate::engine::run::Run;
use crate::engine::time::Time;

/// The commands and messages of one completion while they are applied.
pub(super) struct Commands {
    pub(super) completed_event_id: EventId,
    pub(super) identity: String,
    pub(super) messages: Vec<Option<Message>>,
    pub(super) now: Time,
    /// Whether events are buffered that the worker has not seen: the worker must not close the workflow then.
    pub(super) has_buffered_events: bool,
    /// Whether an activity was canceled before it started, so that the workflow needs another task.
    pub(super) canceled_unstarted_activity: bool,
    /// Activities that the worker requests to start eagerly.
    pub(super) wanted_eagerly: Vec<EventId>,
    /// The id of the run that follows if the current command closes the workflow.
    pub(super) successor_run_id: Arc<str>,
    /// Workflow ids of the children that this completion initiated.
    pub(super) initiated_children: BTreeSet<String>,
    /// The type of the current command.
    pub(super) kind: CommandType,
    /// Activities that are started eagerly and returned in the response to this completion.
    pub(super) started_eagerly: Vec<EventId>,
    /// Metadata of the current command, for its event.
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
            wanted_eagerly: Vec::new(),
            successor_run_id: Arc::default(),
            initiated_children: BTreeSet::new(),
            kind: CommandType::Unspecified,
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
    /// Applies all commands in order, then the messages that no command referenced.
    pub(super) fn apply_commands(
        &mut self,
        list: Vec<Command>,
        commands: &mut Commands,
        fresh_id: &mut dyn FnMut() -> Arc<str>,
    ) -> Result<(), Rejected> {
        for command in list {
            let kind = command.command_type();
            commands.user_metadata = command.user_metadata;
            commands.event_group_markers = command.event_group_markers;
            commands.kind = kind;
            if closes_workflow(kind) {
                commands.successor_run_id = fresh_id();
            }
            // Attributes of another kind of command count as missing, as on the Temporal server.
            let attributes = command.attributes.filter(|attributes| attributes.command_type() == kind);
            let attributes = attributes.ok_or_else(|| Self::missing_attributes(kind))?;
            self.command(attributes, commands)?;
        }
        for message in std::mem::take(&mut commands.messages).into_iter().flatten() {
            self.handle_message(message, commands.now)?;
        }
        if self.is_open() {
            for id in std::mem::take(&mut commands.wanted_eagerly) {
                if let Some(attempt) = self.state.activities.get(&id).map(|activity| activity.attempt) {
                    let identity = commands.identity.clone();
                    // The activity was scheduled by this completion, so it can be started.
                    if self.start_activity(id, attempt, fresh_id(), &identity, commands.now).is_ok() {
                        commands.started_eagerly.push(id);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a command of this type closes the workflow.
pub(super) fn closes_workflow(kind: CommandType) -> bool {
    use CommandType as T;
    matches!(
        kind,
        T::CompleteWorkflowExecution
            | T::FailWorkflowExecution
            | T::CancelWorkflowExecution
            | T::ContinueAsNewWorkflowExecution
    )
}

/// Formats the error for a command that does not fit the state, with the text of the Temporal server.
pub(super) fn wrong_state(action: &str, what: &str) -> String {
    format!("invalid history builder state for action: {action}, {what}")
}
