//! Activities: retries, timeouts, cancellation.

use everloop_proto::temporal::api::command::v1::ScheduleActivityTaskCommandAttributes;
use everloop_proto::temporal::api::common::v1::RetryPolicy;
use everloop_proto::temporal::api::workflowservice::v1::{
    RespondActivityTaskCanceledRequest, RespondActivityTaskCompletedByIdRequest,
};
use expect_test::expect_file;

use crate::script::*;

async fn with_activity(attributes: ScheduleActivityTaskCommandAttributes) -> Script {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.complete(&task, vec![schedule(attributes)]).await;
    script
}

fn once() -> Option<RetryPolicy> {
    Some(RetryPolicy { maximum_attempts: 1, ..Default::default() })
}

fn quick() -> Option<RetryPolicy> {
    Some(RetryPolicy { initial_interval: seconds(0.1), ..Default::default() })
}

async fn finish(mut script: Script) -> Script {
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script
}

#[tokio::test]
async fn an_activity_retried_once() {
    let mut script =
        with_activity(ScheduleActivityTaskCommandAttributes { retry_policy: quick(), ..activity("a") }).await;
    let task = script.poll_activity().await;
    script.fail_activity(&task, failure("first", false)).await;
    let task = script.poll_activity().await;
    assert_eq!(task.attempt, 2);
    script.complete_activity(&task).await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_retried_once.txt"]).await;
}

#[tokio::test]
async fn an_activity_that_fails_for_good() {
    let mut script = with_activity(activity("a")).await;
    let task = script.poll_activity().await;
    script.heartbeat(&task).await;
    script.fail_activity(&task, failure("final", true)).await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_that_fails_for_good.txt"]).await;
}

#[tokio::test]
async fn an_activity_out_of_attempts() {
    let mut attributes = activity("a");
    attributes.retry_policy = once();
    let mut script = with_activity(attributes).await;
    let task = script.poll_activity().await;
    script.fail_activity(&task, failure("only one", false)).await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_out_of_attempts.txt"]).await;
}

#[tokio::test]
async fn an_activity_nobody_starts() {
    let mut attributes = activity("a");
    attributes.schedule_to_start_timeout = seconds(1.0);
    let script = with_activity(attributes).await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_nobody_starts.txt"]).await;
}

#[tokio::test]
async fn an_activity_nobody_finishes() {
    let mut attributes = activity("a");
    attributes.start_to_close_timeout = seconds(1.0);
    attributes.retry_policy = once();
    let mut script = with_activity(attributes).await;
    script.poll_activity().await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_nobody_finishes.txt"]).await;
}

#[tokio::test]
async fn an_activity_without_a_heartbeat() {
    let mut attributes = activity("a");
    attributes.heartbeat_timeout = seconds(1.0);
    attributes.retry_policy = once();
    let mut script = with_activity(attributes).await;
    let task = script.poll_activity().await;
    script.heartbeat(&task).await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_without_a_heartbeat.txt"]).await;
}

#[tokio::test]
async fn an_activity_out_of_time_between_attempts() {
    let mut attributes = activity("a");
    attributes.schedule_to_close_timeout = seconds(2.0);
    attributes.retry_policy = Some(RetryPolicy { initial_interval: seconds(1.5), ..Default::default() });
    let mut script = with_activity(attributes).await;
    let task = script.poll_activity().await;
    script.fail_activity(&task, failure("first", false)).await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_out_of_time_between_attempts.txt"]).await;
}

#[tokio::test]
async fn an_activity_with_no_time_for_another_attempt() {
    let mut attributes = activity("a");
    attributes.schedule_to_close_timeout = seconds(3.0);
    attributes.start_to_close_timeout = seconds(1.0);
    attributes.retry_policy = Some(RetryPolicy { initial_interval: seconds(10.0), ..Default::default() });
    let mut script = with_activity(attributes).await;
    script.poll_activity().await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_with_no_time_for_another_attempt.txt"]).await;
}

#[tokio::test]
async fn an_unstarted_activity_is_canceled() {
    let mut script = with_activity(activity("a")).await;
    script.signal().await;
    let task = script.poll().await;
    script.complete(&task, vec![cancel_activity(5)]).await;
    finish(script).await.is_as(expect_file!["recorded/an_unstarted_activity_is_canceled.txt"]).await;
}

#[tokio::test]
async fn an_unstarted_activity_is_canceled_and_another_scheduled() {
    let mut script = with_activity(activity("a")).await;
    script.signal().await;
    let task = script.poll().await;
    script.complete(&task, vec![cancel_activity(5), schedule(activity("b"))]).await;
    finish(script)
        .await
        .is_as(expect_file!["recorded/an_unstarted_activity_is_canceled_and_another_scheduled.txt"])
        .await;
}

