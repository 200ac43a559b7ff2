//! A task whose response is lost returns to its queue at once, wherever the response was lost.

use std::sync::{Arc, Condvar, Mutex};

use super::*;
use crate::CommitStep;
use crate::model::NamespaceKey;
use crate::service::calls::handover::Handover;
use crate::service::runs::lookup::{Located, Lookup};
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::SlotKey;

/// Commits wait while the gate is closed.
#[derive(Debug, Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

/// Opens the gate when dropped, however the test ends.
struct ClosedGate<'a>(&'a Gate);

impl Gate {
    fn close(&self) -> ClosedGate<'_> {
        *self.is_closed.lock().unwrap() = true;
        ClosedGate(self)
    }

    fn pass(&self) {
        let is_closed = self.is_closed.lock().unwrap();
        drop(self.opened.wait_while(is_closed, |is_closed| *is_closed).unwrap());
    }
}

impl Drop for ClosedGate<'_> {
    fn drop(&mut self) {
        *self.0.is_closed.lock().unwrap() = false;
        self.0.opened.notify_all();
    }
}

/// An engine in a file whose commits wait at a gate.
fn gated(folder: &tempfile::TempDir) -> (Bench, Arc<Gate>) {
    let gate = Arc::<Gate>::default();
    let passed = Arc::clone(&gate);
    let on_commit = move |step| {
        if step == CommitStep::BeforeCommit {
            passed.pass();
        }
    };
    let engine = Engine::builder().file(folder.path().join("shop.db")).on_commit(on_commit).build().unwrap();
    (Bench::of(engine), gate)
}

/// Waits until a run in memory meets a condition.
async fn until_run(bench: &Bench, id: &str, is_so: impl Fn(&OpenRun) -> bool) {
    let core = &bench.engine.handle.core;
    let key = SlotKey { namespace: NamespaceKey(1), workflow_id: id.into() };
    let looked = || {
        core.with_run_in_memory(&key, "", |located| match located {
            Located::Open(_, open) => Ok(is_so(open)),
            Located::Closed(_) => Ok(false),
        })
    };
    while !matches!(looked(), Lookup::Done(Ok(true))) {
        tokio::task::yield_now().await;
    }
}

/// Polls for an activity task for a few seconds: an empty response means that the task was lost.
async fn next_activity(bench: &Bench) -> PollActivityTaskQueueResponse {
    let mut request =
        Request::new(PollActivityTaskQueueRequest { worker_instance_key: String::new(), ..activity_poll() });
    request.set_timeout(Duration::from_secs(5));
    bench.client.clone().poll_activity_task_queue(request).await.unwrap().into_inner()
}

/// Polls for a workflow task for a few seconds: an empty response means that the task was lost.
async fn next_task(bench: &Bench) -> PollWorkflowTaskQueueResponse {
    let poll = workflow_poll(queue(QUEUE));
    let mut request = Request::new(PollWorkflowTaskQueueRequest { worker_instance_key: String::new(), ..poll });
    request.set_timeout(Duration::from_secs(5));
    bench.client.clone().poll_workflow_task_queue(request).await.unwrap().into_inner()
}

fn workflow_poll(task_queue: TaskQueue) -> PollWorkflowTaskQueueRequest {
    PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(task_queue),
        identity: "worker".to_owned(),
        worker_instance_key: "key".to_owned(),
        ..Default::default()
    }
}

fn activity_poll() -> PollActivityTaskQueueRequest {
    PollActivityTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue(QUEUE)),
        identity: "worker".to_owned(),
        worker_instance_key: "key".to_owned(),
        ..Default::default()
    }
}

fn sticky() -> TaskQueue {
    TaskQueue { kind: 2, normal_name: QUEUE.to_owned(), ..queue("sticky") }
}

fn sticky_attributes() -> Option<StickyExecutionAttributes> {
    Some(StickyExecutionAttributes {
        worker_task_queue: Some(sticky()),
        schedule_to_start_timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
    })
}

/// A request whose transport reports the delivery of the response: dropping the handover loses it.
fn travelling<T>(request: T) -> (Request<T>, Handover) {
    let handover = Handover::travelling();
    let mut request = Request::new(request);
    request.extensions_mut().insert(handover.clone());
    (request, handover)
}

