//! Activities: scheduling, retries, completion, and calls that identify them by id.

use everloop_proto::temporal::api::{
    common::v1::{Header, Priority, RetryPolicy},
    taskqueue::v1::TaskQueue,
    workflowservice::v1 as service,
};

use super::super::{
    commands::*,
    script::{NAMESPACE, Script},
    suite::scenarios,
};

scenarios!["activities":
    one_activity,
    an_eager_activity,
    eager_is_for_the_same_queue,
    a_retry,
    another_queue,
    timeouts_are_filled_in,
    timeouts_end_with_the_run,
    retry_policies_are_filled_in,
    a_failure_that_is_final,
    a_failure_of_a_final_type,
    attempts_run_out,
    the_failure_says_when_to_retry,
    no_time_for_another_attempt,
    a_failure_needs_its_kind,
    two_finish_between_tasks,
    finishing_while_a_task_is_started,
    pending_ones_are_described,
    completed_by_id,
    completed_by_id_before_it_started,
    failed_by_id,
    heartbeats_by_id,
    unknown_ids,
    results_come_too_late,
    a_closed_run_takes_no_results,
    nothing_to_poll,
    tokens_that_are_none,
];

/// A: one activity.
async fn one_activity(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    let activity = s.poll_activity().await;
    s.complete_activity(&activity).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// A′: the worker gets the activity in the response to its task completion.
async fn an_eager_activity(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let eager = schedule_activity_with("a", |it| it.request_eager_execution = true);
    let reply = s.complete_with(&task, [eager], |_| {}).await;
    let activity = &reply.activity_tasks[0];
    s.complete_activity(activity).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// A requested eager activity is delivered even if it has another queue: a worker requests only activities that it can run.
async fn eager_is_for_the_same_queue(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let other = TaskQueue { name: s.name("other"), ..TaskQueue::default() };
    let commands = [
        schedule_activity_with("plain", |_| {}),
        schedule_activity_with("other", |it| {
            it.request_eager_execution = true;
            it.task_queue = Some(other);
        }),
        schedule_activity_with("eager", |it| it.request_eager_execution = true),
    ];
    s.complete_with(&task, commands, |_| {}).await;
    s.history("wf").await;
}

/// A″: the activity fails once and is retried.
async fn a_retry(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.retry_policy = retry(2))]).await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("not yet")).await;
    let second = s.poll_activity().await;
    s.complete_activity(&second).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn another_queue(s: &mut Script) {
    s.start("wf").await;
    let other = TaskQueue { name: s.name("other"), ..TaskQueue::default() };
    let queue = other.clone();
    s.task([schedule_activity_with("a", |it| {
        it.task_queue = Some(queue);
        it.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
        it.priority = Some(Priority { priority_key: 2, ..Priority::default() });
    })])
    .await;
    let mut poll = s.poll_activity_request();
    poll.task_queue = Some(other);
    let activity = s.call(poll).await;
    s.complete_activity(&activity).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// Every unset timeout gets a value derived from those that are set.
async fn timeouts_are_filled_in(s: &mut Script) {
    s.start("wf").await;
    s.task([
        schedule_activity_with("start to close", |it| it.start_to_close_timeout = seconds(5)),
        schedule_activity_with("schedule to close", |it| {
            it.start_to_close_timeout = None;
            it.schedule_to_close_timeout = seconds(20);
        }),
        schedule_activity_with("both, the outer one shorter", |it| {
            it.schedule_to_close_timeout = seconds(3);
            it.schedule_to_start_timeout = seconds(4);
            it.start_to_close_timeout = seconds(5);
            it.heartbeat_timeout = seconds(6);
        }),
        schedule_activity_with("heartbeat longer than an attempt", |it| {
            it.start_to_close_timeout = seconds(5);
            it.heartbeat_timeout = seconds(6);
        }),
    ])
    .await;
    s.history("wf").await;
}

async fn timeouts_end_with_the_run(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_run_timeout = seconds(60)).await;
    s.task([
        schedule_activity_with("start to close", |it| it.start_to_close_timeout = seconds(5)),
        schedule_activity_with("longer than the run", |it| {
            it.schedule_to_close_timeout = seconds(300);
            it.schedule_to_start_timeout = seconds(200);
            it.start_to_close_timeout = seconds(100);
            it.heartbeat_timeout = seconds(90);
        }),
    ])
    .await;
    s.history("wf").await;
}

