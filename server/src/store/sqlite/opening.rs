//! Opens a database file, and checks its owner, format and condition.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::lock::{Holder, Lock, LockError, Locked, Written};
use super::migration::{self, MIGRATIONS};
use super::open_error::{OpenError, sqlite_error, system_error};
use super::place::database_path;
use super::{rows, schema, version};
use crate::model::HistoryBatch;
use crate::store::commit_hook::CommitHook;
use crate::unheard::print_unless_heard;

/// The page cache of the writer.
const CACHE_KIB: i64 = 64 * 1024;
/// The page cache of one reader.
const READER_CACHE_KIB: i64 = 16 * 1024;
/// The time for which one attempt to write waits for the lock of another program, for example SQLite's own tools.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Options for opening a file.
#[derive(Clone, Debug)]
pub(crate) struct FileOptions {
    pub(crate) path: PathBuf,
    /// The kind of clock of the file. Times of a skipping clock have no meaning for a real one.
    pub(crate) clock: &'static str,
    /// The VFS, for tests with a failing disk.
    pub(crate) vfs: Option<String>,
    /// The maximum number of pages, for tests with a full disk.
    pub(crate) pages_max: Option<u32>,
    /// The time for which one attempt to write waits for the lock of another program; [`BUSY_WAIT`] except in tests.
    pub(crate) busy_wait: Duration,
    /// The hook between the steps of a commit, for crash tests.
    pub(crate) hook: CommitHook,
}

/// Facts about an opened file.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Whether all workers were in the process that had the file open before.
    pub(crate) workers_are_gone: bool,
    /// The batch that was written last.
    pub(crate) last_batch: Option<HistoryBatch>,
}

/// The writer's connection to an opened file, with its lock and state.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) lock: Lock,
    pub(super) opened: Opened,
    pub(super) last_run: i64,
    pub(super) written: Written,
}

/// Opens a file, or creates a new one. Sets the resolved path in the options.
pub(super) fn open(options: &mut FileOptions) -> Result<OpenFile, OpenError> {
    options.path = database_path(&options.path)?;
    let options = &*options;
    let path = &options.path;
    version::check().map_err(|reason| OpenError::Sqlite { path: path.clone(), reason })?;
    check_folder(path)?;
    let Locked { lock, interrupted } = Lock::take(path).map_err(|error| match error {
        LockError::Held(holder) => OpenError::InUse { path: path.clone(), holder },
        LockError::Io(error) => system_error(path, &error),
    })?;
    // The files of a test's VFS are not on the disk.
    let interrupted = interrupted
        .filter(|_| options.vfs.is_none())
        .map(|holder| Interrupted { has_log: fs::metadata(log_path(path)).is_ok_and(|log| log.len() > 0), holder });
    if interrupted.as_ref().is_some_and(|interrupted| interrupted.holder.has_failed) {
        write_log_again(path).map_err(|error| system_error(path, &error))?;
    }
    let connection = connect(options, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    let opened = prepare(&connection, options, interrupted.as_ref())?;
    let failed = |error: rusqlite::Error| sqlite_error(path, &error);
    let last_run = connection.query_row(rows::READ_LAST_RUN, [], |row| row.get(0)).map_err(failed)?;
    let written = read_written(&connection).map_err(failed)?;
    // From now on there is a log, which must exist if this process ends without closing the file.
    lock.opened(written).map_err(|error| system_error(path, &error))?;
    Ok(OpenFile { connection, lock, opened, last_run, written })
}

/// A process that did not close the file properly, and whether its log exists.
struct Interrupted {
    holder: Holder,
    has_log: bool,
}

/// Another connection to an opened file, for reads.
pub(super) fn open_reader(options: &FileOptions) -> rusqlite::Result<Connection> {
    let connection = raw_connection(options, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    schema::set_up(&connection)?;
    Ok(connection)
}

/// Another connection to an opened file, for checkpoints.
pub(super) fn open_checkpointer(options: &FileOptions) -> rusqlite::Result<Connection> {
    let connection = raw_connection(options, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

fn connect(options: &FileOptions, flags: OpenFlags) -> Result<Connection, OpenError> {
    raw_connection(options, flags).map_err(|error| sqlite_error(&options.path, &error))
}

fn raw_connection(options: &FileOptions, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_str()),
        None => Connection::open_with_flags(&options.path, flags),
    }?;
    connection.busy_timeout(options.busy_wait)?;
    // SQLite would report no error of a checkpoint at close, so the store runs that checkpoint itself.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Checks that the file belongs to an engine, and prepares it for writes.
fn prepare(
    connection: &Connection,
    options: &FileOptions,
    interrupted: Option<&Interrupted>,
) -> Result<Opened, OpenError> {
    let path = &options.path;
    let failed = |error: rusqlite::Error| sqlite_error(path, &error);
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application_id = number("application_id").map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let is_new = application_id == 0 && tables == 0;
    if !is_new && application_id != schema::APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.clone() });
    }
    if let Some(interrupted) = interrupted {
        check_nothing_is_missing(connection, path, interrupted, is_new)?;
    }
    // The page size must be set before the first write.
    connection.pragma_update(None, "page_size", schema::PAGE_BYTES).map_err(failed)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        let reason =
            format!("its file system keeps SQLite in the mode {mode}, without a write-ahead log: use a local disk");
        return Err(OpenError::Failed { path: path.clone(), reason });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(failed)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)?;
    if let Some(pages_max) = options.pages_max {
        connection.pragma_update_and_check(None, "max_page_count", pages_max, |_| Ok(())).map_err(failed)?;
    }
    schema::set_up(connection).map_err(failed)?;
    if is_new {
        create(connection, options.clock).map_err(failed)?;
        return Ok(Opened { workers_are_gone: true, last_batch: None });
    }
    migration::migrate(connection, path, MIGRATIONS)?;
    let clock = meta(connection, "clock").map_err(failed)?.unwrap_or_default();
    if clock != options.clock {
        return Err(OpenError::OtherClock { path: path.clone(), found: clock, wanted: options.clock });
    }
    let workers = meta(connection, "workers").map_err(failed)?;
    note_opening(connection).map_err(failed)?;
    let last_batch = connection.query_row(rows::READ_LAST_HISTORY, [], rows::read_batch).optional().map_err(failed)?;
    Ok(Opened { workers_are_gone: workers.as_deref() == Some(INSIDE), last_batch })
}