#[tokio::test]
async fn a_workflow_task_whose_poll_is_dropped_before_the_commit_is_offered_again() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, gate) = gated(&folder);
    let closed = gate.close();
    let mut client = bench.client.clone();
    let start = tokio::spawn(async move { client.start_workflow_execution(start_request("w")).await });
    let mut client = bench.client.clone();
    let poll = tokio::spawn(async move { client.poll_workflow_task_queue(workflow_poll(queue(QUEUE))).await });
    until_run(&bench, "w", |open| open.run.has_started_workflow_task()).await;
    poll.abort();
    assert!(poll.await.unwrap_err().is_cancelled(), "its commit is not done");
    drop(closed);
    start.await.unwrap().unwrap();
    let task = next_task(&bench).await;
    assert_eq!(task.attempt, 1, "the attempt did not fail");
    assert_eq!(numbers(&task.history.unwrap().events), "1:1 2:5 3:6 4:8 5:5 6:6");
}

#[tokio::test]
async fn an_activity_whose_poll_is_dropped_before_the_commit_is_offered_again_as_the_same_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bench, gate) = gated(&folder);
    bench.start("w").await;
    let task = bench.poll().await;
    let closed = gate.close();
    let mut worker = Bench::of(bench.engine.clone());
    let completed = tokio::spawn(async move { worker.complete(&task, vec![run_activity()]).await });
    let mut client = bench.client.clone();
    let poll = tokio::spawn(async move { client.poll_activity_task_queue(activity_poll()).await });
    let is_started = |open: &OpenRun| open.run.state.activities.values().any(|activity| activity.started.is_some());
    until_run(&bench, "w", is_started).await;
    poll.abort();
    assert!(poll.await.unwrap_err().is_cancelled(), "its commit is not done");
    drop(closed);
    completed.await.unwrap();
    let activity = next_activity(&bench).await;
    assert_eq!((activity.activity_id.as_str(), activity.attempt), ("1", 1));
    bench.complete_activity(&activity).await;
    assert_eq!(bench.numbers("w").await, "1:1 2:5 3:6 4:7 5:10 6:11 7:12 8:5");
}

#[tokio::test]
async fn a_workflow_task_whose_response_is_lost_is_offered_again_and_a_taken_one_is_not() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let (request, lost) = travelling(workflow_poll(queue(QUEUE)));
    let first = bench.client.poll_workflow_task_queue(request).await.unwrap().into_inner();
    drop(lost);
    let (request, arrives) = travelling(workflow_poll(queue(QUEUE)));
    let second = bench.client.poll_workflow_task_queue(request).await.unwrap().into_inner();
    arrives.taken();
    drop(arrives);
    let error = bench.client.respond_workflow_task_completed(completion(&first, vec![])).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "that task has ended");
    bench.complete(&second, vec![complete_workflow()]).await;
    assert_eq!(bench.numbers("w").await, "1:1 2:5 3:6 4:8 5:5 6:6 7:7 8:2");
}

#[tokio::test]
async fn a_later_attempt_that_is_lost_is_offered_again_as_the_same_attempt() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let task = bench.poll().await;
    let request = RespondWorkflowTaskFailedRequest {
        task_token: task.task_token,
        namespace: "default".to_owned(),
        ..Default::default()
    };
    bench.client.respond_workflow_task_failed(request).await.unwrap();
    let (request, lost) = travelling(workflow_poll(queue(QUEUE)));
    assert_eq!(bench.client.poll_workflow_task_queue(request).await.unwrap().into_inner().attempt, 2);
    drop(lost);
    let task = next_task(&bench).await;
    assert_eq!(task.attempt, 2, "the attempt did not fail");
    assert_eq!(bench.numbers("w").await, "1:1 2:5 3:6 4:9 5:5 6:6", "what was lost leaves no trace");
    bench.complete(&task, vec![complete_workflow()]).await;
}

