//! The end of a run: by a command, by a request, or by a timeout.

use std::sync::Arc;

use prost::Message as _;

use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::command::{
    CancelWorkflowExecutionCommandAttributes, CompleteWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
};
use crate::api::enums::{CommandType, RetryState, WorkflowTaskFailedCause as Cause};
use crate::api::history::{
    WorkflowExecutionCanceledEventAttributes, WorkflowExecutionCompletedEventAttributes,
    WorkflowExecutionFailedEventAttributes, WorkflowExecutionTerminatedEventAttributes,
    WorkflowExecutionTimedOutEventAttributes,
};
use crate::engine::cancel::StopRequest;
use crate::engine::commands::Commands;
use crate::engine::deadline::Deadline;
use crate::engine::error::{Refusal, Rejected};
use crate::engine::event::{Attributes, EventId, HistoryEvent, Order, event};
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::successor::{LastResult, Retried, run_timed_out};
use crate::engine::time::Time;
use crate::limits::BLOB_BYTES_MAX;
use crate::model::RunStatus;

/// The rules for ending runs.
pub(super) struct CloseRules;

impl Subject for CloseRules {
    const COMMANDS: &'static [(CommandType, Cause)] = &[
        (CommandType::CompleteWorkflowExecution, Cause::BadCompleteWorkflowExecutionAttributes),
        (CommandType::FailWorkflowExecution, Cause::BadFailWorkflowExecutionAttributes),
        (CommandType::CancelWorkflowExecution, Cause::BadCancelWorkflowExecutionAttributes),
    ];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::CompleteWorkflowExecutionCommandAttributes(it) => {
                Ok(run.complete_workflow(it, commands))
            }
            CommandAttributes::FailWorkflowExecutionCommandAttributes(it) => Ok(run.fail_workflow(it, commands)),
            CommandAttributes::CancelWorkflowExecutionCommandAttributes(it) => Ok(run.cancel_workflow(it, commands)),
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        closing_status(event).map(|_| Order::Now)
    }

    fn apply(run: &mut Run, _: EventId, time: Time, event: &Attributes) -> Option<Applied> {
        run.apply_closed(closing_status(event)?, time, event);
        Some(Ok(()))
    }

    fn due(run: &mut Run, deadline: Deadline, now: Time) -> Result<(), Deadline> {
        match deadline {
            Deadline::ExecutionTimeout => run.time_out(Retried::no(RetryState::Timeout), now),
            other => return Err(other),
        }
        Ok(())
    }
}

impl Run {
    fn complete_workflow(
        &mut self,
        attributes: CompleteWorkflowExecutionCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        check_nothing_waits(commands)?;
        if attributes.result.as_ref().is_some_and(|result| result.encoded_len() > BLOB_BYTES_MAX) {
            let detail = "CompleteWorkflowExecutionCommandAttributes.Result exceeds size limit.";
            return Err(Rejected::new(Cause::BadCompleteWorkflowExecutionAttributes, detail).terminating());
        }
        let run_id = Arc::clone(&commands.successor_run_id);
        let new_execution_run_id = self.go_on_by_schedule(attributes.result.clone(), None, run_id, commands.now);
        let event = commands.event(WorkflowExecutionCompletedEventAttributes {
            result: attributes.result,
            workflow_task_completed_event_id: commands.completed_event_id,
            new_execution_run_id,
        });
        self.append_event(event);
        Ok(())
    }

    fn fail_workflow(
        &mut self,
        attributes: FailWorkflowExecutionCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        check_nothing_waits(commands)?;
        let Some(failure) = attributes.failure else {
            return Err(Rejected::new(
                Cause::BadFailWorkflowExecutionAttributes,
                "Failure is not set on FailWorkflowExecutionCommand.",
            ));
        };
        if failure.encoded_len() > BLOB_BYTES_MAX {
            let detail = "FailWorkflowExecutionCommandAttributes.Failure exceeds size limit.";
            return Err(Rejected::new(Cause::BadFailWorkflowExecutionAttributes, detail).terminating());
        }
        let run_id = Arc::clone(&commands.successor_run_id);
        let retried = self.go_on_after_failure(&failure, LastResult::Dropped, run_id, commands.now);
        let event = commands.event(WorkflowExecutionFailedEventAttributes {
            failure: Some(failure),
            retry_state: retried.state as i32,
            workflow_task_completed_event_id: commands.completed_event_id,
            new_execution_run_id: retried.run_id,
        });
        self.append_event(event);
        Ok(())
    }

