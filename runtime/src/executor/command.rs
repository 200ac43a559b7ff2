//! Commands: the workflow issues them in a task, and history must agree on replay.

use std::fmt;
use std::panic::Location;

use everloop_proto::temporal::api::command::v1::{Command, command::Attributes};
use everloop_proto::temporal::api::enums::v1::CommandType;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::sdk::v1::UserMetadata;

use super::end::EndCommand;
use super::error::ReplayError;
use super::event;
use super::operations::{self, OperationId};
use super::update::UpdateCommand;

/// The line of user code that issued a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CallSite(Option<&'static Location<'static>>);

impl CallSite {
    /// No line of user code: the return of `run`, the acceptance of an update.
    pub(super) const NONE: Self = Self(None);
}

impl From<&'static Location<'static>> for CallSite {
    fn from(location: &'static Location<'static>) -> Self {
        Self(Some(location))
    }
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(location) => write!(f, "{}:{}", location.file(), location.line()),
            None => f.write_str("the end of `run` or of a handler"),
        }
    }
}

/// The identity of a command on replay: its kind and id, never its payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandKind {
    /// Starts or cancels an operation.
    Operation(operations::Command),
    Update(UpdateCommand),
    /// Ends the workflow.
    End(EndCommand),
    /// Something that this version never issues.
    Other {
        event_type: String,
    },
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(command) => command.fmt(f),
            Self::Update(command) => command.fmt(f),
            Self::End(command) => command.fmt(f),
            Self::Other { event_type } => f.write_str(event_type),
        }
    }
}

/// One command of the current task.
pub(super) struct Issued {
    pub(super) kind: CommandKind,
    pub(super) site: CallSite,
    /// The operation that the command's event is for.
    pub(super) operation: Option<OperationId>,
    /// The operation that the command cancels. If it ends in the same task, nothing is left to cancel.
    pub(super) cancels: Option<OperationId>,
    /// The message to send. Absent on replay, where nothing is sent.
    pub(super) attributes: Option<Attributes>,
    pub(super) summary: Option<String>,
}

impl Issued {
    pub(super) fn new(kind: impl Into<CommandKind>, site: CallSite, attributes: Option<Attributes>) -> Self {
        Self { kind: kind.into(), site, operation: None, cancels: None, attributes, summary: None }
    }

    /// Takes the command as it is sent. The rest still identifies the event that it must become.
    pub(super) fn take_wire(&mut self) -> Command {
        let kind = match &self.kind {
            CommandKind::Operation(command) => command.command_type(),
            CommandKind::Update(_) => CommandType::ProtocolMessage,
            CommandKind::End(command) => command.command_type(),
            CommandKind::Other { .. } => CommandType::Unspecified,
        };
        let user_metadata = self.summary.take().and_then(|summary| {
            let summary = crate::data::encode(&summary).ok()?;
            Some(UserMetadata { summary: Some(summary), details: None })
        });
        let attributes = self.attributes.take();
        Command { command_type: kind as i32, user_metadata, attributes, ..Default::default() }
    }
}

/// The command that became this output event.
pub(super) fn recorded(event: &HistoryEvent) -> CommandKind {
    let known = event.attributes.as_ref().and_then(|attributes| {
        let operation = operations::Command::recorded(attributes).map(CommandKind::Operation);
        let update = || UpdateCommand::recorded(attributes).map(CommandKind::Update);
        let end = || EndCommand::recorded(attributes).map(CommandKind::End);
        operation.or_else(update).or_else(end)
    });
    known.unwrap_or_else(|| CommandKind::Other { event_type: event::type_name(event) })
}

/// Compares one issued command with the event in its place.
pub(super) fn matches(issued: Option<&Issued>, event: &HistoryEvent) -> Result<(), ReplayError> {
    let recorded = recorded(event);
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
