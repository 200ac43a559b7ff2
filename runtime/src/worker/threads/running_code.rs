//! The workflow code that a thread is executing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::executor::LastLine;

/// The workflow code that a thread is executing.
#[derive(Debug, Clone)]
pub(crate) struct RunningCode {
    pub(crate) run_id: Arc<str>,
    pub(crate) workflow_type: &'static str,
    pub(crate) since: Instant,
    pub(crate) last_line: LastLine,
    pub(crate) warned: bool,
}

impl RunningCode {
    /// The last known line of the code, as the end of a message.
    pub(crate) fn at_line(&self) -> String {
        let line = self.last_line.get();
        line.map_or_else(String::new, |line| format!(" (the last line that it is known to have come to is {line})"))
    }
}

/// Locks a mutex of the workflow threads, whether or not a thread has panicked with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The data under these locks is consistent between statements, so it is valid after a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
