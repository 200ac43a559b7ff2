//! Short constructors of commands, payloads and failures for scenarios.

use everloop_proto::temporal::api::{
    command::v1::{self as command, Command, command::Attributes},
    common::v1::{ActivityType, Payload, Payloads, RetryPolicy, WorkflowExecution, WorkflowType},
    failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo},
};
use prost_types::Duration;

/// One JSON string.
pub(super) fn text(value: &str) -> Payloads {
    Payloads { payloads: vec![payload(value)] }
}

pub(super) fn payload(value: &str) -> Payload {
    let metadata = [("encoding".into(), "json/plain".into())].into();
    Payload { metadata, data: format!("{value:?}").into(), ..Payload::default() }
}

pub(super) fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

pub(super) fn millis(millis: i32) -> Option<Duration> {
    Some(Duration { seconds: i64::from(millis / 1000), nanos: millis % 1000 * 1_000_000 })
}

/// A retry after a tenth of a second, with at most `attempts` attempts.
pub(super) fn retry(attempts: i32) -> Option<RetryPolicy> {
    Some(RetryPolicy { initial_interval: millis(100), maximum_attempts: attempts, ..RetryPolicy::default() })
}

/// The failure that a worker reports when user code fails.
pub(super) fn failure(message: &str) -> Option<Failure> {
    application_failure(message, |_| {})
}

pub(super) fn application_failure(message: &str, edit: impl FnOnce(&mut ApplicationFailureInfo)) -> Option<Failure> {
    let mut info = ApplicationFailureInfo { r#type: "Oops".into(), ..ApplicationFailureInfo::default() };
    edit(&mut info);
    let failure_info = Some(FailureInfo::ApplicationFailureInfo(info));
    Some(Failure { message: message.into(), source: "script".into(), failure_info, ..Failure::default() })
}

/// An activity of type `Work` that may run ten seconds, on the queue of the scenario.
pub(super) fn schedule_activity(id: &str) -> Command {
    schedule_activity_with(id, |_| {})
}

pub(super) fn schedule_activity_with(
    id: &str,
    edit: impl FnOnce(&mut command::ScheduleActivityTaskCommandAttributes),
) -> Command {
    let mut attributes = command::ScheduleActivityTaskCommandAttributes {
        activity_id: id.into(),
        activity_type: Some(ActivityType { name: "Work".into() }),
        input: Some(text("input")),
        start_to_close_timeout: seconds(10),
        ..Default::default()
    };
    edit(&mut attributes);
    of(attributes)
}

pub(super) fn cancel_activity(scheduled_event_id: i64) -> Command {
    let attributes = command::RequestCancelActivityTaskCommandAttributes { scheduled_event_id };
    of(attributes)
}

pub(super) fn start_timer(id: &str, after: Option<Duration>) -> Command {
    let attributes = command::StartTimerCommandAttributes { timer_id: id.into(), start_to_fire_timeout: after };
    of(attributes)
}

pub(super) fn cancel_timer(id: &str) -> Command {
    let attributes = command::CancelTimerCommandAttributes { timer_id: id.into() };
    of(attributes)
}

/// A child of type `Main` with this id, on the queue of the scenario unless `edit` sets another.
pub(super) fn start_child(
    id: String,
    edit: impl FnOnce(&mut command::StartChildWorkflowExecutionCommandAttributes),
) -> Command {
    let mut attributes = command::StartChildWorkflowExecutionCommandAttributes {
        workflow_id: id,
        workflow_type: Some(WorkflowType { name: "Main".into() }),
        input: Some(text("child input")),
        ..Default::default()
    };
    edit(&mut attributes);
    of(attributes)
}

/// A signal from a workflow to another one.
pub(super) fn signal_external(
    id: String,
    edit: impl FnOnce(&mut command::SignalExternalWorkflowExecutionCommandAttributes),
) -> Command {
    let mut attributes = command::SignalExternalWorkflowExecutionCommandAttributes {
        execution: Some(WorkflowExecution { workflow_id: id, run_id: String::new() }),
        signal_name: "wake".into(),
        input: Some(text("signal input")),
        ..Default::default()
    };
    edit(&mut attributes);
    of(attributes)
}

/// A request of a workflow to cancel another one.
pub(super) fn cancel_external(
    id: String,
    edit: impl FnOnce(&mut command::RequestCancelExternalWorkflowExecutionCommandAttributes),
) -> Command {
    let mut attributes = command::RequestCancelExternalWorkflowExecutionCommandAttributes {
        workflow_id: id,
        reason: "because".into(),
        ..Default::default()
    };
    edit(&mut attributes);
    of(attributes)
}

pub(super) fn record_marker(name: &str) -> Command {
    let attributes = command::RecordMarkerCommandAttributes {
        marker_name: name.into(),
        details: [("note".to_owned(), text("remembered"))].into(),
        ..Default::default()
    };
    of(attributes)
}

/// Puts the message with this id at this place among the commands.
pub(super) fn protocol_message(message_id: &str) -> Command {
    let attributes = command::ProtocolMessageCommandAttributes { message_id: message_id.into() };
    of(attributes)
}

pub(super) fn complete_workflow() -> Command {
    let attributes = command::CompleteWorkflowExecutionCommandAttributes { result: Some(text("result")) };
    of(attributes)
}

pub(super) fn fail_workflow(message: &str) -> Command {
    fail_workflow_with(failure(message))
}

pub(super) fn fail_workflow_with(failure: Option<Failure>) -> Command {
    let attributes = command::FailWorkflowExecutionCommandAttributes { failure };
    of(attributes)
}

pub(super) fn cancel_workflow() -> Command {
    let attributes = command::CancelWorkflowExecutionCommandAttributes { details: Some(text("details")) };
    of(attributes)
}

pub(super) fn continue_as_new() -> Command {
    continue_as_new_with(|_| {})
}

pub(super) fn continue_as_new_with(
    edit: impl FnOnce(&mut command::ContinueAsNewWorkflowExecutionCommandAttributes),
) -> Command {
    let mut attributes = command::ContinueAsNewWorkflowExecutionCommandAttributes {
        input: Some(text("next input")),
        ..Default::default()
    };
    edit(&mut attributes);
    of(attributes)
}

pub(super) fn of(attributes: impl Into<Attributes>) -> Command {
    let attributes = attributes.into();
    Command { command_type: attributes.command_type().into(), attributes: Some(attributes), ..Command::default() }
}
