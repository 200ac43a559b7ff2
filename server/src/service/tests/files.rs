//! Engines in files: recovery after a restart, failures of the disk, and damaged files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use faulty_vfs::{Fault, FaultyVfs, FileKind, Operation, Options};
use rusqlite::Connection;
use tempfile::TempDir;
use tonic::Status;

use super::*;
use crate::api::common::{Payload, Payloads, RetryPolicy};
use crate::api::enums::{EventType, RetryState};
use crate::api::history::history_event::Attributes;
use crate::api::workflowservice::DescribeNamespaceRequest;
use crate::model::NamespaceKey;
use crate::service::runs::lookup::{Located, Lookup};
use crate::service::runs::slot::SlotKey;
use crate::{CommitStep, EngineError};

/// A folder with a database file, optionally on a faulty disk.
struct Shelf {
    folder: TempDir,
    vfs: Option<FaultyVfs>,
}

impl Shelf {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), vfs: None }
    }

    fn faulty() -> Self {
        Self { vfs: Some(FaultyVfs::register(Options::default())), ..Self::new() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    fn open_as(&self, clock: ClockMode) -> Result<Bench, EngineError> {
        let mut builder = Engine::builder().clock(clock).file(self.file());
        if let Some(vfs) = &self.vfs {
            builder = builder.vfs(vfs.name());
        }
        builder.build().map(Bench::of)
    }

    fn open(&self) -> Bench {
        self.open_as(ClockMode::Real).unwrap()
    }

    fn refusal(&self) -> String {
        match self.open_as(ClockMode::Real) {
            Ok(_) => panic!("it is open"),
            Err(error) => error.to_string(),
        }
    }

    fn vfs(&self) -> &FaultyVfs {
        self.vfs.as_ref().unwrap()
    }
}

async fn try_start(bench: &mut Bench, id: &str) -> Result<StartWorkflowExecutionResponse, Status> {
    bench.client.start_workflow_execution(start_request(id)).await.map(tonic::Response::into_inner)
}

fn check_store_failed(status: &Status, reason: &str) {
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains(reason), "{status}");
    let details = String::from_utf8_lossy(status.details());
    assert!(details.contains("google.rpc.ErrorInfo") && details.contains("STORE_FAILED"), "{details}");
}

#[tokio::test]
async fn restarts_leave_no_trace_in_a_history() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    let run_id = bench.start("flow").await.run_id;
    bench = reopened(bench, &shelf);
    let task = bench.poll().await;
    bench.complete(&task, vec![run_activity()]).await;
    bench = reopened(bench, &shelf);
    let task = bench.poll_activity().await;
    bench.complete_activity(&task).await;
    bench = reopened(bench, &shelf);
    let task = bench.poll().await;
    assert_eq!(task.previous_started_event_id, 3);
    bench.complete(&task, vec![complete_workflow()]).await;
    bench = reopened(bench, &shelf);
    assert_eq!(bench.numbers("flow").await, "1:1 2:5 3:6 4:7 5:10 6:11 7:12 8:5 9:6 10:7 11:2");
    let again = bench.start("flow").await;
    assert_eq!(again.run_id, run_id, "a repeated request is known although its run has closed");
}

