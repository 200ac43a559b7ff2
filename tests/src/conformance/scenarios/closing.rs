//! Ends of runs: completed, failed, cancelled, terminated, timed out.

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["closing":
    completed,
    failed,
    cancelled,
    cancelled_while_a_task_is_started,
    cancelled_twice,
    cancelled_but_completed,
    cancel_after_the_close,
    cancel_by_chain,
    cancel_refused,
    terminated_with_a_started_task,
    terminated_with_a_waiting_task,
    terminated_while_idle,
    terminated_with_waiting_events,
    terminated_twice,
    terminate_by_run,
    terminate_refused,
    run_timeout,
    run_timeout_while_idle,
    run_timeout_before_the_first_task,
    execution_timeout,
];

async fn completed(s: &mut Script) {
    s.start("wf").await;
    s.task([complete_workflow()]).await;
    s.closed("wf").await;
    s.describe("wf").await;
}

async fn failed(s: &mut Script) {
    s.start("wf").await;
    s.task([fail_workflow("no")]).await;
    s.closed("wf").await;
    s.describe("wf").await;
    s.history("wf").await;
}

/// K: the cancellation request, a task, and the worker's response to it.
async fn cancelled(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    s.request_cancel("wf").await;
    s.describe("wf").await;
    s.task([cancel_workflow()]).await;
    s.closed("wf").await;
    s.history("wf").await;
}

async fn cancelled_while_a_task_is_started(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    s.request_cancel("wf").await;
    s.complete_refused(&task, [complete_workflow()]).await;
    s.task([cancel_workflow()]).await;
    s.history("wf").await;
}

async fn cancelled_twice(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    s.request_cancel("wf").await;
    s.request_cancel("wf").await;
    let mut other = s.cancel_request("wf");
    other.request_id = s.name("req-other");
    s.call(other).await;
    s.history("wf").await;
}

async fn cancelled_but_completed(s: &mut Script) {
    s.start("wf").await;
    s.request_cancel("wf").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn cancel_after_the_close(s: &mut Script) {
    s.start("wf").await;
    s.task([complete_workflow()]).await;
    s.request_cancel("wf").await;
    s.history("wf").await;
}

/// A chain is identified by its first run.
async fn cancel_by_chain(s: &mut Script) {
    let first = s.start("wf").await;
    s.task([]).await;
    let mut request = s.cancel_request("wf");
    request.first_execution_run_id = uuid::Uuid::new_v4().to_string();
    s.refused(request.clone()).await;
    request.first_execution_run_id = first;
    s.call(request).await;
    s.history("wf").await;
}

async fn cancel_refused(s: &mut Script) {
    let mut request = s.cancel_request("nobody");
    s.refused(request.clone()).await;
    request.workflow_execution = None;
    s.refused(request.clone()).await;
    s.start("wf").await;
    request.workflow_execution = s.run("wf");
    request.workflow_execution.as_mut().expect("set above").run_id = uuid::Uuid::new_v4().to_string();
    s.refused(request.clone()).await;
    request.workflow_execution.as_mut().expect("set above").run_id = "no run id".into();
    s.refused(request).await;
}

/// L: a started task is failed first.
async fn terminated_with_a_started_task(s: &mut Script) {
    s.start("wf").await;
    s.poll().await;
    s.terminate("wf").await;
    s.closed("wf").await;
    s.history("wf").await;
}

async fn terminated_with_a_waiting_task(s: &mut Script) {
    s.start("wf").await;
    s.terminate("wf").await;
    s.history("wf").await;
    s.describe("wf").await;
}

async fn terminated_while_idle(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a"), start_timer("t", seconds(60))]).await;
    s.terminate("wf").await;
    s.history("wf").await;
    s.describe("wf").await;
}

async fn terminated_with_waiting_events(s: &mut Script) {
    s.start("wf").await;
    s.poll().await;
    s.signal("wf", "wake").await;
    s.terminate("wf").await;
    s.history("wf").await;
}

async fn terminated_twice(s: &mut Script) {
    s.start("wf").await;
    s.terminate("wf").await;
    let again = s.terminate_request("wf");
    s.refused(again).await;
}

async fn terminate_by_run(s: &mut Script) {
    let run_id = s.start("wf").await;
    let mut request = s.terminate_request("wf");
    request.first_execution_run_id = uuid::Uuid::new_v4().to_string();
    s.refused(request.clone()).await;
    request.first_execution_run_id = run_id.clone();
    request.workflow_execution.as_mut().expect("a run").run_id = run_id;
    request.reason = String::new();
    request.details = None;
    s.call(request).await;
    s.history("wf").await;
}

async fn terminate_refused(s: &mut Script) {
    let mut request = s.terminate_request("nobody");
    s.refused(request.clone()).await;
    request.workflow_execution = None;
    s.refused(request.clone()).await;
    request.namespace = "nowhere".into();
    s.refused(request.clone()).await;
    request.namespace = String::new();
    s.refused(request).await;
}

/// V: a started task is failed first.
async fn run_timeout(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_run_timeout = seconds(1)).await;
    s.poll().await;
    s.closed("wf").await;
    s.history("wf").await;
    s.describe("wf").await;
}

async fn run_timeout_while_idle(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_run_timeout = seconds(1)).await;
    s.task([start_timer("t", seconds(60)), schedule_activity("a")]).await;
    s.closed("wf").await;
    s.history("wf").await;
}

async fn run_timeout_before_the_first_task(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_run_timeout = seconds(1)).await;
    s.closed("wf").await;
    s.history("wf").await;
}

async fn execution_timeout(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_execution_timeout = seconds(1)).await;
    s.task([]).await;
    s.closed("wf").await;
    s.history("wf").await;
}
