//! The lock file beside a database file, which admits one process at a time.
//!
//! The lock belongs to the operating system, so it ends with its process in all cases. The text in the file is for other
//! processes: the process that has the lock, its address, the state of the database after its last write, and whether
//! the last process closed the database properly.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The length of the text. It is always written as a whole in one call and fits in one sector of a disk, so a killed
/// process leaves either the previous or the new text.
const TEXT_BYTES: usize = 512;

/// The lock, which is released when this value is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    holder: Holder,
}

/// The process that has the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    /// The address at which the process listens, if any.
    pub(crate) address: Option<String>,
    /// Whether a write to the database failed in that process.
    pub(crate) has_failed: bool,
    /// The state of the database after its last write, or shortly before. Older versions did not record it.
    pub(crate) written: Option<Written>,
}

/// The amount of data in a database: both numbers grow with each write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The row of the history batch that was written last.
    pub(crate) history: i64,
    /// The number of commits without history, which the database counts.
    pub(crate) without_history: i64,
}

/// The reason why the lock was not taken.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has the lock. `None` if that process has not written its text yet.
    Held(Option<Holder>),
    Io(io::Error),
}

/// A lock, and the previous text of its file.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) lock: Lock,
    /// The process that had the lock last, if it did not close the database properly.
    pub(super) interrupted: Option<Holder>,
}

/// The lock's file beside a database: `shop.db.lock`.
pub(super) fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// The process that has a database open, or that ended without closing it.
pub(super) fn last_holder(database: &Path) -> Option<Holder> {
    Holder::parse(&std::fs::read_to_string(lock_path(database)).ok()?)
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
        let lock = Self { state: Mutex::new(State { file, holder: Holder::this() }) };
        Ok(Locked { lock, interrupted: told.map_err(LockError::Io)? })
    }

    /// Records that this process has opened the database, and the database's state.
    pub(super) fn opened(&self, written: Written) -> io::Result<()> {
        self.change(|holder| holder.written = Some(written))
    }

    /// Records the address at which this process listens.
    pub(super) fn listens_on(&self, address: &str) -> io::Result<()> {
        self.change(|holder| holder.address = Some(address.to_owned()))
    }

    /// Removes the address, unless another one has replaced it.
    pub(super) fn stops_listening_on(&self, address: &str) -> io::Result<()> {
        self.change(|holder| drop(holder.address.take_if(|told| told == address)))
    }

    /// Records the state of the database.
    pub(super) fn wrote(&self, written: Written) -> io::Result<()> {
        self.change(|holder| holder.written = Some(written))
    }

    /// Records that a write failed: the system's cached content of the files may differ from the disk. If this write fails as
    /// well, the next process trusts the files.
    pub(super) fn failed(&self) {
        if let Err(error) = self.change(|holder| holder.has_failed = true) {
            tracing::warn!(%error, "cannot note beside the database that a write failed");
        }
    }

    /// Records that the database was closed properly.
    pub(super) fn closed(&self) -> io::Result<()> {
        self.state().file.set_len(0)
    }

    fn change(&self, change: impl FnOnce(&mut Holder)) -> io::Result<()> {
        let mut state = self.state();
        change(&mut state.holder);
        let text = state.holder.text();
        state.file.seek(SeekFrom::Start(0))?;
        state.file.write_all(text.as_bytes())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    fn this() -> Self {
        Self { pid: std::process::id(), address: None, has_failed: false, written: None }
    }

    fn text(&self) -> String {
        let address = self.address.as_ref().map(|address| format!("address {address}\n")).unwrap_or_default();
        let failed = if self.has_failed { "failed\n" } else { "" };
        let written = self.written.map(|written| format!("written {} {}\n", written.history, written.without_history));
        let text = format!("pid {}\n{address}{failed}{}", self.pid, written.unwrap_or_default());
        // Blank lines fill the text to its length.
        format!("{text:\n<TEXT_BYTES$}")
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Some(Self {
            pid: field("pid")?.parse().ok()?,
            address: field("address").map(str::to_owned),
            has_failed: text.lines().any(|line| line == "failed"),
            written: field("written").and_then(Written::parse),
        })
    }
}

impl Written {
    /// Whether this state contains all data of another state.
    pub(super) fn holds(self, other: Self) -> bool {
        self.history >= other.history && self.without_history >= other.without_history
    }

    fn parse(text: &str) -> Option<Self> {
        let (history, without_history) = text.split_once(' ')?;
        Some(Self { history: history.parse().ok()?, without_history: without_history.parse().ok()? })
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
        let written = Written { history: 7, without_history: 2 };
        lock.opened(written).unwrap();
        let held = |error: LockError| match error {
            LockError::Held(holder) => holder.unwrap(),
            LockError::Io(error) => panic!("{error}"),
        };
        let me = Holder { written: Some(written), ..Holder::this() };
        assert_eq!(held(Lock::take(&database).unwrap_err()), me);
        lock.listens_on("127.0.0.1:7233").unwrap();
        let listening = Holder { address: Some("127.0.0.1:7233".to_owned()), ..me.clone() };
        assert_eq!(held(Lock::take(&database).unwrap_err()), listening);
        lock.stops_listening_on("127.0.0.1:7000").unwrap();
        assert_eq!(last_holder(&database), Some(listening), "that was another address");
        lock.stops_listening_on("127.0.0.1:7233").unwrap();
        let written = Written { history: 8, ..written };
        lock.wrote(written).unwrap();
        let last = Holder { written: Some(written), ..me };
        assert_eq!(last_holder(&database), Some(last.clone()));

        drop(lock);
        let Locked { lock, interrupted } = Lock::take(&database).unwrap();
        assert_eq!(interrupted, Some(last));
        lock.failed();
        drop(lock);
        let Locked { lock, interrupted } = Lock::take(&database).unwrap();
        assert!(interrupted.unwrap().has_failed);
        lock.closed().unwrap();
        drop(lock);
        assert_eq!(Lock::take(&database).unwrap().interrupted, None);
    }

    /// The text of an older version has no line for the state of the database.
    #[test]
    fn notes_of_an_older_version_are_read() {
        let expected = Holder { pid: 42, address: Some("[::1]:7233".to_owned()), has_failed: true, written: None };
        assert_eq!(Holder::parse("pid 42\naddress [::1]:7233\nfailed\n"), Some(expected));
    }
}
