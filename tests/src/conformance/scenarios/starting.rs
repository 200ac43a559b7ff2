//! Starting runs: policies, repeated requests, delays, and invalid requests.

use everloop_proto::temporal::api::{
    common::v1::{Header, Memo, Priority},
    enums::v1::{WorkflowIdConflictPolicy as Conflict, WorkflowIdReusePolicy as Reuse},
    workflow::v1::OnConflictOptions,
};

use super::super::{
    commands::*,
    script::{Script, UpdateStage},
    suite::scenarios,
};

scenarios!["starting":
    everything_given,
    timeouts_are_bounded,
    an_id_in_use,
    use_the_existing_one,
    use_the_existing_one_and_say_so,
    terminate_the_existing_one,
    terminate_the_existing_one_with_a_started_task,
    the_old_way_to_terminate,
    the_same_request,
    the_same_request_after_the_close,
    after_it_completed,
    after_it_failed,
    after_it_was_terminated,
    policies_that_exclude_each_other,
    with_the_first_task,
    with_the_first_task_refused,
    a_delay,
    a_delay_and_a_signal,
    a_delay_and_signal_with_start,
    a_delay_and_a_cancel,
    a_delay_and_an_update,
    a_delay_and_the_end,
    a_delay_of_signal_with_start,
    requests_that_are_wrong,
];

async fn everything_given(s: &mut Script) {
    s.start_with("wf", |it| {
        it.workflow_execution_timeout = seconds(300);
        it.workflow_run_timeout = seconds(200);
        it.workflow_task_timeout = seconds(20);
        it.memo = Some(Memo { fields: [("note".into(), payload("memo"))].into() });
        it.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
        it.priority = Some(Priority { priority_key: 2, ..Priority::default() });
    })
    .await;
    s.describe("wf").await;
    s.task([complete_workflow()]).await;
    s.describe("wf").await;
    s.history("wf").await;
}

async fn timeouts_are_bounded(s: &mut Script) {
    s.start_with("run-longer-than-all", |it| {
        it.workflow_execution_timeout = seconds(300);
        it.workflow_run_timeout = seconds(400);
        it.workflow_task_timeout = seconds(1000);
    })
    .await;
    s.history("run-longer-than-all").await;
    s.start_with("only-all", |it| it.workflow_execution_timeout = seconds(300)).await;
    s.history("only-all").await;
    s.start_with("task-longer-than-run", |it| {
        it.workflow_run_timeout = seconds(30);
        it.workflow_task_timeout = seconds(60);
    })
    .await;
    s.history("task-longer-than-run").await;
}

async fn an_id_in_use(s: &mut Script) {
    s.start("wf").await;
    let mut again = s.start_request("wf");
    again.request_id = s.name("req-other");
    s.refused(again).await;
}

async fn use_the_existing_one(s: &mut Script) {
    s.start("wf").await;
    s.start_with("wf", |it| {
        it.request_id = "req-other".into();
        it.workflow_id_conflict_policy = Conflict::UseExisting.into();
    })
    .await;
    s.history("wf").await;
}

async fn use_the_existing_one_and_say_so(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    for _ in 0..2 {
        s.start_with("wf", |it| {
            it.request_id = "req-other".into();
            it.workflow_id_conflict_policy = Conflict::UseExisting.into();
            it.on_conflict_options = Some(OnConflictOptions { attach_request_id: true, ..Default::default() });
        })
        .await;
    }
    s.history("wf").await;
    s.describe("wf").await;
}

async fn terminate_the_existing_one(s: &mut Script) {
    let first = s.start("wf").await;
    s.start_with("wf", |it| {
        it.request_id = "req-other".into();
        it.workflow_id_conflict_policy = Conflict::TerminateExisting.into();
    })
    .await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
}

