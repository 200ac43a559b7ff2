//! Kills of the engine's process, at moments that the seed chooses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use everloop_server::CommitStep;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::calls::{self, Service};
use crate::child::{End, KillAt, Mode, Process};
use crate::entry::Journal;
use crate::load::{self, Plan};
use crate::model::SharedModel;
use crate::observe::{count_open, observe};
use crate::random::Random;
use crate::report::{self, KillsLine};
use crate::worker::{self, Worker};
use crate::{Error, Planted};

/// Kills per database. The first database is excepted: it lives long.
const KILLS_EACH: u64 = 50;
/// The share of the first, in percent.
const FIRST_PERCENT: u64 = 30;
/// After this many kills all workflows are run to their end.
const KILLS_BETWEEN_ENDS: u64 = 25;
/// After this many kills closed runs are read again, too.
const KILLS_BETWEEN_FULL_READS: u64 = 10;
const KILLS_BETWEEN_WORDS: u64 = 50;

/// Number of operations that each client plans in one life.
const OPERATIONS: usize = 20;

/// Timeout for a planned kill in a commit that does not happen.
const COMMIT_PATIENCE: Duration = Duration::from_millis(300);
/// The same for a checkpoint, which takes some megabytes.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(1500);
/// How long to wait for a task that may not exist.
const FIRST_TASK: Duration = Duration::from_millis(150);
/// How long to wait for clients to end once the engine is dead.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(5);
const CLOSING_PATIENCE: Duration = Duration::from_secs(20);
/// How long the last workflow may take.
const END_PATIENCE: Duration = Duration::from_secs(60);

/// When a process dies.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// That long after its start.
    Starting(Duration),
    /// Within the commit path.
    InCommit(KillAt),
    /// That long after it got something to do.
    Working(Duration),
    /// While it closes the database, that long after it got something to do: before it moves the log, or before it empties it.
    Closing { after: Duration, checkpoint: u32 },
}

impl Kill {
    fn random(random: &mut Random) -> Self {
        let millis = |random: &mut Random, max: u64| Duration::from_micros(random.within(0..max * 1000));
        match random.within(0..100) {
            0..8 => Self::Starting(millis(random, 40)),
            // Commits continue only during the move of a long log.
            8..10 => Self::InCommit(KillAt { step: CommitStep::Checkpoint, nth: 1 }),
            10..60 => {
                let step = [CommitStep::Begin, CommitStep::BeforeCommit, CommitStep::Committed][random.index(3)];
                Self::InCommit(KillAt { step, nth: 1 + random.within(0..60) as u32 })
            }
            60..66 => Self::Closing { after: millis(random, 80), checkpoint: 1 + random.index(2) as u32 },
            _ => Self::Working(millis(random, 150)),
        }
    }

    fn needs_long_log(self) -> bool {
        matches!(self, Self::InCommit(KillAt { step: CommitStep::Checkpoint, .. }))
    }

    /// The arguments for the time of the process's death.
    fn by_itself(self) -> Option<KillAt> {
        match self {
            Self::InCommit(at) => Some(at),
            Self::Closing { checkpoint, .. } => Some(KillAt { step: CommitStep::Checkpoint, nth: checkpoint }),
            Self::Starting(_) | Self::Working(_) => None,
        }
    }
}

/// The result of all kills.
#[derive(Debug, Default)]
struct KillTally {
    kills: u64,
    in_commit: u64,
    acknowledged: u64,
    bounded_attempts: u64,
    violations: u64,
    restarts: Vec<Duration>,
}

/// Why a series of kills ends early.
#[derive(Debug)]
enum KillFailure {
    /// The engine is at fault.
    Violations(Vec<String>),
    /// The test itself cannot continue.
    Test(Error),
}

impl<E: Into<Error>> From<E> for KillFailure {
    fn from(error: E) -> Self {
        Self::Test(error.into())
    }
}

/// Runs that many kills, and prints the result. Returns whether there was no violation.
pub(crate) async fn run(kills: u64, seed: u64, planted: Option<Planted>) -> Result<bool, Error> {
    let mut random = Random::part(seed, 0);
    let mut tally = KillTally::default();
    let mut mode = if random.percent(50) { Mode::Grpc } else { Mode::InProcess };
    let mut number = 0;
    let mut left = kills;
    while left > 0 {
        let share = if number == 0 { (kills * FIRST_PERCENT / 100).max(KILLS_EACH.min(kills / 4)) } else { KILLS_EACH };
        let share = share.clamp(1, left);
        let series = KillSeries::new(number, mode, random.seed(), planted)?;
        series.run(share, &mut tally).await?;
        left -= share;
        number += 1;
        mode = if mode == Mode::Grpc { Mode::InProcess } else { Mode::Grpc };
    }
    let (restart_ms_p50, restart_ms_max) = report::median_and_max_ms(tally.restarts);
    let KillTally { kills, in_commit, acknowledged, bounded_attempts, violations, .. } = tally;
    report::print(&KillsLine {
        kills,
        in_commit,
        acknowledged,
        bounded_attempts,
        violations,
        seed,
        restart_ms_p50,
        restart_ms_max,
    })?;
    Ok(violations == 0)
}

