//! One machine: a disk, the open files, their locks and shared memory, and the injected faults.
//!
//! It implements SQLite's VFS interface in safe Rust; `callbacks` passes the calls on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rusqlite::ffi;

use crate::disk::{Disk, Inode};
use crate::faults::{Effect, Faults, FileKind, Operation, Operations};
use crate::image::Image;
use crate::locks::{Level, Locks};
use crate::power_loss::PowerLoss;
use crate::random::Random;
use crate::trace::Trace;
use crate::vfs::{Options, StillOpen};
use crate::wal_index::{LockMode, WalIndexes};

/// A value, or a result code of SQLite.
pub(crate) type SqliteResult<T = ()> = Result<T, i32>;

/// One open of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) faults: Faults,
    pub(crate) operations: Operations,
    pub(crate) trace: Trace,
    pub(crate) capacity_bytes: Option<usize>,
    options: Options,
    disk: Disk,
    files: BTreeMap<FileId, OpenFile>,
    last_file: u64,
    locks: Locks,
    wal_indexes: WalIndexes,
    random: Random,
    powered: bool,
    /// Switched off permanently.
    retired: bool,
}

#[derive(Debug)]
struct OpenFile {
    /// Empty for temporary files.
    name: Arc<str>,
    kind: FileKind,
    inode: Inode,
    /// Whether the first sync makes names durable too.
    syncs_names: bool,
}

