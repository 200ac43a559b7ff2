//! Reads of histories.

use super::*;

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
