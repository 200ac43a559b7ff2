//! Disks taken out of the machine.

use crate::disk::Disk;
use crate::power_loss::{self, PowerLoss};

/// A disk at one moment: files, and the changes that were still on their way.
///
/// A clone costs little, and so do the many outcomes of cutting its power: they share what they have in common.
#[derive(Clone, Debug)]
pub struct Image {
    pub(crate) disk: Disk,
    pub(crate) sector_bytes: usize,
    pub(crate) powersafe_overwrite: bool,
}

impl Image {
    /// What is left of it when the power fails now. The same seed has the same outcome.
    ///
    /// An image that no power loss befell is what a killed *process* leaves: whatever was written is there.
    pub fn power_loss(&self, seed: u64) -> (Self, PowerLoss) {
        let (disk, loss) = power_loss::cut(self, seed);
        (Self { disk, ..*self }, loss)
    }

    /// Puts a file there as if it had been so for ever, in place of one of that name: for damaged files, or ones made elsewhere.
    pub fn put_file(&mut self, name: &str, bytes: &[u8]) {
        self.disk.put(&name.into(), bytes);
    }

    /// The contents of a file as programs see them.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.disk.find(name).map(|inode| self.disk.content(inode).to_vec())
    }

    /// Names and sizes of all files as programs see them.
    pub fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.disk.named().map(|(name, content)| (&**name, content.size()))
    }

    /// How many changes no sync has made durable: what a power loss chooses from.
    pub fn pending(&self) -> usize {
        self.disk.pending().len()
    }
}
