//! State that the writer and the callers of a store share: the queue, the database, and the progress of writes.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::checkpoints::Checkpoints;
use super::database::{Database, Item};
use super::explain::{explain, is_busy};
use super::lock::Lock;
use super::opening::{self, FileOptions};
use super::readers::Readers;
use super::room::LogRoom;
use super::scans::Ticket;
use super::{schema, write_lock};
use crate::model::NamespaceKey;
use crate::store::commit::CommitSeq;
use crate::store::durable::Progress;
use crate::store::error::StoreError;

/// The queue size in bytes from which the writer of a file also writes commits for which no caller waits.
pub(super) const LINGERING_BYTES_MAX: usize = 1 << 20;

/// The maximum number of log pages for one write, without its blobs: pages of tables and their indexes.
pub(super) const PAGES_PER_WRITE: usize = 5;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    /// Wakes the writer.
    pub(super) wake: Condvar,
    pub(super) queued_bytes: AtomicUsize,
    /// Locked before the queue, never after it, so that groups reach the database in the order of the queue.
    pub(super) database: Mutex<Database>,
    pub(super) last_run: AtomicI64,
    pub(super) progress: Arc<Progress>,
    /// The parts that only a store on a file has.
    pub(super) file: Option<OnFile>,
}

#[derive(Debug)]
pub(super) struct OnFile {
    pub(super) options: FileOptions,
    pub(super) readers: Readers,
    pub(super) checkpoints: Checkpoints,
    /// Used only by the writer.
    pub(super) room: Mutex<LogRoom>,
    /// The approximate number of pages that were written since the writer last checked the log.
    pub(super) pages_written: AtomicUsize,
    pub(super) lock: Arc<Lock>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) items: Vec<Item>,
    pub(super) last_seq: CommitSeq,
    /// The last commit for which a caller waits.
    pub(super) wanted: CommitSeq,
    /// Namespaces with the time before which closed runs are removed, a few at a time.
    pub(super) to_forget: Vec<(NamespaceKey, i64)>,
    /// Whether the writer waits for a wake.
    pub(super) writer_rests: bool,
    pub(super) closed: bool,
}

impl Shared {
    pub(super) fn new(database: Database, last_run: i64, progress: Arc<Progress>, file: Option<OnFile>) -> Self {
        Self {
            queue: Mutex::default(),
            wake: Condvar::new(),
            queued_bytes: AtomicUsize::new(0),
            database: Mutex::new(database),
            last_run: AtomicI64::new(last_run),
            progress,
            file,
        }
    }

    /// Locks the database, after all queued commits were written.
    pub(super) fn caught_up(&self) -> Result<MutexGuard<'_, Database>, StoreError> {
        let mut database = self.database.lock().map_err(|_| self.progress.fail("a write panicked"))?;
        self.progress.check()?;
        if self.lock_queue().items.is_empty() {
            return Ok(database);
        }
        // Before the group is taken, so that commits that arrive while another program has the lock count as queued.
        let path = self.file.as_ref().map(|file| &*file.options.path);
        // The last group of a closing store has one attempt.
        write_lock::begin(&database, path, || !self.lock_queue().closed).map_err(|error| self.fail(&error))?;
        let (last_seq, bytes) = {
            let mut queue = self.lock_queue();
            mem::swap(&mut queue.items, &mut database.group);
            (queue.last_seq, self.queued_bytes.swap(0, Ordering::Relaxed))
        };
        if let Some(file) = &self.file {
            let pages = bytes / schema::PAGE_BYTES as usize + PAGES_PER_WRITE * database.group.len();
            file.pages_written.fetch_add(pages, Ordering::Relaxed);
        }
        database.write_group().map_err(|error| self.fail(&error))?;
        self.progress.reach(last_seq);
        Ok(database)
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        match &self.file {
            Some(file) => {
                self.progress.check()?;
                file.readers.read(|connection| read(connection)).map_err(|error| self.read_failed(&error))
            }
            None => read(&self.caught_up()?.connection).map_err(|error| failed(&error)),
        }
    }

    /// Reads for a [`Scan`], which may be ended early.
    pub(super) fn scan<T>(
        &self,
        ticket: &Ticket,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let result = match &self.file {
            Some(file) => {
                self.progress.check()?;
                file.readers.read(|connection| ticket.watch(connection, read))
            }
            None => ticket.watch(&mut self.caught_up()?.connection, read),
        };
        result.map_err(|error| ticket.explain(&error).unwrap_or_else(|| self.read_failed(&error)))
    }

    fn read_failed(&self, error: &rusqlite::Error) -> StoreError {
        match is_busy(error) {
            true => StoreError::Locked { reason: self.explain(error).into() },
            false => failed(&self.explain(error)),
        }
    }

    pub(super) fn queue(&self, items: impl IntoIterator<Item = Item>, bytes: usize) -> CommitSeq {
        let mut queue = self.lock_queue();
        queue.last_seq.0 += 1;
        if self.progress.check().is_err() {
            // The failure is reported to callers that wait.
            return queue.last_seq;
        }
        let queued_bytes = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        queue.items.extend(items);
        let seq = queue.last_seq;
        if self.file.is_none() || queued_bytes > LINGERING_BYTES_MAX {
            self.wake_writer(queue);
        }
        seq
    }

    /// Records that a caller waits for a commit.
    pub(super) fn want(&self, seq: CommitSeq) {
        let mut queue = self.lock_queue();
        queue.wanted = queue.wanted.max(seq.min(queue.last_seq));
        self.wake_writer(queue);
    }

    pub(super) fn wake_writer(&self, mut queue: MutexGuard<'_, Queue>) {
        if mem::take(&mut queue.writer_rests) {
            drop(queue);
            self.wake.notify_one();
        }
    }

    pub(super) fn fail(&self, error: &rusqlite::Error) -> StoreError {
        if let Some(file) = &self.file {
            file.lock.failed();
        }
        self.progress.fail(self.explain(error))
    }

    fn explain(&self, error: &rusqlite::Error) -> String {
        match &self.file {
            Some(file) => explain(&file.options.path, error),
            None => error.to_string(),
        }
    }

    pub(super) fn lock_queue(&self) -> MutexGuard<'_, Queue> {
        // No code panics under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OnFile {
    /// Closes the database, after all writes: moves all pages of the log into it.
    pub(super) fn close(&self) -> Result<(), String> {
        let failed = |error: rusqlite::Error| error.to_string();
        let connection = opening::open_checkpointer(&self.options).map_err(failed)?;
        self.checkpoints.last(&connection).map_err(failed)?;
        // Recorded before the log is emptied, because otherwise an empty log counts as lost.
        self.lock.closed().map_err(|error| error.to_string())?;
        self.checkpoints.empty_log(&connection).map_err(failed)
    }
}

pub(super) fn failed(error: &dyn fmt::Display) -> StoreError {
    StoreError::Failed { reason: error.to_string().into() }
}
