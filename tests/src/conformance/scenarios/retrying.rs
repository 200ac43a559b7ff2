//! Workflows with a retry policy: each attempt is a run.

use everloop_proto::temporal::api::common::v1::{Header, Memo, RetryPolicy};

use super::super::{
    commands::*,
    script::{Script, UpdateStage},
    suite::scenarios,
};

scenarios!["retrying":
    until_it_completes,
    until_there_are_no_attempts_left,
    everything_is_inherited,
    final_failures,
    a_delay_that_the_workflow_asks_for,
    intervals_grow,
    a_run_timeout_is_retried,
    a_run_timeout_that_is_final,
    no_attempt_after_the_execution_timeout,
    ends_that_are_not_failures,
    a_run_that_continues_as_new,
    with_an_accepted_update,
    policies_that_are_wrong,
];

/// The run id of the current run.
async fn run_id(s: &mut Script, workflow: &str) -> String {
    let request = s.describe_request(workflow);
    let described = s.quietly(request).await.expect("it is there");
    described.workflow_execution_info.and_then(|info| info.execution).expect("it is described").run_id
}

async fn until_it_completes(s: &mut Script) {
    let first = s.start_with("wf", |it| it.retry_policy = retry(5)).await;
    s.task([fail_workflow("no")]).await;
    s.history_of("wf", &first).await;
    let second = run_id(s, "wf").await;
    s.describe("wf").await;
    s.task([fail_workflow("no again")]).await;
    s.history_of("wf", &second).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.describe("wf").await;
}

async fn until_there_are_no_attempts_left(s: &mut Script) {
    s.start_with("wf", |it| it.retry_policy = retry(2)).await;
    s.task([fail_workflow("no")]).await;
    s.task([fail_workflow("no")]).await;
    s.closed("wf").await;
    s.describe("wf").await;
}

async fn everything_is_inherited(s: &mut Script) {
    s.start_with("wf", |it| {
        it.retry_policy = retry(5);
        it.workflow_execution_timeout = seconds(300);
        it.workflow_run_timeout = seconds(200);
        it.workflow_task_timeout = seconds(20);
        it.memo = Some(Memo { fields: [("note".into(), payload("memo"))].into() });
        it.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
        it.last_completion_result = Some(text("an earlier result"));
        it.workflow_start_delay = millis(100);
    })
    .await;
    s.task([fail_workflow("no")]).await;
    s.history("wf").await;
    s.describe("wf").await;
}

async fn final_failures(s: &mut Script) {
    let non_retryable = application_failure("no", |info| info.non_retryable = true);
    s.start_with("non retryable", |it| it.retry_policy = retry(5)).await;
    s.task([fail_workflow_with(non_retryable)]).await;
    s.closed("non retryable").await;
    s.start_with("listed", |it| {
        let listed = vec!["Oops".to_owned()];
        it.retry_policy = retry(5).map(|policy| RetryPolicy { non_retryable_error_types: listed, ..policy });
    })
    .await;
    s.task([fail_workflow("no")]).await;
    s.closed("listed").await;
    s.start("no policy").await;
    s.task([fail_workflow("no")]).await;
    s.closed("no policy").await;
}

async fn a_delay_that_the_workflow_asks_for(s: &mut Script) {
    let policy = |maximum| retry(5).map(|policy| RetryPolicy { maximum_interval: maximum, ..policy });
    for (workflow, maximum) in [("short", millis(150)), ("long", millis(600))] {
        s.start_with(workflow, |it| it.retry_policy = policy(maximum)).await;
        let delayed = application_failure("no", |info| info.next_retry_delay = millis(300));
        s.task([fail_workflow_with(delayed)]).await;
        s.history(workflow).await;
        s.task([complete_workflow()]).await;
    }
}

