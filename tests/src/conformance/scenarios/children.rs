//! Child workflows: their start, their end, and the end of their parent.

use everloop_proto::temporal::api::{
    common::v1::{Header, Memo, RetryPolicy},
    enums::v1::{ParentClosePolicy, WorkflowIdReusePolicy},
};

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["children":
    a_child,
    options,
    limits_of_time_are_filled_in,
    a_child_that_fails,
    a_child_that_is_cancelled,
    a_child_that_is_terminated,
    a_child_that_times_out,
    cancelled_by_its_parent,
    cancelled_twice_by_its_parent,
    cancelled_in_the_task_that_starts_it,
    the_id_is_in_use,
    the_id_may_not_be_used_again,
    the_holder_of_the_id_is_terminated,
    two_children,
    the_parent_completes_and_terminates_it,
    the_parent_fails_and_terminates_it,
    the_parent_is_terminated,
    the_parent_times_out,
    the_parent_completes_and_cancels_it,
    the_parent_completes_and_abandons_it,
    the_parent_ends_in_the_task_that_starts_it,
    a_grandchild,
    both_are_described,
    commands_without_what_they_need,
];

/// P: the start, a task of each, the end.
async fn a_child(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.task([]).await;
    s.child_task([complete_workflow()]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.history("child").await;
}

async fn options(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |it| {
        it.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
        it.memo = Some(Memo { fields: [("note".into(), payload("memo"))].into() });
        it.workflow_execution_timeout = seconds(100);
        it.workflow_run_timeout = seconds(50);
        it.workflow_task_timeout = seconds(5);
        it.parent_close_policy = ParentClosePolicy::RequestCancel.into();
        it.workflow_id_reuse_policy = WorkflowIdReusePolicy::AllowDuplicateFailedOnly.into();
    });
    s.task([child]).await;
    s.task([]).await;
    s.child_task([complete_workflow()]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.history("child").await;
}

async fn limits_of_time_are_filled_in(s: &mut Script) {
    s.start("wf").await;
    let execution = s.child("execution", |it| it.workflow_execution_timeout = seconds(100));
    let run = s.child("run", |it| it.workflow_run_timeout = seconds(3));
    let both = s.child("both", |it| {
        it.workflow_execution_timeout = seconds(30);
        it.workflow_run_timeout = seconds(60);
        it.workflow_task_timeout = seconds(600);
    });
    s.task([execution]).await;
    s.task([run]).await;
    s.task([both]).await;
    s.task([]).await;
    s.history("wf").await;
    for child in ["execution", "run", "both"] {
        s.history(child).await;
    }
}

async fn a_child_that_fails(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.task([]).await;
    s.child_task([fail_workflow("no")]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_child_that_is_cancelled(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.task([]).await;
    s.request_cancel("child").await;
    s.child_task([cancel_workflow()]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_child_that_is_terminated(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.task([]).await;
    s.terminate("child").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_child_that_times_out(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |it| it.workflow_run_timeout = seconds(1));
    s.task([child]).await;
    s.task([]).await;
    s.pass(seconds(1)).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn cancelled_by_its_parent(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    let cancel = cancel_external(s.name("child"), |it| it.child_workflow_only = true);
    s.task([cancel]).await;
    s.task([]).await;
    s.child_task([cancel_workflow()]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.history("child").await;
}

/// The second request succeeds and changes nothing.
async fn cancelled_twice_by_its_parent(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    for _ in 0..2 {
        let cancel = cancel_external(s.name("child"), |it| it.child_workflow_only = true);
        s.task([cancel]).await;
    }
    s.task([]).await;
    s.history("wf").await;
    s.history("child").await;
}

async fn cancelled_in_the_task_that_starts_it(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    let cancel = cancel_external(s.name("child"), |it| it.child_workflow_only = true);
    let task = s.poll().await;
    s.complete_refused(&task, [child, cancel]).await;
    s.history("wf").await;
}

async fn the_id_is_in_use(s: &mut Script) {
    s.start("other").await;
    s.poll().await;
    s.start("wf").await;
    let child = s.child("other", |_| {});
    s.task([child]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn the_id_may_not_be_used_again(s: &mut Script) {
    s.start("other").await;
    s.task([complete_workflow()]).await;
    s.start("wf").await;
    let rejecting = s.child("other", |it| {
        it.workflow_id_reuse_policy = WorkflowIdReusePolicy::RejectDuplicate.into();
    });
    s.task([rejecting]).await;
    let failed_only = s.child("other", |it| {
        it.workflow_id_reuse_policy = WorkflowIdReusePolicy::AllowDuplicateFailedOnly.into();
    });
    s.task([failed_only]).await;
    let allowing = s.child("other", |_| {});
    s.task([allowing]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn the_holder_of_the_id_is_terminated(s: &mut Script) {
    let run_id = s.start("other").await;
    s.poll().await;
    s.start("wf").await;
    let child = s.child("other", |it| {
        it.workflow_id_reuse_policy = WorkflowIdReusePolicy::TerminateIfRunning.into();
    });
    s.task([child]).await;
    s.task([]).await;
    s.child_task([complete_workflow()]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.history_of("other", &run_id).await;
}

async fn two_children(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("one", |_| {});
    s.task([child]).await;
    let one = s.poll_child().await;
    let child = s.child("two", |_| {});
    s.task([child]).await;
    let two = s.poll_child().await;
    s.task([]).await;
    s.complete(&two, [complete_workflow()]).await;
    s.task([]).await;
    s.complete(&one, [fail_workflow("no")]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn the_parent_completes_and_terminates_it(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.task([complete_workflow()]).await;
    s.closed("child").await;
    s.history("child").await;
}

async fn the_parent_fails_and_terminates_it(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |it| it.parent_close_policy = ParentClosePolicy::Terminate.into());
    s.task([child]).await;
    s.task([fail_workflow("no")]).await;
    s.closed("child").await;
    s.history("child").await;
}

async fn the_parent_is_terminated(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.task([]).await;
    s.terminate("wf").await;
    s.closed("child").await;
    s.history("child").await;
}

async fn the_parent_times_out(s: &mut Script) {
    s.start_with("wf", |it| it.workflow_run_timeout = seconds(1)).await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.task([]).await;
    s.pass(seconds(1)).await;
    s.closed("child").await;
    s.history("child").await;
}

async fn the_parent_completes_and_cancels_it(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |it| it.parent_close_policy = ParentClosePolicy::RequestCancel.into());
    s.task([child]).await;
    s.child_task([]).await;
    s.task([complete_workflow()]).await;
    s.child_task([cancel_workflow()]).await;
    s.history("child").await;
    s.history("wf").await;
}

async fn the_parent_completes_and_abandons_it(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |it| it.parent_close_policy = ParentClosePolicy::Abandon.into());
    s.task([child]).await;
    s.task([complete_workflow()]).await;
    s.child_task([complete_workflow()]).await;
    s.history("child").await;
    s.history("wf").await;
}

/// The child is never started, whatever its policy.
async fn the_parent_ends_in_the_task_that_starts_it(s: &mut Script) {
    for policy in [ParentClosePolicy::Terminate, ParentClosePolicy::RequestCancel, ParentClosePolicy::Abandon] {
        let parent = format!("{policy:?}");
        s.start(&parent).await;
        let child = s.child("child", |it| it.parent_close_policy = policy.into());
        s.task([child, complete_workflow()]).await;
        s.closed(&parent).await;
    }
    // Another child starts, so its start would have followed those.
    s.start("wf").await;
    let child = s.child("other", |_| {});
    s.task([child]).await;
    s.task([]).await;
    let request = s.describe_request("child");
    s.refused(request).await;
    s.history("Abandon").await;
}

async fn a_grandchild(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |_| {});
    s.task([child]).await;
    s.task([]).await;
    // On the queue of the first workflow, which waits.
    let queue = s.queue();
    let grandchild = start_child(s.name("grandchild"), |it| it.task_queue = queue);
    s.child_task([grandchild]).await;
    s.child_task([]).await;
    s.task([complete_workflow()]).await;
    s.child_task([complete_workflow()]).await;
    s.task([complete_workflow()]).await;
    s.history("grandchild").await;
}

async fn both_are_described(s: &mut Script) {
    s.start("wf").await;
    let child = s.child("child", |it| it.parent_close_policy = ParentClosePolicy::Abandon.into());
    s.task([child]).await;
    s.task([]).await;
    s.describe("wf").await;
    s.describe("child").await;
    s.child_task([complete_workflow()]).await;
    s.closed("child").await;
    s.describe("child").await;
}

async fn commands_without_what_they_need(s: &mut Script) {
    let long = "x".repeat(1001);
    let wrong = [
        s.child("child", |it| it.workflow_id = String::new()),
        s.child("child", |it| it.workflow_type = None),
        s.child("child", |it| it.namespace = "elsewhere".into()),
        s.child("child", |it| it.workflow_id = long),
        s.child("child", |it| it.workflow_run_timeout = seconds(-1)),
        s.child("child", |it| it.retry_policy = Some(RetryPolicy { maximum_attempts: -1, ..RetryPolicy::default() })),
    ];
    s.each_refused(wrong).await;
}
