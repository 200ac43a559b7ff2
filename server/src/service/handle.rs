//! The threads of an engine, and the handle that keeps them running.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::ClockHolder;
use crate::service::core::Core;
use crate::service::error::EngineError;
use crate::service::runs::recovery;

/// The interval between searches for runs whose retention is over.
const EVICTION_INTERVAL: Duration = Duration::from_secs(60);

/// Evicts runs whose retention is over, until the sender is dropped.
fn evict_expired_runs(core: &Weak<Core>, ended: &mpsc::Receiver<()>) {
    loop {
        let Some(core) = core.upgrade() else { return };
        core.forget_expired();
        drop(core);
        if ended.recv_timeout(EVICTION_INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Keeps an engine running.
#[derive(Debug)]
pub(in crate::service) struct Handle {
    pub(in crate::service) core: Arc<Core>,
    pub(in crate::service) open_runs: usize,
    keeping_house: Option<mpsc::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Creates a handle of an engine without threads, whose runs do not continue.
    pub(in crate::service) fn idle(core: Arc<Core>) -> Self {
        Self { core, open_runs: 0, keeping_house: None, threads: Vec::new() }
    }

    /// Starts the engine's threads and the recovery of its file.
    pub(in crate::service) fn start(&mut self) -> Result<(), EngineError> {
        let timers = Arc::clone(&self.core.timers);
        let backlog = Arc::clone(&self.core.matching);
        self.spawn("everloop-timers", move || timers.run(&*backlog))?;
        let (open_runs, busy) = self.core.take_over().map_err(|error| EngineError::Store(error.to_string()))?;
        self.open_runs = open_runs;
        if !busy.is_empty() {
            let core = Arc::downgrade(&self.core);
            let hold = self.core.timers.hold(ClockHolder::Recovery);
            self.spawn("everloop-recovery", move || recovery::load_all(&core, busy, hold))?;
        }
        if self.core.store.outlives_process() {
            let (end, ended) = mpsc::channel();
            let core = Arc::downgrade(&self.core);
            self.spawn("everloop-housekeeping", move || evict_expired_runs(&core, &ended))?;
            self.keeping_house = Some(end);
        }
        Ok(())
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }
}

/// Dropping the last handle drops the store, and its file can be opened again.
impl Drop for Handle {
    fn drop(&mut self) {
        self.core.is_stopping.store(true, Ordering::Relaxed);
        self.core.timers.stop();
        self.keeping_house = None;
        for thread in self.threads.drain(..) {
            if thread.thread().id() != thread::current().id() {
                // The thread ends early only by a panic, which the panic hook has reported.
                let _ = thread.join();
            }
        }
    }
}
