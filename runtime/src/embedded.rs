//! An engine in this process, for `memory:` addresses. The only module that knows the engine's own interface.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use everloop_server::{ClockMode, Engine};
use tower::Service;

use crate::client::InProcess;

/// How `explain_time` calls the lock that holds time while nobody waits.
const TAKER: &str = "nobody waits for a result";

/// The clock of an engine in this process. See [`Client::engine_clock`](crate::Client::engine_clock).
///
/// With `memory:?clock=skipping` it jumps over waiting while someone waits for a result, or in [`sleep`](Self::sleep);
/// otherwise it goes as the wall clock does.
#[derive(Clone)]
pub struct EngineClock {
    engine: Engine,
    waiting: Arc<Waiting>,
}

/// Who wants time to jump. The engine starts with one lock: the first one takes it away, the last one puts it back.
struct Waiting {
    is_skipping: bool,
    count: Mutex<usize>,
}

impl EngineClock {
    /// Starts an engine that keeps everything in memory, and that has this namespace.
    pub(crate) fn start(skipping: bool, namespace: &str) -> Result<Self, String> {
        let mode = if skipping { ClockMode::Skipping } else { ClockMode::Real };
        let mut builder = Engine::builder().clock(mode);
        if namespace != "default" {
            builder = builder.namespace(namespace);
        }
        let engine = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { engine, waiting: Arc::new(Waiting { is_skipping: skipping, count: Mutex::new(0) }) })
    }

    /// What calls go to.
    pub(crate) fn service(&self) -> InProcess {
        let server = self.engine.workflow_service();
        Arc::new(move |request| server.clone().call(request))
    }

    /// The engine's time.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.engine.now()
    }

    /// How far it has jumped altogether.
    pub fn skipped(&self) -> Duration {
        self.engine.skipped()
    }

    /// Waits until the engine's time has gone on by `duration`, jumping where the clock may.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let slept = self.engine.sleep(duration);
        let jumping = self.jump();
        async move {
            let awake = slept.await;
            // In this order: nothing jumps between the end of the sleep and the lock.
            drop(jumping);
            drop(awake);
        }
    }

    /// Lets a skipping clock jump for as long as the answer is kept.
    pub fn jump(&self) -> Jumping {
        if self.waiting.is_skipping {
            let mut count = self.waiting.count();
            *count += 1;
            if *count == 1 {
                // There is nothing to take away where someone unlocked more often than it was locked.
                let _ = self.engine.unlock_time(TAKER);
            }
        }
        Jumping { clock: self.clone() }
    }

    /// Why time jumps, or does not: who holds it, what is under way, and what comes next.
    pub fn explain_time(&self) -> String {
        self.engine.explain_time()
    }
}

impl fmt::Debug for EngineClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineClock").field("now", &self.now()).field("skipped", &self.skipped()).finish()
    }
}

/// A skipping clock may jump while this is kept. See [`EngineClock::jump`].
#[must_use = "time jumps only while it is kept"]
pub struct Jumping {
    clock: EngineClock,
}

impl Drop for Jumping {
    fn drop(&mut self) {
        let EngineClock { engine, waiting } = &self.clock;
        if waiting.is_skipping {
            let mut count = waiting.count();
            *count -= 1;
            if *count == 0 {
                engine.lock_time(TAKER);
            }
        }
    }
}

impl Waiting {
    fn count(&self) -> MutexGuard<'_, usize> {
        // Nothing panics while it is held.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
