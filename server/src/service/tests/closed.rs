//! Closed runs: their replacement, and their eviction from memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::test_store::TestStore;
use super::*;
use crate::api::enums::{WorkflowIdConflictPolicy, WorkflowIdReusePolicy};
use crate::model::NamespaceKey;
use crate::service::runs::slot::SlotKey;
use crate::store::{Opened, SqliteStore};

fn replacing(id: &str) -> StartWorkflowExecutionRequest {
    StartWorkflowExecutionRequest {
        request_id: "another".to_owned(),
        workflow_id_conflict_policy: WorkflowIdConflictPolicy::TerminateExisting as i32,
        ..start_request(id)
    }
}

/// Regression: the termination of a run and the start of its replacement were two commits, and a crash between them
/// left no open run.
#[tokio::test]
async fn a_crash_never_leaves_a_terminated_run_without_the_one_that_replaces_it() {
    for commits in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        let old = Bench::of(Engine::open(&file).unwrap()).start("flow").await.run_id;

        let builder = Engine::builder().file(&file);
        let (inner, opened) = builder.store().unwrap();
        let store = Arc::new(TestStore::new(inner));
        store.commits_left.store(commits, Ordering::SeqCst);
        let mut bench = Bench::of(builder.build_on(Arc::clone(&store) as _, opened).unwrap());
        let survived = tokio::select! {
            biased;
            started = bench.client.start_workflow_execution(replacing("flow")) => {
                assert_ne!(started.unwrap().into_inner().run_id, old);
                true
            }
            () = store.died.notified() => false,
        };
        drop((bench, store));

        let mut bench = Bench::of(Engine::open(&file).unwrap());
        let request =
            DescribeWorkflowExecutionRequest { namespace: "default".to_owned(), execution: Some(execution("flow")) };
        let info = bench.client.describe_workflow_execution(request).await.unwrap().into_inner();
        let info = info.workflow_execution_info.unwrap();
        assert_eq!(info.status(), WorkflowExecutionStatus::Running, "after {commits} commits");
        if survived {
            assert_ne!(info.execution.unwrap().run_id, old);
            return;
        }
    }
}

async fn terminate(bench: &mut Bench, id: &str) {
    let request = TerminateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution(id)),
        ..Default::default()
    };
    bench.client.terminate_workflow_execution(request).await.unwrap();
}

#[tokio::test]
async fn a_closed_run_is_evicted_after_its_retention() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Engine::builder().clock(ClockMode::Skipping).file(folder.path().join("shop.db"));
    let mut bench = Bench::of(builder.build().unwrap());
    for id in ["old", "young"] {
        bench.start(id).await;
    }
    terminate(&mut bench, "old").await;
    bench.engine.unlock_time("test").unwrap();
    drop(bench.engine.sleep(Duration::from_secs(20 * 24 * 3600)).await);
    terminate(&mut bench, "young").await;
    let core = Arc::clone(&bench.engine.handle.core);
    let is_in_memory = |id: &str| core.is_in_memory(&SlotKey { namespace: NamespaceKey(1), workflow_id: id.into() });
    core.forget_expired();
    assert!(is_in_memory("old") && is_in_memory("young"));
    drop(bench.engine.sleep(Duration::from_secs(15 * 24 * 3600)).await);
    core.forget_expired();
    assert!(!is_in_memory("old") && is_in_memory("young"));
    // The store deletes the run between two commits.
    let request = StartWorkflowExecutionRequest {
        request_id: "again".to_owned(),
        workflow_id_reuse_policy: WorkflowIdReusePolicy::RejectDuplicate as i32,
        ..start_request("old")
    };
    while bench.client.start_workflow_execution(request.clone()).await.is_err() {}
}

/// Regression: a closed run that was not committed when it should have been evicted stayed in memory for ever.
#[tokio::test]
async fn closed_runs_are_evicted_only_after_their_commit() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Engine::builder().file(folder.path().join("shop.db"));
    let (inner, opened) = builder.store().unwrap();
    let store = Arc::new(TestStore::new(inner));
    let mut bench = Bench::of(builder.build_on(Arc::clone(&store) as _, opened).unwrap());
    let core = Arc::clone(&bench.engine.handle.core);
    core.limit_closed_runs(10, usize::MAX);
    let mut close = async |ids: std::ops::Range<usize>| {
        for id in ids {
            bench.start(&id.to_string()).await;
            terminate(&mut bench, &id.to_string()).await;
        }
    };
    store.is_stuck.store(true, Ordering::SeqCst);
    close(0..100).await;
    assert_eq!(core.count_closed(), (100, 100, 0), "what the store does not have is nowhere else");
    store.is_stuck.store(false, Ordering::SeqCst);
    close(100..140).await;
    assert_eq!(core.count_closed(), (10, 10, 0));
}