async fn retry_policies_are_filled_in(s: &mut Script) {
    s.start("wf").await;
    s.task([
        schedule_activity_with("none", |it| it.retry_policy = None),
        schedule_activity_with("empty", |it| it.retry_policy = Some(RetryPolicy::default())),
        schedule_activity_with("only the interval", |it| {
            it.retry_policy = Some(RetryPolicy { initial_interval: seconds(3), ..RetryPolicy::default() });
        }),
        schedule_activity_with("only the attempts", |it| {
            it.retry_policy = Some(RetryPolicy { maximum_attempts: 1, ..RetryPolicy::default() });
        }),
    ])
    .await;
    s.history("wf").await;
}

async fn a_failure_that_is_final(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    let activity = s.poll_activity().await;
    s.fail_activity(&activity, application_failure("never", |it| it.non_retryable = true)).await;
    s.task([fail_workflow("the activity failed")]).await;
    s.history("wf").await;
}

async fn a_failure_of_a_final_type(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        let non_retryable_error_types = vec!["Oops".into()];
        it.retry_policy = Some(RetryPolicy { non_retryable_error_types, ..RetryPolicy::default() });
    })])
    .await;
    let activity = s.poll_activity().await;
    s.fail_activity(&activity, failure("never")).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn attempts_run_out(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.retry_policy = retry(2))]).await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("first")).await;
    let second = s.poll_activity().await;
    s.fail_activity(&second, failure("second")).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// The delay in the failure takes precedence over that of the policy, which would be a minute here.
async fn the_failure_says_when_to_retry(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.retry_policy = Some(RetryPolicy { initial_interval: seconds(60), ..RetryPolicy::default() });
    })])
    .await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, application_failure("soon", |it| it.next_retry_delay = millis(100))).await;
    let second = s.poll_activity().await;
    s.complete_activity(&second).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn no_time_for_another_attempt(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.schedule_to_close_timeout = seconds(10);
        it.retry_policy = Some(RetryPolicy { initial_interval: seconds(60), ..RetryPolicy::default() });
    })])
    .await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("too slow")).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_failure_needs_its_kind(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.retry_policy = retry(1))]).await;
    let activity = s.poll_activity().await;
    let mut plain = failure("what is it?");
    plain.as_mut().expect("a failure").failure_info = None;
    let request = s.fail_activity_request(&activity, plain);
    s.refused(request).await;
    s.fail_activity(&activity, None).await;
    s.poll().await;
    s.history("wf").await;
}

async fn two_finish_between_tasks(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a"), schedule_activity("b")]).await;
    let [first, second] = s.poll_two_activities().await;
    s.complete_activity(&second).await;
    s.complete_activity(&first).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// Events that arrive during a started task are buffered until its end: first the latest signal, then both activities.
async fn finishing_while_a_task_is_started(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a"), schedule_activity_with("b", |it| it.retry_policy = retry(1))]).await;
    let [first, second] = s.poll_two_activities().await;
    s.signal("wf", "wake").await;
    let task = s.poll().await;
    s.complete_activity(&first).await;
    s.fail_activity(&second, failure("no")).await;
    s.signal("wf", "late").await;
    s.describe("wf").await;
    s.complete(&task, [start_timer("t", seconds(60))]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn pending_ones_are_described(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| {
        it.retry_policy =
            Some(RetryPolicy { initial_interval: seconds(60), maximum_attempts: 3, ..Default::default() });
        it.heartbeat_timeout = seconds(8);
    })])
    .await;
    s.note("scheduled");
    s.describe("wf").await;
    let activity = s.poll_activity().await;
    s.note("started");
    s.describe("wf").await;
    s.heartbeat(&activity, "half").await;
    s.note("with a heartbeat");
    s.describe("wf").await;
    s.fail_activity(&activity, failure("not yet")).await;
    s.note("waiting for the next attempt");
    s.describe("wf").await;
}

