//! The shared memory of connections in WAL mode, and its locks. It never reaches the disk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::AtomicU64;

use rusqlite::ffi;

use crate::disk::Inode;
use crate::machine::{FileId, SqliteResult};

const SLOTS: usize = ffi::SQLITE_SHM_NLOCK as usize;

/// The only size that SQLite requests.
pub(crate) const REGION_BYTES: usize = 32 * 1024;

/// SQLite keeps pointers into it until it unmaps, from several threads. So it is never moved, and it consists of atomics, which can
/// be changed through shared references.
type Region = [AtomicU64; REGION_BYTES / size_of::<u64>()];

/// A lock is shared by many or exclusive to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    Shared,
    Exclusive,
}

/// The shared memory of each database file that is open in WAL mode.
#[derive(Debug, Default)]
pub(crate) struct WalIndexes(BTreeMap<Inode, WalIndex>);

#[derive(Debug, Default)]
struct WalIndex {
    regions: Vec<Box<Region>>,
    users: BTreeMap<FileId, [Option<LockMode>; SLOTS]>,
}

impl WalIndexes {
    /// Returns the address of a region, zeroed when it is new; `None` if it does not exist and must not be created.
    pub(crate) fn map(&mut self, inode: Inode, file: FileId, region: usize, extend: bool) -> Option<*mut u64> {
        let index = self.0.entry(inode).or_default();
        index.users.entry(file).or_default();
        if extend {
            while index.regions.len() <= region {
                index.regions.push(Box::new([const { AtomicU64::new(0) }; _]));
            }
        }
        index.regions.get(region).map(|words| words.as_ptr().cast_mut().cast())
    }

    /// Takes all of the locks, or none.
    pub(crate) fn lock(&mut self, inode: Inode, file: FileId, slots: Range<usize>, mode: LockMode) -> SqliteResult {
        let index = self.0.get_mut(&inode).ok_or(ffi::SQLITE_IOERR_SHMLOCK)?;
        let mut others = index.users.iter().filter(|(user, _)| **user != file);
        let refuses = |held: &Option<LockMode>| match mode {
            LockMode::Shared => *held == Some(LockMode::Exclusive),
            LockMode::Exclusive => held.is_some(),
        };
        if others.any(|(_, held)| held[slots.clone()].iter().any(refuses)) {
            return Err(ffi::SQLITE_BUSY);
        }
        let own = index.users.get_mut(&file).ok_or(ffi::SQLITE_IOERR_SHMLOCK)?;
        own[slots].fill(Some(mode));
        Ok(())
    }

    pub(crate) fn unlock(&mut self, inode: Inode, file: FileId, slots: Range<usize>) {
        if let Some(own) = self.0.get_mut(&inode).and_then(|index| index.users.get_mut(&file)) {
            own[slots].fill(None);
        }
    }

    /// Releases the memory for one file. It is dropped with its last user: a later user finds zeros and recovers from the WAL.
    pub(crate) fn unmap(&mut self, inode: Inode, file: FileId) {
        if let Some(index) = self.0.get_mut(&inode) {
            index.users.remove(&file);
            if index.users.is_empty() {
                self.0.remove(&inode);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;

    const A: FileId = FileId(1);
    const B: FileId = FileId(2);
    const BUSY: SqliteResult = Err(ffi::SQLITE_BUSY);

    fn mapped() -> (WalIndexes, Inode) {
        let inode = Disk::default().create(&"a".into());
        let mut indexes = WalIndexes::default();
        indexes.map(inode, A, 0, true).unwrap();
        indexes.map(inode, B, 0, true).unwrap();
        (indexes, inode)
    }

    #[test]
    fn users_share_regions_that_stay_where_they_are() {
        let (mut indexes, inode) = mapped();
        let first = indexes.map(inode, A, 0, false);
        assert_eq!(indexes.map(inode, A, 3, false), None);
        let last = indexes.map(inode, A, 3, true);
        assert!(last.is_some());
        assert_eq!(indexes.map(inode, B, 3, false), last);
        assert_eq!(indexes.map(inode, B, 0, false), first);
        indexes.unmap(inode, A);
        assert_eq!(indexes.map(inode, B, 0, false), first);
        indexes.unmap(inode, B);
        assert_eq!(indexes.map(inode, B, 0, false), None);
    }

    #[test]
    fn exclusive_locks_exclude() {
        let (mut indexes, inode) = mapped();
        assert_eq!(indexes.lock(inode, A, 2..3, LockMode::Shared), Ok(()));
        assert_eq!(indexes.lock(inode, B, 2..3, LockMode::Shared), Ok(()));
        assert_eq!(indexes.lock(inode, B, 1..4, LockMode::Exclusive), BUSY);
        assert_eq!(indexes.lock(inode, A, 1..2, LockMode::Exclusive), Ok(()), "a refusal takes nothing");
        indexes.unlock(inode, A, 1..3);
        assert_eq!(indexes.lock(inode, B, 1..2, LockMode::Exclusive), Ok(()));
        assert_eq!(indexes.lock(inode, A, 1..2, LockMode::Shared), BUSY);
        indexes.unmap(inode, B);
        assert_eq!(indexes.lock(inode, A, 0..8, LockMode::Exclusive), Ok(()), "who goes unlocks");
    }
}
