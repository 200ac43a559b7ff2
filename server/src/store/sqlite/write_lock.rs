//! Waits for the write lock while another program has it.
//!
//! Other programs, such as SQLite's own tools, may keep the lock for any time. Commits wait meanwhile, and the log has a
//! warning with the cause.

use std::path::Path;
use std::time::{Duration, Instant};

use super::database::Database;
use super::explain::is_busy;
use crate::unheard::print_unless_heard;

/// The time between two warnings about a wait.
const WARN_EACH: Duration = Duration::from_secs(60);

/// Begins a transaction when no other program has the lock.
///
/// # Errors
///
/// Returns SQLite's error, also if another program still has the lock when the wait ends.
pub(super) fn begin(database: &Database, path: Option<&Path>, may_wait: impl Fn() -> bool) -> rusqlite::Result<()> {
    let since = Instant::now();
    let mut warned: Option<Instant> = None;
    loop {
        match database.begin() {
            Ok(()) => break,
            Err(error) if is_busy(&error) && may_wait() => {
                if warned.is_none_or(|at| at.elapsed() >= WARN_EACH) {
                    warned = Some(Instant::now());
                    warn(path.unwrap_or(Path::new("the database")), since.elapsed());
                }
            }
            Err(error) => return Err(error),
        }
    }
    if warned.is_some() {
        tracing::warn!(waited_s = since.elapsed().as_secs(), "the database can be written again");
    }
    Ok(())
}

fn warn(path: &Path, waited: Duration) {
    let warning = || {
        format!(
            "another program has locked {} for writing, nothing is acknowledged until it lets go: end its transaction, or \
             close it",
            path.display()
        )
    };
    tracing::warn!(waited_s = waited.as_secs(), "{}", warning());
    print_unless_heard(warning);
}
