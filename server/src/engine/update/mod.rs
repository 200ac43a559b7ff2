//! Updates of one run: admitted, sent with a workflow task, accepted, completed; or rejected, which writes nothing.
//!
//! Until a worker accepts it, an update is only a waiting caller: it is not written, and is lost with the process.

pub(crate) mod message;
pub(crate) mod state;

use std::sync::Arc;

use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::enums::{CommandType, WorkflowTaskFailedCause};
use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{ApplicationFailureInfo, Failure};
use crate::api::history::{
    WorkflowExecutionUpdateAcceptedEventAttributes, WorkflowExecutionUpdateCompletedEventAttributes,
};
use crate::api::protocol::Message;
use crate::api::update::{Acceptance, Outcome, Request, Response, outcome};
use crate::engine::commands::Commands;
use crate::engine::effects::Notice;
use crate::engine::error::{Refusal, Rejected};
use crate::engine::event::{Attributes, EventId, HistoryEvent, Order};
use crate::engine::history::DamagedEvent;
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;
use crate::engine::update::message::{MessageBody, type_name};
use crate::engine::update::state::{Stage, Update, UpdateNotice, UpdateProgress, UpdateState};
use crate::engine::workflow_task::state::TaskKind;
use crate::limits::BLOB_BYTES_MAX;

/// The rules of updates.
pub(in crate::engine) struct UpdateRules;

impl Subject for UpdateRules {
    const COMMANDS: &'static [(CommandType, WorkflowTaskFailedCause)] =
        &[(CommandType::ProtocolMessage, WorkflowTaskFailedCause::BadUpdateWorkflowExecutionMessage)];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::ProtocolMessageCommandAttributes(it) => Ok(run.place_message(&it.message_id, commands)),
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        match event {
            Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(_)
            | Attributes::WorkflowExecutionUpdateCompletedEventAttributes(_) => Some(Order::Now),
            _ => None,
        }
    }

    fn apply(run: &mut Run, id: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        match event {
            Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(it) => Some(run.apply_update_accepted(id, it)),
            Attributes::WorkflowExecutionUpdateCompletedEventAttributes(it) => Some(run.apply_update_completed(id, it)),
            _ => None,
        }
    }
}

impl Run {
    /// Returns the progress of an update, if the run knows the update.
    pub(crate) fn update_progress(&self, id: &str) -> Result<Option<UpdateProgress>, Refusal> {
        let damaged = |problem: DamagedEvent| Refusal::damaged(&self.info.run_id, &problem);
        Ok(match self.state.updates.find(id) {
            None => None,
            Some(UpdateState::Admitted) => Some(UpdateProgress::Admitted),
            Some(UpdateState::Accepted) => Some(UpdateProgress::Accepted),
            Some(UpdateState::Completed(event_id)) => {
                let outcome = self.history.event(event_id).and_then(outcome_of).map_err(damaged)?;
                Some(UpdateProgress::Completed(Box::new(outcome)))
            }
        })
    }

