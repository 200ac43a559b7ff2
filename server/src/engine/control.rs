//! What comes from outside while a run is open: signals, cancellation, termination. And what comes by itself: time.

use crate::api::common::{Header, Link, Payloads, WorkflowExecution};
use crate::api::enums::RetryState;
use crate::api::history::{
    TimerFiredEventAttributes, WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionSignaledEventAttributes, WorkflowExecutionTerminatedEventAttributes,
    WorkflowExecutionTimedOutEventAttributes,
};
use crate::model::RunStatus;

use super::error::Refusal;
use super::event::{HistoryEvent, event};
use super::run::{Close, Deadline, Effects, Run};
use super::time::Time;

/// Signals of one run, at most.
const SIGNALS_MAX: usize = 10_000;

/// A signal, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signal {
    pub(crate) name: String,
    pub(crate) input: Option<Payloads>,
    pub(crate) header: Option<Header>,
    pub(crate) identity: String,
    pub(crate) request_id: String,
    pub(crate) links: Vec<Link>,
}

/// A request to cancel or terminate, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopRequest {
    pub(crate) reason: String,
    pub(crate) details: Option<Payloads>,
    pub(crate) identity: String,
    pub(crate) links: Vec<Link>,
}

impl Run {
    /// Takes in a signal. One that came before, by its request id, is taken as done.
    pub(crate) fn signal(&mut self, signal: Signal, now: Time) -> Result<(), Refusal> {
        if !self.record_signal(signal, now)? {
            return Ok(());
        }
        if self.state.first_task_due.is_none() {
            self.want_workflow_task(now);
        }
        Ok(())
    }

    /// As [`Run::signal`], but ends a start delay.
    pub(crate) fn signal_with_start(&mut self, signal: Signal, now: Time) -> Result<(), Refusal> {
        if self.record_signal(signal, now)? {
            self.want_workflow_task(now);
        }
        Ok(())
    }

    /// Writes the signal; returns whether it is new.
    pub(super) fn record_signal(&mut self, signal: Signal, now: Time) -> Result<bool, Refusal> {
        if self.signal_request_ids.contains(&signal.request_id) {
            return Ok(false);
        }
        if !self.is_open() {
            return Err(Refusal::closed());
        }
        if self.state.close_attempted && self.has_started_workflow_task() {
            return Err(Refusal::closing());
        }
        if self.signal_count >= SIGNALS_MAX {
            return Err(Refusal::invalid("exceeded workflow execution limit for signal events"));
        }
        self.signal_count += 1;
        if !signal.request_id.is_empty() {
            self.signal_request_ids.insert(signal.request_id.clone());
        }
        self.append_event(HistoryEvent {
            links: signal.links,
            ..event(
                now,
                WorkflowExecutionSignaledEventAttributes {
                    signal_name: signal.name,
                    input: signal.input,
                    identity: signal.identity,
                    header: signal.header,
                    request_id: signal.request_id,
                    ..Default::default()
                },
            )
        });
        Ok(true)
    }

    /// Asks the workflow to end itself. Asking again changes nothing.
    pub(crate) fn request_cancel(&mut self, request: StopRequest, now: Time) {
        if !self.is_open() || self.state.cancel_requested {
            return;
        }
        self.state.cancel_requested = true;
        self.append_event(HistoryEvent {
            links: request.links,
            ..event(
                now,
                WorkflowExecutionCancelRequestedEventAttributes {
                    cause: request.reason,
                    identity: request.identity,
                    external_workflow_execution: None::<WorkflowExecution>,
                    ..Default::default()
                },
            )
        });
        self.want_workflow_task(now);
    }

    /// Ends the run at once.
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
        self.close_run(RunStatus::Terminated, now);
        Ok(())
    }

    /// The start delay is over, or something ended it early.
    pub(super) fn end_start_delay(&mut self) {
        if let Some(due) = self.state.first_task_due.take() {
            self.disarm(due, Deadline::FirstTask);
        }
    }

    /// Lets happen what is due, each kind in a transaction of its own.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> Effects {
        let mut effects = Effects::default();
        while self.is_open()
            && let Some(deadline) = self.take_due(now)
        {
            match deadline {
                Deadline::ExecutionTimeout => self.time_out(RetryState::Timeout, now),
                Deadline::RunTimeout => self.time_out(RetryState::RetryPolicyNotSet, now),
                Deadline::FirstTask => {
                    self.state.first_task_due = None;
                    self.want_workflow_task(now);
                }
                Deadline::WorkflowTaskScheduleToStart => self.workflow_task_schedule_to_start(now),
                Deadline::WorkflowTaskStartToClose => self.workflow_task_start_to_close(now),
                Deadline::Timer(started, id) => self.fire_timers(started, id, now),
                Deadline::Activity(id, kind) => {
                    self.activity_deadline(id, kind, now);
                    while let Some(Deadline::Activity(..)) = self.first_due(now)
                        && let Some(Deadline::Activity(id, kind)) = self.take_due(now)
                    {
                        self.activity_deadline(id, kind, now);
                    }
                }
            }
            effects.append(self.close_transaction(now, Close::Write));
        }
        effects
    }

    /// Fires a timer and all others that are due, in order of their moments.
    fn fire_timers(&mut self, started_event_id: i64, id: std::sync::Arc<str>, now: Time) {
        let mut next = Some((started_event_id, id));
        while let Some((started_event_id, id)) = next {
            self.state.timers.remove(&id);
            self.append(now, TimerFiredEventAttributes { timer_id: id.to_string(), started_event_id });
            next = match self.first_due(now) {
                Some(Deadline::Timer(..)) => match self.take_due(now) {
                    Some(Deadline::Timer(started_event_id, id)) => Some((started_event_id, id)),
                    _ => None,
                },
                _ => None,
            };
        }
        self.want_workflow_task(now);
    }

    /// The run took too long.
    fn time_out(&mut self, retry_state: RetryState, now: Time) {
        self.force_end_workflow_task(now);
        self.append(
            now,
            WorkflowExecutionTimedOutEventAttributes { retry_state: retry_state as i32, ..Default::default() },
        );
        self.close_run(RunStatus::TimedOut, now);
    }
}
