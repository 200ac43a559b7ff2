//! Tests of the service as callers use it: a client and a hand-driven worker in one process.

mod chains;
mod clients;
mod closed;
mod damage;
mod files;
mod handover;
mod histories;
mod requests;
mod starts;
mod stops;
mod test_store;
mod time;

use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowServiceServer;
use tonic::{Code, Request};

use super::calls::workflow::Workflows;
use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::command::{
    Command, CompleteWorkflowExecutionCommandAttributes, RecordMarkerCommandAttributes,
    ScheduleActivityTaskCommandAttributes, StartTimerCommandAttributes,
};
use crate::api::common::{ActivityType, WorkflowExecution, WorkflowType};
use crate::api::enums::{CommandType, HistoryEventFilterType, QueryResultType, WorkflowExecutionStatus};
use crate::api::history::HistoryEvent;
use crate::api::query::{WorkflowQuery, WorkflowQueryResult};
use crate::api::taskqueue::{StickyExecutionAttributes, TaskQueue};
use crate::api::update;
use crate::api::workflowservice::*;
use crate::stop::StopNotice;
use crate::{ClockMode, Engine};

type Client = WorkflowServiceClient<WorkflowServiceServer<Workflows>>;

const QUEUE: &str = "queue";

struct Bench {
    engine: Engine,
    client: Client,
}

impl Bench {
    fn new(clock: ClockMode) -> Self {
        Self::of(Engine::memory(clock).unwrap())
    }

    fn of(engine: Engine) -> Self {
        let client = WorkflowServiceClient::new(engine.workflow_service());
        Self { engine, client }
    }

    async fn start(&mut self, id: &str) -> StartWorkflowExecutionResponse {
        self.client.start_workflow_execution(start_request(id)).await.unwrap().into_inner()
    }

    async fn poll(&mut self) -> PollWorkflowTaskQueueResponse {
        self.client
            .poll_workflow_task_queue(PollWorkflowTaskQueueRequest {
                namespace: "default".to_owned(),
                task_queue: Some(queue(QUEUE)),
                identity: "worker".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
    }

    async fn complete(&mut self, task: &PollWorkflowTaskQueueResponse, commands: Vec<Command>) {
        let request = completion(task, commands);
        self.client.respond_workflow_task_completed(request).await.unwrap();
    }

    async fn poll_activity(&mut self) -> PollActivityTaskQueueResponse {
        self.client
            .poll_activity_task_queue(PollActivityTaskQueueRequest {
                namespace: "default".to_owned(),
                task_queue: Some(queue(QUEUE)),
                identity: "worker".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
    }

    async fn complete_activity(&mut self, task: &PollActivityTaskQueueResponse) {
        self.client
            .respond_activity_task_completed(RespondActivityTaskCompletedRequest {
                task_token: task.task_token.clone(),
                namespace: "default".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap();
    }

    async fn history(&mut self, id: &str) -> Vec<HistoryEvent> {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: "default".to_owned(),
            execution: Some(execution(id)),
            ..Default::default()
        };
        let response = self.client.get_workflow_execution_history(request).await.unwrap().into_inner();
        assert!(response.next_page_token.is_empty());
        response.history.unwrap().events
    }

    async fn numbers(&mut self, id: &str) -> String {
        numbers(&self.history(id).await)
    }

    /// Waits for the closing event, as a client's `result()` does.
    async fn close_event(&mut self, id: &str) -> HistoryEvent {
        let mut next_page_token = bytes::Bytes::new();
        loop {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: "default".to_owned(),
                execution: Some(execution(id)),
                wait_new_event: true,
                history_event_filter_type: HistoryEventFilterType::CloseEvent as i32,
                next_page_token,
                ..Default::default()
            };
            let response = self.client.get_workflow_execution_history(request).await.unwrap().into_inner();
            if let Some(event) = response.history.unwrap().events.pop() {
                return event;
            }
            next_page_token = response.next_page_token;
        }
    }
}

fn start_request(id: &str) -> StartWorkflowExecutionRequest {
    StartWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType { name: "Flow".to_owned() }),
        task_queue: Some(queue(QUEUE)),
        request_id: format!("start {id}"),
        ..Default::default()
    }
}

fn completion(task: &PollWorkflowTaskQueueResponse, commands: Vec<Command>) -> RespondWorkflowTaskCompletedRequest {
    RespondWorkflowTaskCompletedRequest {
        task_token: task.task_token.clone(),
        namespace: "default".to_owned(),
        identity: "worker".to_owned(),
        commands,
        ..Default::default()
    }
}

fn signal_request(id: &str) -> SignalWorkflowExecutionRequest {
    SignalWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution(id)),
        signal_name: "go".to_owned(),
        ..Default::default()
    }
}

fn queue(name: &str) -> TaskQueue {
    TaskQueue { name: name.to_owned(), ..Default::default() }
}

fn execution(id: &str) -> WorkflowExecution {
    WorkflowExecution { workflow_id: id.to_owned(), run_id: String::new() }
}

fn command(kind: CommandType, attributes: CommandAttributes) -> Command {
    Command { command_type: kind as i32, attributes: Some(attributes), ..Default::default() }
}

fn run_activity() -> Command {
    command(
        CommandType::ScheduleActivityTask,
        CommandAttributes::ScheduleActivityTaskCommandAttributes(ScheduleActivityTaskCommandAttributes {
            activity_id: "1".to_owned(),
            activity_type: Some(ActivityType { name: "act".to_owned() }),
            task_queue: Some(queue(QUEUE)),
            start_to_close_timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            ..Default::default()
        }),
    )
}

fn start_timer(seconds: i64) -> Command {
    command(
        CommandType::StartTimer,
        CommandAttributes::StartTimerCommandAttributes(StartTimerCommandAttributes {
            timer_id: "1".to_owned(),
            start_to_fire_timeout: Some(prost_types::Duration { seconds, nanos: 0 }),
        }),
    )
}

