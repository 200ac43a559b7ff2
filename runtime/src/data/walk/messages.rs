//! Each message of the wire that holds payloads, and the fields it holds them in.
//!
//! Encoding and decoding walk the same fields. Search attributes are no payloads in this sense: the server reads them.

use std::collections::HashMap;

use everloop_proto::temporal::api::command::v1::{self as command, command::Attributes as CommandAttributes};
use everloop_proto::temporal::api::history::v1::{self as history, history_event::Attributes as EventAttributes};
use everloop_proto::temporal::api::workflowservice::v1 as service;
use everloop_proto::temporal::api::{failure, protocol, query, sdk, update, workflow};
use prost::{Message, Name};

use super::{NamesActivity, NamesWorkflow, Visitor, Walk, sorted};
use crate::raw;

/// Visits headers only if the codec is configured to transform them.
impl Walk for raw::Header {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        if visitor.visits_headers() {
            self.fields.walk(visitor);
        }
    }
}

/// `Type { fields }`: the fields of a message that hold payloads. `of` is followed by the field that names the workflow of these
/// payloads, `naming` by the one that names their activity.
macro_rules! holds {
    ($($($path:ident)::+ $(of $workflow:ident)? $(naming $activity:ident)? { $($field:ident),+ })*) => {$(
        impl Walk for $($path)::+ {
            fn walk(&mut self, visitor: &mut Visitor<'_>) {
                #[allow(unused_mut, reason = "most messages leave the owner as it is")]
                let mut owner = visitor.owner();
                $(self.$workflow.name_workflow(&mut owner);)?
                $((&self.$activity, &self.activity_id).name_activity(&mut owner);)?
                visitor.within(owner, |visitor| { $(self.$field.walk(visitor);)+ });
            }
        }
    )*};
}

/// `Enum { Variants }`: the alternatives that hold payloads.
macro_rules! one_of {
    ($($enum:ty { $($variant:ident),+ })*) => {$(
        impl Walk for $enum {
            fn walk(&mut self, visitor: &mut Visitor<'_>) {
                match self {
                    $(Self::$variant(value) => value.walk(visitor),)+
                    #[allow(unreachable_patterns, reason = "some name all their alternatives")]
                    _ => {}
                }
            }
        }
    )*};
}

