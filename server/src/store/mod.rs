//! The storage that the engine needs, behind one narrow trait.
//!
//! Truth about open runs is in the engine's memory; the store holds everything that must outlive it: history batches,
//! the visibility row of each run, and an opaque *overlay* for state that history does not tell (attempts, request
//! ids, buffered events). One transition of a run is one [`Write`]; the writes of one [`Store::commit`] become visible
//! together or not at all.
//!
//! *Invariants.* Writes are applied in the order of their `commit` calls. What is durable is seen by every read. The
//! store never interprets history or overlays.

mod commit;
mod commit_hook;
mod durable;
mod error;
mod interface;
mod sqlite;
mod stored;
#[cfg(test)]
mod tests;

pub(crate) use self::commit::{CommitSeq, Write};
pub(crate) use self::commit_hook::CommitHook;
pub use self::commit_hook::CommitStep;
pub(crate) use self::error::StoreError;
pub(crate) use self::interface::Store;
pub(crate) use self::sqlite::{BUSY_WAIT, FileOptions, FileView, OpenError, Opened, SqliteStore};
pub use self::sqlite::{BackupError, PathError, backup, database_path};
pub(crate) use self::stored::{ReadLimit, Record, RecordKind, StoredRun, Wake};
/// Types that only stores of tests name.
#[cfg(test)]
pub(crate) use self::{durable::Durable, sqlite::scans::Scan, stored::DormantRun};