    fn cancel_workflow(
        &mut self,
        attributes: CancelWorkflowExecutionCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        check_nothing_waits(commands)?;
        let event = commands.event(WorkflowExecutionCanceledEventAttributes {
            workflow_task_completed_event_id: commands.completed_event_id,
            details: attributes.details,
        });
        self.append_event(event);
        Ok(())
    }

    /// Terminates the run at once.
    pub(crate) fn terminate(&mut self, request: StopRequest, now: Time) -> Result<(), Refusal> {
        if !self.is_open() {
            return Err(Refusal::closed());
        }
        self.force_end_workflow_task(now);
        self.append_event(HistoryEvent {
            links: request.links,
            ..event(
                now,
                WorkflowExecutionTerminatedEventAttributes {
                    reason: request.reason,
                    details: request.details,
                    identity: request.identity,
                },
            )
        });
        Ok(())
    }

    /// Ends the run because its timeout has expired. `successor_run_id` is the id of the run that retries it, if any.
    pub(super) fn time_out_run(&mut self, successor_run_id: Arc<str>, now: Time) {
        let is_over = self.info.execution_expiration.is_some_and(|expiration| expiration <= now);
        let retried = match is_over {
            true => Retried::no(RetryState::Timeout),
            false => self.go_on_after_failure(&run_timed_out(), LastResult::Kept, successor_run_id, now),
        };
        self.time_out(retried, now);
    }

    fn time_out(&mut self, retried: Retried, now: Time) {
        self.force_end_workflow_task(now);
        let (retry_state, new_execution_run_id) = (retried.state as i32, retried.run_id);
        self.append(now, WorkflowExecutionTimedOutEventAttributes { retry_state, new_execution_run_id });
    }

    fn apply_closed(&mut self, status: RunStatus, time: Time, event: &Attributes) {
        self.state.status = status;
        self.state.close_time = Some(time);
        self.state.closing = self.info.origin.is_some().then(|| Box::new(event.clone()));
        self.touch_visibility();
        self.set_workflow_task(None);
    }

    /// Clears the state that only an open run needs; the history and the outcomes that callers wait for remain.
    pub(super) fn leave_open_state(&mut self) {
        self.touch_overlay();
        self.state.buffered.clear();
        self.state.activities.clear();
        self.state.activity_ids.clear();
        self.state.timers.clear();
        self.state.deadlines.clear();
        self.state.offers.clear();
        self.state.first_task_due = None;
        self.state.awaits_parent = false;
        self.leave_children();
        self.release_queries();
        self.abort_updates_of_closed_run();
    }
}

/// Returns the status of the run after this event, if the event ends the run.
fn closing_status(event: &Attributes) -> Option<RunStatus> {
    match event {
        Attributes::WorkflowExecutionCompletedEventAttributes(_) => Some(RunStatus::Completed),
        Attributes::WorkflowExecutionFailedEventAttributes(_) => Some(RunStatus::Failed),
        Attributes::WorkflowExecutionCanceledEventAttributes(_) => Some(RunStatus::Canceled),
        Attributes::WorkflowExecutionTerminatedEventAttributes(_) => Some(RunStatus::Terminated),
        Attributes::WorkflowExecutionTimedOutEventAttributes(_) => Some(RunStatus::TimedOut),
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(_) => Some(RunStatus::ContinuedAsNew),
        _ => None,
    }
}

/// Rejects the end of a run while there are events that its worker has not seen.
pub(super) fn check_nothing_waits(commands: &Commands) -> Result<(), Rejected> {
    if commands.has_buffered_events {
        return Err(Rejected::new(Cause::UnhandledCommand, ""));
    }
    Ok(())
}
