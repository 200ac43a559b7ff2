//! Runs that continue as new: what the next run inherits, and what becomes of what was pending.

use everloop_proto::temporal::api::{
    common::v1::{Header, Memo, Priority, WorkflowType},
    enums::v1::{ContinueAsNewInitiator as Initiator, WorkflowIdConflictPolicy as Conflict},
    sdk::v1::UserMetadata,
    taskqueue::v1::TaskQueue,
};

use super::super::{
    commands::*,
    messages::acceptance,
    script::{Script, UpdateStage},
    suite::scenarios,
};

scenarios!["continuing":
    plain,
    twice,
    everything_inherited,
    everything_given,
    other_initiators,
    with_a_backoff,
    timeouts_are_bounded,
    with_pending_operations,
    with_a_buffered_signal,
    with_an_admitted_update,
    with_an_accepted_update,
    after_a_cancel_request,
    the_old_run_is_closed,
    requests_by_chain,
    a_start_finds_the_last_run,
    run_timeout_of_the_second,
    execution_timeout_of_the_chain,
    commands_that_are_wrong,
];

async fn plain(s: &mut Script) {
    let first = s.start("wf").await;
    s.task([continue_as_new()]).await;
    s.history_of("wf", &first).await;
    s.describe("wf").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.closed("wf").await;
}

async fn twice(s: &mut Script) {
    s.start("wf").await;
    s.task([continue_as_new()]).await;
    let second = s.describe("wf").await.workflow_execution_info.and_then(|info| info.execution);
    s.task([continue_as_new()]).await;
    s.history_of("wf", &second.expect("it is described").run_id).await;
    s.history("wf").await;
}

/// The command names nothing but the input.
async fn everything_inherited(s: &mut Script) {
    let first = s
        .start_with("wf", |it| {
            it.workflow_execution_timeout = seconds(300);
            it.workflow_run_timeout = seconds(200);
            it.workflow_task_timeout = seconds(20);
            it.memo = Some(Memo { fields: [("note".into(), payload("memo"))].into() });
            it.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
            it.priority = Some(Priority { priority_key: 2, ..Priority::default() });
            it.user_metadata = Some(UserMetadata { summary: Some(payload("summary")), details: None });
            it.last_completion_result = Some(text("an earlier result"));
        })
        .await;
    s.task([continue_as_new()]).await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
    s.describe("wf").await;
}

async fn everything_given(s: &mut Script) {
    let first =
        s.start_with("wf", |it| it.memo = Some(Memo { fields: [("note".into(), payload("memo"))].into() })).await;
    let queue = s.name("other queue");
    let command = continue_as_new_with(|it| {
        it.workflow_type = Some(WorkflowType { name: "Other".into() });
        it.task_queue = Some(TaskQueue { name: queue.clone(), ..TaskQueue::default() });
        it.workflow_run_timeout = seconds(50);
        it.workflow_task_timeout = seconds(5);
        it.memo =
            Some(Memo { fields: [("note".into(), payload("other")), ("none".into(), Default::default())].into() });
        it.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
        it.failure = failure("the last run failed");
        it.last_completion_result = Some(text("an earlier result"));
    });
    s.task([command]).await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
    s.describe("wf").await;
    let mut poll = s.poll_request();
    poll.task_queue.as_mut().expect("a queue").name = queue;
    let task = s.call(poll).await;
    s.complete(&task, [complete_workflow()]).await;
}

async fn other_initiators(s: &mut Script) {
    s.start("wf").await;
    for initiator in [Initiator::Retry, Initiator::Retry, Initiator::CronSchedule] {
        s.task([continue_as_new_with(|it| it.initiator = initiator.into())]).await;
        s.history("wf").await;
    }
}

async fn with_a_backoff(s: &mut Script) {
    let first = s.start("wf").await;
    s.task([continue_as_new_with(|it| it.backoff_start_interval = millis(200))]).await;
    s.signal("wf", "go").await;
    s.history_of("wf", &first).await;
    s.describe("wf").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn timeouts_are_bounded(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_execution_timeout = seconds(300)).await;
    s.task([continue_as_new_with(|it| {
        it.workflow_run_timeout = seconds(400);
        it.workflow_task_timeout = seconds(1000);
    })])
    .await;
    s.history("wf").await;
    s.start("task longer than run").await;
    s.task([continue_as_new()]).await;
    let command = continue_as_new_with(|it| {
        it.workflow_run_timeout = seconds(30);
        it.workflow_task_timeout = seconds(60);
    });
    s.task([command]).await;
    s.history("task longer than run").await;
}

