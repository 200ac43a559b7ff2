//! The commands that the workflow issues in a task, and their comparison with history.

use everloop_proto::temporal::api::command::v1::{Command, command::Attributes};
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::sdk::v1::UserMetadata;

use super::call_site::CallSite;
use super::command::CommandKind;
use super::end::End;
use super::error::ReplayError;
use super::operations::OperationId;
use super::update::UpdateCommand;

/// One command of the current task.
pub(super) struct Issued {
    pub(super) kind: CommandKind,
    pub(super) site: CallSite,
    /// The operation that the command's event is for.
    pub(super) operation: Option<OperationId>,
    /// The operation that the command cancels. If the operation ends in the same task, the command is withdrawn.
    pub(super) cancels: Option<OperationId>,
    /// The message to send. Absent on replay, which sends nothing.
    pub(super) attributes: Option<Attributes>,
    pub(super) summary: Option<String>,
}

impl Issued {
    pub(super) fn new(kind: CommandKind, site: CallSite, attributes: Option<Attributes>) -> Self {
        Self { kind, site, operation: None, cancels: None, attributes, summary: None }
    }

    /// Takes the wire form of the command. The remaining fields still identify its event.
    pub(super) fn take_wire(&mut self) -> Command {
        let user_metadata = self.summary.take().and_then(|summary| {
            let summary = crate::data::encode(&summary).ok()?;
            Some(UserMetadata { summary: Some(summary), details: None })
        });
        let attributes = self.attributes.take().expect("a live task's commands have attributes");
        let command_type = attributes.command_type() as i32;
        Command { command_type, user_metadata, attributes: Some(attributes), ..Default::default() }
    }
}

impl From<End> for Issued {
    fn from(end: End) -> Self {
        Self::new(CommandKind::End(end.command), CallSite::NONE, Some(end.attributes))
    }
}

impl From<UpdateCommand> for Issued {
    fn from(command: UpdateCommand) -> Self {
        let attributes = command.attributes();
        Self::new(CommandKind::Update(command), CallSite::NONE, Some(attributes))
    }
}

/// Compares one issued command with the corresponding event.
pub(super) fn matches(issued: Option<&Issued>, event: &HistoryEvent) -> Result<(), ReplayError> {
    let recorded = CommandKind::recorded(event);
    match issued {
        Some(issued) if issued.kind == recorded => Ok(()),
        Some(issued) => Err(ReplayError::CommandMismatch {
            event_id: event.event_id,
            recorded,
            issued: issued.kind.clone(),
            site: issued.site,
        }),
        None => Err(ReplayError::CommandMissing { event_id: event.event_id, recorded }),
    }
}
