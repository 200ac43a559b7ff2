//! A disk: its durable state and its pending changes.
//!
//! A file is known by its inode, which names point to. Contents and names both exist twice: *live*, as programs see them,
//! and *durable*, as a power loss leaves them at least. A change is live at once and *pending* until a sync makes it
//! durable: the sync of a file its contents, the sync of a folder its names. Between them there is no order: of pending
//! changes any subset can reach the disk (`power_loss` chooses).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::content::Content;
use crate::random::Random;

/// Identifies a file; names point to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inode(u64);

/// A change that a program made to a disk.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Create { name: Arc<str>, inode: Inode },
    Delete { name: Arc<str> },
    Write { inode: Inode, offset: usize, bytes: Arc<[u8]> },
    Resize { inode: Inode, size: usize },
}

/// A change that is not yet durable.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// Its place in the order of all changes.
    pub(crate) number: u64,
    pub(crate) change: Change,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<Inode, File>,
    live: BTreeMap<Arc<str>, Inode>,
    durable: BTreeMap<Arc<str>, Inode>,
    /// Creates and deletes.
    pending: Vec<Pending>,
    last_inode: u64,
    last_change: u64,
}

#[derive(Clone, Debug, Default)]
struct File {
    live: Content,
    durable: Content,
    /// Writes and resizes.
    pending: Vec<Pending>,
    /// A deleted file exists until the last handle to it is closed.
    handles: usize,
    /// Files without a name do not survive a power loss, so their changes are not recorded.
    nameless: bool,
}

impl Disk {
    pub(crate) fn create(&mut self, name: &Arc<str>) -> Inode {
        let inode = self.new_inode(File::default());
        self.change_names(Change::Create { name: name.clone(), inode });
        inode
    }

    pub(crate) fn create_nameless(&mut self) -> Inode {
        self.new_inode(File { nameless: true, ..File::default() })
    }

    pub(crate) fn delete(&mut self, name: &Arc<str>) {
        self.change_names(Change::Delete { name: name.clone() });
        self.forget_unreachable();
    }

    pub(crate) fn write(&mut self, inode: Inode, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.change_content(inode, Change::Write { inode, offset, bytes: bytes.into() });
    }

    pub(crate) fn resize(&mut self, inode: Inode, size: usize) {
        self.change_content(inode, Change::Resize { inode, size });
    }

    /// Makes the contents of a file durable, but not its name.
    pub(crate) fn sync(&mut self, inode: Inode) {
        let file = self.file_mut(inode);
        for pending in file.pending.drain(..) {
            pending.change.apply_to_content(&mut file.durable);
        }
    }

    /// A failed sync as on Linux: pages that could not be written count as clean afterwards, so no later sync tries again. Programs
    /// see the new contents until the power fails.
    /// tries again. Programs see the new contents until the power fails.
    pub(crate) fn sync_forgetting(&mut self, inode: Inode, random: &mut Random) {
        let is_written = |pending: &Pending| matches!(pending.change, Change::Write { .. });
        self.file_mut(inode).pending.retain(|pending| !is_written(pending) || random.percent(50));
    }

    /// Makes creates and deletes durable.
    ///
    /// The whole disk is one folder: SQLite keeps journals next to their database.
    pub(crate) fn sync_names(&mut self) {
        for pending in self.pending.drain(..) {
            pending.change.apply_to_names(&mut self.durable);
        }
        self.forget_unreachable();
    }

    pub(crate) fn add_handle(&mut self, inode: Inode) {
        self.file_mut(inode).handles += 1;
    }

    pub(crate) fn remove_handle(&mut self, inode: Inode) {
        self.file_mut(inode).handles -= 1;
        self.forget_unreachable();
    }

    /// Models the end of the program: all files are closed, and pending changes stay pending.
    pub(crate) fn close_all(&mut self) {
        self.files.values_mut().for_each(|file| file.handles = 0);
        self.forget_unreachable();
    }

