//! One process at a time: the lock beside a database file.
//!
//! The lock is the operating system's, so it goes with its process, however that ends. What the file holds is for others
//! to read: who has the lock, where that process listens, and whether the last one closed the database in order.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The lock, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: Mutex<File>,
}

/// Who has the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    /// Where it listens, if it does.
    pub(crate) address: Option<String>,
    /// A write to the database failed there.
    pub(crate) has_failed: bool,
}

/// Why the lock is not to be had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has it. `None` when it has not said who it is (yet).
    Held(Option<Holder>),
    Io(io::Error),
}

/// A lock, and what its file told before.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) lock: Lock,
    /// The process that had the lock last, if it did not close the database in order.
    pub(super) interrupted: Option<Holder>,
}

/// The lock's file beside a database: `shop.db.lock`.
pub(super) fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

impl Lock {
    /// Takes the lock of a database.
    pub(super) fn take(database: &Path) -> Result<Locked, LockError> {
        let path = lock_path(database);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(LockError::Io)?;
        let taken = file.try_lock();
        let mut text = String::new();
        let told = file.read_to_string(&mut text).map(|_| Holder::parse(&text));
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(told.ok().flatten())),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let lock = Self { file: Mutex::new(file) };
        Ok(Locked { lock, interrupted: told.map_err(LockError::Io)? })
    }

    /// Tells others that the database is open here.
    pub(super) fn tell(&self, address: Option<&str>) -> io::Result<()> {
        self.write(&Holder::this(address).text())
    }

    /// Notes that a write failed: what the system holds of the files may not be what the disk has. Should that note fail
    /// too, the next process takes the files for what they seem to be.
    pub(super) fn failed(&self) {
        let noted = self.write(&Holder { has_failed: true, ..Holder::this(None) }.text());
        if let Err(error) = noted {
            tracing::warn!(%error, "cannot note beside the database that a write failed");
        }
    }

    /// Notes that the database was closed in order.
    pub(super) fn closed(&self) -> io::Result<()> {
        self.write("")
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(text.as_bytes())
    }
}

impl Holder {
    fn this(address: Option<&str>) -> Self {
        Self { pid: std::process::id(), address: address.map(str::to_owned), has_failed: false }
    }

    fn text(&self) -> String {
        let address = self.address.as_ref().map(|address| format!("address {address}\n")).unwrap_or_default();
        let failed = if self.has_failed { "failed\n" } else { "" };
        format!("pid {}\n{address}{failed}", self.pid)
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Some(Self {
            pid: field("pid")?.parse().ok()?,
            address: field("address").map(str::to_owned),
            has_failed: text.lines().any(|line| line == "failed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_tells_who_has_it_and_how_they_left() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("shop.db");
        let Locked { lock, interrupted } = Lock::take(&database).unwrap();
        assert_eq!(interrupted, None);
        lock.tell(None).unwrap();
        let held = |error: LockError| match error {
            LockError::Held(holder) => holder.unwrap(),
            LockError::Io(error) => panic!("{error}"),
        };
        let me = Holder::this(None);
        assert_eq!(held(Lock::take(&database).unwrap_err()), me);
        lock.tell(Some("127.0.0.1:7233")).unwrap();
        let listening = Holder { address: Some("127.0.0.1:7233".to_owned()), ..me };
        assert_eq!(held(Lock::take(&database).unwrap_err()), listening);

        drop(lock);
        let Locked { lock, interrupted } = Lock::take(&database).unwrap();
        assert_eq!(interrupted, Some(listening));
        lock.failed();
        drop(lock);
        let Locked { lock, interrupted } = Lock::take(&database).unwrap();
        assert!(interrupted.unwrap().has_failed);
        lock.closed().unwrap();
        drop(lock);
        assert_eq!(Lock::take(&database).unwrap().interrupted, None);
    }
}
