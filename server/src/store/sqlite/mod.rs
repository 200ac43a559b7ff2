//! The store on SQLite, in memory.
//!
//! Commits go into a queue; one writer thread takes everything that waits and writes it in one transaction. A read
//! takes the connection and writes the waiting group itself before it looks, so it never waits for the thread to wake.

mod database;
mod rows;
mod schema;

use std::fmt;
use std::future::ready;
use std::mem;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use self::database::Database;
use super::{
    CommitSeq, Durable, HistoryBatch, NamespaceKey, NamespaceRow, ReadLimit, RunKey, Store, StoreError, StoredRun,
    Write,
};
use crate::visibility::{Filter, PageKey, RunStatus, VisibilityRow, sql};

/// Memory for closed runs, and open ones' history.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Waiting bytes from which new requests are turned away.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// Nobody waits for the writer of a store in memory, so it lets a group gather: fewer wakes, and a run that starts and
/// closes within the group costs one visibility row.
const GATHER: Duration = Duration::from_millis(5);

/// What a queued write costs besides its blobs.
const WRITE_BYTES: usize = 256;

/// Runs and namespaces in an SQLite database.
pub(crate) struct SqliteStore {
    shared: Arc<Shared>,
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
    /// Set once, by the first write that fails.
    failure: OnceLock<Arc<str>>,
}

#[derive(Debug, Default)]
struct Queue {
    writes: Vec<Write>,
    last_seq: u64,
    writer_sleeps: bool,
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
    pub(super) fn memory_of(size_bytes_max: u64) -> Result<Self, StoreError> {
        let connection = schema::open_memory().map_err(|error| failed(&error))?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            queued_bytes: AtomicUsize::new(0),
            database: Mutex::new(Database::new(connection, size_bytes_max)),
            last_run: AtomicI64::new(0),
            failure: OnceLock::new(),
        });
        let writer = thread::Builder::new().name("everloop-writer".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.write_until_closed()
        });
        Ok(Self { shared, writer: Some(writer.map_err(|error| failed(&error))?) })
    }
}

