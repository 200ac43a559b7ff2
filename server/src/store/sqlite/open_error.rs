//! Errors of opening a database file.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::explain::explain;
use super::lock::{Holder, lock_path};
use super::place::PathError;

/// The reason why a database file cannot be used.
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

pub(super) fn system_error(path: &Path, error: &io::Error) -> OpenError {
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
