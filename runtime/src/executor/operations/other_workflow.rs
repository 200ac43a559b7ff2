//! Operations on other workflows: children, signals and cancel requests.
//!
//! They are one kind because they share events: history names the result of a request to cancel alike, whether the target
//! is a child or any workflow.

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::child::{ChildChange, ChildOperation};
use super::external::ExternalOperation;
use super::machine::{Cancel, Compared, Key, Machine};
use super::other_command::{Answer, OtherCommand};
use super::outcome::Outcome;
use crate::data::Failure;
use crate::executor::call_site::CallSite;

/// An operation on another workflow.
#[derive(Debug)]
pub(crate) enum OtherOperation {
    Child(ChildOperation),
    External(ExternalOperation),
}

impl From<ChildOperation> for OtherOperation {
    fn from(child: ChildOperation) -> Self {
        Self::Child(child)
    }
}

impl From<ExternalOperation> for OtherOperation {
    fn from(external: ExternalOperation) -> Self {
        Self::External(external)
    }
}

/// A change by an event.
pub(crate) enum OtherChange {
    Child(ChildChange),
    Answered(Answer),
}

impl Machine for OtherOperation {
    type Command = OtherCommand;
    type Change = OtherChange;

    fn read(event: EventAttributes) -> Result<Option<(Key, OtherChange)>, EventAttributes> {
        use EventAttributes as E;
        let (initiated, answer) = match event {
            E::ExternalWorkflowExecutionSignaledEventAttributes(it) => (it.initiated_event_id, Ok(())),
            E::ExternalWorkflowExecutionCancelRequestedEventAttributes(it) => (it.initiated_event_id, Ok(())),
            E::SignalExternalWorkflowExecutionFailedEventAttributes(it) => {
                (it.initiated_event_id, Err(refused("SignalExternalWorkflowFailed", it.cause().as_str_name())))
            }
            E::RequestCancelExternalWorkflowExecutionFailedEventAttributes(it) => {
                (it.initiated_event_id, Err(refused("CancelExternalWorkflowFailed", it.cause().as_str_name())))
            }
            other => {
                let (initiated, change) = ChildChange::read(other)?;
                return Ok(Some((Key::Event(initiated), OtherChange::Child(change))));
            }
        };
        Ok(Some((Key::Event(initiated), OtherChange::Answered(answer))))
    }

    fn unknown(key: &Key) -> String {
        format!("{key} is about no other workflow")
    }

    fn recorded(event: &EventAttributes) -> Option<OtherCommand> {
        use EventAttributes as E;
        let id = |execution: &Option<crate::raw::WorkflowExecution>| -> Box<str> {
            execution.as_ref().map_or("", |execution| &execution.workflow_id).into()
        };
        Some(match event {
            E::StartChildWorkflowExecutionInitiatedEventAttributes(it) => OtherCommand::StartChild {
                workflow_type: it.workflow_type.as_ref().map_or("", |kind| &kind.name).into(),
                workflow_id: it.workflow_id.as_str().into(),
            },
            E::SignalExternalWorkflowExecutionInitiatedEventAttributes(it) => {
                OtherCommand::Signal { workflow_id: id(&it.workflow_execution), name: it.signal_name.as_str().into() }
            }
            E::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(it) if it.child_workflow_only => {
                OtherCommand::CancelChild { workflow_id: id(&it.workflow_execution) }
            }
            E::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(it) => {
                OtherCommand::Cancel { workflow_id: id(&it.workflow_execution) }
            }
            _ => return None,
        })
    }

    fn inputs<'a>(event: &'a EventAttributes, command: &'a CommandAttributes) -> Option<Compared<'a>> {
        match (event, command) {
            (
                EventAttributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(event),
                CommandAttributes::SignalExternalWorkflowExecutionCommandAttributes(command),
            ) => Some(Compared { recorded: &event.input, issued: &command.input }),
            _ => ChildOperation::inputs(event, command),
        }
    }

    fn confirmed(&mut self, event_id: i64) -> Option<Key> {
        Some(match self {
            Self::Child(child) => child.confirmed(event_id),
            Self::External(external) => external.confirmed(event_id),
        })
    }

    fn cancel_confirmed(&mut self, event_id: i64) -> Option<Key> {
        match self {
            Self::Child(child) => Some(child.cancel_confirmed(event_id)),
            Self::External(_) => None,
        }
    }

    fn apply(&mut self, change: OtherChange) -> Result<Option<Outcome>, &'static str> {
        match (self, change) {
            (Self::Child(child), OtherChange::Child(change)) => child.apply(change),
            (Self::Child(child), OtherChange::Answered(answer)) => Ok(child.cancel_answered(&answer)),
            (Self::External(external), OtherChange::Answered(answer)) => external.answered(answer),
            (Self::External(_), OtherChange::Child(_)) => Err("the event is about a child workflow"),
        }
    }

    fn cancel(&mut self) -> Cancel<OtherCommand> {
        match self {
            Self::Child(child) => child.cancel(),
            Self::External(external) => external.cancel(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Child(child) => child.is_over(),
            Self::External(external) => external.is_over(),
        }
    }

    fn describe(&self, site: CallSite) -> String {
        match self {
            Self::Child(child) => child.describe(site),
            Self::External(external) => external.describe(site),
        }
    }
}

/// The failure of a message that the server could not deliver.
fn refused(type_name: &str, cause: &str) -> Box<Failure> {
    let cause = cause.rsplit("CAUSE_").next().unwrap_or(cause).to_lowercase().replace('_', " ");
    Box::new(Failure::application(type_name, format!("the message to the other workflow failed: {cause}")))
}
