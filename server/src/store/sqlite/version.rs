//! The version of SQLite in this program, and its defects that affect an engine's database.
//!
//! A program has one SQLite, and other database crates in it may choose an older one. Of the defects in SQLite's release
//! notes up to 3.54, these affect the engine:
//!
//! * *WAL reset* (3.7.0 to 3.51.2, except 3.44.6 and 3.50.7 and later of these two lines; see
//!   <https://www.sqlite.org/wal.html#the_wal_reset_bug>): a commit that starts the log anew while another connection is
//!   in a checkpoint may leave the checkpoint's mark on the new log, so that later commits are lost. With such a version,
//!   only the writer makes checkpoints, between its commits.
//!
//! Defects of savepoints (fixed with 3.37.2 and 3.50.2), rollback journals over several files (3.53.4), nested EXISTS
//! (3.51.2), JSON and full-text search do not, because the engine uses none of these.

use std::sync::Once;

use crate::unheard::print_unless_heard;

/// The first version with STRICT tables.
const OLDEST: i32 = number(3, 37, 0);

/// The first version that can report the length of the log without a checkpoint.
const TELLS_LENGTH_OF_LOG: i32 = number(3, 51, 0);

const fn number(major: i32, minor: i32, patch: i32) -> i32 {
    major * 1_000_000 + minor * 1_000 + patch
}

/// The abilities of this program's SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Whether a checkpoint may run during a commit.
    pub(super) checkpoints_beside_commits: bool,
    /// Whether `PRAGMA wal_checkpoint(NOOP)` is available.
    pub(super) tells_length_of_log: bool,
}

impl Abilities {
    /// The abilities of the SQLite in this program.
    pub(super) fn here() -> Self {
        Self::of(rusqlite::version_number())
    }

    fn of(version: i32) -> Self {
        let is_mended = match version / 1_000 {
            3_044 => version >= number(3, 44, 6),
            3_050 => version >= number(3, 50, 7),
            _ => version >= number(3, 51, 3),
        };
        Self { checkpoints_beside_commits: is_mended, tells_length_of_log: version >= TELLS_LENGTH_OF_LOG }
    }
}

/// Checks that this program's SQLite can be used for a file; warns once if it has a defect that affects the file.
///
/// # Errors
///
/// If the version is too old.
pub(super) fn check() -> Result<(), String> {
    static WARNED: Once = Once::new();
    let version = rusqlite::version();
    if rusqlite::version_number() < OLDEST {
        return Err(format!(
            "this program has SQLite {version}, and 3.37.0 or newer is needed: build it with a newer one"
        ));
    }
    if !Abilities::here().checkpoints_beside_commits {
        WARNED.call_once(|| {
            let warning = || {
                format!(
                    "this program's SQLite {version} has the WAL-reset defect, which another program that writes to the same \
                     file could set off; here, commits and checkpoints take turns and are safe. 3.51.3 and newer do not have \
                     it: update the database crate that chooses this version (`cargo tree -i libsqlite3-sys` names it)"
                )
            };
            tracing::warn!("{}", warning());
            print_unless_heard(warning);
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_run_beside_commits_only_where_the_log_is_reset_safely() {
        let is_safe = |major, minor, patch| Abilities::of(number(major, minor, patch)).checkpoints_beside_commits;
        for (minor, patch) in [(37, 0), (44, 5), (45, 3), (46, 0), (49, 2), (50, 6), (51, 0), (51, 2)] {
            assert!(!is_safe(3, minor, patch), "3.{minor}.{patch}");
        }
        for (minor, patch) in [(44, 6), (50, 7), (51, 3), (53, 0), (54, 1)] {
            assert!(is_safe(3, minor, patch), "3.{minor}.{patch}");
        }
    }

    #[test]
    fn the_sqlite_of_the_tests_is_new_enough() {
        check().unwrap();
        assert_eq!(Abilities::here(), Abilities::of(rusqlite::version_number()));
    }
}
