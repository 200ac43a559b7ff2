//! Moving what is in the write-ahead log to where it stays.
//!
//! A thread of its own does most of it while commits go on; the writer does the rest between two groups once the log is
//! long, after which the log is written from its beginning again. So the log stays at a size, and commits overwrite
//! blocks that the file system has already given, which is the fastest kind of write there is.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use super::opening::{FileOptions, open_checkpointer};
use crate::store::{CommitHook, CommitStep};

/// From this many pages on that only the log has, the thread moves them: 16 MiB.
const PAGES_IN_BACKGROUND: i32 = 2048;
/// From this many pages in the log on, the writer sees to it that the log starts anew: 64 MiB.
const PAGES_MAX: i32 = 8192;

/// Checkpoints of one file.
#[derive(Debug)]
pub(super) struct Checkpoints {
    wake: Option<SyncSender<()>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// How long the log may become before the writer tries again: a reader may keep it from starting anew.
    pages_max: AtomicI32,
    hook: CommitHook,
}

impl Checkpoints {
    /// Starts the thread. What it cannot do is told to `failed`: pages whose write was not confirmed may be anywhere, so
    /// nothing may be written after that.
    pub(super) fn start(
        options: &FileOptions,
        failed: impl Fn(&rusqlite::Error) + Send + 'static,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let connection = open_checkpointer(options)?;
        let hook = options.hook.clone();
        let (wake, woken) = sync_channel(1);
        let thread = thread::Builder::new().name("everloop-checkpoints".into()).spawn(move || {
            while woken.recv().is_ok() {
                hook.reached(CommitStep::Checkpoint);
                match checkpoint(&connection, CheckpointMode::PASSIVE) {
                    // Busy means that the writer is doing it.
                    Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => return failed(&error),
                    _ => {}
                }
            }
        })?;
        Ok(Self {
            wake: Some(wake),
            thread: Mutex::new(Some(thread)),
            pages_max: AtomicI32::new(PAGES_MAX),
            hook: options.hook.clone(),
        })
    }

    /// Looks at the log after a commit, and says how many pages it has. The connection is the writer's.
    pub(super) fn after_commit(&self, connection: &Connection) -> rusqlite::Result<u64> {
        let (pages, moved) = checkpoint(connection, CheckpointMode::NOOP)?;
        let in_log = Ok(u64::from(pages.unsigned_abs()));
        if pages >= self.pages_max.load(Ordering::Relaxed) {
            self.hook.reached(CommitStep::Checkpoint);
            let (pages, moved) = match checkpoint(connection, CheckpointMode::PASSIVE) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => return in_log,
                result => result?,
            };
            let pages_max = if moved == pages { PAGES_MAX } else { pages + PAGES_MAX / 4 };
            self.pages_max.store(pages_max, Ordering::Relaxed);
        } else if pages - moved >= PAGES_IN_BACKGROUND
            && let Some(wake) = &self.wake
        {
            // Full means that it is at work, or about to be.
            let _ = wake.try_send(());
        }
        in_log
    }

    /// Moves everything, when nothing more will be written. The log is left as it is, though nobody needs it any more.
    pub(super) fn last(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.hook.reached(CommitStep::Checkpoint);
        checkpoint(connection, CheckpointMode::FULL).map(drop)
    }

    /// Empties the log, of which everything was moved.
    pub(super) fn empty_log(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.hook.reached(CommitStep::Checkpoint);
        checkpoint(connection, CheckpointMode::TRUNCATE).map(drop)
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It ends early only by a panic, which its own thread has reported.
            let _ = thread.join();
        }
    }
}

/// How many pages the log has, and how many of them are where they stay.
fn checkpoint(connection: &Connection, mode: CheckpointMode) -> rusqlite::Result<(i32, i32)> {
    connection.wal_checkpoint_v2(Some(MAIN_DB), mode)
}
