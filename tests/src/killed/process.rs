//! The test program running as a worker process.

use std::{
    env,
    future::pending,
    io,
    os::unix::process::ExitStatusExt,
    process::{self, Stdio},
    thread,
};

use everloop::{Client, Worker};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    runtime::Builder,
};

use super::purchase::{Customer, OneClickBuy};

/// The variable that makes a process a worker: the server's address, the task queue, and the shop's address.
const ROLE: &str = "EVERLOOP_TEST_WORKER";

/// The signal that a process cannot handle.
const SIGKILL: i32 = 9;

/// The line that a worker prints when it polls.
const READY: &str = "the worker polls";

/// A process with a worker. It is killed when this is dropped.
pub(super) struct WorkerProcess {
    child: Child,
    /// Kept open: a process that cannot write its output would fail.
    _says: Lines<BufReader<ChildStdout>>,
}

impl WorkerProcess {
    /// Starts a process and waits until its worker polls.
    pub(super) async fn start(test: &str, address: &str, task_queue: &str, shop: &str) -> Self {
        let program = env::current_exe().expect("the test knows where it is");
        let mut child = Command::new(program)
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, format!("{address} {task_queue} {shop}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the test can be started again");
        let mut says = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        loop {
            match says.next_line().await.expect("it speaks UTF-8").as_deref() {
                Some(READY) => return Self { child, _says: says },
                Some(_) => {}
                None => panic!("the worker's process has ended: {:?}", child.wait().await),
            }
        }
    }

    /// Kills the process, and waits until it has ended.
    pub(super) async fn kill(&mut self) {
        self.child.start_kill().expect("the process is ours");
        let status = self.child.wait().await.expect("the process is ours");
        assert_eq!(status.signal(), Some(SIGKILL), "the worker has ended by itself: {status}");
    }
}

/// If the process was started as a worker, runs the worker and never returns.
pub(super) fn run_worker_if_started_as_one() {
    let Ok(role) = env::var(ROLE) else { return };
    // The end of the parent closes this input in any case.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0)
    });
    let [address, task_queue, shop] = role.split(' ').collect::<Vec<_>>()[..] else { panic!("{ROLE} is `{role}`") };
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts");
    let outcome = runtime.block_on(async {
        let client = Client::connect(address).await.expect("the server is there");
        let worker = Worker::builder(&client, task_queue).workflow::<OneClickBuy>();
        let worker = worker.activities(Customer { shop: shop.to_owned() }).build().expect("it is complete");
        worker
            .run_until(async {
                println!("{READY}");
                pending::<()>().await
            })
            .await
    });
    panic!("the worker has stopped: {outcome:?}");
}
