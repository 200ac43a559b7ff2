//! Starting attempts of activities, and returning those that no worker received.

use std::sync::Arc;

use crate::api::common::{ActivityType, WorkflowType};
use crate::api::workflowservice::PollActivityTaskQueueResponse;
use crate::engine::activity::schedule::NOT_STARTED;
use crate::engine::activity::state::{Activity, Attempt};
use crate::engine::error::Refusal;
use crate::engine::event::{Attributes, EventId, HISTORY_SERVICE};
use crate::engine::payload::text_payload;
use crate::engine::run::Run;
use crate::engine::time::{Time, wire_duration};

impl Run {
    /// Starts the attempt for the worker that polled it.
    ///
    /// The event is written when the activity finishes, so that retries do not fill the history.
    pub(crate) fn start_activity(
        &mut self,
        scheduled_event_id: EventId,
        attempt: i32,
        request_id: Arc<str>,
        identity: &str,
        now: Time,
    ) -> Result<PollActivityTaskQueueResponse, Refusal> {
        let not_to_be_had = || Err(Refusal::unknown_activity());
        let Some(activity) = self.state.activities.get(&scheduled_event_id) else { return not_to_be_had() };
        let waits = activity.started.is_none() && !activity.backing_off && activity.paused.is_none();
        if !self.is_open() || !waits || activity.attempt != attempt {
            return not_to_be_had();
        }
        let started = Attempt { time: now, request_id, identity: identity.into() };
        let task = self.task_of(activity, &started)?;
        self.change_activity(scheduled_event_id, |activity| activity.started = Some(started));
        Ok(task)
    }

    /// Returns an attempt that did not reach its worker: the same attempt is offered again. If the workflow has
    /// requested cancellation meanwhile, the activity finishes as canceled instead.
    pub(crate) fn return_activity(
        &mut self,
        scheduled_event_id: EventId,
        attempt: i32,
        request_id: &str,
        now: Time,
    ) -> Result<(), Refusal> {
        let is_it = |started: &Attempt| *started.request_id == *request_id;
        let activity = self.state.activities.get(&scheduled_event_id).filter(|activity| {
            self.is_open() && activity.attempt == attempt && activity.started.as_ref().is_some_and(is_it)
        });
        let activity = activity.ok_or_else(Refusal::unknown_activity)?;
        let (cancel_requested, is_paused) = (activity.cancel_requested, activity.paused.is_some());
        self.change_activity(scheduled_event_id, |activity| activity.started = None);
        match cancel_requested {
            Some(requested) => {
                let (details, identity) = (Some(text_payload(NOT_STARTED)), HISTORY_SERVICE.to_owned());
                self.write_activity_canceled(scheduled_event_id, requested, details, identity, now);
                self.ensure_workflow_task(now);
            }
            None if is_paused => {}
            None => self.offer_activity(scheduled_event_id),
        }
        Ok(())
    }

    /// Builds the task that a worker needs to run the started attempt; the caller adds the token. Returns `None` when
    /// no attempt is started.
    pub(crate) fn activity_task(
        &self,
        scheduled_event_id: EventId,
    ) -> Result<Option<PollActivityTaskQueueResponse>, Refusal> {
        let activity = self.state.activities.get(&scheduled_event_id);
        let started = activity.and_then(|activity| Some((activity, activity.started.as_ref()?)));
        started.map(|(activity, started)| self.task_of(activity, started)).transpose()
    }

    fn task_of(&self, activity: &Activity, started: &Attempt) -> Result<PollActivityTaskQueueResponse, Refusal> {
        let id = activity.scheduled_event_id;
        let damaged = |problem: &dyn std::fmt::Display| Refusal::damaged(&self.info.run_id, problem);
        let event = self.history.event_in_progress(id).map_err(|error| damaged(&error))?;
        let Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) = event.attributes else {
            return Err(damaged(&format!("event {id} schedules no activity")));
        };
        Ok(PollActivityTaskQueueResponse {
            workflow_namespace: self.info.namespace.name.to_string(),
            workflow_type: Some(WorkflowType { name: self.info.workflow_type.to_string() }),
            workflow_execution: Some(self.execution()),
            activity_type: Some(ActivityType { name: activity.activity_type.to_string() }),
            activity_id: activity.activity_id.to_string(),
            header: scheduled.header,
            input: scheduled.input,
            heartbeat_details: activity.heartbeat_details.clone(),
            scheduled_time: Some(activity.first_scheduled.into()),
            current_attempt_scheduled_time: Some(activity.scheduled.into()),
            started_time: Some(started.time.into()),
            attempt: activity.attempt,
            schedule_to_close_timeout: wire_duration(activity.schedule_to_close),
            start_to_close_timeout: wire_duration(activity.start_to_close),
            heartbeat_timeout: wire_duration(activity.heartbeat),
            retry_policy: Some(activity.retry.to_wire()),
            priority: activity.priority.clone(),
            ..Default::default()
        })
    }
}
