//! Workflows with a cron schedule: each due time is a run.

use everloop_proto::temporal::api::common::v1::{Header, Memo};

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["cron":
    completed_runs_are_followed,
    failed_runs_are_followed,
    retries_come_first,
    a_run_timeout_is_followed,
    everything_is_inherited,
    ends_of_the_chain,
    continuing_as_new,
    schedules_that_are_wrong,
];

/// Due each second: its phase is that of the first run.
const EACH_SECOND: &str = "@every 1s";

async fn run_id(s: &mut Script, workflow: &str) -> String {
    let request = s.describe_request(workflow);
    let described = s.quietly(request).await.expect("it is there");
    described.workflow_execution_info.and_then(|info| info.execution).expect("it is described").run_id
}

async fn completed_runs_are_followed(s: &mut Script) {
    let first = s.start_with("wf", |it| it.cron_schedule = EACH_SECOND.into()).await;
    s.task([complete_workflow()]).await;
    s.history_of("wf", &first).await;
    s.history("wf").await;
    s.describe("wf").await;
    s.task([complete_workflow()]).await;
    s.terminate("wf").await;
    s.closed("wf").await;
}

async fn failed_runs_are_followed(s: &mut Script) {
    s.start_with("wf", |it| it.cron_schedule = EACH_SECOND.into()).await;
    s.task([complete_workflow()]).await;
    let second = run_id(s, "wf").await;
    s.task([fail_workflow("no")]).await;
    s.history_of("wf", &second).await;
    s.history("wf").await;
    s.terminate("wf").await;
}

async fn retries_come_first(s: &mut Script) {
    s.start_with("wf", |it| {
        it.cron_schedule = EACH_SECOND.into();
        it.retry_policy = retry(2);
    })
    .await;
    s.task([fail_workflow("no")]).await;
    let second = run_id(s, "wf").await;
    s.task([fail_workflow("no again")]).await;
    s.history_of("wf", &second).await;
    s.history("wf").await;
    s.terminate("wf").await;
}

async fn a_run_timeout_is_followed(s: &mut Script) {
    let first = s
        .start_with("wf", |it| {
            it.cron_schedule = EACH_SECOND.into();
            it.workflow_run_timeout = seconds(2);
        })
        .await;
    s.poll().await;
    s.poll().await;
    s.history_of("wf", &first).await;
    s.terminate("wf").await;
    s.history("wf").await;
}

async fn everything_is_inherited(s: &mut Script) {
    s.start_with("wf", |it| {
        it.cron_schedule = EACH_SECOND.into();
        it.workflow_execution_timeout = seconds(300);
        it.workflow_task_timeout = seconds(20);
        it.memo = Some(Memo { fields: [("note".into(), payload("memo"))].into() });
        it.header = Some(Header { fields: [("trace".into(), payload("header"))].into() });
        it.last_completion_result = Some(text("an earlier result"));
    })
    .await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.terminate("wf").await;
}

async fn ends_of_the_chain(s: &mut Script) {
    s.start_with("cancelled", |it| it.cron_schedule = EACH_SECOND.into()).await;
    s.request_cancel("cancelled").await;
    s.task([cancel_workflow()]).await;
    s.closed("cancelled").await;
    s.start_with("over", |it| {
        it.cron_schedule = "0 0 1 1 *".into();
        it.workflow_execution_timeout = seconds(1);
    })
    .await;
    s.closed("over").await;
}

/// The schedule is that of the command.
async fn continuing_as_new(s: &mut Script) {
    s.start_with("wf", |it| it.cron_schedule = EACH_SECOND.into()).await;
    s.task([continue_as_new_with(|it| it.cron_schedule = EACH_SECOND.into())]).await;
    s.history("wf").await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
    s.task([continue_as_new()]).await;
    s.task([complete_workflow()]).await;
    s.closed("wf").await;
}

async fn schedules_that_are_wrong(s: &mut Script) {
    for schedule in ["every day", "* * * *", "60 * * * *", "* * * * 7", "0 0 30 2 *", "@every", "@sometimes"] {
        let mut start = s.start_request("wf");
        start.cron_schedule = schedule.into();
        s.refused(start).await;
    }
    let mut start = s.start_request("wf");
    start.cron_schedule = EACH_SECOND.into();
    start.workflow_start_delay = seconds(1);
    s.refused(start).await;
}
