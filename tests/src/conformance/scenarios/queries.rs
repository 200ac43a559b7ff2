//! Queries, with a task of their own and with the next workflow task.

use everloop_proto::temporal::api::{
    enums::v1::{QueryRejectCondition, QueryResultType},
    query::v1::WorkflowQueryResult,
    workflowservice::v1 as service,
};

use super::super::{
    commands::*,
    script::{Later, Script, WorkflowTask, before_asking_again},
    suite::scenarios,
};

scenarios!["queries":
    an_idle_run,
    a_failed_answer,
    a_worker_with_the_run_in_its_cache,
    a_closed_run,
    with_the_next_task,
    with_the_next_task_failed,
    while_a_task_is_started,
    while_the_first_task_is_started,
    rejected,
    not_rejected,
    a_worker_that_fails,
    closed_before_any_task,
    answered_twice,
    refused_ones,
];

async fn an_idle_run(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(60))]).await;
    let query = s.later(s.query_request("wf", "state"));
    let task = s.poll().await;
    let answer = s.answer_request(&task);
    s.call(answer).await;
    s.take(query).await;
    s.history("wf").await;
}

async fn a_failed_answer(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let query = s.later(s.query_request("wf", "state"));
    let task = s.poll().await;
    let mut answer = s.answer_request(&task);
    answer.completed_type = QueryResultType::Failed.into();
    answer.query_result = None;
    answer.error_message = "no such query".into();
    answer.failure = failure("no such query");
    s.call(answer).await;
    s.take_refused(query).await;
}

async fn a_worker_with_the_run_in_its_cache(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let sticky = s.sticky(10);
    s.complete_with(&task, [], |it| it.sticky_attributes = sticky).await;
    let poll = s.poll_sticky_later().await;
    let query = s.later(s.query_request("wf", "state"));
    let task = s.take(poll).await;
    let answer = s.answer_request(&task);
    s.call(answer).await;
    s.take(query).await;
}

async fn a_closed_run(s: &mut Script) {
    s.start("wf").await;
    s.task([complete_workflow()]).await;
    let query = s.later(s.query_request("wf", "state"));
    let task = s.poll().await;
    let answer = s.answer_request(&task);
    s.call(answer).await;
    s.take(query).await;
}

/// A query that arrives while a task is pending is delivered with it, after the signal it must see.
async fn with_the_next_task(s: &mut Script) {
    let (query, task) = with_a_task(s).await;
    answer_with_completion(s, &task, |_| {}).await;
    s.take(query).await;
    s.history("wf").await;
}

async fn with_the_next_task_failed(s: &mut Script) {
    let (query, task) = with_a_task(s).await;
    answer_with_completion(s, &task, |it| {
        it.result_type = QueryResultType::Failed.into();
        it.answer = None;
        it.error_message = "no such query".into();
        it.failure = failure("no such query");
    })
    .await;
    s.take_refused(query).await;
}

/// Sends a signal and then a query to an idle run, and polls the task that has both. The query may reach the server after the task
/// has started; then everything is repeated.
async fn with_a_task(s: &mut Script) -> (Later<service::QueryWorkflowRequest>, WorkflowTask) {
    loop {
        s.start("wf").await;
        s.task([]).await;
        s.signal("wf", "wake").await;
        let query = s.later(s.query_request("wf", "state"));
        // One call later, the query that was sent before has most likely arrived.
        s.quietly(s.describe_request("wf")).await.expect("a description");
        before_asking_again().await;
        let task = s.poll().await;
        if !task.queries.is_empty() {
            return (query, task);
        }
        s.restart();
    }
}

async fn answer_with_completion(s: &mut Script, task: &WorkflowTask, edit: impl FnOnce(&mut WorkflowQueryResult)) {
    let mut result = WorkflowQueryResult {
        result_type: QueryResultType::Answered.into(),
        answer: Some(text("answer")),
        ..Default::default()
    };
    edit(&mut result);
    let id = task.queries.keys().next().expect("a query").clone();
    s.complete_with(task, [], |it| it.query_results = [(id, result)].into()).await;
}

/// The query waits for the end of the task, and becomes a task of its own then.
async fn while_a_task_is_started(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    s.signal("wf", "wake").await;
    let task = s.poll().await;
    let query = s.later(s.query_request("wf", "state"));
    s.complete(&task, [start_timer("t", seconds(60))]).await;
    let task = s.poll().await;
    let answer = s.answer_request(&task);
    s.call(answer).await;
    s.take(query).await;
    s.history("wf").await;
}

/// A run without a completed task cannot be queried: the query waits for its first task.
async fn while_the_first_task_is_started(s: &mut Script) {
    s.start("wf").await;
    let task = s.poll().await;
    let query = s.later(s.query_request("wf", "state"));
    s.complete(&task, [start_timer("t", seconds(60))]).await;
    let task = s.poll().await;
    let answer = s.answer_request(&task);
    s.call(answer).await;
    s.take(query).await;
    s.history("wf").await;
}

async fn rejected(s: &mut Script) {
    s.start("completed").await;
    s.task([complete_workflow()]).await;
    s.start("failed").await;
    s.task([fail_workflow("no")]).await;
    for (workflow, condition) in [
        ("completed", QueryRejectCondition::NotOpen),
        ("failed", QueryRejectCondition::NotOpen),
        ("failed", QueryRejectCondition::NotCompletedCleanly),
    ] {
        let mut query = s.query_request(workflow, "state");
        query.query_reject_condition = condition.into();
        s.call(query).await;
    }
}

async fn not_rejected(s: &mut Script) {
    s.start("wf").await;
    s.task([complete_workflow()]).await;
    let mut query = s.query_request("wf", "state");
    query.query_reject_condition = QueryRejectCondition::NotCompletedCleanly.into();
    let query = s.later(query);
    let task = s.poll().await;
    let answer = s.answer_request(&task);
    s.call(answer).await;
    s.take(query).await;
}

/// A run whose tasks fail repeatedly rejects the query at once.
async fn a_worker_that_fails(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    s.signal("wf", "wake").await;
    for _ in 0..2 {
        let task = s.poll().await;
        s.fail(&task).await;
    }
    let query = s.query_request("wf", "state");
    s.refused(query).await;
}

async fn closed_before_any_task(s: &mut Script) {
    s.start("wf").await;
    s.terminate("wf").await;
    let query = s.query_request("wf", "state");
    s.refused(query).await;
}

async fn answered_twice(s: &mut Script) {
    s.start("wf").await;
    s.task([]).await;
    let query = s.later(s.query_request("wf", "state"));
    let task = s.poll().await;
    let answer = s.answer_request(&task);
    s.call(answer.clone()).await;
    s.take(query).await;
    s.refused(answer).await;
}

async fn refused_ones(s: &mut Script) {
    let mut query = s.query_request("nobody", "state");
    s.refused(query.clone()).await;
    query.query = None;
    s.refused(query.clone()).await;
    query = s.query_request("nobody", "");
    s.refused(query.clone()).await;
    query = s.query_request("nobody", "state");
    query.execution = None;
    s.refused(query.clone()).await;
    query.namespace = "nowhere".into();
    s.refused(query).await;
}
