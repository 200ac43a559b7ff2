//! The VFS as tests hold it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::callbacks;
use crate::faults::{Fault, Operations};
use crate::image::Image;
use crate::machine::Machine;
use crate::power_loss::PowerLoss;
use crate::trace::TraceEntry;

/// An SQLite VFS on a machine of its own: files in memory, faults on demand, and a power switch.
///
/// Connections open on it by its [`name`](Self::name); any number of them, from any thread of the process. When it is
/// dropped, its files are gone and its name leads to a machine that is switched off.
#[derive(Debug)]
pub struct FaultyVfs {
    name: String,
    /// SQLite keeps pointers to it for as long as the process runs.
    machine: &'static Mutex<Machine>,
}

/// What the machine is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// The unit in which the device writes, a power of two from 512 to 65,536. By default 4,096.
    pub sector_bytes: usize,
    /// Whether a power loss during a write to a part of a sector leaves the rest of it alone, and SQLite is told so. Most VFSs
    /// say so; here it is false by default, which asks more of a database.
    pub powersafe_overwrite: bool,
    /// For what is random besides power losses: how much arrives of a short write, and what a failed sync forgets.
    pub seed: u64,
    /// How many operations [`FaultyVfs::trace`] remembers.
    pub trace_max: usize,
}

/// Connections are open whose machine is about to begin a new life.
///
/// They would take part in it: SQLite opens and deletes journals by name. Close them first. With the power cut, they can
/// change nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("files are open, close their connections first: {}", files.join(", "))]
pub struct StillOpen {
    /// The names of the files, empty for temporary ones; one for each time it is open.
    pub files: Vec<String>,
}

impl FaultyVfs {
    /// Makes a machine with an empty disk, and a VFS for it that is not SQLite's default.
    ///
    /// # Panics
    ///
    /// When SQLite is out of memory, or `sector_bytes` is not what it may be.
    pub fn register(options: Options) -> Self {
        let Options { sector_bytes, .. } = options;
        let is_size = sector_bytes.is_power_of_two() && (512..=65_536).contains(&sector_bytes);
        assert!(is_size, "sectors of {sector_bytes} bytes: use a power of two from 512 to 65536");
        let machine = Box::leak(Box::new(Mutex::new(Machine::new(options))));
        Self { name: callbacks::register(machine), machine }
    }

    /// The name by which connections open on it. No other VFS has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets something go wrong.
    pub fn inject(&self, fault: Fault) {
        self.machine().faults.add(fault);
    }

    /// Lets nothing more go wrong.
    pub fn clear_faults(&self) {
        self.machine().faults.clear();
    }

    /// How many operations a fault happened to so far.
    pub fn faults_happened(&self) -> u64 {
        self.machine().faults.happened()
    }

    /// How much the files may take together; a write that needs more stops where the disk is full, with `SQLITE_FULL`.
    /// `None`, as in the beginning, for no limit.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.machine().capacity_bytes = bytes;
    }

    /// How often each operation was asked for since the VFS was registered, while the power was on.
    pub fn operations(&self) -> Operations {
        self.machine().operations
    }

    /// The last operations, oldest first.
    pub fn trace(&self) -> Vec<TraceEntry> {
        self.machine().trace.entries()
    }

    /// The disk as it is now. Nothing needs to be closed: cutting the power of the image shows what a power loss at this
    /// moment would leave.
    pub fn image(&self) -> Image {
        self.machine().image()
    }

    /// Puts a disk into the machine, and switches it on without faults.
    ///
    /// An image of a moment when connections were open is as after the death of their process.
    ///
    /// # Errors
    ///
    /// When connections are open.
    pub fn restore(&self, image: &Image) -> Result<(), StillOpen> {
        self.machine().restore(image)
    }

    /// Switches the machine off: from now on every operation fails, and nothing reaches the disk. See
    /// [`Fault::power_cut`] for doing it at a certain operation.
    pub fn cut_power(&self) {
        self.machine().cut_power();
    }

    /// Whether operations are possible.
    pub fn is_powered(&self) -> bool {
        self.machine().is_powered()
    }

    /// Loses what a power loss loses with this seed, of what was pending when the power was cut (or now, if it was not),
    /// and switches the machine on again without faults.
    ///
    /// # Errors
    ///
    /// When connections are open. Nothing has happened then.
    pub fn power_loss(&self, seed: u64) -> Result<PowerLoss, StillOpen> {
        self.machine().power_loss(seed)
    }

    /// The names of the files that are open, empty for temporary ones; one for each time it is open.
    pub fn open_files(&self) -> Vec<String> {
        self.machine().open_files()
    }

    fn machine(&self) -> MutexGuard<'static, Machine> {
        lock(self.machine)
    }
}

/// A panic while the lock is held is a failed test already; what the others see does not matter.
pub(crate) fn lock(machine: &'static Mutex<Machine>) -> MutexGuard<'static, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for FaultyVfs {
    fn drop(&mut self) {
        self.machine().retire();
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { sector_bytes: 4096, powersafe_overwrite: false, seed: 0, trace_max: 1000 }
    }
}
