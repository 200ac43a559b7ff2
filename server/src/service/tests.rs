//! Tests of the service as callers use it: a client and a hand-driven worker in one process.

mod chains;
mod clients;
mod closed;
mod damage;
mod files;
mod handover;
mod requests;
mod starts;
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
async fn a_skipping_clock_jumps_over_a_timer_once_unlocked() {
    let mut bench = Bench::new(ClockMode::Skipping);
    bench.start("b").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![start_timer(86_400)]).await;
    bench.engine.unlock_time("start").unwrap();
    let task = bench.poll().await;
    bench.complete(&task, vec![complete_workflow()]).await;
    assert_eq!(bench.numbers("b").await, "1:1 2:5 3:6 4:7 5:17 6:18 7:5 8:6 9:7 10:2");
    assert!(bench.engine.skipped() > Duration::from_secs(80_000));
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
async fn a_poll_returns_empty_before_the_deadline_of_its_caller() {
    let mut bench = Bench::new(ClockMode::Real);
    let mut request = Request::new(PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue(QUEUE)),
        ..Default::default()
    });
    request.set_timeout(Duration::from_millis(300));
    let task = bench.client.poll_workflow_task_queue(request).await.unwrap().into_inner();
    assert!(task.task_token.is_empty());
}

/// Sends a request over a socket that stops meanwhile. The paused time shows that no timeout was waited for.
async fn at_a_stop<R, F>(request: R, ask: impl FnOnce(Request<R>) -> F) -> F::Output
where
    F: Future,
{
    let (stopping, stops) = tokio::sync::watch::channel(false);
    let mut request = Request::new(request);
    request.extensions_mut().insert(StopNotice::new(stops));
    let began = tokio::time::Instant::now();
    let (answer, ()) = tokio::join!(ask(request), async {
        tokio::task::yield_now().await;
        stopping.send_replace(true);
    });
    assert_eq!(tokio::time::Instant::now(), began);
    answer
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_polls_empty_and_reads_with_the_events_so_far() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let read = |client: &Client, token: bytes::Bytes| {
        let mut client = client.clone();
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: "default".to_owned(),
            execution: Some(execution("w")),
            wait_new_event: true,
            next_page_token: token,
            ..Default::default()
        };
        at_a_stop(request, async move |request| client.get_workflow_execution_history(request).await)
    };
    let page = read(&bench.client, bytes::Bytes::new()).await.unwrap().into_inner();
    assert_eq!(numbers(&page.history.unwrap().events), "1:1 2:5", "what is there needs no waiting");
    let page = read(&bench.client, page.next_page_token).await.unwrap().into_inner();
    assert_eq!(page.history.unwrap().events, []);
    assert!(!page.next_page_token.is_empty(), "the reader can go on elsewhere");

    let poll = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue("idle")),
        ..Default::default()
    };
    let mut client = bench.client.clone();
    let task = at_a_stop(poll, |request| client.poll_workflow_task_queue(request)).await.unwrap().into_inner();
    assert_eq!(task, PollWorkflowTaskQueueResponse::default());
    let poll = PollActivityTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue("idle")),
        ..Default::default()
    };
    let task = at_a_stop(poll, |request| client.poll_activity_task_queue(request)).await.unwrap().into_inner();
    assert_eq!(task, PollActivityTaskQueueResponse::default());
}

#[tokio::test]
async fn a_poll_returns_no_task_after_its_socket_stops() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let (stopping, stops) = tokio::sync::watch::channel(true);
    let mut request = Request::new(PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue(QUEUE)),
        ..Default::default()
    });
    request.extensions_mut().insert(StopNotice::new(stops));
    let task = bench.client.poll_workflow_task_queue(request).await.unwrap().into_inner();
    assert!(task.task_token.is_empty());
    drop(stopping);
    assert_eq!(bench.poll().await.attempt, 1, "the task is there for the next one");
}

