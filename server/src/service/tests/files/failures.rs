//! Disks that fail.

use faulty_vfs::{Fault, FileKind, Operation};

use super::*;
use crate::CommitStep;
use crate::api::workflowservice::DescribeNamespaceRequest;

#[tokio::test]
async fn a_full_disk_fails_all_calls_and_loses_no_acknowledged_change() {
    let shelf = Shelf::faulty();
    let mut bench = shelf.open();
    bench.start("before").await;
    shelf.vfs().inject(Fault::disk_full().for_good());
    check_store_failed(&try_start(&mut bench, "after").await.unwrap_err(), "no space is left");
    assert!(bench.engine.failed().await.contains("no space is left"));
    // Clients call this to check whether the server is healthy.
    let namespace = DescribeNamespaceRequest { namespace: "default".to_owned(), ..Default::default() };
    check_store_failed(&bench.client.describe_namespace(namespace).await.unwrap_err(), "no space is left");
    // Reads fail too: memory may contain changes that the file does not.
    let describe =
        DescribeWorkflowExecutionRequest { namespace: "default".to_owned(), execution: Some(execution("before")) };
    check_store_failed(&bench.client.describe_workflow_execution(describe).await.unwrap_err(), "no space is left");
    drop(bench);

    shelf.vfs().clear_faults();
    let mut bench = shelf.open();
    assert_eq!(bench.numbers("before").await, "1:1 2:5");
    assert!(try_start(&mut bench, "after").await.unwrap().started);
}

#[tokio::test]
async fn a_file_size_limit_counts_as_a_full_disk() {
    let shelf = Shelf::new();
    let full = Engine::builder().file(shelf.file()).pages_max(40).build().unwrap();
    let mut bench = Bench::of(full);
    let mut acknowledged = Vec::new();
    let refusal = loop {
        let id = format!("flow-{}", acknowledged.len());
        match try_start(&mut bench, &id).await {
            Ok(_) => acknowledged.push(id),
            Err(refusal) => break refusal,
        }
    };
    check_store_failed(&refusal, "no space is left");
    assert!(acknowledged.len() > 20, "{acknowledged:?}");
    drop(bench);

    let mut bench = shelf.open();
    for id in &acknowledged {
        assert_eq!(bench.numbers(id).await, "1:1 2:5", "{id}");
    }
    let next = format!("flow-{}", acknowledged.len());
    assert!(try_start(&mut bench, &next).await.unwrap().started, "what was refused has not happened");
}

#[tokio::test]
async fn a_commit_is_acknowledged_after_its_last_step() {
    let shelf = Shelf::new();
    let (told, steps) = std::sync::mpsc::channel();
    let builder = Engine::builder().file(shelf.file()).on_commit(move |step| told.send(step).unwrap());
    let mut bench = Bench::of(builder.build().unwrap());
    bench.start("flow").await;
    let group = [CommitStep::Begin, CommitStep::BeforeCommit, CommitStep::Committed];
    let before_the_acknowledgement: Vec<_> = steps.try_iter().collect();
    assert!(before_the_acknowledgement.ends_with(&group), "{before_the_acknowledgement:?}");
    drop(bench);
    let at_the_end: Vec<_> = steps.iter().collect();
    assert_eq!(at_the_end.last(), Some(&CommitStep::Checkpoint), "{at_the_end:?}");
}

#[tokio::test]
async fn waiting_calls_fail_at_once_when_the_store_fails() {
    let shelf = Shelf::faulty();
    let mut bench = shelf.open();
    let mut poller = Bench::of(bench.engine.clone());
    let request = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue("another")),
        identity: "worker".to_owned(),
        ..Default::default()
    };
    let poll = poller.client.poll_workflow_task_queue(request);
    shelf.vfs().inject(Fault::io_error(Operation::Sync).of(FileKind::Wal).for_good());
    let (polled, started) = tokio::join!(poll, try_start(&mut bench, "flow"));
    check_store_failed(&polled.unwrap_err(), "check the disk");
    check_store_failed(&started.unwrap_err(), "check the disk");
}

#[tokio::test]
async fn a_failed_sync_is_not_a_commit() {
    let shelf = Shelf::faulty();
    let mut bench = shelf.open();
    bench.start("before").await;
    shelf.vfs().inject(Fault::forgetful_sync().of(FileKind::Wal));
    check_store_failed(&try_start(&mut bench, "lost").await.unwrap_err(), "check the disk");
    // The disk works again, but the engine does not continue with an unknown file state.
    check_store_failed(&try_start(&mut bench, "later").await.unwrap_err(), "check the disk");
    drop(bench);
    shelf.vfs().cut_power();
    shelf.vfs().power_loss(1).unwrap();
    let mut bench = shelf.open();
    assert_eq!(bench.numbers("before").await, "1:1 2:5");
}