    /// Admits a new update and makes sure that a worker receives it.
    pub(crate) fn admit_update(&mut self, id: &str, request: Request, now: Time) -> Result<(), Refusal> {
        if self.worker_is_failing() {
            return Err(Refusal::NotReady(
                "Unable to perform workflow execution update due to Workflow Task in failed state.".to_owned(),
            ));
        }
        if self.state.close_attempted && self.has_started_workflow_task() {
            return Err(Refusal::closing());
        }
        self.state.updates.check_room(&request)?;
        self.state.updates.admit(id.into(), request);
        if self.state.workflow_task.is_none() {
            self.schedule_workflow_task(TaskKind::Speculative, now, now);
        }
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
                WorkflowTaskFailedCause::BadUpdateWorkflowExecutionMessage,
                format!("ProtocolMessageCommand referenced absent message ID {message_id}"),
            )),
        }
    }

    /// Handles one message of a completion.
    pub(in crate::engine) fn handle_message(&mut self, message: Message, now: Time) -> Result<(), Rejected> {
        let bad = |detail: String| Rejected::new(WorkflowTaskFailedCause::BadUpdateWorkflowExecutionMessage, detail);
        let id: Arc<str> = message.protocol_instance_id.as_str().into();
        let Some(body) = message.body else {
            return Err(bad(format!("Update {id} received message with nil body")));
        };
        if body.value.len() > BLOB_BYTES_MAX {
            let detail = format!("Message type {} exceeds size limit.", type_name(&body));
            return Err(bad(detail).terminating());
        }
        let body = MessageBody::read(&body).map_err(&bad)?;
        if !self.state.updates.live.contains_key(&id) {
            self.resurrect(&id, &body).map_err(|refusal| bad(refusal.to_string()))?;
        }
        let Some(update) = self.state.updates.live.get(&id).cloned() else {
            return Err(bad(format!(
                "update {id} wasn't found on the server. This is most likely a transient error which will be resolved \
                 automatically by retries"
            )));
        };
        match body {
            // Updates that a closing run leaves open are ended further down in this module.
            _ if !self.is_open() && !matches!(body, MessageBody::Rejection(_)) => Ok(()),
            MessageBody::Acceptance(acceptance) => self.accept_update(id, &update, acceptance, now).map_err(bad),
            MessageBody::Response(response) => self.complete_update(id, &update, response, now).map_err(bad),
            MessageBody::Rejection(rejection) => {
                if matches!(update.stage, Stage::Accepted { .. }) {
                    return Err(bad(format!(
                        "invalid state transition attempted for Update {id}: Accepted, Rejection"
                    )));
                }
                self.reject_update(id, rejection.failure.unwrap_or_default());
                Ok(())
            }
        }
    }

    /// Admits again an update that an earlier process had sent: the worker's reply contains the request.
    fn resurrect(&mut self, id: &Arc<str>, body: &MessageBody) -> Result<(), Refusal> {
        let request = match body {
            MessageBody::Acceptance(acceptance) => acceptance.accepted_request.clone(),
            MessageBody::Rejection(rejection) => rejection.rejected_request.clone(),
            MessageBody::Response(_) => None,
        };
        let Some(request) = request else { return Ok(()) };
        self.state.updates.check_total()?;
        self.state.updates.admit(id.clone(), request);
        Ok(())
    }

    fn accept_update(
        &mut self,
        id: Arc<str>,
        update: &Update,
        acceptance: Acceptance,
        now: Time,
    ) -> Result<(), String> {
        if matches!(update.stage, Stage::Accepted { .. }) {
            return Err(format!("invalid state transition attempted for Update {id}: Accepted, Acceptance"));
        }
        if acceptance.accepted_request_sequencing_event_id == 0 {
            return Err("invalid Acceptance: accepted_request_sequencing_event_id is not set".to_owned());
        }
        if acceptance.accepted_request_message_id.is_empty() {
            return Err("invalid Acceptance: accepted_request_message_id is not set".to_owned());
        }
        self.append(
            now,
            WorkflowExecutionUpdateAcceptedEventAttributes {
                protocol_instance_id: id.to_string(),
                accepted_request_message_id: format!("{id}/request"),
                accepted_request_sequencing_event_id: acceptance.accepted_request_sequencing_event_id,
                accepted_request: Some((*update.request).clone()),
            },
        );
        self.notify(Notice::Update { id, notice: UpdateNotice::Accepted });
        Ok(())
    }

    fn complete_update(&mut self, id: Arc<str>, update: &Update, response: Response, now: Time) -> Result<(), String> {
        let Stage::Accepted { event_id } = update.stage else {
            return Err(format!("invalid state transition attempted for Update {id}: {:?}, Response", update.stage));
        };
        if response.meta.as_ref().is_none_or(|meta| *meta.update_id != *id) {
            return Err(format!("invalid Response: meta.update_id != {id}"));
        }
        let Some(outcome) = response.outcome else {
            return Err("invalid Response: outcome is not set".to_owned());
        };
        self.append(
            now,
            WorkflowExecutionUpdateCompletedEventAttributes {
                meta: response.meta,
                accepted_event_id: event_id,
                outcome: Some(outcome.clone()),
            },
        );
        self.notify(Notice::Update { id, notice: UpdateNotice::Completed(Box::new(outcome)) });
        Ok(())
    }

    fn apply_update_accepted(
        &mut self,
        event_id: EventId,
        accepted: &WorkflowExecutionUpdateAcceptedEventAttributes,
    ) -> Result<(), &'static str> {
        let id = accepted.protocol_instance_id.as_str();
        let updates = &mut self.state.updates;
        if !updates.live.contains_key(id) {
            let request = accepted.accepted_request.clone().ok_or("it has no request")?;
            updates.admit(id.into(), request);
        }
        if let Some(update) = updates.live.get_mut(id) {
            update.stage = Stage::Accepted { event_id };
        }
        Ok(())
    }

    fn apply_update_completed(
        &mut self,
        event_id: EventId,
        completed: &WorkflowExecutionUpdateCompletedEventAttributes,
    ) -> Result<(), &'static str> {
        let id = completed.meta.as_ref().ok_or("it names no update")?.update_id.as_str();
        self.state.updates.live.remove(id);
        self.state.updates.completed.insert(id.into(), event_id);
        Ok(())
    }

    fn reject_update(&mut self, id: Arc<str>, failure: Failure) {
        self.state.updates.live.remove(&id);
        let outcome = Outcome { value: Some(outcome::Value::Failure(failure)) };
        self.notify(Notice::Update { id, notice: UpdateNotice::Completed(Box::new(outcome)) });
    }

    /// Rejects updates that the worker received and did not answer; otherwise they would be sent again and again.
    pub(in crate::engine) fn reject_unanswered_updates(&mut self) {
        for id in self.updates_in(|stage| stage == Stage::Sent) {
            self.reject_update(
                id,
                application_failure(
                    "UnprocessedUpdate",
                    "Workflow Update is rejected because it wasn't processed by worker. Probably, Workflow Update is \
                     not supported by the worker.",
                ),
            );
        }
    }

    /// Aborts the unaccepted updates after the server rejected a completion; their callers get an error.
    pub(in crate::engine) fn abort_updates_of_failed_task(&mut self) {
        for id in self.updates_in(|stage| !matches!(stage, Stage::Accepted { .. })) {
            let sent = self.state.updates.live.remove(&id).is_some_and(|update| update.stage == Stage::Sent);
            let refusal = if sent {
                Refusal::NotReady(
                    "Unable to perform workflow execution update due to unexpected workflow task failure.".to_owned(),
                )
            } else {
                Refusal::Unavailable("workflow update was aborted".to_owned())
            };
            self.notify(Notice::Update { id, notice: UpdateNotice::Aborted(refusal) });
        }
    }

    /// Ends the updates of a closed run: accepted ones fail, the others are dropped. If another run follows, it should
    /// get those: their callers try again.
    pub(in crate::engine) fn abort_updates_of_closed_run(&mut self) {
        let continues = self.state.successor.is_some();
        for (id, update) in std::mem::take(&mut self.state.updates.live) {
            let notice = match update.stage {
                Stage::Accepted { .. } => UpdateNotice::Completed(Box::new(cut_off_by_close())),
                Stage::Admitted | Stage::Sent if continues => UpdateNotice::Aborted(Refusal::closing()),
                Stage::Admitted | Stage::Sent => UpdateNotice::Aborted(Refusal::NotFound(
                    "workflow update was aborted by closing workflow".to_owned(),
                )),
            };
            self.notify(Notice::Update { id, notice });
        }
    }

    fn updates_in(&self, wanted: impl Fn(Stage) -> bool) -> Vec<Arc<str>> {
        self.state.updates.live.iter().filter(|(_, update)| wanted(update.stage)).map(|(id, _)| id.clone()).collect()
    }
}

/// Returns the outcome in an event.
///
/// # Errors
///
/// Fails if the event does not complete an update.
pub(crate) fn outcome_of(event: HistoryEvent) -> Result<Outcome, DamagedEvent> {
    match event.attributes {
        Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(completed)) => {
            Ok(completed.outcome.unwrap_or_default())
        }
        _ => Err(DamagedEvent::other_than(event.event_id, "the end of an update")),
    }
}

/// The outcome of an update that was accepted, but not completed, when its run closed.
pub(crate) fn cut_off_by_close() -> Outcome {
    let failure = application_failure(
        "AcceptedUpdateCompletedWorkflow",
        "Workflow Update failed because the Workflow completed before the Update completed.",
    );
    Outcome { value: Some(outcome::Value::Failure(failure)) }
}

fn application_failure(kind: &str, message: &str) -> Failure {
    Failure {
        message: message.to_owned(),
        source: "Server".to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
            r#type: kind.to_owned(),
            non_retryable: true,
            ..Default::default()
        })),
        ..Default::default()
    }
}
