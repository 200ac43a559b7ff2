//! Updates: sending one, and polling for its outcome.

use std::sync::Arc;

use prost::Message as _;
use tokio::sync::oneshot;
use tonic::Status;
use uuid::Uuid;

use crate::api::common::WorkflowExecution;
use crate::api::enums::UpdateWorkflowExecutionLifecycleStage as Stage;
use crate::api::update::{Outcome, UpdateRef, WaitPolicy};
use crate::api::workflowservice::{
    PollWorkflowExecutionUpdateRequest, PollWorkflowExecutionUpdateResponse, UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
};
use crate::clock::ClockHolder;
use crate::engine::effects::Close;
use crate::engine::error::Refusal;
use crate::engine::start::check_name;
use crate::engine::update::state::{UpdateNotice, UpdateProgress};
use crate::limits::BLOB_BYTES_MAX;
use crate::service::calls::call::{Call, Waited};
use crate::service::calls::history::{check_run_id, execution};
use crate::service::calls::known::known;
use crate::service::calls::signal::check_chain;
use crate::service::core::Core;
use crate::service::runs::lookup::Located;
use crate::service::runs::open::OpenRun;
use crate::stop::stopped;

/// The progress of an update, and a receiver for further news.
struct UpdateWait {
    run_id: String,
    progress: UpdateProgress,
    news: Option<oneshot::Receiver<UpdateNotice>>,
    seq: Option<crate::store::CommitSeq>,
}

/// The state of an update that a call returns.
struct UpdateReply {
    run_id: String,
    stage: Stage,
    outcome: Option<Outcome>,
}