    /// Adds a file, durably.
    pub(crate) fn put(&mut self, name: &Arc<str>, bytes: &[u8]) {
        let mut content = Content::default();
        content.write(0, bytes);
        let inode = self.new_inode(File { live: content.clone(), durable: content, ..File::default() });
        self.change_names(Change::Create { name: name.clone(), inode });
        self.sync_names();
    }

    /// Returns the disk as it is when every pending change is lost.
    pub(crate) fn durable(&self) -> Self {
        let mut disk = self.clone();
        disk.pending.clear();
        disk.live = disk.durable.clone();
        for file in disk.files.values_mut() {
            file.pending.clear();
            file.live = file.durable.clone();
        }
        disk
    }

    /// Applies a pending change of another disk, and makes it durable at once.
    pub(crate) fn settle(&mut self, change: &Change) {
        match change {
            Change::Create { .. } | Change::Delete { .. } => {
                change.apply_to_names(&mut self.live);
                change.apply_to_names(&mut self.durable);
            }
            Change::Write { inode, .. } | Change::Resize { inode, .. } => {
                let file = self.file_mut(*inode);
                change.apply_to_content(&mut file.durable);
                file.live = file.durable.clone();
            }
        }
    }

    /// Returns all pending changes, in the order they were made.
    pub(crate) fn pending(&self) -> Vec<&Pending> {
        let in_files = self.files.values().flat_map(|file| &file.pending);
        let mut pending = self.pending.iter().chain(in_files).collect::<Vec<_>>();
        pending.sort_unstable_by_key(|pending| pending.number);
        pending
    }

    pub(crate) fn find(&self, name: &str) -> Option<Inode> {
        self.live.get(name).copied()
    }

    pub(crate) fn content(&self, inode: Inode) -> &Content {
        &self.files[&inode].live
    }

    /// Names and contents as programs see them.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&Arc<str>, &Content)> {
        self.live.iter().map(|(name, inode)| (name, self.content(*inode)))
    }

    /// Returns the name of the file that a change is about, for reports: its current or future name.
    pub(crate) fn name_of(&self, change: &Change) -> Arc<str> {
        let inode = match change {
            Change::Create { name, .. } | Change::Delete { name } => return name.clone(),
            Change::Write { inode, .. } | Change::Resize { inode, .. } => inode,
        };
        let current = self.live.iter().chain(&self.durable).find(|(_, named)| *named == inode);
        let created = self.pending.iter().find_map(|pending| match &pending.change {
            Change::Create { name, inode: named } if named == inode => Some(name),
            _ => None,
        });
        current.map(|(name, _)| name).or(created).cloned().unwrap_or_default()
    }

    /// Returns the sizes of all files that take space, including deleted ones that are open.
    pub(crate) fn bytes(&self) -> usize {
        let is_named = |inode: &Inode| self.live.values().any(|named| named == inode);
        let takes_space = |(inode, file): &(&Inode, &File)| file.handles > 0 || is_named(inode);
        self.files.iter().filter(takes_space).map(|(_, file)| file.live.size()).sum()
    }

    fn new_inode(&mut self, file: File) -> Inode {
        self.last_inode += 1;
        let inode = Inode(self.last_inode);
        self.files.insert(inode, file);
        inode
    }

    fn change_names(&mut self, change: Change) {
        change.apply_to_names(&mut self.live);
        let pending = self.number(change);
        self.pending.push(pending);
    }

    fn change_content(&mut self, inode: Inode, change: Change) {
        let pending = self.number(change);
        let file = self.file_mut(inode);
        pending.change.apply_to_content(&mut file.live);
        if !file.nameless {
            file.pending.push(pending);
        }
    }

    fn number(&mut self, change: Change) -> Pending {
        self.last_change += 1;
        Pending { number: self.last_change, change }
    }

    fn file_mut(&mut self, inode: Inode) -> &mut File {
        self.files.get_mut(&inode).expect("an inode lives as long as a name or a handle points to it")
    }

    /// Drops files that no name, no pending change of a name and no handle can reach.
    fn forget_unreachable(&mut self) {
        let mut reachable = self.live.values().chain(self.durable.values()).copied().collect::<Vec<_>>();
        reachable.extend(self.pending.iter().filter_map(|pending| match pending.change {
            Change::Create { inode, .. } => Some(inode),
            _ => None,
        }));
        self.files.retain(|inode, file| file.handles > 0 || reachable.contains(inode));
    }
}

