//! Operations that are counted, and the faults injected into them.

use std::ops::{Index, IndexMut};

use rusqlite::ffi;

/// The operations of a disk that are counted and can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opens a file, and creates it if necessary.
    Open,
    /// Removes a name.
    Delete,
    /// Reads bytes of a file.
    Read,
    /// Writes bytes of a file.
    Write,
    /// Sets the size of a file.
    Truncate,
    /// Makes the writes to a file durable.
    Sync,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 6] = [Self::Open, Self::Delete, Self::Read, Self::Write, Self::Truncate, Self::Sync];

    /// The result code that SQLite gets when the device fails.
    pub(crate) fn io_error(self) -> i32 {
        match self {
            Self::Open => ffi::SQLITE_CANTOPEN,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
            Self::Read => ffi::SQLITE_IOERR_READ,
            Self::Write => ffi::SQLITE_IOERR_WRITE,
            Self::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Sync => ffi::SQLITE_IOERR_FSYNC,
        }
    }
}

/// The purpose of a file in SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Tables and indexes.
    Database,
    /// The content needed for a rollback.
    Journal,
    /// Commits that are not yet in the database file.
    Wal,
    /// Data that is dropped with its connection.
    Temporary,
}

impl FileKind {
    /// Derives the kind from the flags of an open.
    pub(crate) fn from_flags(flags: i32) -> Self {
        if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            Self::Database
        } else if flags & (ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL) != 0 {
            Self::Journal
        } else if flags & ffi::SQLITE_OPEN_WAL != 0 {
            Self::Wal
        } else {
            Self::Temporary
        }
    }

    /// Derives the kind from a name, by SQLite's naming.
    pub(crate) fn from_name(name: &str) -> Self {
        if name.ends_with("-wal") {
            Self::Wal
        } else if name.ends_with("-journal") || name.contains("-mj") {
            Self::Journal
        } else {
            Self::Database
        }
    }
}

/// How often each operation was called, including failed calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations([u64; Operation::ALL.len()]);

impl Operations {
    /// Those that change what is or will be on the disk, and so are the moments between which a power loss differs. An open
    /// is among them whether or not it makes a file.
    pub fn mutations(&self) -> u64 {
        Operation::ALL
            .into_iter()
            .filter(|operation| *operation != Operation::Read)
            .map(|operation| self[operation])
            .sum()
    }
}

impl Index<Operation> for Operations {
    type Output = u64;

    fn index(&self, operation: Operation) -> &u64 {
        &self.0[operation as usize]
    }
}

impl IndexMut<Operation> for Operations {
    fn index_mut(&mut self, operation: Operation) -> &mut u64 {
        &mut self.0[operation as usize]
    }
}

/// A fault at one operation: by default at the next one that it applies to, and only there.
///
/// ```
/// use faulty_vfs::{Fault, FaultyVfs, FileKind, Operation, Options};
///
/// let vfs = FaultyVfs::register(Options::default());
/// // The third sync of the WAL and every one after it.
/// vfs.inject(Fault::io_error(Operation::Sync).of(FileKind::Wal).nth(3).for_good());
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    /// `None`: any operation that changes the disk.
    operation: Option<Operation>,
    file: Option<FileKind>,
    /// Number of operations to let pass.
    passes: u64,
    for_good: bool,
}

/// The effect of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    IoError,
    DiskFull,
    ShortWrite,
    ForgetfulSync,
    LyingSync,
    PowerCut,
}

impl Fault {
    /// The operation fails without any effect: `SQLITE_CANTOPEN` for opens; the others have each a code of their own in
    /// `SQLITE_IOERR_*`.
    pub fn io_error(operation: Operation) -> Self {
        Self::new(Effect::IoError, Some(operation))
    }

    /// A write finds no space: nothing is written, `SQLITE_FULL`. To limit the size of a disk, see
    /// [`FaultyVfs::set_capacity`](crate::FaultyVfs::set_capacity).
    pub fn disk_full() -> Self {
        Self::new(Effect::DiskFull, Some(Operation::Write))
    }

    /// A write fails after its first part, `SQLITE_IOERR_WRITE`. The length of the part depends on the seed.
    pub fn short_write() -> Self {
        Self::new(Effect::ShortWrite, Some(Operation::Write))
    }

