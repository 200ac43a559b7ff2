//! The store on SQLite, in memory or in a file.
//!
//! Commits go into a queue; one writer thread takes everything that waits and writes it in one transaction. On a file the
//! next group gathers while the disk takes the one before, and reads have connections of their own. In memory there is
//! one connection, and nobody waits for the writer: a read takes the connection and writes the waiting group itself
//! before it looks.

mod backup;
mod checkpoints;
mod database;
mod lock;
mod migration;
mod opening;
mod place;
mod readers;
mod reads;
mod room;
mod rows;
mod scans;
mod schema;
mod version;
mod view;
mod write_lock;

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

pub use self::backup::{BackupError, backup};
use self::checkpoints::Checkpoints;
use self::database::{Database, Item};
use self::lock::Lock;
pub(crate) use self::opening::{BUSY_WAIT, FileOptions, OpenError, Opened};
pub use self::place::{PathError, database_path};
use self::readers::Readers;
use self::room::LogRoom;
pub(crate) use self::scans::Scan;
use self::scans::Scans;
pub(crate) use self::view::FileView;
use super::durable::Progress;
use super::{CommitSeq, DormantRun, Durable, NamespaceRow, ReadLimit, Store, StoreError, StoredRun, Write};
use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::visibility::{Filter, PageKey};

/// Memory for closed runs, and open ones' history.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Waiting bytes from which new requests are turned away.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// Nobody waits for the writer of a store in memory, so it lets a group gather: fewer wakes, and a run that starts and
/// closes within the group costs one visibility row.
const GATHER: Duration = Duration::from_millis(5);

/// What nobody waits for is left in the queue of a file: mostly something comes that takes it along. Longer than this it
/// does not stay, nor when there is that much of it.
const LINGER: Duration = Duration::from_millis(200);
const LINGERING_BYTES_MAX: usize = 1 << 20;

/// What a queued write costs besides its blobs.
const WRITE_BYTES: usize = 256;

/// How many pages of the log one write takes at most, besides those of its blobs: tables and their indexes.
const PAGES_PER_WRITE: usize = 5;

/// Runs and namespaces in an SQLite database.
pub(crate) struct SqliteStore {
    shared: Arc<Shared>,
    scans: Scans,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    wake: Condvar,
    queued_bytes: AtomicUsize,
    /// Taken before the queue's lock, never after it: groups reach the database in the order of the queue.
    database: Mutex<Database>,
    last_run: AtomicI64,
    progress: Arc<Progress>,
    /// What a file has and memory has not.
    file: Option<OnFile>,
}

#[derive(Debug)]
struct OnFile {
    options: FileOptions,
    readers: Readers,
    checkpoints: Checkpoints,
    /// The writer's alone.
    room: Mutex<LogRoom>,
    /// About how many pages were written since the writer last looked at the log.
    pages_written: AtomicUsize,
    lock: Arc<Lock>,
}

