//! Commands of a completion, each turned into its event.

use std::sync::Arc;

use prost::Message as _;

use super::activity::{Activity, BLOB_BYTES_MAX};
use super::completion::Rejected;
use super::event::{Attributes, EventId, HistoryEvent, event, finished_activity};
use super::payload::own;
use super::retry::RetryPolicy;
use super::run::{Deadline, Run, UserTimer};
use super::time::{Time, duration, wire_duration};
use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::command::{
    CancelTimerCommandAttributes, CancelWorkflowExecutionCommandAttributes, Command,
    CompleteWorkflowExecutionCommandAttributes, FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes, RecordMarkerCommandAttributes,
    RequestCancelActivityTaskCommandAttributes, ScheduleActivityTaskCommandAttributes, StartTimerCommandAttributes,
};
use crate::api::common::{Memo, Payload, Payloads};
use crate::api::enums::{CommandType, RetryState, TaskQueueKind, WorkflowTaskFailedCause as Cause};
use crate::api::history::{
    ActivityTaskCancelRequestedEventAttributes, ActivityTaskScheduledEventAttributes, MarkerRecordedEventAttributes,
    TimerCanceledEventAttributes, TimerStartedEventAttributes, WorkflowExecutionCanceledEventAttributes,
    WorkflowExecutionCompletedEventAttributes, WorkflowExecutionFailedEventAttributes,
    WorkflowPropertiesModifiedEventAttributes,
};
use crate::api::protocol::Message;
use crate::api::sdk::{EventGroupMarker, UserMetadata};
use crate::api::taskqueue::TaskQueue;
use crate::model::RunStatus;

/// Activities of one run that have not finished, at most.
const PENDING_ACTIVITIES_MAX: usize = 2000;
/// Ids and names are at most this long, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 1000;
/// What the event says of an activity that is canceled before any worker took it.
pub(super) const NOT_STARTED: &str = "ACTIVITY_ID_NOT_STARTED";

/// One completion's commands and messages on their way into history.
pub(super) struct Commands {
    completed_event_id: EventId,
    identity: String,
    messages: Vec<Option<Message>>,
    now: Time,
    /// Events wait that the worker has not seen: it must not close the workflow.
    pub(super) has_buffered_events: bool,
    /// An activity ended on the spot, so the workflow has something to react to.
    pub(super) canceled_unstarted_activity: bool,
    /// Activities that the same worker gets with the answer.
    pub(super) started_eagerly: Vec<EventId>,
    /// Of the current command, for its event.
    user_metadata: Option<UserMetadata>,
    event_group_markers: Vec<EventGroupMarker>,
}

impl Commands {
    pub(super) fn new(completed_event_id: EventId, identity: String, messages: Vec<Message>, now: Time) -> Self {
        Self {
            completed_event_id,
            identity,
            messages: messages.into_iter().map(Some).collect(),
            now,
            has_buffered_events: false,
            canceled_unstarted_activity: false,
            started_eagerly: Vec::new(),
            user_metadata: None,
            event_group_markers: Vec::new(),
        }
    }

    fn event(&mut self, attributes: impl Into<Attributes>) -> HistoryEvent {
        HistoryEvent {
            user_metadata: self.user_metadata.take().map(Box::new),
            event_group_markers: std::mem::take(&mut self.event_group_markers),
            ..event(self.now, attributes)
        }
    }
}

