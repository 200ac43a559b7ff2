//! Several connections at a time.

use std::thread;
use std::time::Duration;

use faulty_vfs::{FaultyVfs, Operation, Options};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::workload::{Found, Mode, inspect, open};

const WAL: Mode = Mode::new("WAL", "FULL");
const DELETE: Mode = Mode::new("DELETE", "EXTRA");
const TRUNCATE: Mode = Mode::new("TRUNCATE", "FULL");
const PERSIST: Mode = Mode::new("PERSIST", "FULL");

fn counter(mode: Mode) -> (FaultyVfs, Connection) {
    let vfs = FaultyVfs::register(Options::default());
    let connection = mode.open(&vfs).unwrap();
    connection.execute_batch("CREATE TABLE counter (value INTEGER); INSERT INTO counter VALUES (0)").unwrap();
    (vfs, connection)
}

fn value(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT value FROM counter", [], |row| row.get(0))
}

fn assert_busy<T: std::fmt::Debug>(result: rusqlite::Result<T>) {
    assert_eq!(result.unwrap_err().sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
}

#[test]
fn every_journal_mode_works() {
    for mode in [WAL, DELETE, TRUNCATE, PERSIST] {
        let vfs = FaultyVfs::register(Options::default());
        assert!(mode.run(&vfs, 0, 30).error.is_none());
        assert!(matches!(inspect(&vfs), Found::Commits(30)), "{mode:?}");
        let in_use = mode.open(&vfs).unwrap();
        let journal: String = in_use.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(journal, mode.journal.to_lowercase());
    }
}

#[test]
fn a_reader_of_a_wal_sees_one_moment() {
    let (vfs, mut writer) = counter(WAL);
    let mut reader = open(&vfs).unwrap();
    let moment = reader.transaction().unwrap();
    assert_eq!(value(&moment), Ok(0));
    let change = writer.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    change.execute("UPDATE counter SET value = 1", []).unwrap();
    let other = open(&vfs).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    assert_busy(other.execute("UPDATE counter SET value = 2", []));
    change.commit().unwrap();
    assert_eq!(value(&moment), Ok(0));
    assert_eq!(value(&other), Ok(1));
    // The WAL cannot restart while a connection reads from it.
    let checkpoint = |connection: &Connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    other.busy_timeout(Duration::ZERO).unwrap();
    assert_eq!(checkpoint(&other), 1);
    moment.commit().unwrap();
    assert_eq!(checkpoint(&other), 0);
    let wal = vfs.image().file("shop.db-wal").unwrap();
    assert!(wal.is_empty());
    assert_eq!(value(&reader), Ok(1));
}

#[test]
fn a_reader_of_a_rollback_database_holds_up_commits() {
    let (vfs, mut writer) = counter(DELETE);
    writer.busy_timeout(Duration::ZERO).unwrap();
    let mut reader = open(&vfs).unwrap();
    let moment = reader.transaction().unwrap();
    assert_eq!(value(&moment), Ok(0));
    let change = writer.transaction().unwrap();
    change.execute("UPDATE counter SET value = 1", []).unwrap();
    assert_busy(change.execute_batch("COMMIT"));
    // The writer waits, so no new reader gets a lock.
    let other = open(&vfs).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    assert_busy(value(&other));
    moment.commit().unwrap();
    change.commit().unwrap();
    assert_eq!(value(&other), Ok(1));
}

#[test]
fn threads_take_turns() {
    const THREADS: i64 = 3;
    const CHANGES: i64 = 40;
    for mode in [WAL, TRUNCATE] {
        let (vfs, connection) = counter(mode);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut connection = mode.open(&vfs).unwrap();
                    connection.busy_timeout(Duration::from_secs(60)).unwrap();
                    let mut last = 0;
                    for _ in 0..CHANGES {
                        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
                        let before = value(&change).unwrap();
                        assert!(before >= last, "{before} after {last}");
                        change.execute("UPDATE counter SET value = ?1", [before + 1]).unwrap();
                        change.commit().unwrap();
                        last = before + 1;
                    }
                });
            }
        });
        assert_eq!(value(&connection), Ok(THREADS * CHANGES), "{mode:?}");
    }
}

/// A large sort needs temporary files without names.
#[test]
fn temporary_files_are_removed() {
    let (vfs, connection) = counter(WAL);
    connection.execute_batch("PRAGMA cache_size=10").unwrap();
    let before = vfs.image().files().count();
    let opens = vfs.operations()[Operation::Open];
    let sorted: i64 = connection
        .query_row(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             SELECT count(*) FROM (SELECT i FROM n ORDER BY hex(randomblob(200)))",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(sorted, 5000);
    assert!(vfs.operations()[Operation::Open] > opens);
    assert_eq!(vfs.image().files().count(), before);
    drop(connection);
    assert!(vfs.open_files().is_empty());
}
