//! A workflow thread, from outside.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::running_code::{Busy, lock};
use crate::worker::jobs::Job;

/// One thread, from outside.
#[derive(Clone)]
pub(crate) struct WorkflowThread {
    jobs: Sender<Job>,
    /// How many of its runs have something under way.
    pub(super) load: Arc<AtomicUsize>,
    pub(super) busy: Arc<Mutex<Option<Busy>>>,
    /// Cancelled when the thread is given up, or gone.
    pub(crate) lost: CancellationToken,
    /// The run that the thread was given up for.
    blamed: Arc<OnceLock<Busy>>,
}

impl WorkflowThread {
    /// A thread that has its jobs from this channel.
    pub(super) fn new(jobs: Sender<Job>) -> Self {
        Self {
            jobs,
            load: Arc::default(),
            busy: Arc::default(),
            lost: CancellationToken::new(),
            blamed: Arc::default(),
        }
    }

    /// Hands over a job. It is lost with the thread.
    pub(crate) fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            // The thread has ended, and the watchdog makes another one.
            self.lost.cancel();
        }
    }

    /// What this run did, if the thread was given up for it.
    pub(crate) fn blamed(&self, run_id: &Arc<str>) -> Option<&Busy> {
        self.blamed.get().filter(|busy| busy.run_id == *run_id)
    }

    pub(super) fn give_up(&self, blamed: Busy) {
        let _first = self.blamed.set(blamed);
        self.lost.cancel();
    }

    /// What it executes, if for longer than `limit`. Warns once at half of it.
    pub(super) fn overdue(&self, limit: Duration) -> Option<Busy> {
        let mut busy = lock(&self.busy);
        let busy = busy.as_mut().filter(|_| !self.lost.is_cancelled())?;
        let elapsed = busy.since.elapsed();
        if elapsed >= limit / 2 && !std::mem::replace(&mut busy.warned, true) {
            tracing::warn!(
                run_id = %busy.run_id,
                workflow_type = busy.workflow_type,
                "workflow code has run for {elapsed:.1?} without waiting{}; at {limit:.1?} its task fails: move long \
                 computations and anything that blocks into an activity",
                busy.after()
            );
        }
        (elapsed >= limit).then(|| busy.clone())
    }
}
