//! The store on SQLite.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::checkpoints::Checkpoints;
use super::database::{Database, Item};
use super::explain::explain;
use super::open_error::OpenError;
use super::opening::{self, FileOptions, Opened};
use super::readers::Readers;
use super::reads::RunTable;
use super::room::LogRoom;
use super::scans::{Scan, Scans};
use super::shared::{OnFile, Shared, failed};
use super::{reads, rows, schema, writer};
use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::store::commit::{CommitSeq, Write};
use crate::store::durable::{Durable, Progress};
use crate::store::error::StoreError;
use crate::store::interface::Store;
use crate::store::stored::{DormantRun, ReadLimit, Record, RecordKind, StoredRun};
use crate::visibility::{Filter, PageKey};

/// Memory for closed runs, and open ones' history.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Waiting bytes from which new requests are turned away.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// The memory of a queued write besides its blobs.
const WRITE_BYTES: usize = 256;

/// Runs and records in an SQLite database.
pub(crate) struct SqliteStore {
    shared: Arc<Shared>,
    scans: Scans,
    writer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// A new, empty store in memory, with its writer thread.
    ///
    /// # Errors
    ///
    /// `Failed` when SQLite or the thread does not start.
    pub(crate) fn memory() -> Result<Self, StoreError> {
        Self::memory_of(MEMORY_BYTES_MAX)
    }

    /// The same, where closed runs are forgotten from that size on.
    pub(crate) fn memory_of(size_bytes_max: u64) -> Result<Self, StoreError> {
        let connection = schema::open_memory().map_err(|error| failed(&error))?;
        let shared = Shared::new(Database::memory(connection, size_bytes_max), 0, Arc::default(), None);
        Self::start(shared).map_err(|error| failed(&error))
    }

    /// The store in a file, which is made if there is none.
    ///
    /// # Errors
    ///
    /// Returns why the file cannot be opened, and what to do about it.
    pub(crate) fn open(mut options: FileOptions) -> Result<(Self, Opened), OpenError> {
        let file = opening::open(&mut options)?;
        let (path, hook) = (options.path.clone(), options.hook.clone());
        let failed = |reason: String| OpenError::Failed { path: path.clone(), reason };
        let (progress, lock) = (Arc::<Progress>::default(), Arc::new(file.lock));
        let checkpoint_failed = {
            let (progress, lock, path) = (Arc::clone(&progress), Arc::clone(&lock), path.clone());
            move |error: &rusqlite::Error| {
                lock.failed();
                progress.fail(explain(&path, error));
            }
        };
        let checkpoints = Checkpoints::start(&options, checkpoint_failed)
            .map_err(|error| failed(format!("no thread or connection for checkpoints: {error}")))?;
        // The logs of a VFS of tests are no files.
        let log = options.vfs.is_none().then(|| opening::log_path(&options.path));
        let room = Mutex::new(LogRoom::new(log, schema::PAGE_BYTES.into()));
        let database = Database::file(file.connection, hook, Arc::clone(&lock), file.written);
        let readers = Readers::new(options.clone());
        let on_file = OnFile { readers, checkpoints, room, pages_written: AtomicUsize::new(0), lock, options };
        let shared = Shared::new(database, file.last_run, progress, Some(on_file));
        let store = Self::start(shared).map_err(|error| failed(format!("no thread for the writer: {error}")))?;
        Ok((store, file.opened))
    }

    fn start(shared: Shared) -> io::Result<Self> {
        let shared = Arc::new(shared);
        let writer = writer::start(&shared)?;
        Ok(Self { shared, scans: Scans::default(), writer: Some(writer) })
    }
}

#[cfg(test)]
impl SqliteStore {
    /// Nothing is written, and in memory nothing read, while this is kept.
    pub(in crate::store) fn while_writing(&self) -> impl Drop + '_ {
        self.shared.database.lock().unwrap()
    }
}

impl SqliteStore {
    /// Reads on a thread of its own, for as long as somebody waits and the time allows.
    fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Scan<T> {
        let shared = Arc::clone(&self.shared);
        self.scans.start(move |ticket| shared.scan(ticket, read))
    }
}

