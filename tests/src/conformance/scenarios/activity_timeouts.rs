//! The four timeouts of activities, and heartbeats.

use everloop_proto::temporal::api::common::v1::RetryPolicy;

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["activity_timeouts":
    schedule_to_start,
    start_to_close,
    start_to_close_is_retried,
    schedule_to_close_before_the_start,
    schedule_to_close_between_attempts,
    no_time_after_a_timeout,
    timeouts_that_are_final,
    a_missing_heartbeat,
    heartbeats_go_to_the_next_attempt,
    details_of_the_last_failure,
];

async fn schedule_to_start(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.schedule_to_start_timeout = seconds(1))]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn start_to_close(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.start_to_close_timeout = seconds(1);
        it.retry_policy = retry(1);
    })])
    .await;
    let activity = s.poll_activity().await;
    s.task([complete_workflow()]).await;
    let late = s.complete_activity_request(&activity);
    s.refused(late).await;
    s.history("wf").await;
}

async fn start_to_close_is_retried(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.start_to_close_timeout = seconds(1);
        it.retry_policy = retry(3);
    })])
    .await;
    s.poll_activity().await;
    let second = s.poll_activity().await;
    s.describe("wf").await;
    s.complete_activity(&second).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn schedule_to_close_before_the_start(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.start_to_close_timeout = None;
        it.schedule_to_close_timeout = seconds(1);
    })])
    .await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// The total time is over before the second attempt has started.
async fn schedule_to_close_between_attempts(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.schedule_to_close_timeout = seconds(2);
        it.retry_policy = retry(3);
    })])
    .await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("first")).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// An attempt times out, and the next one would start after the total time.
async fn no_time_after_a_timeout(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.start_to_close_timeout = seconds(1);
        it.schedule_to_close_timeout = seconds(20);
        it.retry_policy = Some(RetryPolicy { initial_interval: seconds(60), ..RetryPolicy::default() });
    })])
    .await;
    s.poll_activity().await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn timeouts_that_are_final(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.start_to_close_timeout = seconds(1);
        let non_retryable_error_types = vec!["TemporalTimeout:StartToClose".into()];
        it.retry_policy = Some(RetryPolicy { non_retryable_error_types, ..RetryPolicy::default() });
    })])
    .await;
    s.poll_activity().await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_missing_heartbeat(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.heartbeat_timeout = seconds(1);
        it.retry_policy = retry(1);
    })])
    .await;
    let activity = s.poll_activity().await;
    s.heartbeat(&activity, "half").await;
    s.task([complete_workflow()]).await;
    let late = s.heartbeat_request(&activity, None);
    s.refused(late).await;
    s.history("wf").await;
}

async fn heartbeats_go_to_the_next_attempt(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.heartbeat_timeout = seconds(1);
        it.retry_policy = retry(3);
    })])
    .await;
    let first = s.poll_activity().await;
    s.heartbeat(&first, "half").await;
    let second = s.poll_activity().await;
    s.fail_activity(&second, failure("without a heartbeat of its own")).await;
    let third = s.poll_activity().await;
    s.complete_activity(&third).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// A worker may send its last heartbeat details with the failure.
async fn details_of_the_last_failure(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.retry_policy = retry(2))]).await;
    let first = s.poll_activity().await;
    let mut request = s.fail_activity_request(&first, failure("not yet"));
    request.last_heartbeat_details = Some(text("almost"));
    s.call(request).await;
    let second = s.poll_activity().await;
    s.fail_activity(&second, failure("never")).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}