#[tokio::test]
async fn idle_runs_are_evicted_and_loaded_again() {
    let shelf = Shelf::new();
    let mut bench = shelf.open_as(ClockMode::Skipping).unwrap();
    let core = Arc::clone(&bench.engine.handle.core);
    core.limit_open_bytes(0);
    let in_memory = |id: &str| core.is_in_memory(&SlotKey { namespace: NamespaceKey(1), workflow_id: id.into() });
    for id in ["sleeps", "waits", "busy"] {
        bench.start(id).await;
        let task = bench.poll().await;
        let commands = match id {
            "sleeps" => vec![start_timer(3600)],
            "busy" => vec![run_activity()],
            _ => vec![],
        };
        bench.complete(&task, commands).await;
    }
    // Each change evicts some runs, once they are committed.
    while in_memory("sleeps") || in_memory("waits") {
        bench.history("busy").await;
    }
    assert!(in_memory("busy"), "its activity waits for a worker");

    bench.client.signal_workflow_execution(signal_request("waits")).await.unwrap();
    let task = bench.poll().await;
    assert_eq!(task.workflow_execution.as_ref().map(|it| it.workflow_id.as_str()), Some("waits"));
    assert_eq!(task.history.as_ref().map(|it| it.events.len()), Some(7), "a worker gets all of it");
    bench.complete(&task, vec![complete_workflow()]).await;
    let task = bench.poll_activity().await;
    bench.complete_activity(&task).await;
    let task = bench.poll().await;
    bench.complete(&task, vec![complete_workflow()]).await;

    bench.engine.unlock_time("test").unwrap();
    let task = bench.poll().await;
    assert_eq!(task.workflow_execution.as_ref().map(|it| it.workflow_id.as_str()), Some("sleeps"));
    assert!(bench.engine.skipped() >= Duration::from_secs(3590));
}

/// Closes the engine and opens it again.
fn reopened(bench: Bench, shelf: &Shelf) -> Bench {
    drop(bench);
    shelf.open()
}

/// Regression: query numbers restarted, so a worker of the earlier process answered the wrong query.
#[tokio::test]
async fn an_answer_to_a_query_before_a_restart_is_rejected_after_it() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    // Workers in other processes keep their tasks.
    let listening = bench.engine.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    bench.start("idle").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![]).await;
    let direct = ask(&bench, "idle");
    let old_direct = bench.poll().await;
    assert!(old_direct.query.is_some());
    bench.start("busy").await;
    let riding = ask(&bench, "busy");
    until_waiting(&bench, "busy").await;
    let old_task = bench.poll().await;
    assert_eq!(old_task.queries.len(), 1);
    direct.abort();
    riding.abort();
    listening.stop().await;

    let mut bench = reopened(bench, &shelf);
    let direct = ask(&bench, "idle");
    let new_direct = bench.poll().await;
    let refusal = bench.client.respond_query_task_completed(answer(&old_direct, "old")).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound, "{refusal}");
    bench.client.respond_query_task_completed(answer(&new_direct, "new")).await.unwrap();
    assert_eq!(direct.await.unwrap().unwrap().query_result, Some(text("new")));

    let riding = ask(&bench, "busy");
    until_waiting(&bench, "busy").await;
    let result = WorkflowQueryResult {
        result_type: QueryResultType::Answered as i32,
        answer: Some(text("old")),
        ..Default::default()
    };
    let query_results = old_task.queries.keys().map(|id| (id.clone(), result.clone())).collect();
    let request = RespondWorkflowTaskCompletedRequest { query_results, ..completion(&old_task, vec![]) };
    bench.client.respond_workflow_task_completed(request).await.unwrap();
    let task = bench.poll().await;
    bench.client.respond_query_task_completed(answer(&task, "new")).await.unwrap();
    assert_eq!(riding.await.unwrap().unwrap().query_result, Some(text("new")));
}

type QueryCall = tokio::task::JoinHandle<Result<QueryWorkflowResponse, Status>>;

