//! The run that follows a run in its chain: it continues the closed run under the same workflow id.
//!
//! The closing transition only describes the successor; the service begins it in the same commit, so a crash leaves
//! either both or neither.

use std::sync::Arc;
use std::time::Duration;

use crate::api::common::Payloads;
use crate::api::enums::{ContinueAsNewInitiator as Initiator, RetryState, TimeoutType};
use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{Failure, TimeoutFailureInfo};
use crate::api::history::WorkflowExecutionStartedEventAttributes;
use crate::engine::effects::Successor;
use crate::engine::event::{Attributes, HistoryEvent, event};
use crate::engine::fold::RunIds;
use crate::engine::history::DamagedEvent;
use crate::engine::run::Run;
use crate::engine::time::{Time, duration, wire_duration};
use crate::engine::workflow_task::state::TaskKind;

/// Whether a workflow is retried, as the closing event of its run holds it.
#[derive(Clone, Debug)]
pub(super) struct Retried {
    pub(super) state: RetryState,
    /// The run of the next attempt; empty if there is none.
    pub(super) run_id: String,
}

/// Whether a retry starts with the result of the last successful run of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastResult {
    /// After a timeout.
    Kept,
    /// After a failure, as on the Temporal server.
    Dropped,
}

impl Retried {
    pub(super) fn no(state: RetryState) -> Self {
        Self { state, run_id: String::new() }
    }
}

/// The failure of a run that did not end in time.
pub(super) fn run_timed_out() -> Failure {
    Failure {
        message: "workflow timeout".to_owned(),
        source: "Server".to_owned(),
        failure_info: Some(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
            timeout_type: TimeoutType::StartToClose as i32,
            ..Default::default()
        })),
        ..Default::default()
    }
}

impl Run {
    /// Describes the run that follows this one, which closes in this transition.
    ///
    /// The successor inherits what this run was started with, above all the link to its parent and the expiration of
    /// the whole execution; `change` sets the rest.
    ///
    /// # Errors
    ///
    /// Fails if the first event of this run cannot be read.
    pub(super) fn continue_with(
        &mut self,
        run_id: Arc<str>,
        initiator: Initiator,
        now: Time,
        change: impl FnOnce(&mut WorkflowExecutionStartedEventAttributes),
    ) -> Result<(), DamagedEvent> {
        let first = self.history.event(1)?;
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(mut started)) = first.attributes else {
            return Err(DamagedEvent::other_than(1, "the start of a run"));
        };
        started.continued_execution_run_id = self.info.run_id.to_string();
        started.original_execution_run_id = run_id.to_string();
        started.initiator = initiator as i32;
        started.attempt = 1;
        started.identity.clear();
        started.eager_execution_accepted = false;
        started.first_workflow_task_backoff = None;
        change(&mut started);
        self.state.successor = Some(Box::new(Successor {
            namespace: self.info.namespace.clone(),
            workflow_id: Arc::clone(&self.info.workflow_id),
            run_id,
            started,
            links: first.links,
            time: now,
            lifetime: now.since(if now < self.info.execution_time {
                self.info.start_time
            } else {
                self.info.execution_time
            }),
        }));
        Ok(())
    }

    /// Describes the run that follows a failed one, if any: by the retry policy, else at the next due time of the schedule.
    pub(super) fn go_on_after_failure(
        &mut self,
        failure: &Failure,
        last_result: LastResult,
        run_id: Arc<str>,
        now: Time,
    ) -> Retried {
        let mut retried = self.retry_workflow(failure, last_result, Arc::clone(&run_id), now);
        if retried.run_id.is_empty() {
            retried.run_id = self.go_on_by_schedule(None, Some(failure), run_id, now);
        }
        retried
    }

    /// Describes the run that tries the workflow again after a failure, if its retry policy allows another attempt.
    fn retry_workflow(&mut self, failure: &Failure, last_result: LastResult, run_id: Arc<str>, now: Time) -> Retried {
        let Some(policy) = &self.info.retry_policy else { return Retried::no(RetryState::RetryPolicyNotSet) };
        let backoff = match policy.next_run(self.info.attempt, failure, now, self.info.execution_expiration) {
            Ok(backoff) => backoff,
            Err(state) => return Retried::no(state),
        };
        let attempt = self.info.attempt + 1;
        let new_run_id = run_id.to_string();
        let described = self.continue_with(run_id, Initiator::Retry, now, |started| {
            started.attempt = attempt;
            started.first_workflow_task_backoff = wire_duration(backoff);
            started.continued_failure = Some(failure.clone());
            if last_result == LastResult::Dropped {
                started.last_completion_result = None;
            }
        });
        match described {
            Ok(()) => Retried { state: RetryState::InProgress, run_id: new_run_id },
            // The first event was read when the run began.
            Err(_) => Retried::no(RetryState::InternalServerError),
        }
    }

    /// Describes the run at the next due time of the schedule, if the workflow has one; returns its id, or an empty text.
    ///
    /// `result` is that of this run, if it completed; `failure` is its failure otherwise.
    pub(super) fn go_on_by_schedule(
        &mut self,
        result: Option<Payloads>,
        failure: Option<&Failure>,
        run_id: Arc<str>,
        now: Time,
    ) -> String {
        let Some(cron) = &self.info.cron else { return String::new() };
        let Some(backoff) = cron.backoff(self.info.execution_time, now) else { return String::new() };
        let new_run_id = run_id.to_string();
        let described = self.continue_with(run_id, Initiator::CronSchedule, now, |started| {
            started.first_workflow_task_backoff = wire_duration(backoff);
            started.continued_failure = failure.cloned();
            if failure.is_none() {
                started.last_completion_result = result;
            }
        });
        // The first event was read when the run began.
        described.map_or_else(|_| String::new(), |()| new_run_id)
    }

    /// Begins a run that follows another one; the caller ends the transition. No start request has `create_request_id`.
    ///
    /// The first workflow task is due at least `interval_min` after that of the closed run, so that a workflow that
    /// does nothing but continue does not take a whole processor.
    ///
    /// # Errors
    ///
    /// Returns a description of the invalid field.
    pub(crate) fn follow(
        successor: Successor,
        create_request_id: Arc<str>,
        interval_min: Duration,
    ) -> Result<Self, String> {
        let Successor { namespace, workflow_id, run_id, mut started, links, time, lifetime } = successor;
        let ids = RunIds { namespace, workflow_id, run_id, create_request_id };
        let asked = duration(started.first_workflow_task_backoff.as_ref()).map_err(|error| error.to_string())?;
        let backoff = if lifetime + asked < interval_min { interval_min - lifetime } else { asked };
        if backoff != asked {
            started.first_workflow_task_backoff = wire_duration(backoff);
        }
        let attributes = Attributes::WorkflowExecutionStartedEventAttributes(started);
        let first = HistoryEvent { links, ..event(time, attributes) };
        let mut run = Self::begin(&ids, &first)?;
        run.history.append(first);
        if backoff.is_zero() {
            run.schedule_workflow_task(TaskKind::Normal, time, time);
        }
        Ok(run)
    }
}
