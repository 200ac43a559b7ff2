//! Starts, timers, signals, cancellation and the ends of runs.

use std::time::Duration;

use everloop_proto::temporal::api::workflow::v1::OnConflictOptions;
use everloop_proto::temporal::api::workflowservice::v1::SignalWithStartWorkflowExecutionRequest;
use expect_test::expect_file;

use crate::script::*;

#[tokio::test]
async fn one_activity() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.complete(&task, vec![schedule(activity("a"))]).await;
    let task = script.poll_activity().await;
    script.complete_activity(&task).await;
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/one_activity.txt"]).await;
}

#[tokio::test]
async fn an_eager_start() {
    let mut script = Script::new().await;
    let mut request = script.start_request();
    request.request_eager_execution = true;
    let started = script.start_as(request).await;
    let task = started.eager_workflow_task.unwrap();
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/an_eager_start.txt"]).await;
}

#[tokio::test]
async fn a_timer() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.complete(&task, vec![timer("t", 0.5)]).await;
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_timer.txt"]).await;
}

#[tokio::test]
async fn a_signal_before_the_first_poll() {
    let mut script = Script::new().await;
    script.start().await;
    script.signal().await;
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_signal_before_the_first_poll.txt"]).await;
}

#[tokio::test]
async fn a_signal_while_the_worker_completes() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.signal().await;
    let request = script.completion(&task, vec![complete_workflow()]);
    let error = script.complete_as(request).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (tonic::Code::InvalidArgument, "UnhandledCommand"));
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_signal_while_the_worker_completes.txt"]).await;
}

#[tokio::test]
async fn a_signal_while_a_task_runs() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.signal().await;
    let mut request = script.completion(&task, vec![timer("t", 60.0)]);
    request.return_new_workflow_task = true;
    let task = script.complete_as(request).await.unwrap().workflow_task.unwrap();
    assert_eq!(task.previous_started_event_id, 3);
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_signal_while_a_task_runs.txt"]).await;
}

#[tokio::test]
async fn a_signal_with_start() {
    let mut script = Script::new().await;
    let start = script.start_request();
    let request = SignalWithStartWorkflowExecutionRequest {
        namespace: start.namespace,
        workflow_id: start.workflow_id,
        workflow_type: start.workflow_type,
        task_queue: start.task_queue,
        identity: "client".to_owned(),
        signal_name: "go".to_owned(),
        signal_input: Some(text_payload("now")),
        ..Default::default()
    };
    for _ in 0..2 {
        script.client.signal_with_start_workflow_execution(request.clone()).await.unwrap();
    }
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_signal_with_start.txt"]).await;
}

#[tokio::test]
async fn a_start_delay_with_a_signal() {
    let mut script = Script::new().await;
    let mut request = script.start_request();
    request.workflow_start_delay = seconds(1.0);
    script.start_as(request).await;
    script.signal().await;
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_start_delay_with_a_signal.txt"]).await;
}

#[tokio::test]
async fn a_start_delay_cut_short_by_cancellation() {
    let mut script = Script::new().await;
    let mut request = script.start_request();
    request.workflow_start_delay = seconds(60.0);
    script.start_as(request).await;
    script.cancel().await;
    let task = script.poll().await;
    script.complete(&task, vec![cancel_workflow()]).await;
    script.is_as(expect_file!["recorded/a_start_delay_cut_short_by_cancellation.txt"]).await;
}

#[tokio::test]
async fn a_cancellation() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.complete(&task, vec![timer("t", 60.0)]).await;
    script.cancel().await;
    script.cancel().await;
    let task = script.poll().await;
    script.complete(&task, vec![cancel_timer("t"), cancel_workflow()]).await;
    script.cancel().await;
    script.is_as(expect_file!["recorded/a_cancellation.txt"]).await;
}

#[tokio::test]
async fn a_termination_of_a_running_task_with_a_waiting_signal() {
    let mut script = Script::new().await;
    script.start().await;
    script.poll().await;
    script.signal().await;
    script.terminate().await;
    script.is_as(expect_file!["recorded/a_termination_of_a_running_task_with_a_waiting_signal.txt"]).await;
}

#[tokio::test]
async fn a_run_timeout_under_a_running_task() {
    let mut script = Script::new().await;
    let mut request = script.start_request();
    request.workflow_run_timeout = seconds(1.0);
    script.start_as(request).await;
    script.poll().await;
    script.reaches(5).await;
    script.is_as(expect_file!["recorded/a_run_timeout_under_a_running_task.txt"]).await;
}

#[tokio::test]
async fn an_execution_timeout() {
    let mut script = Script::new().await;
    let mut request = script.start_request();
    request.workflow_execution_timeout = seconds(1.0);
    script.start_as(request).await;
    script.reaches(3).await;
    script.is_as(expect_file!["recorded/an_execution_timeout.txt"]).await;
}

#[tokio::test]
async fn a_failed_workflow() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.complete(&task, vec![marker(), fail_workflow()]).await;
    script.is_as(expect_file!["recorded/a_failed_workflow.txt"]).await;
}

#[tokio::test]
async fn a_start_that_takes_the_place_of_another() {
    let mut script = Script::new().await;
    let first = script.start().await;
    let mut request = script.start_request();
    request.request_id = "again".to_owned();
    request.workflow_id_conflict_policy = 3;
    let second = script.start_as(request).await;
    assert!(second.started && second.run_id != first.run_id);
    script.is_as(expect_file!["recorded/a_start_that_takes_the_place_of_another_new.txt"]).await;
    let events = script.history_of(&first.run_id).await;
    let text = crate::normal::text(&events).replace(&script.id, "ID");
    expect_file!["recorded/a_start_that_takes_the_place_of_another_old.txt"].assert_eq(&text);
}

#[tokio::test]
async fn a_start_that_uses_what_is_there() {
    let mut script = Script::new().await;
    script.start().await;
    let mut request = script.start_request();
    request.request_id = "again".to_owned();
    request.workflow_id_conflict_policy = 2;
    request.on_conflict_options = Some(OnConflictOptions { attach_request_id: true, ..Default::default() });
    for _ in 0..2 {
        let found = script.start_as(request.clone()).await;
        assert!(!found.started);
    }
    script.is_as(expect_file!["recorded/a_start_that_uses_what_is_there.txt"]).await;
}

#[tokio::test]
async fn a_timer_canceled_after_it_fired() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.complete(&task, vec![timer("t", 1.0)]).await;
    script.signal().await;
    let task = script.poll().await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    script.complete(&task, vec![cancel_timer("t"), complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_timer_canceled_after_it_fired.txt"]).await;
}