#[tokio::test]
async fn an_unstarted_activity_is_canceled_and_the_workflow_completes() {
    let mut script = with_activity(activity("a")).await;
    script.signal().await;
    let task = script.poll().await;
    script.complete(&task, vec![cancel_activity(5), complete_workflow()]).await;
    script.is_as(expect_file!["recorded/an_unstarted_activity_is_canceled_and_the_workflow_completes.txt"]).await;
}

#[tokio::test]
async fn a_started_activity_is_canceled() {
    let mut script = with_activity(activity("a")).await;
    let running = script.poll_activity().await;
    assert!(!script.heartbeat(&running).await);
    script.signal().await;
    let task = script.poll().await;
    script.complete(&task, vec![cancel_activity(5)]).await;
    assert!(script.heartbeat(&running).await);
    let request = RespondActivityTaskCanceledRequest {
        task_token: running.task_token,
        namespace: namespace(),
        identity: "worker".to_owned(),
        details: Some(text_payload("stopped")),
        ..Default::default()
    };
    script.client.respond_activity_task_canceled(request).await.unwrap();
    finish(script).await.is_as(expect_file!["recorded/a_started_activity_is_canceled.txt"]).await;
}

#[tokio::test]
async fn a_canceled_activity_fails() {
    let mut script = with_activity(activity("a")).await;
    let running = script.poll_activity().await;
    script.signal().await;
    let task = script.poll().await;
    script.complete(&task, vec![cancel_activity(5)]).await;
    script.fail_activity(&running, failure("not now", false)).await;
    finish(script).await.is_as(expect_file!["recorded/a_canceled_activity_fails.txt"]).await;
}

#[tokio::test]
async fn an_activity_finishes_while_a_task_runs() {
    let mut script = with_activity(activity("a")).await;
    let running = script.poll_activity().await;
    script.signal().await;
    let task = script.poll().await;
    script.complete_activity(&running).await;
    script.signal().await;
    script.complete(&task, vec![marker()]).await;
    finish(script).await.is_as(expect_file!["recorded/an_activity_finishes_while_a_task_runs.txt"]).await;
}

#[tokio::test]
async fn a_finished_activity_is_canceled_by_a_task_that_does_not_know() {
    let mut script = with_activity(activity("a")).await;
    let running = script.poll_activity().await;
    script.signal().await;
    let task = script.poll().await;
    script.complete_activity(&running).await;
    script.complete(&task, vec![cancel_activity(5)]).await;
    finish(script).await.is_as(expect_file!["recorded/a_finished_activity_is_canceled.txt"]).await;
}

#[tokio::test]
async fn an_unstarted_activity_is_completed_by_id() {
    let mut script = with_activity(activity("a")).await;
    let request = RespondActivityTaskCompletedByIdRequest {
        namespace: namespace(),
        workflow_id: script.id.clone(),
        activity_id: "a".to_owned(),
        identity: "somebody".to_owned(),
        ..Default::default()
    };
    script.client.respond_activity_task_completed_by_id(request).await.unwrap();
    finish(script).await.is_as(expect_file!["recorded/an_unstarted_activity_is_completed_by_id.txt"]).await;
}

#[tokio::test]
async fn an_eager_activity() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    let mut attributes = activity("a");
    attributes.request_eager_execution = true;
    let mut answer = script.complete(&task, vec![schedule(attributes)]).await;
    let task = answer.activity_tasks.pop().unwrap();
    assert_eq!(task.input, Some(text_payload("what")));
    script.complete_activity(&task).await;
    finish(script).await.is_as(expect_file!["recorded/an_eager_activity.txt"]).await;
}

#[tokio::test]
async fn timeouts_are_filled_in() {
    let mut script = Script::new().await;
    let mut request = script.start_request();
    request.workflow_run_timeout = seconds(100.0);
    script.start_as(request).await;
    let task = script.poll().await;
    let mut total = activity("total");
    total.start_to_close_timeout = None;
    total.schedule_to_close_timeout = seconds(200.0);
    total.heartbeat_timeout = seconds(300.0);
    let mut all = activity("all");
    all.schedule_to_close_timeout = seconds(50.0);
    all.schedule_to_start_timeout = seconds(60.0);
    all.retry_policy = Some(RetryPolicy { initial_interval: seconds(2.0), ..Default::default() });
    script.complete(&task, vec![schedule(activity("plain")), schedule(total), schedule(all)]).await;
    script.is_as(expect_file!["recorded/timeouts_are_filled_in.txt"]).await;
}
