//! Operations that are counted, and the faults that wait for one of them.

use std::ops::{Index, IndexMut};

use rusqlite::ffi;

/// What SQLite asks of a disk, as far as it is counted and can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file is opened, and made when there is none.
    Open,
    /// A name is removed.
    Delete,
    /// Bytes of a file are read.
    Read,
    /// Bytes of a file are written.
    Write,
    /// The size of a file is set.
    Truncate,
    /// What was written to a file is made durable.
    Sync,
}

impl Operation {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Open, Self::Delete, Self::Read, Self::Write, Self::Truncate, Self::Sync];

    /// What SQLite is told when the device fails.
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

/// What SQLite keeps in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Tables and indexes.
    Database,
    /// What a rollback needs.
    Journal,
    /// Commits that are not yet in the database file.
    Wal,
    /// Nothing that outlives its connection.
    Temporary,
}

impl FileKind {
    /// From the flags of an open.
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

    /// From a name alone, as SQLite makes them.
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

/// How often each operation was asked for. Those that failed count too.
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

/// Something that goes wrong at one operation: by default the next it applies to, and only there.
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
    /// `None`: whatever changes the disk.
    operation: Option<Operation>,
    file: Option<FileKind>,
    /// How many operations it lets pass.
    passes: u64,
    for_good: bool,
}

/// What a fault does.
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
    /// The operation does nothing but fail: `SQLITE_CANTOPEN` for opens, the others have each a code of their own in
    /// `SQLITE_IOERR_*`.
    pub fn io_error(operation: Operation) -> Self {
        Self::new(Effect::IoError, Some(operation))
    }

    /// A write finds no space: nothing is written, `SQLITE_FULL`. For a disk of some size see
    /// [`FaultyVfs::set_capacity`](crate::FaultyVfs::set_capacity).
    pub fn disk_full() -> Self {
        Self::new(Effect::DiskFull, Some(Operation::Write))
    }

    /// A write fails after its first part, `SQLITE_IOERR_WRITE`. How long the part is depends on the seed.
    pub fn short_write() -> Self {
        Self::new(Effect::ShortWrite, Some(Operation::Write))
    }

    /// A sync fails, and half of what it was to make durable never will be, whatever the next sync says: as on Linux, where
    /// pages whose writing failed count as written.
    ///
    /// Programs see what they wrote until the power fails. A program that goes on after a failed sync loses data by this.
    pub fn forgetful_sync() -> Self {
        Self::new(Effect::ForgetfulSync, Some(Operation::Sync))
    }

    /// A sync that answers well and makes nothing durable, as of a device that ignores the command. No database can be safe on
    /// it: tests show by it that they would notice.
    pub fn lying_sync() -> Self {
        Self::new(Effect::LyingSync, Some(Operation::Sync))
    }

    /// The power goes during the operation, which may be any of [`Operations::mutations`]. From there on everything fails.
    ///
    /// What was to be written, deleted or synced is pending then: [`FaultyVfs::power_loss`](crate::FaultyVfs::power_loss)
    /// decides how much of it was done.
    pub fn power_cut() -> Self {
        Self::new(Effect::PowerCut, None)
    }

    /// Only operations on such files count.
    #[must_use]
    pub fn of(self, file: FileKind) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Not at the next operation, but at the `n`th from now.
    ///
    /// # Panics
    ///
    /// When `n` is 0.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self { passes: n.checked_sub(1).expect("the next operation is the first"), ..self }
    }

    /// Also at every such operation after that, until [`FaultyVfs::clear_faults`](crate::FaultyVfs::clear_faults).
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

/// The faults that wait.
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

    /// What goes wrong with this operation. Of several faults the one injected first happens; all count the operation.
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

    /// How many operations a fault happened to.
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
    fn some_faults_stay() {
        let mut faults = Faults::default();
        faults.add(Fault::disk_full().nth(2).for_good());
        let effects = [(); 4].map(|()| faults.next(Operation::Write, FileKind::Database));
        assert_eq!(effects, [None, Some(Effect::DiskFull), Some(Effect::DiskFull), Some(Effect::DiskFull)]);
        faults.clear();
        assert_eq!(faults.next(Operation::Write, FileKind::Database), None);
    }

    #[test]
    fn the_power_goes_at_any_operation_but_a_read() {
        let mut faults = Faults::default();
        faults.add(Fault::power_cut().nth(2));
        assert_eq!(faults.next(Operation::Read, FileKind::Wal), None);
        assert_eq!(faults.next(Operation::Open, FileKind::Wal), None);
        assert_eq!(faults.next(Operation::Read, FileKind::Wal), None);
        assert_eq!(faults.next(Operation::Delete, FileKind::Journal), Some(Effect::PowerCut));
    }
}