/// One database and the lives of its processes.
struct KillSeries {
    number: u64,
    mode: Mode,
    seed: u64,
    random: Random,
    folder: TempDir,
    model: Arc<SharedModel>,
    life: u64,
    /// The number of the last kill planned.
    kill: Option<Kill>,
    planted: Option<Planted>,
    restarts: Vec<Duration>,
    in_commit: u64,
}

/// A process whose engine was read and matches the model.
struct Running {
    process: Process,
    service: Service,
    /// A task that the engine has given to a worker.
    first: Option<worker::WorkflowTask>,
}

/// Clients and workers in the parent process.
struct Outside {
    clients: JoinHandle<()>,
    worker: Worker,
}

impl KillSeries {
    fn new(number: u64, mode: Mode, seed: u64, planted: Option<Planted>) -> Result<Self, Error> {
        let folder = TempDir::with_prefix("everloop-crash-")?;
        let random = Random::new(seed);
        Ok(Self {
            number,
            mode,
            seed,
            random,
            folder,
            model: Arc::default(),
            life: 0,
            kill: None,
            planted,
            restarts: Vec::new(),
            in_commit: 0,
        })
    }

    async fn run(mut self, kills: u64, tally: &mut KillTally) -> Result<(), Error> {
        let mut done = 0;
        let result = loop {
            if done == kills {
                break self.end().await;
            }
            let kill = Kill::random(&mut self.random);
            self.kill = Some(kill);
            match self.run_life(kill).await {
                // The process ended before the kill.
                Ok(false) => continue,
                Ok(true) => {}
                Err(failed) => break Err(failed),
            }
            done += 1;
            tally.kills += 1;
            if tally.kills.is_multiple_of(KILLS_BETWEEN_WORDS) {
                eprintln!("everloop-crash: {} kills, {} in this database, {:?}", tally.kills, done, self.mode);
            }
            if done.is_multiple_of(KILLS_BETWEEN_ENDS)
                && done < kills
                && let Err(failed) = self.end().await
            {
                break Err(failed);
            }
        };
        tally.in_commit += self.in_commit;
        tally.acknowledged += self.model.lock().acknowledged();
        tally.bounded_attempts += self.model.lock().bounded_attempts();
        tally.restarts.append(&mut self.restarts);
        match result {
            Ok(()) => Ok(()),
            Err(KillFailure::Test(error)) => Err(error),
            Err(KillFailure::Violations(wrong)) => {
                tally.violations += wrong.len() as u64;
                let Self { life, number, mode, seed, kill, .. } = &self;
                let during =
                    format!("life {life} of database {number} ({mode:?}, seed {seed}, last planned: {kill:?})");
                report::violations(&during, &wrong, &report::keep(self.folder));
                Ok(())
            }
        }
    }

    /// Runs one life of the process, up to its death. Returns whether it was killed: it may have ended by itself before.
    async fn run_life(&mut self, kill: Kill) -> Result<bool, KillFailure> {
        let started = Instant::now();
        self.life += 1;
        let mut process = Process::start(&self.file(), self.mode, kill.by_itself())?;
        if let Kill::Starting(after) = kill {
            let _ = process.end_within(after).await?;
            return self.collect_end(process, false).await;
        }
        let Some(running) = self.open(process, started).await? else { return Ok(true) };
        let Running { mut process, service, first } = running;
        let plan = self.plan(kill);
        let outside = self.start_load(&mut process, service, first, plan).await?;
        let (patience, closes) = match kill {
            Kill::Starting(after) | Kill::Working(after) => (after, false),
            Kill::InCommit(_) if kill.needs_long_log() => (CHECKPOINT_PATIENCE, false),
            Kill::InCommit(_) => (COMMIT_PATIENCE, false),
            Kill::Closing { after, .. } => (after, true),
        };
        let mut end = process.end_within(patience).await?;
        if closes && end.is_none() {
            process.close();
            end = process.end_within(CLOSING_PATIENCE).await?;
        }
        let is_in_commit = end == Some(End::Killed) && matches!(kill, Kill::InCommit(_));
        process.kill().await?;
        if let Some(outside) = outside {
            outside.stop().await?;
        }
        self.collect_end(process, is_in_commit).await
    }

    /// Waits for the end of the process, and for the rest of its output.
    async fn collect_end(&mut self, mut process: Process, is_in_commit: bool) -> Result<bool, KillFailure> {
        let end = process.kill().await?;
        process.all_told().await?;
        match end {
            End::Killed => {
                self.in_commit += u64::from(is_in_commit);
                Ok(true)
            }
            End::Closed => Ok(false),
            End::Other(status) => {
                Err(self.wrong(format!("the process of the engine ended with {status}; see its output above")))
            }
        }
    }

