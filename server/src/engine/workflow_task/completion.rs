//! Completions of workflow tasks.
//!
//! A completion is applied as a whole or not at all: a snapshot of state and history is taken first, and restored if a
//! command is invalid; the task then counts as failed.

use std::sync::Arc;

use crate::api::command::Command;
use crate::api::enums::{CommandType, VersioningBehavior, WorkflowTaskFailedCause};
use crate::api::history::{WorkflowExecutionTerminatedEventAttributes, WorkflowTaskCompletedEventAttributes};
use crate::api::workflowservice::RespondWorkflowTaskCompletedRequest;
use crate::engine::commands::{Commands, closes_workflow};
use crate::engine::effects::Close;
use crate::engine::error::{Refusal, Rejected};
use crate::engine::event::{EventId, HISTORY_SERVICE};
use crate::engine::run::Run;
use crate::engine::state::Sticky;
use crate::engine::time::{Time, duration};
use crate::engine::update::message::is_rejection;
use crate::engine::workflow_task::end::{Responder, TaskFailure, rejected_completion};
use crate::engine::workflow_task::state::{TaskKind, TaskRef, WorkflowTask};
use crate::limits::HEARTBEAT_CHAIN_MAX;

/// The request id of a task that was returned in the response to the previous completion.
const INLINE_REQUEST_ID: &str = "request-from-RespondWorkflowTaskCompleted";
/// A speculative task that sent more events than this is written even if all its updates are rejected.
const DISCARDED_EVENTS_MAX: EventId = 10;

/// The result of a completion.
#[derive(Debug, Default)]
pub(crate) struct Completed {
    /// Whether the response contains the next task, already started.
    pub(crate) next_task: bool,
    /// Whether updates that were sent before are sent again with the next task.
    pub(crate) resend_updates: bool,
    /// Activities in the response.
    pub(crate) eager_activities: Vec<EventId>,
    /// If the task was discarded, the event after which the worker must drop its state; otherwise 0.
    pub(crate) reset_history_event_id: EventId,
    /// An error for the worker, although the state did change.
    pub(crate) refusal: Option<Refusal>,
}

impl Run {
    /// Returns the started task that `which` refers to, if it is still the current one.
    pub(crate) fn current_workflow_task(&self, which: TaskRef) -> Result<&WorkflowTask, Refusal> {
        self.state
            .workflow_task
            .as_ref()
            .filter(|task| self.is_open() && task.stamp == which.stamp && task.attempt == which.attempt)
            .filter(|task| task.started.as_ref().is_some_and(|started| started.time == which.started_time))
            .ok_or_else(Refusal::unknown_workflow_task)
    }

    /// Returns the current workflow task, if a worker has it.
    pub(crate) fn started_workflow_task(&self) -> Option<TaskRef> {
        let task = self.state.workflow_task.as_ref()?;
        let started_time = task.started.as_ref()?.time;
        Some(TaskRef { stamp: task.stamp, attempt: task.attempt, started_time })
    }