fn ask(bench: &Bench, id: &str) -> QueryCall {
    let mut client = bench.client.clone();
    let request = QueryWorkflowRequest {
        namespace: "default".to_owned(),
        execution: Some(execution(id)),
        query: Some(WorkflowQuery { query_type: "state".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    tokio::spawn(async move { client.query_workflow(request).await.map(tonic::Response::into_inner) })
}

/// Waits until a query of that run is attached to a workflow task.
async fn until_waiting(bench: &Bench, id: &str) {
    let core = &bench.engine.handle.core;
    let key = SlotKey { namespace: NamespaceKey(1), workflow_id: id.into() };
    let is_waiting = || {
        let look = core.with_run_in_memory(&key, "", |located| match located {
            Located::Open(_, open) => Ok(open.run.queries.waiting().count() > 0),
            Located::Closed(_) => Ok(false),
        });
        matches!(look, Lookup::Done(Ok(true)))
    };
    while !is_waiting() {
        tokio::task::yield_now().await;
    }
}

fn answer(task: &PollWorkflowTaskQueueResponse, what: &str) -> RespondQueryTaskCompletedRequest {
    RespondQueryTaskCompletedRequest {
        task_token: task.task_token.clone(),
        completed_type: QueryResultType::Answered as i32,
        query_result: Some(text(what)),
        ..Default::default()
    }
}

fn text(text: &str) -> Payloads {
    Payloads { payloads: vec![Payload { data: text.to_owned().into(), ..Default::default() }] }
}

#[tokio::test]
async fn a_timer_that_expired_while_the_engine_was_down_fires_at_the_start() {
    let shelf = Shelf::new();
    let mut bench = shelf.open_as(ClockMode::Skipping).unwrap();
    bench.start("flow").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![start_timer(60)]).await;
    // Another run advances the file's time past the timer, whose run is not loaded meanwhile.
    bench.start("other").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![start_timer(3600)]).await;
    drop(bench);
    let mut bench = shelf.open_as(ClockMode::Skipping).unwrap();
    bench.engine.unlock_time("test").unwrap();
    let task = bench.poll().await;
    assert_eq!(task.workflow_execution.as_ref().map(|it| it.workflow_id.as_str()), Some("flow"));
    let types: Vec<_> = bench.history("flow").await.iter().map(HistoryEvent::event_type).collect();
    assert!(types.contains(&EventType::TimerFired), "{types:?}");
}

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

#[tokio::test]
async fn a_file_with_a_damaged_header_is_rejected() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("flow").await;
    drop(bench);
    overwrite(&shelf.file(), 0, 100);
    assert!(shelf.refusal().contains("is no database, or its beginning is damaged"), "{}", shelf.refusal());
}

#[tokio::test]
async fn a_damaged_page_fails_only_the_calls_that_read_it() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    // Enough runs to fill pages with histories alone.
    for number in 0..200 {
        let mut request = start_request(&format!("flow-{number}"));
        let payload = Payload { data: vec![7; 2000].into(), ..Default::default() };
        request.input = Some(Payloads { payloads: vec![payload] });
        bench.client.start_workflow_execution(request).await.unwrap();
    }
    terminate(&mut bench, "flow-0").await;
    terminate(&mut bench, "flow-199").await;
    drop(bench);
    let page = page_of_history(&shelf.file(), 1);
    overwrite(&shelf.file(), page * 8192, 8192);

    let mut bench = shelf.open();
    let request = |id: &str| GetWorkflowExecutionHistoryRequest {
        namespace: "default".to_owned(),
        execution: Some(execution(id)),
        ..Default::default()
    };
    let damaged = bench.client.get_workflow_execution_history(request("flow-0")).await.unwrap_err();
    assert!(damaged.message().contains("is damaged"), "{damaged}");
    assert!(damaged.message().contains("restore a backup"), "{damaged}");
    // Repeats of earlier requests would be found in the history; an unreadable history does not mean that there were
    // none.
    let signal = SignalWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution("flow-0")),
        signal_name: "signal".to_owned(),
        request_id: "sent-before".to_owned(),
        ..Default::default()
    };
    check_store_failed(&bench.client.signal_workflow_execution(signal).await.unwrap_err(), "is damaged");
    let meta = update::Meta { update_id: "sent-before".to_owned(), ..Default::default() };
    let input = update::Input { name: "update".to_owned(), ..Default::default() };
    let update = UpdateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution("flow-0")),
        request: Some(update::Request { meta: Some(meta), input: Some(input), ..Default::default() }),
        ..Default::default()
    };
    check_store_failed(&bench.client.update_workflow_execution(update).await.unwrap_err(), "is damaged");
    let whole = bench.client.get_workflow_execution_history(request("flow-199")).await.unwrap().into_inner();
    assert_eq!(whole.history.unwrap().events.len(), 3, "other runs are as they were");
}