async fn intervals_grow(s: &mut Script) {
    s.start_with("wf", |it| {
        let policy = retry(5).map(|policy| RetryPolicy {
            initial_interval: millis(50),
            backoff_coefficient: 3.0,
            maximum_interval: millis(200),
            ..policy
        });
        it.retry_policy = policy;
    })
    .await;
    for _ in 0..3 {
        s.task([fail_workflow("no")]).await;
        s.history("wf").await;
    }
}

async fn a_run_timeout_is_retried(s: &mut Script) {
    let first = s
        .start_with("wf", |it| {
            it.retry_policy = retry(5);
            it.workflow_run_timeout = seconds(1);
            it.last_completion_result = Some(text("an earlier result"));
        })
        .await;
    s.poll().await;
    s.task([complete_workflow()]).await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
}

async fn a_run_timeout_that_is_final(s: &mut Script) {
    s.start_with("wf", |it| {
        let listed = vec!["TemporalTimeout:StartToClose".to_owned()];
        it.retry_policy = retry(5).map(|policy| RetryPolicy { non_retryable_error_types: listed, ..policy });
        it.workflow_run_timeout = seconds(1);
    })
    .await;
    s.closed("wf").await;
}

async fn no_attempt_after_the_execution_timeout(s: &mut Script) {
    s.start_with("wf", |it| {
        it.retry_policy = retry(5).map(|policy| RetryPolicy { initial_interval: seconds(60), ..policy });
        it.workflow_execution_timeout = seconds(30);
    })
    .await;
    s.task([fail_workflow("no")]).await;
    s.closed("wf").await;
    s.start_with("timeout", |it| {
        it.retry_policy = retry(5);
        it.workflow_execution_timeout = seconds(1);
    })
    .await;
    s.closed("timeout").await;
}

async fn ends_that_are_not_failures(s: &mut Script) {
    s.start_with("cancelled", |it| it.retry_policy = retry(5)).await;
    s.request_cancel("cancelled").await;
    s.task([cancel_workflow()]).await;
    s.closed("cancelled").await;
    s.start_with("terminated", |it| it.retry_policy = retry(5)).await;
    s.terminate("terminated").await;
    s.closed("terminated").await;
    s.start_with("waiting", |it| {
        it.retry_policy = retry(5).map(|policy| RetryPolicy { initial_interval: seconds(60), ..policy });
    })
    .await;
    s.task([fail_workflow("no")]).await;
    s.terminate("waiting").await;
    s.history("waiting").await;
}

/// The policy is that of the command, and attempts are counted anew.
async fn a_run_that_continues_as_new(s: &mut Script) {
    s.start_with("wf", |it| it.retry_policy = retry(5)).await;
    s.task([fail_workflow("no")]).await;
    s.task([continue_as_new_with(|it| it.retry_policy = retry(2))]).await;
    let third = run_id(s, "wf").await;
    s.task([fail_workflow("no")]).await;
    s.history_of("wf", &third).await;
    s.history("wf").await;
    s.task([continue_as_new()]).await;
    s.history("wf").await;
    s.task([fail_workflow("no")]).await;
    s.closed("wf").await;
}

async fn with_an_accepted_update(s: &mut Script) {
    s.start_with("wf", |it| it.retry_policy = retry(5)).await;
    let task = s.poll().await;
    let update = s.update("wf", "u", UpdateStage::Completed).await;
    s.complete(&task, [fail_workflow("no")]).await;
    s.take_refused(update).await;
}

async fn policies_that_are_wrong(s: &mut Script) {
    for edit in [
        |policy: &mut RetryPolicy| policy.initial_interval = seconds(-1),
        |policy: &mut RetryPolicy| policy.backoff_coefficient = 0.5,
        |policy: &mut RetryPolicy| policy.maximum_attempts = -1,
        |policy: &mut RetryPolicy| policy.maximum_interval = millis(50),
    ] {
        let mut start = s.start_request("wf");
        start.retry_policy = retry(5);
        edit(start.retry_policy.as_mut().expect("set above"));
        s.refused(start).await;
    }
}
