//! Lists and counts of runs.
//!
//! The reference updates its lists shortly after the runs, so a scenario polls until the expected count is reached.

use everloop_proto::temporal::api::{common::v1::Memo, workflowservice::v1 as service};
use tonic::Code;

use super::super::{
    commands::*,
    script::{NAMESPACE, Script, before_asking_again},
    suite::scenarios,
};

scenarios!["listing":
    running_and_closed,
    conditions,
    in_pages,
    counted_in_groups,
    filters_that_are_wrong,
];

async fn three_runs(s: &mut Script) {
    s.start_with("completed", |it| it.memo = Some(Memo { fields: [("note".into(), payload("memo"))].into() })).await;
    s.task([complete_workflow()]).await;
    s.start("failed").await;
    s.task([fail_workflow("no")]).await;
    s.start_with("running", |it| it.workflow_type.as_mut().expect("a type").name = "Other".into()).await;
    let all = format!("{} AND ExecutionStatus = 'Running'", mine(s));
    // The list is complete once the last run is in it and the others are closed.
    settled(s, &all, 1).await;
    let all = mine(s);
    settled(s, &all, 3).await;
}

/// The filter for all runs of this scenario.
fn mine(s: &Script) -> String {
    format!("TaskQueue = '{}'", s.name("queue"))
}

pub(super) fn list_request(query: &str) -> service::ListWorkflowExecutionsRequest {
    service::ListWorkflowExecutionsRequest { namespace: NAMESPACE.into(), query: query.into(), ..Default::default() }
}

fn count_request(query: &str) -> service::CountWorkflowExecutionsRequest {
    service::CountWorkflowExecutionsRequest { namespace: NAMESPACE.into(), query: query.into() }
}

/// Polls until the filter finds that many.
pub(super) async fn settled(s: &mut Script, query: &str, count: i64) {
    loop {
        match s.quietly(count_request(query)).await {
            Ok(reply) if reply.count == count => return,
            Ok(_) => {}
            Err(busy) if busy.code() == Code::ResourceExhausted => {}
            Err(error) => panic!("{query}: {error:?}"),
        }
        before_asking_again().await;
    }
}

/// The workflow ids that the filter finds, in order.
async fn found(s: &mut Script, query: &str) {
    let ids = found_ids(s, query).await;
    s.note(&format!("{query}: {ids:?}"));
}

pub(super) async fn found_ids(s: &mut Script, query: &str) -> Vec<String> {
    let executions = loop {
        match s.quietly(list_request(query)).await {
            Ok(reply) => break reply.executions,
            Err(busy) if busy.code() == Code::ResourceExhausted => before_asking_again().await,
            Err(error) => panic!("{query}: {error:?}"),
        }
    };
    executions.into_iter().filter_map(|it| it.execution).map(|it| it.workflow_id).collect()
}

async fn running_and_closed(s: &mut Script) {
    three_runs(s).await;
    let query = mine(s);
    s.call(list_request(&query)).await;
    s.call(count_request(&query)).await;
}

async fn conditions(s: &mut Script) {
    three_runs(s).await;
    let all = mine(s);
    let (completed, failed) = (s.name("completed"), s.name("failed"));
    for condition in [
        "ExecutionStatus = 'Running'",
        "ExecutionStatus = \"Completed\"",
        "ExecutionStatus IN ('Completed', 'Failed')",
        "WorkflowType = 'Main'",
        "WorkflowType = 'Other' AND ExecutionStatus = 'Running'",
        &format!("WorkflowId = '{completed}'"),
        &format!("WorkflowId IN ('{completed}', '{failed}', 'nobody')"),
        "StartTime > '2020-01-01T00:00:00Z'",
        "StartTime < '2020-01-01T00:00:00Z'",
        "StartTime >= '2020-01-01T00:00:00Z' AND StartTime <= '2100-01-01T00:00:00Z'",
        "StartTime BETWEEN '2020-01-01T00:00:00Z' AND '2100-01-01T00:00:00+02:00'",
        "RunId = '00000000-0000-0000-0000-000000000000'",
    ] {
        let query = format!("{all} AND {condition}");
        found(s, &query).await;
    }
}

async fn in_pages(s: &mut Script) {
    three_runs(s).await;
    let mut request = list_request(&mine(s));
    request.page_size = 2;
    let mut pages = Vec::new();
    loop {
        let page = s.quietly(request.clone()).await.expect("a page");
        pages.push(page.executions.len());
        request.next_page_token = page.next_page_token;
        if request.next_page_token.is_empty() {
            break;
        }
    }
    s.note(&format!("pages of at most 2: {pages:?}"));
}

async fn counted_in_groups(s: &mut Script) {
    three_runs(s).await;
    let query = format!("{} GROUP BY ExecutionStatus", mine(s));
    let mut groups = s.quietly(count_request(&query)).await.expect("a count").groups;
    groups.sort_by_key(|group| group.group_values[0].data.clone());
    for group in groups {
        let name = String::from_utf8_lossy(&group.group_values[0].data).into_owned();
        s.note(&format!("{name}: {}", group.count));
    }
}

async fn filters_that_are_wrong(s: &mut Script) {
    for query in [
        "WorkflowId =",
        "= 'a'",
        "WorkflowId 'a'",
        "Unknown = 'a'",
        "StartTime = 'yesterday'",
        "ExecutionStatus = 'Asleep'",
        "(WorkflowId = 'a'",
        "WorkflowId LIKE 'a%'",
        "WorkflowId = 'a",
    ] {
        let list = s.later(list_request(query));
        let status = s.take_status(list).await;
        s.note(&format!("{query}: {:?}", status.code()));
    }
    let mut request = list_request("");
    request.next_page_token = "no token".into();
    let list = s.later(request);
    let status = s.take_status(list).await;
    s.note(&format!("a wrong token: {:?}", status.code()));
    let mut request = list_request("");
    request.namespace = "nowhere".into();
    s.refused(request).await;
}
