//! Commits whose effect is known by their number alone.

use std::collections::BTreeMap;

use faulty_vfs::FaultyVfs;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

/// The usage of a database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) journal: &'static str,
    pub(crate) synchronous: &'static str,
    pub(crate) page_bytes: usize,
    pub(crate) checkpoints: Checkpoints,
}

/// When the WAL is moved into the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Checkpoints {
    /// When SQLite decides, and at closing; SQLite does not report failures.
    Automatic,
    /// When the program requests it; the program stops if it fails.
    Explicit,
}

/// The results that the program got.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The number of the last acknowledged commit. Commits have numbers from 1.
    pub(crate) acknowledged: u32,
    /// Why there are no more; the next commit may have happened or not.
    pub(crate) error: Option<rusqlite::Error>,
}

/// The contents of a database.
#[derive(Debug)]
pub(crate) enum Found {
    /// Exactly the effect of the commits up to this one.
    Commits(u32),
    Damage(String),
}

pub(crate) fn open(vfs: &FaultyVfs) -> rusqlite::Result<Connection> {
    Connection::open_with_flags_and_vfs("shop.db", OpenFlags::default(), vfs.name())
}

impl Mode {
    pub(crate) const fn new(journal: &'static str, synchronous: &'static str) -> Self {
        Self { journal, synchronous, page_bytes: 4096, checkpoints: Checkpoints::Automatic }
    }

    pub(crate) fn open(&self, vfs: &FaultyVfs) -> rusqlite::Result<Connection> {
        let connection = open(vfs)?;
        let Self { journal, synchronous, page_bytes, checkpoints } = self;
        let are_explicit = *checkpoints == Checkpoints::Explicit;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, are_explicit)?;
        let autocheckpoint_pages = if are_explicit { 0 } else { 12 };
        connection.execute_batch(&format!(
            "PRAGMA page_size={page_bytes};
             PRAGMA journal_mode={journal};
             PRAGMA synchronous={synchronous};
             PRAGMA wal_autocheckpoint={autocheckpoint_pages};"
        ))?;
        Ok(connection)
    }

    /// Makes the commits after the one with the number `done`, until `last` or an error. Every fifth begins with a new connection.
    pub(crate) fn run(&self, vfs: &FaultyVfs, done: u32, last: u32) -> Outcome {
        let mut outcome = Outcome { acknowledged: done, error: None };
        let mut all = || {
            let mut connection = self.open(vfs)?;
            for number in done + 1..=last {
                if number % 5 == 0 {
                    drop(connection);
                    connection = self.open(vfs)?;
                }
                commit(&mut connection, number)?;
                outcome.acknowledged = number;
                if self.checkpoints == Checkpoints::Explicit && number % 3 == 0 {
                    connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
                }
            }
            Ok(())
        };
        outcome.error = all().err();
        outcome
    }
}

/// The first commit makes the tables; the others add two rows, change one and remove one.
pub(crate) fn commit(connection: &mut Connection, number: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if number == 1 {
        transaction.execute_batch(
            "CREATE TABLE progress (number INTEGER NOT NULL);
             INSERT INTO progress VALUES (1);
             CREATE TABLE entry (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
             CREATE INDEX entry_by_body ON entry (substr(body, 1, 100));",
        )?;
    } else {
        let mut insert = transaction.prepare("INSERT OR REPLACE INTO entry VALUES (?1, ?2)")?;
        for (id, body) in changes(number) {
            match body {
                Some(body) => insert.execute(params![id, body])?,
                None => transaction.execute("DELETE FROM entry WHERE id = ?1", [id])?,
            };
        }
        drop(insert);
        transaction.execute("UPDATE progress SET number = ?1", [number])?;
    }
    transaction.commit()
}

fn changes(number: u32) -> [(u32, Option<Vec<u8>>); 4] {
    let byte = u8::try_from(number % 251).expect("it is small");
    let body = |length: u32| Some(vec![byte; usize::try_from(length).expect("it is small")]);
    [
        (3 * number, body(number * 977 % 7000)),
        (3 * number + 1, body(number * 31 % 300)),
        (3 * (number / 2), body(number * 613 % 2000)),
        (3 * (number * 2 / 3) + 1, None),
    ]
}

/// Reads the whole database.
pub(crate) fn inspect(vfs: &FaultyVfs) -> Found {
    let look = || {
        let connection = open(vfs)?;
        let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if integrity != "ok" {
            return Ok(Found::Damage(integrity));
        }
        let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(Found::Commits(0));
        }
        let number = connection.query_row("SELECT number FROM progress", [], |row| row.get(0))?;
        let mut entries = connection.prepare("SELECT id, body FROM entry ORDER BY id")?;
        let entries = entries.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let entries = entries.collect::<rusqlite::Result<BTreeMap<u32, Vec<u8>>>>()?;
        let mut expected = BTreeMap::new();
        for (id, body) in (2..=number).flat_map(changes) {
            match body {
                Some(body) => expected.insert(id, body),
                None => expected.remove(&id),
            };
        }
        Ok(if entries == expected {
            Found::Commits(number)
        } else {
            Found::Damage(format!("not what commit {number} has left"))
        })
    };
    look().unwrap_or_else(|error: rusqlite::Error| Found::Damage(error.to_string()))
}