#[derive(Debug, Default)]
struct Queue {
    items: Vec<Item>,
    last_seq: CommitSeq,
    /// Somebody waits for everything up to here.
    wanted: CommitSeq,
    /// Runs of this namespace that were closed before that moment are to go, a few at a time.
    to_forget: Vec<(NamespaceKey, i64)>,
    /// The writer has to be woken when there is something to do.
    writer_rests: bool,
    closed: bool,
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
        Self::start(shared, Shared::write_in_memory).map_err(|error| failed(&error))
    }

    /// The store in a file, which is made if there is none.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, and what to do about it.
    pub(crate) fn open(mut options: FileOptions) -> Result<(Self, Opened), OpenError> {
        let file = opening::open(&mut options)?;
        let (path, hook) = (options.path.clone(), options.hook.clone());
        let failed = |reason: String| OpenError::Failed { path: path.clone(), reason };
        let (progress, lock) = (Arc::<Progress>::default(), Arc::new(file.lock));
        let checkpoint_failed = {
            let (progress, lock, path) = (Arc::clone(&progress), Arc::clone(&lock), path.clone());
            move |error: &rusqlite::Error| {
                lock.failed();
                progress.fail(opening::explain(&path, error));
            }
        };
        let checkpoints = Checkpoints::start(&options, checkpoint_failed)
            .map_err(|error| failed(format!("no thread or connection for checkpoints: {error}")))?;
        // What stands in for the disk has logs that are not files.
        let log = options.vfs.is_none().then(|| opening::log_path(&options.path));
        let room = Mutex::new(LogRoom::new(log, schema::PAGE_BYTES.into()));
        let database = Database::file(file.connection, hook, Arc::clone(&lock), file.written);
        let readers = Readers::new(options.clone());
        let on_file = OnFile { readers, checkpoints, room, pages_written: AtomicUsize::new(0), lock, options };
        let shared = Shared::new(database, file.last_run, progress, Some(on_file));
        let store = Self::start(shared, Shared::write_to_file)
            .map_err(|error| failed(format!("no thread for the writer: {error}")))?;
        Ok((store, file.opened))
    }

    fn start(shared: Shared, write: fn(&Shared)) -> std::io::Result<Self> {
        let shared = Arc::new(shared);
        let writer = thread::Builder::new().name("everloop-writer".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                // Poisoned means that a write panicked: nobody knows what of it is there.
                if catch_unwind(AssertUnwindSafe(|| write(&shared))).is_err() {
                    shared.progress.fail("a write panicked");
                }
            }
        })?;
        Ok(Self { shared, scans: Scans::default(), writer: Some(writer) })
    }
}

impl Shared {
    fn new(database: Database, last_run: i64, progress: Arc<Progress>, file: Option<OnFile>) -> Self {
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

    fn write_in_memory(&self) {
        loop {
            let mut queue = self.lock_queue();
            while queue.items.is_empty() && !queue.closed {
                queue.writer_rests = true;
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.writer_rests = false;
            let gathered = self.wake.wait_timeout_while(queue, GATHER, |queue| !queue.closed);
            // What a store in memory has not written when it closes, nobody can read any more.
            if gathered.unwrap_or_else(PoisonError::into_inner).0.closed {
                return;
            }
            if let Err(error) = self.caught_up() {
                tracing::error!(%error, "nothing more is acknowledged");
                return;
            }
        }
    }

    /// Writes group after group, as fast as the disk takes them; the last one when the store is closed.
    fn write_to_file(&self) {
        loop {
            let mut queue = self.lock_queue();
            queue.writer_rests = true;
            let rests = |queue: &mut Queue| {
                let is_much = self.queued_bytes.load(Ordering::Relaxed) > LINGERING_BYTES_MAX;
                !(is_much || queue.closed) && queue.to_forget.is_empty() && self.progress.is_durable(queue.wanted)
            };
            let mut queue =
                self.wake.wait_timeout_while(queue, LINGER, rests).unwrap_or_else(PoisonError::into_inner).0;
            queue.writer_rests = false;
            let is_last = queue.closed && queue.items.is_empty();
            drop(queue);
            if is_last {
                return;
            }
            if let Err(error) = self.caught_up().and_then(|mut database| self.keep_house(&mut database)) {
                tracing::error!(%error, "nothing more is acknowledged until the file is opened again");
                return;
            }
        }
    }

    /// What the writer does between groups.
    fn keep_house(&self, database: &mut Database) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        let due = self.lock_queue().to_forget.pop();
        if let Some((namespace, before_ns)) = due {
            file.pages_written.fetch_add(database::DROPS_PER_STEP * PAGES_PER_WRITE, Ordering::Relaxed);
            if !database.forget_closed(namespace, before_ns).map_err(|error| self.fail(&error))? {
                self.lock_queue().to_forget.push((namespace, before_ns));
            }
        }
        let written = i32::try_from(file.pages_written.swap(0, Ordering::Relaxed)).unwrap_or(i32::MAX);
        let pages = file.checkpoints.after_commit(&database.connection, written).map_err(|error| self.fail(&error))?;
        let mut room = file.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.keep(pages).map_err(|error| self.fail(&opening::sync_error(&error)))
    }

    /// The database, with everything written that was queued before.
    fn caught_up(&self) -> Result<MutexGuard<'_, Database>, StoreError> {
        let mut database = self.database.lock().map_err(|_| self.progress.fail("a write panicked"))?;
        self.progress.check()?;
        if self.lock_queue().items.is_empty() {
            return Ok(database);
        }
        // Before the group is taken: what comes while another program has the lock waits in the queue, and counts there.
        let path = self.file.as_ref().map(|file| &*file.options.path);
        // The last group of a store that closes has one attempt.
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

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        match &self.file {
            Some(file) => {
                self.progress.check()?;
                file.readers.read(|connection| read(connection)).map_err(|error| self.read_failed(&error))
            }
            None => read(&self.caught_up()?.connection).map_err(|error| failed(&error)),
        }
    }