/// Regression: a hash of every evicted workflow id was kept for ever.
#[tokio::test]
async fn remembered_ids_of_stored_runs_stay_in_proportion_to_the_store() {
    let store = Arc::new(SqliteStore::memory_of(256 << 10).unwrap());
    let opened = Opened { workers_are_gone: true, last_batch: None };
    let mut bench = Bench::of(Engine::builder().build_on(store, opened).unwrap());
    let core = Arc::clone(&bench.engine.handle.core);
    core.limit_closed_runs(10, 100);
    let mut most = 0;
    for id in 0..2000 {
        bench.start(&id.to_string()).await;
        terminate(&mut bench, &id.to_string()).await;
        let (in_memory, slots, stored) = core.count_closed();
        assert!(in_memory <= 10 && slots <= 10, "{in_memory} closed runs, {slots} slots");
        most = most.max(stored);
    }
    assert!(most < 1000, "{most} workflow ids are known, and the store is too small for so many runs");
    let request = StartWorkflowExecutionRequest {
        request_id: "again".to_owned(),
        workflow_id_reuse_policy: WorkflowIdReusePolicy::RejectDuplicate as i32,
        ..start_request("1980")
    };
    let refused = bench.client.start_workflow_execution(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "a run that the store has is known");
}

/// Regression: queries whose callers had gone stayed in queues that no worker polls.
#[tokio::test]
async fn a_query_whose_caller_has_gone_is_withdrawn() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("flow").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![complete_workflow()]).await;
    for _ in 0..3 {
        let mut caller = Bench::of(bench.engine.clone());
        let query = caller.client.query_workflow(QueryWorkflowRequest {
            namespace: "default".to_owned(),
            execution: Some(execution("flow")),
            query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
            ..Default::default()
        });
        let mut query = Box::pin(query);
        let waits = std::future::poll_fn(|context| std::task::Poll::Ready(query.as_mut().poll(context).is_pending()));
        assert!(waits.await);
        drop(query);
    }
    let key = crate::matching::QueueKey {
        namespace: NamespaceKey(1),
        kind: crate::matching::QueueKind::Workflow,
        name: QUEUE.into(),
    };
    assert_eq!(bench.engine.handle.core.matching.describe(&key).backlog, 0);
}

/// Regression: runs that were terminated before a worker polled left their tasks behind.
#[tokio::test]
async fn tasks_of_closed_runs_are_dropped_from_queues_without_pollers() {
    let mut bench = Bench::new(ClockMode::Real);
    for id in 0..1500 {
        bench.start(&id.to_string()).await;
        terminate(&mut bench, &id.to_string()).await;
    }
    bench.start("open").await;
    let key = crate::matching::QueueKey {
        namespace: NamespaceKey(1),
        kind: crate::matching::QueueKind::Workflow,
        name: QUEUE.into(),
    };
    let waiting = bench.engine.handle.core.matching.describe(&key).backlog;
    assert!(waiting < 1024, "{waiting} tasks wait, of one open run");
    let task = bench.poll().await;
    assert_eq!(task.workflow_execution.unwrap().workflow_id, "open");
}

/// Regression: the signal was written and acknowledged in the run that was terminated for it.
#[tokio::test]
async fn a_signal_that_makes_a_history_too_long_is_refused_and_never_acknowledged() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("flow").await;
    let marker = RecordMarkerCommandAttributes { marker_name: "m".to_owned(), ..Default::default() };
    let marker = CommandAttributes::RecordMarkerCommandAttributes(marker);
    let markers = vec![command(CommandType::RecordMarker, marker); 1_000];
    for _ in 0..51 {
        let task = bench.poll().await;
        let request = RespondWorkflowTaskCompletedRequest {
            force_create_new_workflow_task: true,
            ..completion(&task, markers.clone())
        };
        bench.client.respond_workflow_task_completed(request).await.unwrap();
    }
    let mut signals = 0;
    let (id, refused) = loop {
        let request_id = signals.to_string();
        let request = SignalWorkflowExecutionRequest { request_id: request_id.clone(), ..signal_request("flow") };
        match bench.client.signal_workflow_execution(request).await {
            Ok(_) => signals += 1,
            Err(refused) => break (request_id, refused),
        }
    };
    assert!(signals > 0);
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "Workflow history count exceeds limit."));
    let again = SignalWorkflowExecutionRequest { request_id: id, ..signal_request("flow") };
    let again = bench.client.signal_workflow_execution(again).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound, "{}", again.message());
    let last = bench.close_event("flow").await;
    assert_eq!(last.event_id, 51_201);
}
