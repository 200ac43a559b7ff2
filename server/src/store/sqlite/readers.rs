//! Connections for reads.

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::opening::{FileOptions, open_reader};

/// The maximum number of idle connections.
const IDLE_MAX: usize = 4;

/// The readers of one file.
#[derive(Debug)]
pub(super) struct Readers {
    options: FileOptions,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(options: FileOptions) -> Self {
        Self { options, idle: Mutex::default() }
    }

    /// Reads the committed state.
    pub(super) fn read<T>(&self, read: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let idle = self.idle().pop();
        let mut connection = idle.map_or_else(|| open_reader(&self.options), Ok)?;
        let result = read(&mut connection);
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