impl Machine {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            faults: Faults::default(),
            operations: Operations::default(),
            trace: Trace::new(options.trace_max),
            capacity_bytes: None,
            random: Random::new(options.seed),
            options,
            disk: Disk::default(),
            files: BTreeMap::new(),
            last_file: 0,
            locks: Locks::default(),
            wal_indexes: WalIndexes::default(),
            powered: true,
            retired: false,
        }
    }

    // Operations of SQLite's interface.

    /// Opens the file of that name, or a temporary one.
    pub(crate) fn open(&mut self, name: Option<&str>, flags: i32) -> SqliteResult<FileId> {
        let kind = FileKind::from_flags(flags);
        let name = name.filter(|_| flags & ffi::SQLITE_OPEN_DELETEONCLOSE == 0).map(Arc::<str>::from);
        let traced = name.clone().unwrap_or_default();
        let inode = self
            .perform(Operation::Open, &traced, kind, 0..0, |machine, _| machine.find_or_create(name.as_ref(), flags))?;
        self.disk.add_handle(inode);
        self.last_file += 1;
        let id = FileId(self.last_file);
        // As in SQLite's own VFS for Unix: a journal or WAL makes a commit durable, so its first sync is also one of the folder.
        // The name of the database file becomes durable with it, and not by a sync of its own.
        let syncs_names = flags & ffi::SQLITE_OPEN_CREATE != 0 && matches!(kind, FileKind::Journal | FileKind::Wal);
        self.files.insert(id, OpenFile { name: traced, kind, inode, syncs_names });
        Ok(id)
    }

    pub(crate) fn close(&mut self, id: FileId) {
        let Some(file) = self.files.remove(&id) else { return };
        self.locks.unlock(file.inode, id, None);
        self.wal_indexes.unmap(file.inode, id);
        self.disk.remove_handle(file.inode);
        self.forget_retired();
    }

    /// Fills the buffer, with zeros past the end of the file, and returns whether the file had enough for it.
    pub(crate) fn read(&mut self, id: FileId, offset: usize, buffer: &mut [u8]) -> SqliteResult<bool> {
        let range = offset..offset + buffer.len();
        self.perform_on(Operation::Read, id, range, |machine, inode, _| {
            Ok(machine.disk.content(inode).read(offset, buffer) == buffer.len())
        })
    }

    pub(crate) fn write(&mut self, id: FileId, offset: usize, bytes: &[u8]) -> SqliteResult {
        let range = offset..offset + bytes.len();
        self.perform_on(Operation::Write, id, range.clone(), |machine, inode, effect| {
            let (length, answer) = match effect {
                Some(Effect::DiskFull) => (0, Err(ffi::SQLITE_FULL)),
                Some(Effect::ShortWrite) => (machine.random.below(bytes.len()), Err(ffi::SQLITE_IOERR_WRITE)),
                _ => match machine.room(inode, &range) {
                    room if room < bytes.len() => (room, Err(ffi::SQLITE_FULL)),
                    _ => (bytes.len(), Ok(())),
                },
            };
            machine.disk.write(inode, offset, &bytes[..length]);
            answer
        })
    }

    pub(crate) fn truncate(&mut self, id: FileId, size: usize) -> SqliteResult {
        self.perform_on(Operation::Truncate, id, 0..size, |machine, inode, _| {
            machine.disk.resize(inode, size);
            Ok(())
        })
    }

    pub(crate) fn sync(&mut self, id: FileId) -> SqliteResult {
        self.perform_on(Operation::Sync, id, 0..0, |machine, inode, effect| match effect {
            // Everything stays pending; `power_loss` decides how much of it was done.
            Some(Effect::PowerCut | Effect::LyingSync) => Ok(()),
            Some(Effect::ForgetfulSync) => {
                machine.disk.sync_forgetting(inode, &mut machine.random);
                Err(ffi::SQLITE_IOERR_FSYNC)
            }
            _ => {
                machine.disk.sync(inode);
                let file = machine.files.get_mut(&id).expect("it was found before");
                if std::mem::take(&mut file.syncs_names) {
                    machine.disk.sync_names();
                }
                Ok(())
            }
        })
    }

    pub(crate) fn size(&self, id: FileId) -> SqliteResult<usize> {
        let file = self.powered(id).ok_or(ffi::SQLITE_IOERR_FSTAT)?;
        Ok(self.disk.content(file.inode).size())
    }

    /// Removes a name, durably if `syncs`.
    pub(crate) fn delete(&mut self, name: &str, syncs: bool) -> SqliteResult {
        let name = Arc::from(name);
        self.perform(Operation::Delete, &name, FileKind::from_name(&name), 0..0, |machine, effect| {
            machine.disk.find(&name).ok_or(ffi::SQLITE_IOERR_DELETE_NOENT)?;
            machine.disk.delete(&name);
            if syncs && effect != Some(Effect::PowerCut) {
                machine.disk.sync_names();
            }
            Ok(())
        })
    }

    /// Whether the file exists. As in SQLite's own VFS for Unix, an empty file may be used but does not exist.
    pub(crate) fn access(&self, name: &str, flags: i32) -> SqliteResult<bool> {
        if !self.powered {
            return Err(ffi::SQLITE_IOERR_ACCESS);
        }
        let size = self.disk.find(name).map(|inode| self.disk.content(inode).size());
        Ok(size.is_some_and(|size| size > 0 || flags != ffi::SQLITE_ACCESS_EXISTS))
    }

    // Locks and shared memory.

    pub(crate) fn lock(&mut self, id: FileId, level: Level) -> SqliteResult {
        let inode = self.powered(id).ok_or(ffi::SQLITE_IOERR_LOCK)?.inode;
        self.locks.lock(inode, id, level)
    }

    pub(crate) fn unlock(&mut self, id: FileId, level: Option<Level>) {
        if let Some(file) = self.files.get(&id) {
            self.locks.unlock(file.inode, id, level);
        }
    }

    pub(crate) fn is_reserved(&self, id: FileId) -> SqliteResult<bool> {
        let file = self.powered(id).ok_or(ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)?;
        Ok(self.locks.is_reserved(file.inode))
    }

    pub(crate) fn map(&mut self, id: FileId, region: usize, extend: bool) -> SqliteResult<Option<*mut u64>> {
        let inode = self.powered(id).ok_or(ffi::SQLITE_IOERR_SHMMAP)?.inode;
        Ok(self.wal_indexes.map(inode, id, region, extend))
    }

    pub(crate) fn lock_memory(&mut self, id: FileId, slots: Range<usize>, mode: LockMode) -> SqliteResult {
        let inode = self.powered(id).ok_or(ffi::SQLITE_IOERR_SHMLOCK)?.inode;
        self.wal_indexes.lock(inode, id, slots, mode)
    }

    pub(crate) fn unlock_memory(&mut self, id: FileId, slots: Range<usize>) {
        if let Some(file) = self.files.get(&id) {
            self.wal_indexes.unlock(file.inode, id, slots);
        }
    }

    pub(crate) fn unmap(&mut self, id: FileId) {
        if let Some(file) = self.files.get(&id) {
            self.wal_indexes.unmap(file.inode, id);
        }
    }

    // Operations for tests.

    pub(crate) fn image(&self) -> Image {
        let Options { sector_bytes, powersafe_overwrite, .. } = self.options;
        Image { disk: self.disk.clone(), sector_bytes, powersafe_overwrite }
    }

    pub(crate) fn restore(&mut self, image: &Image) -> Result<(), StillOpen> {
        self.ensure_closed()?;
        self.disk = image.disk.clone();
        self.disk.close_all();
        self.faults.clear();
        self.powered = true;
        Ok(())
    }

    pub(crate) fn power_loss(&mut self, seed: u64) -> Result<PowerLoss, StillOpen> {
        self.ensure_closed()?;
        let (image, loss) = self.image().power_loss(seed);
        self.restore(&image)?;
        Ok(loss)
    }

    pub(crate) fn cut_power(&mut self) {
        self.powered = false;
    }

    /// Switches the machine off permanently.
    pub(crate) fn retire(&mut self) {
        self.powered = false;
        self.retired = true;
        self.forget_retired();
    }

    pub(crate) fn is_powered(&self) -> bool {
        self.powered
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn open_files(&self) -> Vec<String> {
        self.files.values().map(|file| file.name.to_string()).collect()
    }

    fn find_or_create(&mut self, name: Option<&Arc<str>>, flags: i32) -> SqliteResult<Inode> {
        let Some(name) = name else { return Ok(self.disk.create_nameless()) };
        let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
        match self.disk.find(name) {
            Some(_) if creates && flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0 => Err(ffi::SQLITE_CANTOPEN),
            Some(inode) => Ok(inode),
            None if creates => Ok(self.disk.create(name)),
            None => Err(ffi::SQLITE_CANTOPEN),
        }
    }

    fn ensure_closed(&self) -> Result<(), StillOpen> {
        let files = self.open_files();
        if files.is_empty() { Ok(()) } else { Err(StillOpen { files }) }
    }

    fn forget_retired(&mut self) {
        if self.retired && self.files.is_empty() {
            self.disk = Disk::default();
            self.trace = Trace::new(0);
        }
    }

    fn powered(&self, id: FileId) -> Option<&OpenFile> {
        self.files.get(&id).filter(|_| self.powered)
    }

    /// Returns how many bytes of a write fit on the disk. Overwriting needs no space.
    fn room(&self, inode: Inode, range: &Range<usize>) -> usize {
        let Some(capacity) = self.capacity_bytes else { return range.len() };
        let size = self.disk.content(inode).size();
        let size_max = size + capacity.saturating_sub(self.disk.bytes());
        size_max.saturating_sub(range.start).min(range.len())
    }

    /// [`Machine::perform`] on an open file.
    fn perform_on<T>(
        &mut self,
        operation: Operation,
        id: FileId,
        range: Range<usize>,
        action: impl FnOnce(&mut Self, Inode, Option<Effect>) -> SqliteResult<T>,
    ) -> SqliteResult<T> {
        let file = self.files.get(&id).ok_or(operation.io_error())?;
        let (name, kind, inode) = (file.name.clone(), file.kind, file.inode);
        self.perform(operation, &name, kind, range, |machine, effect| action(machine, inode, effect))
    }

    /// Counts the operation, does it unless it must fail, and records its result.
    ///
    /// An operation during which the power fails is done as far as possible but stays pending, and its caller gets an error.
    fn perform<T>(
        &mut self,
        operation: Operation,
        name: &Arc<str>,
        kind: FileKind,
        range: Range<usize>,
        action: impl FnOnce(&mut Self, Option<Effect>) -> SqliteResult<T>,
    ) -> SqliteResult<T> {
        if !self.powered {
            return Err(operation.io_error());
        }
        self.operations[operation] += 1;
        let effect = self.faults.next(operation, kind);
        let answer = match effect {
            Some(Effect::IoError) => Err(operation.io_error()),
            Some(Effect::PowerCut) => {
                let done = action(self, effect);
                self.powered = false;
                done.and(Err(operation.io_error()))
            }
            _ => action(self, effect),
        };
        self.trace.add(operation, name, range, answer.as_ref().err().copied());
        answer
    }
}
