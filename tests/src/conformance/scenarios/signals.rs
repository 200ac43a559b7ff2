//! Signals, and signals that start a workflow.

use everloop_proto::temporal::api::{
    common::v1::{Header, Memo},
    enums::v1::{WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
};

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["signals":
    before_the_first_poll,
    the_worker_wanted_to_complete,
    while_a_task_is_started,
    while_a_task_is_started_and_the_next_comes_with_the_reply,
    on_an_idle_run,
    the_same_request,
    the_close_goes_before_more_signals,
    refused_ones,
    with_start,
    with_start_of_a_running_one,
    with_start_the_same_request,
    with_start_after_a_close,
    with_start_policies,
    with_start_refused,
];

/// C: a signal between the first task and its poll.
async fn before_the_first_poll(s: &mut Script) {
    s.start("wf").await;
    s.signal("wf", "wake").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// D: a run cannot close before its worker has seen all signals.
async fn the_worker_wanted_to_complete(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.signal("wf", "wake").await;
    s.complete_refused(&task, [complete_workflow()]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// E: the signal is written after the commands, with a new task.
async fn while_a_task_is_started(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.signal("wf", "wake").await;
    s.history("wf").await;
    s.complete(&task, [start_timer("t", seconds(60))]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// E: the same, for a worker that gets the new task in the response.
async fn while_a_task_is_started_and_the_next_comes_with_the_reply(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.signal("wf", "wake").await;
    let sticky = s.sticky(10);
    let reply = s
        .complete_with(&task, [], |it| {
            it.sticky_attributes = sticky;
            it.return_new_workflow_task = true;
        })
        .await;
    let next = reply.workflow_task.expect("a task with the reply");
    s.complete(&next, [complete_workflow()]).await;
    s.history("wf").await;
}

async fn on_an_idle_run(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let mut signal = s.signal_request("wf", "wake");
    signal.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
    s.call(signal).await;
    s.signal("wf", "wake again").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn the_same_request(s: &mut Script) {
    s.start("wf").await;
    let mut signal = s.signal_request("wf", "wake");
    signal.request_id = s.name("req-signal");
    s.call(signal.clone()).await;
    s.call(signal.clone()).await;
    s.task([complete_workflow()]).await;
    s.call(signal).await;
    s.history("wf").await;
}

/// After a rejected close, the worker's next attempt is not disturbed by new signals.
async fn the_close_goes_before_more_signals(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.signal("wf", "first").await;
    s.complete_refused(&task, [complete_workflow()]).await;
    s.signal("wf", "second").await;
    let task = s.poll().await;
    let third = s.signal_request("wf", "third");
    s.refused(third).await;
    s.complete(&task, [complete_workflow()]).await;
    s.history("wf").await;
}

async fn refused_ones(s: &mut Script) {
    let unknown = s.signal_request("nobody", "wake");
    s.refused(unknown).await;
    s.start("wf").await;
    s.task([complete_workflow()]).await;
    let mut signal = s.signal_request("wf", "wake");
    s.refused(signal.clone()).await;
    signal.signal_name = String::new();
    s.refused(signal.clone()).await;
    signal.signal_name = "n".repeat(1001);
    s.refused(signal.clone()).await;
    signal.signal_name = "wake".into();
    signal.workflow_execution = None;
    s.refused(signal.clone()).await;
    signal.workflow_execution = s.run("wf");
    signal.workflow_execution.as_mut().expect("set above").run_id = "no run id".into();
    s.refused(signal).await;
}

/// F: signal-with-start creates the run, with the signal before the first task.
async fn with_start(s: &mut Script) {
    let mut request = s.signal_with_start_request("wf", "wake");
    request.memo = Some(Memo { fields: [("note".into(), payload("memo"))].into() });
    request.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
    s.call(request).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn with_start_of_a_running_one(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let request = s.signal_with_start_request("wf", "wake");
    s.call(request).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn with_start_the_same_request(s: &mut Script) {
    let request = s.signal_with_start_request("wf", "wake");
    s.call(request.clone()).await;
    s.call(request).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn with_start_after_a_close(s: &mut Script) {
    s.start("wf").await;
    s.task([complete_workflow()]).await;
    let mut request = s.signal_with_start_request("wf", "wake");
    request.workflow_id_reuse_policy = WorkflowIdReusePolicy::RejectDuplicate.into();
    s.refused(request.clone()).await;
    request.workflow_id_reuse_policy = WorkflowIdReusePolicy::AllowDuplicateFailedOnly.into();
    s.refused(request.clone()).await;
    request.workflow_id_reuse_policy = WorkflowIdReusePolicy::AllowDuplicate.into();
    s.call(request).await;
    s.history("wf").await;
}

async fn with_start_policies(s: &mut Script) {
    let first = s.start("wf").await;
    s.task([]).await;
    let mut request = s.signal_with_start_request("wf", "wake");
    request.workflow_id_conflict_policy = WorkflowIdConflictPolicy::Fail.into();
    s.refused(request.clone()).await;
    request.workflow_id_conflict_policy = WorkflowIdConflictPolicy::TerminateExisting.into();
    s.call(request).await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
}

async fn with_start_refused(s: &mut Script) {
    let good = s.signal_with_start_request("wf", "wake");
    let mut bad = vec![good; 5];
    bad[0].signal_name = String::new();
    bad[1].workflow_id = String::new();
    bad[2].workflow_type = None;
    bad[3].task_queue = None;
    bad[4].namespace = String::new();
    for request in bad {
        s.refused(request).await;
    }
}
