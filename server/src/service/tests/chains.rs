//! Runs that follow each other: one commit, the time between them, and callers that wait for the old one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::test_store::TestStore;
use super::*;
use crate::api::history::history_event::Attributes;
use crate::api::workflow::WorkflowExecutionInfo;

fn continue_as_new() -> Command {
    command(
        CommandType::ContinueAsNewWorkflowExecution,
        CommandAttributes::ContinueAsNewWorkflowExecutionCommandAttributes(Box::default()),
    )
}

async fn describe(bench: &mut Bench, run_id: &str) -> WorkflowExecutionInfo {
    let which = WorkflowExecution { run_id: run_id.to_owned(), ..execution("flow") };
    let request = DescribeWorkflowExecutionRequest { namespace: "default".to_owned(), execution: Some(which) };
    let described = bench.client.describe_workflow_execution(request).await.unwrap().into_inner();
    described.workflow_execution_info.unwrap()
}

#[tokio::test]
async fn a_crash_leaves_a_continued_run_with_its_successor_or_neither() {
    for commits in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        let first = Bench::of(Engine::open(&file).unwrap()).start("flow").await.run_id;

        let builder = Engine::builder().file(&file);
        let (inner, opened) = builder.store().unwrap();
        let store = Arc::new(TestStore::new(inner));
        store.commits_left.store(commits, Ordering::SeqCst);
        let mut bench = Bench::of(builder.build_on(Arc::clone(&store) as _, opened).unwrap());
        let continues = async {
            let task = bench.poll().await;
            bench.complete(&task, vec![continue_as_new()]).await;
        };
        let survived = tokio::select! {
            biased;
            () = continues => true,
            () = store.died.notified() => false,
        };
        drop((bench, store));

        let mut bench = Bench::of(Engine::open(&file).unwrap());
        let current = describe(&mut bench, "").await;
        assert_eq!(current.status(), WorkflowExecutionStatus::Running, "after {commits} commits");
        assert_eq!(current.first_run_id, first);
        let status = describe(&mut bench, &first).await.status();
        let is_first = current.execution.unwrap().run_id == first;
        let expected =
            if is_first { WorkflowExecutionStatus::Running } else { WorkflowExecutionStatus::ContinuedAsNew };
        assert_eq!(status, expected, "after {commits} commits");
        if survived {
            assert!(!is_first);
            let events = bench.poll().await.history.unwrap().events;
            assert_eq!(numbers(&events), "1:1 2:5 3:6");
            return;
        }
    }
}

/// A workflow that does nothing but continue would otherwise take a whole processor.
#[tokio::test]
async fn runs_of_a_chain_keep_the_interval_that_was_set() {
    let interval = Duration::from_secs(60);
    let builder = Engine::builder().clock(ClockMode::Skipping).run_interval_min(interval);
    let mut bench = Bench::of(builder.build().unwrap());
    bench.start("flow").await;
    bench.engine.unlock_time("test").unwrap();
    let mut task = bench.poll().await;
    for _ in 0..3 {
        let began = bench.engine.now();
        bench.complete(&task, vec![continue_as_new()]).await;
        task = bench.poll().await;
        let first = task.history.as_ref().unwrap().events[0].clone();
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = first.attributes else {
            panic!("{first:?}")
        };
        let backoff = Duration::try_from(started.first_workflow_task_backoff.unwrap()).unwrap();
        assert!(backoff > interval / 2 && backoff <= interval, "{backoff:?}");
        assert!(bench.engine.now() - began >= backoff);
    }
}

/// As a client's `result()` does: the wait for the old run ends with the event that names the new one.
#[tokio::test]
async fn callers_that_wait_for_a_continued_run_learn_of_its_successor() {
    let mut bench = Bench::new(ClockMode::Real);
    let run_id = bench.start("flow").await.run_id;
    let task = bench.poll().await;
    let request = GetWorkflowExecutionHistoryRequest {
        namespace: "default".to_owned(),
        execution: Some(WorkflowExecution { run_id, ..execution("flow") }),
        wait_new_event: true,
        history_event_filter_type: HistoryEventFilterType::CloseEvent as i32,
        ..Default::default()
    };
    let mut client = bench.client.clone();
    let mut waiting = Box::pin(client.get_workflow_execution_history(request));
    tokio::select! {
        biased;
        closed = &mut waiting => panic!("it is not closed: {closed:?}"),
        () = bench.complete(&task, vec![continue_as_new()]) => {}
    }
    let mut events = waiting.await.unwrap().into_inner().history.unwrap().events;
    let Some(Attributes::WorkflowExecutionContinuedAsNewEventAttributes(continued)) = events.remove(0).attributes
    else {
        panic!("it is closed otherwise")
    };
    assert_eq!(describe(&mut bench, "").await.execution.unwrap().run_id, continued.new_execution_run_id);
}
