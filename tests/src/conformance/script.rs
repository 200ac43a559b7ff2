//! The driver of the scenarios: a client, a worker and an activity worker that make one call at a time and record the server's
//! responses.
//!
//! A call that should succeed returns the response, or fails the scenario; [`Script::refused`] is for calls that should fail. Every
//! wait is for an event, not for time to pass.

mod worker;

use std::{fmt::Debug, time::Duration};

use everloop_proto::temporal::api::{
    common::v1::{WorkflowExecution, WorkflowType},
    enums::v1::{HistoryEventFilterType, TaskQueueKind},
    history::v1::HistoryEvent,
    query::v1::WorkflowQuery,
    taskqueue::v1::TaskQueue,
    update::v1::{self as update, WaitPolicy},
    workflowservice::v1 as service,
};
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

use super::{
    call::{Call, Client},
    commands::text,
    render,
};
use crate::target::{self, Connection};

pub(super) type WorkflowTask = service::PollWorkflowTaskQueueResponse;
pub(super) type ActivityTask = service::PollActivityTaskQueueResponse;

/// The namespace of all scenarios that register none.
pub(super) const NAMESPACE: &str = "default";

/// Timeout of a call, long enough for a busy machine.
const CALL: Duration = Duration::from_secs(30);

/// One scenario running on one server.
pub(super) struct Script {
    client: Client,
    suffix: String,
    text: String,
}

/// A call in progress; [`Script::take`] waits for its response.
pub(super) struct Later<C: Call> {
    title: String,
    reply: JoinHandle<Result<Response<C::Reply>, Status>>,
}

impl<C: Call> Later<C> {
    /// The response is ignored.
    pub(super) fn forget(self) {
        self.reply.abort();
    }
}

impl Script {
    pub(super) fn new(connection: Connection) -> Self {
        Self { client: target::workflow_client(connection), suffix: unique_suffix(), text: String::new() }
    }

    /// The transcript, in stable words.
    pub(super) fn transcript(&self) -> String {
        render::without_ids(&self.text, &self.suffix)
    }

