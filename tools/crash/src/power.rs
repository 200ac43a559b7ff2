//! Power losses: the engine runs on a disk that loses and tears writes that were not synced.
//!
//! A life ends when the power is cut, at an operation of the disk that the seed chooses. Each change that the disk had not synced
//! may survive or not, so each cut has many outcomes. Each outcome is opened and compared, and the next life starts from the last
//! one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use everloop_server::Engine;
use faulty_vfs::{Fault, FaultyVfs, FileKind, Image, Options};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::calls::in_process;
use crate::load;
use crate::model::{Model, SharedModel};
use crate::observe::{count_open, observe};
use crate::random::Random;
use crate::report::{self, PowerLine};
use crate::worker::Worker;
use crate::{Error, Planted};

/// Number of lives of one disk.
const LIVES: u64 = 5;
/// Number of outcomes of one cut.
const LOSSES_EACH: u64 = 10;
/// In one of so many outcomes all workflows are run to their end.
const LOSSES_BETWEEN_ENDS: u64 = 40;
const LOSSES_BETWEEN_WORDS: u64 = 1000;

/// Number of operations that each client plans in one life.
const OPERATIONS: usize = 8;
/// The time for which timers and workers continue after the clients are done.
const AFTER_CLIENTS: Duration = Duration::from_millis(30);
const CLIENTS_PATIENCE: Duration = Duration::from_secs(5);
const CLOSING_PATIENCE: Duration = Duration::from_secs(10);
const END_PATIENCE: Duration = Duration::from_secs(60);

/// When the power is cut, if the life does not end before.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// At that operation of the disk, counted from the opening of the file.
    Working(u64),
    /// At that operation of the closing.
    Closing(u64),
    /// At that write or sync of the database file, while its log is moved there.
    Checkpoint(u64),
}

impl Cut {
    fn random(random: &mut Random) -> Self {
        match random.within(0..100) {
            0..20 => Self::Working(random.within(1..40)),
            20..82 => Self::Working(random.within(40..1200)),
            82..96 => Self::Closing(random.within(1..20)),
            _ => Self::Checkpoint(random.within(1..60)),
        }
    }
}

#[derive(Debug, Default)]
struct PowerTally {
    losses: u64,
    acknowledged: u64,
    torn: u64,
    dropped: u64,
    violations: u64,
}

/// Why a series of power losses ends early.
enum PowerFailure {
    /// The engine is at fault; with the disk.
    Violations { wrong: Vec<String>, when: String, disk: Image },
    /// The test itself cannot continue.
    Test(Error),
}

impl<E: Into<Error>> From<E> for PowerFailure {
    fn from(error: E) -> Self {
        Self::Test(error.into())
    }
}

/// Runs that many power losses, and prints the result. Returns whether there was no violation.
pub(crate) async fn run(losses: u64, seed: u64, planted: Option<Planted>) -> Result<bool, Error> {
    let mut random = Random::part(seed, 1);
    let mut tally = PowerTally::default();
    let mut number = 0;
    while tally.losses < losses {
        DiskSeries::new(number, random.seed(), planted)?.run(losses, &mut tally).await?;
        number += 1;
    }
    let PowerTally { losses, acknowledged, torn, dropped, violations } = tally;
    report::print(&PowerLine { power_losses: losses, acknowledged, torn, dropped, violations, seed })?;
    Ok(violations == 0)
}

/// One disk and its lives.
struct DiskSeries {
    number: u64,
    seed: u64,
    random: Random,
    /// The folder of the lock file beside the database, which is not on the disk.
    folder: TempDir,
    vfs: FaultyVfs,
    model: Arc<SharedModel>,
    planted: Option<Planted>,
}

impl DiskSeries {
    fn new(number: u64, seed: u64, planted: Option<Planted>) -> Result<Self, Error> {
        let mut random = Random::new(seed);
        let sector_bytes = if random.percent(50) { 512 } else { 4096 };
        // SQLite's own VFSs make the same promise, and engines run on those. Without it SQLite fills up sectors, but not after a
        // recovery: a second power loss can take what the first one left.
        let options = Options { sector_bytes, powersafe_overwrite: true, seed: random.seed(), trace_max: 0 };
        let folder = TempDir::with_prefix("everloop-crash-")?;
        let (vfs, model) = (FaultyVfs::register(options), Arc::default());
        Ok(Self { number, seed, random, folder, vfs, model, planted })
    }

