//! Updates.

use everloop_proto::temporal::api::update::v1::WaitPolicy;

use super::super::{
    commands::*,
    messages::{acceptance, failed_response, rejection, response},
    script::{Script, UpdateStage},
    suite::scenarios,
};

scenarios!["updates":
    an_idle_run,
    it_needs_an_activity,
    rejected_on_an_idle_run,
    rejected_with_a_command,
    it_fails,
    with_the_first_task,
    while_a_task_is_started,
    two_at_once,
    accepted_first,
    without_commands_for_the_messages,
    no_word_of_it,
    a_signal_comes_first,
    the_worker_fails,
    with_the_reply,
    after_a_timeout,
    a_known_id,
    a_known_id_after_the_close,
    an_id_is_made,
    a_rejected_id_is_free_again,
    polled,
    polled_by_a_stranger,
    the_run_closes_before_it_is_accepted,
    the_run_closes_after_it_was_accepted,
    the_run_is_terminated,
    a_close_in_the_same_task,
    a_worker_that_fails,
    messages_that_are_wrong,
    refused_ones,
];

/// H: an idle run gets a task for the update, and all events are written when the task is completed.
async fn an_idle_run(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(60))]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.note("before the task starts");
    s.history("wf").await;
    let task = s.poll().await;
    s.note("while the task is started");
    s.history("wf").await;
    s.accept_and_complete(&task, []).await;
    s.take(update).await;
    s.history("wf").await;
    s.describe("wf").await;
}

/// I: accepted now, completed when the activity is done.
async fn it_needs_an_activity(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    let accept = acceptance(&task.messages[0]);
    let commands = [protocol_message(&accept.id), schedule_activity("a")];
    s.complete_with(&task, commands, |it| it.messages = vec![accept]).await;
    let activity = s.poll_activity().await;
    s.complete_activity(&activity).await;
    let next = s.poll().await;
    let answer = response(&task.messages[0]);
    s.complete_with(&next, [protocol_message(&answer.id)], |it| it.messages = vec![answer]).await;
    s.take(update).await;
    s.history("wf").await;
}

/// J: no event is written, and the next events reuse the ids of the task's events.
async fn rejected_on_an_idle_run(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    let no = rejection(&task.messages[0]);
    s.complete_with(&task, [], |it| it.messages = vec![no]).await;
    s.take(update).await;
    s.history("wf").await;
    s.signal("wf", "wake").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn rejected_with_a_command(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Accepted).await;
    let task = s.poll().await;
    let no = rejection(&task.messages[0]);
    s.complete_with(&task, [start_timer("t", seconds(60))], |it| it.messages = vec![no]).await;
    s.take(update).await;
    s.history("wf").await;
}

async fn it_fails(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    let messages = vec![acceptance(&task.messages[0]), failed_response(&task.messages[0])];
    let commands: Vec<_> = messages.iter().map(|message| protocol_message(&message.id)).collect();
    s.complete_with(&task, commands, |it| it.messages = messages).await;
    s.take(update).await;
    s.history("wf").await;
}

async fn with_the_first_task(s: &mut Script) {
    s.start("wf").await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.accept_and_complete(&task, [complete_workflow()]).await;
    s.take(update).await;
    s.history("wf").await;
}

async fn while_a_task_is_started(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.complete(&task, []).await;
    let task = s.poll().await;
    s.accept_and_complete(&task, []).await;
    s.take(update).await;
    s.history("wf").await;
}

async fn two_at_once(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let first = s.update("wf", "first", UpdateStage::Completed).await;
    let second = s.update("wf", "second", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.accept_and_complete(&task, []).await;
    s.take(first).await;
    s.take(second).await;
    s.history("wf").await;
}

async fn accepted_first(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Accepted).await;
    let task = s.poll().await;
    let accept = acceptance(&task.messages[0]);
    s.complete_with(&task, [protocol_message(&accept.id)], |it| it.messages = vec![accept]).await;
    s.take(update).await;
    s.history("wf").await;
}

/// Messages without a command that places them are applied after all commands.
async fn without_commands_for_the_messages(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    let messages = vec![acceptance(&task.messages[0]), response(&task.messages[0])];
    s.complete_with(&task, [start_timer("t", seconds(60))], |it| it.messages = messages).await;
    s.take(update).await;
    s.history("wf").await;
}

/// A task completion without a response to an update rejects it.
async fn no_word_of_it(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.task([]).await;
    s.take(update).await;
    s.history("wf").await;
}

/// The update's task becomes an ordinary one once there are other new events.
async fn a_signal_comes_first(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.signal("wf", "wake").await;
    s.history("wf").await;
    let task = s.poll().await;
    s.accept_and_complete(&task, []).await;
    s.take(update).await;
    s.history("wf").await;
}

/// The update is sent again with the retry.
async fn the_worker_fails(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.fail(&task).await;
    s.history("wf").await;
    let task = s.poll().await;
    s.accept_and_complete(&task, []).await;
    s.take(update).await;
    s.history("wf").await;
}

async fn with_the_reply(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let sticky = s.sticky(10);
    let reply = s
        .complete_with(&task, [], |it| {
            it.sticky_attributes = sticky;
            it.return_new_workflow_task = true;
        })
        .await;
    let task = match reply.workflow_task {
        Some(task) => task,
        None => s.poll_sticky().await,
    };
    s.accept_and_complete(&task, []).await;
    s.take(update).await;
    s.history("wf").await;
}

