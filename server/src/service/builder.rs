//! Building and starting an engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, ClockMode, wall_time};
use crate::engine::history;
use crate::engine::time::Time;
use crate::limits::RUN_INTERVAL_MIN;
use crate::model::HistoryBatch;
use crate::namespaces::{NamespaceError, Namespaces};
use crate::service::core::Core;
use crate::service::error::EngineError;
use crate::service::handle::Handle;
use crate::service::host::Engine;
use crate::store::{BUSY_WAIT, CommitHook, CommitStep, FileOptions, FileView, OpenError, Opened, SqliteStore, Store};

/// The configuration of an engine.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EngineBuilder {
    clock: ClockMode,
    namespaces: Vec<String>,
    file: Option<PathBuf>,
    vfs: Option<String>,
    pages_max: Option<u32>,
    hook: CommitHook,
    run_interval_min: Option<Duration>,
    compares_up_to: i64,
}

impl EngineBuilder {
    /// Sets the clock mode; [`ClockMode::Real`] by default.
    pub fn clock(mut self, mode: ClockMode) -> Self {
        self.clock = mode;
        self
    }

    /// Adds a namespace beside `default`.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespaces.push(name.into());
        self
    }

    /// Stores all data in an SQLite file, which is created if missing, and in a few files beside it whose names add an
    /// extension. By default the data is in memory.
    ///
    /// Only one process at a time can open a file.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Sets the least time between the first workflow tasks of two runs that follow each other, as when a workflow
    /// continues as new: the later one waits. By default one second with a file and a real clock, so that a workflow that
    /// does nothing but continue neither takes a whole processor nor fills the disk; zero otherwise.
    pub fn run_interval_min(mut self, interval: Duration) -> Self {
        self.run_interval_min = Some(interval);
        self
    }

    /// Sets the SQLite VFS by its registered name: tests use a faulty one.
    #[doc(hidden)]
    pub fn vfs(mut self, name: impl Into<String>) -> Self {
        self.vfs = Some(name.into());
        self
    }

    /// Sets a hook that is called between the steps of every commit to the file, on the writer thread: crash tests end
    /// the process there.
    #[doc(hidden)]
    pub fn on_commit(mut self, hook: impl Fn(CommitStep) + Send + Sync + 'static) -> Self {
        self.hook = CommitHook::new(hook);
        self
    }

    /// Limits the number of pages of the file, for tests: beyond it the disk counts as full.
    #[doc(hidden)]
    pub fn pages_max(mut self, pages: u32) -> Self {
        self.pages_max = Some(pages);
        self
    }

    /// After each transition, compares the run with the one rebuilt from its events, if it has at most `events_max`
    /// events. A difference is a fault of the engine and panics: for tests.
    #[doc(hidden)]
    pub fn compare_with_stored(mut self, events_max: i64) -> Self {
        self.compares_up_to = events_max;
        self
    }

    /// Starts the engine. With a file, its open runs continue.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be used, a namespace name is invalid, or the system is out of memory or threads.
    pub fn build(self) -> Result<Engine, EngineError> {
        let (store, opened) = self.store()?;
        self.build_on(store, opened)
    }

    /// Starts the engine on an opened store.
    pub(super) fn build_on(self, store: Arc<dyn Store>, opened: Opened) -> Result<Engine, EngineError> {
        let namespaces = Namespaces::open(Arc::clone(&store), &self.namespaces).map_err(|error| match error {
            NamespaceError::Store(error) => EngineError::Store(error.to_string()),
            error => EngineError::Namespace(error.to_string()),
        })?;
        let namespaces = Arc::new(namespaces);
        let last_event = opened.last_batch.as_ref().and_then(last_event_time).unwrap_or_default();
        warn_if_clock_was_set_back(self.clock, last_event);
        let clock = Clock::new(self.clock, last_event);
        let run_interval_min = self.run_interval_min.unwrap_or(match self.clock {
            ClockMode::Real if store.outlives_process() => RUN_INTERVAL_MIN,
            _ => Duration::ZERO,
        });
        let gone = opened.workers_are_gone;
        let core = Core::new(clock, store, namespaces, gone, run_interval_min, self.compares_up_to);
        Engine::start(core)
    }

    pub(super) fn store(&self) -> Result<(Arc<dyn Store>, Opened), EngineError> {
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

impl Engine {
    /// Returns a builder.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Starts an engine that stores all data in memory.
    ///
    /// # Errors
    ///
    /// Fails if the system is out of memory or threads.
    pub fn memory(clock: ClockMode) -> Result<Self, EngineError> {
        Self::builder().clock(clock).build()
    }

    /// Starts an engine on an SQLite file, which is created if missing; its open runs continue. See
    /// [`EngineBuilder::file`].
    ///
    /// # Errors
    ///
    /// The error describes the fault of the file and its remedy; or the system is out of memory or threads.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, EngineError> {
        Self::builder().file(path).build()
    }

    /// Opens a file for reading, even while another process has it open: lists, descriptions and histories come from
    /// the file. Its runs do not continue here, and calls that change something fail. A run that was read once does not
    /// change afterwards, so such an engine should serve only a few calls.
    ///
    /// # Errors
    ///
    /// The error describes the fault of the file and its remedy.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, EngineError> {
        let (view, viewed) = FileView::open(path.as_ref()).map_err(|error| EngineError::Store(error.to_string()))?;
        let store: Arc<dyn Store> = Arc::new(view);
        let namespaces = Namespaces::load(Arc::clone(&store)).map_err(|error| EngineError::Store(error.to_string()))?;
        let mode = if viewed.clock == "skipping" { ClockMode::Skipping } else { ClockMode::Real };
        let last_event = viewed.last_batch.as_ref().and_then(last_event_time).unwrap_or_default();
        let core = Core::new(Clock::new(mode, last_event), store, Arc::new(namespaces), false, Duration::ZERO, 0);
        Ok(Self { handle: Arc::new(Handle::idle(core)) })
    }

    fn start(core: Arc<Core>) -> Result<Self, EngineError> {
        let mut handle = Handle::idle(core);
        handle.start()?;
        Ok(Self { handle: Arc::new(handle) })
    }
}

/// The time of the last event of a batch.
fn last_event_time(batch: &HistoryBatch) -> Option<Time> {
    let events = history::decode_all(std::slice::from_ref(batch)).inspect_err(|error| {
        tracing::warn!(
            "whether the clock of this machine was set back is unknown: the last history written is damaged: {error}"
        );
    });
    let last = events.ok()?.pop()?;
    last.event_time.as_ref().map(Time::from)
}

/// Smaller differences are not logged: clocks are set all the time.
const CLOCK_SET_BACK_MIN: Duration = Duration::from_secs(5);

fn warn_if_clock_was_set_back(mode: ClockMode, last_event: Time) {
    let behind = last_event.since(wall_time());
    if mode == ClockMode::Real && behind > CLOCK_SET_BACK_MIN {
        tracing::warn!(
            behind_s = behind.as_secs(),
            "the clock of this machine is behind the last event in the file. Time goes on from that event, so timers keep \
             their durations and nothing is lost; set the machine's clock right and start again to have the right time"
        );
    }
}
