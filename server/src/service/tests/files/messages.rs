//! Messages between runs that were not carried out when the process died.

use super::*;
use crate::api::command::{
    RequestCancelExternalWorkflowExecutionCommandAttributes, SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
};
use crate::api::common::WorkflowType;

fn start_child(id: &str) -> Command {
    let attributes = StartChildWorkflowExecutionCommandAttributes {
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType { name: "Flow".to_owned() }),
        ..Default::default()
    };
    let attributes = CommandAttributes::StartChildWorkflowExecutionCommandAttributes(attributes.into());
    command(CommandType::StartChildWorkflowExecution, attributes)
}

fn signal_and_cancel(id: &str) -> Vec<Command> {
    let signal = SignalExternalWorkflowExecutionCommandAttributes {
        execution: Some(execution(id)),
        signal_name: "signal".to_owned(),
        ..Default::default()
    };
    let cancel =
        RequestCancelExternalWorkflowExecutionCommandAttributes { workflow_id: id.to_owned(), ..Default::default() };
    vec![
        command(
            CommandType::SignalExternalWorkflowExecution,
            CommandAttributes::SignalExternalWorkflowExecutionCommandAttributes(signal),
        ),
        command(
            CommandType::RequestCancelExternalWorkflowExecution,
            CommandAttributes::RequestCancelExternalWorkflowExecutionCommandAttributes(cancel),
        ),
    ]
}

/// Completes a task, but the process dies before it carries out the messages of the transition.
async fn complete_and_die(
    mut bench: Bench,
    shelf: &Shelf,
    task: &PollWorkflowTaskQueueResponse,
    commands: Vec<Command>,
) -> Bench {
    bench.engine.handle.core.hold_intents();
    bench.complete(task, commands).await;
    reopened(bench, shelf)
}

fn workflow_id(task: &PollWorkflowTaskQueueResponse) -> &str {
    task.workflow_execution.as_ref().map_or("", |execution| &execution.workflow_id)
}

#[tokio::test]
async fn a_child_starts_and_reports_after_restarts() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("parent").await;
    let task = bench.poll().await;
    bench = complete_and_die(bench, &shelf, &task, vec![start_child("child")]).await;
    let task = bench.poll().await;
    assert_eq!(workflow_id(&task), "parent");
    bench.complete(&task, vec![]).await;
    let task = bench.poll().await;
    assert_eq!(workflow_id(&task), "child");
    bench = complete_and_die(bench, &shelf, &task, vec![complete_workflow()]).await;
    let task = bench.poll().await;
    assert_eq!(workflow_id(&task), "parent");
    bench.complete(&task, vec![complete_workflow()]).await;
    let parent = "1:1 2:5 3:6 4:7 5:29 6:31 7:5 8:6 9:7 10:32 11:5 12:6 13:7 14:2";
    assert_eq!(bench.numbers("parent").await, parent);
    assert_eq!(bench.numbers("child").await, "1:1 2:5 3:6 4:7 5:2");
    bench = reopened(bench, &shelf);
    assert_eq!(bench.numbers("parent").await, parent, "what was carried out is not repeated");
}

#[tokio::test]
async fn children_are_left_after_a_restart() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("parent").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![start_child("child")]).await;
    let task = bench.poll().await;
    assert_eq!(workflow_id(&task), "parent");
    bench = complete_and_die(bench, &shelf, &task, vec![complete_workflow()]).await;
    let closed = bench.close_event("child").await;
    assert_eq!(closed.event_type(), EventType::WorkflowExecutionTerminated);
}

#[tokio::test]
async fn signals_and_cancel_requests_leave_after_a_restart_and_once() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("target").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![]).await;
    bench.start("source").await;
    let task = bench.poll().await;
    bench = complete_and_die(bench, &shelf, &task, signal_and_cancel("target")).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let task = bench.poll().await;
        seen.push(workflow_id(&task).to_owned());
        bench.complete(&task, vec![]).await;
    }
    seen.sort();
    assert_eq!(seen, ["source", "target"]);
    bench = reopened(bench, &shelf);
    let count = |events: &str, kind: &str| events.split(' ').filter(|event| event.ends_with(kind)).count();
    let target = bench.numbers("target").await;
    assert_eq!((count(&target, ":26"), count(&target, ":20")), (1, 1), "{target}");
    let source = bench.numbers("source").await;
    assert_eq!((count(&source, ":39"), count(&source, ":24")), (1, 1), "{source}");
}