/// Records that all workers are in this process, until another process connects. This also writes to the log, which is empty
/// after a proper close, so that an empty log later means that the log was lost.
fn note_opening(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute(COUNT_OPENING, [])?;
    set_meta(&transaction, "workers", INSIDE)?;
    transaction.commit()
}

/// A count, because SQLite does not write a row that stays the same.
const COUNT_OPENING: &str = "INSERT INTO meta (name, value) VALUES ('openings', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";

/// `meta.commits`: the number of commits without history. Other commits are counted by their rows.
const COMMITS: &str = "commits";

/// Counts a commit that has no history.
pub(super) const COUNT_COMMIT: &str = "INSERT INTO meta (name, value) VALUES ('commits', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";

/// `meta.workers`: all workers are in the process that has the file open.
const INSIDE: &str = "inside";
/// `meta.workers`: some workers may be in other processes.
pub(super) const ANYWHERE: &str = "anywhere";

fn create(connection: &Connection, clock: &str) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(schema::TABLES)?;
    set_meta(&transaction, "clock", clock)?;
    set_meta(&transaction, "workers", INSIDE)?;
    transaction.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", migration::VERSION)?;
    transaction.commit()
}

pub(super) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

pub(super) fn set_meta(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    connection.prepare_cached(sql)?.execute([name, value])?;
    Ok(())
}

fn check_folder(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(OpenError::NoFolder { path: path.to_owned(), folder: folder.to_owned() })
        }
        _ if path.is_dir() => Err(OpenError::folder(path)),
        _ => Ok(()),
    }
}

/// Checks that no commits are lost with a missing log. SQLite treats a database without its log as properly closed. The log
/// may also be missing because another program has moved all of it into the database, as SQLite does when the last
/// connection closes; then the database is complete.
fn check_nothing_is_missing(
    connection: &Connection,
    path: &Path,
    interrupted: &Interrupted,
    is_new: bool,
) -> Result<(), OpenError> {
    let Interrupted { holder, has_log } = interrupted;
    let is_complete = match holder.written {
        // Only the log had the tables. A file without pages was removed on purpose.
        _ if is_new => fs::metadata(path).map_or(true, |file| file.len() == 0),
        Some(written) => read_written(connection).map_err(|error| sqlite_error(path, &error))?.holds(written),
        None => *has_log,
    };
    match is_complete {
        true => Ok(()),
        false if *has_log => {
            // The process had confirmed the sync of these commits.
            let lost = || {
                format!(
                    "the log of {} ends before the last commits that were acknowledged: the disk has lost them",
                    path.display()
                )
            };
            tracing::error!("{}", lost());
            print_unless_heard(lost);
            Ok(())
        }
        false => Err(OpenError::NoLog { path: path.to_owned() }),
    }
}

fn read_written(connection: &Connection) -> rusqlite::Result<Written> {
    let history = read_last_history(connection)?;
    let without_history = meta(connection, COMMITS)?.and_then(|count| count.parse().ok()).unwrap_or_default();
    Ok(Written { history, without_history })
}

/// The row of the history batch that was written last.
pub(super) fn read_last_history(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached(rows::READ_LAST_HISTORY_ROW)?.query_row([], |row| row.get(0))
}

/// Writes the log again. After a failed sync, the system's cache may differ from the disk without being marked for writing.
fn write_log_again(path: &Path) -> io::Result<()> {
    let path = log_path(path);
    if !path.exists() {
        return Ok(());
    }
    let log = fs::read(&path)?;
    let mut file = fs::OpenOptions::new().write(true).open(&path)?;
    file.write_all(&log)?;
    file.sync_all()
}

/// The write-ahead log beside a database: `shop.db-wal`.
pub(super) fn log_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}
