//! The process that is killed: an engine in a file, and sometimes its clients and worker.

use std::fmt;
use std::future::pending;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use everloop::Client;
use everloop_server::{CommitStep, Engine};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::entry::{Entry, Journal};
use crate::load::{self, Plan};
use crate::{Error, calls, coded};

/// The prefix of the first line of output; the address follows.
const READY: &str = "listening on ";

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[arg(long)]
    file: PathBuf,
    #[arg(long)]
    mode: Mode,
    /// The point at which the process kills itself: `begin:3` is the third time that a commit begins.
    #[arg(long)]
    kill: Option<KillAt>,
}

/// Where the users of the engine run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// In another process.
    Grpc,
    /// In the same process.
    InProcess,
}

/// A step of a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KillAt {
    pub(crate) step: CommitStep,
    pub(crate) nth: u32,
}

const STEPS: [(&str, CommitStep); 4] = [
    ("begin", CommitStep::Begin),
    ("before-commit", CommitStep::BeforeCommit),
    ("committed", CommitStep::Committed),
    ("checkpoint", CommitStep::Checkpoint),
];

impl FromStr for KillAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no moment of a commit; write `begin:1` or another step and number");
        let (name, nth) = text.split_once(':').ok_or_else(wrong)?;
        let (_, step) = STEPS.into_iter().find(|(known, _)| *known == name).ok_or_else(wrong)?;
        let nth = nth.parse().ok().filter(|nth| *nth > 0).ok_or_else(wrong)?;
        Ok(Self { step, nth })
    }
}

impl fmt::Display for KillAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STEPS.iter().find(|(_, step)| *step == self.step).map_or("", |(name, _)| name);
        write!(f, "{name}:{}", self.nth)
    }
}

impl KillAt {
    fn hook(self) -> impl Fn(CommitStep) + Send + Sync {
        let left = AtomicU32::new(self.nth);
        move |step| {
            if step == self.step && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                killed.expect("a process may kill itself");
                // The thread must not continue before the signal has arrived.
                loop {
                    std::thread::park();
                }
            }
        }
    }
}

/// Runs the child, until the standard input ends or it is killed.
pub(crate) async fn serve(options: Options) -> Result<(), Error> {
    let mut builder = Engine::builder().file(&options.file);
    if let Some(kill) = options.kill {
        builder = builder.on_commit(kill.hook());
    }
    let engine = builder.build()?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    match options.mode {
        Mode::Grpc => {
            let listening = engine.listen(any_port()).await?;
            say_ready(listening.address())?;
            while orders.next_line().await?.is_some() {}
            listening.stop().await;
        }
        Mode::InProcess => {
            let (address, window) = open_window(&engine).await?;
            say_ready(address)?;
            if let Some(plan) = orders.next_line().await? {
                tokio::select! {
                    worked = work(&engine, serde_json::from_str(&plan)?) => worked?,
                    end = orders.next_line() => drop(end?),
                }
            }
            window.abort();
            // The server task is cancelled, unless it has failed before.
            let _ = window.await;
        }
    }
    Ok(())
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn say_ready(address: SocketAddr) -> Result<(), Error> {
    Ok(writeln!(std::io::stdout().lock(), "{READY}{address}")?)
}

/// Serves the engine over gRPC to the parent. The engine still assumes that all its workers are in this process, as they are.
async fn open_window(engine: &Engine) -> Result<(SocketAddr, JoinHandle<()>), Error> {
    let incoming = TcpIncoming::bind(any_port())?.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    let served = Server::builder().serve_with_incoming(engine.workflow_service(), incoming);
    let window = tokio::spawn(async move {
        if let Err(error) = served.await {
            eprintln!("everloop-crash: the server for the parent failed: {error}");
        }
    });
    Ok((address, window))
}

/// Runs clients and a worker in this process, until it is killed.
async fn work(engine: &Engine, plan: Plan) -> Result<(), Error> {
    let journal = Arc::new(Told);
    let client = Client::builder("memory:").service(engine.workflow_service()).identity("inside").connect().await?;
    let worker = coded::worker(&client, journal.clone(), &plan.prefix)?;
    let clients = load::run(calls::in_process(engine), journal, plan);
    let for_ever = async {
        clients.await;
        pending::<Result<(), Error>>().await
    };
    worker.run_until(for_ever).await
}

/// Prints each entry on a line for the parent. The line of a call is printed before the call begins.
struct Told;

impl Journal for Told {
    fn note(&self, entry: Entry) {
        let mut line = serde_json::to_vec(&entry).expect("entries have a JSON form");
        line.push(b'\n');
        // If the parent has died, the output has no reader, and the process ends soon.
        let _ = std::io::stdout().lock().write_all(&line);
    }
}

/// The child, as the parent sees it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    output: Option<Lines<BufReader<ChildStdout>>>,
    reading: Option<JoinHandle<Result<(), Error>>>,
}

