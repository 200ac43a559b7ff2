//! An SQLite VFS for tests: its files are in memory, its operations fail on demand, and its power can be cut.
//!
//! Killing a process does not show whether a commit is durable: the operating system still has its writes. Here writes are
//! *pending* until they are synced, and a power loss keeps, loses and tears pending writes depending on a seed. Commits that a
//! database with `synchronous=FULL` has acknowledged must survive every seed.
//!
//! ```
//! use faulty_vfs::{Fault, FaultyVfs, Options};
//! use rusqlite::{Connection, OpenFlags};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let vfs = FaultyVfs::register(Options::default());
//! let open = || Connection::open_with_flags_and_vfs("shop.db", OpenFlags::default(), vfs.name());
//!
//! let connection = open()?;
//! connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE sale (item TEXT)")?;
//! connection.execute("INSERT INTO sale VALUES ('tea')", [])?;
//! vfs.inject(Fault::power_cut().nth(2));
//! connection.execute("INSERT INTO sale VALUES ('coffee')", []).unwrap_err();
//! drop(connection);
//!
//! // Many power losses at the same moment.
//! let image = vfs.image();
//! for seed in 0..100 {
//!     let (survived, loss) = image.power_loss(seed);
//!     vfs.restore(&survived)?;
//!     let first: String = open()?.query_row("SELECT item FROM sale", [], |row| row.get(0))?;
//!     assert_eq!(first, "tea", "{loss}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **What survives.** The model is as hard as SQLite's documented assumptions allow, and follows its VFS for Unix where the two meet:
//! syncing a file makes its contents durable, a name becomes durable when the folder is synced, and that happens at the
//! first sync of a journal or WAL and at deletions that ask for it. See `power_loss` in the source for how pending changes
//! are chosen.
//!
//! **What is deterministic.** The same operations with the same seeds have the same outcome. SQLite draws the salts of WALs and
//! journals from its own random numbers, so their bytes differ between runs, but not how many there are. Threads that write
//! at the same time are as unpredictable as ever: take an [`Image`] and try seeds on that.
//!
//! *Invariant.* Whatever fault is injected, the VFS keeps the guarantees of SQLite's documentation of VFSs, so a real machine could
//! cause every damage that is found.

mod callbacks;
mod content;
mod disk;
mod faults;
mod image;
mod locks;
mod machine;
mod power_loss;
mod random;
mod trace;
mod vfs;
mod wal_index;

pub use self::faults::{Fault, FileKind, Operation, Operations};
pub use self::image::Image;
pub use self::power_loss::PowerLoss;
pub use self::trace::TraceEntry;
pub use self::vfs::{FaultyVfs, Options, StillOpen};
