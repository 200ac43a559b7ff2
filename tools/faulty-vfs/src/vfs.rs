//! The VFS, as tests use it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::callbacks;
use crate::faults::{Fault, Operations};
use crate::image::Image;
use crate::machine::Machine;
use crate::power_loss::PowerLoss;
use crate::trace::TraceEntry;

/// An SQLite VFS on a machine of its own: files in memory, faults on demand, and a power switch.
///
/// Connections open on it by its [`name`](Self::name); any number of them, from any thread of the process. When it is dropped, its
/// files are removed and its name belongs to a machine that is switched off.
#[derive(Debug)]
pub struct FaultyVfs {
    name: String,
    /// SQLite keeps pointers to it for as long as the process runs.
    machine: &'static Mutex<Machine>,
}

/// The properties of a machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// The unit in which the device writes, a power of two from 512 to 65,536. By default 4,096.
    pub sector_bytes: usize,
    /// Whether a power loss during a write to a part of a sector leaves the rest of it alone, which SQLite is then told. Most VFSs
    /// promise that; here it is false by default, which asks more of a database.
    pub powersafe_overwrite: bool,
    /// The seed of random choices outside power losses: how much of a short write is done, and which writes a failed sync loses.
    pub seed: u64,
    /// How many operations [`FaultyVfs::trace`] remembers.
    pub trace_max: usize,
}

/// Connections are open on the machine that is about to be restarted.
///
/// They would affect the restarted machine: SQLite opens and deletes journals by name. Close them first. With the power cut, they
/// can change nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("files are open, close their connections first: {}", files.join(", "))]
pub struct StillOpen {
    /// The names of the open files, empty for temporary ones; one for each time a file is open.
    pub files: Vec<String>,
}

impl FaultyVfs {
    /// Creates a machine with an empty disk, and registers a VFS for it that is not SQLite's default.
    ///
    /// # Panics
    ///
    /// When SQLite is out of memory, or `sector_bytes` is invalid.
    pub fn register(options: Options) -> Self {
        let Options { sector_bytes, .. } = options;
        let is_size = sector_bytes.is_power_of_two() && (512..=65_536).contains(&sector_bytes);
        assert!(is_size, "sectors of {sector_bytes} bytes: use a power of two from 512 to 65536");
        let machine = Box::leak(Box::new(Mutex::new(Machine::new(options))));
        Self { name: callbacks::register(machine), machine }
    }

    /// Returns the name by which connections open on it. No other VFS has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Injects a fault.
    pub fn inject(&self, fault: Fault) {
        self.machine().faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.machine().faults.clear();
    }

    /// Returns how many operations a fault has happened to.
    pub fn faults_happened(&self) -> u64 {
        self.machine().faults.happened()
    }

    /// Sets how much space all files may take; a write that needs more stops where the disk is full, with `SQLITE_FULL`.
    /// `None`, the default, means no limit.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.machine().capacity_bytes = bytes;
    }

    /// Returns how often each operation was called since the VFS was registered, while the power was on.
    pub fn operations(&self) -> Operations {
        self.machine().operations
    }

    /// Returns the last operations, oldest first.
    pub fn trace(&self) -> Vec<TraceEntry> {
        self.machine().trace.entries()
    }

    /// Returns the disk as it is now. No file needs to be closed: a power loss of the image shows the effect of a power loss at
    /// this moment.
    pub fn image(&self) -> Image {
        self.machine().image()
    }

    /// Puts a disk into the machine, and switches it on without faults.
    ///
    /// An image taken while connections were open is like the disk after the death of their process.
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

    /// Applies a power loss with this seed to the changes that were pending when the power was cut (or now, if it was not), and
    /// switches the machine on again without faults.
    ///
    /// # Errors
    ///
    /// When connections are open. The machine is unchanged then.
    pub fn power_loss(&self, seed: u64) -> Result<PowerLoss, StillOpen> {
        self.machine().power_loss(seed)
    }

    /// Returns the names of the open files, empty for temporary ones; one for each time a file is open.
    pub fn open_files(&self) -> Vec<String> {
        self.machine().open_files()
    }

    fn machine(&self) -> MutexGuard<'static, Machine> {
        lock(self.machine)
    }
}

/// A panic while the lock is held fails its test already; the state that other tests see does not matter.
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