/// Regression: request ids of a closed run that could not be read counted as none, so a repeated request was carried
/// out again.
#[tokio::test]
async fn a_closed_run_with_damaged_state_is_data_loss() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    for id in ["damaged", "whole"] {
        bench.start(id).await;
        terminate(&mut bench, id).await;
    }
    drop(bench);
    let connection = Connection::open(shelf.file()).unwrap();
    connection.execute("INSERT OR REPLACE INTO overlay (run, data) VALUES (1, x'ffffffff')", []).unwrap();
    drop(connection);
    let mut bench = shelf.open();
    let refusal = try_start(&mut bench, "damaged").await.unwrap_err();
    assert_eq!(refusal.code(), Code::DataLoss, "{refusal}");
    assert!(refusal.message().contains("is damaged"), "{refusal}");
    assert!(try_start(&mut bench, "whole").await.is_ok());
}

async fn terminate(bench: &mut Bench, id: &str) {
    let request = TerminateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(execution(id)),
        ..Default::default()
    };
    bench.client.terminate_workflow_execution(request).await.unwrap();
}

/// Overwrites part of a file with garbage.
fn overwrite(file: &Path, offset: usize, length: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[offset..offset + length].fill(0xa5);
    fs::write(file, bytes).unwrap();
}

/// The number of the page that contains the first batch of a run.
fn page_of_history(file: &Path, run: i64) -> usize {
    let bytes = fs::read(file).unwrap();
    let connection = Connection::open(file).unwrap();
    let read = "SELECT events FROM history WHERE run = ?1 AND first_event = 1";
    let events: Vec<u8> = connection.query_row(read, [run], |row| row.get(0)).unwrap();
    // The last occurrence: the first pages of the table still contain remains of moved rows.
    let at = bytes.windows(64).rposition(|window| window == &events[..64]).unwrap();
    at / 8192
}

