//! Polls of workers for tasks.

use std::sync::Arc;
use std::time::Instant;

use tonic::Status;
use uuid::Uuid;

use crate::api::common::{WorkerVersionCapabilities, WorkflowType};
use crate::api::deployment::WorkerDeploymentOptions;
use crate::api::enums::{TaskQueueKind, WorkerVersioningMode};
use crate::api::taskqueue::TaskQueue;
use crate::api::workflowservice::{
    PollActivityTaskQueueRequest, PollActivityTaskQueueResponse, PollNexusTaskQueueRequest, PollNexusTaskQueueResponse,
    PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse,
};
use crate::engine::activity::report::ActivityRef;
use crate::engine::effects::Close;
use crate::engine::error::Refusal;
use crate::engine::event::EventId;
use crate::engine::start::check_name;
use crate::engine::workflow_task::state::TaskKind;
use crate::matching::poll::Poll;
use crate::matching::{Matched, PolledBy, QueueKey, QueueKind};
use crate::service::calls::call::{Call, Waited};
use crate::service::calls::direct::DirectQuery;
use crate::service::calls::handover::{Handed, Handover};
use crate::service::calls::history::Page;
use crate::service::calls::known::known;
use crate::service::calls::tokens;
use crate::service::calls::tokens::{ActivityTaskToken, QueryTaskToken, WorkflowTaskToken};
use crate::service::core::Core;
use crate::service::runs::lookup::Located;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::Slot;
use crate::service::runs::task::Task;

/// Batches of history in the response to a poll; the worker reads the rest with further calls.
const FIRST_PAGE_BATCHES: usize = 256;

