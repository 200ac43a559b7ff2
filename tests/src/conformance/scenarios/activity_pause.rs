//! Pausing, unpausing and resetting activities.

use everloop_proto::temporal::api::workflowservice::v1::{
    self as service, pause_activity_request, reset_activity_request, unpause_activity_request,
};

use super::super::{
    commands::*,
    script::{NAMESPACE, Script},
    suite::scenarios,
};

scenarios!["activity_pause":
    before_it_starts,
    while_it_runs,
    while_it_runs_and_completes,
    while_it_backs_off,
    final_failures_end_a_paused_one,
    paused_twice,
    paused_and_cancelled,
    unpaused_with_attempts_reset,
    paused_by_type,
    reset_while_it_backs_off,
    reset_while_its_first_attempt_runs,
    reset_while_its_second_attempt_runs,
    reset_and_unpaused,
    reset_and_kept_paused,
    ones_that_are_not_there,
];

fn pause(s: &Script, id: &str) -> service::PauseActivityRequest {
    service::PauseActivityRequest {
        namespace: NAMESPACE.into(),
        execution: s.run("wf"),
        identity: "operator".into(),
        reason: "the bank is down".into(),
        request_id: "pause 1".into(),
        activity: Some(pause_activity_request::Activity::Id(id.into())),
    }
}

fn unpause(s: &Script, id: &str) -> service::UnpauseActivityRequest {
    service::UnpauseActivityRequest {
        namespace: NAMESPACE.into(),
        execution: s.run("wf"),
        identity: "operator".into(),
        activity: Some(unpause_activity_request::Activity::Id(id.into())),
        ..Default::default()
    }
}

fn reset(s: &Script, id: &str) -> service::ResetActivityRequest {
    service::ResetActivityRequest {
        namespace: NAMESPACE.into(),
        execution: s.run("wf"),
        identity: "operator".into(),
        activity: Some(reset_activity_request::Activity::Id(id.into())),
        ..Default::default()
    }
}

/// A run with an activity of up to five attempts. The second one is an hour after the first.
async fn slowly_retried(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.retry_policy = retry(5);
        let policy = it.retry_policy.as_mut().expect("set above");
        (policy.initial_interval, policy.maximum_interval) = (seconds(3600), seconds(3600));
    })])
    .await;
}

async fn finish(s: &mut Script) {
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn before_it_starts(s: &mut Script) {
    slowly_retried(s).await;
    let (pause, unpause) = (pause(s, "a"), unpause(s, "a"));
    s.call(pause).await;
    s.describe("wf").await;
    s.call(unpause.clone()).await;
    s.describe("wf").await;
    s.call(unpause).await;
    let activity = s.poll_activity().await;
    s.complete_activity(&activity).await;
    finish(s).await;
}

/// A heartbeat tells the attempt, whose failure begins no other one before the end of the pause.
async fn while_it_runs(s: &mut Script) {
    slowly_retried(s).await;
    let first = s.poll_activity().await;
    s.heartbeat(&first, "before").await;
    let (pause, unpause) = (pause(s, "a"), unpause(s, "a"));
    s.call(pause).await;
    s.heartbeat(&first, "after").await;
    s.describe("wf").await;
    s.fail_activity(&first, failure("paused")).await;
    s.describe("wf").await;
    s.call(unpause).await;
    let second = s.poll_activity().await;
    s.complete_activity(&second).await;
    finish(s).await;
}

async fn while_it_runs_and_completes(s: &mut Script) {
    slowly_retried(s).await;
    let activity = s.poll_activity().await;
    let pause = pause(s, "a");
    s.call(pause).await;
    s.complete_activity(&activity).await;
    finish(s).await;
}

/// The end of the pause does not wait for the rest of the backoff.
async fn while_it_backs_off(s: &mut Script) {
    slowly_retried(s).await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("first")).await;
    let (pause, unpause) = (pause(s, "a"), unpause(s, "a"));
    s.call(pause).await;
    s.describe("wf").await;
    s.call(unpause).await;
    let second = s.poll_activity().await;
    s.fail_activity(&second, failure("second")).await;
    s.describe("wf").await;
}