    /// Applies a completion and ends its steps; the caller ends the transition, which may stay speculative.
    ///
    /// `fresh_id` creates request ids for activities that start eagerly, and the id of the run that follows this one.
    pub(crate) fn complete_workflow_task(
        &mut self,
        which: TaskRef,
        request: RespondWorkflowTaskCompletedRequest,
        fresh_id: &mut dyn FnMut() -> Arc<str>,
        now: Time,
    ) -> Result<Completed, Refusal> {
        let task = self.current_workflow_task(which)?.clone();
        check_supported(&request)?;
        check_sequence(&request.commands)?;
        let sticky = sticky(&request)?;
        let before = self.snapshot();
        let responder =
            Responder { identity: request.identity.clone(), binary_checksum: request.binary_checksum.clone() };
        let heartbeat =
            request.force_create_new_workflow_task && request.commands.is_empty() && request.messages.is_empty();
        let overdue = heartbeat && now.since(task.original_scheduled_time) > HEARTBEAT_CHAIN_MAX;

        let completed_event_id = if overdue {
            self.time_out_started_task(now);
            Some(0)
        } else {
            self.write_completed(&task, &request, now)
        };
        self.state.sticky = sticky.filter(|_| !overdue);

        let identity = responder.identity.clone();
        let mut commands = Commands::new(completed_event_id.unwrap_or(0), identity, request.messages, now);
        commands.has_buffered_events = !self.state.buffered.is_empty();
        let mut completed = Completed { resend_updates: !request.force_create_new_workflow_task, ..Default::default() };
        if let Err(rejected) = self.apply_commands(request.commands, &mut commands, fresh_id) {
            self.roll_back(before);
            return Ok(self.reject_completion(&task, rejected, responder, now));
        }
        // The commands may add any number of events.
        self.before_excess.get_or_insert_with(|| Box::new(before));
        if self.is_open() && !request.force_create_new_workflow_task {
            self.reject_unanswered_updates();
        }
        self.answer_queries(request.query_results);

        let again = request.force_create_new_workflow_task
            || commands.has_buffered_events
            || commands.canceled_unstarted_activity
            || overdue;
        let speculative = !again && self.state.updates.wait_to_be_sent();
        let inline = request.return_new_workflow_task;
        if self.is_open() && (again || (speculative && !inline)) {
            let original = if heartbeat && !overdue { task.original_scheduled_time } else { now };
            self.schedule_workflow_task(TaskKind::Normal, now, original);
            if inline {
                self.start_inline(INLINE_REQUEST_ID.into(), &responder.identity, now);
                completed.next_task = true;
            }
        }
        let close = if completed_event_id.is_some() || self.state.workflow_task.is_some() {
            Close::Write
        } else {
            Close::KeepSpeculative
        };
        self.close_step(now, close);
        if self.is_open() && speculative && inline {
            self.schedule_workflow_task(TaskKind::Speculative, now, now);
            self.start_inline(INLINE_REQUEST_ID.into(), &responder.identity, now);
            completed.next_task = true;
        }
        if self.state.workflow_task.is_none() {
            self.release_queries();
        }

        completed.eager_activities = commands.started_eagerly;
        if completed_event_id.is_none() {
            completed.reset_history_event_id = self.state.previous_started_event_id;
        }
        if overdue {
            completed.next_task = false;
            completed.refusal = Some(Refusal::NotFound("workflow task heartbeat timeout".to_owned()));
        }
        Ok(completed)
    }

    /// Writes the completion; returns `None` if the task is discarded.
    fn write_completed(
        &mut self,
        task: &WorkflowTask,
        request: &RespondWorkflowTaskCompletedRequest,
        now: Time,
    ) -> Option<EventId> {
        if task.attempt > 1 {
            self.touch_overlay();
        }
        if self.leaves_no_trace(task, request) {
            self.leave_workflow_task();
            return None;
        }
        let mut task = task.clone();
        self.write_late_task(&mut task, &request.identity);
        let started_event_id = task.started.as_ref().map_or(0, |started| started.event_id);
        let attributes = WorkflowTaskCompletedEventAttributes {
            scheduled_event_id: task.scheduled_event_id,
            started_event_id,
            identity: request.identity.clone(),
            binary_checksum: request.binary_checksum.clone(),
            worker_version: request.worker_version_stamp.clone(),
            sdk_metadata: request.sdk_metadata.clone(),
            metering_metadata: request.metering_metadata,
            worker_deployment_name: request
                .deployment_options
                .as_ref()
                .map(|options| options.deployment_name.clone())
                .unwrap_or_default(),
            ..Default::default()
        };
        Some(self.append(now, attributes))
    }

    pub(in crate::engine) fn apply_task_completed(&mut self, completed: &WorkflowTaskCompletedEventAttributes) {
        self.leave_workflow_task();
        self.state.previous_started_event_id = completed.started_event_id;
    }

