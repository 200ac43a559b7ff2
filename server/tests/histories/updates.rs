//! Updates, and the workflow tasks that carry only updates.

use everloop_proto::temporal::api::update::v1::outcome::Value;
use everloop_proto::temporal::api::workflowservice::v1::respond_workflow_task_completed_request::Capabilities;
use expect_test::expect_file;

use crate::script::*;

/// An idle run.
async fn idle() -> Script {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    script.complete(&task, vec![timer("t", 60.0)]).await;
    script
}

#[tokio::test]
async fn an_update_accepted_and_completed_at_once() {
    let mut script = idle().await;
    let update = script.update();
    let task = script.poll().await;
    assert_eq!(task.messages[0].id, "u1/request");
    let mut request = script.completion(&task, vec![place("accept"), place("complete")]);
    request.messages = vec![acceptance(&task), response("u1")];
    script.complete_as(request).await.unwrap();
    let outcome = update.await.unwrap().unwrap().outcome.unwrap();
    assert_eq!(outcome.value, Some(Value::Success(text_payload("changed"))));
    script.is_as(expect_file!["recorded/an_update_accepted_and_completed_at_once.txt"]).await;
}

#[tokio::test]
async fn an_update_that_needs_an_activity() {
    let mut script = idle().await;
    let update = script.update();
    let task = script.poll().await;
    let mut request = script.completion(&task, vec![place("accept"), schedule(activity("a"))]);
    request.messages = vec![acceptance(&task)];
    script.complete_as(request).await.unwrap();
    let task = script.poll_activity().await;
    script.complete_activity(&task).await;
    let task = script.poll().await;
    assert!(task.messages.is_empty());
    let mut request = script.completion(&task, vec![place("complete")]);
    request.messages = vec![response("u1")];
    script.complete_as(request).await.unwrap();
    update.await.unwrap().unwrap();
    script.is_as(expect_file!["recorded/an_update_that_needs_an_activity.txt"]).await;
}

#[tokio::test]
async fn a_rejected_update() {
    let mut script = idle().await;
    let update = script.update();
    let task = script.poll().await;
    let mut request = script.completion(&task, vec![]);
    request.messages = vec![rejection(&task)];
    request.capabilities = Some(Capabilities { discard_speculative_workflow_task_with_events: true });
    let answer = script.complete_as(request).await.unwrap();
    assert_eq!(answer.reset_history_event_id, 3);
    assert!(matches!(update.await.unwrap().unwrap().outcome.unwrap().value, Some(Value::Failure(_))));
    script.signal().await;
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_rejected_update.txt"]).await;
}

#[tokio::test]
async fn an_update_in_the_first_task() {
    let mut script = Script::new().await;
    script.start().await;
    let update = script.update();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let task = script.poll().await;
    let mut request = script.completion(&task, vec![place("accept"), place("complete")]);
    request.messages = vec![acceptance(&task), response("u1")];
    script.complete_as(request).await.unwrap();
    update.await.unwrap().unwrap();
    script.is_as(expect_file!["recorded/an_update_in_the_first_task.txt"]).await;
}

#[tokio::test]
async fn a_signal_while_an_update_is_on_its_way() {
    let mut script = idle().await;
    let update = script.update();
    let task = script.poll().await;
    script.signal().await;
    let mut request = script.completion(&task, vec![place("accept"), place("complete")]);
    request.messages = vec![acceptance(&task), response("u1")];
    script.complete_as(request).await.unwrap();
    update.await.unwrap().unwrap();
    let task = script.poll().await;
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_signal_while_an_update_is_on_its_way.txt"]).await;
}

#[tokio::test]
async fn an_update_cut_off_by_the_end() {
    let mut script = idle().await;
    let update = script.update();
    let task = script.poll().await;
    let mut request = script.completion(&task, vec![place("accept"), complete_workflow()]);
    request.messages = vec![acceptance(&task)];
    script.complete_as(request).await.unwrap();
    let outcome = update.await.unwrap().unwrap().outcome.unwrap();
    let Some(Value::Failure(failure)) = outcome.value else { panic!("the update did not fail") };
    assert!(format!("{failure:?}").contains("AcceptedUpdateCompletedWorkflow"));
    script.is_as(expect_file!["recorded/an_update_cut_off_by_the_end.txt"]).await;
}

#[tokio::test]
async fn an_update_whose_task_fails() {
    let mut script = idle().await;
    let update = script.update();
    let task = script.poll().await;
    script.fail_task(&task).await;
    let task = script.poll().await;
    assert_eq!(task.messages.len(), 1);
    let mut request = script.completion(&task, vec![place("accept"), place("complete")]);
    request.messages = vec![acceptance(&task), response("u1")];
    script.complete_as(request).await.unwrap();
    update.await.unwrap().unwrap();
    script.is_as(expect_file!["recorded/an_update_whose_task_fails.txt"]).await;
}

#[tokio::test]
async fn an_update_that_nobody_polls_for() {
    let mut script = idle().await;
    let update = script.update();
    script.reaches(8).await;
    let task = script.poll().await;
    let mut request = script.completion(&task, vec![place("accept"), place("complete")]);
    request.messages = vec![acceptance(&task), response("u1")];
    script.complete_as(request).await.unwrap();
    update.await.unwrap().unwrap();
    script.is_as(expect_file!["recorded/an_update_that_nobody_polls_for.txt"]).await;
}

#[tokio::test]
async fn an_update_when_the_run_is_terminated() {
    let mut script = idle().await;
    let update = script.update();
    script.poll().await;
    script.terminate().await;
    let error = update.await.unwrap().unwrap_err();
    assert_eq!(error.message(), "workflow update was aborted by closing workflow");
    script.is_as(expect_file!["recorded/an_update_when_the_run_is_terminated.txt"]).await;
}