holds! {
    raw::Payloads { payloads }
    raw::Memo { fields }
    sdk::v1::UserMetadata { summary, details }
    failure::v1::ApplicationFailureInfo { details }
    failure::v1::TimeoutFailureInfo { last_heartbeat_details }
    failure::v1::CanceledFailureInfo { details }
    failure::v1::ResetWorkflowFailureInfo { last_heartbeat_details }
    query::v1::WorkflowQuery { query_args, header }
    query::v1::WorkflowQueryResult { answer, failure }
    update::v1::Request { input }
    update::v1::Input { args, header }
    update::v1::Outcome { value }
    update::v1::Acceptance { accepted_request }
    update::v1::Rejection { rejected_request, failure }
    update::v1::Response { outcome }

    command::Command { user_metadata, attributes }
    command::ScheduleActivityTaskCommandAttributes naming activity_type { input, header }
    command::CompleteWorkflowExecutionCommandAttributes { result }
    command::FailWorkflowExecutionCommandAttributes { failure }
    command::CancelWorkflowExecutionCommandAttributes { details }
    command::SignalExternalWorkflowExecutionCommandAttributes of execution { input, header }
    command::ModifyWorkflowPropertiesCommandAttributes { upserted_memo }
    command::ContinueAsNewWorkflowExecutionCommandAttributes { input, failure, last_completion_result, memo, header }
    command::StartChildWorkflowExecutionCommandAttributes of workflow_id { input, memo, header }
    command::ScheduleNexusOperationCommandAttributes { input }

    history::History { events }
    history::HistoryEvent { user_metadata, attributes }
    history::WorkflowExecutionStartedEventAttributes { input, continued_failure, last_completion_result, memo, header }
    history::WorkflowExecutionCompletedEventAttributes { result }
    history::WorkflowExecutionFailedEventAttributes { failure }
    history::WorkflowExecutionContinuedAsNewEventAttributes { input, failure, last_completion_result, memo, header }
    history::WorkflowTaskFailedEventAttributes { failure }
    history::ActivityTaskScheduledEventAttributes naming activity_type { input, header }
    history::ActivityTaskStartedEventAttributes { last_failure }
    history::ActivityTaskCompletedEventAttributes { result }
    history::ActivityTaskFailedEventAttributes { failure }
    history::ActivityTaskTimedOutEventAttributes { failure }
    history::ActivityTaskCanceledEventAttributes { details }
    history::WorkflowExecutionCanceledEventAttributes { details }
    history::WorkflowExecutionSignaledEventAttributes { input, header }
    history::WorkflowExecutionTerminatedEventAttributes { details }
    history::SignalExternalWorkflowExecutionInitiatedEventAttributes of workflow_execution { input, header }
    history::WorkflowPropertiesModifiedEventAttributes { upserted_memo }
    history::WorkflowPropertiesModifiedExternallyEventAttributes { upserted_memo }
    history::StartChildWorkflowExecutionInitiatedEventAttributes of workflow_id { input, memo, header }
    history::ChildWorkflowExecutionStartedEventAttributes of workflow_execution { header }
    history::ChildWorkflowExecutionCompletedEventAttributes of workflow_execution { result }
    history::ChildWorkflowExecutionFailedEventAttributes of workflow_execution { failure }
    history::ChildWorkflowExecutionCanceledEventAttributes of workflow_execution { details }
    history::WorkflowExecutionUpdateAcceptedEventAttributes { accepted_request }
    history::WorkflowExecutionUpdateCompletedEventAttributes { outcome }
    history::WorkflowExecutionUpdateRejectedEventAttributes { rejected_request, failure }
    history::WorkflowExecutionUpdateAdmittedEventAttributes { request }
    history::NexusOperationScheduledEventAttributes { input }
    history::NexusOperationCompletedEventAttributes { result }
    history::NexusOperationFailedEventAttributes { failure }
    history::NexusOperationTimedOutEventAttributes { failure }
    history::NexusOperationCanceledEventAttributes { failure }
    history::NexusOperationCancelRequestFailedEventAttributes { failure }

    service::StartWorkflowExecutionRequest of workflow_id { input, memo, user_metadata, continued_failure, last_completion_result, header }
    service::SignalWithStartWorkflowExecutionRequest of workflow_id { input, signal_input, memo, user_metadata, header }
    service::SignalWorkflowExecutionRequest of workflow_execution { input, header }
    service::QueryWorkflowRequest of execution { query }
    service::QueryWorkflowResponse { query_result }
    service::UpdateWorkflowExecutionRequest of workflow_execution { request }
    service::TerminateWorkflowExecutionRequest of workflow_execution { details }
    service::RespondWorkflowTaskCompletedRequest { commands, query_results, messages }
    service::RespondWorkflowTaskFailedRequest { failure }
    service::RespondQueryTaskCompletedRequest { query_result, failure }
    service::RespondActivityTaskCompletedRequest { result }
    service::RespondActivityTaskFailedRequest { failure, last_heartbeat_details }
    service::RespondActivityTaskCanceledRequest { details }
    service::RecordActivityTaskHeartbeatRequest { details }
    service::RespondActivityTaskCompletedByIdRequest of workflow_id { result }
    service::RespondActivityTaskFailedByIdRequest of workflow_id { failure, last_heartbeat_details }
    service::RespondActivityTaskCanceledByIdRequest of workflow_id { details }
    service::RecordActivityTaskHeartbeatByIdRequest of workflow_id { details }
    service::PollWorkflowTaskQueueResponse of workflow_execution { history, query, queries, messages }
    service::PollActivityTaskQueueResponse of workflow_execution naming activity_type { input, heartbeat_details, header }
    service::DescribeWorkflowExecutionResponse { execution_config, workflow_execution_info, pending_activities }
    workflow::v1::WorkflowExecutionConfig { user_metadata }
    workflow::v1::WorkflowExecutionInfo of execution { memo }
    workflow::v1::PendingActivityInfo naming activity_type { heartbeat_details, last_failure }
}

