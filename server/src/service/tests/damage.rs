//! Data that cannot be decoded: too deep failures, at each entrance; and damaged batches in the file.

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowService as _;
use rusqlite::Connection;

use super::*;
use crate::api::command::{FailWorkflowExecutionCommandAttributes, RecordMarkerCommandAttributes};
use crate::api::enums::WorkflowTaskFailedCause;
use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{ApplicationFailureInfo, Failure};
use crate::api::history::history_event::Attributes;
use crate::limits::FAILURE_CHAIN_MAX;

/// Encoding or dropping this many causes recursively would overflow the stack of any thread.
const DEEP: usize = 200_000;

fn deep() -> Failure {
    let one = |cause: Option<Failure>| Failure {
        message: "level".to_owned(),
        cause: cause.map(Box::new),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo::default())),
        ..Failure::default()
    };
    (1..DEEP).fold(one(None), |inner, _| one(Some(inner)))
}

fn length(failure: Option<&Failure>) -> usize {
    std::iter::successors(failure, |failure| failure.cause.as_deref()).count()
}

#[tokio::test]
async fn a_failure_of_any_depth_is_cut_at_every_entrance() {
    let mut bench = Bench::new(ClockMode::Real);
    // In-process calls, which encode nothing.
    let service = bench.engine.workflows();
    let request = StartWorkflowExecutionRequest { continued_failure: Some(deep()), ..start_request("flow") };
    service.start_workflow_execution(Request::new(request)).await.unwrap();

    let task = bench.poll().await;
    let request = RespondWorkflowTaskFailedRequest {
        namespace: "default".to_owned(),
        task_token: task.task_token.clone(),
        cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure as i32,
        failure: Some(deep()),
        ..Default::default()
    };
    service.respond_workflow_task_failed(Request::new(request)).await.unwrap();

    let marker = command(
        CommandType::RecordMarker,
        CommandAttributes::RecordMarkerCommandAttributes(RecordMarkerCommandAttributes {
            marker_name: "m".to_owned(),
            failure: Some(deep()),
            ..Default::default()
        }),
    );
    let task = bench.poll().await;
    let request = completion(&task, vec![marker, run_activity()]);
    service.respond_workflow_task_completed(Request::new(request)).await.unwrap();

    // The first attempt is reported by token, the second by id.
    let task = bench.poll_activity().await;
    let request = RespondActivityTaskFailedRequest {
        namespace: "default".to_owned(),
        task_token: task.task_token,
        failure: Some(deep()),
        ..Default::default()
    };
    service.respond_activity_task_failed(Request::new(request)).await.unwrap();
    bench.poll_activity().await;
    let mut failure = deep();
    if let Some(FailureInfo::ApplicationFailureInfo(info)) = &mut failure.failure_info {
        info.non_retryable = true;
    }
    let request = RespondActivityTaskFailedByIdRequest {
        namespace: "default".to_owned(),
        workflow_id: "flow".to_owned(),
        activity_id: "1".to_owned(),
        failure: Some(failure),
        ..Default::default()
    };
    service.respond_activity_task_failed_by_id(Request::new(request)).await.unwrap();

    let task = bench.poll().await;
    let mut asker = Bench::of(bench.engine.clone());
    let query = asker.client.query_workflow(QueryWorkflowRequest {
        namespace: "default".to_owned(),
        execution: Some(execution("flow")),
        query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
        ..Default::default()
    });
    let fail = command(
        CommandType::FailWorkflowExecution,
        CommandAttributes::FailWorkflowExecutionCommandAttributes(FailWorkflowExecutionCommandAttributes {
            failure: Some(deep()),
        }),
    );
    let answered = async {
        let request = completion(&task, vec![fail]);
        service.respond_workflow_task_completed(Request::new(request)).await.unwrap();
        let task = bench.poll().await;
        let request = RespondQueryTaskCompletedRequest {
            namespace: "default".to_owned(),
            task_token: task.task_token,
            completed_type: QueryResultType::Failed as i32,
            failure: Some(deep()),
            ..Default::default()
        };
        service.respond_query_task_completed(Request::new(request)).await.unwrap();
    };
    let (asked, ()) = tokio::join!(query, answered);
    assert_eq!(asked.unwrap_err().code(), Code::InvalidArgument);

    let events = bench.history("flow").await;
    let lengths: Vec<_> = events
        .iter()
        .filter_map(|event| match event.attributes.as_ref()? {
            Attributes::WorkflowExecutionStartedEventAttributes(it) => Some(length(it.continued_failure.as_ref())),
            Attributes::WorkflowTaskFailedEventAttributes(it) => Some(length(it.failure.as_ref())),
            Attributes::MarkerRecordedEventAttributes(it) => Some(length(it.failure.as_ref())),
            Attributes::ActivityTaskStartedEventAttributes(it) => Some(length(it.last_failure.as_ref())),
            Attributes::ActivityTaskFailedEventAttributes(it) => Some(length(it.failure.as_ref())),
            Attributes::WorkflowExecutionFailedEventAttributes(it) => Some(length(it.failure.as_ref())),
            _ => None,
        })
        .collect();
    assert_eq!(lengths, [FAILURE_CHAIN_MAX; 6], "{}", numbers(&events));
}

