//! Tables and settings.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::migration::VERSION;

/// The number of cached prepared statements: about thirty fixed ones, the others are for filters of lists.
const STATEMENTS_MAX: usize = 64;

/// The size of a database's pages. It is larger than SQLite's default because history rows are large.
pub(super) const PAGE_BYTES: u32 = 8192;

/// The mark of an engine's file in SQLite's file header: the letters `EVLP`.
pub(super) const APPLICATION_ID: i64 = 0x4556_4c50;

/// History is an ordinary rowid table with an index beside it, so that rows append at the right edge of its tree and
/// only the small index is touched at random.
///
/// `run.close_time` of an open run is the largest integer, so that open runs come first in lists, which need one index.
/// `run.wake_time` is the time at which an open run must be in memory: 0 means at once, the largest integer only on a
/// request.
pub(super) const TABLES: &str = "
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE record (
        kind INTEGER NOT NULL,
        namespace INTEGER NOT NULL,
        name TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (kind, namespace, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE run (
        key INTEGER PRIMARY KEY,
        namespace INTEGER NOT NULL,
        workflow_id TEXT NOT NULL,
        run_id TEXT NOT NULL,
        workflow_type TEXT NOT NULL,
        task_queue TEXT NOT NULL,
        status INTEGER NOT NULL,
        start_time INTEGER NOT NULL,
        execution_time INTEGER NOT NULL,
        close_time INTEGER NOT NULL,
        wake_time INTEGER NOT NULL,
        history_length INTEGER NOT NULL,
        history_size_bytes INTEGER NOT NULL,
        state_transition_count INTEGER NOT NULL,
        memo BLOB,
        create_request_id TEXT NOT NULL,
        search_attributes TEXT
    ) STRICT;
    CREATE INDEX run_by_workflow_id ON run (namespace, workflow_id);
    CREATE INDEX run_by_close_time ON run (namespace, close_time DESC, start_time DESC);

    CREATE TABLE overlay (
        run INTEGER PRIMARY KEY,
        data BLOB NOT NULL
    ) STRICT;

    CREATE TABLE history (
        run INTEGER NOT NULL,
        first_event INTEGER NOT NULL,
        next_event INTEGER NOT NULL,
        transition INTEGER NOT NULL,
        events BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX history_by_run ON history (run, first_event);
";

/// A new, empty database in memory.
///
/// It has no rollback journal, because the store is not used after a failed write: see
/// [`StoreError::Failed`](crate::store::StoreError::Failed).
pub(super) fn open_memory() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "OFF")?;
    set_up(&connection)?;
    connection.execute_batch(TABLES)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(connection)
}

/// Sets the options of a connection.
pub(super) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Keeps the plans of statements. Otherwise some are prepared again whenever a parameter changes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}