async fn completed_by_id(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    s.poll_activity().await;
    let request = complete_by_id(s, "a");
    s.call(request.clone()).await;
    s.refused(request).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn completed_by_id_before_it_started(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    let request = complete_by_id(s, "a");
    s.call(request).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn failed_by_id(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.retry_policy = retry(2))]).await;
    s.poll_activity().await;
    let request = service::RespondActivityTaskFailedByIdRequest {
        namespace: NAMESPACE.into(),
        workflow_id: s.name("wf"),
        activity_id: "a".into(),
        failure: failure("by id"),
        identity: "client".into(),
        ..Default::default()
    };
    s.call(request.clone()).await;
    s.poll_activity().await;
    s.call(request).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn heartbeats_by_id(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    s.poll_activity().await;
    let request = service::RecordActivityTaskHeartbeatByIdRequest {
        namespace: NAMESPACE.into(),
        workflow_id: s.name("wf"),
        activity_id: "a".into(),
        details: Some(text("half")),
        identity: "client".into(),
        ..Default::default()
    };
    s.call(request.clone()).await;
    s.signal("wf", "wake").await;
    s.task([cancel_activity(5)]).await;
    s.call(request).await;
    let request = service::RespondActivityTaskCanceledByIdRequest {
        namespace: NAMESPACE.into(),
        workflow_id: s.name("wf"),
        activity_id: "a".into(),
        details: Some(text("cancelled details")),
        identity: "client".into(),
        ..Default::default()
    };
    s.call(request).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn unknown_ids(s: &mut Script) {
    s.start("wf").await;
    let mut request = complete_by_id(s, "nobody");
    s.refused(request.clone()).await;
    request.activity_id = String::new();
    s.refused(request.clone()).await;
    request.workflow_id = s.name("nobody");
    request.activity_id = "a".into();
    s.refused(request).await;
}

async fn results_come_too_late(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity_with("a", |it| it.retry_policy = retry(2))]).await;
    let first = s.poll_activity().await;
    s.fail_activity(&first, failure("not yet")).await;
    s.note("between two attempts");
    let (complete, fail) = (s.complete_activity_request(&first), s.fail_activity_request(&first, failure("again")));
    let (cancel, heartbeat) = (s.cancel_activity_request(&first), s.heartbeat_request(&first, None));
    s.refused(complete.clone()).await;
    let second = s.poll_activity().await;
    s.note("with the token of the attempt before");
    s.refused(complete).await;
    s.refused(fail.clone()).await;
    s.refused(cancel).await;
    s.refused(heartbeat).await;
    s.complete_activity(&second).await;
    s.note("once it is completed");
    let complete = s.complete_activity_request(&second);
    s.refused(complete).await;
    s.refused(fail).await;
}

async fn a_closed_run_takes_no_results(s: &mut Script) {
    s.start("wf").await;
    s.task([schedule_activity("a")]).await;
    let activity = s.poll_activity().await;
    s.terminate("wf").await;
    let complete = s.complete_activity_request(&activity);
    s.refused(complete).await;
    let fail = s.fail_activity_request(&activity, failure("no"));
    s.refused(fail).await;
    let cancel = s.cancel_activity_request(&activity);
    s.refused(cancel).await;
    let heartbeat = s.heartbeat_request(&activity, None);
    s.refused(heartbeat).await;
    let by_id = complete_by_id(s, "a");
    s.refused(by_id).await;
}

/// A poll without a task returns empty, shortly before the caller would time out.
async fn nothing_to_poll(s: &mut Script) {
    let (workflow, activity) = (s.poll_request(), s.poll_activity_request());
    let workflow = s.later_within(workflow, 4);
    let activity = s.later_within(activity, 4);
    s.take(workflow).await;
    s.take(activity).await;
}

async fn tokens_that_are_none(s: &mut Script) {
    let mut activity = service::PollActivityTaskQueueResponse::default();
    for token in ["", "no token"] {
        activity.task_token = token.as_bytes().into();
        let complete = s.complete_activity_request(&activity);
        s.refused(complete).await;
        let fail = s.fail_activity_request(&activity, failure("no"));
        s.refused(fail).await;
        let cancel = s.cancel_activity_request(&activity);
        s.refused(cancel).await;
        let heartbeat = s.heartbeat_request(&activity, None);
        s.refused(heartbeat).await;
    }
}

fn complete_by_id(s: &Script, activity_id: &str) -> service::RespondActivityTaskCompletedByIdRequest {
    service::RespondActivityTaskCompletedByIdRequest {
        namespace: NAMESPACE.into(),
        workflow_id: s.name("wf"),
        activity_id: activity_id.into(),
        result: Some(text("by id")),
        identity: "client".into(),
        ..Default::default()
    }
}