impl Shared {
    fn write_until_closed(&self) {
        loop {
            let mut queue = self.lock_queue();
            while queue.writes.is_empty() && !queue.closed {
                queue.writer_sleeps = true;
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.writer_sleeps = false;
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

    /// The database, with everything written that was queued before.
    fn caught_up(&self) -> Result<MutexGuard<'_, Database>, StoreError> {
        // Poisoned means that a write panicked: nobody knows what of it is there.
        let mut database = self.database.lock().map_err(|_| self.fail("a write panicked"))?;
        self.check()?;
        {
            let mut queue = self.lock_queue();
            mem::swap(&mut queue.writes, &mut database.group);
            self.queued_bytes.store(0, Ordering::Relaxed);
        }
        if !database.group.is_empty() {
            database.write_group().map_err(|error| self.fail(error.to_string()))?;
        }
        Ok(database)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        read(&self.caught_up()?.connection).map_err(|error| failed(&error))
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            Some(reason) => Err(StoreError::Failed { reason: Arc::clone(reason) }),
            None => Ok(()),
        }
    }

    fn fail(&self, reason: impl Into<Arc<str>>) -> StoreError {
        StoreError::Failed { reason: Arc::clone(self.failure.get_or_init(|| reason.into())) }
    }

    fn lock_queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic happens under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    fn new_run(&self) -> RunKey {
        RunKey(self.shared.last_run.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn admit(&self) -> Result<(), StoreError> {
        self.shared.check()?;
        match self.shared.queued_bytes.load(Ordering::Relaxed) {
            queued_bytes if queued_bytes > QUEUED_BYTES_MAX => Err(StoreError::Busy { queued_bytes }),
            _ => Ok(()),
        }
    }

    fn commit(&self, writes: Vec<Write>) -> CommitSeq {
        let bytes = writes.iter().map(size_bytes).sum();
        let (seq, writer_slept) = {
            let mut queue = self.shared.lock_queue();
            self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
            queue.writes.extend(writes);
            queue.last_seq += 1;
            (CommitSeq(queue.last_seq), mem::take(&mut queue.writer_sleeps))
        };
        if writer_slept {
            self.shared.wake.notify_one();
        }
        seq
    }

    fn durable(&self, _: CommitSeq) -> Durable {
        Box::pin(ready(self.shared.check()))
    }

    fn read_history(&self, run: RunKey, from_event_id: i64, limit: ReadLimit) -> Result<Vec<HistoryBatch>, StoreError> {
        self.shared.read(|connection| read_batches(connection, rows::READ_HISTORY, run, from_event_id, limit))
    }

    fn read_history_back(
        &self,
        run: RunKey,
        before_event_id: i64,
        limit: ReadLimit,
    ) -> Result<Vec<HistoryBatch>, StoreError> {
        self.shared.read(|connection| read_batches(connection, rows::READ_HISTORY_BACK, run, before_event_id, limit))
    }

    fn find_run(
        &self,
        namespace: NamespaceKey,
        workflow_id: &str,
        run_id: Option<&str>,
    ) -> Result<Option<StoredRun>, StoreError> {
        self.shared.read(|connection| {
            let sql = format!(
                "SELECT {} FROM run WHERE namespace = ?1 AND workflow_id = ?2 AND (?3 IS NULL OR run_id = ?3)
                 ORDER BY key DESC LIMIT 1",
                rows::RUN_COLUMNS
            );
            let mut find = connection.prepare_cached(&sql)?;
            let found = find.query_row(params![namespace.0, workflow_id, run_id], rows::read_run).optional()?;
            let Some((run, visibility)) = found else { return Ok(None) };
            let mut read_overlay = connection.prepare_cached(rows::READ_OVERLAY)?;
            let overlay = read_overlay.query_row([run.0], |row| row.get::<_, Vec<u8>>(0)).optional()?;
            Ok(Some(StoredRun { run, visibility, overlay: overlay.map(Into::into) }))
        })
    }

    fn list(
        &self,
        namespace: NamespaceKey,
        filter: &Filter,
        after: Option<PageKey>,
        page_size: usize,
    ) -> Result<(Vec<VisibilityRow>, Option<PageKey>), StoreError> {
        let mut sql = format!("SELECT {} FROM run WHERE namespace = ?", rows::RUN_COLUMNS);
        let mut values = vec![Value::Integer(namespace.0)];
        sql::push_condition(filter, &mut sql, &mut values);
        if let Some(key) = after {
            sql.push_str(" AND close_time <= ? AND (-close_time, -start_time, key) > (-?, -?, ?)");
            let close_time = rows::close_time_order(&key);
            values.extend([close_time, close_time, key.start_time_ns, key.run.0].map(Value::Integer));
        }
        sql.push_str(" ORDER BY close_time DESC, start_time DESC, key LIMIT ?");
        // One more than asked for tells whether another page follows.
        values.push(Value::Integer(page_size.saturating_add(1).try_into().unwrap_or(i64::MAX)));
        let mut found = self.shared.read(|connection| {
            let mut list = connection.prepare_cached(&sql)?;
            list.query_map(params_from_iter(values), rows::read_run)?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let has_more = found.len() > page_size;
        found.truncate(page_size);
        let next = found.last().filter(|_| has_more).map(|(run, row)| PageKey {
            close_time_ns: row.close_time_ns,
            start_time_ns: row.start_time_ns,
            run: *run,
        });
        Ok((found.into_iter().map(|(_, row)| row).collect(), next))
    }

    fn count(&self, namespace: NamespaceKey, filter: &Filter) -> Result<Vec<(RunStatus, i64)>, StoreError> {
        let mut sql = "SELECT status, count(*) FROM run WHERE namespace = ?".to_owned();
        let mut values = vec![Value::Integer(namespace.0)];
        sql::push_condition(filter, &mut sql, &mut values);
        sql.push_str(" GROUP BY status ORDER BY status");
        self.shared.read(|connection| {
            let mut count = connection.prepare_cached(&sql)?;
            let counts =
                count.query_map(params_from_iter(values), |row| Ok((rows::read_status(row, 0)?, row.get(1)?)))?;
            counts.collect()
        })
    }

    fn save_namespace(&self, row: NamespaceRow) -> Result<(), StoreError> {
        let database = self.shared.caught_up()?;
        database.save_namespace(&row).map_err(|error| self.shared.fail(error.to_string()))
    }

    fn load_namespaces(&self) -> Result<Vec<NamespaceRow>, StoreError> {
        self.shared.read(|connection| {
            let mut load = connection.prepare_cached(rows::READ_NAMESPACES)?;
            load.query_map([], rows::read_namespace)?.collect()
        })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.shared.lock_queue().closed = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            // It only ends early by a panic, which its own thread has reported.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

fn read_batches(
    connection: &Connection,
    sql: &str,
    run: RunKey,
    event_id: i64,
    limit: ReadLimit,
) -> rusqlite::Result<Vec<HistoryBatch>> {
    let mut read = connection.prepare_cached(sql)?;
    let batches_max = i64::try_from(limit.batches_max.max(1)).unwrap_or(i64::MAX);
    let mut rows = read.query(params![run.0, event_id, batches_max])?;
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let batch = rows::read_batch(row)?;
        bytes += batch.events.len();
        if bytes > limit.bytes_max && !batches.is_empty() {
            break;
        }
        batches.push(batch);
    }
    Ok(batches)
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
        let history = HistoryBatch { first_event_id: 1, next_event_id: 2, events };
        let writes = (1..=65).map(|id| HistoryBatch { first_event_id: id, next_event_id: id + 1, ..history.clone() });
        let writes = writes.map(|batch| Write { run, history: Some(batch), visibility: None, overlay: None }).collect();

        let nothing_is_written = store.shared.database.lock().unwrap();
        assert_eq!(store.admit(), Ok(()));
        store.commit(writes);
        assert_eq!(store.admit(), Err(StoreError::Busy { queued_bytes: 65 * ((1 << 20) + WRITE_BYTES) }));
        drop(nothing_is_written);

        assert_eq!(store.read_history(run, 65, ReadLimit { batches_max: 1, bytes_max: 0 }).unwrap().len(), 1);
        assert_eq!(store.admit(), Ok(()));
    }
}