/// They are dropped.
async fn with_pending_operations(s: &mut Script) {
    let first = s.start("wf").await;
    s.task([start_timer("t", seconds(60)), schedule_activity("a"), continue_as_new()]).await;
    s.history_of("wf", &first).await;
    s.describe("wf").await;
    s.task([start_timer("t", seconds(60))]).await;
    s.history("wf").await;
}

async fn with_a_buffered_signal(s: &mut Script) {
    let first = s.start("wf").await;
    let task = s.poll().await;
    s.signal("wf", "go").await;
    s.complete_refused(&task, [continue_as_new()]).await;
    s.task([continue_as_new()]).await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
}

/// Its caller is asked to try again, and the next run gets it.
async fn with_an_admitted_update(s: &mut Script) {
    let first = s.start("wf").await;
    let task = s.poll().await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.complete(&task, [continue_as_new()]).await;
    s.take_refused(update).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.accept_and_complete(&task, [complete_workflow()]).await;
    s.take(update).await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
}

async fn with_an_accepted_update(s: &mut Script) {
    let first = s.start("wf").await;
    s.task([]).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    let accept = acceptance(&task.messages[0]);
    let commands = [protocol_message(&accept.id), continue_as_new()];
    s.complete_with(&task, commands, |it| it.messages = vec![accept]).await;
    s.take(update).await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
}

/// The next run is not cancelled.
async fn after_a_cancel_request(s: &mut Script) {
    let first = s.start("wf").await;
    s.request_cancel("wf").await;
    s.task([continue_as_new()]).await;
    s.describe("wf").await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
}

async fn the_old_run_is_closed(s: &mut Script) {
    let first = s.start("wf").await;
    s.task([continue_as_new()]).await;
    let mut describe = s.describe_request("wf");
    describe.execution.as_mut().expect("a run").run_id.clone_from(&first);
    s.call(describe).await;
    let mut signal = s.signal_request("wf", "go");
    signal.workflow_execution.as_mut().expect("a run").run_id.clone_from(&first);
    s.refused(signal).await;
    let mut update = s.update_request("wf", "u", UpdateStage::Accepted);
    update.workflow_execution.as_mut().expect("a run").run_id.clone_from(&first);
    s.refused(update).await;
    let mut terminate = s.terminate_request("wf");
    terminate.workflow_execution.as_mut().expect("a run").run_id = first;
    s.refused(terminate).await;
}

async fn requests_by_chain(s: &mut Script) {
    let first = s.start("wf").await;
    s.task([continue_as_new()]).await;
    let second = s.describe("wf").await.workflow_execution_info.and_then(|info| info.execution);
    let second = second.expect("it is described").run_id;
    let mut cancel = s.cancel_request("wf");
    cancel.first_execution_run_id.clone_from(&second);
    s.refused(cancel.clone()).await;
    cancel.first_execution_run_id.clone_from(&first);
    s.call(cancel).await;
    let mut terminate = s.terminate_request("wf");
    terminate.first_execution_run_id = second;
    s.refused(terminate.clone()).await;
    terminate.first_execution_run_id = first;
    s.call(terminate).await;
    s.history("wf").await;
}

async fn a_start_finds_the_last_run(s: &mut Script) {
    s.start("wf").await;
    s.task([continue_as_new()]).await;
    let mut again = s.start_request("wf");
    again.request_id = s.name("req-other");
    s.refused(again.clone()).await;
    again.workflow_id_conflict_policy = Conflict::UseExisting.into();
    s.call(again).await;
    // The request that started the first run is not that of the second.
    let same = s.start_request("wf");
    s.refused(same).await;
    let signal = s.signal_with_start_request("wf", "go");
    s.call(signal).await;
    s.history("wf").await;
}

async fn run_timeout_of_the_second(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_run_timeout = seconds(1)).await;
    s.task([continue_as_new()]).await;
    s.closed("wf").await;
    s.describe("wf").await;
}

async fn execution_timeout_of_the_chain(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_execution_timeout = seconds(2)).await;
    s.task([continue_as_new()]).await;
    s.task([continue_as_new()]).await;
    s.history("wf").await;
    s.closed("wf").await;
}

async fn commands_that_are_wrong(s: &mut Script) {
    let negative = seconds(-1);
    for (workflow, command) in [
        ("type", continue_as_new_with(|it| it.workflow_type = Some(WorkflowType { name: "x".repeat(1001) }))),
        ("timeout", continue_as_new_with(|it| it.workflow_run_timeout = negative)),
        ("backoff", continue_as_new_with(|it| it.backoff_start_interval = negative)),
    ] {
        s.start(workflow).await;
        let task = s.poll().await;
        s.complete_refused(&task, [command]).await;
        s.terminate(workflow).await;
        s.history(workflow).await;
    }
    s.start("not the last one").await;
    let task = s.poll().await;
    s.complete_refused(&task, [continue_as_new(), complete_workflow()]).await;
}
