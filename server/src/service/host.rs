//! An engine and its threads.

use crate::service::calls::workflow::Workflows;
use crate::service::core::Core;
use crate::service::runs::recovery;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use everloop_proto::temporal::api::operatorservice::v1::operator_service_server::OperatorServiceServer;
use everloop_proto::temporal::api::testservice::v1::test_service_server::TestServiceServer;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowServiceServer;

use crate::clock::timers::{Jumped, Waiting};
use crate::clock::{Clock, ClockMode, Hold, Holder, UnbalancedUnlock, wall_time};
use crate::engine::history;
use crate::engine::time::Time;
use crate::grpc::{Operator, TestTime};
use crate::model::HistoryBatch;
use crate::namespaces::{NamespaceError, Namespaces};
use crate::store::{
    BUSY_WAIT, CommitHook, CommitStep, FileOptions, FileView, OpenError, Opened, SqliteStore, Store, StoreError,
};

/// A server of durable workflows inside this process.
///
/// A cheap handle: clones mean the same engine, and it stops when the last of them, and the last service made from one,
/// is dropped. Its timers and its writer have threads of their own, so no runtime has to be there for them.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(in crate::service) handle: Arc<Handle>,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The storage cannot be opened. The text says what is wrong and what to do about it.
    #[error("{0}")]
    Store(String),
    /// Another process has the file open, or another engine of this one. The text says which, and what to do.
    #[error("{message}")]
    InUse { pid: Option<u32>, message: String },
    /// A name that cannot be a namespace.
    #[error("cannot use namespace: {0}")]
    Namespace(String),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

/// What an engine is started with.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EngineBuilder {
    clock: ClockMode,
    namespaces: Vec<String>,
    file: Option<PathBuf>,
    vfs: Option<String>,
    pages_max: Option<u32>,
    hook: CommitHook,
}

impl EngineBuilder {
    /// How time passes; as the wall clock does unless set.
    pub fn clock(mut self, mode: ClockMode) -> Self {
        self.clock = mode;
        self
    }

    /// A namespace to have from the start, beside `default`.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespaces.push(name.into());
        self
    }

    /// Where to keep everything: an SQLite file, which is made if there is none, and a few files beside it with the same
    /// name and an ending more. In memory unless set.
    ///
    /// One process at a time has a file open.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// SQLite's way to the disk, by the name it is registered under: tests use one that fails.
    #[doc(hidden)]
    pub fn vfs(mut self, name: impl Into<String>) -> Self {
        self.vfs = Some(name.into());
        self
    }

    /// Called between the steps of every commit to the file, on the thread that writes it: crash tests end the process
    /// there.
    #[doc(hidden)]
    pub fn on_commit(mut self, hook: impl Fn(CommitStep) + Send + Sync + 'static) -> Self {
        self.hook = CommitHook::new(hook);
        self
    }

    /// How many pages the file may have, for tests: past that, the disk counts as full.
    #[doc(hidden)]
    pub fn pages_max(mut self, pages: u32) -> Self {
        self.pages_max = Some(pages);
        self
    }

    /// Starts the engine. With a file, what was under way in it goes on.
    ///
    /// # Errors
    ///
    /// A file that cannot be used, a wrong namespace name, or a system out of memory or threads.
    pub fn build(self) -> Result<Engine, EngineError> {
        let (store, opened) = self.store()?;
        self.build_on(store, opened)
    }

    /// Starts the engine on a store that is open.
    pub(in crate::service) fn build_on(self, store: Arc<dyn Store>, opened: Opened) -> Result<Engine, EngineError> {
        let namespaces = Namespaces::open(Arc::clone(&store), &self.namespaces).map_err(|error| match error {
            NamespaceError::Store(error) => EngineError::Store(error.to_string()),
            error => EngineError::Namespace(error.to_string()),
        })?;
        let namespaces = Arc::new(namespaces);
        let last_event = opened.last_batch.as_ref().and_then(last_event_time).unwrap_or_default();
        tell_if_clock_was_set_back(self.clock, last_event);
        let clock = Clock::new(self.clock, last_event);
        let core = Core::new(clock, store, namespaces, opened.workers_are_gone);
        let mut handle = Handle { core, open_runs: 0, keeping_house: None, threads: Vec::new() };
        handle.start()?;
        Ok(Engine { handle: Arc::new(handle) })
    }

    pub(in crate::service) fn store(&self) -> Result<(Arc<dyn Store>, Opened), EngineError> {
        let Some(path) = &self.file else {
            let store = SqliteStore::memory().map_err(|error| EngineError::Store(error.to_string()))?;
            return Ok((Arc::new(store), Opened { workers_are_gone: true, last_batch: None }));
        };
        let clock = match self.clock {
            ClockMode::Real => "real",
            ClockMode::Skipping => "skipping",
        };
        let options = FileOptions {
            path: path.clone(),
            clock,
            vfs: self.vfs.clone(),
            pages_max: self.pages_max,
            busy_wait: BUSY_WAIT,
            hook: self.hook.clone(),
        };
        let (store, opened) = SqliteStore::open(options).map_err(|error| match &error {
            OpenError::InUse { holder, .. } => {
                EngineError::InUse { pid: holder.as_ref().map(|holder| holder.pid), message: error.to_string() }
            }
            _ => EngineError::Store(error.to_string()),
        })?;
        Ok((Arc::new(store), opened))
    }
}