#[tokio::test]
async fn an_activity_whose_response_is_lost_is_offered_again_and_a_taken_one_is_not() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![run_activity()]).await;
    let (request, lost) = travelling(activity_poll());
    assert_eq!(bench.client.poll_activity_task_queue(request).await.unwrap().into_inner().attempt, 1);
    drop(lost);
    let (request, arrives) = travelling(activity_poll());
    let activity = bench.client.poll_activity_task_queue(request).await.unwrap().into_inner();
    arrives.taken();
    drop(arrives);
    assert_eq!(activity.attempt, 1);
    bench.complete_activity(&activity).await;
}

#[tokio::test]
async fn an_activity_that_was_cancelled_while_it_was_lost_is_finished() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![run_activity()]).await;
    let (request, lost) = travelling(activity_poll());
    bench.client.poll_activity_task_queue(request).await.unwrap();
    let signal = SignalWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution("w")),
        signal_name: "stop".to_owned(),
        ..Default::default()
    };
    bench.client.signal_workflow_execution(signal).await.unwrap();
    let task = bench.poll().await;
    let cancel = CommandAttributes::RequestCancelActivityTaskCommandAttributes(
        crate::api::command::RequestCancelActivityTaskCommandAttributes { scheduled_event_id: 5 },
    );
    bench.complete(&task, vec![command(CommandType::RequestCancelActivityTask, cancel)]).await;
    drop(lost);
    let task = next_task(&bench).await;
    assert!(numbers(&task.history.unwrap().events).ends_with("10:15 11:16 12:5 13:6"), "canceled, without a start");
}

#[tokio::test]
async fn a_query_whose_response_is_lost_is_offered_again() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![start_timer(3600)]).await;
    let asked = ask(&bench);
    let (request, lost) = travelling(workflow_poll(queue(QUEUE)));
    let task = bench.client.poll_workflow_task_queue(request).await.unwrap().into_inner();
    assert!(task.query.is_some());
    drop(lost);
    let task = next_task(&bench).await;
    assert!(task.query.is_some(), "it is asked again");
    answer(&mut bench, &task).await;
    asked.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_query_on_the_queue_of_a_worker_that_shuts_down_goes_to_another_at_once() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let task = bench.poll().await;
    // The sticky queue counts as polled for a while.
    let mut client = bench.client.clone();
    let polls = tokio::spawn(async move { client.poll_workflow_task_queue(workflow_poll(sticky())).await });
    tokio::task::yield_now().await;
    let request = RespondWorkflowTaskCompletedRequest {
        sticky_attributes: sticky_attributes(),
        ..completion(&task, vec![start_timer(3600)])
    };
    bench.client.respond_workflow_task_completed(request).await.unwrap();
    polls.abort();
    assert!(polls.await.unwrap_err().is_cancelled());
    let asked = ask(&bench);
    let sticky_has_it = || bench.engine.handle.core.matching.describe(&sticky_key()).backlog == 1;
    while !sticky_has_it() {
        tokio::task::yield_now().await;
    }
    shut_down(&mut bench).await;
    let task = next_task(&bench).await;
    assert!(task.query.is_some(), "without waiting for the worker's queue to time out");
    answer(&mut bench, &task).await;
    asked.await.unwrap().unwrap();
}

#[tokio::test]
async fn tasks_in_the_lost_response_to_a_completion_are_offered_again() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("w").await;
    let task = bench.poll().await;
    let Some(CommandAttributes::ScheduleActivityTaskCommandAttributes(activity)) = run_activity().attributes else {
        panic!("it schedules an activity")
    };
    let eager = command(
        CommandType::ScheduleActivityTask,
        CommandAttributes::ScheduleActivityTaskCommandAttributes(ScheduleActivityTaskCommandAttributes {
            request_eager_execution: true,
            ..activity
        }),
    );
    let (request, lost) = travelling(RespondWorkflowTaskCompletedRequest {
        return_new_workflow_task: true,
        force_create_new_workflow_task: true,
        ..completion(&task, vec![eager])
    });
    let response = bench.client.respond_workflow_task_completed(request).await.unwrap().into_inner();
    assert!(response.workflow_task.is_some());
    assert_eq!(response.activity_tasks.len(), 1);
    drop(lost);
    let activity = next_activity(&bench).await;
    assert_eq!(activity.attempt, 1);
    let task = next_task(&bench).await;
    assert_eq!(task.attempt, 1);
    bench.complete(&task, vec![complete_workflow()]).await;
}