/// Regression: opened through a link, the lock and the log had other names: two engines opened one file, and after a
/// crash its log was not found.
#[cfg(unix)]
#[tokio::test]
async fn a_file_opened_through_links_is_the_same_file() {
    let shelf = Shelf::new();
    let link = shelf.folder.path().join("link.db");
    std::os::unix::fs::symlink("shop.db", &link).unwrap();
    let refusal = |path: &Path| Engine::open(path).unwrap_err();
    // The file does not exist yet.
    let mut bench = Bench::of(Engine::open(&link).unwrap());
    bench.start("flow").await;
    for name in [&link, &shelf.file()] {
        assert!(matches!(refusal(name), EngineError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    }
    assert!(!beside(&link, ".lock").exists() && !beside(&link, "-wal").exists());
    let crashed = Shelf::new();
    put(&copies(&shelf.file()), &crashed.file());
    assert_eq!(crashed.open().numbers("flow").await, "1:1 2:5");

    let second = shelf.folder.path().join("second.db");
    fs::hard_link(shelf.file(), &second).unwrap();
    for name in [&second, &link, &shelf.file()] {
        let refusal = refusal(name).to_string();
        assert!(refusal.contains("is one of 2 hard links to the same file"), "{refusal}");
    }
    drop(bench);
    fs::remove_file(&second).unwrap();
    let mut bench = Bench::of(Engine::open(&link).unwrap());
    assert_eq!(bench.numbers("flow").await, "1:1 2:5");
}

#[tokio::test]
async fn names_with_a_special_meaning_in_sqlite_are_rejected_with_the_remedy() {
    for (name, advice) in [("file:shop.db", "write `shop.db`"), (":memory:", "`memory:`")] {
        let refusal = Engine::open(name).unwrap_err().to_string();
        assert!(refusal.contains(advice), "{refusal}");
        assert!(!Path::new(name).exists());
        let refusal = crate::backup(Path::new(name), Path::new("copy.db")).unwrap_err().to_string();
        assert!(refusal.contains(advice), "{refusal}");
    }
}

#[tokio::test]
async fn a_missing_log_is_an_error_and_a_torn_log_is_read_up_to_the_tear() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("first").await;
    let first = copies(&shelf.file());
    bench.start("second").await;
    let both = copies(&shelf.file());

    // Copies the files as they are at a kill, with the contents of the lock file.
    let crashed = Shelf::new();
    put(&both, &crashed.file());
    fs::remove_file(beside(&crashed.file(), "-wal")).unwrap();
    let missing = crashed.refusal();
    assert!(missing.contains("was not closed in order") && missing.contains("shop.db-wal is not there"), "{missing}");

    let crashed = Shelf::new();
    put(&both, &crashed.file());
    // The log of both commits, cut in the middle of the second one.
    let log = fs::read(beside(&crashed.file(), "-wal")).unwrap();
    let first_log = first.iter().find(|(ending, _)| *ending == "-wal").map(|(_, bytes)| written(bytes)).unwrap();
    assert!(written(&log) > first_log + 100, "the second commit is in the log");
    fs::write(beside(&crashed.file(), "-wal"), &log[..first_log + 100]).unwrap();
    let mut bench = crashed.open();
    assert_eq!(bench.numbers("first").await, "1:1 2:5");
    assert!(try_start(&mut bench, "second").await.unwrap().started, "as if it had never been");
}

/// The log is preallocated for later commits; recovery must take the preallocated part for its end.
#[tokio::test]
async fn a_preallocated_log_is_read_up_to_the_last_commit() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("first").await;
    let log = beside(&shelf.file(), "-wal");
    let made = async {
        while fs::metadata(&log).unwrap().len() < 1 << 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), made).await.expect("the writer makes room");
    bench.start("second").await;

    let crashed = Shelf::new();
    put(&copies(&shelf.file()), &crashed.file());
    let mut bench = crashed.open();
    assert_eq!(bench.numbers("second").await, "1:1 2:5");
    bench.start("third").await;
    let again = Shelf::new();
    put(&copies(&crashed.file()), &again.file());
    let mut bench = again.open();
    for id in ["first", "second", "third"] {
        assert_eq!(bench.numbers(id).await, "1:1 2:5");
    }
}

/// Regression: the database of an idle program that was killed could not be opened: after an orderly close its log was
/// empty, the new owner did not write to it before its first commit, and the next owner reported the log as missing.
#[tokio::test]
async fn a_database_opens_after_a_kill_before_the_first_write() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("flow").await;
    drop(bench);
    for _ in 0..2 {
        let idle = shelf.open();
        let files = copies(&shelf.file());
        drop(idle);
        let crashed = Shelf::new();
        put(&files, &crashed.file());
        assert_eq!(crashed.open().numbers("flow").await, "1:1 2:5");
    }
}

/// Regression: a kill between the emptying of the log and the note about it left a log that was reported as missing.
#[tokio::test]
async fn a_database_opens_after_a_kill_while_closing() {
    let shelf = Shelf::new();
    let (told, files) = std::sync::mpsc::channel();
    let file = shelf.file();
    let builder = Engine::builder().file(&file).on_commit(move |step| {
        if step == CommitStep::Checkpoint {
            told.send(copies(&file)).unwrap();
        }
    });
    let mut bench = Bench::of(builder.build().unwrap());
    bench.start("flow").await;
    drop(bench);
    let mut moments: Vec<_> = files.iter().collect();
    moments.push(copies(&shelf.file()));
    assert_eq!(moments.len(), 3, "before the log is moved, before it is emptied, and at the end");
    for files in moments {
        let crashed = Shelf::new();
        put(&files, &crashed.file());
        assert_eq!(crashed.open().numbers("flow").await, "1:1 2:5");
    }
}

