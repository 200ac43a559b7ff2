//! Output of a program without a log whose workflows wait for a worker or an activity that does not exist.
//!
//! The test program starts itself as that program and reads its standard error.

use std::{
    env,
    error::Error,
    io::{self, BufRead, BufReader},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use everloop::data::Payloads;
use everloop::{Client, Worker, prelude::*};
use tokio::{runtime::Runtime, time::timeout};

/// The test's name, which the program passes on when it starts itself.
const TEST: &str = "unheard::a_program_that_waits_prints_why";

/// The variable that makes a process the waiting program.
const ROLE: &str = "EVERLOOP_TEST_WAITS";

/// The time limit of the program. On an idle machine, it prints everything within ten seconds.
const PATIENCE: Duration = Duration::from_secs(100);

/// The expected output, in order.
const EXPECTED: [&str; 5] = [
    // A worker polls another queue.
    "no worker polls the task queue `unpolled`, so its workflows wait",
    // The worker has workflows only.
    "no worker polls the task queue `workflows-only` for activities, so those called there wait",
    // The worker has other types.
    "the workflow type `Unknown` is not registered with this worker, where there are: Calls",
    // The worker has the first task of the run in its cache. The failed task is offered again as a first attempt.
    "a task of the Stumbles `stumbles` failed, and is tried again and again: Panic: ",
    "the activity `fails` of `fails` has failed 4 times, the last time with: the door is locked",
];

#[activity]
async fn fails() -> ActivityResult<()> {
    Err(ActivityError::new("the door is locked"))
}

#[workflow]
#[derive(Default)]
struct Calls;

#[workflow]
impl Calls {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        Ok(fails().await?)
    }
}

#[workflow]
#[derive(Default)]
struct Stumbles;

#[workflow]
impl Stumbles {
    /// Fails its second task.
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        sleep(Duration::from_millis(1)).await?;
        panic!("it stumbles")
    }
}

#[test]
fn a_program_that_waits_prints_why() {
    if env::var_os(ROLE).is_some() {
        wait_for_nothing();
    }
    let program = env::current_exe().expect("the test knows where it is");
    let mut program = Command::new(program)
        .args(["--exact", TEST, "--nocapture"])
        .env(ROLE, "")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test can be started again");
    let printed = BufReader::new(program.stderr.take().expect("it is piped"));
    let mut lines = Vec::new();
    for line in printed.lines() {
        lines.push(line.expect("the program prints UTF-8"));
        if EXPECTED.iter().all(|expected| lines.iter().any(|line| line.contains(expected))) {
            break;
        }
    }
    // The program may have ended by itself.
    let _ = program.kill();
    program.wait().expect("the program is ours");
    for expected in EXPECTED {
        let found = lines.iter().filter(|line| line.starts_with("everloop: ") && line.contains(expected)).count();
        assert_eq!(found, 1, "`{expected}` in:\n{}", lines.join("\n"));
    }
}

/// The test of a program whose standard error is a pipe that is never read.
const UNREAD: &str = "unheard::program_with_unread_warnings_continues";

#[workflow]
#[derive(Default)]
struct FailsOnce;

#[workflow]
impl FailsOnce {
    /// Fails its first task, which the worker reports.
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        static HAS_FAILED: AtomicBool = AtomicBool::new(false);
        assert!(HAS_FAILED.swap(true, Ordering::SeqCst), "the first task fails");
        Ok(())
    }
}

#[test]
fn program_with_unread_warnings_continues() {
    if env::var_os(ROLE).is_some() {
        process::exit(match fail_once() {
            true => SUCCEEDED,
            false => 1,
        });
    }
    let (reader, writer) = io::pipe().expect("there are pipes");
    drop(reader);
    let program = env::current_exe().expect("the test knows where it is");
    let ended = Command::new(program)
        .args(["--exact", UNREAD, "--nocapture"])
        .env(ROLE, "")
        .stdout(Stdio::null())
        .stderr(writer)
        .status()
        .expect("the test can be started again");
    assert_eq!(ended.code(), Some(SUCCEEDED), "a task is lost that fails without anybody to read why");
}

/// The exit code of the program if its workflow continued.
const SUCCEEDED: i32 = 7;

/// Runs a workflow whose first task fails. Returns whether the failure was reported to the server.
fn fail_once() -> bool {
    let runtime = Runtime::new().expect("a runtime starts");
    let fails = async {
        let client = Client::connect("memory:?clock=skipping").await?;
        let worker = Worker::builder(&client, "fails-once").workflow::<FailsOnce>().build()?;
        let story = async {
            let handle = client.start(FailsOnce::run()).task_queue("fails-once").await?;
            handle.result().await?;
            let history = handle.history().await?;
            Ok::<_, Box<dyn Error>>(history.event_names().any(|name| name == "WorkflowTaskFailed"))
        };
        worker.run_until(story).await
    };
    let ended = runtime.block_on(async { timeout(PATIENCE, fails).await });
    matches!(ended, Ok(Ok(true)))
}

/// Starts workflows that cannot continue, and waits for them. The process ends with its parent.
fn wait_for_nothing() -> ! {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0)
    });
    let runtime = Runtime::new().expect("a runtime starts");
    let wait = async {
        let client = Client::connect("memory:").await.expect("an engine starts");
        let worker = Worker::builder(&client, "workflows-only").workflow::<Calls>().build().expect("it is complete");
        let failing = Worker::builder(&client, "failing").workflow::<Calls>().workflow::<Stumbles>().activity(fails);
        let failing = failing.build().expect("it is complete");
        // `execute` starts the workflow and waits for its result: both look for a worker.
        let unpolled = client.execute(Calls::run()).task_queue("unpolled");
        let unknown = async {
            let unknown = client.start_untyped("Unknown", Payloads::new()).id("unknown").task_queue("workflows-only");
            unknown.await.expect("it starts").result::<()>().await
        };
        let without_activities = client.execute(Calls::run()).task_queue("workflows-only");
        let fails = client.execute(Calls::run()).id("fails").task_queue("failing");
        let stumbles = client.execute(Stumbles::run()).id("stumbles").task_queue("failing");
        let story = async {
            let ended = tokio::select! {
                ended = unpolled.into_future() => format!("{ended:?}"),
                ended = unknown => format!("{ended:?}"),
                ended = without_activities.into_future() => format!("{ended:?}"),
                ended = fails.into_future() => format!("{ended:?}"),
                ended = stumbles.into_future() => format!("{ended:?}"),
            };
            eprintln!("a workflow has ended: {ended}");
        };
        tokio::select! {
            ended = worker.run_until(story) => ended,
            ended = failing.run() => ended,
        }
    };
    let waited = runtime.block_on(async { timeout(PATIENCE, wait).await });
    panic!("the program has ended: {waited:?}");
}
