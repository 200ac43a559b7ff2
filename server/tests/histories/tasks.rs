//! Workflow tasks that fail, time out, or go to a sticky queue.

use expect_test::expect_file;

use crate::script::*;

#[tokio::test]
async fn a_task_that_fails_twice() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.fail_task(&task).await;
    let task = script.poll().await;
    assert_eq!((task.attempt, task.started_event_id), (2, 6));
    script.fail_task(&task).await;
    let task = script.poll().await;
    let told = crate::normal::text(&task.history.as_ref().unwrap().events);
    script.complete(&task, vec![complete_workflow()]).await;
    let stored = crate::normal::text(&script.history().await);
    assert!(stored.starts_with(&told), "told:\n{told}stored:\n{stored}");
    script.is_as(expect_file!["recorded/a_task_that_fails_twice.txt"]).await;
}

#[tokio::test]
async fn a_signal_between_attempts() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.fail_task(&task).await;
    script.signal().await;
    let task = script.poll().await;
    assert_eq!(task.attempt, 1);
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_signal_between_attempts.txt"]).await;
}

#[tokio::test]
async fn a_signal_during_a_later_attempt() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.fail_task(&task).await;
    let task = script.poll().await;
    assert_eq!(task.attempt, 2);
    script.signal().await;
    script.complete(&task, vec![timer("t", 60.0)]).await;
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_signal_during_a_later_attempt.txt"]).await;
}

#[tokio::test]
async fn a_task_that_times_out() {
    let mut script = Script::new().await;
    let mut request = script.start_request();
    request.workflow_task_timeout = seconds(1.0);
    script.start_as(request).await;
    script.poll().await;
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_task_that_times_out.txt"]).await;
}

#[tokio::test]
async fn a_sticky_queue_that_nobody_serves() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    // The server waits only for a sticky queue that has been polled.
    let mut other = script.clone();
    let polling = tokio::spawn(async move { other.poll_sticky().await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut request = script.completion(&task, vec![timer("t", 0.2)]);
    request.sticky_attributes = script.sticky();
    script.complete_as(request).await.unwrap();
    let task = polling.await.unwrap();
    assert_eq!(task.history.as_ref().unwrap().events[0].event_id, 4);
    let mut request = script.completion(&task, vec![timer("u", 0.2)]);
    request.sticky_attributes = script.sticky();
    script.complete_as(request).await.unwrap();
    let task = script.poll().await;
    assert_eq!(task.history.as_ref().unwrap().events[0].event_id, 1);
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_sticky_queue_that_nobody_serves.txt"]).await;
}

#[tokio::test]
async fn a_failure_on_a_sticky_queue() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    let mut request = script.completion(&task, vec![]);
    request.sticky_attributes = script.sticky();
    request.force_create_new_workflow_task = true;
    request.return_new_workflow_task = true;
    let task = script.complete_as(request).await.unwrap().workflow_task.unwrap();
    script.fail_task(&task).await;
    let task = script.poll().await;
    assert_eq!(task.attempt, 1);
    script.fail_task(&task).await;
    let task = script.poll().await;
    assert_eq!(task.attempt, 2);
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_failure_on_a_sticky_queue.txt"]).await;
}

#[tokio::test]
async fn a_heartbeating_task() {
    let mut script = Script::new().await;
    script.start().await;
    let mut task = script.poll().await;
    for _ in 0..2 {
        let mut request = script.completion(&task, vec![]);
        request.force_create_new_workflow_task = true;
        request.return_new_workflow_task = true;
        task = script.complete_as(request).await.unwrap().workflow_task.unwrap();
    }
    script.complete(&task, vec![marker(), complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_heartbeating_task.txt"]).await;
}

#[tokio::test]
async fn a_query_leaves_no_trace() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.complete(&task, vec![timer("t", 60.0)]).await;
    let mut other = script.clone();
    let asked = tokio::spawn(async move { other.query().await });
    let task = script.poll().await;
    assert_eq!((task.started_event_id, task.previous_started_event_id), (0, 3));
    assert_eq!(task.history.as_ref().unwrap().events.len(), 5);
    let answer = everloop_proto::temporal::api::workflowservice::v1::RespondQueryTaskCompletedRequest {
        task_token: task.task_token,
        namespace: namespace(),
        completed_type: 1,
        query_result: Some(text_payload("fine")),
        ..Default::default()
    };
    script.client.respond_query_task_completed(answer).await.unwrap();
    asked.await.unwrap().unwrap();
    script.is_as(expect_file!["recorded/a_query_leaves_no_trace.txt"]).await;
}