impl Core {
    pub(in crate::service) async fn poll_workflow_task_queue(
        self: &Arc<Self>,
        request: PollWorkflowTaskQueueRequest,
        call: Call,
    ) -> Result<PollWorkflowTaskQueueResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (name, sticky) = queue_name(request.task_queue.as_ref(), &request.identity)?;
        check_unversioned(request.worker_version_capabilities.as_ref(), request.deployment_options.as_ref())?;
        let kind = if sticky { QueueKind::Sticky } else { QueueKind::Workflow };
        let key = QueueKey { namespace: namespace.key, kind, name };
        let until = call.deadline.task_poll();
        let sticky_queue = sticky.then_some(&*key.name);
        let by = PolledBy { identity: &request.identity, worker: &request.worker_instance_key, tasks_per_second: None };
        loop {
            let Some(matched) = self.next_task(&key, by, until, &call).await else {
                return Ok(PollWorkflowTaskQueueResponse::default());
            };
            let backlog = matched.backlog;
            let taken = match &matched.task {
                Task::Workflow { slot, run_id, stamp } => {
                    let handover = &call.handover;
                    self.take_workflow_task(slot, run_id, *stamp, by.identity, sticky_queue, handover).await
                }
                Task::Query(query) => {
                    let (matching, queue) = (Arc::downgrade(&self.matching), key.clone());
                    call.handover.add([Handed::Query { matching, queue, query: Arc::clone(query) }]);
                    self.take_query(query, sticky).await
                }
                Task::Activity { .. } => Ok(None),
            };
            if let Some(mut response) = taken? {
                response.backlog_count_hint = backlog as i64;
                return Ok(response);
            }
            // A task that is gone needs no handover.
            call.handover.taken();
        }
    }

    async fn next_task(
        self: &Arc<Self>,
        key: &QueueKey,
        by: PolledBy<'_>,
        until: Instant,
        call: &Call,
    ) -> Option<Matched<Task>> {
        if call.stop.is_given() {
            // A worker whose socket stops could not report on a task.
            return None;
        }
        match self.matching.poll(key, by, self.clock.now()) {
            Poll::Ready(matched) => Some(matched),
            Poll::Gone => None,
            Poll::Waiting(waiting) => match call.wait(until, waiting.task()).await {
                Waited::For(matched) => matched,
                Waited::InVain | Waited::Stopped => None,
            },
        }
    }

    /// Starts a workflow task; returns `None` if it is gone.
    async fn take_workflow_task(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        run_id: &str,
        stamp: EventId,
        identity: &str,
        sticky_queue: Option<&str>,
        handover: &Handover,
    ) -> Result<Option<PollWorkflowTaskQueueResponse>, Status> {
        let request_id: Arc<str> = Uuid::new_v4().to_string().into();
        let start = |open: &mut OpenRun, now| {
            // The scheduled task was committed; its start may be committed later.
            let seq = open.seq;
            let started = open
                .run
                .start_workflow_task(stamp, request_id, identity, sticky_queue, now)
                .ok_or_else(Refusal::unknown_workflow_task)?;
            let speculative =
                open.run.state.workflow_task.as_ref().is_some_and(|task| task.kind == TaskKind::Speculative);
            let close = if speculative { Close::KeepSpeculative } else { Close::Write };
            Ok(((started, seq), close))
        };
        let taken = slot.change(run_id, start, |open, (started, seq)| {
            let handed = Handed::workflow_task(slot, open);
            (started_task(open, started.sticky, true), handed, seq)
        });
        let Ok(((task, handed, seq), _)) = taken else { return Ok(None) };
        handover.add(handed);
        self.durable(seq).await?;
        task.map(TaskResponse::response).transpose()
    }

    /// Builds the query task for a worker.
    async fn take_query(
        self: &Arc<Self>,
        query: &Arc<DirectQuery>,
        sticky: bool,
    ) -> Result<Option<PollWorkflowTaskQueueResponse>, Status> {
        if !query.is_wanted() {
            return Ok(None);
        }
        let Ok(namespace) = self.namespaces.find(&query.namespace) else { return Ok(None) };
        let found = self.with_run(&namespace, &query.workflow_id, &query.run_id, |located| {
            Ok(match located {
                Located::Open(_, open) => {
                    let info = &open.run.info;
                    let page = (!sticky).then(|| Page::of_open(open, 1, EventId::MAX, FIRST_PAGE_BATCHES));
                    Ok((
                        page,
                        info.workflow_type.to_string(),
                        info.task_queue.to_string(),
                        open.run.state.previous_started_event_id,
                    ))
                }
                Located::Closed(closed) => closed_query(closed, sticky),
            })
        });
        let found = found.await;
        let Ok(found) = found else {
            // A run that is gone cannot be queried.
            query.release();
            return Ok(None);
        };
        // Neither can a run that cannot be read, by any worker.
        let found = found.inspect_err(|_| query.release());
        let (page, workflow_type, task_queue, previous_started_event_id) = found?;
        let decoded = page.unwrap_or_default().decode(&query.run_id).inspect_err(|_| query.release());
        let (history, next_page_token) = decoded?;
        Ok(Some(PollWorkflowTaskQueueResponse {
            task_token: tokens::encode(&QueryTaskToken { namespace: query.namespace.to_string(), query: query.id }),
            workflow_execution: Some(crate::api::common::WorkflowExecution {
                workflow_id: query.workflow_id.clone(),
                run_id: query.run_id.clone(),
            }),
            workflow_type: Some(WorkflowType { name: workflow_type }),
            previous_started_event_id,
            attempt: 1,
            history: Some(history),
            next_page_token,
            query: Some(query.query.clone()),
            workflow_execution_task_queue: Some(TaskQueue {
                name: task_queue,
                kind: TaskQueueKind::Normal as i32,
                normal_name: String::new(),
            }),
            ..Default::default()
        }))
    }

    pub(in crate::service) async fn poll_activity_task_queue(
        self: &Arc<Self>,
        request: PollActivityTaskQueueRequest,
        call: Call,
    ) -> Result<PollActivityTaskQueueResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (name, _) = queue_name(request.task_queue.as_ref(), &request.identity)?;
        check_unversioned(request.worker_version_capabilities.as_ref(), request.deployment_options.as_ref())?;
        let tasks_per_second = request.task_queue_metadata.as_ref().and_then(|metadata| metadata.max_tasks_per_second);
        if tasks_per_second.is_some_and(|rate| rate.is_nan() || rate < 0.0) {
            return Err(Refusal::invalid("task_queue_metadata.max_tasks_per_second is negative.").into());
        }
        let by = PolledBy { identity: &request.identity, worker: &request.worker_instance_key, tasks_per_second };
        let key = QueueKey { namespace: namespace.key, kind: QueueKind::Activity, name };
        let until = call.deadline.task_poll();
        loop {
            let Some(matched) = self.next_task(&key, by, until, &call).await else {
                return Ok(PollActivityTaskQueueResponse::default());
            };
            let Task::Activity { slot, run_id, scheduled_event_id, attempt } = &matched.task else { continue };
            let request_id: Arc<str> = Uuid::new_v4().to_string().into();
            let start = |open: &mut OpenRun, now| {
                let scheduled = open.seq;
                let response =
                    open.run.start_activity(*scheduled_event_id, *attempt, request_id, &request.identity, now)?;
                Ok(((response, scheduled), Close::Write))
            };
            let taken = slot.change(run_id, start, |open, (response, scheduled)| {
                let task_token = activity_token(open, *scheduled_event_id, *attempt);
                let handed = Handed::activity(slot, open, *scheduled_event_id);
                let is_bounded = response.retry_policy.as_ref().is_some_and(|policy| policy.maximum_attempts > 0);
                (PollActivityTaskQueueResponse { task_token, ..response }, handed, scheduled, is_bounded)
            });
            let ((response, handed, scheduled, is_bounded), seq) = match taken {
                Ok(taken) => taken,
                Err(damaged @ Refusal::Damaged(_)) => return Err(damaged.into()),
                Err(_) => {
                    // The task is gone.
                    self.matching.uncount(&key);
                    continue;
                }
            };
            call.handover.add(handed);
            // Where attempts are counted, a worker must not run an attempt that a crash would forget. Otherwise the
            // start is written with the next commit, and an attempt whose start is lost runs again under the same
            // number.
            self.durable(if is_bounded { seq } else { scheduled }).await?;
            return Ok(response);
        }
    }

    /// Waits without ever returning a task, since Nexus is not supported. SDKs poll for Nexus tasks before they know
    /// whether the server has any, and their workers stop if the poll is rejected.
    pub(in crate::service) async fn poll_nexus_task_queue(
        self: &Arc<Self>,
        request: PollNexusTaskQueueRequest,
        call: Call,
    ) -> Result<PollNexusTaskQueueResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (name, _) = queue_name(request.task_queue.as_ref(), &request.identity)?;
        check_unversioned(request.worker_version_capabilities.as_ref(), request.deployment_options.as_ref())?;
        let key = QueueKey { namespace: namespace.key, kind: QueueKind::Nexus, name };
        let until = call.deadline.task_poll();
        let by = PolledBy { identity: &request.identity, worker: &request.worker_instance_key, tasks_per_second: None };
        let task = self.next_task(&key, by, until, &call).await;
        debug_assert!(task.is_none(), "nothing is offered to a Nexus queue");
        Ok(PollNexusTaskQueueResponse::default())
    }
}

