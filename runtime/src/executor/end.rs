//! The end of a workflow: the last command.

use std::fmt;

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::command::v1::{
    CancelWorkflowExecutionCommandAttributes, CompleteWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
};
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::operations::Compared;
use crate::errors::WorkflowError;
use crate::raw;

/// The kinds of ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndCommand {
    Complete,
    Fail,
    Cancel,
    ContinueAsNew,
}

impl fmt::Display for EndCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "CompleteWorkflow",
            Self::Fail => "FailWorkflow",
            Self::Cancel => "CancelWorkflow",
            Self::ContinueAsNew => "ContinueAsNew",
        })
    }
}

impl EndCommand {
    /// The command that became this event.
    pub(super) fn recorded(event: &EventAttributes) -> Option<Self> {
        match event {
            EventAttributes::WorkflowExecutionCompletedEventAttributes(_) => Some(Self::Complete),
            EventAttributes::WorkflowExecutionFailedEventAttributes(_) => Some(Self::Fail),
            EventAttributes::WorkflowExecutionCanceledEventAttributes(_) => Some(Self::Cancel),
            EventAttributes::WorkflowExecutionContinuedAsNewEventAttributes(_) => Some(Self::ContinueAsNew),
            _ => None,
        }
    }
}

/// The end of a workflow, as a command with its content.
pub(super) struct End {
    pub(super) command: EndCommand,
    pub(super) attributes: CommandAttributes,
}

impl End {
    /// The workflow returned a result.
    pub(super) fn complete(result: raw::Payload) -> Self {
        let result = Some(raw::Payloads { payloads: vec![result] });
        let attributes = CompleteWorkflowExecutionCommandAttributes { result };
        let attributes = CommandAttributes::CompleteWorkflowExecutionCommandAttributes(attributes);
        Self { command: EndCommand::Complete, attributes }
    }

    /// The workflow returned an error.
    pub(super) fn fail(error: WorkflowError) -> Self {
        let failure = Some(error.into_failure().into_wire());
        let attributes = FailWorkflowExecutionCommandAttributes { failure };
        let attributes = CommandAttributes::FailWorkflowExecutionCommandAttributes(attributes);
        Self { command: EndCommand::Fail, attributes }
    }

    /// The workflow's cancellation was requested, and the workflow returned it.
    pub(super) fn cancel(error: WorkflowError) -> Self {
        let details = error.into_failure().details().cloned().unwrap_or_default().into_wire();
        let attributes = CancelWorkflowExecutionCommandAttributes { details };
        let attributes = CommandAttributes::CancelWorkflowExecutionCommandAttributes(attributes);
        Self { command: EndCommand::Cancel, attributes }
    }
}

/// The results, or the inputs of the next run, in an event and in its command.
pub(super) fn results<'a>(event: &'a EventAttributes, command: &'a CommandAttributes) -> Option<Compared<'a>> {
    match (event, command) {
        (
            EventAttributes::WorkflowExecutionCompletedEventAttributes(event),
            CommandAttributes::CompleteWorkflowExecutionCommandAttributes(command),
        ) => Some(Compared { recorded: &event.result, issued: &command.result }),
        (
            EventAttributes::WorkflowExecutionContinuedAsNewEventAttributes(event),
            CommandAttributes::ContinueAsNewWorkflowExecutionCommandAttributes(command),
        ) => Some(Compared { recorded: &event.input, issued: &command.input }),
        _ => None,
    }
}
