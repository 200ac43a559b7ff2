//! An engine in this process, for `memory:` and `sqlite:` addresses. Only this module uses the engine's own interface.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use everloop_server::{ClockMode, Engine, EngineBuilder, EngineError};
pub(crate) use everloop_server::{LetsTimeJump, ListenError, Listening, Step, Stepper, Workflows};

/// The longest wait for a file that another engine of this process is closing.
const CLOSING_MAX: Duration = Duration::from_secs(5);
const CLOSING_LOOK: Duration = Duration::from_millis(5);

/// The clock of an engine in this process. See [`Client::engine_clock`](crate::Client::engine_clock).
///
/// With `?clock=skipping` in the address, the clock jumps to the next deadline while a caller waits for a result or in
/// [`sleep`](Self::sleep). Otherwise it follows the wall clock.
#[derive(Clone)]
pub struct EngineClock {
    embedded: Arc<Embedded>,
}

/// An engine, shared by its users.
struct Embedded {
    engine: Engine,
    is_skipping: bool,
}

/// The engines of this process that have a file: a process opens each file once.
static FILES: Mutex<BTreeMap<PathBuf, Weak<Embedded>>> = Mutex::new(BTreeMap::new());

impl EngineClock {
    /// Returns an engine with this namespace: the engine of the file, or a new one in memory.
    pub(crate) async fn start(path: Option<PathBuf>, is_skipping: bool, namespace: &str) -> Result<Self, String> {
        let embedded = match path {
            None => Arc::new(Embedded::start(Engine::builder(), is_skipping).map_err(|error| error.to_string())?),
            Some(path) => {
                // The disk may be slow, and so may the previous engine of the file when it closes.
                let opened = tokio::task::spawn_blocking(move || Embedded::open(&path, is_skipping)).await;
                opened.map_err(|error| error.to_string())??
            }
        };
        embedded.engine.ensure_namespace(namespace).map_err(|error| error.to_string())?;
        Ok(Self { embedded })
    }

    /// The workflow service of the engine.
    pub(crate) fn workflows(&self) -> Workflows {
        self.embedded.engine.workflows()
    }

    /// Serves the engine to other processes.
    pub(crate) async fn serve(&self, address: SocketAddr, is_insecure: bool) -> Result<Listening, ListenError> {
        match is_insecure {
            true => self.embedded.engine.listen_insecure(address).await,
            false => self.embedded.engine.listen(address).await,
        }
    }

    /// The engine's time.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.embedded.engine.now()
    }

    /// The total time over which the clock has jumped.
    pub fn skipped(&self) -> Duration {
        self.embedded.engine.skipped()
    }

    /// Waits until the engine's time has advanced by `duration`. A skipping clock may jump meanwhile.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let slept = self.embedded.engine.sleep(duration);
        let jumping = self.jump();
        async move {
            let awake = slept.await;
            // In this order, so that the clock cannot jump between the end of the sleep and the lock.
            drop(jumping);
            drop(awake);
        }
    }

    /// Lets a skipping clock jump for as long as the returned value is kept.
    pub fn jump(&self) -> Jumping {
        Jumping { _time: self.embedded.engine.let_time_jump() }
    }

    /// Takes control of a skipping clock, to skip from deadline to deadline.
    pub(crate) fn step(&self) -> Stepper {
        self.embedded.engine.step()
    }

    /// Explains whether time jumps: its locks, the work in progress, and the next deadlines.
    pub fn explain_time(&self) -> String {
        self.embedded.engine.explain_time()
    }
}

impl fmt::Debug for EngineClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineClock").field("now", &self.now()).field("skipped", &self.skipped()).finish()
    }
}

/// A skipping clock may jump until this guard is dropped. See [`EngineClock::jump`].
#[must_use = "time jumps only while it is kept"]
pub struct Jumping {
    _time: everloop_server::Jumping,
}

impl Embedded {
    fn start(builder: EngineBuilder, is_skipping: bool) -> Result<Self, EngineError> {
        let mode = if is_skipping { ClockMode::Skipping } else { ClockMode::Real };
        Ok(Self { engine: builder.clock(mode).build()?, is_skipping })
    }

    /// Returns the engine of a file, and opens the file if it has none.
    fn open(path: &Path, is_skipping: bool) -> Result<Arc<Self>, String> {
        // All paths to a file become the same key; the file may not exist yet.
        let key = everloop_server::database_path(path).map_err(|error| error.to_string())?;
        let started = Instant::now();
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(embedded) = files.get(&key).and_then(Weak::upgrade) {
            if embedded.is_skipping != is_skipping {
                let clock = if embedded.is_skipping { "skipping" } else { "real" };
                return Err(format!("{} is open in this process with a {clock} clock: use that one", path.display()));
            }
            return Ok(embedded);
        }
        loop {
            match Self::start(Engine::builder().file(path), is_skipping) {
                Ok(embedded) => {
                    let embedded = Arc::new(embedded);
                    files.retain(|_, other| other.strong_count() > 0);
                    files.insert(key, Arc::downgrade(&embedded));
                    return Ok(embedded);
                }
                // The previous engine is closing after its last client was dropped.
                Err(EngineError::InUse { pid, .. })
                    if pid == Some(std::process::id()) && started.elapsed() < CLOSING_MAX =>
                {
                    std::thread::sleep(CLOSING_LOOK);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