    async fn run(mut self, losses_max: u64, tally: &mut PowerTally) -> Result<(), Error> {
        let result = self.lives(losses_max, tally).await;
        tally.acknowledged += self.model.lock().acknowledged();
        match result {
            Ok(()) => Ok(()),
            Err(PowerFailure::Test(error)) => Err(error),
            Err(PowerFailure::Violations { wrong, when, disk }) => {
                tally.violations += wrong.len() as u64;
                let files = disk.files().map(|(name, _)| (name, disk.file(name).unwrap_or_default()));
                report::save(self.folder.path(), files)?;
                let during = format!("{when} of disk {} (seed {})", self.number, self.seed);
                report::violations(&during, &wrong, &report::keep(self.folder));
                Ok(())
            }
        }
    }

    async fn lives(&mut self, losses_max: u64, tally: &mut PowerTally) -> Result<(), PowerFailure> {
        for life in 1..=LIVES {
            if tally.losses == losses_max {
                break;
            }
            let cut = Cut::random(&mut self.random);
            let when = format!("life {life} ({cut:?})");
            self.live(life, cut, &when).await?;
            self.lose_power(&when, losses_max, tally).await?;
            if matches!(cut, Cut::Checkpoint(_)) {
                // With that many workflows, everything takes long.
                break;
            }
        }
        Ok(())
    }

    /// Runs one life, up to the cut.
    async fn live(&mut self, life: u64, cut: Cut, when: &str) -> Result<(), PowerFailure> {
        let disk = self.vfs.image();
        self.plant();
        match cut {
            Cut::Working(nth) => self.vfs.inject(Fault::power_cut().nth(nth)),
            Cut::Checkpoint(nth) => self.vfs.inject(Fault::power_cut().of(FileKind::Database).nth(nth)),
            Cut::Closing(_) => {}
        }
        // An error comes from the cut: the disk's contents were opened without errors before.
        if let Ok(engine) = self.open().await {
            let looked = self.read_and_learn(&engine).await;
            if looked.is_ok() {
                let is_heavy = matches!(cut, Cut::Checkpoint(_));
                self.work(&engine, format!("{}.{life}", self.number), is_heavy).await?;
                if let Cut::Closing(nth) = cut {
                    self.vfs.inject(Fault::power_cut().nth(nth));
                }
            }
            close(engine, &self.vfs).await?;
            looked.map_err(|wrong| PowerFailure::Violations { wrong, when: when.to_owned(), disk })?;
        }
        self.vfs.cut_power();
        Ok(())
    }

    /// Reads the state at the beginning of a life; the model requires it from then on.
    async fn read_and_learn(&self, engine: &Engine) -> Result<(), Vec<String>> {
        match observe(&mut in_process(engine), |_| false).await {
            Ok(seen) => {
                let mut model = self.model.lock();
                let wrong = model.check(&seen);
                model.learn(seen);
                if self.planted == Some(Planted::Acknowledgement) {
                    model.doctor();
                }
                if wrong.is_empty() { Ok(()) } else { Err(wrong) }
            }
            Err(error) if self.vfs.is_powered() => Err(vec![format!("a read fails: {error}")]),
            Err(_) => Ok(()),
        }
    }

    async fn open(&self) -> Result<Engine, Error> {
        let builder = Engine::builder().file(self.file()).vfs(self.vfs.name());
        Ok(spawn_blocking(move || builder.build()).await??)
    }

    /// Runs clients and a worker, until they are done or the power is cut.
    async fn work(&mut self, engine: &Engine, prefix: String, is_heavy: bool) -> Result<(), Error> {
        let plan = self.model.lock().plan(prefix, OPERATIONS, &mut self.random);
        let plan = load::Plan { is_heavy, ..plan };
        let worker = Worker::start(in_process(engine), self.model.clone(), &plan.prefix, None);
        let mut clients = tokio::spawn(load::run(in_process(engine), self.model.clone(), plan));
        let failed = engine.failed();
        tokio::select! {
            _ = failed => {}
            done = &mut clients => {
                done?;
                let _ = tokio::time::timeout(AFTER_CLIENTS, engine.failed()).await;
                worker.stop().await;
                return Ok(());
            }
        }
        if tokio::time::timeout(CLIENTS_PATIENCE, &mut clients).await.is_err() {
            clients.abort();
            let _ = clients.await;
        }
        worker.stop().await;
        Ok(())
    }

