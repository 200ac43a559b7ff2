//! Reports of workers about their tasks.

use std::sync::Arc;

use tonic::{Code, Status};
use uuid::Uuid;

use crate::api::command::Command;
use crate::api::command::command::Attributes;
use crate::api::enums::{QueryResultType, WorkflowTaskFailedCause};
use crate::api::workflowservice::{
    PollActivityTaskQueueResponse, RecordActivityTaskHeartbeatByIdRequest, RecordActivityTaskHeartbeatByIdResponse,
    RecordActivityTaskHeartbeatRequest, RecordActivityTaskHeartbeatResponse, ResetStickyTaskQueueRequest,
    ResetStickyTaskQueueResponse, RespondActivityTaskCanceledByIdRequest, RespondActivityTaskCanceledByIdResponse,
    RespondActivityTaskCanceledRequest, RespondActivityTaskCanceledResponse, RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedByIdResponse, RespondActivityTaskCompletedRequest,
    RespondActivityTaskCompletedResponse, RespondActivityTaskFailedByIdRequest, RespondActivityTaskFailedByIdResponse,
    RespondActivityTaskFailedRequest, RespondActivityTaskFailedResponse, RespondQueryTaskCompletedRequest,
    RespondQueryTaskCompletedResponse, RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskCompletedResponse,
    RespondWorkflowTaskFailedRequest, RespondWorkflowTaskFailedResponse,
};
use crate::engine::activity::report::{ActivityRef, HeartbeatNews, check_reported_failure};
use crate::engine::cancel::StopRequest;
use crate::engine::effects::Close;
use crate::engine::error::Refusal;
use crate::engine::start::check_name;
use crate::engine::time::Time;
use crate::engine::workflow_task::end::{Responder, TaskFailure};
use crate::engine::workflow_task::state::TaskRef;
use crate::namespaces::Namespace;
use crate::service::calls::call::Call;
use crate::service::calls::handover::Handed;
use crate::service::calls::history::{execution, namespace_of};
use crate::service::calls::known::known;
use crate::service::calls::poll::{activity_token, started_task};
use crate::service::calls::tokens;
use crate::service::calls::tokens::{ActivityTaskToken, QueryTaskToken, WorkflowTaskToken};
use crate::service::core::Core;
use crate::service::runs::lookup::Located;
use crate::service::runs::open::OpenRun;

impl From<&WorkflowTaskToken> for TaskRef {
    fn from(token: &WorkflowTaskToken) -> Self {
        Self { stamp: token.stamp, attempt: token.attempt, started_time: Time::from_nanos(token.started_time_ns) }
    }
}

/// The namespace that a command names.
fn namespace_of_command(command: &Command) -> Option<&str> {
    let name = match command.attributes.as_ref()? {
        Attributes::StartChildWorkflowExecutionCommandAttributes(it) => &it.namespace,
        Attributes::SignalExternalWorkflowExecutionCommandAttributes(it) => &it.namespace,
        Attributes::RequestCancelExternalWorkflowExecutionCommandAttributes(it) => &it.namespace,
        _ => return None,
    };
    (!name.is_empty()).then_some(name)
}

/// The activity of a report.
struct Reported {
    namespace: Arc<Namespace>,
    workflow_id: String,
    run_id: String,
    activity: ActivityRef,
}