#[tokio::test(start_paused = true)]
async fn a_stop_fails_updates_and_queries_with_a_retryable_status() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let query = || QueryWorkflowRequest {
        namespace: "default".to_owned(),
        execution: Some(execution("w")),
        query: Some(WorkflowQuery { query_type: "status".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let mut client = bench.client.clone();
    let riding = at_a_stop(query(), |request| client.query_workflow(request)).await.unwrap_err();
    let task = bench.poll().await;
    assert!(task.queries.is_empty(), "the query went with its caller");
    bench.complete(&task, vec![start_timer(3600)]).await;
    let direct = at_a_stop(query(), |request| client.query_workflow(request)).await.unwrap_err();
    let update = UpdateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution("w")),
        request: Some(update::Request {
            meta: Some(update::Meta { update_id: "u".to_owned(), ..Default::default() }),
            input: Some(update::Input { name: "raise".to_owned(), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let updating = at_a_stop(update, |request| client.update_workflow_execution(request)).await.unwrap_err();
    for error in [riding, direct, updating] {
        assert_eq!((error.code(), error.message()), (Code::Unavailable, "the server is stopping"));
    }
    let task = bench.poll().await;
    assert_eq!(task.messages.len(), 1, "the update has been admitted");
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
    let request = StartWorkflowExecutionRequest { cron_schedule: "@daily".to_owned(), ..start_request("c") };
    let error = bench.client.start_workflow_execution(request).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    assert!(error.message().contains("cron_schedule"), "{error}");
    let error = bench.client.create_schedule(CreateScheduleRequest::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    assert!(error.message().contains("create_schedule"), "{error}");
}

#[tokio::test]
async fn a_skipping_clock_waits_while_a_worker_has_an_activity_and_jumps_over_its_retries() {
    let mut bench = Bench::new(ClockMode::Skipping);
    bench.start("r").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![run_activity()]).await;
    bench.engine.unlock_time("start").unwrap();
    let activity = bench.poll_activity().await;
    // The attempt may take 60 s, but a worker has it: the clock does not jump to its timeout.
    assert!(bench.engine.explain_time().contains("1 tasks at workers"), "{}", bench.engine.explain_time());
    assert!(bench.engine.skipped() < Duration::from_secs(1));
    let failed = RespondActivityTaskFailedRequest {
        task_token: activity.task_token,
        namespace: "default".to_owned(),
        ..Default::default()
    };
    bench.client.respond_activity_task_failed(failed).await.unwrap();
    let again = bench.poll_activity().await;
    assert_eq!(again.attempt, 2);
    let wait = bench.engine.skipped();
    assert!(wait > Duration::from_millis(500) && wait < Duration::from_secs(2), "{wait:?}");
}

#[tokio::test]
async fn a_task_without_a_poller_holds_the_clock_only_briefly() {
    let mut bench = Bench::new(ClockMode::Skipping);
    let request = StartWorkflowExecutionRequest {
        workflow_run_timeout: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        ..start_request("n")
    };
    bench.client.start_workflow_execution(request).await.unwrap();
    bench.engine.unlock_time("start").unwrap();
    let closed = bench.close_event("n").await;
    assert_eq!(closed.event_type(), crate::api::enums::EventType::WorkflowExecutionTimedOut);
}

#[tokio::test]
async fn a_sleep_is_a_deadline_of_the_clock() {
    let bench = Bench::new(ClockMode::Skipping);
    let asleep = bench.engine.sleep(Duration::from_secs(7 * 86_400));
    bench.engine.unlock_time("start").unwrap();
    asleep.await;
    assert!(bench.engine.unlock_time("start").is_err());
}

#[tokio::test]
async fn a_long_history_is_paged_forward_and_backward() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("l").await;
    for _ in 0..5 {
        let task = bench.poll().await;
        let request =
            RespondWorkflowTaskCompletedRequest { force_create_new_workflow_task: true, ..completion(&task, vec![]) };
        bench.client.respond_workflow_task_completed(request).await.unwrap();
    }
    let whole = bench.history("l").await;
    let (mut forward, mut token) = (Vec::new(), bytes::Bytes::new());
    loop {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: "default".to_owned(),
            execution: Some(execution("l")),
            maximum_page_size: 1,
            next_page_token: token,
            ..Default::default()
        };
        let page = bench.client.get_workflow_execution_history(request).await.unwrap().into_inner();
        forward.extend(page.history.unwrap().events);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(forward, whole);
    let (mut backward, mut token) = (Vec::new(), bytes::Bytes::new());
    loop {
        let request = GetWorkflowExecutionHistoryReverseRequest {
            namespace: "default".to_owned(),
            execution: Some(execution("l")),
            maximum_page_size: 2,
            next_page_token: token,
        };
        let page = bench.client.get_workflow_execution_history_reverse(request).await.unwrap().into_inner();
        backward.extend(page.history.unwrap().events);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    backward.reverse();
    assert_eq!(backward, whole);
}

#[tokio::test]
async fn a_waiting_reader_gets_new_events() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let read = |token: bytes::Bytes| GetWorkflowExecutionHistoryRequest {
        namespace: "default".to_owned(),
        execution: Some(execution("w")),
        wait_new_event: true,
        next_page_token: token,
        ..Default::default()
    };
    let page = bench.client.get_workflow_execution_history(read(bytes::Bytes::new())).await.unwrap().into_inner();
    assert_eq!(numbers(&page.history.unwrap().events), "1:1 2:5");
    let (mut client, next) = (bench.client.clone(), read(page.next_page_token));
    let waiting = tokio::spawn(async move { client.get_workflow_execution_history(next).await.unwrap().into_inner() });
    let stop = TerminateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution("w")),
        ..Default::default()
    };
    bench.client.terminate_workflow_execution(stop.clone()).await.unwrap();
    let page = waiting.await.unwrap();
    assert_eq!(numbers(&page.history.unwrap().events), "3:27");
    let error = bench.client.terminate_workflow_execution(stop).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::NotFound, "workflow execution already completed"));
}
