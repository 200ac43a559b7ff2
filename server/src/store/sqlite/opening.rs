//! Opening a database file: whose it is, how old, in what condition.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ffi};

use super::lock::{Holder, Lock, LockError, Locked, Written, lock_path};
use super::migration::{self, MIGRATIONS};
use super::place::{PathError, database_path};
use super::{rows, schema, version};
use crate::model::HistoryBatch;
use crate::store::CommitHook;
use crate::unheard::print_unless_heard;

/// Memory for pages of the writer, at most.
const CACHE_KIB: i64 = 64 * 1024;
/// Memory for pages of one reader, at most.
const READER_CACHE_KIB: i64 = 16 * 1024;
/// How long one attempt to write waits for the lock of another program, which may use the file with SQLite's own tools.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Which file to open, and how.
#[derive(Clone, Debug)]
pub(crate) struct FileOptions {
    pub(crate) path: PathBuf,
    /// The clock the file is for. Moments of a skipping clock mean nothing on a real one.
    pub(crate) clock: &'static str,
    /// Tests replace SQLite's way to the disk by one that fails.
    pub(crate) vfs: Option<String>,
    /// Tests make a disk full that has no more room than for so many pages.
    pub(crate) pages_max: Option<u32>,
    /// How long one attempt to write waits for the lock of another program; [`BUSY_WAIT`] but in tests.
    pub(crate) busy_wait: Duration,
    /// Crash tests end the process between the steps of a commit.
    pub(crate) hook: CommitHook,
}

/// What an opened file tells.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Every worker that had a task lived in the process that had the file open before.
    pub(crate) workers_are_gone: bool,
    /// What was written last.
    pub(crate) last_batch: Option<HistoryBatch>,
}

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("{}: {reason}", path.display())]
    Sqlite { path: PathBuf, reason: String },
    #[error("{} is open in {}", path.display(), in_use(path, holder.as_ref()))]
    InUse { path: PathBuf, holder: Option<Holder> },
    #[error("cannot create {}: there is no folder {}", path.display(), folder.display())]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("no permission to read and write {} and the files beside it: change their owner or mode, or choose another file", path.display())]
    Denied { path: PathBuf },
    #[error("{} or its folder is read-only: SQLite needs to write there, and to make files beside it", path.display())]
    ReadOnly { path: PathBuf },
    #[error("there is no file {}", path.display())]
    NoFile { path: PathBuf },
    #[error("{} is a database of another program: choose another file", path.display())]
    Foreign { path: PathBuf },
    #[error("{} is no database, or its beginning is damaged: choose another file, or restore a backup", path.display())]
    NotADatabase { path: PathBuf },
    #[error(
        "{} was not closed in order, and what was written last is missing from it, because {}-wal is not there: put that file \
         back beside the database; to go on without, remove {}", path.display(), path.display(), lock_path(path).display()
    )]
    NoLog { path: PathBuf },
    #[error("{} was written by a newer Everloop (format {found}, this one reads up to {known}): update this program", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} cannot be brought from format {from} to {to}: {reason}; nothing was changed", path.display())]
    Migration { path: PathBuf, from: i64, to: i64, reason: String },
    #[error("{} keeps the time of a {found} clock and cannot be opened with a {wanted} one: use {}, or another file", path.display(), clock_address(path, found))]
    OtherClock { path: PathBuf, found: String, wanted: &'static str },
    #[error("cannot open {}: {reason}", path.display())]
    Failed { path: PathBuf, reason: String },
}

impl OpenError {
    pub(super) fn folder(path: &Path) -> Self {
        Self::Failed { path: path.to_owned(), reason: "it is a folder: name a file in it".to_owned() }
    }
}

/// The writer's connection to an opened file, and what belongs to it.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) lock: Lock,
    pub(super) opened: Opened,
    pub(super) last_run: i64,
    pub(super) written: Written,
}

/// Opens a file, or makes a new one. From here on, the options have its resolved path.
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
    // What stands in for the disk keeps its files elsewhere.
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
    // From here on there is a log, which has to be there again when this process ends without closing the file.
    lock.opened(written).map_err(|error| system_error(path, &error))?;
    Ok(OpenFile { connection, lock, opened, last_run, written })
}