impl Change {
    fn apply_to_names(&self, names: &mut BTreeMap<Arc<str>, Inode>) {
        match self {
            Self::Create { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Self::Delete { name } => {
                names.remove(name);
            }
            Self::Write { .. } | Self::Resize { .. } => {}
        }
    }

    fn apply_to_content(&self, content: &mut Content) {
        match self {
            Self::Write { offset, bytes, .. } => content.write(*offset, bytes),
            Self::Resize { size, .. } => content.resize(*size),
            Self::Create { .. } | Self::Delete { .. } => {}
        }
    }
}

/// Describes the change without the file's name, which a change of contents does not know.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { inode, .. } => write!(f, "create inode {}", inode.0),
            Self::Delete { .. } => f.write_str("delete"),
            Self::Write { inode, offset, bytes } => {
                write!(f, "write {offset}..{} of inode {}", offset + bytes.len(), inode.0)
            }
            Self::Resize { inode, size } => write!(f, "resize to {size} inode {}", inode.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(disk: &Disk, name: &str) -> Option<String> {
        disk.find(name).map(|inode| String::from_utf8(disk.content(inode).to_vec()).unwrap())
    }

    #[test]
    fn contents_and_names_become_durable_by_syncs_of_their_own() {
        let mut disk = Disk::default();
        let inode = disk.create(&"a".into());
        disk.write(inode, 0, b"text");
        disk.sync(inode);
        assert_eq!(text(&disk, "a").unwrap(), "text");
        assert_eq!(text(&disk.durable(), "a"), None, "the name is pending");
        disk.sync_names();
        assert_eq!(text(&disk.durable(), "a").unwrap(), "text");
        disk.write(inode, 0, b"b");
        disk.resize(inode, 3);
        assert_eq!(text(&disk, "a").unwrap(), "bex");
        assert_eq!(text(&disk.durable(), "a").unwrap(), "text");
        assert_eq!(disk.pending().len(), 2);
    }

    #[test]
    fn a_deleted_file_comes_back_until_the_folder_is_synced() {
        let mut disk = Disk::default();
        disk.put(&"a".into(), b"old");
        disk.delete(&"a".into());
        let inode = disk.create(&"a".into());
        disk.write(inode, 0, b"new");
        assert_eq!(text(&disk, "a").unwrap(), "new");
        assert_eq!(text(&disk.durable(), "a").unwrap(), "old");
        disk.sync_names();
        assert_eq!(text(&disk.durable(), "a").unwrap(), "", "the name is durable, the contents are not");
    }

    #[test]
    fn a_deleted_file_takes_space_while_it_is_open() {
        let mut disk = Disk::default();
        disk.put(&"a".into(), b"text");
        let inode = disk.find("a").unwrap();
        disk.add_handle(inode);
        disk.delete(&"a".into());
        disk.sync_names();
        assert_eq!(disk.bytes(), 4);
        assert_eq!(disk.content(inode).to_vec(), b"text");
        disk.remove_handle(inode);
        assert_eq!(disk.bytes(), 0);
        assert!(disk.files.is_empty());
    }

    #[test]
    fn data_lost_by_a_failed_sync_is_not_made_durable_later() {
        let mut disk = Disk::default();
        disk.put(&"a".into(), &[b'-'; 64]);
        let inode = disk.find("a").unwrap();
        for offset in 0..64 {
            disk.write(inode, offset, b"x");
        }
        disk.sync_forgetting(inode, &mut Random::new(1));
        disk.sync(inode);
        assert_eq!(text(&disk, "a").unwrap(), "x".repeat(64));
        let survived = text(&disk.durable(), "a").unwrap();
        assert!(survived.contains('x') && survived.contains('-'), "{survived}");
    }
}