impl Core {
    pub(in crate::service) async fn respond_workflow_task_completed(
        self: &Arc<Self>,
        request: RespondWorkflowTaskCompletedRequest,
        call: Call,
    ) -> Result<RespondWorkflowTaskCompletedResponse, Status> {
        let token: WorkflowTaskToken = tokens::decode("TaskToken", &request.task_token)?;
        let namespace = namespace_of(self, &request.namespace, &token.namespace)?;
        let which = TaskRef::from(&token);
        for name in request.commands.iter().filter_map(namespace_of_command) {
            self.namespaces.find(name)?;
        }
        let mut fresh_id = || Arc::from(Uuid::now_v7().to_string());
        let answer = self
            .with_run(&namespace, &token.workflow_id, &token.run_id, |located| {
                let Located::Open(slot, open) = located else { return Err(Refusal::unknown_workflow_task().into()) };
                let completed = self.change(slot, open, |open, now| {
                    let completed = open.run.complete_workflow_task(which, request, &mut fresh_id, now)?;
                    Ok::<_, Refusal>((completed, Close::KeepSpeculative))
                })?;
                let next = completed.next_task.then(|| started_task(open, true, completed.resend_updates)).flatten();
                call.handover.add(next.as_ref().and_then(|_| Handed::workflow_task(slot, open)));
                let eager = completed.eager_activities.iter();
                call.handover.add(eager.filter_map(|id| Handed::activity(slot, open, *id)));
                let eager = completed.eager_activities.iter().filter_map(|id| {
                    let task = open.run.activity_task(*id).transpose()?;
                    Some(task.map(|task| {
                        let task_token = activity_token(open, *id, task.attempt);
                        PollActivityTaskQueueResponse { task_token, ..task }
                    }))
                });
                let activity_tasks = eager.collect::<Result<Vec<_>, _>>();
                Ok((completed, next, activity_tasks?, open.seq))
            })
            .await;
        let (completed, next, activity_tasks, seq) = answer.map_err(|status| match status.code() {
            // If the run is gone, the worker's task is gone too.
            Code::NotFound => Refusal::unknown_workflow_task().into(),
            _ => status,
        })?;
        self.durable(seq).await?;
        if let Some(refusal) = completed.refusal {
            return Err(refusal.into());
        }
        Ok(RespondWorkflowTaskCompletedResponse {
            workflow_task: next.map(crate::service::calls::poll::TaskResponse::response).transpose()?,
            activity_tasks,
            reset_history_event_id: completed.reset_history_event_id,
        })
    }

    pub(in crate::service) async fn respond_workflow_task_failed(
        self: &Arc<Self>,
        request: RespondWorkflowTaskFailedRequest,
        _call: Call,
    ) -> Result<RespondWorkflowTaskFailedResponse, Status> {
        let token: WorkflowTaskToken = tokens::decode("TaskToken", &request.task_token)?;
        let namespace = namespace_of(self, &request.namespace, &token.namespace)?;
        let which = TaskRef::from(&token);
        let cause = match request.cause() {
            WorkflowTaskFailedCause::Unspecified => WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure,
            cause => cause,
        };
        self.change_run(&namespace, &token.workflow_id, &token.run_id, |open, now| {
            open.run.current_workflow_task(which)?;
            if cause == WorkflowTaskFailedCause::GrpcMessageTooLarge {
                let reason = "WorkflowTaskFailedCauseGrpcMessageTooLarge".to_owned();
                let identity = request.identity.clone();
                return open.run.terminate(StopRequest { reason, identity, ..Default::default() }, now);
            }
            let RespondWorkflowTaskFailedRequest { failure, identity, binary_checksum, .. } = request;
            let responder = Responder { identity, binary_checksum };
            open.run.fail_workflow_task(TaskFailure { cause, failure, responder }, now);
            Ok(())
        })
        .await?;
        Ok(RespondWorkflowTaskFailedResponse {})
    }

    pub(in crate::service) async fn respond_query_task_completed(
        self: &Arc<Self>,
        request: RespondQueryTaskCompletedRequest,
        _call: Call,
    ) -> Result<RespondQueryTaskCompletedResponse, Status> {
        let token: QueryTaskToken = tokens::decode("TaskToken", &request.task_token)?;
        namespace_of(self, &request.namespace, &token.namespace)?;
        known::<QueryResultType>("completed_type", request.completed_type)?;
        let query = self.direct_queries.get(token.query);
        if query.is_some_and(|query| query.answer(request)) {
            return Ok(RespondQueryTaskCompletedResponse {});
        }
        Err(Refusal::NotFound("query task not found, or already expired".to_owned()).into())
    }

