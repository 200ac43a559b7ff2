//! Sticky queues: those of one worker, for runs in its cache.

use everloop_proto::temporal::api::workflowservice::v1 as service;

use super::super::{
    commands::*,
    script::{NAMESPACE, Script},
    suite::scenarios,
};

scenarios!["sticky":
    only_what_is_new,
    nobody_polls_it,
    the_worker_went_away,
    the_worker_says_good_bye,
    the_worker_forgot_the_run,
    another_worker_takes_over,
    a_failure_on_it,
    a_timeout_on_it,
];

/// A run in its worker's cache, with a timer pending.
async fn cached(s: &mut Script, wait: i64) {
    s.start_with("wf", |it| it.workflow_task_timeout = seconds(2)).await;
    let task = s.poll().await;
    let sticky = s.sticky(wait);
    s.complete_with(&task, [start_timer("t", seconds(60))], |it| it.sticky_attributes = sticky).await;
}

async fn only_what_is_new(s: &mut Script) {
    cached(s, 10).await;
    let poll = s.poll_sticky_later().await;
    s.signal("wf", "wake").await;
    let task = s.take(poll).await;
    let sticky = s.sticky(10);
    s.complete_with(&task, [], |it| it.sticky_attributes = sticky).await;
    let poll = s.poll_sticky_later().await;
    s.signal("wf", "wake again").await;
    let task = s.take(poll).await;
    s.complete(&task, [complete_workflow()]).await;
    s.history("wf").await;
}

/// O: a queue without pollers is skipped.
async fn nobody_polls_it(s: &mut Script) {
    cached(s, 1).await;
    s.signal("wf", "wake").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// O: the worker polled recently, but takes no more tasks.
async fn the_worker_went_away(s: &mut Script) {
    cached(s, 1).await;
    let poll = s.poll_sticky_later().await;
    s.signal("wf", "wake").await;
    let task = s.take(poll).await;
    let sticky = s.sticky(1);
    s.complete_with(&task, [], |it| it.sticky_attributes = sticky).await;
    s.signal("wf", "wake again").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn the_worker_says_good_bye(s: &mut Script) {
    cached(s, 10).await;
    let poll = s.poll_sticky_later().await;
    s.signal("wf", "wake").await;
    let task = s.take(poll).await;
    let sticky = s.sticky(10);
    s.complete_with(&task, [], |it| it.sticky_attributes = sticky).await;
    let request = service::ShutdownWorkerRequest {
        namespace: NAMESPACE.into(),
        sticky_task_queue: s.name("sticky"),
        identity: "worker".into(),
        reason: "done".into(),
        ..Default::default()
    };
    s.call(request).await;
    s.signal("wf", "wake again").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn the_worker_forgot_the_run(s: &mut Script) {
    cached(s, 10).await;
    let mut request = service::ResetStickyTaskQueueRequest { namespace: NAMESPACE.into(), execution: s.run("wf") };
    s.call(request.clone()).await;
    s.signal("wf", "wake").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.refused(request.clone()).await;
    request.execution = s.run("nobody");
    s.refused(request).await;
}

async fn another_worker_takes_over(s: &mut Script) {
    cached(s, 1).await;
    s.signal("wf", "wake").await;
    let task = s.poll().await;
    s.complete(&task, []).await;
    s.signal("wf", "wake again").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// The first failure on a sticky queue sends the run back to the normal queue, as a first attempt.
async fn a_failure_on_it(s: &mut Script) {
    cached(s, 10).await;
    let poll = s.poll_sticky_later().await;
    s.signal("wf", "wake").await;
    let task = s.take(poll).await;
    s.fail(&task).await;
    let task = s.poll().await;
    s.fail(&task).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_timeout_on_it(s: &mut Script) {
    cached(s, 10).await;
    let poll = s.poll_sticky_later().await;
    s.signal("wf", "wake").await;
    s.take(poll).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}