impl Store for SqliteStore {
    fn new_run(&self) -> RunKey {
        RunKey(self.shared.last_run.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn admit(&self) -> Result<(), StoreError> {
        self.shared.progress.check()?;
        match self.shared.queued_bytes.load(Ordering::Relaxed) {
            queued_bytes if queued_bytes > QUEUED_BYTES_MAX => Err(StoreError::Busy { queued_bytes }),
            _ => Ok(()),
        }
    }

    fn commit(&self, writes: Vec<Write>) -> CommitSeq {
        let bytes = writes.iter().map(size_bytes).sum();
        self.shared.queue(writes.into_iter().map(Item::Run), bytes)
    }

    fn durable(&self, seq: CommitSeq) -> Durable {
        if self.shared.file.is_none() {
            return Durable::known(self.shared.progress.check());
        }
        if !self.shared.progress.is_durable(seq) {
            self.shared.want(seq);
        }
        self.shared.progress.wait(seq)
    }

    fn is_durable(&self, seq: CommitSeq) -> bool {
        self.shared.file.is_none() || self.shared.progress.is_durable(seq)
    }

    fn caught_up(&self) -> Durable {
        let last = self.shared.lock_queue().last_seq;
        self.durable(last)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.shared.progress.check()
    }

    fn failed(&self) -> Durable {
        self.shared.progress.wait(CommitSeq(u64::MAX))
    }

    fn outlives_process(&self) -> bool {
        self.shared.file.is_some()
    }

    fn open_runs(&self) -> Result<Vec<DormantRun>, StoreError> {
        self.shared.read(reads::open_runs)
    }

    fn forget_closed(&self, namespace: NamespaceKey, before_ns: i64) {
        let mut queue = self.shared.lock_queue();
        queue.to_forget.retain(|(other, _)| *other != namespace);
        queue.to_forget.push((namespace, before_ns));
        self.shared.wake_writer(queue);
    }

    fn listens_on(&self, address: &str) -> Result<(), StoreError> {
        let Some(file) = &self.shared.file else { return Ok(()) };
        if let Err(error) = file.lock.listens_on(address) {
            tracing::warn!(%error, "others that find the database in use are not told the address");
        }
        self.shared.queue([Item::Meta("workers", opening::ANYWHERE)], WRITE_BYTES);
        self.shared.caught_up().map(drop)
    }

    fn stops_listening_on(&self, address: &str) {
        if let Some(file) = &self.shared.file
            && let Err(error) = file.lock.stops_listening_on(address)
        {
            tracing::warn!(%error, "others that find the database in use are told an address where nobody listens");
        }
    }

    fn read_history(&self, run: RunKey, from_event_id: i64, limit: ReadLimit) -> Result<Vec<HistoryBatch>, StoreError> {
        self.shared.read(|connection| reads::batches(connection, rows::READ_HISTORY, run, from_event_id, limit))
    }

    fn read_history_back(
        &self,
        run: RunKey,
        before_event_id: i64,
        limit: ReadLimit,
    ) -> Result<Vec<HistoryBatch>, StoreError> {
        self.shared.read(|connection| reads::batches(connection, rows::READ_HISTORY_BACK, run, before_event_id, limit))
    }

    fn find_run(
        &self,
        namespace: NamespaceKey,
        workflow_id: &str,
        run_id: Option<&str>,
    ) -> Result<Option<StoredRun>, StoreError> {
        self.shared.read(|connection| reads::run(connection, RunTable::CURRENT, namespace, workflow_id, run_id))
    }

    fn workflow_ids(&self, visit: &mut dyn FnMut(NamespaceKey, &str)) -> Result<(), StoreError> {
        self.shared.read(|connection| reads::workflow_ids(connection, visit))
    }

    fn list(
        &self,
        namespace: NamespaceKey,
        filter: &Filter,
        after: Option<PageKey>,
        page_size: usize,
    ) -> Scan<(Vec<VisibilityRow>, Option<PageKey>)> {
        let list = reads::list(namespace, filter, after, page_size);
        self.scan(|connection| list(connection, RunTable::CURRENT))
    }

    fn count(&self, namespace: NamespaceKey, filter: &Filter) -> Scan<Vec<(RunStatus, i64)>> {
        let count = reads::count(namespace, filter);
        self.scan(|connection| count(connection, RunTable::CURRENT))
    }

    fn save_record(&self, record: Record) -> CommitSeq {
        let bytes = WRITE_BYTES + record.data.len();
        self.shared.queue([Item::Record(record)], bytes)
    }

    fn load_records(&self, kind: RecordKind) -> Result<Vec<Record>, StoreError> {
        self.shared.read(|connection| reads::records(connection, kind))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.scans.stop();
        self.shared.lock_queue().closed = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer panicked");
        }
        if let Some(file) = &self.shared.file
            && self.shared.progress.check().is_ok()
            && let Err(error) = file.close()
        {
            tracing::warn!(%error, "cannot close the database in order");
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

fn size_bytes(write: &Write) -> usize {
    let history = write.history.as_ref().map_or(0, |batch| batch.events.len());
    WRITE_BYTES + history + write.overlay.as_ref().map_or(0, |data| data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_waiting_turns_new_requests_away_until_it_is_written() {
        let store = SqliteStore::memory().unwrap();
        let run = store.new_run();
        let events = vec![0; 1 << 20].into();
        let history = HistoryBatch { first_event_id: 1, next_event_id: 2, transition: 1, events };
        let writes = (1..=65).map(|id| HistoryBatch { first_event_id: id, next_event_id: id + 1, ..history.clone() });
        let writes = writes.map(|batch| Write { history: Some(batch), ..Write::nothing(run) }).collect();

        let nothing_is_written = store.while_writing();
        assert_eq!(store.admit(), Ok(()));
        store.commit(writes);
        assert_eq!(store.admit(), Err(StoreError::Busy { queued_bytes: 65 * ((1 << 20) + WRITE_BYTES) }));
        drop(nothing_is_written);

        assert_eq!(store.read_history(run, 65, ReadLimit { batches_max: 1, bytes_max: 0 }).unwrap().len(), 1);
        assert_eq!(store.admit(), Ok(()));
    }
}
