//! Preallocated room at the end of the write-ahead log.
//!
//! While a log grows, each sync must also write the locations of its new blocks, which doubles its time. So the log is
//! extended in steps, with zeros: SQLite stops reading there, and commits overwrite blocks that the file system has already
//! allocated.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The length of one extension.
const STEP_BYTES: u64 = 1 << 20;
/// The room below which the log is extended.
const ROOM_BYTES_MIN: u64 = STEP_BYTES / 4;
/// The length from which the log is not extended, because checkpoints restart it at about this length.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// The headers that SQLite writes at the beginning of a log, and before each page: see <https://www.sqlite.org/fileformat2.html#walformat>.
const HEADER_BYTES: u64 = 32;
const PAGE_HEADER_BYTES: u64 = 24;

/// The log file of one database, accessed without SQLite.
#[derive(Debug)]
pub(super) struct LogRoom {
    state: State,
    page_bytes: u64,
    /// The length of the log at the last check. SQLite may have extended it.
    log_bytes: u64,
}

#[derive(Debug)]
enum State {
    Unopened(PathBuf),
    /// The file, opened for appending.
    Open(File),
    /// The log cannot be extended any more.
    GivenUp,
}

impl LogRoom {
    /// Without a path, the log is never extended.
    pub(super) fn new(log: Option<PathBuf>, page_bytes: u64) -> Self {
        Self { state: log.map_or(State::GivenUp, State::Unopened), page_bytes, log_bytes: 0 }
    }

    /// Extends the log if its pages leave little room. A full disk is no error.
    ///
    /// # Errors
    ///
    /// Returns the error of the sync. The state of the log's pages is then unknown.
    pub(super) fn keep(&mut self, pages: u64) -> io::Result<()> {
        let wanted = HEADER_BYTES + pages * (PAGE_HEADER_BYTES + self.page_bytes) + ROOM_BYTES_MIN;
        if wanted <= self.log_bytes || self.log_bytes >= LOG_BYTES_MAX {
            return Ok(());
        }
        match self.lengthen(wanted) {
            Ok(Some(log)) => log.sync_data(),
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "the write-ahead log gets no room in advance");
                self.state = State::GivenUp;
                Ok(())
            }
        }
    }

    /// Extends the log, and returns it if it must be synced.
    fn lengthen(&mut self, wanted: u64) -> io::Result<Option<&File>> {
        if let State::Unopened(path) = &self.state {
            self.state = State::Open(OpenOptions::new().append(true).open(path)?);
        }
        let State::Open(log) = &mut self.state else { return Ok(None) };
        self.log_bytes = log.metadata()?.len();
        // An empty log is not extended: it means that nothing was written.
        if wanted <= self.log_bytes || self.log_bytes == 0 || self.log_bytes >= LOG_BYTES_MAX {
            return Ok(None);
        }
        let step = STEP_BYTES.min(LOG_BYTES_MAX - self.log_bytes);
        log.write_all(&vec![0; usize::try_from(step).unwrap_or_default()])?;
        self.log_bytes += step;
        Ok(Some(log))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PAGE: u64 = 8192;

    fn log_of(bytes: usize) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db-wal");
        fs::write(&path, vec![1; bytes]).unwrap();
        (folder, path)
    }

    #[test]
    fn room_is_made_in_steps_ahead_of_what_is_written() {
        let (_folder, path) = log_of(10_000);
        let length = || fs::metadata(&path).unwrap().len();
        let mut room = LogRoom::new(Some(path.clone()), PAGE);
        room.keep(1).unwrap();
        assert_eq!(length(), 10_000 + STEP_BYTES);
        room.keep(90).unwrap();
        assert_eq!(length(), 10_000 + STEP_BYTES, "there is still room for as much again");
        room.keep(100).unwrap();
        assert_eq!(length(), 10_000 + 2 * STEP_BYTES);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes[..10_000].iter().all(|byte| *byte == 1), "what was there is there");
        assert!(bytes[10_000..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_long_log_and_an_empty_one_are_left_alone() {
        let (_folder, path) = log_of(0);
        LogRoom::new(Some(path.clone()), PAGE).keep(0).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);

        let (_folder, path) = log_of(1);
        let log = OpenOptions::new().write(true).open(&path).unwrap();
        log.set_len(LOG_BYTES_MAX - 100).unwrap();
        let mut room = LogRoom::new(Some(path), PAGE);
        room.keep(LOG_BYTES_MAX / PAGE).unwrap();
        assert_eq!(log.metadata().unwrap().len(), LOG_BYTES_MAX, "the last step is a shorter one");
        room.keep(2 * LOG_BYTES_MAX / PAGE).unwrap();
        assert_eq!(log.metadata().unwrap().len(), LOG_BYTES_MAX);
    }

    #[test]
    fn a_log_that_cannot_be_opened_gets_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db-wal");
        let mut room = LogRoom::new(Some(path.clone()), PAGE);
        room.keep(1).unwrap();
        fs::write(&path, [1]).unwrap();
        room.keep(1).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1, "given up once is given up");
    }
}
