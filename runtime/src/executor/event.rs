//! The event table: the meaning of each kind of event for a run.
//!
//! An event is either an *output*, written for a command or an update's message, or an *input* of the next task.

use std::time::SystemTime;

use everloop_proto::temporal::api::enums::v1::{EventType, WorkflowTaskFailedCause};
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::history::v1::{
    HistoryEvent, WorkflowExecutionSignaledEventAttributes, WorkflowExecutionStartedEventAttributes,
};

use super::operations::{Change, Key};

/// An event among the inputs of a task.
pub(super) struct Input {
    pub(super) event_id: i64,
    pub(super) meaning: Meaning,
}

pub(super) enum Meaning {
    /// The workflow starts.
    Start {
        time: Option<SystemTime>,
        started: Box<WorkflowExecutionStartedEventAttributes>,
    },
    Signal(Box<WorkflowExecutionSignaledEventAttributes>),
    /// The workflow's cancellation is requested.
    CancelRequest,
    /// The run was reset; its random numbers are seeded again with this run id.
    Reset {
        new_run_id: String,
    },
    /// An operation changes.
    Operation {
        key: Key,
        change: Change,
    },
    /// Workflow code cannot observe the event.
    Nothing,
    /// This version does not know the event, and must not ignore it.
    Unsupported {
        event_type: String,
    },
}

impl Input {
    pub(super) fn read(mut event: HistoryEvent) -> Self {
        let event_id = event.event_id;
        let meaning = match event.attributes.take().map(Change::read) {
            Some(Ok(Some((key, change)))) => Meaning::Operation { key, change },
            Some(Ok(None)) => Meaning::Nothing,
            Some(Err(attributes)) => Meaning::of_others(attributes, &event),
            None => Meaning::of_unknown(&event),
        };
        Self { event_id, meaning }
    }

    /// Whether workflow code can observe the event.
    pub(super) fn delivers(&self) -> bool {
        match self.meaning {
            Meaning::Start { .. } | Meaning::Signal(_) | Meaning::CancelRequest | Meaning::Operation { .. } => true,
            Meaning::Reset { .. } | Meaning::Nothing | Meaning::Unsupported { .. } => false,
        }
    }
}

impl Meaning {
    /// The meaning of events that concern no operation.
    fn of_others(attributes: Attributes, event: &HistoryEvent) -> Self {
        match attributes {
            Attributes::WorkflowExecutionStartedEventAttributes(started) => {
                Self::Start { time: event.event_time.and_then(|time| time.try_into().ok()), started }
            }
            Attributes::WorkflowExecutionSignaledEventAttributes(signal) => Self::Signal(signal),
            Attributes::WorkflowExecutionCancelRequestedEventAttributes(_) => Self::CancelRequest,
            Attributes::WorkflowTaskFailedEventAttributes(failed)
                if failed.cause == WorkflowTaskFailedCause::ResetWorkflow as i32 =>
            {
                Self::Reset { new_run_id: failed.new_run_id }
            }
            Attributes::WorkflowTaskScheduledEventAttributes(_)
            | Attributes::WorkflowTaskStartedEventAttributes(_)
            | Attributes::WorkflowTaskTimedOutEventAttributes(_)
            | Attributes::WorkflowTaskFailedEventAttributes(_)
            | Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(_)
            | Attributes::WorkflowExecutionPausedEventAttributes(_)
            | Attributes::WorkflowExecutionUnpausedEventAttributes(_) => Self::Nothing,
            _ => Self::of_unknown(event),
        }
    }

    fn of_unknown(event: &HistoryEvent) -> Self {
        match event.worker_may_ignore {
            true => Self::Nothing,
            false => Self::Unsupported { event_type: type_name(event) },
        }
    }
}

/// Whether the event was written for a command or an update's message, so that it is an output of a task.
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

/// The name of the event type in the protocol.
pub(super) fn type_name(event: &HistoryEvent) -> String {
    match EventType::try_from(event.event_type) {
        Ok(kind) => kind.as_str_name().trim_start_matches("EVENT_TYPE_").to_owned(),
        Err(_) => format!("type {}", event.event_type),
    }
}
