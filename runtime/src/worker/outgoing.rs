//! Commands of workflows, as interceptors see them before they leave.

use std::time::Duration;

use everloop_proto::temporal::api::command::v1::command::Attributes;

use crate::data::{Headers, Payload, decode, limit_from_wire};
use crate::executor::current::try_current;
use crate::raw;

/// A command of a workflow that leaves for the first time. See [`WorkerInterceptor::outgoing`](super::WorkerInterceptor::outgoing).
#[derive(Debug)]
pub struct OutgoingCommand<'a> {
    kind: OutgoingKind<'a>,
    headers: Option<Headers>,
    message: &'a Headers,
}

/// The kind of a command of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutgoingKind<'a> {
    /// An activity is scheduled.
    Activity {
        /// The activity type's name.
        activity_type: &'a str,
        /// The activity's id.
        activity_id: &'a str,
        /// The task queue.
        task_queue: &'a str,
    },
    /// A timer is started. The protocol has no headers for it.
    Timer {
        /// When it fires, counted from now.
        duration: Duration,
    },
    /// A child workflow is started.
    ChildWorkflow {
        /// The workflow type's name.
        workflow_type: &'a str,
        /// The child's workflow id.
        workflow_id: &'a str,
    },
    /// A signal is sent to another workflow.
    Signal {
        /// The signal's name.
        name: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
    /// The workflow continues as new.
    ContinueAsNew {
        /// The workflow type's name.
        workflow_type: &'a str,
    },
}

impl<'a> OutgoingCommand<'a> {
    /// The kind of the command.
    pub fn kind(&self) -> OutgoingKind<'a> {
        self.kind
    }

    /// The headers that leave with the command. `None` for kinds without headers.
    pub fn headers_mut(&mut self) -> Option<&mut Headers> {
        self.headers.as_mut()
    }

    /// A header of the message whose handler issues the command; one of the workflow's start if the message does not have it, or if
    /// `run` issues the command. What `spawn` runs belongs to the message of its spawner. `None` if there is no such header, an error
    /// if it is of another type.
    ///
    /// Facts about the workflow are in [`workflow::info`](crate::workflow::info).
    pub fn incoming<T: Payload>(&self, name: &str) -> Option<Result<T, String>> {
        self.incoming_raw(name).map(|header| decode(&header))
    }

    fn incoming_raw(&self, name: &str) -> Option<raw::Payload> {
        let of_message = self.message.iter().find(|(known, _)| *known == name);
        of_message.map(|(_, value)| value.clone()).or_else(|| try_current()?.info().headers.get(name).cloned())
    }

    /// Hands an incoming header on, unless the command has one of this name. Returns whether there is one.
    pub fn pass_on(&mut self, name: &str) -> bool {
        let incoming = self.incoming_raw(name);
        let Some(headers) = &mut self.headers else { return false };
        if headers.iter().any(|(known, _)| known == name) {
            return true;
        }
        let found = incoming.is_some();
        if let Some(value) = incoming {
            headers.insert_raw(name, value);
        }
        found
    }
}

/// The headers of a local activity, with those that interceptors add. `start` are the headers of the workflow's start.
pub(super) fn local_headers(
    kind: OutgoingKind<'_>,
    start: &Headers,
    see: impl FnOnce(&mut OutgoingCommand<'_>),
) -> Headers {
    let mut outgoing = OutgoingCommand { kind, headers: Some(Headers::new()), message: start };
    see(&mut outgoing);
    outgoing.headers.unwrap_or_default()
}

/// Shows a command to interceptors, if it is of a kind that they see.
pub(super) fn show(command: &mut Attributes, message: &Headers, see: impl FnOnce(&mut OutgoingCommand<'_>)) {
    let headers = headers_of(command).map(|header| Headers::from_wire(header.take()));
    let Some(kind) = kind_of(command) else { return };
    let mut outgoing = OutgoingCommand { kind, headers, message };
    see(&mut outgoing);
    let headers = outgoing.headers;
    if let (Some(place), Some(headers)) = (headers_of(command), headers) {
        *place = headers.into_wire();
    }
}

fn headers_of(command: &mut Attributes) -> Option<&mut Option<raw::Header>> {
    match command {
        Attributes::ScheduleActivityTaskCommandAttributes(activity) => Some(&mut activity.header),
        Attributes::StartChildWorkflowExecutionCommandAttributes(child) => Some(&mut child.header),
        Attributes::SignalExternalWorkflowExecutionCommandAttributes(signal) => Some(&mut signal.header),
        Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(next) => Some(&mut next.header),
        _ => None,
    }
}

fn kind_of(command: &Attributes) -> Option<OutgoingKind<'_>> {
    Some(match command {
        Attributes::ScheduleActivityTaskCommandAttributes(activity) => OutgoingKind::Activity {
            activity_type: activity.activity_type.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default(),
            activity_id: &activity.activity_id,
            task_queue: activity.task_queue.as_ref().map(|queue| queue.name.as_str()).unwrap_or_default(),
        },
        Attributes::StartTimerCommandAttributes(timer) => {
            OutgoingKind::Timer { duration: limit_from_wire(timer.start_to_fire_timeout).unwrap_or_default() }
        }
        Attributes::StartChildWorkflowExecutionCommandAttributes(child) => OutgoingKind::ChildWorkflow {
            workflow_type: workflow_type(&child.workflow_type),
            workflow_id: &child.workflow_id,
        },
        Attributes::SignalExternalWorkflowExecutionCommandAttributes(signal) => OutgoingKind::Signal {
            name: &signal.signal_name,
            workflow_id: signal.execution.as_ref().map(|execution| execution.workflow_id.as_str()).unwrap_or_default(),
        },
        Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(next) => {
            OutgoingKind::ContinueAsNew { workflow_type: workflow_type(&next.workflow_type) }
        }
        _ => return None,
    })
}

fn workflow_type(kind: &Option<raw::WorkflowType>) -> &str {
    kind.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default()
}
