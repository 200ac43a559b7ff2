//! Locks on database files, as between connections of different processes.

use std::collections::BTreeMap;

use rusqlite::ffi;

use crate::disk::Inode;
use crate::machine::{FileId, SqliteResult};

/// The states of [SQLite's file locking](https://www.sqlite.org/lockingv3.html), each including the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Shared,
    Reserved,
    Pending,
    Exclusive,
}

impl Level {
    pub(crate) fn from_sqlite(level: i32) -> Option<Self> {
        match level {
            ffi::SQLITE_LOCK_SHARED => Some(Self::Shared),
            ffi::SQLITE_LOCK_RESERVED => Some(Self::Reserved),
            ffi::SQLITE_LOCK_PENDING => Some(Self::Pending),
            ffi::SQLITE_LOCK_EXCLUSIVE => Some(Self::Exclusive),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Locks(BTreeMap<(Inode, FileId), Level>);

impl Locks {
    /// Raises the lock of a file.
    ///
    /// A file that asks for the exclusive lock while others read keeps a pending lock, so that no new reader gets one.
    pub(crate) fn lock(&mut self, inode: Inode, file: FileId, level: Level) -> SqliteResult {
        let others = self.others(inode, file);
        let allowed = match level {
            _ if self.0.get(&(inode, file)).is_some_and(|own| *own >= level) => return Ok(()),
            Level::Shared => others < Some(Level::Pending),
            Level::Reserved => others < Some(Level::Reserved),
            Level::Pending | Level::Exclusive => {
                if others >= Some(Level::Reserved) {
                    return Err(ffi::SQLITE_BUSY);
                }
                self.0.insert((inode, file), Level::Pending);
                level == Level::Pending || others.is_none()
            }
        };
        if !allowed {
            return Err(ffi::SQLITE_BUSY);
        }
        self.0.insert((inode, file), level);
        Ok(())
    }

    /// Lowers the lock of a file; `None` releases it.
    pub(crate) fn unlock(&mut self, inode: Inode, file: FileId, level: Option<Level>) {
        match level {
            None => {
                self.0.remove(&(inode, file));
            }
            Some(level) => {
                self.0.entry((inode, file)).and_modify(|own| *own = level.min(*own));
            }
        }
    }

    /// Whether another file is about to write.
    pub(crate) fn is_reserved(&self, inode: Inode) -> bool {
        self.0.iter().any(|((locked, _), level)| *locked == inode && *level >= Level::Reserved)
    }

    /// Returns the highest lock of other files.
    fn others(&self, inode: Inode, file: FileId) -> Option<Level> {
        let others = self.0.iter().filter(|((locked, holder), _)| *locked == inode && *holder != file);
        others.map(|(_, level)| *level).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;

    const A: FileId = FileId(1);
    const B: FileId = FileId(2);
    const BUSY: SqliteResult = Err(ffi::SQLITE_BUSY);

    fn locks() -> (Locks, Inode) {
        (Locks::default(), Disk::default().create(&"a".into()))
    }

    #[test]
    fn readers_share_lock_with_one_reserved_writer() {
        let (mut locks, inode) = locks();
        assert_eq!(locks.lock(inode, A, Level::Shared), Ok(()));
        assert_eq!(locks.lock(inode, B, Level::Shared), Ok(()));
        assert!(!locks.is_reserved(inode));
        assert_eq!(locks.lock(inode, A, Level::Reserved), Ok(()));
        assert!(locks.is_reserved(inode));
        assert_eq!(locks.lock(inode, B, Level::Reserved), BUSY);
        assert_eq!(locks.lock(inode, B, Level::Exclusive), BUSY);
    }

    #[test]
    fn a_writer_that_waits_for_readers_lets_no_new_one_in() {
        let (mut locks, inode) = locks();
        locks.lock(inode, B, Level::Shared).unwrap();
        locks.lock(inode, A, Level::Shared).unwrap();
        locks.lock(inode, A, Level::Reserved).unwrap();
        assert_eq!(locks.lock(inode, A, Level::Exclusive), BUSY);
        assert_eq!(locks.lock(inode, FileId(3), Level::Shared), BUSY);
        locks.unlock(inode, B, None);
        assert_eq!(locks.lock(inode, A, Level::Exclusive), Ok(()));
        assert_eq!(locks.lock(inode, B, Level::Shared), BUSY);
        locks.unlock(inode, A, Some(Level::Shared));
        assert_eq!(locks.lock(inode, B, Level::Reserved), Ok(()));
    }

    #[test]
    fn files_are_locked_one_by_one() {
        let mut disk = Disk::default();
        let (one, other) = (disk.create(&"a".into()), disk.create(&"b".into()));
        let mut locks = Locks::default();
        assert_eq!(locks.lock(one, A, Level::Exclusive), Ok(()));
        assert_eq!(locks.lock(other, B, Level::Exclusive), Ok(()));
    }
}