/// Rejects workers that poll for the tasks of one version only: they would receive the tasks of all versions.
fn check_unversioned(
    capabilities: Option<&WorkerVersionCapabilities>,
    deployment: Option<&WorkerDeploymentOptions>,
) -> Result<(), Refusal> {
    if capabilities.is_some_and(|capabilities| capabilities.use_versioning) {
        return Err(Refusal::Unsupported("worker_version_capabilities.use_versioning"));
    }
    if deployment.is_some_and(is_versioned) {
        return Err(Refusal::Unsupported("deployment_options.worker_versioning_mode VERSIONED"));
    }
    Ok(())
}

/// Whether a worker polls for the tasks of its version only.
pub(in crate::service) fn is_versioned(options: &WorkerDeploymentOptions) -> bool {
    options.worker_versioning_mode() == WorkerVersioningMode::Versioned
}

type QueryTask = (Option<Page>, String, String, EventId);

fn closed_query(closed: &crate::service::runs::closed::ClosedRun, sticky: bool) -> Result<QueryTask, Status> {
    let page =
        if sticky { None } else { Some(Page::of_closed(closed, 1, closed.next_event_id(), FIRST_PAGE_BATCHES)?) };
    let previous = closed.state()?.previous_started_event_id;
    Ok((page, closed.row.workflow_type.to_string(), closed.row.task_queue.to_string(), previous))
}

/// The response for a started workflow task, whose history is decoded later, without the run's lock.
pub(in crate::service) struct TaskResponse {
    response: PollWorkflowTaskQueueResponse,
    page: Page,
    run_id: Arc<str>,
}

impl TaskResponse {
    pub(in crate::service) fn response(self) -> Result<PollWorkflowTaskQueueResponse, Status> {
        let (history, next_page_token) = self.page.decode(&self.run_id)?;
        Ok(PollWorkflowTaskQueueResponse { history: Some(history), next_page_token, ..self.response })
    }
}

/// Builds the response for the started workflow task of a run.
pub(in crate::service) fn started_task(open: &mut OpenRun, sticky: bool, resend_updates: bool) -> Option<TaskResponse> {
    let response = open.run.workflow_task_response(resend_updates)?;
    let task = open.run.state.workflow_task.as_ref()?;
    let info = &open.run.info;
    let token = tokens::encode(&WorkflowTaskToken {
        namespace: info.namespace.name.to_string(),
        workflow_id: info.workflow_id.to_string(),
        run_id: info.run_id.to_string(),
        stamp: task.stamp,
        attempt: task.attempt,
        started_time_ns: task.started.as_ref()?.time.nanos(),
    });
    let first = if sticky { response.previous_started_event_id + 1 } else { 1 };
    let page = Page::of_open(open, first, response.started_event_id + 1, FIRST_PAGE_BATCHES);
    let response = PollWorkflowTaskQueueResponse { task_token: token, ..response };
    Some(TaskResponse { response, page, run_id: Arc::clone(&info.run_id) })
}

pub(in crate::service) fn activity_token(open: &OpenRun, scheduled_event_id: EventId, attempt: i32) -> bytes::Bytes {
    let info = &open.run.info;
    tokens::encode(&ActivityTaskToken {
        namespace: info.namespace.name.to_string(),
        workflow_id: info.workflow_id.to_string(),
        run_id: info.run_id.to_string(),
        scheduled_event_id,
        attempt,
    })
}

impl From<&ActivityTaskToken> for ActivityRef {
    fn from(token: &ActivityTaskToken) -> Self {
        Self::Attempt { scheduled_event_id: token.scheduled_event_id, attempt: token.attempt }
    }
}

/// Returns the queue of a poll, and whether it is a sticky queue.
pub(in crate::service) fn queue_name(queue: Option<&TaskQueue>, identity: &str) -> Result<(Arc<str>, bool), Refusal> {
    let Some(queue) = queue else { return Err(Refusal::invalid("TaskQueue is not set on request.")) };
    check_name("TaskQueue", &queue.name)?;
    if identity.len() > 1000 {
        return Err(Refusal::invalid("identity length exceeds limit."));
    }
    let kind: TaskQueueKind = known("task_queue.kind", queue.kind)?;
    Ok((queue.name.as_str().into(), kind == TaskQueueKind::Sticky))
}