    /// A name that is unique to this scenario; the transcript shows it as `name`.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    pub(super) fn queue(&self) -> Option<TaskQueue> {
        Some(TaskQueue { name: self.name("queue"), ..TaskQueue::default() })
    }

    pub(super) fn sticky_queue(&self) -> Option<TaskQueue> {
        let (name, normal_name) = (self.name("sticky"), self.name("queue"));
        Some(TaskQueue { name, kind: TaskQueueKind::Sticky.into(), normal_name })
    }

    /// The current run of a workflow id.
    pub(super) fn run(&self, workflow: &str) -> Option<WorkflowExecution> {
        Some(WorkflowExecution { workflow_id: self.name(workflow), run_id: String::new() })
    }

    // Any call.

    /// Sends a request that the server must accept.
    pub(super) async fn call<C: Call>(&mut self, request: C) -> C::Reply {
        self.call_as(&words::<C>(), request).await
    }

    /// Sends a request that the server must reject.
    pub(super) async fn refused<C: Call>(&mut self, request: C) -> Status {
        let later = self.later(request);
        self.take_refused(later).await
    }

    /// Sends a request without waiting for the response.
    pub(super) fn later<C: Call>(&self, request: C) -> Later<C> {
        Later { title: words::<C>(), reply: tokio::spawn(C::send(with_deadline(request, CALL), self.client.clone())) }
    }

    /// The same for a caller that times out after that many seconds.
    pub(super) fn later_within<C: Call>(&self, request: C, seconds: u64) -> Later<C> {
        let request = with_deadline(request, Duration::from_secs(seconds));
        Later { title: words::<C>(), reply: tokio::spawn(C::send(request, self.client.clone())) }
    }

    /// Waits for the response to an earlier request, which the server must accept.
    pub(super) async fn take<C: Call>(&mut self, later: Later<C>) -> C::Reply {
        let reply = later.reply.await.expect("a call does not panic");
        self.record(&later.title, reply)
    }

    /// Waits for the response to an earlier request, which the server must reject.
    pub(super) async fn take_refused<C: Call>(&mut self, later: Later<C>) -> Status {
        match later.reply.await.expect("a call does not panic") {
            Ok(reply) => panic!("{} is accepted: {:?}\n{}", later.title, reply.into_inner(), self.transcript()),
            Err(status) => {
                self.text += &render::status(&format!("{}: ", later.title), &status);
                status
            }
        }
    }

    /// Waits for the response to an earlier request that the server may accept or reject; the transcript shows which.
    pub(super) async fn take_either<C: Call>(&mut self, later: Later<C>) {
        match later.reply.await.expect("a call does not panic") {
            Ok(reply) => self.text += &render::message(&format!("{}: ", later.title), reply.get_ref()),
            Err(status) => self.text += &render::status(&format!("{}: ", later.title), &status),
        }
    }

    /// Waits for the rejection of an earlier request, without recording it.
    pub(super) async fn take_status<C: Call>(&mut self, later: Later<C>) -> Status {
        match later.reply.await.expect("a call does not panic") {
            Ok(reply) => panic!("{} is accepted: {:?}\n{}", later.title, reply.into_inner(), self.transcript()),
            Err(status) => status,
        }
    }

    /// Advances the server's clock: a run starts that much later.
    pub(super) async fn pass(&mut self, time: Option<prost_types::Duration>) {
        let mut start = self.start_request("clock");
        start.task_queue.as_mut().expect("a queue").name = self.name("clock queue");
        start.workflow_start_delay = time;
        self.quietly(start).await.expect("a clock starts");
        let mut poll = self.poll_request();
        poll.task_queue.as_mut().expect("a queue").name = self.name("clock queue");
        let task = self.quietly(poll).await.expect("a poll");
        assert!(!task.task_token.is_empty(), "time does not pass");
        self.quietly(self.terminate_request("clock")).await.expect("the clock stops");
    }

    /// Restarts with other names and an empty transcript.
    pub(super) fn restart(&mut self) {
        self.suffix = unique_suffix();
        self.text.clear();
    }

    /// Sends a request without recording it.
    pub(super) async fn quietly<C: Call>(&mut self, request: C) -> Result<C::Reply, Status> {
        Ok(C::send(with_deadline(request, CALL), self.client.clone()).await?.into_inner())
    }

    /// Adds a remark to the transcript.
    pub(super) fn note(&mut self, note: &str) {
        self.text += &format!("# {note}\n");
    }

    // A client.

    pub(super) fn start_request(&self, workflow: &str) -> service::StartWorkflowExecutionRequest {
        service::StartWorkflowExecutionRequest {
            namespace: NAMESPACE.into(),
            workflow_id: self.name(workflow),
            workflow_type: Some(WorkflowType { name: "Main".into() }),
            task_queue: self.queue(),
            input: Some(text("input")),
            identity: "client".into(),
            request_id: self.name("req-start"),
            ..Default::default()
        }
    }

    pub(super) async fn start(&mut self, workflow: &str) -> String {
        self.start_with(workflow, |_| {}).await
    }

    pub(super) async fn start_with(
        &mut self,
        workflow: &str,
        edit: impl FnOnce(&mut service::StartWorkflowExecutionRequest),
    ) -> String {
        let mut request = self.start_request(workflow);
        edit(&mut request);
        self.call_as("start", request).await.run_id
    }

    pub(super) fn signal_request(&self, workflow: &str, signal: &str) -> service::SignalWorkflowExecutionRequest {
        service::SignalWorkflowExecutionRequest {
            namespace: NAMESPACE.into(),
            workflow_execution: self.run(workflow),
            signal_name: signal.into(),
            input: Some(text("signal input")),
            identity: "client".into(),
            ..Default::default()
        }
    }

    pub(super) async fn signal(&mut self, workflow: &str, signal: &str) {
        let request = self.signal_request(workflow, signal);
        self.call_as("signal", request).await;
    }

    pub(super) fn signal_with_start_request(
        &self,
        workflow: &str,
        signal: &str,
    ) -> service::SignalWithStartWorkflowExecutionRequest {
        service::SignalWithStartWorkflowExecutionRequest {
            namespace: NAMESPACE.into(),
            workflow_id: self.name(workflow),
            workflow_type: Some(WorkflowType { name: "Main".into() }),
            task_queue: self.queue(),
            input: Some(text("input")),
            signal_name: signal.into(),
            signal_input: Some(text("signal input")),
            identity: "client".into(),
            request_id: self.name("req-signal"),
            ..Default::default()
        }
    }

    pub(super) fn cancel_request(&self, workflow: &str) -> service::RequestCancelWorkflowExecutionRequest {
        service::RequestCancelWorkflowExecutionRequest {
            namespace: NAMESPACE.into(),
            workflow_execution: self.run(workflow),
            identity: "client".into(),
            request_id: self.name("req-cancel"),
            reason: "no longer wanted".into(),
            ..Default::default()
        }
    }

    pub(super) async fn request_cancel(&mut self, workflow: &str) {
        let request = self.cancel_request(workflow);
        self.call_as("request cancel", request).await;
    }

    pub(super) fn terminate_request(&self, workflow: &str) -> service::TerminateWorkflowExecutionRequest {
        service::TerminateWorkflowExecutionRequest {
            namespace: NAMESPACE.into(),
            workflow_execution: self.run(workflow),
            reason: "enough".into(),
            details: Some(text("details")),
            identity: "client".into(),
            ..Default::default()
        }
    }

    pub(super) async fn terminate(&mut self, workflow: &str) {
        let request = self.terminate_request(workflow);
        self.call_as("terminate", request).await;
    }

    pub(super) fn query_request(&self, workflow: &str, query: &str) -> service::QueryWorkflowRequest {
        service::QueryWorkflowRequest {
            namespace: NAMESPACE.into(),
            execution: self.run(workflow),
            query: Some(WorkflowQuery {
                query_type: query.into(),
                query_args: Some(text("query input")),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// An update request that waits for this stage.
    pub(super) fn update_request(
        &self,
        workflow: &str,
        update_id: &str,
        wait_for: UpdateStage,
    ) -> service::UpdateWorkflowExecutionRequest {
        service::UpdateWorkflowExecutionRequest {
            namespace: NAMESPACE.into(),
            workflow_execution: self.run(workflow),
            wait_policy: Some(WaitPolicy { lifecycle_stage: wait_for.into() }),
            request: Some(update::Request {
                meta: Some(update::Meta { update_id: update_id.into(), identity: "client".into() }),
                input: Some(update::Input {
                    name: "change".into(),
                    args: Some(text("update input")),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// Sends an update and waits until the server has admitted it.
    pub(super) async fn update(
        &mut self,
        workflow: &str,
        update_id: &str,
        wait_for: UpdateStage,
    ) -> Later<service::UpdateWorkflowExecutionRequest> {
        let later = self.later(self.update_request(workflow, update_id, wait_for));
        let poll = self.poll_update_request(workflow, update_id);
        while let Err(status) = self.quietly(poll.clone()).await {
            assert!(status.code() == tonic::Code::NotFound, "no update {update_id}: {status:?}");
            before_asking_again().await;
        }
        later
    }

    /// Requests the stage of an update without waiting.
    pub(super) fn poll_update_request(
        &self,
        workflow: &str,
        update_id: &str,
    ) -> service::PollWorkflowExecutionUpdateRequest {
        let update_ref = update::UpdateRef { workflow_execution: self.run(workflow), update_id: update_id.into() };
        service::PollWorkflowExecutionUpdateRequest {
            namespace: NAMESPACE.into(),
            update_ref: Some(update_ref),
            identity: "client".into(),
            ..Default::default()
        }
    }

    pub(super) fn history_request(&self, workflow: &str) -> service::GetWorkflowExecutionHistoryRequest {
        service::GetWorkflowExecutionHistoryRequest {
            namespace: NAMESPACE.into(),
            execution: self.run(workflow),
            ..Default::default()
        }
    }

    /// The whole history of the current run.
    pub(super) async fn history(&mut self, workflow: &str) -> Vec<HistoryEvent> {
        self.history_of(workflow, "").await
    }

    /// The whole history of one run.
    pub(super) async fn history_of(&mut self, workflow: &str, run_id: &str) -> Vec<HistoryEvent> {
        let mut request = self.history_request(workflow);
        request.execution.as_mut().expect("set above").run_id = run_id.into();
        let mut events = Vec::new();
        loop {
            let page = self.quietly(request.clone()).await;
            let page = page.unwrap_or_else(|error| panic!("no history: {error:?}\n{}", self.transcript()));
            events.extend(page.history.expect("a page has events").events);
            request.next_page_token = page.next_page_token;
            if request.next_page_token.is_empty() {
                break;
            }
        }
        self.text += &format!("history of {workflow}:\n");
        for event in &events {
            self.text += &render::event(event);
        }
        events
    }

    /// Waits until the current run is closed, and records how.
    pub(super) async fn closed(&mut self, workflow: &str) {
        let mut request = self.history_request(workflow);
        request.wait_new_event = true;
        request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
        loop {
            let page = self.quietly(request.clone()).await;
            let page = page.unwrap_or_else(|error| panic!("no history: {error:?}\n{}", self.transcript()));
            if let Some(event) = page.history.and_then(|history| history.events.into_iter().next()) {
                self.text += &format!("closed:\n{}", render::event(&event));
                return;
            }
            request.next_page_token = page.next_page_token;
        }
    }

    pub(super) fn describe_request(&self, workflow: &str) -> service::DescribeWorkflowExecutionRequest {
        service::DescribeWorkflowExecutionRequest { namespace: NAMESPACE.into(), execution: self.run(workflow) }
    }

    pub(super) async fn describe(&mut self, workflow: &str) -> service::DescribeWorkflowExecutionResponse {
        let request = self.describe_request(workflow);
        self.call_as("describe", request).await
    }

    pub(super) async fn call_as<C: Call>(&mut self, title: &str, request: C) -> C::Reply {
        let reply = C::send(with_deadline(request, CALL), self.client.clone()).await;
        self.record(title, reply)
    }

    fn record<R: Debug>(&mut self, title: &str, reply: Result<Response<R>, Status>) -> R {
        match reply {
            Ok(reply) => {
                self.text += &render::message(&format!("{title}: "), reply.get_ref());
                reply.into_inner()
            }
            Err(status) => panic!("{title} was rejected: {status:?}\n{}", self.transcript()),
        }
    }
}

/// The stage that an update must reach before its caller gets a response.
pub(super) use everloop_proto::temporal::api::enums::v1::UpdateWorkflowExecutionLifecycleStage as UpdateStage;

/// Yields, for loops that poll until a condition holds. The scenario's timeout ends such a loop.
pub(super) async fn before_asking_again() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// A suffix that makes the names of one scenario unique.
fn unique_suffix() -> String {
    format!("~{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

/// Formats `StartWorkflowExecution` as `start_workflow_execution`.
fn words<C: Call>() -> String {
    C::NAME.replace('_', " ")
}

fn with_deadline<C>(request: C, deadline: Duration) -> Request<C> {
    let mut request = Request::new(request);
    request.set_timeout(deadline);
    request
}
