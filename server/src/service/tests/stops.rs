//! Calls that wait when their deadline passes, or when the server stops.

use super::*;

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