impl Run {
    /// Applies all commands in order, then the messages no command placed.
    pub(super) fn apply_commands(
        &mut self,
        list: Vec<Command>,
        commands: &mut Commands,
        fresh_id: &mut dyn FnMut() -> Arc<str>,
    ) -> Result<(), Rejected> {
        let mut eager = Vec::new();
        for command in list {
            commands.user_metadata = command.user_metadata;
            commands.event_group_markers = command.event_group_markers;
            let kind = CommandType::try_from(command.command_type).unwrap_or_default();
            if let Some(id) = self.apply_command(kind, command.attributes, commands)? {
                eager.push(id);
            }
        }
        for message in std::mem::take(&mut commands.messages).into_iter().flatten() {
            self.handle_message(message, commands.now)?;
        }
        if self.is_open() {
            for id in eager {
                if let Some(attempt) = self.state.activities.get(&id).map(|activity| activity.attempt) {
                    let identity = commands.identity.clone();
                    // It was scheduled a moment ago, so it is to be had.
                    if self.start_activity(id, attempt, fresh_id(), &identity, commands.now).is_ok() {
                        commands.started_eagerly.push(id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies one command. Returns the activity that its worker would like to start at once.
    fn apply_command(
        &mut self,
        kind: CommandType,
        attributes: Option<CommandAttributes>,
        commands: &mut Commands,
    ) -> Result<Option<EventId>, Rejected> {
        use CommandAttributes as A;
        let unsupported =
            |name: &str| Err(Rejected::new(Cause::FeatureDisabled, format!("{name} is not supported by this server")));
        match attributes {
            Some(A::ScheduleActivityTaskCommandAttributes(a)) => return self.schedule_activity(a, commands),
            Some(A::RequestCancelActivityTaskCommandAttributes(a)) => self.request_cancel_activity(&a, commands),
            Some(A::StartTimerCommandAttributes(a)) => self.start_timer(a, commands),
            Some(A::CancelTimerCommandAttributes(a)) => self.cancel_timer(a, commands),
            Some(A::RecordMarkerCommandAttributes(a)) => self.record_marker(a, commands),
            Some(A::ModifyWorkflowPropertiesCommandAttributes(a)) => self.modify_properties(a, commands),
            Some(A::CompleteWorkflowExecutionCommandAttributes(a)) => self.complete_workflow(a, commands),
            Some(A::FailWorkflowExecutionCommandAttributes(a)) => self.fail_workflow(a, commands),
            Some(A::CancelWorkflowExecutionCommandAttributes(a)) => self.cancel_workflow(a, commands),
            Some(A::ProtocolMessageCommandAttributes(a)) => self.place_message(&a.message_id, commands),
            Some(A::ContinueAsNewWorkflowExecutionCommandAttributes(_)) => unsupported("continue-as-new"),
            Some(A::StartChildWorkflowExecutionCommandAttributes(_)) => unsupported("starting a child workflow"),
            Some(A::RequestCancelExternalWorkflowExecutionCommandAttributes(_)) => {
                unsupported("canceling an external workflow")
            }
            Some(A::SignalExternalWorkflowExecutionCommandAttributes(_)) => {
                unsupported("signaling an external workflow")
            }
            Some(A::UpsertWorkflowSearchAttributesCommandAttributes(_)) => unsupported("upserting search attributes"),
            Some(A::ScheduleNexusOperationCommandAttributes(_))
            | Some(A::RequestCancelNexusOperationCommandAttributes(_)) => unsupported("a Nexus operation"),
            None => Err(self.missing_attributes(kind)),
        }?;
        Ok(None)
    }

    fn missing_attributes(&self, kind: CommandType) -> Rejected {
        let cause = match kind {
            CommandType::ScheduleActivityTask => Cause::BadScheduleActivityAttributes,
            CommandType::RequestCancelActivityTask => Cause::BadRequestCancelActivityAttributes,
            CommandType::StartTimer => Cause::BadStartTimerAttributes,
            CommandType::CancelTimer => Cause::BadCancelTimerAttributes,
            CommandType::RecordMarker => Cause::BadRecordMarkerAttributes,
            CommandType::CompleteWorkflowExecution => Cause::BadCompleteWorkflowExecutionAttributes,
            CommandType::FailWorkflowExecution => Cause::BadFailWorkflowExecutionAttributes,
            CommandType::CancelWorkflowExecution => Cause::BadCancelWorkflowExecutionAttributes,
            CommandType::ModifyWorkflowProperties => Cause::BadModifyWorkflowPropertiesAttributes,
            CommandType::ProtocolMessage => Cause::BadUpdateWorkflowExecutionMessage,
            _ => Cause::FeatureDisabled,
        };
        Rejected::new(cause, format!("attributes of {kind:?} are not set on command"))
    }

    fn schedule_activity(
        &mut self,
        attributes: ScheduleActivityTaskCommandAttributes,
        commands: &mut Commands,
    ) -> Result<Option<EventId>, Rejected> {
        let wanted = ActivityWanted::read(self, &attributes)
            .map_err(|detail| Rejected::new(Cause::BadScheduleActivityAttributes, detail))?;
        if attributes.input.as_ref().is_some_and(|input| input.encoded_len() > BLOB_BYTES_MAX) {
            let detail = "ScheduleActivityTaskCommandAttributes.Input exceeds size limit.";
            return Err(Rejected::new(Cause::BadScheduleActivityAttributes, detail).terminating());
        }
        if self.state.activities.len() >= PENDING_ACTIVITIES_MAX {
            return Err(Rejected::new(
                Cause::PendingActivitiesLimitExceeded,
                format!("the number of pending activities, {PENDING_ACTIVITIES_MAX}, has reached the limit"),
            ));
        }
        if self.state.activity_ids.contains_key(attributes.activity_id.as_str()) {
            return Err(Rejected::new(
                Cause::ScheduleActivityDuplicateId,
                wrong_state("add-activitytask-scheduled-event", &format!("ActivityID: {}", attributes.activity_id)),
            ));
        }
        let eager = attributes.request_eager_execution;
        let scheduled = ActivityTaskScheduledEventAttributes {
            activity_id: attributes.activity_id,
            activity_type: attributes.activity_type,
            task_queue: Some(wanted.task_queue),
            header: attributes.header,
            input: attributes.input,
            schedule_to_close_timeout: wire_duration(wanted.schedule_to_close),
            schedule_to_start_timeout: wire_duration(wanted.schedule_to_start),
            start_to_close_timeout: wire_duration(wanted.start_to_close),
            heartbeat_timeout: wire_duration(wanted.heartbeat),
            workflow_task_completed_event_id: commands.completed_event_id,
            retry_policy: Some(wanted.retry.to_wire()),
            priority: attributes.priority,
            use_workflow_build_id: attributes.use_workflow_build_id,
        };
        let scheduled_event_id = self.history.next_event_id();
        let activity = Activity::of_event(scheduled_event_id, commands.now, &scheduled)
            .map_err(|detail| Rejected::new(Cause::BadScheduleActivityAttributes, detail))?;
        let event = commands.event(scheduled);
        self.append_event(event);
        self.insert_activity(activity);
        if eager {
            return Ok(Some(scheduled_event_id));
        }
        self.offer_activity(scheduled_event_id);
        Ok(None)
    }

    fn request_cancel_activity(
        &mut self,
        attributes: &RequestCancelActivityTaskCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let id = attributes.scheduled_event_id;
        let bad = || {
            let detail = wrong_state("add-activitytask-cancel-requested-event", &format!("ScheduledEventID: {id}"));
            Rejected::new(Cause::BadRequestCancelActivityAttributes, detail)
        };
        let activity = self.state.activities.get(&id).cloned();
        let finish_waits = || self.state.buffered.iter().any(|event| finished_activity(event) == Some(id));
        if id <= 0
            || activity.as_ref().is_some_and(|activity| activity.cancel_requested.is_some())
            || (activity.is_none() && !finish_waits())
        {
            return Err(bad());
        }
        let event = commands.event(ActivityTaskCancelRequestedEventAttributes {
            scheduled_event_id: id,
            workflow_task_completed_event_id: commands.completed_event_id,
        });
        let requested = self.append_event(event);
        let Some(activity) = activity else { return Ok(()) };
        self.change_activity(id, |activity| activity.cancel_requested = Some(requested));
        if activity.started.is_none() {
            let details = Some(text_payload(NOT_STARTED));
            self.withdraw_activity_offers(id);
            self.write_activity_canceled(id, requested, details, commands.identity.clone(), commands.now);
            commands.canceled_unstarted_activity = true;
        }
        Ok(())
    }

    fn start_timer(
        &mut self,
        attributes: StartTimerCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let bad = |detail: &str| Rejected::new(Cause::BadStartTimerAttributes, detail);
        if attributes.timer_id.is_empty() {
            return Err(bad("TimerId is not set on StartTimerCommand."));
        }
        if attributes.timer_id.len() > ID_BYTES_MAX {
            return Err(bad("TimerId on StartTimerCommand exceeds length limit."));
        }
        let after = duration(attributes.start_to_fire_timeout.as_ref())
            .map_err(|_| bad("An invalid StartToFireTimeout is set on StartTimerCommand."))?;
        let timer_id: Arc<str> = attributes.timer_id.as_str().into();
        if self.state.timers.contains_key(&timer_id) {
            let detail = wrong_state("add-timer-started-event", &format!("TimerID: {timer_id}"));
            return Err(Rejected::new(Cause::StartTimerDuplicateId, detail));
        }
        let event = commands.event(TimerStartedEventAttributes {
            timer_id: attributes.timer_id,
            start_to_fire_timeout: attributes.start_to_fire_timeout.and_then(|_| wire_duration(after)),
            workflow_task_completed_event_id: commands.completed_event_id,
        });
        let started_event_id = self.append_event(event);
        let expiry = commands.now + after;
        self.arm(expiry, Deadline::Timer(started_event_id, timer_id.clone()));
        self.state.timers.insert(timer_id, UserTimer { started_event_id, expiry });
        Ok(())
    }

    fn cancel_timer(
        &mut self,
        attributes: CancelTimerCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let bad = |detail: String| Rejected::new(Cause::BadCancelTimerAttributes, detail);
        if attributes.timer_id.is_empty() {
            return Err(bad("TimerId is not set on CancelTimerCommand.".to_owned()));
        }
        let timer_id: Arc<str> = attributes.timer_id.as_str().into();
        let started_event_id = match self.state.timers.remove(&timer_id) {
            Some(timer) => {
                self.disarm(timer.expiry, Deadline::Timer(timer.started_event_id, timer_id));
                timer.started_event_id
            }
            // It has fired, but the workflow does not know yet: it never did.
            None => self
                .unfire_timer(&timer_id)
                .ok_or_else(|| bad(wrong_state("add-timer-canceled-event", &format!("TimerID: {timer_id}"))))?,
        };
        let event = commands.event(TimerCanceledEventAttributes {
            timer_id: attributes.timer_id,
            started_event_id,
            workflow_task_completed_event_id: commands.completed_event_id,
            identity: commands.identity.clone(),
        });
        self.append_event(event);
        if commands.has_buffered_events {
            commands.has_buffered_events = !self.state.buffered.is_empty();
        }
        Ok(())
    }

    /// Takes the firing of a timer out of the buffer; returns the event that started it.
    fn unfire_timer(&mut self, timer_id: &str) -> Option<EventId> {
        let fired = |event: &HistoryEvent| match &event.attributes {
            Some(Attributes::TimerFiredEventAttributes(fired)) if fired.timer_id == timer_id => {
                Some(fired.started_event_id)
            }
            _ => None,
        };
        let at = self.state.buffered.iter().position(|event| fired(event).is_some())?;
        self.touch_overlay();
        fired(&self.state.buffered.remove(at))
    }

    fn record_marker(
        &mut self,
        attributes: RecordMarkerCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        if attributes.marker_name.is_empty() {
            return Err(Rejected::new(
                Cause::BadRecordMarkerAttributes,
                "MarkerName is not set on RecordMarkerCommand.",
            ));
        }
        if attributes.details.values().map(Payloads::encoded_len).sum::<usize>() > BLOB_BYTES_MAX {
            let detail = "RecordMarkerCommandAttributes.Details exceeds size limit.";
            return Err(Rejected::new(Cause::BadRecordMarkerAttributes, detail).terminating());
        }
        let event = commands.event(MarkerRecordedEventAttributes {
            marker_name: attributes.marker_name,
            details: attributes.details,
            workflow_task_completed_event_id: commands.completed_event_id,
            header: attributes.header,
            failure: attributes.failure,
        });
        self.append_event(event);
        Ok(())
    }

    fn modify_properties(
        &mut self,
        attributes: ModifyWorkflowPropertiesCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let Some(memo) = attributes.upserted_memo.filter(|memo| !memo.fields.is_empty()) else {
            return Err(Rejected::new(
                Cause::BadModifyWorkflowPropertiesAttributes,
                "UpsertedMemo is not set on ModifyWorkflowPropertiesCommand.",
            ));
        };
        if memo.encoded_len() > BLOB_BYTES_MAX {
            let detail = "ModifyWorkflowPropertiesCommandAttributes.UpsertedMemo exceeds size limit.";
            return Err(Rejected::new(Cause::BadModifyWorkflowPropertiesAttributes, detail).terminating());
        }
        self.modify_memo(&memo);
        self.touch_visibility();
        let event = commands.event(WorkflowPropertiesModifiedEventAttributes {
            workflow_task_completed_event_id: commands.completed_event_id,
            upserted_memo: Some(memo),
        });
        self.append_event(event);
        Ok(())
    }

    /// Sets the entries of `memo`; null ones are removed.
    pub(super) fn modify_memo(&mut self, memo: &Memo) {
        for (key, value) in &memo.fields {
            if is_null(value) {
                self.state.memo.remove(key);
            } else {
                self.state.memo.insert(key.clone(), own(value));
            }
        }
    }

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
        let event = commands.event(WorkflowExecutionCompletedEventAttributes {
            result: attributes.result,
            workflow_task_completed_event_id: commands.completed_event_id,
            ..Default::default()
        });
        self.append_event(event);
        self.close_run(RunStatus::Completed, commands.now);
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
        let event = commands.event(WorkflowExecutionFailedEventAttributes {
            failure: Some(failure),
            retry_state: RetryState::RetryPolicyNotSet as i32,
            workflow_task_completed_event_id: commands.completed_event_id,
            ..Default::default()
        });
        self.append_event(event);
        self.close_run(RunStatus::Failed, commands.now);
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
        self.close_run(RunStatus::Canceled, commands.now);
        Ok(())
    }

    fn place_message(&mut self, message_id: &str, commands: &mut Commands) -> Result<(), Rejected> {
        let message = commands
            .messages
            .iter_mut()
            .find(|message| message.as_ref().is_some_and(|message| message.id == message_id))
            .and_then(Option::take);
        match message {
            Some(message) => self.handle_message(message, commands.now),
            None => Err(Rejected::new(
                Cause::BadUpdateWorkflowExecutionMessage,
                format!("ProtocolMessageCommand referenced absent message ID {message_id}"),
            )),
        }
    }
}

/// An activity as its event will have it: everything unset filled in.
struct ActivityWanted {
    task_queue: TaskQueue,
    schedule_to_close: std::time::Duration,
    schedule_to_start: std::time::Duration,
    start_to_close: std::time::Duration,
    heartbeat: std::time::Duration,
    retry: RetryPolicy,
}

impl ActivityWanted {
    fn read(run: &Run, attributes: &ScheduleActivityTaskCommandAttributes) -> Result<Self, String> {
        let id = &attributes.activity_id;
        let kind = attributes.activity_type.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default();
        let named = format!("ActivityId={id} ActivityType={kind}");
        if id.is_empty() {
            return Err(format!("ActivityId is not set on ScheduleActivityTaskCommand. ActivityType={kind}"));
        }
        if kind.is_empty() {
            return Err(format!("ActivityType is not set on ScheduleActivityTaskCommand. ActivityID={id}"));
        }
        if id.len() > ID_BYTES_MAX || kind.len() > ID_BYTES_MAX {
            return Err("ActivityId or ActivityType on ScheduleActivityTaskCommand exceeds length limit.".to_owned());
        }
        let Some(queue) = &attributes.task_queue else { return Err("taskQueue is not set".to_owned()) };
        let queue = queue.name.as_str();
        if queue.len() > ID_BYTES_MAX {
            return Err(format!("TaskQueue on ScheduleActivityTaskCommand exceeds length limit. {named}"));
        }
        if queue.is_empty() {
            return Err("missing task queue name".to_owned());
        }
        let read = |name: &str, wire: &Option<prost_types::Duration>| {
            duration(wire.as_ref())
                .map_err(|_| format!("Invalid {name} for ScheduleActivityTaskCommand: negative duration. {named}"))
        };
        let mut total = read("ScheduleToCloseTimeout", &attributes.schedule_to_close_timeout)?;
        let mut to_start = read("ScheduleToStartTimeout", &attributes.schedule_to_start_timeout)?;
        let mut to_close = read("StartToCloseTimeout", &attributes.start_to_close_timeout)?;
        let heartbeat = read("HeartbeatTimeout", &attributes.heartbeat_timeout)?;
        let run_timeout = run.info.run_timeout;
        if !total.is_zero() {
            to_start = if to_start.is_zero() { total } else { to_start.min(total) };
            to_close = if to_close.is_zero() { total } else { to_close.min(total) };
        } else if !to_close.is_zero() {
            total = run_timeout;
            if to_start.is_zero() {
                to_start = run_timeout;
            }
        } else {
            return Err(format!(
                "A valid StartToClose or ScheduleToCloseTimeout is not set on ScheduleActivityTaskCommand. {named}"
            ));
        }
        let cap = |timeout: std::time::Duration| {
            if run_timeout.is_zero() { timeout } else { timeout.min(run_timeout) }
        };
        let to_close = cap(to_close);
        Ok(Self {
            task_queue: TaskQueue {
                name: queue.to_owned(),
                kind: TaskQueueKind::Normal as i32,
                normal_name: String::new(),
            },
            schedule_to_close: cap(total),
            schedule_to_start: cap(to_start),
            start_to_close: to_close,
            heartbeat: cap(heartbeat).min(to_close),
            retry: RetryPolicy::read(attributes.retry_policy.as_ref())?,
        })
    }
}

fn check_nothing_waits(commands: &Commands) -> Result<(), Rejected> {
    if commands.has_buffered_events {
        return Err(Rejected::new(Cause::UnhandledCommand, ""));
    }
    Ok(())
}

/// A command that does not fit the state, in the words that clients know.
fn wrong_state(action: &str, what: &str) -> String {
    format!("invalid history builder state for action: {action}, {what}")
}

/// Whether a payload stands for "remove this".
pub(super) fn is_null(payload: &Payload) -> bool {
    payload.data.is_empty() || &*payload.data == b"null"
}

/// A text as the SDKs' default conversion has it.
pub(crate) fn text_payload(text: &str) -> Payloads {
    let mut payload = Payload { data: format!("\"{text}\"").into_bytes().into(), ..Default::default() };
    payload.metadata.insert("encoding".to_owned(), b"json/plain".to_vec().into());
    Payloads { payloads: vec![payload] }
}
