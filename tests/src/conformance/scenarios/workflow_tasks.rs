//! Workflow tasks: failures, timeouts, retries, and invalid completions.

use everloop_proto::temporal::api::{
    command::v1::{Command, command::Attributes},
    enums::v1::CommandType,
    sdk::v1::{UserMetadata, WorkflowTaskCompletedMetadata},
    workflowservice::v1 as service,
};

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["workflow_tasks":
    nothing_to_do,
    what_the_worker_says_of_itself,
    commands_say_what_they_are_for,
    a_marker,
    failed_twice,
    timed_out,
    timed_out_twice,
    a_signal_makes_a_retry_a_task_again,
    a_signal_while_a_retry_is_started,
    the_worker_wants_another_one,
    another_one_with_the_reply,
    completed_twice,
    completed_too_late,
    failed_too_late,
    a_run_closes_only_once,
    commands_after_the_close,
    commands_without_content,
    activities_that_are_wrong,
    markers_that_are_wrong,
    wrong_commands_of_a_retry,
    tokens_that_are_none,
    polls_that_are_wrong,
    queues_know_their_pollers,
];

async fn nothing_to_do(s: &mut Script) {
    s.start("wf").await;
    s.describe("wf").await;
    let task = s.poll().await;
    s.describe("wf").await;
    s.complete(&task, []).await;
    s.describe("wf").await;
    s.history("wf").await;
}

async fn what_the_worker_says_of_itself(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let failed =
        service::RespondWorkflowTaskFailedRequest { binary_checksum: "checksum".into(), ..s.fail_request(&task) };
    s.call_as("fail", failed).await;
    let task = s.poll().await;
    s.complete_with(&task, [complete_workflow()], |it| {
        it.binary_checksum = "checksum".into();
        it.sdk_metadata = Some(WorkflowTaskCompletedMetadata {
            core_used_flags: vec![1, 2],
            lang_used_flags: vec![3],
            sdk_name: "script".into(),
            sdk_version: "1.2.3".into(),
        });
    })
    .await;
    s.history("wf").await;
}

async fn commands_say_what_they_are_for(s: &mut Script) {
    let summary = Some(UserMetadata { summary: Some(payload("summary")), details: Some(payload("details")) });
    let described = |mut command: Command| {
        command.user_metadata = summary.clone();
        command
    };
    s.start_with("wf", |it| it.user_metadata = summary.clone()).await;
    let commands = [schedule_activity("a"), start_timer("t", seconds(60)), record_marker("m")].map(described);
    s.task(commands).await;
    s.describe("wf").await;
    s.history("wf").await;
}

async fn a_marker(s: &mut Script) {
    s.start("wf").await;
    s.task([record_marker("first"), record_marker("second"), complete_workflow()]).await;
    s.history("wf").await;
}

/// M: only the first failure is an event; the successful attempt is written when it completes.
async fn failed_twice(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.fail(&task).await;
    let task = s.poll().await;
    s.note("the second attempt, started");
    s.history("wf").await;
    s.describe("wf").await;
    s.fail(&task).await;
    let task = s.poll().await;
    s.complete(&task, [complete_workflow()]).await;
    s.history("wf").await;
}

/// N: the task times out.
async fn timed_out(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_task_timeout = seconds(1)).await;
    let late = s.poll().await;
    let task = s.poll().await;
    let request = s.complete_request(&late, [complete_workflow()]);
    s.refused(request).await;
    s.complete(&task, [complete_workflow()]).await;
    s.history("wf").await;
}

async fn timed_out_twice(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_task_timeout = seconds(1)).await;
    s.poll().await;
    s.poll().await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// A retry that has not started becomes a normal task once there are new events.