#[tokio::test]
async fn the_first_task_in_the_lost_response_to_a_start_is_offered_to_every_worker() {
    let mut bench = Bench::new(ClockMode::Real);
    let (request, lost) =
        travelling(StartWorkflowExecutionRequest { request_eager_execution: true, ..start_request("w") });
    let started = bench.client.start_workflow_execution(request).await.unwrap().into_inner();
    assert!(started.eager_workflow_task.is_some());
    drop(lost);
    let task = next_task(&bench).await;
    assert_eq!(task.attempt, 1);
    bench.complete(&task, vec![complete_workflow()]).await;
}

#[tokio::test]
async fn a_lost_task_holds_a_skipping_clock_until_another_worker_has_it() {
    let mut bench = Bench::new(ClockMode::Skipping);
    bench.start("w").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![run_activity()]).await;
    let (request, lost) = travelling(activity_poll());
    bench.client.poll_activity_task_queue(request).await.unwrap();
    let timers = Arc::clone(&bench.engine.handle.core.timers);
    assert!(!timers.is_settled());
    drop(lost);
    assert!(timers.is_settled(), "as a task that waits in its queue");
    let activity = next_activity(&bench).await;
    assert!(!timers.is_settled());
    bench.complete_activity(&activity).await;
}

#[tokio::test]
async fn shutdown_of_a_worker_ends_its_open_polls_without_a_task() {
    let mut bench = Bench::new(ClockMode::Real);
    let mut client = bench.client.clone();
    let workflows = tokio::spawn(async move { client.poll_workflow_task_queue(workflow_poll(queue(QUEUE))).await });
    let mut client = bench.client.clone();
    let activities = tokio::spawn(async move { client.poll_activity_task_queue(activity_poll()).await });
    let mut client = bench.client.clone();
    let own = tokio::spawn(async move { client.poll_workflow_task_queue(workflow_poll(sticky())).await });
    tokio::task::yield_now().await;
    shut_down(&mut bench).await;
    for poll in [workflows, own] {
        assert_eq!(poll.await.unwrap().unwrap().into_inner(), PollWorkflowTaskQueueResponse::default());
    }
    assert_eq!(activities.await.unwrap().unwrap().into_inner(), PollActivityTaskQueueResponse::default());
    bench.start("w").await;
    let late = bench.client.poll_workflow_task_queue(workflow_poll(queue(QUEUE))).await.unwrap().into_inner();
    assert!(late.task_token.is_empty(), "a poll that arrives after the shutdown gets no task");
    assert!(!bench.poll().await.task_token.is_empty(), "another worker does");
}

async fn shut_down(bench: &mut Bench) {
    let request = ShutdownWorkerRequest {
        namespace: "default".to_owned(),
        sticky_task_queue: "sticky".to_owned(),
        worker_instance_key: "key".to_owned(),
        ..Default::default()
    };
    bench.client.shutdown_worker(request).await.unwrap();
}

fn sticky_key() -> crate::matching::QueueKey {
    let kind = crate::matching::QueueKind::Sticky;
    crate::matching::QueueKey { namespace: NamespaceKey(1), kind, name: "sticky".into() }
}

fn ask(bench: &Bench) -> tokio::task::JoinHandle<Result<tonic::Response<QueryWorkflowResponse>, tonic::Status>> {
    let mut client = bench.client.clone();
    let request = QueryWorkflowRequest {
        namespace: "default".to_owned(),
        execution: Some(execution("w")),
        query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    tokio::spawn(async move { client.query_workflow(request).await })
}

async fn answer(bench: &mut Bench, task: &PollWorkflowTaskQueueResponse) {
    let request = RespondQueryTaskCompletedRequest {
        task_token: task.task_token.clone(),
        completed_type: QueryResultType::Answered as i32,
        ..Default::default()
    };
    bench.client.respond_query_task_completed(request).await.unwrap();
}