#[tokio::test]
async fn a_call_that_is_dropped_before_it_begins_drops_a_failure_of_any_depth() {
    let mut bench = Bench::new(ClockMode::Real);
    let request = RespondActivityTaskFailedRequest { failure: Some(deep()), ..Default::default() };
    let service = bench.engine.workflows();
    drop(service.respond_activity_task_failed(Request::new(request)));
    bench.start("flow").await;
}

/// Regression: events that could not be decoded were skipped, so histories had unnoticed holes.
#[tokio::test]
async fn a_damaged_history_is_data_loss_for_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let mut bench = Bench::of(Engine::open(&file).unwrap());
    bench.start("flow").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![start_timer(3600)]).await;
    bench.start("closed").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![complete_workflow()]).await;
    drop(bench);
    for damage in [
        // An event of an unknown type replaces the one with the completion.
        "UPDATE history SET events = x'0a03ffffff' WHERE first_event = 4",
        "DELETE FROM history WHERE first_event = 3",
        "DELETE FROM history",
    ] {
        let connection = Connection::open(&file).unwrap();
        assert!(connection.execute(damage, []).unwrap() >= 2);
        drop(connection);
        let mut bench = Bench::of(Engine::open(&file).unwrap());
        for id in ["flow", "closed"] {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: "default".to_owned(),
                execution: Some(execution(id)),
                ..Default::default()
            };
            let read = bench.client.get_workflow_execution_history(request.clone()).await;
            let mut statuses = vec![read.map(|page| page.into_inner().history.unwrap().events.len())];
            let close_only = GetWorkflowExecutionHistoryRequest {
                history_event_filter_type: HistoryEventFilterType::CloseEvent as i32,
                ..request
            };
            let read = bench.client.get_workflow_execution_history(close_only).await;
            statuses.push(read.map(|page| page.into_inner().history.unwrap().events.len()));
            let reverse = GetWorkflowExecutionHistoryReverseRequest {
                namespace: "default".to_owned(),
                execution: Some(execution(id)),
                ..Default::default()
            };
            let read = bench.client.get_workflow_execution_history_reverse(reverse).await;
            statuses.push(read.map(|page| page.into_inner().history.unwrap().events.len()));
            let describe =
                DescribeWorkflowExecutionRequest { namespace: "default".to_owned(), execution: Some(execution(id)) };
            statuses.push(bench.client.describe_workflow_execution(describe).await.map(|_| 0));
            for status in statuses {
                let status = status.expect_err(damage);
                assert_eq!(status.code(), Code::DataLoss, "{id}: {damage}: {status}");
                assert!(status.message().contains("history"), "{id}: {damage}: {status}");
            }
        }
    }
}
