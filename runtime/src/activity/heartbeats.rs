//! Heartbeats from an activity to its worker, and the progress that they contain.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::data::{EncodeError, Payload, Payloads};

/// The heartbeats of one attempt.
#[derive(Default)]
pub(crate) struct Heartbeats {
    newest: Mutex<Newest>,
    recorded: Notify,
    /// Whether the activity's future has made progress since the last heartbeat.
    progressed: AtomicBool,
    /// Collects all heartbeats, in tests.
    all: Option<Arc<Mutex<Vec<Payloads>>>>,
}

/// The newest details.
#[derive(Default)]
struct Newest {
    /// The details that are recorded and not sent yet.
    unsent: Option<Payloads>,
    /// The last recorded details, sent or not.
    latest: Option<Payloads>,
}

impl Heartbeats {
    /// Creates heartbeats that collect all details.
    pub(crate) fn kept(all: Arc<Mutex<Vec<Payloads>>>) -> Self {
        Self { all: Some(all), ..Self::default() }
    }

    pub(crate) fn record(&self, details: Payloads) {
        if let Some(all) = &self.all {
            all.lock().unwrap_or_else(PoisonError::into_inner).push(details.clone());
        }
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Newest { unsent: Some(details.clone()), latest: Some(details) };
        drop(newest);
        self.recorded.notify_one();
    }

    /// Records that the activity's future was woken and polled.
    pub(crate) fn progressed(&self) {
        if !self.progressed.swap(true, Ordering::Relaxed) {
            self.recorded.notify_one();
        }
    }

    /// Takes the newest details, if they were not taken before.
    pub(crate) fn take(&self) -> Option<Payloads> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).unsent.take()
    }

    /// The newest details of this attempt.
    pub(crate) fn latest(&self) -> Option<Payloads> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).latest.clone()
    }

    /// Waits for the next heartbeat: for details that the activity records, or, from `due` on, for progress without details, which
    /// is `None`.
    pub(crate) async fn next(&self, due: Instant) -> Option<Payloads> {
        loop {
            let details = self.take();
            let is_due = Instant::now() >= due;
            if details.is_some() || is_due && self.progressed.load(Ordering::Relaxed) {
                self.progressed.store(false, Ordering::Relaxed);
                return details;
            }
            tokio::select! {
                () = self.recorded.notified() => {}
                () = sleep_until(due), if !is_due => {}
            }
        }
    }
}

/// The progress of an activity from one attempt to the next. See [`ActivityContext::progress`](super::ActivityContext::progress).
pub struct Progress<T> {
    last: Option<T>,
    beats: Arc<Heartbeats>,
}

impl<T: Payload> Progress<T> {
    pub(super) fn new(last: Option<T>, beats: Arc<Heartbeats>) -> Self {
        Self { last, beats }
    }

    /// The last recorded value, of this attempt or an earlier one. `None` if there is none.
    ///
    /// If a worker is lost, the server may not have received the last records of its attempt. The next attempt repeats the work
    /// after the last received record.
    pub fn last(&self) -> Option<&T> {
        self.last.as_ref()
    }

    /// Records the progress. This is a [heartbeat](super::ActivityContext::heartbeat) with the value as its details, and is sent
    /// as often.
    ///
    /// # Errors
    /// If the value cannot be serialized.
    pub fn record(&mut self, value: T) -> Result<(), EncodeError> {
        self.beats.record(Payloads::of(&value).map_err(|error| error.of("the progress of an activity"))?);
        self.last = Some(value);
        Ok(())
    }
}

impl<T: fmt::Debug> fmt::Debug for Progress<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("last", &self.last).finish_non_exhaustive()
    }
}