impl Core {
    pub(in crate::service) async fn update_workflow_execution(
        self: &Arc<Self>,
        request: UpdateWorkflowExecutionRequest,
        call: Call,
    ) -> Result<UpdateWorkflowExecutionResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.workflow_execution.as_ref())?;
        check_run_id(&request.first_execution_run_id)?;
        let wanted = wanted_stage(request.wait_policy.as_ref(), Stage::Completed)?;
        let mut update = request.request.ok_or_else(|| Refusal::invalid("Request is not set on request."))?;
        if !update.completion_callbacks.is_empty() {
            return Err(Refusal::Unsupported("completion_callbacks of an update").into());
        }
        let meta = update.meta.get_or_insert_default();
        if meta.update_id.is_empty() {
            meta.update_id = Uuid::new_v4().to_string();
        }
        let id = meta.update_id.clone();
        check_name("UpdateId", &id)?;
        check_name("Update name", update.input.as_ref().map(|input| input.name.as_str()).unwrap_or_default())?;
        if update.encoded_len() > BLOB_BYTES_MAX {
            return Err(Refusal::invalid("Blob data size exceeds limit.").into());
        }
        let changing = self.timers.hold(ClockHolder::Call);
        let wait = self
            .with_run(&namespace, &workflow_id, &run_id, |located| {
                check_chain(&located, &request.first_execution_run_id)?;
                match located {
                    Located::Open(slot, open) => {
                        if let Some(progress) = open.run.update_progress(&id)? {
                            return Ok(update_wait(open, &id, progress, wanted, &call));
                        }
                        self.change(slot, open, |open, now| {
                            open.run.admit_update(&id, update, now)?;
                            Ok::<_, Refusal>(((), Close::KeepSpeculative))
                        })?;
                        Ok(update_wait(open, &id, UpdateProgress::Admitted, wanted, &call))
                    }
                    Located::Closed(closed) => {
                        let progress = closed.update_progress(&id)?.ok_or_else(Refusal::closed)?;
                        Ok(UpdateWait { run_id: closed.row.run_id.to_string(), progress, news: None, seq: closed.seq })
                    }
                }
            })
            .await?;
        drop(changing);
        let reply = self.wait_for_update(wait, call).await?;
        Ok(UpdateWorkflowExecutionResponse {
            update_ref: Some(update_ref(workflow_id, reply.run_id, id)),
            outcome: reply.outcome,
            stage: reply.stage as i32,
            ..Default::default()
        })
    }

    pub(in crate::service) async fn poll_workflow_execution_update(
        self: &Arc<Self>,
        request: PollWorkflowExecutionUpdateRequest,
        call: Call,
    ) -> Result<PollWorkflowExecutionUpdateResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let which = request.update_ref.ok_or_else(|| Refusal::invalid("UpdateRef is not set on request."))?;
        let (workflow_id, run_id) = execution(which.workflow_execution.as_ref())?;
        check_name("UpdateId", &which.update_id)?;
        let id = which.update_id;
        let wanted = wanted_stage(request.wait_policy.as_ref(), Stage::Unspecified)?;
        let unknown = || Refusal::NotFound(format!("update \"{id}\" not found"));
        let wait = self
            .with_run(&namespace, &workflow_id, &run_id, |located| match located {
                Located::Open(_, open) => {
                    let progress = open.run.update_progress(&id)?.ok_or_else(unknown)?;
                    Ok(update_wait(open, &id, progress, wanted, &call))
                }
                Located::Closed(closed) => {
                    let progress = closed.update_progress(&id)?.ok_or_else(unknown)?;
                    Ok(UpdateWait { run_id: closed.row.run_id.to_string(), progress, news: None, seq: closed.seq })
                }
            })
            .await?;
        let reply = self.wait_for_update(wait, call).await?;
        Ok(PollWorkflowExecutionUpdateResponse {
            outcome: reply.outcome,
            stage: reply.stage as i32,
            update_ref: Some(update_ref(workflow_id, reply.run_id, id)),
        })
    }

    /// Waits until the update has reached the wanted stage, or the caller's deadline.
    async fn wait_for_update(&self, wait: UpdateWait, call: Call) -> Result<UpdateReply, Status> {
        let UpdateWait { run_id, mut progress, news, seq } = wait;
        self.durable(seq).await?;
        if let Some(news) = news {
            let news = call.wait(call.deadline.read_poll(), news).await;
            // The content of the notice may not be committed yet.
            self.store.caught_up().await?;
            match news {
                Waited::For(Ok(UpdateNotice::Accepted)) => progress = UpdateProgress::Accepted,
                Waited::For(Ok(UpdateNotice::Completed(outcome))) => progress = UpdateProgress::Completed(outcome),
                Waited::For(Ok(UpdateNotice::Aborted(refusal))) => return Err(refusal.into()),
                Waited::For(Err(_)) => {
                    return Err(Refusal::Unavailable("workflow update was aborted".to_owned()).into());
                }
                // Not an error: the caller polls again.
                Waited::InVain => {}
                Waited::Stopped => return Err(stopped()),
            }
        }
        Ok(match progress {
            UpdateProgress::Admitted => UpdateReply { run_id, stage: Stage::Admitted, outcome: None },
            UpdateProgress::Accepted => UpdateReply { run_id, stage: Stage::Accepted, outcome: None },
            UpdateProgress::Completed(outcome) => {
                UpdateReply { run_id, stage: Stage::Completed, outcome: Some(*outcome) }
            }
        })
    }
}

fn update_wait(open: &mut OpenRun, id: &str, progress: UpdateProgress, wanted: Stage, call: &Call) -> UpdateWait {
    let waits = match (&progress, wanted) {
        (UpdateProgress::Completed(_), _) | (_, Stage::Unspecified | Stage::Admitted) => false,
        (UpdateProgress::Accepted, wanted) => wanted == Stage::Completed,
        (UpdateProgress::Admitted, _) => true,
    };
    let news = waits.then(|| open.wait_for_update(id, wanted == Stage::Completed, call.time()));
    UpdateWait { run_id: open.run.info.run_id.to_string(), progress, news, seq: open.seq }
}

fn wanted_stage(policy: Option<&WaitPolicy>, default: Stage) -> Result<Stage, Refusal> {
    match known("wait_policy.lifecycle_stage", policy.map_or(0, |policy| policy.lifecycle_stage))? {
        Stage::Unspecified => Ok(default),
        Stage::Admitted => Err(Refusal::Denied(
            "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED is not supported as a stage to wait for".to_owned(),
        )),
        stage => Ok(stage),
    }
}

fn update_ref(workflow_id: String, run_id: String, update_id: String) -> UpdateRef {
    UpdateRef { workflow_execution: Some(WorkflowExecution { workflow_id, run_id }), update_id }
}