async fn a_signal_makes_a_retry_a_task_again(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.fail(&task).await;
    s.history("wf").await;
    s.signal("wf", "wake").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_signal_while_a_retry_is_started(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.fail(&task).await;
    let task = s.poll().await;
    s.signal("wf", "wake").await;
    s.fail(&task).await;
    let task = s.poll().await;
    s.complete(&task, [complete_workflow()]).await;
    s.history("wf").await;
}

async fn the_worker_wants_another_one(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.complete_with(&task, [], |it| it.force_create_new_workflow_task = true).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn another_one_with_the_reply(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let both = |it: &mut service::RespondWorkflowTaskCompletedRequest| {
        it.force_create_new_workflow_task = true;
        it.return_new_workflow_task = true;
    };
    let reply = s.complete_with(&task, [record_marker("m")], both).await;
    let task = reply.workflow_task.expect("a task with the reply");
    let reply = s.complete_with(&task, [], both).await;
    let task = reply.workflow_task.expect("a task with the reply");
    s.note("none is needed");
    s.complete_with(&task, [], |it| it.return_new_workflow_task = true).await;
    s.history("wf").await;
}

async fn completed_twice(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.complete(&task, []).await;
    s.complete_refused(&task, []).await;
    let fail = s.fail_request(&task);
    s.refused(fail).await;
}

async fn completed_too_late(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.terminate("wf").await;
    s.complete_refused(&task, [complete_workflow()]).await;
    s.history("wf").await;
}

async fn failed_too_late(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.fail(&task).await;
    s.poll().await;
    let fail = s.fail_request(&task);
    s.refused(fail).await;
}

async fn a_run_closes_only_once(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.complete_refused(&task, [complete_workflow(), complete_workflow()]).await;
    s.complete_refused(&task, [fail_workflow("first"), cancel_workflow()]).await;
    s.note("the task is still the worker's");
    s.complete(&task, [complete_workflow()]).await;
    s.history("wf").await;
}

async fn commands_after_the_close(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.complete_refused(&task, [complete_workflow(), start_timer("t", seconds(1))]).await;
    s.complete(&task, [start_timer("t", seconds(1)), complete_workflow()]).await;
    s.history("wf").await;
}

async fn commands_without_content(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.complete_refused(&task, [Command::default()]).await;
    s.complete_refused(&task, [Command { command_type: CommandType::StartTimer.into(), ..Command::default() }]).await;
    s.history("wf").await;
    s.terminate("wf").await;
    s.start("empty").await;
    let task = s.poll().await;
    let empty = Attributes::CompleteWorkflowExecutionCommandAttributes(Default::default());
    s.complete(&task, [of(empty)]).await;
    s.history("empty").await;
}

async fn activities_that_are_wrong(s: &mut Script) {
    for (number, commands) in [
        vec![schedule_activity("")],
        vec![schedule_activity_with("no type", |it| it.activity_type = None)],
        vec![schedule_activity_with("no queue", |it| it.task_queue = Some(Default::default()))],
        vec![schedule_activity_with("no timeout", |it| it.start_to_close_timeout = None)],
        vec![schedule_activity_with("negative", |it| it.heartbeat_timeout = seconds(-1))],
        vec![schedule_activity_with("shrinking", |it| {
            it.retry_policy = retry(3);
            it.retry_policy.as_mut().expect("set above").backoff_coefficient = 0.5;
        })],
        vec![schedule_activity("same"), schedule_activity("same")],
        vec![cancel_activity(0)],
        vec![cancel_activity(77)],
    ]
    .into_iter()
    .enumerate()
    {
        let workflow = format!("wf-{number}");
        s.start(&workflow).await;
        let task = s.poll().await;
        s.complete_refused(&task, commands).await;
        s.history(&workflow).await;
        s.terminate(&workflow).await;
    }
}

async fn markers_that_are_wrong(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.complete_refused(&task, [start_timer("not written", seconds(1)), record_marker("")]).await;
    s.history("wf").await;
}

/// Only the first attempt leaves an event; errors of a retry are only reported to the worker.
async fn wrong_commands_of_a_retry(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_task_timeout = seconds(1)).await;
    let task = s.poll().await;
    s.complete_refused(&task, [cancel_timer("unknown")]).await;
    let task = s.poll().await;
    s.complete_refused(&task, [cancel_timer("unknown")]).await;
    s.history("wf").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn tokens_that_are_none(s: &mut Script) {
    let mut task = service::PollWorkflowTaskQueueResponse::default();
    for token in ["", "no token"] {
        task.task_token = token.as_bytes().into();
        s.complete_refused(&task, []).await;
        let fail = s.fail_request(&task);
        s.refused(fail).await;
        let answer = s.answer_request(&task);
        s.refused(answer).await;
    }
}

async fn polls_that_are_wrong(s: &mut Script) {
    let mut bad = vec![s.poll_request(); 4];
    bad[0].namespace = String::new();
    bad[1].task_queue = None;
    bad[2].task_queue.as_mut().expect("a queue").name = String::new();
    bad[3].namespace = "nowhere".into();
    for poll in bad {
        s.refused(poll).await;
    }
    let mut bad = vec![s.poll_activity_request(); 4];
    bad[0].namespace = String::new();
    bad[1].task_queue = None;
    bad[2].task_queue.as_mut().expect("a queue").name = String::new();
    bad[3].namespace = "nowhere".into();
    for poll in bad {
        s.refused(poll).await;
    }
}

async fn queues_know_their_pollers(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let request = service::DescribeTaskQueueRequest {
        namespace: super::super::script::NAMESPACE.into(),
        task_queue: s.queue(),
        task_queue_type: everloop_proto::temporal::api::enums::v1::TaskQueueType::Workflow.into(),
        ..Default::default()
    };
    let pollers = s.quietly(request).await.expect("a description").pollers;
    let identities: Vec<_> = pollers.iter().map(|poller| poller.identity.clone()).collect();
    s.note(&format!("pollers: {identities:?}"));
}
