//! Moving what is in the write-ahead log to where it stays.
//!
//! A thread of its own does most of it while commits go on; the writer does the rest between two groups once the log is
//! long, after which the log is written from its beginning again. So the log stays at a size, and commits overwrite
//! blocks that the file system has already given, which is the fastest kind of write there is. Some versions of SQLite
//! must not move pages beside a commit (see [`version`](super::version)): with these, the writer does all of it.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, ErrorCode, ffi};

use super::opening::{FileOptions, open_checkpointer};
use super::version::Abilities;
use crate::store::commit_hook::{CommitHook, CommitStep};

/// From this many pages on that only the log has, they are moved: 16 MiB.
const PAGES_IN_BACKGROUND: i32 = 2048;
/// From this many pages in the log on, the writer sees to it that the log starts anew: 64 MiB.
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

/// The state of the log, as far as it is known.
#[derive(Debug)]
struct Log {
    /// How long the log may become before the writer tries again: a reader may keep it from starting anew.
    pages_max: i32,
    /// Its length and how much of that was moved, where SQLite only tells that after a checkpoint.
    estimate: Pages,
}

/// Pages in the log, and how many of them are where they stay.
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
    /// Only tells how long the log is.
    Noop,
}

impl Checkpoints {
    /// Starts the thread. What it cannot do is told to `failed`: pages whose write was not confirmed may be anywhere, so
    /// nothing may be written after that.
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
                    // None means that the writer is doing it.
                    if let Err(error) = checkpoint(&connection, Mode::Passive) {
                        return failed(&error);
                    }
                }
            }
        })?;
        Ok(Self { abilities, wake: Some(wake), thread: Mutex::new(Some(thread)), log, hook })
    }

    /// Looks at the log after something was written, about `written` pages, and returns how many pages it has. The
    /// connection is the writer's.
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
            // None means that somebody else is doing it.
            if let Some(now) = checkpoint(connection, Mode::Passive)? {
                let is_done = now.moved == now.in_log;
                log.pages_max = if is_done { PAGES_MAX } else { now.in_log + PAGES_MAX / 4 };
                // The next commit starts a log of which everything was moved anew.
                log.estimate = if is_done { Pages::default() } else { now };
            }
        } else if pages.in_log - pages.moved >= PAGES_IN_BACKGROUND
            && let Some(wake) = &self.wake
        {
            match wake.try_send(()) {
                // Full means that it is at work, or about to be; without it, the log has failed.
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            }
        }
        Ok(u64::from(pages.in_log.unsigned_abs()))
    }

    /// Moves everything, when nothing more will be written. The log is left as it is, though nobody needs it any more.
    pub(super) fn last(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.hook.reached(CommitStep::Checkpoint);
        complete(connection, Mode::Full)
    }

    /// Empties the log, of which everything was moved.
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

/// How long the log is, and how much of it was moved; `None` while another connection is at it.
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

/// A checkpoint that has to come to its end.
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
