//! Signals and cancel requests from a workflow to another one.

use everloop_proto::temporal::api::common::v1::Header;

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["externals":
    a_signal,
    a_signal_to_a_child,
    a_signal_with_a_header,
    a_signal_to_one_run,
    a_signal_to_nobody,
    a_signal_to_a_closed_run,
    a_signal_to_itself,
    a_signal_to_a_child_of_another,
    a_signal_in_the_last_task,
    the_signal_arrives_while_the_source_has_a_task,
    a_cancel_request,
    a_cancel_request_in_the_last_task,
    a_cancel_request_to_nobody,
    a_cancel_request_to_a_closed_run,
    a_cancel_request_to_itself,
    signals_without_what_they_need,
    cancel_requests_without_what_they_need,
];

/// Starts `target` on the queue of children, with one task done.
async fn start_target(s: &mut Script) {
    let queue = s.child_queue();
    s.start_with("target", |it| it.task_queue = queue).await;
    s.child_task([]).await;
}

/// W: a signal to a running workflow.
async fn a_signal(s: &mut Script) {
    start_target(s).await;
    s.start("wf").await;
    let signal = signal_external(s.name("target"), |_| {});
    s.task([signal]).await;
    s.task([complete_workflow()]).await;
    s.child_task([complete_workflow()]).await;
    s.history("wf").await;
    s.history("target").await;
}

async fn a_signal_to_a_child(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.child_task([]).await;
    let signal = signal_external(s.name("child"), |it| it.child_workflow_only = true);
    s.task([signal]).await;
    s.task([]).await;
    s.child_task([]).await;
    s.history("wf").await;
    s.history("child").await;
}

async fn a_signal_with_a_header(s: &mut Script) {
    start_target(s).await;
    s.start("wf").await;
    let signal = signal_external(s.name("target"), |it| {
        it.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
        it.input = None;
    });
    s.task([signal]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.history("target").await;
}

async fn a_signal_to_one_run(s: &mut Script) {
    let queue = s.child_queue();
    let run_id = s.start_with("target", |it| it.task_queue = queue).await;
    s.child_task([]).await;
    s.start("wf").await;
    let signal = signal_external(s.name("target"), |it| {
        it.execution.as_mut().expect("it is set").run_id = run_id;
    });
    s.task([signal]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_signal_to_nobody(s: &mut Script) {
    s.start("wf").await;
    let signal = signal_external(s.name("nobody"), |_| {});
    s.task([signal]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_signal_to_a_closed_run(s: &mut Script) {
    start_target(s).await;
    s.terminate("target").await;
    s.start("wf").await;
    let signal = signal_external(s.name("target"), |_| {});
    s.task([signal]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_signal_to_itself(s: &mut Script) {
    s.start("wf").await;
    let signal = signal_external(s.name("wf"), |_| {});
    s.task([signal]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_signal_to_a_child_of_another(s: &mut Script) {
    start_target(s).await;
    s.start("wf").await;
    let signal = signal_external(s.name("target"), |it| it.child_workflow_only = true);
    s.task([signal]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// The source has closed before the signal leaves, so it is never sent.
async fn a_signal_in_the_last_task(s: &mut Script) {
    start_target(s).await;
    s.start("wf").await;
    let command = signal_external(s.name("target"), |_| {});
    s.task([command, complete_workflow()]).await;
    s.closed("wf").await;
    // One of another workflow, which would have followed.
    s.start("other").await;
    let command = signal_external(s.name("target"), |it| it.signal_name = "of another".into());
    s.task([command]).await;
    s.task([complete_workflow()]).await;
    s.child_task([complete_workflow()]).await;
    s.history("wf").await;
    s.history("target").await;
}

async fn the_signal_arrives_while_the_source_has_a_task(s: &mut Script) {
    start_target(s).await;
    s.start("wf").await;
    let signal = signal_external(s.name("target"), |_| {});
    let task = s.poll().await;
    let reply = s
        .complete_with(&task, [signal], |it| {
            it.force_create_new_workflow_task = true;
            it.return_new_workflow_task = true;
        })
        .await;
    s.child_task([]).await;
    s.complete(&reply.workflow_task.expect("it was requested"), []).await;
    s.task([]).await;
    s.history("wf").await;
}

async fn a_cancel_request(s: &mut Script) {
    start_target(s).await;
    s.start("wf").await;
    let cancel = cancel_external(s.name("target"), |_| {});
    s.task([cancel]).await;
    s.task([complete_workflow()]).await;
    s.child_task([cancel_workflow()]).await;
    s.history("wf").await;
    s.history("target").await;
}

/// The source has closed before the request leaves, so it is never sent.
async fn a_cancel_request_in_the_last_task(s: &mut Script) {
    start_target(s).await;
    s.start("wf").await;
    let command = cancel_external(s.name("target"), |_| {});
    s.task([command, complete_workflow()]).await;
    s.closed("wf").await;
    // One of another workflow, which would have followed.
    s.start("other").await;
    let command = signal_external(s.name("target"), |it| it.signal_name = "of another".into());
    s.task([command]).await;
    s.task([complete_workflow()]).await;
    s.child_task([complete_workflow()]).await;
    s.history("wf").await;
    s.history("target").await;
}

async fn a_cancel_request_to_nobody(s: &mut Script) {
    s.start("wf").await;
    let cancel = cancel_external(s.name("nobody"), |_| {});
    s.task([cancel]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// It has ended, which is what was wanted.
async fn a_cancel_request_to_a_closed_run(s: &mut Script) {
    start_target(s).await;
    s.terminate("target").await;
    s.start("wf").await;
    let cancel = cancel_external(s.name("target"), |_| {});
    s.task([cancel]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_cancel_request_to_itself(s: &mut Script) {
    s.start("wf").await;
    let cancel = cancel_external(s.name("wf"), |_| {});
    s.task([cancel]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn signals_without_what_they_need(s: &mut Script) {
    let target = s.name("target");
    let wrong = [
        signal_external(target.clone(), |it| it.execution = None),
        signal_external(String::new(), |_| {}),
        signal_external(target.clone(), |it| it.signal_name = String::new()),
        signal_external(target.clone(), |it| it.namespace = "elsewhere".into()),
        signal_external(target, |it| it.execution.as_mut().expect("it is set").run_id = "no run id".into()),
    ];
    s.each_refused(wrong).await;
}

async fn cancel_requests_without_what_they_need(s: &mut Script) {
    let target = s.name("target");
    let wrong = [
        cancel_external(String::new(), |_| {}),
        cancel_external(target.clone(), |it| it.namespace = "elsewhere".into()),
        cancel_external(target, |it| it.run_id = "no run id".into()),
    ];
    s.each_refused(wrong).await;
}
