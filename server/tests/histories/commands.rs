//! Invalid commands, and the events that follow from them.

use everloop_proto::temporal::api::command::v1::{Command, ModifyWorkflowPropertiesCommandAttributes, command};
use everloop_proto::temporal::api::common::v1::Memo;
use everloop_proto::temporal::api::enums::v1::CommandType;
use expect_test::expect_file;
use tonic::Code;

use crate::script::*;

/// Completes the first task with these commands, which are rejected.
async fn refused(commands: Vec<Command>) -> (Script, String) {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    let request = script.completion(&task, commands);
    let error = script.complete_as(request).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let message = error.message().to_owned();
    (script, message)
}

#[tokio::test]
async fn two_timers_of_the_same_id() {
    let (mut script, _) = refused(vec![timer("t", 1.0), timer("t", 2.0)]).await;
    script.is_as(expect_file!["recorded/two_timers_of_the_same_id.txt"]).await;
}

#[tokio::test]
async fn two_activities_of_the_same_id() {
    let (mut script, _) = refused(vec![schedule(activity("a")), schedule(activity("a"))]).await;
    script.is_as(expect_file!["recorded/two_activities_of_the_same_id.txt"]).await;
}

#[tokio::test]
async fn an_unknown_timer_is_canceled() {
    let (mut script, _) = refused(vec![marker(), cancel_timer("t")]).await;
    script.is_as(expect_file!["recorded/an_unknown_timer_is_canceled.txt"]).await;
}

#[tokio::test]
async fn an_unknown_activity_is_canceled() {
    let (mut script, _) = refused(vec![cancel_activity(77)]).await;
    script.is_as(expect_file!["recorded/an_unknown_activity_is_canceled.txt"]).await;
}

#[tokio::test]
async fn a_message_that_is_not_there() {
    let (mut script, _) = refused(vec![place("nothing")]).await;
    script.is_as(expect_file!["recorded/a_message_that_is_not_there.txt"]).await;
}

#[tokio::test]
async fn a_command_after_the_last() {
    let (mut script, _) = refused(vec![complete_workflow(), marker()]).await;
    script.is_as(expect_file!["recorded/a_command_after_the_last.txt"]).await;
}

#[tokio::test]
async fn a_wrong_command_on_a_later_attempt() {
    let (mut script, _) = refused(vec![cancel_timer("t")]).await;
    let task = script.poll().await;
    let request = script.completion(&task, vec![cancel_timer("t")]);
    script.complete_as(request).await.unwrap_err();
    script.complete(&task, vec![complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_wrong_command_on_a_later_attempt.txt"]).await;
}

#[tokio::test]
async fn a_changed_memo() {
    let mut script = Script::new().await;
    script.start().await;
    let task = script.poll().await;
    let memo = Memo { fields: [("k".to_owned(), text_payload("v").payloads.remove(0))].into() };
    let attributes = ModifyWorkflowPropertiesCommandAttributes { upserted_memo: Some(memo) };
    let change = Command {
        command_type: CommandType::ModifyWorkflowProperties as i32,
        attributes: Some(command::Attributes::ModifyWorkflowPropertiesCommandAttributes(attributes)),
        ..Default::default()
    };
    script.complete(&task, vec![change, complete_workflow()]).await;
    script.is_as(expect_file!["recorded/a_changed_memo.txt"]).await;
}
