//! The attributes of history events, each kind from its message.

use crate::temporal::api::history::v1::{self as history, history_event::Attributes};

macro_rules! attributes {
    ($($kind:ident,)*) => {$(
        impl From<history::$kind> for Attributes {
            fn from(attributes: history::$kind) -> Self {
                Self::$kind(attributes.into())
            }
        }
    )*};
}

attributes! {
    WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionCompletedEventAttributes,
    WorkflowExecutionFailedEventAttributes,
    WorkflowExecutionTimedOutEventAttributes,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
    WorkflowTaskCompletedEventAttributes,
    WorkflowTaskTimedOutEventAttributes,
    WorkflowTaskFailedEventAttributes,
    ActivityTaskScheduledEventAttributes,
    ActivityTaskStartedEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    ActivityTaskTimedOutEventAttributes,
    TimerStartedEventAttributes,
    TimerFiredEventAttributes,
    ActivityTaskCancelRequestedEventAttributes,
    ActivityTaskCanceledEventAttributes,
    TimerCanceledEventAttributes,
    MarkerRecordedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionTerminatedEventAttributes,
    WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionCanceledEventAttributes,
    RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    RequestCancelExternalWorkflowExecutionFailedEventAttributes,
    ExternalWorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionContinuedAsNewEventAttributes,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    StartChildWorkflowExecutionFailedEventAttributes,
    ChildWorkflowExecutionStartedEventAttributes,
    ChildWorkflowExecutionCompletedEventAttributes,
    ChildWorkflowExecutionFailedEventAttributes,
    ChildWorkflowExecutionCanceledEventAttributes,
    ChildWorkflowExecutionTimedOutEventAttributes,
    ChildWorkflowExecutionTerminatedEventAttributes,
    SignalExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionFailedEventAttributes,
    ExternalWorkflowExecutionSignaledEventAttributes,
    UpsertWorkflowSearchAttributesEventAttributes,
    WorkflowExecutionUpdateAcceptedEventAttributes,
    WorkflowExecutionUpdateRejectedEventAttributes,
    WorkflowExecutionUpdateCompletedEventAttributes,
    WorkflowPropertiesModifiedExternallyEventAttributes,
    ActivityPropertiesModifiedExternallyEventAttributes,
    WorkflowPropertiesModifiedEventAttributes,
    WorkflowExecutionUpdateAdmittedEventAttributes,
    NexusOperationScheduledEventAttributes,
    NexusOperationStartedEventAttributes,
    NexusOperationCompletedEventAttributes,
    NexusOperationFailedEventAttributes,
    NexusOperationCanceledEventAttributes,
    NexusOperationTimedOutEventAttributes,
    NexusOperationCancelRequestedEventAttributes,
    WorkflowExecutionOptionsUpdatedEventAttributes,
    NexusOperationCancelRequestCompletedEventAttributes,
    NexusOperationCancelRequestFailedEventAttributes,
    WorkflowExecutionPausedEventAttributes,
    WorkflowExecutionUnpausedEventAttributes,
    WorkflowExecutionTimeSkippingTransitionedEventAttributes,
}