async fn terminate_the_existing_one_with_a_started_task(s: &mut Script) {
    let first = s.start("wf").await;
    s.poll().await;
    s.start_with("wf", |it| {
        it.request_id = "req-other".into();
        it.workflow_id_conflict_policy = Conflict::TerminateExisting.into();
    })
    .await;
    s.history_of("wf", &first).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn the_old_way_to_terminate(s: &mut Script) {
    let first = s.start("wf").await;
    s.start_with("wf", |it| {
        it.request_id = "req-other".into();
        it.workflow_id_reuse_policy = Reuse::TerminateIfRunning.into();
    })
    .await;
    s.history_of("wf", &first).await;
}

async fn the_same_request(s: &mut Script) {
    s.start("wf").await;
    s.start("wf").await;
    s.task([]).await;
    s.start("wf").await;
    s.history("wf").await;
}

async fn the_same_request_after_the_close(s: &mut Script) {
    s.start("wf").await;
    s.task([complete_workflow()]).await;
    s.start("wf").await;
    s.start_with("wf", |it| it.workflow_id_reuse_policy = Reuse::RejectDuplicate.into()).await;
}

/// Each reuse policy on a closed run.
async fn reuse(s: &mut Script) {
    for policy in [Reuse::RejectDuplicate, Reuse::AllowDuplicateFailedOnly, Reuse::AllowDuplicate] {
        s.note(&format!("{policy:?}"));
        let mut request = s.start_request("wf");
        request.request_id = s.name(&format!("req-{policy:?}"));
        request.workflow_id_reuse_policy = policy.into();
        let later = s.later(request);
        s.take_either(later).await;
    }
    s.history("wf").await;
}

async fn after_it_completed(s: &mut Script) {
    s.start("wf").await;
    s.task([complete_workflow()]).await;
    reuse(s).await;
}

async fn after_it_failed(s: &mut Script) {
    s.start("wf").await;
    s.task([fail_workflow("no")]).await;
    reuse(s).await;
}

async fn after_it_was_terminated(s: &mut Script) {
    s.start("wf").await;
    s.terminate("wf").await;
    reuse(s).await;
}

async fn policies_that_exclude_each_other(s: &mut Script) {
    for (reuse, conflict) in
        [(Reuse::RejectDuplicate, Conflict::TerminateExisting), (Reuse::TerminateIfRunning, Conflict::UseExisting)]
    {
        let mut request = s.start_request("wf");
        request.workflow_id_reuse_policy = reuse.into();
        request.workflow_id_conflict_policy = conflict.into();
        s.refused(request).await;
    }
}

async fn with_the_first_task(s: &mut Script) {
    let mut request = s.start_request("wf");
    request.request_eager_execution = true;
    let task = s.call(request.clone()).await.eager_workflow_task.expect("the task");
    s.note("asked again before it is completed");
    s.call(request).await;
    s.complete(&task, [complete_workflow()]).await;
    s.history("wf").await;
}

/// A start with a delay has no first task yet.
async fn with_the_first_task_refused(s: &mut Script) {
    s.start_with("wf", |it| {
        it.request_eager_execution = true;
        it.workflow_start_delay = seconds(60);
    })
    .await;
    s.history("wf").await;
}

async fn a_delay(s: &mut Script) {
    s.start_with("wf", |it| {
        it.workflow_start_delay = seconds(1);
        it.workflow_run_timeout = seconds(50);
    })
    .await;
    s.describe("wf").await;
    s.history("wf").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// G: a signal does not shorten the delay.
async fn a_delay_and_a_signal(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_start_delay = seconds(2)).await;
    s.signal("wf", "wake").await;
    s.history("wf").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_delay_and_signal_with_start(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_start_delay = seconds(60)).await;
    let request = s.signal_with_start_request("wf", "wake");
    s.call(request).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_delay_and_a_cancel(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_start_delay = seconds(60)).await;
    s.request_cancel("wf").await;
    s.task([cancel_workflow()]).await;
    s.history("wf").await;
}

async fn a_delay_and_an_update(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_start_delay = seconds(60)).await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    let task = s.poll().await;
    s.accept_and_complete(&task, [complete_workflow()]).await;
    s.take(update).await;
    s.history("wf").await;
}

async fn a_delay_and_the_end(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_start_delay = seconds(60)).await;
    s.terminate("wf").await;
    s.history("wf").await;
}

async fn a_delay_of_signal_with_start(s: &mut Script) {
    let mut request = s.signal_with_start_request("wf", "wake");
    request.workflow_start_delay = seconds(1);
    s.call(request).await;
    s.history("wf").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn requests_that_are_wrong(s: &mut Script) {
    let mut bad = vec![s.start_request("wf"); 15];
    bad[0].workflow_id = String::new();
    bad[1].workflow_id = "n".repeat(1001);
    bad[2].workflow_type = None;
    bad[3].workflow_type.as_mut().expect("a type").name = String::new();
    bad[4].workflow_type.as_mut().expect("a type").name = "n".repeat(1001);
    bad[5].task_queue = None;
    bad[6].task_queue.as_mut().expect("a queue").name = String::new();
    bad[7].workflow_run_timeout = seconds(-1);
    bad[8].workflow_execution_timeout = seconds(-1);
    bad[9].workflow_task_timeout = seconds(-1);
    bad[10].workflow_start_delay = seconds(-1);
    bad[11].namespace = String::new();
    bad[12].namespace = "nowhere".into();
    bad[13].request_id = "n".repeat(1001);
    bad[14].task_queue.as_mut().expect("a queue").name = "n".repeat(1001);
    for request in bad {
        s.refused(request).await;
    }
}