/// When the last event of a batch happened.
fn last_event_time(batch: &HistoryBatch) -> Option<Time> {
    let events = history::decode_all(std::slice::from_ref(batch)).inspect_err(|error| {
        tracing::warn!(
            "whether the clock of this machine was set back is unknown: the last history written is damaged: {error}"
        );
    });
    let last = events.ok()?.pop()?;
    last.event_time.as_ref().map(Time::from)
}

/// A moment that is off by less needs no words: clocks are set all the time.
const CLOCK_SET_BACK_MIN: Duration = Duration::from_secs(5);

fn tell_if_clock_was_set_back(mode: ClockMode, last_event: Time) {
    let behind = last_event.since(wall_time());
    if mode == ClockMode::Real && behind > CLOCK_SET_BACK_MIN {
        tracing::warn!(
            behind_s = behind.as_secs(),
            "the clock of this machine is behind the last event in the file. Time goes on from that event, so timers keep \
             their durations and nothing is lost; set the machine's clock right and start again to have the right time"
        );
    }
}

/// How often runs are looked for whose retention is over.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Lets go of runs that have been closed for longer than their namespace keeps them, until the sender is dropped.
fn keep_house(core: &Weak<Core>, ended: &mpsc::Receiver<()>) {
    loop {
        let Some(core) = core.upgrade() else { return };
        core.forget_expired();
        drop(core);
        if ended.recv_timeout(HOUSEKEEPING) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

impl Engine {
    /// Says what the engine is to be like.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Starts an engine that keeps everything in memory.
    ///
    /// # Errors
    ///
    /// A system out of memory or threads.
    pub fn memory(clock: ClockMode) -> Result<Self, EngineError> {
        Self::builder().clock(clock).build()
    }

    /// Opens the engine in an SQLite file, which is made if there is none: what was under way in it goes on. See
    /// [`EngineBuilder::file`].
    ///
    /// # Errors
    ///
    /// What is wrong with the file, and what to do about it; or a system out of memory or threads.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, EngineError> {
        Self::builder().file(path).build()
    }

    /// Opens the engine in a file to look at it, also while another process has it open: what lists, descriptions and
    /// histories say is in the file. Nothing goes on here, and calls that change something fail. A run that was asked for
    /// stays as it was then, so that an engine like this is for a few calls.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, and what to do about it.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, EngineError> {
        let (view, viewed) = FileView::open(path.as_ref()).map_err(|error| EngineError::Store(error.to_string()))?;
        let store: Arc<dyn Store> = Arc::new(view);
        let namespaces = Namespaces::load(Arc::clone(&store)).map_err(|error| EngineError::Store(error.to_string()))?;
        let mode = if viewed.clock == "skipping" { ClockMode::Skipping } else { ClockMode::Real };
        let last_event = viewed.last_batch.as_ref().and_then(last_event_time).unwrap_or_default();
        let core = Core::new(Clock::new(mode, last_event), store, Arc::new(namespaces), false);
        let handle = Handle { core, open_runs: 0, keeping_house: None, threads: Vec::new() };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// Why calls that change something fail, and what to do instead; `None` unless the engine was opened with
    /// [`Engine::open_read_only`].
    #[must_use]
    pub fn read_only_advice(&self) -> Option<String> {
        let store = &self.handle.core.store;
        store.is_read_only().then(|| store.admit().err().map(|refusal| refusal.to_string())).flatten()
    }

    /// Others will reach the engine at this address.
    #[cfg_attr(not(feature = "listen"), expect(dead_code, reason = "only a socket has an address"))]
    pub(crate) fn listens_on(&self, address: SocketAddr) -> Result<(), EngineError> {
        let core = &self.handle.core;
        core.store.listens_on(&address.to_string()).map_err(|error| EngineError::Store(error.to_string()))
    }

    /// What takes back that others will reach the engine at an address.
    #[cfg_attr(not(feature = "listen"), expect(dead_code, reason = "only a socket has an address"))]
    pub(crate) fn on_stop_listening(&self) -> impl FnOnce(SocketAddr) + Send + use<> {
        let store = Arc::clone(&self.handle.core.store);
        move |address| store.stops_listening_on(&address.to_string())
    }

    /// Makes sure that there is a namespace of that name.
    ///
    /// # Errors
    ///
    /// A name that cannot be a namespace, or an engine that has failed.
    pub fn ensure_namespace(&self, name: &str) -> Result<(), EngineError> {
        let ensured = self.handle.core.namespaces.ensure(name);
        ensured.map_err(|error| EngineError::Namespace(error.to_string()))
    }

    /// Resolves when the engine cannot go on, with the reason: a write to its file has failed. From then on every call
    /// is answered UNAVAILABLE; what was acknowledged before is in the file.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let failed = self.handle.core.store.failed();
        async move {
            match failed.await {
                Err(StoreError::Failed { reason }) => reason.to_string(),
                // It waits for a commit that never comes.
                Ok(()) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// How many runs were open in the engine's file when it was opened.
    #[must_use]
    pub fn recovered_runs(&self) -> usize {
        self.handle.open_runs
    }

    /// The calls of the workflow service, for callers in this process: messages are handed over as they are.
    #[must_use]
    pub fn workflows(&self) -> Workflows {
        Workflows { handle: Arc::clone(&self.handle) }
    }

    /// The workflow service, to be put on a network.
    #[must_use]
    pub fn workflow_service(&self) -> WorkflowServiceServer<Workflows> {
        WorkflowServiceServer::new(self.workflows())
            // What has come this far is in memory already.
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    /// The operator service, as [`Engine::workflow_service`].
    #[must_use]
    pub fn operator_service(&self) -> OperatorServiceServer<Operator> {
        OperatorServiceServer::new(Operator::new(Arc::clone(&self.handle.core.namespaces)))
    }

    /// The test service, which looks at the clock and lets it skip; none on a real clock.
    #[must_use]
    pub fn test_service(&self) -> Option<TestServiceServer<TestTime>> {
        self.handle.core.clock.is_skipping().then(|| TestServiceServer::new(TestTime::new(self.clone())))
    }

    /// The engine's time, since 1970 (UTC).
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.handle.core.clock.now().nanos()).unwrap_or(0))
    }

    /// How far the clock has jumped altogether; nothing on a real clock.
    #[must_use]
    pub fn skipped(&self) -> Duration {
        self.handle.core.clock.skipped()
    }

    /// Stops jumps of a skipping clock until the matching [`Engine::unlock_time`]. `taker` is named when somebody asks
    /// why time does not move.
    pub fn lock_time(&self, taker: &str) {
        self.handle.core.timers.lock(taker);
    }

    /// Takes one lock away; the last one gone, a skipping clock jumps whenever nothing is under way. An engine starts
    /// with one lock.
    ///
    /// # Errors
    ///
    /// There is no lock.
    pub fn unlock_time(&self, taker: &str) -> Result<(), UnbalancedUnlock> {
        self.handle.core.timers.unlock(taker)
    }

    /// Resolves when the engine's clock has gone on by `duration`, counted from this call. While what it gives is kept, a
    /// skipping clock does not jump on.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = Awake> + Send + use<> {
        let handle = Arc::clone(&self.handle);
        // Between the moment that it reads and the end that it sets, the clock must not jump.
        let hold = handle.core.timers.hold(Holder::Sleeper);
        let slept = handle.core.timers.sleep_until(handle.core.clock.now() + duration);
        drop(hold);
        async move {
            // The sender goes only with the engine, and this handle keeps that.
            let hold = slept.await.ok();
            Awake { _hold: hold, _handle: handle }
        }
    }

    /// Lets a skipping clock jump while what it gives is kept, as if the lock that an engine starts with were not there.
    pub fn let_time_jump(&self) -> Jumping {
        Jumping { time: self.handle.core.timers.wait(), _handle: Arc::clone(&self.handle) }
    }

    /// Takes the clock over, to skip from deadline to deadline and look at what happens at each.
    #[must_use]
    pub fn step(&self) -> Stepper {
        Stepper { _hold: self.handle.core.timers.hold(Holder::Stepper), jumping: self.let_time_jump() }
    }

    /// Why time moves, or does not: locks with their takers, what is under way, the next ten deadlines.
    #[must_use]
    pub fn explain_time(&self) -> String {
        self.handle.core.timers.explain(&*self.handle.core.matching)
    }
}