/// A process that had the file and did not close it in order, and whether its log is there.
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
    // What fails there, nobody hears of: the store does it itself when it closes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Checks whose file it is and makes it ready to be written.
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
    // The page size has to be set before anything is in the file.
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

/// Notes that all workers are here, until one is elsewhere. And puts something into the log, which is empty if the database
/// was closed in order: from then on an empty log is a missing one.
fn note_opening(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute(COUNT_OPENING, [])?;
    set_meta(&transaction, "workers", INSIDE)?;
    transaction.commit()
}

/// Counted, for a row that stays as it was SQLite does not write.
const COUNT_OPENING: &str = "INSERT INTO meta (name, value) VALUES ('openings', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";

/// `meta.commits`: how many commits had no history. Those that have one are known by its row.
const COMMITS: &str = "commits";

/// Counts a commit that has no history.
pub(super) const COUNT_COMMIT: &str = "INSERT INTO meta (name, value) VALUES ('commits', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";

/// `meta.workers`: all of them live in the process that has the file open.
const INSIDE: &str = "inside";
/// `meta.workers`: some may live elsewhere.
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

/// SQLite takes a database without its log for one that was closed in order. But the log may also be gone because another
/// program has moved all of it into the database, as SQLite does when the last connection closes: then nothing is missing.
fn check_nothing_is_missing(
    connection: &Connection,
    path: &Path,
    interrupted: &Interrupted,
    is_new: bool,
) -> Result<(), OpenError> {
    let Interrupted { holder, has_log } = interrupted;
    let is_complete = match holder.written {
        // Even its tables were in the log alone. Without any page, the file was removed on purpose.
        _ if is_new => fs::metadata(path).map_or(true, |file| file.len() == 0),
        Some(written) => read_written(connection).map_err(|error| sqlite_error(path, &error))?.holds(written),
        None => *has_log,
    };
    match is_complete {
        true => Ok(()),
        false if *has_log => {
            // The process had the sync of its commits confirmed.
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

/// After a failed sync the system may show what the disk does not have, and take it for synced. Written again, it is on
/// its way again.
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

fn in_use(path: &Path, holder: Option<&Holder>) -> String {
    let path = path.display();
    match holder {
        Some(Holder { pid, address: Some(address), .. }) => {
            format!("process {pid}, which listens on {address}: connect to http://{address}")
        }
        Some(Holder { pid, address: None, .. }) => format!(
            "process {pid}, which does not listen: stop it, or run `everloop server start-dev --db-filename {path}` instead \
             and connect both programs to that"
        ),
        None => format!(
            "another process: stop it, or run `everloop server start-dev --db-filename {path}` instead and connect both \
             programs to that"
        ),
    }
}

fn clock_address(path: &Path, clock: &str) -> String {
    let path = path.display();
    if clock == "real" { format!("sqlite:{path}") } else { format!("sqlite:{path}?clock={clock}") }
}

fn system_error(path: &Path, error: &io::Error) -> OpenError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied => OpenError::Denied { path },
        io::ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { path },
        _ => OpenError::Failed { path, reason: error.to_string() },
    }
}

pub(super) fn sqlite_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let owned = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path: owned },
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => OpenError::Denied { path: owned },
        Some(ErrorCode::ReadOnly) => OpenError::ReadOnly { path: owned },
        _ => OpenError::Failed { path: owned, reason: explain(path, error) },
    }
}

/// What SQLite would make of a sync that failed.
pub(super) fn sync_error(error: &io::Error) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), Some(error.to_string()))
}

/// What SQLite reports about a file, and what to do about it.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> String {
    let path = path.display();
    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => format!("no space is left for {path}: free some, then open it again"),
        Some(ErrorCode::ReadOnly) => {
            format!("{path} cannot be written any more: make it and its folder writable, then open it again")
        }
        Some(ErrorCode::SystemIoFailure) => {
            format!(
                "the system cannot read or write {path} (SQLite's code {extended}): check the disk, then open it again"
            )
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("{path} is damaged: keep a copy, then restore a backup (SQLite's code {extended})")
        }
        Some(ErrorCode::DatabaseBusy) => {
            format!(
                "another program has locked {path} for writing: end its transaction or close it, then open it again"
            )
        }
        _ => format!("{path}: {error}"),
    }
}

/// Whether another program has a lock that will go away.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
