//! The store on SQLite, in memory or in a file.
//!
//! Commits go into a queue; one writer thread takes everything that waits and writes it in one transaction. On a file the
//! next group gathers while the disk takes the one before, and reads have connections of their own. In memory there is
//! one connection, and nobody waits for the writer: a read takes the connection and writes the waiting group itself
//! before it looks.

mod backup;
mod checkpoints;
mod database;
mod explain;
mod lock;
mod migration;
mod open_error;
mod opening;
mod place;
mod readers;
mod reads;
mod room;
mod rows;
pub(super) mod scans;
mod schema;
mod shared;
mod store;
mod version;
mod view;
mod write_lock;
mod writer;

pub use self::backup::{BackupError, backup};
pub(crate) use self::open_error::OpenError;
pub(crate) use self::opening::{BUSY_WAIT, FileOptions, Opened};
pub use self::place::{PathError, database_path};
pub(crate) use self::store::SqliteStore;
pub(crate) use self::view::FileView;
