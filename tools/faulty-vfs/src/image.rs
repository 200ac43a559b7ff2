//! Disks taken out of the machine.

use crate::disk::Disk;
use crate::power_loss::{self, PowerLoss};

/// A disk at one moment: its files and its pending changes.
///
/// A clone is cheap, and so are the many outcomes of a power loss: they share their common parts.
#[derive(Clone, Debug)]
pub struct Image {
    pub(crate) disk: Disk,
    pub(crate) sector_bytes: usize,
    pub(crate) powersafe_overwrite: bool,
}

impl Image {
    /// Returns the disk after a power loss now. The same seed has the same outcome.
    ///
    /// An image without a power loss is the state after a killed *process*: every write survives.
    pub fn power_loss(&self, seed: u64) -> (Self, PowerLoss) {
        let (disk, loss) = power_loss::cut(self, seed);
        (Self { disk, ..*self }, loss)
    }

    /// Adds a file as if it had always existed, in place of one of that name: for damaged files, or files of other programs.
    pub fn put_file(&mut self, name: &str, bytes: &[u8]) {
        self.disk.put(&name.into(), bytes);
    }

    /// Returns the contents of a file as programs see them.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.disk.find(name).map(|inode| self.disk.content(inode).to_vec())
    }

    /// Returns names and sizes of all files as programs see them.
    pub fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.disk.named().map(|(name, content)| (&**name, content.size()))
    }

    /// Returns the number of changes that no sync has made durable, from which a power loss chooses.
    pub fn pending(&self) -> usize {
        self.disk.pending().len()
    }
}
