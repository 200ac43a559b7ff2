//! Texts for SQLite's errors.

use std::io;
use std::path::Path;

use rusqlite::{ErrorCode, ffi};

/// The error that SQLite itself would report for a failed sync.
pub(super) fn sync_error(error: &io::Error) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), Some(error.to_string()))
}

/// Describes an error of SQLite about a file, with the remedy.
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

/// Whether another program has a temporary lock.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