    /// Removes the completed task; the next one is a first attempt.
    fn leave_workflow_task(&mut self) {
        self.state.workflow_task_attempt = 1;
        self.state.close_attempted = false;
        self.set_workflow_task(None);
    }

    /// Whether a speculative task only rejected updates.
    fn leaves_no_trace(&self, task: &WorkflowTask, request: &RespondWorkflowTaskCompletedRequest) -> bool {
        let may_ship_events = request
            .capabilities
            .as_ref()
            .is_some_and(|capabilities| capabilities.discard_speculative_workflow_task_with_events);
        let shipped = self.history.next_event_id() - (self.state.previous_started_event_id + 2);
        task.kind == TaskKind::Speculative
            && request.commands.is_empty()
            && !request.force_create_new_workflow_task
            && shipped <= if may_ship_events { DISCARDED_EVENTS_MAX } else { 0 }
            && request.messages.iter().all(is_rejection)
    }

    /// Drops the completion and ends the task as failed.
    fn reject_completion(
        &mut self,
        task: &WorkflowTask,
        rejected: Rejected,
        responder: Responder,
        now: Time,
    ) -> Completed {
        let message = rejected.message();
        self.abort_updates_of_failed_task();
        // Repeated failures write no events: the task times out, later each time.
        let drop_silently = task.attempt > 1 && rejected.cause != WorkflowTaskFailedCause::UnhandledCommand;
        if !drop_silently {
            let failure = Some(rejected_completion(message.clone()));
            self.end_failed_task(TaskFailure { cause: rejected.cause, failure, responder }, now);
            if rejected.terminates {
                self.flush_buffer();
                self.append(
                    now,
                    WorkflowExecutionTerminatedEventAttributes {
                        reason: message.clone(),
                        details: None,
                        identity: HISTORY_SERVICE.to_owned(),
                    },
                );
            } else {
                self.ensure_workflow_task(now);
            }
        }
        let close = if drop_silently { Close::KeepSpeculative } else { Close::Write };
        self.close_step(now, close);
        Completed { refusal: Some(Refusal::InvalidArgument(message)), ..Default::default() }
    }
}

fn check_supported(request: &RespondWorkflowTaskCompletedRequest) -> Result<(), Refusal> {
    if request.intermediate_page || request.page_number > 0 {
        return Err(Refusal::FailedPrecondition(
            "workflow task completion pagination is not supported by this server".to_owned(),
        ));
    }
    if request.versioning_behavior() != VersioningBehavior::Unspecified {
        return Err(Refusal::Unsupported("versioning_behavior"));
    }
    Ok(())
}

/// The worker's sticky queue, if the request has one.
fn sticky(request: &RespondWorkflowTaskCompletedRequest) -> Result<Option<Sticky>, Refusal> {
    let Some(attributes) = &request.sticky_attributes else { return Ok(None) };
    let Some(queue) = &attributes.worker_task_queue else { return Ok(None) };
    let schedule_to_start = duration(attributes.schedule_to_start_timeout.as_ref())
        .map_err(|error| Refusal::invalid(format!("Invalid ScheduleToStartTimeout of StickyAttributes: {error}")))?;
    Ok(Some(Sticky { queue: queue.name.as_str().into(), schedule_to_start }))
}

/// Checks that no command follows one that closes the workflow.
fn check_sequence(commands: &[Command]) -> Result<(), Refusal> {
    let mut closing = None;
    for command in commands {
        if command.command_type() == CommandType::Unspecified {
            return Err(Refusal::invalid(format!("Unknown command type: {}", command.command_type)));
        }
        if let Some(closing) = closing {
            return Err(Refusal::invalid(format!(
                "invalid command sequence: command {closing:?} must be the last command."
            )));
        }
        if closes_workflow(command.command_type()) {
            closing = Some(command.command_type());
        }
    }
    Ok(())
}