    /// Reads for a [`Scan`], which may be given up.
    fn scan<T>(
        &self,
        ticket: &scans::Ticket,
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
        match opening::is_busy(error) {
            true => StoreError::Locked { reason: self.explain(error).into() },
            false => failed(&self.explain(error)),
        }
    }

    fn queue(&self, items: impl IntoIterator<Item = Item>, bytes: usize) -> CommitSeq {
        let mut queue = self.lock_queue();
        queue.last_seq.0 += 1;
        if self.progress.check().is_err() {
            // Nobody will hear that it is written.
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

    /// Somebody waits for that commit.
    fn want(&self, seq: CommitSeq) {
        let mut queue = self.lock_queue();
        queue.wanted = queue.wanted.max(seq.min(queue.last_seq));
        self.wake_writer(queue);
    }

    fn wake_writer(&self, mut queue: MutexGuard<'_, Queue>) {
        if mem::take(&mut queue.writer_rests) {
            drop(queue);
            self.wake.notify_one();
        }
    }

    fn fail(&self, error: &rusqlite::Error) -> StoreError {
        if let Some(file) = &self.file {
            file.lock.failed();
        }
        self.progress.fail(self.explain(error))
    }

    fn explain(&self, error: &rusqlite::Error) -> String {
        match &self.file {
            Some(file) => opening::explain(&file.options.path, error),
            None => error.to_string(),
        }
    }

    fn lock_queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic happens under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.shared.read(|connection| reads::run(connection, namespace, workflow_id, run_id))
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
        self.scan(reads::list(namespace, filter, after, page_size))
    }

    fn count(&self, namespace: NamespaceKey, filter: &Filter) -> Scan<Vec<(RunStatus, i64)>> {
        self.scan(reads::count(namespace, filter))
    }

    fn save_namespace(&self, row: NamespaceRow) -> CommitSeq {
        let bytes = WRITE_BYTES + row.description.len();
        self.shared.queue([Item::Namespace(row)], bytes)
    }

    fn load_namespaces(&self) -> Result<Vec<NamespaceRow>, StoreError> {
        self.shared.read(reads::namespaces)
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

impl OnFile {
    /// Everything is written: moves it to where it stays, so that the log has nothing more to tell.
    fn close(&self) -> Result<(), String> {
        let failed = |error: rusqlite::Error| error.to_string();
        let connection = opening::open_checkpointer(&self.options).map_err(failed)?;
        self.checkpoints.last(&connection).map_err(failed)?;
        // Before the log is emptied: without this note, an empty log is one that is missing.
        self.lock.closed().map_err(|error| error.to_string())?;
        self.checkpoints.empty_log(&connection).map_err(failed)
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

fn failed(error: &dyn fmt::Display) -> StoreError {
    StoreError::Failed { reason: error.to_string().into() }
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
        let writes = writes
            .map(|batch| Write { run, history: Some(batch), visibility: None, overlay: None, wake: None })
            .collect();

        let nothing_is_written = store.while_writing();
        assert_eq!(store.admit(), Ok(()));
        store.commit(writes);
        assert_eq!(store.admit(), Err(StoreError::Busy { queued_bytes: 65 * ((1 << 20) + WRITE_BYTES) }));
        drop(nothing_is_written);

        assert_eq!(store.read_history(run, 65, ReadLimit { batches_max: 1, bytes_max: 0 }).unwrap().len(), 1);
        assert_eq!(store.admit(), Ok(()));
    }
}
