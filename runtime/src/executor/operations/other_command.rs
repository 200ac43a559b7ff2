//! The identity of commands about other workflows.

use std::fmt;

use crate::data::Failure;

/// The server's answer to a message to another workflow.
pub(super) type Answer = Result<(), Box<Failure>>;

/// The identity of a command about another workflow on replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OtherCommand {
    StartChild { workflow_type: Box<str>, workflow_id: Box<str> },
    CancelChild { workflow_id: Box<str> },
    Signal { workflow_id: Box<str>, name: Box<str> },
    Cancel { workflow_id: Box<str> },
}

impl fmt::Display for OtherCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartChild { workflow_type, workflow_id } => {
                write!(f, "StartChildWorkflow({workflow_type}, id {workflow_id})")
            }
            Self::CancelChild { workflow_id } => write!(f, "RequestCancelChildWorkflow({workflow_id})"),
            Self::Signal { workflow_id, name } => write!(f, "SignalExternalWorkflow({name}, id {workflow_id})"),
            Self::Cancel { workflow_id } => write!(f, "RequestCancelExternalWorkflow({workflow_id})"),
        }
    }
}