one_of! {
    failure::v1::failure::FailureInfo {
        ApplicationFailureInfo, TimeoutFailureInfo, CanceledFailureInfo, ResetWorkflowFailureInfo
    }
    update::v1::outcome::Value { Success, Failure }
    CommandAttributes {
        ScheduleActivityTaskCommandAttributes, CompleteWorkflowExecutionCommandAttributes,
        FailWorkflowExecutionCommandAttributes, CancelWorkflowExecutionCommandAttributes,
        SignalExternalWorkflowExecutionCommandAttributes, ModifyWorkflowPropertiesCommandAttributes,
        RecordMarkerCommandAttributes, ContinueAsNewWorkflowExecutionCommandAttributes,
        StartChildWorkflowExecutionCommandAttributes, ScheduleNexusOperationCommandAttributes
    }
    EventAttributes {
        WorkflowExecutionStartedEventAttributes, WorkflowExecutionCompletedEventAttributes,
        WorkflowExecutionFailedEventAttributes, WorkflowExecutionContinuedAsNewEventAttributes,
        WorkflowTaskFailedEventAttributes, ActivityTaskScheduledEventAttributes, ActivityTaskStartedEventAttributes,
        ActivityTaskCompletedEventAttributes, ActivityTaskFailedEventAttributes, ActivityTaskTimedOutEventAttributes,
        ActivityTaskCanceledEventAttributes, WorkflowExecutionCanceledEventAttributes, MarkerRecordedEventAttributes,
        WorkflowExecutionSignaledEventAttributes, WorkflowExecutionTerminatedEventAttributes,
        SignalExternalWorkflowExecutionInitiatedEventAttributes, WorkflowPropertiesModifiedEventAttributes,
        WorkflowPropertiesModifiedExternallyEventAttributes, StartChildWorkflowExecutionInitiatedEventAttributes,
        ChildWorkflowExecutionStartedEventAttributes, ChildWorkflowExecutionCompletedEventAttributes,
        ChildWorkflowExecutionFailedEventAttributes,
        ChildWorkflowExecutionCanceledEventAttributes, WorkflowExecutionUpdateAcceptedEventAttributes,
        WorkflowExecutionUpdateCompletedEventAttributes, WorkflowExecutionUpdateRejectedEventAttributes,
        WorkflowExecutionUpdateAdmittedEventAttributes, NexusOperationScheduledEventAttributes,
        NexusOperationCompletedEventAttributes, NexusOperationFailedEventAttributes,
        NexusOperationTimedOutEventAttributes, NexusOperationCanceledEventAttributes,
        NexusOperationCancelRequestFailedEventAttributes
    }
}

/// The details of markers that hold no value of a user: other SDKs read them as they are. By the names of the marker and
/// of the detail.
const PLAIN_DETAILS: [(&str, &str); 1] = [("core_patch", "patch-data")];

fn walk_details(marker_name: &str, details: &mut HashMap<String, raw::Payloads>, visitor: &mut Visitor<'_>) {
    for (name, detail) in sorted(details) {
        if !PLAIN_DETAILS.contains(&(marker_name, name)) {
            detail.walk(visitor);
        }
    }
}

impl Walk for command::RecordMarkerCommandAttributes {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        walk_details(&self.marker_name, &mut self.details, visitor);
        self.failure.walk(visitor);
        self.header.walk(visitor);
    }
}

impl Walk for history::MarkerRecordedEventAttributes {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        walk_details(&self.marker_name, &mut self.details, visitor);
        self.failure.walk(visitor);
        self.header.walk(visitor);
    }
}

/// Walks the causes in a loop, since they can be nested deeper than the stack allows.
impl Walk for failure::v1::Failure {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        let mut next = Some(self);
        while let Some(failure) = next {
            failure.encoded_attributes.walk(visitor);
            failure.failure_info.walk(visitor);
            next = failure.cause.as_deref_mut();
        }
    }
}

/// The messages of updates are packed into `Any`: they are unpacked for the walk and packed again.
impl Walk for protocol::v1::Message {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        let Some(body) = &mut self.body else { return };
        fn repack<M: Message + Name + Default + Walk>(body: &mut prost_types::Any, visitor: &mut Visitor<'_>) -> bool {
            if body.type_url.rsplit('/').next() != Some(M::full_name().as_str()) {
                return false;
            }
            if let Ok(mut message) = M::decode(body.value.as_slice()) {
                message.walk(visitor);
                body.value = message.encode_to_vec();
            }
            true
        }
        let _ = repack::<update::v1::Request>(body, visitor)
            || repack::<update::v1::Acceptance>(body, visitor)
            || repack::<update::v1::Rejection>(body, visitor)
            || repack::<update::v1::Response>(body, visitor);
    }
}
