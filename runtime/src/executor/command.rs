//! The identity of commands. On replay, the identities of a task's commands must equal those in history.

use std::fmt;

use everloop_proto::temporal::api::history::v1::HistoryEvent;

use super::end::EndCommand;
use super::event;
use super::operations;
use super::patches::PatchCommand;
use super::update::UpdateCommand;

/// The identity of a command on replay: its kind and id, never its payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandKind {
    /// Starts or cancels an operation.
    Operation(operations::Command),
    Update(UpdateCommand),
    /// Records a patch.
    Patch(PatchCommand),
    /// Ends the workflow.
    End(EndCommand),
    /// A command that this version never issues.
    Other {
        event_type: String,
    },
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(command) => command.fmt(f),
            Self::Update(command) => command.fmt(f),
            Self::Patch(command) => command.fmt(f),
            Self::End(command) => command.fmt(f),
            Self::Other { event_type } => f.write_str(event_type),
        }
    }
}

impl CommandKind {
    /// The command that became this output event.
    pub(super) fn recorded(event: &HistoryEvent) -> Self {
        let known = event.attributes.as_ref().and_then(|attributes| {
            let operation = operations::Command::recorded(attributes).map(Self::Operation);
            let update = || UpdateCommand::recorded(attributes).map(Self::Update);
            let patch = || PatchCommand::recorded(attributes).map(Self::Patch);
            let end = || EndCommand::recorded(attributes).map(Self::End);
            operation.or_else(update).or_else(patch).or_else(end)
        });
        known.unwrap_or_else(|| Self::Other { event_type: event::type_name(event) })
    }
}