    /// Waits until the engine accepts calls, and compares its contents with the model. Returns `None` if the process died before
    /// that was done.
    async fn open(&mut self, mut process: Process, started: Instant) -> Result<Option<Running>, KillFailure> {
        let Some(address) = process.ready().await? else {
            return self.died_early(process, "it does not open its file").await;
        };
        let Ok(mut service) = calls::channel(&address).await else {
            return self.died_early(process, "it cannot be called").await;
        };
        let mut first = None;
        if self.mode == Mode::Grpc && self.model.lock().open_count() > 0 {
            // The error comes from the engine's death, or there was no task in time.
            first = worker::poll(&mut service, FIRST_TASK).await.ok().flatten();
            self.restarts.extend(first.as_ref().map(|_| started.elapsed()));
        }
        let reads_all = self.life.is_multiple_of(KILLS_BETWEEN_FULL_READS);
        match self.compare(&mut service, reads_all).await? {
            Ok(()) => Ok(Some(Running { process, service, first })),
            Err(error) => self.died_early(process, &format!("a read fails: {error}")).await,
        }
    }

    /// A death in the middle of a commit is expected.
    async fn died_early<T>(&mut self, mut process: Process, complaint: &str) -> Result<Option<T>, KillFailure> {
        match process.end_within(CLIENTS_PATIENCE).await? {
            Some(End::Killed) => {
                self.in_commit += 1;
                Ok(None)
            }
            Some(End::Other(status)) => Err(self.wrong(format!("{complaint}, and ends with {status}"))),
            Some(End::Closed) | None => Err(self.wrong(complaint.to_owned())),
        }
    }

    /// Compares the engine's contents with the model. The inner error is one of reading.
    async fn compare(&mut self, service: &mut Service, reads_all: bool) -> Result<Result<(), Error>, KillFailure> {
        let model = Arc::clone(&self.model);
        let seen = match observe(service, |row| !reads_all && model.lock().is_settled(row)).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error)),
        };
        let mut model = self.model.lock();
        let wrong = model.check(&seen);
        if !wrong.is_empty() {
            return Err(KillFailure::Violations(wrong));
        }
        model.learn(seen);
        if self.planted == Some(Planted::Acknowledgement) {
            model.doctor();
        }
        Ok(Ok(()))
    }

    /// Runs all workflows to their end, without kills, and closes the database.
    async fn end(&mut self) -> Result<(), KillFailure> {
        let started = Instant::now();
        self.life += 1;
        let process = Process::start(&self.file(), self.mode, None)?;
        let Some(Running { mut process, mut service, first }) = self.open(process, started).await? else {
            return Err(self.wrong("the process was killed by somebody else".to_owned()));
        };
        let plan = self.model.lock().plan_end(self.prefix(), &mut self.random);
        let outside = self.start_load(&mut process, service.clone(), first, plan).await?;
        let begun = Instant::now();
        while count_open(&mut service).await? > 0 && begun.elapsed() < END_PATIENCE {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if let Some(outside) = outside {
            outside.stop().await?;
        }
        self.compare(&mut service, true).await??;
        let wrong = self.model.lock().check_end();
        if !wrong.is_empty() {
            return Err(KillFailure::Violations(wrong));
        }
        process.close();
        let end = process.end_within(CLOSING_PATIENCE).await?;
        process.kill().await?;
        process.all_told().await?;
        match end {
            Some(End::Closed) => Ok(()),
            end => Err(self.wrong(format!("closed in order, it ends with {end:?}"))),
        }
    }

    fn plan(&mut self, kill: Kill) -> Plan {
        let prefix = self.prefix();
        let plan = self.model.lock().plan(prefix, OPERATIONS, &mut self.random);
        let is_heavy = kill.needs_long_log() || (matches!(kill, Kill::Working(_)) && self.random.percent(2));
        Plan { is_heavy, ..plan }
    }

    async fn start_load(
        &mut self,
        process: &mut Process,
        service: Service,
        first: Option<worker::WorkflowTask>,
        plan: Plan,
    ) -> Result<Option<Outside>, KillFailure> {
        let journal: Arc<dyn Journal> = self.model.clone();
        if self.mode == Mode::InProcess {
            process.work(&plan, journal).await?;
            return Ok(None);
        }
        let worker = Worker::start(service.clone(), Arc::clone(&journal), &plan.prefix, first);
        let clients = tokio::spawn(load::run(service, journal, plan));
        Ok(Some(Outside { clients, worker }))
    }

    fn prefix(&self) -> String {
        format!("{}.{}", self.number, self.life)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("crash.db")
    }

    fn wrong(&self, what: String) -> KillFailure {
        KillFailure::Violations(vec![what])
    }
}

impl Outside {
    async fn stop(self) -> Result<(), Error> {
        let Self { mut clients, worker } = self;
        match tokio::time::timeout(CLIENTS_PATIENCE, &mut clients).await {
            Ok(ended) => ended?,
            Err(_) => clients.abort(),
        }
        worker.stop().await;
        Ok(())
    }
}
