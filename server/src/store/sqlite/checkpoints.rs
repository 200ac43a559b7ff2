//! Checkpoints: moves pages of the write-ahead log into the database.
//!
//! A separate thread moves most pages while commits continue; the writer moves the others between two groups once the log
//! is long, after which the log is written from its beginning again. So the length of the log is limited, and commits
//! overwrite blocks that the file system has already allocated, which is the fastest kind of write. Some versions of SQLite
//! must not move pages during a commit (see [`version`](super::version)): with these, the writer moves all pages.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, ErrorCode, ffi};

use super::opening::{FileOptions, open_checkpointer};
use super::version::Abilities;
use crate::store::commit_hook::{CommitHook, CommitStep};

/// The number of pages that only the log has from which they are moved: 16 MiB.
const PAGES_IN_BACKGROUND: i32 = 2048;
/// The number of pages in the log from which the writer restarts the log: 64 MiB.
const PAGES_MAX: i32 = 8192;

/// Checkpoints of one file.
#[derive(Debug)]
pub(super) struct Checkpoints {
    abilities: Abilities,
    wake: Option<SyncSender<()>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    log: Mutex<Log>,
    hook: CommitHook,
}

/// The known state of the log.
#[derive(Debug)]
struct Log {
    /// The length of the log at which the writer tries to restart it again, because a reader may have prevented a restart.
    pages_max: i32,
    /// The length and the moved part of the log, for versions of SQLite that report them only after a checkpoint.
    estimate: Pages,
}

/// The number of pages in the log, and of those that were moved.
#[derive(Clone, Copy, Debug, Default)]
struct Pages {
    in_log: i32,
    moved: i32,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Passive,
    Full,
    Truncate,
    /// Only reports the length of the log.
    Noop,
}

impl Checkpoints {
    /// Starts the thread. Its errors are reported to `failed`: the location of pages whose write was not confirmed is
    /// unknown, so nothing may be written afterwards.
    pub(super) fn start(
        options: &FileOptions,
        failed: impl Fn(&rusqlite::Error) + Send + 'static,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        Self::start_with(Abilities::here(), options, failed)
    }

    fn start_with(
        abilities: Abilities,
        options: &FileOptions,
        failed: impl Fn(&rusqlite::Error) + Send + 'static,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let log = Mutex::new(Log { pages_max: PAGES_MAX, estimate: Pages::default() });
        let hook = options.hook.clone();
        if !abilities.checkpoints_beside_commits {
            return Ok(Self { abilities, wake: None, thread: Mutex::default(), log, hook });
        }
        let connection = open_checkpointer(options)?;
        let (wake, woken) = sync_channel(1);
        let thread = thread::Builder::new().name("everloop-checkpoints".into()).spawn({
            let hook = hook.clone();
            move || {
                while woken.recv().is_ok() {
                    hook.reached(CommitStep::Checkpoint);
                    // `None` means that the writer runs a checkpoint.
                    if let Err(error) = checkpoint(&connection, Mode::Passive) {
                        return failed(&error);
                    }
                }
            }
        })?;
        Ok(Self { abilities, wake: Some(wake), thread: Mutex::new(Some(thread)), log, hook })
    }

