//! The workflow code that a thread is executing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::executor::LastLine;

/// The workflow code that a thread is executing.
#[derive(Debug, Clone)]
pub(crate) struct Busy {
    pub(crate) run_id: Arc<str>,
    pub(crate) workflow_type: &'static str,
    pub(crate) since: Instant,
    pub(crate) last_line: LastLine,
    pub(crate) warned: bool,
}

impl Busy {
    /// Where the code is, as far as that is known, to be added to a message.
    pub(crate) fn after(&self) -> String {
        let line = self.last_line.get();
        line.map_or_else(String::new, |line| format!(" (the last line that it is known to have come to is {line})"))
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is whole between statements, so a panic elsewhere leaves nothing broken.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