fn complete_workflow() -> Command {
    command(
        CommandType::CompleteWorkflowExecution,
        CommandAttributes::CompleteWorkflowExecutionCommandAttributes(
            CompleteWorkflowExecutionCommandAttributes::default(),
        ),
    )
}

/// Events as `number:type`.
fn numbers(events: &[HistoryEvent]) -> String {
    let each: Vec<_> = events.iter().map(|event| format!("{}:{}", event.event_id, event.event_type)).collect();
    each.join(" ")
}

#[tokio::test]
async fn a_workflow_runs_one_activity() {
    let mut bench = Bench::new(ClockMode::Real);
    let started = bench.start("a").await;
    assert!(started.started);
    assert_eq!(uuid::Uuid::parse_str(&started.run_id).unwrap().get_version_num(), 7);

    let task = bench.poll().await;
    assert_eq!(numbers(&task.history.as_ref().unwrap().events), "1:1 2:5 3:6");
    assert_eq!((task.previous_started_event_id, task.started_event_id, task.attempt), (0, 3, 1));
    bench.complete(&task, vec![run_activity()]).await;
    let activity = bench.poll_activity().await;
    assert_eq!((activity.activity_id.as_str(), activity.attempt), ("1", 1));
    bench.complete_activity(&activity).await;
    let task = bench.poll().await;
    assert_eq!(task.previous_started_event_id, 3);
    let (mut waiter, id) = (Bench { engine: bench.engine.clone(), client: bench.client.clone() }, "a");
    let closed = tokio::spawn(async move { waiter.close_event(id).await });
    bench.complete(&task, vec![complete_workflow()]).await;

    assert_eq!(closed.await.unwrap().event_id, 11);
    assert_eq!(bench.numbers("a").await, "1:1 2:5 3:6 4:7 5:10 6:11 7:12 8:5 9:6 10:7 11:2");
    let describe =
        DescribeWorkflowExecutionRequest { namespace: "default".to_owned(), execution: Some(execution("a")) };
    let info = bench.client.describe_workflow_execution(describe).await.unwrap().into_inner();
    let info = info.workflow_execution_info.unwrap();
    assert_eq!((info.status(), info.history_length), (WorkflowExecutionStatus::Completed, 11));
}

#[tokio::test]
async fn a_query_is_attached_to_the_pending_task_and_direct_after_the_run_has_closed() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("q").await;
    let ask = |mut client: Client| async move {
        let request = QueryWorkflowRequest {
            namespace: "default".to_owned(),
            execution: Some(execution("q")),
            query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        client.query_workflow(request).await
    };
    let asked = tokio::spawn(ask(bench.client.clone()));
    let task = loop {
        tokio::task::yield_now().await;
        let task = bench.poll().await;
        if !task.queries.is_empty() {
            break task;
        }
        // The query came too late for this task; it is attached to the next one.
        let request =
            RespondWorkflowTaskCompletedRequest { force_create_new_workflow_task: true, ..completion(&task, vec![]) };
        bench.client.respond_workflow_task_completed(request).await.unwrap();
    };
    let id = task.queries.keys().next().unwrap().clone();
    let result = WorkflowQueryResult { result_type: QueryResultType::Answered as i32, ..Default::default() };
    let request = RespondWorkflowTaskCompletedRequest {
        query_results: [(id, result)].into(),
        ..completion(&task, vec![complete_workflow()])
    };
    bench.client.respond_workflow_task_completed(request).await.unwrap();
    asked.await.unwrap().unwrap();

    let asked = tokio::spawn(ask(bench.client.clone()));
    let task = bench.poll().await;
    assert_eq!(task.query.as_ref().unwrap().query_type, "state");
    assert!(task.history.unwrap().events.len() >= 5);
    let request = RespondQueryTaskCompletedRequest {
        task_token: task.task_token,
        completed_type: QueryResultType::Failed as i32,
        error_message: "no".to_owned(),
        ..Default::default()
    };
    bench.client.respond_query_task_completed(request).await.unwrap();
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "no"));
}

#[tokio::test]
async fn a_sticky_worker_gets_only_new_events() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("s").await;
    let task = bench.poll().await;
    let sticky = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue { kind: 2, normal_name: QUEUE.to_owned(), ..queue("sticky") }),
        ..Default::default()
    };
    let mut client = bench.client.clone();
    let polled = sticky.clone();
    let waiting = tokio::spawn(async move { client.poll_workflow_task_queue(polled).await.unwrap().into_inner() });
    // A sticky queue is used only when it has a poller.
    tokio::task::yield_now().await;
    let request = RespondWorkflowTaskCompletedRequest {
        sticky_attributes: Some(StickyExecutionAttributes {
            worker_task_queue: sticky.task_queue.clone(),
            schedule_to_start_timeout: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
        }),
        ..completion(&task, vec![start_timer(0)])
    };
    bench.client.respond_workflow_task_completed(request).await.unwrap();
    let task = waiting.await.unwrap();
    assert_eq!(numbers(&task.history.unwrap().events), "4:7 5:17 6:18 7:5 8:6");
}

#[tokio::test]
async fn unsupported_calls_are_rejected_and_named() {
    let mut bench = Bench::new(ClockMode::Real);
    let callbacks = vec![Default::default()];
    let request = StartWorkflowExecutionRequest { completion_callbacks: callbacks, ..start_request("c") };
    let error = bench.client.start_workflow_execution(request).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    assert!(error.message().contains("completion_callbacks"), "{error}");
    let error = bench.client.create_schedule(CreateScheduleRequest::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    assert!(error.message().contains("create_schedule"), "{error}");
}