/// The end of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Killed,
    /// By itself, with success.
    Closed,
    Other(ExitStatus),
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.signal(), status.success()) {
            (Some(9), _) => Self::Killed,
            (_, true) => Self::Closed,
            _ => Self::Other(status),
        }
    }
}

impl Process {
    pub(crate) fn start(file: &Path, mode: Mode, kill: Option<KillAt>) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("child").arg("--file").arg(file);
        command.arg("--mode").arg(mode.to_possible_value().expect("no mode is hidden").get_name());
        if let Some(kill) = kill {
            command.args(["--kill", &kill.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (orders, output) = (child.stdin.take(), child.stdout.take());
        let output = output.map(|output| BufReader::new(output).lines());
        Ok(Self { child, orders, output, reading: None })
    }

    /// Waits until the child accepts calls, and returns its address; `None` if it dies before.
    pub(crate) async fn ready(&mut self) -> Result<Option<String>, Error> {
        let output = self.output.as_mut().ok_or("a child is waited for once")?;
        let line = output.next_line().await?;
        Ok(line.and_then(|line| line.strip_prefix(READY).map(str::to_owned)))
    }

    /// Lets the child run this load in its own process, and adds what it prints to the journal.
    pub(crate) async fn work(&mut self, plan: &Plan, journal: Arc<dyn Journal>) -> Result<(), Error> {
        let mut output = self.output.take().ok_or("a child works once")?;
        self.reading = Some(tokio::spawn(async move {
            while let Some(line) = output.next_line().await? {
                match serde_json::from_str(&line) {
                    Ok(entry) => journal.note(entry),
                    // The last line may be cut off by the death of the child.
                    Err(error) if error.is_eof() => {}
                    Err(error) => return Err(format!("{error} in {line:?}").into()),
                }
            }
            Ok(())
        }));
        let mut order = serde_json::to_vec(plan)?;
        order.push(b'\n');
        // A dead child takes no orders; the wait for its end notices that.
        if let Some(orders) = &mut self.orders {
            let _ = orders.write_all(&order).await;
        }
        Ok(())
    }

    /// Waits for its end, up to that long.
    pub(crate) async fn end_within(&mut self, limit: Duration) -> Result<Option<End>, Error> {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(Some(status?.into())),
            Err(_) => Ok(None),
        }
    }

    /// Kills the child, if it is still alive.
    pub(crate) async fn kill(&mut self) -> Result<End, Error> {
        // An error means that the child has ended.
        let _ = self.child.start_kill();
        Ok(self.child.wait().await?.into())
    }

    /// Asks the child to close the engine and to end.
    pub(crate) fn close(&mut self) {
        self.orders = None;
    }

    /// Waits until the journal has all that the child printed. The child must have ended.
    pub(crate) async fn all_told(&mut self) -> Result<(), Error> {
        match self.reading.take() {
            Some(reading) => reading.await?,
            None => Ok(()),
        }
    }
}
