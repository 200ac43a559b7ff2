//! Copies a database while other processes use it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::explain::explain;
use super::place::{PathError, database_path};
use super::schema;

/// The reason why a backup failed. An incomplete file is removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// One of the paths cannot name a database.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The source does not exist.
    #[error("there is no {}", path.display())]
    NoSource { path: PathBuf },
    /// The source is no database of an engine.
    #[error("{} is no database of Everloop", path.display())]
    Foreign { path: PathBuf },
    /// The target exists. It is not replaced, because it may be the only backup.
    #[error("{} is there already: choose another name, or move it away", path.display())]
    Exists { path: PathBuf },
    /// The disk or the database returned an error.
    #[error("cannot copy {} to {}: {reason}", from.display(), to.display())]
    Failed { from: PathBuf, to: PathBuf, reason: String },
}

/// Copies the database of an engine, also while an engine has it open, in this process or another: the copy contains
/// everything that was acknowledged before the call. Returns the size of the copy in bytes.
///
/// The copy is complete and durable when this function returns; until then its name ends with `.part`.
///
/// # Errors
///
/// If the source does not exist, the target exists, or the disk returns an error.
pub fn backup(from: &Path, to: &Path) -> Result<u64, BackupError> {
    let (from, to) = (&*database_path(from)?, &*database_path(to)?);
    if !from.exists() {
        return Err(BackupError::NoSource { path: from.to_owned() });
    }
    if to.exists() {
        return Err(BackupError::Exists { path: to.to_owned() });
    }
    let failed = |reason: String| BackupError::Failed { from: from.to_owned(), to: to.to_owned(), reason };
    let part = {
        let mut part = to.as_os_str().to_owned();
        part.push(".part");
        PathBuf::from(part)
    };
    // An interrupted backup leaves this file. If it cannot be removed, the copy fails and reports that.
    remove(&part);
    let copied = copy(from, &part).and_then(|()| {
        let put = || {
            let file = File::open(&part)?;
            file.sync_all()?;
            fs::rename(&part, to)?;
            // The name must be durable as well.
            let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            Ok(file.metadata()?.len())
        };
        put().map_err(|error: io::Error| failed(error.to_string()))
    });
    if copied.is_err() {
        remove(&part);
    }
    copied
}

fn remove(part: &Path) {
    if let Err(error) = fs::remove_file(part)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %part.display(), "cannot remove a backup that was not finished");
    }
}

fn copy(from: &Path, part: &Path) -> Result<(), BackupError> {
    let failed = |error: rusqlite::Error| BackupError::Failed {
        from: from.to_owned(),
        to: part.to_owned(),
        reason: explain(from, &error),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags).map_err(failed)?;
    let application_id = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0));
    if application_id.map_err(failed)? != schema::APPLICATION_ID {
        return Err(BackupError::Foreign { path: from.to_owned() });
    }
    connection.execute("VACUUM INTO ?1", [part.to_string_lossy()]).map_err(failed)?;
    Ok(())
}
