//! What the workflow asked for in a task, and whether history agrees.

use std::fmt;
use std::panic::Location;

use everloop_proto::temporal::api::command::v1::{Command, command::Attributes};
use everloop_proto::temporal::api::enums::v1::{CommandType, EventType};
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;
use everloop_proto::temporal::api::sdk::v1::UserMetadata;

use super::error::ReplayError;
use super::operation::OperationId;

/// The line of user code that issued a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CallSite(Option<&'static Location<'static>>);

impl CallSite {
    /// Nobody's line: the return of `run`, the acceptance of an update.
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

/// What identifies a command on replay: its kind and id, never its payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandKind {
    StartTimer {
        timer_id: String,
    },
    CancelTimer {
        timer_id: String,
    },
    ScheduleActivity {
        activity_type: String,
        activity_id: String,
    },
    RequestCancelActivity {
        scheduled_event_id: i64,
    },
    AcceptUpdate {
        update_id: String,
    },
    CompleteUpdate {
        update_id: String,
    },
    CompleteWorkflow,
    FailWorkflow,
    CancelWorkflow,
    /// Something that this version never issues.
    Other {
        event_type: String,
    },
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartTimer { timer_id } => write!(f, "StartTimer({timer_id})"),
            Self::CancelTimer { timer_id } => write!(f, "CancelTimer({timer_id})"),
            Self::ScheduleActivity { activity_type, activity_id } => {
                write!(f, "ScheduleActivity({activity_type}, id {activity_id})")
            }
            Self::RequestCancelActivity { scheduled_event_id } => {
                write!(f, "RequestCancelActivity(scheduled by event {scheduled_event_id})")
            }
            Self::AcceptUpdate { update_id } => write!(f, "AcceptUpdate({update_id})"),
            Self::CompleteUpdate { update_id } => write!(f, "CompleteUpdate({update_id})"),
            Self::CompleteWorkflow => f.write_str("CompleteWorkflow"),
            Self::FailWorkflow => f.write_str("FailWorkflow"),
            Self::CancelWorkflow => f.write_str("CancelWorkflow"),
            Self::Other { event_type } => f.write_str(event_type),
        }
    }
}

/// One command of the current task.
pub(super) struct Issued {
    pub(super) kind: CommandKind,
    pub(super) site: CallSite,
    /// Whose event it will become, for the operations that later commands refer to.
    pub(super) operation: Option<OperationId>,
    /// What it cancels: nothing is left to cancel if that ends in the same task.
    pub(super) cancels: Option<OperationId>,
    /// What to send. Absent on replay, where nothing is sent.
    pub(super) attributes: Option<Attributes>,
    pub(super) summary: Option<String>,
}

impl Issued {
    pub(super) fn new(kind: CommandKind, site: CallSite, attributes: Option<Attributes>) -> Self {
        Self { kind, site, operation: None, cancels: None, attributes, summary: None }
    }

    /// What to send. What is left still tells which event it must become.
    pub(super) fn take_wire(&mut self) -> Command {
        let kind = match self.kind {
            CommandKind::StartTimer { .. } => CommandType::StartTimer,
            CommandKind::CancelTimer { .. } => CommandType::CancelTimer,
            CommandKind::ScheduleActivity { .. } => CommandType::ScheduleActivityTask,
            CommandKind::RequestCancelActivity { .. } => CommandType::RequestCancelActivityTask,
            CommandKind::AcceptUpdate { .. } | CommandKind::CompleteUpdate { .. } => CommandType::ProtocolMessage,
            CommandKind::CompleteWorkflow => CommandType::CompleteWorkflowExecution,
            CommandKind::FailWorkflow => CommandType::FailWorkflowExecution,
            CommandKind::CancelWorkflow => CommandType::CancelWorkflowExecution,
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

/// Whether an event was born of a command or an update's message, and thus stands among a task's outputs.
pub(crate) fn is_output(event: &HistoryEvent) -> bool {
    use EventType::*;
    matches!(
        EventType::try_from(event.event_type),
        Ok(WorkflowExecutionCompleted
            | WorkflowExecutionFailed
            | WorkflowExecutionCanceled
            | WorkflowExecutionContinuedAsNew
            | ActivityTaskScheduled
            | ActivityTaskCancelRequested
            | TimerStarted
            | TimerCanceled
            | RequestCancelExternalWorkflowExecutionInitiated
            | MarkerRecorded
            | StartChildWorkflowExecutionInitiated
            | SignalExternalWorkflowExecutionInitiated
            | UpsertWorkflowSearchAttributes
            | WorkflowExecutionUpdateAccepted
            | WorkflowExecutionUpdateCompleted
            | WorkflowPropertiesModified
            | NexusOperationScheduled
            | NexusOperationCancelRequested)
    )
}

/// What an output event says was asked.
pub(super) fn recorded(event: &HistoryEvent) -> CommandKind {
    match &event.attributes {
        Some(EventAttributes::TimerStartedEventAttributes(timer)) => {
            CommandKind::StartTimer { timer_id: timer.timer_id.clone() }
        }
        Some(EventAttributes::TimerCanceledEventAttributes(timer)) => {
            CommandKind::CancelTimer { timer_id: timer.timer_id.clone() }
        }
        Some(EventAttributes::ActivityTaskScheduledEventAttributes(activity)) => CommandKind::ScheduleActivity {
            activity_type: activity.activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
            activity_id: activity.activity_id.clone(),
        },
        Some(EventAttributes::ActivityTaskCancelRequestedEventAttributes(cancel)) => {
            CommandKind::RequestCancelActivity { scheduled_event_id: cancel.scheduled_event_id }
        }
        Some(EventAttributes::WorkflowExecutionUpdateAcceptedEventAttributes(update)) => {
            CommandKind::AcceptUpdate { update_id: update.protocol_instance_id.clone() }
        }
        Some(EventAttributes::WorkflowExecutionUpdateCompletedEventAttributes(update)) => CommandKind::CompleteUpdate {
            update_id: update.meta.as_ref().map(|meta| meta.update_id.clone()).unwrap_or_default(),
        },
        Some(EventAttributes::WorkflowExecutionCompletedEventAttributes(_)) => CommandKind::CompleteWorkflow,
        Some(EventAttributes::WorkflowExecutionFailedEventAttributes(_)) => CommandKind::FailWorkflow,
        Some(EventAttributes::WorkflowExecutionCanceledEventAttributes(_)) => CommandKind::CancelWorkflow,
        _ => CommandKind::Other { event_type: type_name(event) },
    }
}

/// The event type as the protocol names it.
pub(super) fn type_name(event: &HistoryEvent) -> String {
    match EventType::try_from(event.event_type) {
        Ok(kind) => kind.as_str_name().trim_start_matches("EVENT_TYPE_").to_owned(),
        Err(_) => format!("type {}", event.event_type),
    }
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
