//! Migrations of a file from older formats.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::explain::explain;
use super::open_error::OpenError;

/// The statements that migrate a file from one format to the next.
pub(super) type Migration = &'static str;

/// The step at index `n` leads from format `n + 1` to `n + 2`.
pub(super) const MIGRATIONS: &[Migration] = &[
    // One table for records; namespaces, which had their own table, are kind 1.
    "CREATE TABLE record (
        kind INTEGER NOT NULL,
        namespace INTEGER NOT NULL,
        name TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (kind, namespace, name)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO record (kind, namespace, name, data) SELECT 1, key, name, description FROM namespace;
    DROP TABLE namespace;",
    // The search attributes of runs, in JSON.
    "ALTER TABLE run ADD COLUMN search_attributes TEXT;",
];

/// The format that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64 + 1;

/// The format of a database.
pub(super) fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Migrates a file: writes a backup, then runs all steps in one transaction.
pub(super) fn migrate(connection: &Connection, path: &Path, steps: &[Migration]) -> Result<(), OpenError> {
    let known = steps.len() as i64 + 1;
    let failed = |from: i64, error: rusqlite::Error| OpenError::Migration {
        path: path.to_owned(),
        from,
        to: known,
        reason: explain(path, &error),
    };
    let found = format(connection).map_err(|error| failed(0, error))?;
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    let missing = usize::try_from(found - 1).ok().and_then(|done| steps.get(done..)).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let backup = backup_path(path, found);
    tracing::info!(path = %path.display(), backup = %backup.display(), from = found, to = known, "migrating");
    let run = || {
        // A backup of an interrupted migration has the same content or is incomplete. If it cannot be removed, the new backup
        // fails and reports it.
        if let Err(error) = std::fs::remove_file(&backup) {
            tracing::debug!(%error, "no older backup to replace");
        }
        connection.execute("VACUUM INTO ?1", [backup.to_string_lossy()])?;
        let transaction = connection.unchecked_transaction()?;
        for step in missing {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", known)?;
        transaction.commit()
    };
    run().map_err(|error| failed(found, error))
}

/// The path of the backup: `shop.db.format-1`.
fn backup_path(path: &Path, version: i64) -> PathBuf {
    let mut backup = path.as_os_str().to_owned();
    backup.push(format!(".format-{version}"));
    backup.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of format 1 with one row.
    fn file(folder: &Path) -> (PathBuf, Connection) {
        let path = folder.join("shop.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x'); PRAGMA user_version = 1")
            .unwrap();
        (path, connection)
    }

    fn version(connection: &Connection) -> i64 {
        format(connection).unwrap()
    }

    #[test]
    fn steps_lead_forward_and_what_was_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        let steps = ["ALTER TABLE t ADD COLUMN b TEXT", "UPDATE t SET b = a || '!'"];
        migrate(&connection, &path, &steps).unwrap();
        let row: (String, String) =
            connection.query_row("SELECT a, b FROM t", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!((row, version(&connection)), (("x".to_owned(), "x!".to_owned()), 3));
        let backup = Connection::open(folder.path().join("shop.db.format-1")).unwrap();
        assert_eq!(version(&backup), 1);
        assert_eq!(backup.query_row("SELECT a FROM t", [], |row| row.get::<_, String>(0)).unwrap(), "x");
        migrate(&connection, &path, &steps).unwrap();
        assert_eq!(version(&connection), 3, "nothing is left to do");
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        let steps = ["ALTER TABLE t ADD COLUMN b TEXT", "UPDATE nowhere SET b = a"];
        let error = migrate(&connection, &path, &steps).unwrap_err().to_string();
        assert!(error.contains("from format 1 to 3") && error.contains("nowhere"), "{error}");
        assert_eq!(version(&connection), 1);
        assert!(connection.prepare("SELECT b FROM t").is_err());
    }

    #[test]
    fn a_newer_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        connection.pragma_update(None, "user_version", 7).unwrap();
        let error = migrate(&connection, &path, &[]).unwrap_err().to_string();
        assert!(error.contains("newer Everloop (format 7, this one reads up to 1)"), "{error}");
    }
}