/// Regression: attempts were forgotten with their process, so an activity with two attempts ran once in every process.
#[tokio::test]
async fn an_activity_keeps_its_maximum_attempts_across_crashes() {
    let mut shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("flow").await;
    let task = bench.poll().await;
    let mut command = run_activity();
    if let Some(CommandAttributes::ScheduleActivityTaskCommandAttributes(attributes)) = &mut command.attributes {
        let initial_interval = Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 });
        attributes.retry_policy = Some(RetryPolicy { maximum_attempts: 2, initial_interval, ..Default::default() });
    }
    bench.complete(&task, vec![command]).await;
    for attempt in 1..=2 {
        assert_eq!(bench.poll_activity().await.attempt, attempt);
        // The process dies while the worker has the task.
        let crashed = Shelf::new();
        put(&copies(&shelf.file()), &crashed.file());
        drop(bench);
        shelf = crashed;
        bench = shelf.open();
    }
    let task = bench.poll().await;
    let events = task.history.unwrap().events;
    assert_eq!(numbers(&events), "1:1 2:5 3:6 4:7 5:10 6:11 7:14 8:5 9:6");
    match &events[6].attributes {
        Some(Attributes::ActivityTaskTimedOutEventAttributes(timed_out)) => {
            assert_eq!(timed_out.retry_state(), RetryState::MaximumAttemptsReached);
        }
        other => panic!("{other:?}"),
    }
}

/// The part of a log that commits have written, before the preallocated part.
fn written(log: &[u8]) -> usize {
    log.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

const ENDINGS: [&str; 3] = ["", "-wal", ".lock"];

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

fn copies(file: &Path) -> Vec<(&'static str, Vec<u8>)> {
    ENDINGS.map(|ending| (ending, fs::read(beside(file, ending)).unwrap())).into()
}

fn put(copies: &[(&str, Vec<u8>)], file: &Path) {
    for (ending, bytes) in copies {
        fs::write(beside(file, ending), bytes).unwrap();
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_continues_from_the_last_event() {
    let shelf = Shelf::new();
    let bench = shelf.open_as(ClockMode::Skipping).unwrap();
    bench.engine.unlock_time("start").unwrap();
    drop(bench.engine.sleep(Duration::from_secs(24 * 3600)).await);
    bench.engine.lock_time("start");
    let mut bench = bench;
    bench.start("flow").await;
    let ahead = bench.engine.now();
    drop(bench);
    // For a real clock, the file is a day ahead: the machine's clock was set back by a day.
    let connection = Connection::open(shelf.file()).unwrap();
    connection.execute("UPDATE meta SET value = 'real' WHERE name = 'clock'", []).unwrap();
    drop(connection);
    let mut bench = shelf.open();
    assert!(bench.engine.now() + Duration::from_secs(60) > ahead, "time does not go back");
    let task = bench.poll().await;
    bench.complete(&task, vec![complete_workflow()]).await;
    let times: Vec<_> = bench.history("flow").await.iter().map(|event| event.event_time.unwrap()).collect();
    assert!(times.is_sorted_by_key(|time| (time.seconds, time.nanos)), "{times:?}");
}

#[tokio::test]
async fn a_file_of_another_program_or_clock_mode_is_rejected() {
    let shelf = Shelf::new();
    let connection = Connection::open(shelf.file()).unwrap();
    connection.execute_batch("CREATE TABLE bills (amount INTEGER)").unwrap();
    drop(connection);
    assert!(shelf.refusal().contains("is a database of another program"), "{}", shelf.refusal());

    let shelf = Shelf::new();
    drop(shelf.open_as(ClockMode::Skipping).unwrap());
    let refusal = shelf.refusal();
    assert!(refusal.contains("keeps the time of a skipping clock"), "{refusal}");
    assert!(refusal.contains("shop.db?clock=skipping"), "{refusal}");
}
