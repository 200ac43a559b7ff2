//! The handle of a workflow thread.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::running_code::{RunningCode, lock};
use crate::worker::jobs::Job;

/// Sends jobs to one workflow thread, and reports the code that the thread is executing.
#[derive(Clone)]
pub(crate) struct WorkflowThread {
    jobs: Sender<Job>,
    /// The number of the thread's runs with a job in progress.
    pub(super) load: Arc<AtomicUsize>,
    pub(super) running: Arc<Mutex<Option<RunningCode>>>,
    /// Cancelled when the thread is abandoned or has ended.
    pub(crate) lost: CancellationToken,
    /// The code because of which the thread was abandoned.
    blamed: Arc<OnceLock<RunningCode>>,
}

impl WorkflowThread {
    /// Creates the handle of the thread that receives from this channel.
    pub(super) fn new(jobs: Sender<Job>) -> Self {
        Self {
            jobs,
            load: Arc::default(),
            running: Arc::default(),
            lost: CancellationToken::new(),
            blamed: Arc::default(),
        }
    }

    /// Sends a job. The job is dropped if the thread has ended.
    pub(crate) fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            // The thread has ended; the watchdog starts another one.
            self.lost.cancel();
        }
    }

    /// The code of this run, if the thread was abandoned because of it.
    pub(crate) fn blamed(&self, run_id: &Arc<str>) -> Option<&RunningCode> {
        self.blamed.get().filter(|code| code.run_id == *run_id)
    }

    pub(super) fn give_up(&self, blamed: RunningCode) {
        let _first = self.blamed.set(blamed);
        self.lost.cancel();
    }

    /// Returns the code that the thread is executing, if it has run for `limit`. Warns once after half of that.
    pub(super) fn overdue(&self, limit: Duration) -> Option<RunningCode> {
        let mut code = lock(&self.running);
        let code = code.as_mut().filter(|_| !self.lost.is_cancelled())?;
        let elapsed = code.since.elapsed();
        if elapsed >= limit / 2 && !std::mem::replace(&mut code.warned, true) {
            tracing::warn!(
                run_id = %code.run_id,
                workflow_type = code.workflow_type,
                "workflow code has run for {elapsed:.1?} without waiting{}; at {limit:.1?} its task fails: move long \
                 computations and anything that blocks into an activity",
                code.at_line()
            );
        }
        (elapsed >= limit).then(|| code.clone())
    }
}
