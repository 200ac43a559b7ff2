//! Starts of runs, and workflow ids that are in use.

use super::*;
use crate::api::common::{Header, Payload, Payloads};
use crate::api::enums::WorkflowIdConflictPolicy;
use crate::limits::{BLOB_BYTES_MAX, HISTORY_BYTES_MAX};

#[tokio::test]
async fn a_workflow_id_in_use_follows_the_policies() {
    let mut bench = Bench::new(ClockMode::Real);
    let first = bench.start("p").await;
    let again = |reuse: i32, request_id: &str| StartWorkflowExecutionRequest {
        request_id: request_id.to_owned(),
        workflow_id_reuse_policy: reuse,
        ..start_request("p")
    };
    let same = bench.start("p").await;
    assert_eq!((same.run_id.as_str(), same.started), (first.run_id.as_str(), true));
    let error = bench.client.start_workflow_execution(again(0, "other")).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    let task = bench.poll().await;
    bench.complete(&task, vec![complete_workflow()]).await;
    for (reuse, allowed) in [(2, false), (3, false), (1, true)] {
        let answer = bench.client.start_workflow_execution(again(reuse, "other")).await;
        assert_eq!(answer.is_ok(), allowed, "reuse policy {reuse}");
    }
}

fn payload(bytes: usize) -> Payload {
    Payload { data: vec![0; bytes].into(), ..Payload::default() }
}

async fn status(bench: &mut Bench, id: &str) -> WorkflowExecutionStatus {
    let request = DescribeWorkflowExecutionRequest { namespace: "default".to_owned(), execution: Some(execution(id)) };
    let description = bench.client.describe_workflow_execution(request).await.unwrap().into_inner();
    description.workflow_execution_info.unwrap().status()
}

/// A socket rejects such a message, a caller in the engine's process has no limit.
#[tokio::test]
async fn a_start_longer_than_a_history_is_rejected_and_the_open_run_stays() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("flow").await;
    let bytes = usize::try_from(HISTORY_BYTES_MAX).unwrap() + 1;
    let too_long = StartWorkflowExecutionRequest {
        request_id: "another".to_owned(),
        header: Some(Header { fields: [("trace".to_owned(), payload(bytes))].into() }),
        workflow_id_conflict_policy: WorkflowIdConflictPolicy::TerminateExisting as i32,
        ..start_request("flow")
    };
    let error = bench.client.start_workflow_execution(too_long.clone()).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "Workflow history size exceeds limit."));
    assert_eq!(status(&mut bench, "flow").await, WorkflowExecutionStatus::Running);

    let unused = StartWorkflowExecutionRequest { workflow_id: "unused".to_owned(), ..too_long };
    assert_eq!(bench.client.start_workflow_execution(unused).await.unwrap_err().code(), Code::InvalidArgument);
    bench.start("unused").await;
}

/// Regression: the workflow id stayed occupied by the terminated run until the engine was started again.
#[tokio::test]
async fn a_workflow_id_is_free_after_a_signal_with_start_ended_a_run_that_was_too_long() {
    let mut bench = Bench::new(ClockMode::Real);
    let first = bench.start("flow").await.run_id;
    let with_start = |number: usize| SignalWithStartWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: "flow".to_owned(),
        workflow_type: start_request("flow").workflow_type,
        task_queue: start_request("flow").task_queue,
        signal_name: "grow".to_owned(),
        signal_input: Some(Payloads { payloads: vec![payload(BLOB_BYTES_MAX - 1024)] }),
        request_id: format!("signal-{number}"),
        ..Default::default()
    };
    let mut number = 0;
    let error = loop {
        match bench.client.signal_with_start_workflow_execution(with_start(number)).await {
            Ok(signaled) => assert_eq!(signaled.into_inner().run_id, first),
            Err(error) => break error,
        }
        number += 1;
    };
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "Workflow history size exceeds limit."));
    let second = bench.client.signal_with_start_workflow_execution(with_start(number)).await.unwrap().into_inner();
    assert!(second.started && second.run_id != first);
}