/// A sleeper has woken: a skipping clock waits for it before it jumps on. See [`Engine::sleep`].
#[derive(Debug)]
pub struct Awake {
    _hold: Option<Hold>,
    _handle: Arc<Handle>,
}

/// A skipping clock may jump while this is kept. See [`Engine::let_time_jump`].
#[derive(Debug)]
#[must_use = "time jumps only while it is kept"]
pub struct Jumping {
    time: Arc<Waiting>,
    _handle: Arc<Handle>,
}

impl Drop for Jumping {
    fn drop(&mut self) {
        self.time.end();
    }
}

/// Skips from deadline to deadline, and stops at each. See [`Engine::step`].
///
/// While it is kept, the clock jumps for nobody else.
#[derive(Debug)]
pub struct Stepper {
    // In this order: nothing jumps by itself when the stepper goes.
    jumping: Jumping,
    _hold: Hold,
}

/// Nothing is under way, and nothing jumps while this is kept. See [`Stepper::settled`].
#[derive(Debug)]
pub struct Settled {
    _hold: Hold,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The clock shows the next deadline, which happens now.
    Jumped,
    /// Something is under way again, or the clock is locked.
    Held,
    /// There is no deadline: nothing happens any more, unless somebody calls.
    NoDeadline,
}

impl Stepper {
    /// Resolves when nothing is under way any more; never on a real clock.
    pub fn settled(&self) -> impl Future<Output = Settled> + Send + use<> {
        let handle = Arc::clone(&self.jumping._handle);
        let settled = handle.core.clock.is_skipping().then(|| handle.core.timers.settled());
        async move {
            let Some(settled) = settled else { return std::future::pending().await };
            match settled.await {
                Ok(hold) => Settled { _hold: hold },
                // The sender goes only with the engine, and this handle keeps that.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Jumps to the next deadline, unless something has begun since everything was settled.
    pub fn step(&self, settled: Settled) -> Step {
        drop(settled);
        let core = &self.jumping._handle.core;
        match core.timers.jump_if_settled(&*core.matching) {
            Jumped::Yes => Step::Jumped,
            Jumped::Held => Step::Held,
            Jumped::NoDeadline => Step::NoDeadline,
        }
    }
}

/// Keeps an engine going.
#[derive(Debug)]
pub(in crate::service) struct Handle {
    pub(in crate::service) core: Arc<Core>,
    open_runs: usize,
    keeping_house: Option<mpsc::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Starts the engine's threads, and what its file has to go on with.
    fn start(&mut self) -> Result<(), EngineError> {
        let timers = Arc::clone(&self.core.timers);
        let backlog = Arc::clone(&self.core.matching);
        self.spawn("everloop-timers", move || timers.run(&*backlog))?;
        let (open_runs, busy) = self.core.take_over().map_err(|error| EngineError::Store(error.to_string()))?;
        self.open_runs = open_runs;
        if !busy.is_empty() {
            let core = Arc::downgrade(&self.core);
            let hold = self.core.timers.hold(Holder::Recovery);
            self.spawn("everloop-recovery", move || recovery::load_all(&core, busy, hold))?;
        }
        if self.core.store.outlives_process() {
            let (end, ended) = mpsc::channel();
            let core = Arc::downgrade(&self.core);
            self.spawn("everloop-housekeeping", move || keep_house(&core, &ended))?;
            self.keeping_house = Some(end);
        }
        Ok(())
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }
}

/// When the last handle is dropped, so is the store, and its file can be opened again.
impl Drop for Handle {
    fn drop(&mut self) {
        self.core.is_stopping.store(true, Ordering::Relaxed);
        self.core.timers.stop();
        self.keeping_house = None;
        for thread in self.threads.drain(..) {
            if thread.thread().id() != thread::current().id() {
                // It ends early only by a panic, which its own thread has reported.
                let _ = thread.join();
            }
        }
    }
}
