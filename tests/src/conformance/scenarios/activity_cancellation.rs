//! Cancellation of activities.

use super::super::{
    commands::*,
    script::{ActivityTask, Script},
    suite::scenarios,
};

scenarios!["activity_cancellation":
    before_it_starts,
    before_it_starts_with_another_command,
    before_it_starts_and_complete,
    in_the_task_that_schedules_it,
    after_it_started,
    it_completes_all_the_same,
    it_fails_and_is_not_retried,
    between_two_attempts,
    nobody_asked,
    twice,
    the_result_came_first,
];

/// R: the activity is cancelled at once, and the workflow is notified in a new task.
async fn before_it_starts(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    s.signal("wf", "wake").await;
    s.task([cancel_activity(5)]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// R′: the consequences of a completion are written after the events of all its commands.
async fn before_it_starts_with_another_command(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    s.signal("wf", "wake").await;
    s.task([cancel_activity(5), schedule_activity("b")]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// R″: the run closes before the cancellation can be delivered.
async fn before_it_starts_and_complete(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    s.signal("wf", "wake").await;
    s.task([cancel_activity(5), complete_workflow()]).await;
    s.history("wf").await;
}

async fn in_the_task_that_schedules_it(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a"), cancel_activity(5)]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// A run with a started activity that learned of its cancellation from a heartbeat.
async fn cancelled_while_running(s: &mut Script) -> ActivityTask {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.retry_policy = retry(3))]).await;
    let activity = s.poll_activity().await;
    s.heartbeat(&activity, "before").await;
    s.signal("wf", "wake").await;
    s.task([cancel_activity(5)]).await;
    s.describe("wf").await;
    s.heartbeat(&activity, "after").await;
    activity
}

/// S: a heartbeat reports the cancellation to the activity, which ends as cancelled.
async fn after_it_started(s: &mut Script) {
    let activity = cancelled_while_running(s).await;
    let cancel = s.cancel_activity_request(&activity);
    s.call(cancel).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn it_completes_all_the_same(s: &mut Script) {
    let activity = cancelled_while_running(s).await;
    s.complete_activity(&activity).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn it_fails_and_is_not_retried(s: &mut Script) {
    let activity = cancelled_while_running(s).await;
    s.fail_activity(&activity, failure("interrupted")).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn between_two_attempts(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.retry_policy = retry(3);
        it.retry_policy.as_mut().expect("set above").initial_interval = seconds(60);
        it.retry_policy.as_mut().expect("set above").maximum_interval = seconds(60);
    })])
    .await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("first")).await;
    s.signal("wf", "wake").await;
    s.task([cancel_activity(5)]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn nobody_asked(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    let activity = s.poll_activity().await;
    let cancel = s.cancel_activity_request(&activity);
    s.refused(cancel).await;
}

async fn twice(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    s.poll_activity().await;
    s.signal("wf", "wake").await;
    s.task([cancel_activity(5)]).await;
    s.signal("wf", "wake again").await;
    let task = s.poll().await;
    s.complete_refused(&task, [cancel_activity(5)]).await;
    s.history("wf").await;
}

/// The result is buffered until the end of the task whose commands cancel the activity.
async fn the_result_came_first(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    let activity = s.poll_activity().await;
    s.signal("wf", "wake").await;
    let task = s.poll().await;
    s.complete_activity(&activity).await;
    s.complete(&task, [cancel_activity(5)]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}