    /// Checks the log after a write of about `written` pages, and returns its number of pages. The connection is the
    /// writer's.
    pub(super) fn after_commit(&self, connection: &Connection, written: i32) -> rusqlite::Result<u64> {
        let mut log = self.log();
        let pages = match self.abilities.tells_length_of_log {
            true => checkpoint(connection, Mode::Noop)?.unwrap_or_default(),
            false => {
                log.estimate.in_log = log.estimate.in_log.saturating_add(written);
                log.estimate
            }
        };
        let is_long = pages.in_log >= log.pages_max;
        if is_long || (self.wake.is_none() && pages.in_log - pages.moved >= PAGES_IN_BACKGROUND) {
            self.hook.reached(CommitStep::Checkpoint);
            // `None` means that another connection runs a checkpoint.
            if let Some(now) = checkpoint(connection, Mode::Passive)? {
                let is_done = now.moved == now.in_log;
                log.pages_max = if is_done { PAGES_MAX } else { now.in_log + PAGES_MAX / 4 };
                // The next commit restarts a log whose pages were all moved.
                log.estimate = if is_done { Pages::default() } else { now };
            }
        } else if pages.in_log - pages.moved >= PAGES_IN_BACKGROUND
            && let Some(wake) = &self.wake
        {
            match wake.try_send(()) {
                // `Full` means that the thread is busy or will start soon; `Disconnected` that the log has failed.
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            }
        }
        Ok(u64::from(pages.in_log.unsigned_abs()))
    }

    /// Moves all pages, when no more writes will follow. The log is kept, although it is not needed any more.
    pub(super) fn last(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.hook.reached(CommitStep::Checkpoint);
        complete(connection, Mode::Full)
    }

    /// Empties the log, whose pages were all moved.
    pub(super) fn empty_log(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.hook.reached(CommitStep::Checkpoint);
        complete(connection, Mode::Truncate)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of checkpoints panicked");
        }
    }
}

/// Runs a checkpoint. Returns the length and the moved part of the log; `None` while another connection runs one.
fn checkpoint(connection: &Connection, mode: Mode) -> rusqlite::Result<Option<Pages>> {
    let sql = match mode {
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Full => "PRAGMA wal_checkpoint(FULL)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        Mode::Noop => "PRAGMA wal_checkpoint(NOOP)",
    };
    let read = connection.prepare_cached(sql)?.query_row([], |row| {
        let is_busy = row.get::<_, i32>(0)? != 0;
        Ok((!is_busy).then_some(Pages { in_log: row.get(1)?, moved: row.get(2)? }))
    });
    match read {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
        read => read,
    }
}

/// Runs a checkpoint that must be complete.
fn complete(connection: &Connection, mode: Mode) -> rusqlite::Result<()> {
    let busy = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None);
    checkpoint(connection, mode)?.map(drop).ok_or_else(busy)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::store::sqlite::opening::{self, BUSY_WAIT};

    /// An old SQLite must not move pages on a second connection while the first one commits.
    #[test]
    fn an_sqlite_that_resets_logs_unsafely_gets_checkpoints_from_the_writer_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (checkpoints_made, writer) = (Arc::new(AtomicU32::new(0)), thread::current().id());
        let hook = {
            let made = Arc::clone(&checkpoints_made);
            CommitHook::new(move |step| {
                if step == CommitStep::Checkpoint {
                    assert_eq!(thread::current().id(), writer);
                    made.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let mut options = FileOptions {
            path: folder.path().join("shop.db"),
            clock: "real",
            vfs: None,
            pages_max: None,
            busy_wait: BUSY_WAIT,
            hook,
        };
        let file = opening::open(&mut options).unwrap();
        let old = Abilities { checkpoints_beside_commits: false, tells_length_of_log: false };
        let checkpoints = Checkpoints::start_with(old, &options, |error| panic!("{error}")).unwrap();
        let in_log = || checkpoint(&file.connection, Mode::Passive).unwrap().unwrap().in_log;

        let large = vec![7_u8; 1 << 20];
        let mut pages = 0;
        let mut written = 0;
        while checkpoints_made.load(Ordering::Relaxed) < 3 {
            let insert = "INSERT INTO history VALUES (1, ?1, ?1, 1, ?2)";
            file.connection.execute(insert, rusqlite::params![written, large]).unwrap();
            written += 1;
            pages = checkpoints.after_commit(&file.connection, 140).unwrap();
        }
        assert!(written < 60, "{written} MiB");
        assert!(pages >= 2048, "{pages}");
        assert!(in_log() < 3000, "the log starts anew after each of them: {}", in_log());
    }
}
