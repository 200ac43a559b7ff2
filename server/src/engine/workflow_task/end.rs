//! Workflow tasks that end without a completion.

use crate::api::enums::{TimeoutType, WorkflowTaskFailedCause};
use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{Failure, ServerFailureInfo};
use crate::api::history::WorkflowTaskFailedEventAttributes;
use crate::engine::error::Refusal;
use crate::engine::event::HISTORY_SERVICE;
use crate::engine::run::Run;
use crate::engine::time::Time;
use crate::engine::workflow_task::state::{TaskKind, TaskRef};

/// The sender of the response to a workflow task, as events name it.
#[derive(Debug, Default)]
pub(crate) struct Responder {
    pub(crate) identity: String,
    /// Checksum of the worker's binary.
    pub(crate) binary_checksum: String,
}

/// The cause of a workflow task's failure, and its reporter.
#[derive(Debug, Default)]
pub(crate) struct TaskFailure {
    pub(crate) cause: WorkflowTaskFailedCause,
    pub(crate) failure: Option<Failure>,
    pub(crate) responder: Responder,
}

impl TaskFailure {
    /// The server ends the task, so that its run can continue or close.
    fn forced() -> Self {
        Self {
            cause: WorkflowTaskFailedCause::ForceCloseCommand,
            responder: Responder { identity: HISTORY_SERVICE.to_owned(), ..Responder::default() },
            ..Self::default()
        }
    }
}

impl Run {
    /// Ends the task as failed, on the report of its worker.
    pub(crate) fn fail_workflow_task(&mut self, failure: TaskFailure, now: Time) {
        self.end_failed_task(failure, now);
        self.ensure_workflow_task(now);
    }

    /// Ends the started task as failed and counts the attempt.
    pub(in crate::engine) fn end_failed_task(&mut self, failed: TaskFailure, now: Time) {
        let TaskFailure { cause, failure, responder: Responder { identity, binary_checksum } } = failed;
        let Some(mut task) = self.state.workflow_task.clone() else { return };
        self.write_speculative_task(&mut task, &identity);
        if task.attempt == 1 {
            self.append(
                now,
                WorkflowTaskFailedEventAttributes {
                    scheduled_event_id: task.scheduled_event_id,
                    started_event_id: task.started.as_ref().map_or(0, |started| started.event_id),
                    cause: cause as i32,
                    failure,
                    identity,
                    binary_checksum,
                    ..Default::default()
                },
            );
        }
        self.count_failure(true);
        self.state.close_attempted = cause == WorkflowTaskFailedCause::UnhandledCommand;
    }

    /// Returns a task that did not reach its worker: it ends as if the worker had not responded, counts as no failure,
    /// and the next task is offered on the normal queue.
    pub(crate) fn return_workflow_task(&mut self, which: TaskRef, now: Time) -> Result<(), Refusal> {
        self.current_workflow_task(which)?;
        let (attempt, close_attempted) = (self.state.workflow_task_attempt, self.state.close_attempted);
        self.time_out_started_task(now);
        (self.state.workflow_task_attempt, self.state.close_attempted) = (attempt, close_attempted);
        self.ensure_workflow_task(now);
        Ok(())
    }

    /// Fails the task because too many events are buffered, so that the worker sees them.
    pub(in crate::engine) fn fail_overflowing_workflow_task(&mut self, now: Time) {
        self.end_failed_task(TaskFailure::forced(), now);
        self.ensure_workflow_task(now);
    }

    /// Ends a started task because the run closes. The buffered events are written first.
    pub(in crate::engine) fn force_end_workflow_task(&mut self, now: Time) {
        if self.has_started_workflow_task() {
            self.end_failed_task(TaskFailure::forced(), now);
            self.flush_buffer();
        }
    }

    /// Ends the task because no worker finished it in time.
    pub(in crate::engine) fn workflow_task_start_to_close(&mut self, now: Time) {
        self.time_out_started_task(now);
        self.ensure_workflow_task(now);
    }

    pub(in crate::engine) fn time_out_started_task(&mut self, now: Time) {
        let Some(mut task) = self.state.workflow_task.clone() else { return };
        self.write_speculative_task(&mut task, "");
        if task.attempt == 1 {
            let started_event_id = task.started.as_ref().map_or(0, |started| started.event_id);
            self.write_task_timed_out(&task, started_event_id, TimeoutType::StartToClose, now);
        }
        self.count_failure(true);
    }

    /// Offers the task on the normal queue, because the worker of the sticky queue did not start it in time.
    pub(in crate::engine) fn workflow_task_schedule_to_start(&mut self, now: Time) {
        let Some(mut task) = self.state.workflow_task.clone() else { return };
        if task.kind == TaskKind::Speculative {
            task.scheduled_event_id = self.write_task_scheduled(&task);
        }
        self.write_task_timed_out(&task, 0, TimeoutType::ScheduleToStart, now);
        self.count_failure(false);
        self.ensure_workflow_task(now);
    }

    /// Removes the task and sets the attempt of the next one.
    ///
    /// A failure on a sticky queue may be the fault of that worker alone, so it is not counted.
    fn count_failure(&mut self, counts: bool) {
        let was_sticky = self.state.sticky.take().is_some();
        let counts = counts && !was_sticky;
        self.state.workflow_task_attempt = if counts { self.state.workflow_task_attempt + 1 } else { 1 };
        self.touch_overlay();
        self.state.close_attempted = false;
        self.set_workflow_task(None);
    }
}

/// The failure of a task whose completion the server rejects.
pub(in crate::engine) fn rejected_completion(message: String) -> Failure {
    Failure {
        message,
        failure_info: Some(FailureInfo::ServerFailureInfo(ServerFailureInfo { non_retryable: false })),
        ..Default::default()
    }
}