    pub(in crate::service) async fn reset_sticky_task_queue(
        self: &Arc<Self>,
        request: ResetStickyTaskQueueRequest,
        _call: Call,
    ) -> Result<ResetStickyTaskQueueResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.execution.as_ref())?;
        self.change_run(&namespace, &workflow_id, &run_id, |open, _| {
            open.run.clear_sticky();
            Ok(())
        })
        .await?;
        Ok(ResetStickyTaskQueueResponse {})
    }

    pub(in crate::service) async fn respond_activity_task_completed(
        self: &Arc<Self>,
        request: RespondActivityTaskCompletedRequest,
        _call: Call,
    ) -> Result<RespondActivityTaskCompletedResponse, Status> {
        let reported = self.reported_by_token(&request.namespace, &request.task_token)?;
        self.complete_activity(reported, request.result, request.identity).await?;
        Ok(RespondActivityTaskCompletedResponse {})
    }

    pub(in crate::service) async fn respond_activity_task_completed_by_id(
        self: &Arc<Self>,
        request: RespondActivityTaskCompletedByIdRequest,
        _call: Call,
    ) -> Result<RespondActivityTaskCompletedByIdResponse, Status> {
        let reported =
            self.reported_by_id(&request.namespace, request.workflow_id, request.run_id, request.activity_id)?;
        self.complete_activity(reported, request.result, request.identity).await?;
        Ok(RespondActivityTaskCompletedByIdResponse {})
    }

    async fn complete_activity(
        self: &Arc<Self>,
        reported: Reported,
        result: Option<crate::api::common::Payloads>,
        identity: String,
    ) -> Result<(), Status> {
        self.change_activity(&reported, |open, now| {
            open.run.complete_activity(&reported.activity, result, identity, now)
        })
        .await
    }

    pub(in crate::service) async fn respond_activity_task_failed(
        self: &Arc<Self>,
        request: RespondActivityTaskFailedRequest,
        _call: Call,
    ) -> Result<RespondActivityTaskFailedResponse, Status> {
        let reported = self.reported_by_token(&request.namespace, &request.task_token)?;
        self.fail_activity(reported, request.failure, request.last_heartbeat_details, request.identity).await?;
        Ok(RespondActivityTaskFailedResponse::default())
    }

    pub(in crate::service) async fn respond_activity_task_failed_by_id(
        self: &Arc<Self>,
        request: RespondActivityTaskFailedByIdRequest,
        _call: Call,
    ) -> Result<RespondActivityTaskFailedByIdResponse, Status> {
        let reported =
            self.reported_by_id(&request.namespace, request.workflow_id, request.run_id, request.activity_id)?;
        self.fail_activity(reported, request.failure, request.last_heartbeat_details, request.identity).await?;
        Ok(RespondActivityTaskFailedByIdResponse::default())
    }

    async fn fail_activity(
        self: &Arc<Self>,
        reported: Reported,
        failure: Option<crate::api::failure::Failure>,
        heartbeat_details: Option<crate::api::common::Payloads>,
        identity: String,
    ) -> Result<(), Status> {
        check_reported_failure(failure.as_ref())?;
        let failure = failure.unwrap_or_default();
        self.change_activity(&reported, |open, now| {
            open.run.fail_activity(&reported.activity, failure, heartbeat_details, identity, now).map(drop)
        })
        .await
    }

    pub(in crate::service) async fn respond_activity_task_canceled(
        self: &Arc<Self>,
        request: RespondActivityTaskCanceledRequest,
        _call: Call,
    ) -> Result<RespondActivityTaskCanceledResponse, Status> {
        let reported = self.reported_by_token(&request.namespace, &request.task_token)?;
        self.change_activity(&reported, |open, now| {
            open.run.cancel_activity(&reported.activity, request.details, request.identity, now)
        })
        .await?;
        Ok(RespondActivityTaskCanceledResponse {})
    }

    pub(in crate::service) async fn respond_activity_task_canceled_by_id(
        self: &Arc<Self>,
        request: RespondActivityTaskCanceledByIdRequest,
        _call: Call,
    ) -> Result<RespondActivityTaskCanceledByIdResponse, Status> {
        let reported =
            self.reported_by_id(&request.namespace, request.workflow_id, request.run_id, request.activity_id)?;
        self.change_activity(&reported, |open, now| {
            open.run.cancel_activity(&reported.activity, request.details, request.identity, now)
        })
        .await?;
        Ok(RespondActivityTaskCanceledByIdResponse {})
    }

    pub(in crate::service) async fn record_activity_task_heartbeat(
        self: &Arc<Self>,
        request: RecordActivityTaskHeartbeatRequest,
        _call: Call,
    ) -> Result<RecordActivityTaskHeartbeatResponse, Status> {
        let reported = self.reported_by_token(&request.namespace, &request.task_token)?;
        let news = self.heartbeat(&reported, request.details).await?;
        Ok(RecordActivityTaskHeartbeatResponse {
            cancel_requested: news.cancel_requested,
            activity_paused: news.paused,
            activity_reset: news.reset,
        })
    }

    pub(in crate::service) async fn record_activity_task_heartbeat_by_id(
        self: &Arc<Self>,
        request: RecordActivityTaskHeartbeatByIdRequest,
        _call: Call,
    ) -> Result<RecordActivityTaskHeartbeatByIdResponse, Status> {
        let reported =
            self.reported_by_id(&request.namespace, request.workflow_id, request.run_id, request.activity_id)?;
        let news = self.heartbeat(&reported, request.details).await?;
        Ok(RecordActivityTaskHeartbeatByIdResponse {
            cancel_requested: news.cancel_requested,
            activity_paused: news.paused,
            activity_reset: news.reset,
        })
    }

    async fn heartbeat(
        self: &Arc<Self>,
        reported: &Reported,
        details: Option<crate::api::common::Payloads>,
    ) -> Result<HeartbeatNews, Status> {
        self.change_activity(reported, |open, now| open.run.heartbeat_activity(&reported.activity, details, now)).await
    }

    /// Changes an open run and ends the transition with [`Close::Write`].
    pub(in crate::service) async fn change_run<R>(
        self: &Arc<Self>,
        namespace: &Namespace,
        workflow_id: &str,
        run_id: &str,
        change: impl FnOnce(&mut OpenRun, Time) -> Result<R, Refusal> + Send,
    ) -> Result<R, Status> {
        let (result, seq) = self
            .with_run(namespace, workflow_id, run_id, |located| {
                let Located::Open(slot, open) = located else { return Err(Refusal::closed().into()) };
                let result =
                    self.change(slot, open, |open, now| Ok::<_, Refusal>((change(open, now)?, Close::Write)))?;
                Ok((result, open.seq))
            })
            .await?;
        self.durable(seq).await?;
        Ok(result)
    }

    async fn change_activity<R>(
        self: &Arc<Self>,
        reported: &Reported,
        change: impl FnOnce(&mut OpenRun, Time) -> Result<R, Refusal> + Send,
    ) -> Result<R, Status> {
        self.change_run(&reported.namespace, &reported.workflow_id, &reported.run_id, change).await
    }

    fn reported_by_token(&self, namespace: &str, token: &[u8]) -> Result<Reported, Status> {
        let token: ActivityTaskToken = tokens::decode("TaskToken", token)?;
        Ok(Reported {
            namespace: namespace_of(self, namespace, &token.namespace)?,
            activity: ActivityRef::from(&token),
            workflow_id: token.workflow_id,
            run_id: token.run_id,
        })
    }

    fn reported_by_id(
        &self,
        namespace: &str,
        workflow_id: String,
        run_id: String,
        activity_id: String,
    ) -> Result<Reported, Status> {
        let namespace = self.namespaces.find(namespace)?;
        check_name("WorkflowId", &workflow_id)?;
        crate::service::calls::history::check_run_id(&run_id)?;
        check_name("ActivityID", &activity_id)?;
        Ok(Reported { namespace, workflow_id, run_id, activity: ActivityRef::Id(activity_id) })
    }
}
