//! A client and a hand-driven worker, on any server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::command::Attributes;
use everloop_proto::temporal::api::command::v1::*;
use everloop_proto::temporal::api::common::v1::{ActivityType, Payload, Payloads, WorkflowExecution, WorkflowType};
use everloop_proto::temporal::api::enums::v1::TaskQueueKind;
use everloop_proto::temporal::api::failure::v1::failure::FailureInfo;
use everloop_proto::temporal::api::failure::v1::{ApplicationFailureInfo, Failure};
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::protocol::v1::Message;
use everloop_proto::temporal::api::query::v1::WorkflowQuery;
use everloop_proto::temporal::api::taskqueue::v1::{StickyExecutionAttributes, TaskQueue};
use everloop_proto::temporal::api::update::v1::{
    Acceptance, Input, Meta, Outcome, Rejection, Request as UpdateRequest, Response as UpdateResponse, WaitPolicy,
    outcome,
};
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::*;
use everloop_server::Engine;
use expect_test::ExpectFile;
use prost::Name;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt};

pub(crate) type PolledTask = PollWorkflowTaskQueueResponse;
type Service = BoxCloneService<http::Request<Body>, http::Response<Body>, Status>;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// One workflow id and its own task queue.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) client: WorkflowServiceClient<Service>,
    pub(crate) id: String,
}

