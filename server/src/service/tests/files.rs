//! Engines in files: recovery after a restart, failures of the disk, and damaged files.

mod crashes;
mod damaged;
mod failures;
mod messages;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use faulty_vfs::{FaultyVfs, Options};
use rusqlite::Connection;
use tempfile::TempDir;
use tonic::Status;

use super::*;
use crate::EngineError;
use crate::api::common::{Payload, Payloads};
use crate::api::enums::EventType;
use crate::model::NamespaceKey;
use crate::service::runs::lookup::{Located, Lookup};
use crate::service::runs::slot::SlotKey;

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

fn check_store_failed(status: &Status, reason: &str) {
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains(reason), "{status}");
    let details = String::from_utf8_lossy(status.details());
    assert!(details.contains("google.rpc.ErrorInfo") && details.contains("STORE_FAILED"), "{details}");
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