    /// Tries outcomes of the cut, and leaves the disk with the last one.
    async fn lose_power(&mut self, when: &str, losses_max: u64, tally: &mut PowerTally) -> Result<(), PowerFailure> {
        let image = self.vfs.image();
        let mut last = None;
        for _ in 0..LOSSES_EACH.min(losses_max - tally.losses) {
            let (survived, loss) = image.power_loss(self.random.seed());
            tally.losses += 1;
            tally.torn += loss.torn as u64;
            tally.dropped += loss.lost as u64;
            if tally.losses.is_multiple_of(LOSSES_BETWEEN_WORDS) {
                eprintln!("everloop-crash: {} power losses", tally.losses);
            }
            self.vfs.restore(&survived)?;
            let ends = tally.losses.is_multiple_of(LOSSES_BETWEEN_ENDS);
            let wrong = self.look(ends).await?;
            if !wrong.is_empty() {
                return Err(PowerFailure::Violations {
                    wrong,
                    when: format!("{when}, after its {loss},"),
                    disk: survived,
                });
            }
            last = Some(survived);
        }
        Ok(last.map_or(Ok(()), |survived| self.vfs.restore(&survived))?)
    }

    /// Opens an outcome and compares it with the model; if asked to, runs all workflows to their end. Returns the violations.
    ///
    /// The engine runs on this outcome alone, so the model learns nothing from it.
    async fn look(&mut self, ends: bool) -> Result<Vec<String>, Error> {
        let engine = match self.open().await {
            Ok(engine) => engine,
            Err(error) => return Ok(vec![format!("it does not open: {error}")]),
        };
        let wrong = self.compare(&engine, ends).await;
        close(engine, &self.vfs).await?;
        wrong
    }

    async fn compare(&mut self, engine: &Engine, ends: bool) -> Result<Vec<String>, Error> {
        // For runs that were closed before, some losses compare only the rows.
        let (reads_all, model) = (ends || self.random.percent(30), Arc::clone(&self.model));
        let seen = match observe(&mut in_process(engine), |row| !reads_all && model.lock().is_settled(row)).await {
            Ok(seen) => seen,
            Err(error) => return Ok(vec![format!("a read fails: {error}")]),
        };
        let wrong = self.model.lock().check(&seen);
        if !wrong.is_empty() || !ends {
            return Ok(wrong);
        }
        let mut model = self.model.lock().clone();
        model.learn(seen);
        end(engine, model, &mut self.random).await
    }

    /// Returns the planted fault of the disk, if any.
    fn plant(&self) {
        if self.planted == Some(Planted::LyingSyncs) {
            self.vfs.inject(Fault::lying_sync().for_good());
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("crash.db")
    }
}

/// Runs all workflows to their end on this outcome, which is then dropped. Returns the violations.
async fn end(engine: &Engine, model: Model, random: &mut Random) -> Result<Vec<String>, Error> {
    let plan = model.plan_end("end".to_owned(), random);
    let model = Arc::new(SharedModel::from(model));
    let mut service = in_process(engine);
    let worker = Worker::start(service.clone(), model.clone(), &plan.prefix, None);
    load::run(service.clone(), model.clone(), plan).await;
    let waited = async {
        while count_open(&mut service).await? > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, Error>(())
    };
    let waited = tokio::time::timeout(END_PATIENCE, waited).await;
    worker.stop().await;
    if let Ok(result) = waited {
        result?;
    }
    let seen = observe(&mut service, |_| false).await?;
    let mut model = model.lock();
    let mut wrong = model.check(&seen);
    model.learn(seen);
    wrong.extend(model.check_end());
    Ok(wrong)
}

/// Closes the engine, and waits until its last file is closed.
async fn close(engine: Engine, vfs: &FaultyVfs) -> Result<(), Error> {
    spawn_blocking(move || drop(engine)).await?;
    let closed = async {
        while !vfs.open_files().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let closed = tokio::time::timeout(CLOSING_PATIENCE, closed).await;
    Ok(closed.map_err(|_| format!("the engine does not close its files: {:?}", vfs.open_files()))?)
}