async fn final_failures_end_a_paused_one(s: &mut Script) {
    slowly_retried(s).await;
    let activity = s.poll_activity().await;
    let pause = pause(s, "a");
    s.call(pause).await;
    s.fail_activity(&activity, application_failure("for good", |it| it.non_retryable = true)).await;
    finish(s).await;
}

/// The same request again is the same pause.
async fn paused_twice(s: &mut Script) {
    slowly_retried(s).await;
    let mut pause = pause(s, "a");
    s.call(pause.clone()).await;
    s.call(pause.clone()).await;
    pause.request_id = "pause 2".into();
    s.refused(pause).await;
}

async fn paused_and_cancelled(s: &mut Script) {
    slowly_retried(s).await;
    let pause = pause(s, "a");
    s.call(pause).await;
    s.signal("wf", "wake").await;
    s.task([cancel_activity(5)]).await;
    finish(s).await;
}

async fn unpaused_with_attempts_reset(s: &mut Script) {
    slowly_retried(s).await;
    let first = s.poll_activity().await;
    s.heartbeat(&first, "half").await;
    s.fail_activity(&first, failure("first")).await;
    let (pause, mut unpause) = (pause(s, "a"), unpause(s, "a"));
    s.call(pause).await;
    (unpause.reset_attempts, unpause.reset_heartbeat) = (true, true);
    s.call(unpause).await;
    let again = s.poll_activity().await;
    s.complete_activity(&again).await;
    finish(s).await;
}

async fn paused_by_type(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    let (mut pause, mut unpause) = (pause(s, ""), unpause(s, ""));
    pause.activity = Some(pause_activity_request::Activity::Type("Work".into()));
    s.call(pause).await;
    s.describe("wf").await;
    unpause.activity = Some(unpause_activity_request::Activity::UnpauseAll(true));
    s.call(unpause).await;
    s.describe("wf").await;
}

/// It is tried at once, as the first attempt.
async fn reset_while_it_backs_off(s: &mut Script) {
    slowly_retried(s).await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("first")).await;
    let reset = reset(s, "a");
    s.call(reset).await;
    let again = s.poll_activity().await;
    s.complete_activity(&again).await;
    finish(s).await;
}

async fn reset_while_its_first_attempt_runs(s: &mut Script) {
    slowly_retried(s).await;
    let first = s.poll_activity().await;
    let mut reset = reset(s, "a");
    reset.reset_heartbeat = true;
    s.call(reset).await;
    s.heartbeat(&first, "after").await;
    s.describe("wf").await;
    s.complete_activity(&first).await;
    finish(s).await;
}

/// The server no longer knows an attempt of that number.
async fn reset_while_its_second_attempt_runs(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.retry_policy = retry(5))]).await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("first")).await;
    let second = s.poll_activity().await;
    let reset = reset(s, "a");
    s.call(reset).await;
    let heartbeat = s.heartbeat_request(&second, None);
    s.refused(heartbeat).await;
    s.describe("wf").await;
}

async fn reset_and_unpaused(s: &mut Script) {
    slowly_retried(s).await;
    let (pause, reset) = (pause(s, "a"), reset(s, "a"));
    s.call(pause).await;
    s.call(reset).await;
    let activity = s.poll_activity().await;
    s.complete_activity(&activity).await;
    finish(s).await;
}

async fn reset_and_kept_paused(s: &mut Script) {
    slowly_retried(s).await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("first")).await;
    let (pause, mut reset) = (pause(s, "a"), reset(s, "a"));
    s.call(pause).await;
    reset.keep_paused = true;
    s.call(reset).await;
    s.describe("wf").await;
}

async fn ones_that_are_not_there(s: &mut Script) {
    slowly_retried(s).await;
    let (mut pause, mut unpause, mut reset) = (pause(s, "b"), unpause(s, "b"), reset(s, "b"));
    s.refused(pause.clone()).await;
    s.refused(unpause.clone()).await;
    s.refused(reset.clone()).await;
    (pause.activity, unpause.activity, reset.activity) = (None, None, None);
    s.refused(pause.clone()).await;
    s.refused(unpause).await;
    s.refused(reset).await;
    pause.activity = Some(pause_activity_request::Activity::Id("a".into()));
    s.terminate("wf").await;
    s.refused(pause).await;
}