impl Script {
    pub(crate) async fn new() -> Self {
        let service: Service = match std::env::var("EVERLOOP_TEST_TARGET") {
            Ok(address) => {
                let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
                ServiceBuilder::new()
                    .map_err(|error| Status::from_error(Box::new(error)))
                    .service(channel)
                    .boxed_clone()
            }
            Err(_) => {
                let engine = Engine::builder().compare_with_stored(1_000).build().unwrap();
                ServiceBuilder::new().map_err(|never| match never {}).service(engine.workflow_service()).boxed_clone()
            }
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("w{}-{number}", std::process::id());
        Self { client: WorkflowServiceClient::new(service), id }
    }

    pub(crate) fn start_request(&self) -> StartWorkflowExecutionRequest {
        StartWorkflowExecutionRequest {
            namespace: namespace(),
            workflow_id: self.id.clone(),
            workflow_type: Some(WorkflowType { name: "Flow".to_owned() }),
            task_queue: Some(self.queue()),
            input: Some(text_payload("in")),
            identity: "client".to_owned(),
            request_id: "start".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) async fn start(&mut self) -> StartWorkflowExecutionResponse {
        self.start_as(self.start_request()).await
    }

    pub(crate) async fn start_as(&mut self, request: StartWorkflowExecutionRequest) -> StartWorkflowExecutionResponse {
        self.client.start_workflow_execution(request).await.unwrap().into_inner()
    }

    pub(crate) fn queue(&self) -> TaskQueue {
        TaskQueue { name: format!("queue of {}", self.id), kind: TaskQueueKind::Normal as i32, ..Default::default() }
    }

    pub(crate) fn sticky_queue(&self) -> TaskQueue {
        TaskQueue {
            name: format!("sticky of {}", self.id),
            kind: TaskQueueKind::Sticky as i32,
            normal_name: self.queue().name,
        }
    }

    pub(crate) async fn poll(&mut self) -> PolledTask {
        self.poll_from(self.queue()).await
    }

    pub(crate) async fn poll_sticky(&mut self) -> PolledTask {
        self.poll_from(self.sticky_queue()).await
    }

    pub(crate) async fn poll_from(&mut self, queue: TaskQueue) -> PolledTask {
        for _ in 0..3 {
            let request = PollWorkflowTaskQueueRequest {
                namespace: namespace(),
                task_queue: Some(queue.clone()),
                identity: "worker".to_owned(),
                ..Default::default()
            };
            let mut request = Request::new(request);
            request.set_timeout(Duration::from_secs(15));
            let task = self.client.poll_workflow_task_queue(request).await.unwrap().into_inner();
            if !task.task_token.is_empty() {
                return task;
            }
        }
        panic!("no workflow task came");
    }

    /// A completion; its activities go to the script's queue.
    pub(crate) fn completion(
        &self,
        task: &PolledTask,
        mut commands: Vec<Command>,
    ) -> RespondWorkflowTaskCompletedRequest {
        for command in &mut commands {
            if let Some(Attributes::ScheduleActivityTaskCommandAttributes(activity)) = &mut command.attributes {
                activity.task_queue = Some(self.queue());
            }
        }
        RespondWorkflowTaskCompletedRequest {
            task_token: task.task_token.clone(),
            namespace: namespace(),
            identity: "worker".to_owned(),
            commands,
            ..Default::default()
        }
    }

    pub(crate) fn sticky(&self) -> Option<StickyExecutionAttributes> {
        Some(StickyExecutionAttributes {
            worker_task_queue: Some(self.sticky_queue()),
            schedule_to_start_timeout: seconds(1.0),
        })
    }

    pub(crate) async fn complete(
        &mut self,
        task: &PolledTask,
        commands: Vec<Command>,
    ) -> RespondWorkflowTaskCompletedResponse {
        let request = self.completion(task, commands);
        self.complete_as(request).await.unwrap()
    }

    pub(crate) async fn complete_as(
        &mut self,
        request: RespondWorkflowTaskCompletedRequest,
    ) -> Result<RespondWorkflowTaskCompletedResponse, Status> {
        self.client.respond_workflow_task_completed(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn fail_task(&mut self, task: &PolledTask) {
        let request = RespondWorkflowTaskFailedRequest {
            task_token: task.task_token.clone(),
            namespace: namespace(),
            identity: "worker".to_owned(),
            cause: 14,
            failure: Some(failure("panic", false)),
            ..Default::default()
        };
        self.client.respond_workflow_task_failed(request).await.unwrap();
    }

    pub(crate) async fn poll_activity(&mut self) -> PollActivityTaskQueueResponse {
        for _ in 0..3 {
            let request = PollActivityTaskQueueRequest {
                namespace: namespace(),
                task_queue: Some(self.queue()),
                identity: "worker".to_owned(),
                ..Default::default()
            };
            let mut request = Request::new(request);
            request.set_timeout(Duration::from_secs(15));
            let task = self.client.poll_activity_task_queue(request).await.unwrap().into_inner();
            if !task.task_token.is_empty() {
                return task;
            }
        }
        panic!("no activity task came");
    }

    pub(crate) async fn complete_activity(&mut self, task: &PollActivityTaskQueueResponse) {
        let request = RespondActivityTaskCompletedRequest {
            task_token: task.task_token.clone(),
            namespace: namespace(),
            identity: "worker".to_owned(),
            result: Some(text_payload("done")),
            ..Default::default()
        };
        self.client.respond_activity_task_completed(request).await.unwrap();
    }

    pub(crate) async fn fail_activity(&mut self, task: &PollActivityTaskQueueResponse, failure: Failure) {
        let request = RespondActivityTaskFailedRequest {
            task_token: task.task_token.clone(),
            namespace: namespace(),
            identity: "worker".to_owned(),
            failure: Some(failure),
            ..Default::default()
        };
        self.client.respond_activity_task_failed(request).await.unwrap();
    }

    pub(crate) async fn heartbeat(&mut self, task: &PollActivityTaskQueueResponse) -> bool {
        let request = RecordActivityTaskHeartbeatRequest {
            task_token: task.task_token.clone(),
            namespace: namespace(),
            details: Some(text_payload("beat")),
            ..Default::default()
        };
        self.client.record_activity_task_heartbeat(request).await.unwrap().into_inner().cancel_requested
    }

    pub(crate) async fn signal(&mut self) {
        let request = SignalWorkflowExecutionRequest {
            namespace: namespace(),
            workflow_execution: Some(self.execution()),
            signal_name: "go".to_owned(),
            input: Some(text_payload("now")),
            identity: "client".to_owned(),
            ..Default::default()
        };
        self.client.signal_workflow_execution(request).await.unwrap();
    }

    pub(crate) async fn cancel(&mut self) {
        let request = RequestCancelWorkflowExecutionRequest {
            namespace: namespace(),
            workflow_execution: Some(self.execution()),
            identity: "client".to_owned(),
            reason: "changed my mind".to_owned(),
            ..Default::default()
        };
        self.client.request_cancel_workflow_execution(request).await.unwrap();
    }

    pub(crate) async fn terminate(&mut self) {
        let request = TerminateWorkflowExecutionRequest {
            namespace: namespace(),
            workflow_execution: Some(self.execution()),
            identity: "client".to_owned(),
            reason: "enough".to_owned(),
            ..Default::default()
        };
        self.client.terminate_workflow_execution(request).await.unwrap();
    }

    /// Sends an update; the handle resolves when the call returns.
    pub(crate) fn update(&self) -> tokio::task::JoinHandle<Result<UpdateWorkflowExecutionResponse, Status>> {
        let mut client = self.client.clone();
        let request = UpdateWorkflowExecutionRequest {
            namespace: namespace(),
            workflow_execution: Some(self.execution()),
            wait_policy: Some(WaitPolicy { lifecycle_stage: 3 }),
            request: Some(UpdateRequest {
                meta: Some(Meta { update_id: "u1".to_owned(), identity: "client".to_owned() }),
                input: Some(Input { name: "change".to_owned(), args: Some(text_payload("arg")), ..Default::default() }),
                ..Default::default()
            }),
            ..Default::default()
        };
        tokio::spawn(async move {
            let mut request = Request::new(request);
            request.set_timeout(Duration::from_secs(15));
            client.update_workflow_execution(request).await.map(tonic::Response::into_inner)
        })
    }

    pub(crate) async fn query(&mut self) -> Result<QueryWorkflowResponse, Status> {
        let mut request = Request::new(QueryWorkflowRequest {
            namespace: namespace(),
            execution: Some(self.execution()),
            query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
            ..Default::default()
        });
        request.set_timeout(Duration::from_secs(10));
        self.client.query_workflow(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) fn execution(&self) -> WorkflowExecution {
        WorkflowExecution { workflow_id: self.id.clone(), run_id: String::new() }
    }

    pub(crate) async fn history(&mut self) -> Vec<HistoryEvent> {
        self.history_of("").await
    }

    pub(crate) async fn history_of(&mut self, run_id: &str) -> Vec<HistoryEvent> {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: namespace(),
            execution: Some(WorkflowExecution { run_id: run_id.to_owned(), ..self.execution() }),
            ..Default::default()
        };
        let history = self.client.get_workflow_execution_history(request).await.unwrap().into_inner().history;
        history.unwrap().events
    }

    /// Waits until the history has `events` events.
    pub(crate) async fn reaches(&mut self, events: usize) {
        for _ in 0..200 {
            if self.history().await.len() >= events {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the history does not reach {events} events: {}", crate::normal::text(&self.history().await));
    }

    /// Compares the history with the recorded one.
    pub(crate) async fn is_as(&mut self, recorded: ExpectFile) {
        let text = crate::normal::text(&self.history().await);
        recorded.assert_eq(&text.replace(&self.id, "ID"));
    }
}

pub(crate) fn namespace() -> String {
    "default".to_owned()
}

pub(crate) fn seconds(seconds: f64) -> Option<prost_types::Duration> {
    let duration = Duration::from_secs_f64(seconds);
    Some(prost_types::Duration { seconds: duration.as_secs() as i64, nanos: duration.subsec_nanos() as i32 })
}

pub(crate) fn text_payload(text: &str) -> Payloads {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec().into())].into();
    let data = format!("\"{text}\"").into_bytes().into();
    Payloads { payloads: vec![Payload { metadata, data, ..Default::default() }] }
}

pub(crate) fn failure(message: &str, non_retryable: bool) -> Failure {
    Failure {
        message: message.to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
            r#type: "Oops".to_owned(),
            non_retryable,
            ..Default::default()
        })),
        ..Default::default()
    }
}

fn command(attributes: impl Into<Attributes>) -> Command {
    let attributes = attributes.into();
    Command { command_type: attributes.command_type() as i32, attributes: Some(attributes), ..Default::default() }
}

pub(crate) fn activity(id: &str) -> ScheduleActivityTaskCommandAttributes {
    ScheduleActivityTaskCommandAttributes {
        activity_id: id.to_owned(),
        activity_type: Some(ActivityType { name: "act".to_owned() }),
        start_to_close_timeout: seconds(10.0),
        input: Some(text_payload("what")),
        ..Default::default()
    }
}

pub(crate) fn schedule(attributes: ScheduleActivityTaskCommandAttributes) -> Command {
    command(attributes)
}

pub(crate) fn cancel_activity(scheduled_event_id: i64) -> Command {
    let attributes = RequestCancelActivityTaskCommandAttributes { scheduled_event_id };
    command(attributes)
}

pub(crate) fn timer(id: &str, after: f64) -> Command {
    let attributes = StartTimerCommandAttributes { timer_id: id.to_owned(), start_to_fire_timeout: seconds(after) };
    command(attributes)
}

pub(crate) fn cancel_timer(id: &str) -> Command {
    let attributes = CancelTimerCommandAttributes { timer_id: id.to_owned() };
    command(attributes)
}

pub(crate) fn complete_workflow() -> Command {
    let attributes = CompleteWorkflowExecutionCommandAttributes { result: Some(text_payload("out")) };
    command(attributes)
}

pub(crate) fn fail_workflow() -> Command {
    let attributes = FailWorkflowExecutionCommandAttributes { failure: Some(failure("failed", false)) };
    command(attributes)
}

pub(crate) fn cancel_workflow() -> Command {
    let attributes = CancelWorkflowExecutionCommandAttributes { details: Some(text_payload("bye")) };
    command(attributes)
}

pub(crate) fn marker() -> Command {
    let attributes = RecordMarkerCommandAttributes {
        marker_name: "note".to_owned(),
        details: [("k".to_owned(), text_payload("v"))].into(),
        ..Default::default()
    };
    command(attributes)
}

pub(crate) fn place(message_id: &str) -> Command {
    let attributes = ProtocolMessageCommandAttributes { message_id: message_id.to_owned() };
    command(attributes)
}

/// The worker accepts the update that came with the task.
pub(crate) fn acceptance(task: &PolledTask) -> Message {
    let request = &task.messages[0];
    message(
        "accept",
        &request.protocol_instance_id,
        &Acceptance {
            accepted_request_message_id: request.id.clone(),
            accepted_request_sequencing_event_id: task.started_event_id - 1,
            accepted_request: None,
        },
    )
}

/// The worker completes an update.
pub(crate) fn response(update: &str) -> Message {
    message(
        "complete",
        update,
        &UpdateResponse {
            meta: Some(Meta { update_id: update.to_owned(), identity: "worker".to_owned() }),
            outcome: Some(Outcome { value: Some(outcome::Value::Success(text_payload("changed"))) }),
        },
    )
}

/// The worker rejects the update that came with the task.
pub(crate) fn rejection(task: &PolledTask) -> Message {
    let request = &task.messages[0];
    message(
        "reject",
        &request.protocol_instance_id,
        &Rejection {
            rejected_request_message_id: request.id.clone(),
            rejected_request_sequencing_event_id: task.started_event_id - 1,
            rejected_request: None,
            failure: Some(failure("no", true)),
        },
    )
}

fn message<M: Name>(id: &str, update: &str, body: &M) -> Message {
    Message {
        id: id.to_owned(),
        protocol_instance_id: update.to_owned(),
        body: Some(prost_types::Any {
            type_url: format!("type.googleapis.com/{}", M::full_name()),
            value: body.encode_to_vec(),
        }),
        ..Default::default()
    }
}