async fn after_a_timeout(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_task_timeout = seconds(1)).await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.poll().await;
    let task = s.poll().await;
    s.accept_and_complete(&task, []).await;
    s.take(update).await;
    s.history("wf").await;
}

async fn a_known_id(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let first = s.update("wf", "u", UpdateStage::Completed).await;
    let second = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.accept_and_complete(&task, []).await;
    s.take(first).await;
    s.take(second).await;
    s.note("again, once it is completed");
    let again = s.update_request("wf", "u", UpdateStage::Completed);
    s.call(again).await;
    s.history("wf").await;
}

async fn a_known_id_after_the_close(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.accept_and_complete(&task, [complete_workflow()]).await;
    s.take(update).await;
    let again = s.update_request("wf", "u", UpdateStage::Completed);
    s.call(again).await;
    let poll = s.poll_update_request("wf", "u");
    s.call(poll).await;
    let other = s.update_request("wf", "other", UpdateStage::Completed);
    s.refused(other).await;
}

async fn an_id_is_made(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.later(s.update_request("wf", "", UpdateStage::Completed));
    let task = s.poll().await;
    s.accept_and_complete(&task, []).await;
    s.take(update).await;
}

async fn a_rejected_id_is_free_again(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let first = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    let no = rejection(&task.messages[0]);
    s.complete_with(&task, [], |it| it.messages = vec![no]).await;
    s.take(first).await;
    let second = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.accept_and_complete(&task, []).await;
    s.take(second).await;
    s.history("wf").await;
}

async fn polled(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Accepted).await;
    let poll = s.poll_update_request("wf", "u");
    s.call(poll.clone()).await;
    let mut wait = poll.clone();
    wait.wait_policy = Some(WaitPolicy { lifecycle_stage: UpdateStage::Completed.into() });
    let wait = s.later(wait);
    let task = s.poll().await;
    let accept = acceptance(&task.messages[0]);
    s.complete_with(&task, [protocol_message(&accept.id)], |it| it.messages = vec![accept]).await;
    s.take(update).await;
    s.call(poll.clone()).await;
    s.signal("wf", "wake").await;
    let next = s.poll().await;
    let answer = response(&task.messages[0]);
    s.complete_with(&next, [protocol_message(&answer.id)], |it| it.messages = vec![answer]).await;
    s.take(wait).await;
    s.call(poll).await;
}

async fn polled_by_a_stranger(s: &mut Script) {
    s.start("wf").await;
    let mut poll = s.poll_update_request("wf", "unknown");
    s.refused(poll.clone()).await;
    poll.update_ref.as_mut().expect("a reference").workflow_execution = s.run("nobody");
    s.refused(poll.clone()).await;
    poll.update_ref.as_mut().expect("a reference").workflow_execution = None;
    s.refused(poll.clone()).await;
    poll.update_ref = None;
    s.refused(poll).await;
}

/// The worker closes the run with a task that started before the update arrived.
async fn the_run_closes_before_it_is_accepted(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.complete(&task, [complete_workflow()]).await;
    s.take_refused(update).await;
    s.history("wf").await;
}

async fn the_run_closes_after_it_was_accepted(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    let accept = acceptance(&task.messages[0]);
    let commands = [protocol_message(&accept.id), complete_workflow()];
    s.complete_with(&task, commands, |it| it.messages = vec![accept]).await;
    s.take(update).await;
    let poll = s.poll_update_request("wf", "u");
    s.call(poll).await;
    s.history("wf").await;
}

async fn the_run_is_terminated(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.terminate("wf").await;
    s.take_refused(update).await;
    s.history("wf").await;
}

async fn a_close_in_the_same_task(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.complete(&task, [complete_workflow()]).await;
    s.take_refused(update).await;
    s.history("wf").await;
}

async fn a_worker_that_fails(s: &mut Script) {
    s.start("wf").await;
    for _ in 0..2 {
        let task = s.poll().await;
        s.fail(&task).await;
    }
    let update = s.update_request("wf", "u", UpdateStage::Completed);
    s.refused(update).await;
}

async fn messages_that_are_wrong(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.note("a response to what was not accepted");
    let mut request = s.complete_request(&task, []);
    request.messages = vec![response(&task.messages[0])];
    s.refused(request).await;
    let task = s.poll().await;
    s.note("a command for no message");
    s.complete_refused(&task, [protocol_message("unknown")]).await;
    s.terminate("wf").await;
    update.forget();
    s.history("wf").await;
}

async fn refused_ones(s: &mut Script) {
    let mut update = s.update_request("nobody", "u", UpdateStage::Completed);
    s.refused(update.clone()).await;
    s.start("wf").await;
    update.workflow_execution = s.run("wf");
    update.first_execution_run_id = uuid::Uuid::new_v4().to_string();
    s.refused(update.clone()).await;
    update.first_execution_run_id = String::new();
    let good = update.clone();
    update.wait_policy = Some(WaitPolicy { lifecycle_stage: UpdateStage::Admitted.into() });
    s.refused(update.clone()).await;
    update = good.clone();
    update.request.as_mut().expect("a request").input.as_mut().expect("an input").name = String::new();
    s.refused(update.clone()).await;
    update.request.as_mut().expect("a request").input = None;
    s.refused(update.clone()).await;
    update.request = None;
    s.refused(update.clone()).await;
    update = good.clone();
    update.request.as_mut().expect("a request").meta.as_mut().expect("a meta").update_id = "n".repeat(1001);
    s.refused(update.clone()).await;
    update.namespace = "nowhere".into();
    s.refused(update.clone()).await;
    update = good;
    update.workflow_execution = None;
    s.refused(update).await;
}