    /// A sync fails, and half of the data never becomes durable, even if the next sync succeeds: as on Linux, where pages whose
    /// writing failed count as written.
    ///
    /// Programs read their writes until the power fails. A program that continues after a failed sync loses data this way.
    pub fn forgetful_sync() -> Self {
        Self::new(Effect::ForgetfulSync, Some(Operation::Sync))
    }

    /// A sync that succeeds and makes nothing durable, like a device that ignores the command. No database can be safe on it: tests
    /// use it to show that they would notice.
    pub fn lying_sync() -> Self {
        Self::new(Effect::LyingSync, Some(Operation::Sync))
    }

    /// The power fails during the operation, which may be any of [`Operations::mutations`]. From then on every operation fails.
    ///
    /// The write, delete or sync of that operation is pending then: [`FaultyVfs::power_loss`](crate::FaultyVfs::power_loss) decides
    /// how much of it was done.
    pub fn power_cut() -> Self {
        Self::new(Effect::PowerCut, None)
    }

    /// Only operations on such files count.
    #[must_use]
    pub fn of(self, file: FileKind) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Lets the fault happen at the `n`th operation from now instead of the next one.
    ///
    /// # Panics
    ///
    /// When `n` is 0.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self { passes: n.checked_sub(1).expect("the next operation is the first"), ..self }
    }

    /// Lets the fault also happen at every such operation after that, until
    /// [`FaultyVfs::clear_faults`](crate::FaultyVfs::clear_faults).
    #[must_use]
    pub fn for_good(self) -> Self {
        Self { for_good: true, ..self }
    }

    fn new(effect: Effect, operation: Option<Operation>) -> Self {
        Self { effect, operation, file: None, passes: 0, for_good: false }
    }

    fn applies_to(&self, operation: Operation, file: FileKind) -> bool {
        let is_operation = self.operation.map_or(operation != Operation::Read, |own| own == operation);
        is_operation && self.file.is_none_or(|own| own == file)
    }
}

/// The faults that are still to happen.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
    happened: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Returns the fault of this operation. Of several faults the one injected first happens; all count the operation.
    pub(crate) fn next(&mut self, operation: Operation, file: FileKind) -> Option<Effect> {
        let mut effect = None;
        self.waiting.retain_mut(|fault| {
            if !fault.applies_to(operation, file) {
                return true;
            }
            if fault.passes > 0 {
                fault.passes -= 1;
                return true;
            }
            if effect.is_some() {
                return true;
            }
            effect = Some(fault.effect);
            fault.for_good
        });
        self.happened += u64::from(effect.is_some());
        effect
    }

    /// Number of operations that a fault happened to.
    pub(crate) fn happened(&self) -> u64 {
        self.happened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_wait_for_their_operation() {
        let mut faults = Faults::default();
        faults.add(Fault::io_error(Operation::Sync).of(FileKind::Wal).nth(2));
        assert_eq!(faults.next(Operation::Sync, FileKind::Wal), None);
        assert_eq!(faults.next(Operation::Sync, FileKind::Database), None);
        assert_eq!(faults.next(Operation::Write, FileKind::Wal), None);
        assert_eq!(faults.next(Operation::Sync, FileKind::Wal), Some(Effect::IoError));
        assert_eq!(faults.next(Operation::Sync, FileKind::Wal), None);
        assert_eq!(faults.happened(), 1);
    }

    #[test]
    fn permanent_faults_repeat() {
        let mut faults = Faults::default();
        faults.add(Fault::disk_full().nth(2).for_good());
        let effects = [(); 4].map(|()| faults.next(Operation::Write, FileKind::Database));
        assert_eq!(effects, [None, Some(Effect::DiskFull), Some(Effect::DiskFull), Some(Effect::DiskFull)]);
        faults.clear();
        assert_eq!(faults.next(Operation::Write, FileKind::Database), None);
    }

    #[test]
    fn power_cut_can_hit_any_operation_but_a_read() {
        let mut faults = Faults::default();
        faults.add(Fault::power_cut().nth(2));
        assert_eq!(faults.next(Operation::Read, FileKind::Wal), None);
        assert_eq!(faults.next(Operation::Open, FileKind::Wal), None);
        assert_eq!(faults.next(Operation::Read, FileKind::Wal), None);
        assert_eq!(faults.next(Operation::Delete, FileKind::Journal), Some(Effect::PowerCut));
    }
}
