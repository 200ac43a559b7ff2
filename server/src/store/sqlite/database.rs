//! Groups of writes become rows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::explain::is_busy;
use super::lock::{Lock, Written};
use super::{opening, rows};
use crate::model::{HistoryBatch, NamespaceKey, RunKey, VisibilityRow};
use crate::store::commit::Write;
use crate::store::commit_hook::{CommitHook, CommitStep};
use crate::store::stored::{Record, Wake};

/// How many runs are dropped between two looks at the size, or in one step of retention.
pub(super) const DROPS_PER_STEP: usize = 64;

/// One thing to write.
#[derive(Debug)]
pub(super) enum Item {
    Run(Write),
    Record(Record),
    Meta(&'static str, &'static str),
}

/// The connection, and what the writer remembers between groups.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    /// The group being written, empty between groups; here so that its allocation is used again.
    pub(super) group: Vec<Item>,
    kind: Kind,
    hook: CommitHook,
}

#[derive(Debug)]
enum Kind {
    Memory {
        size_bytes_max: u64,
        /// Closed runs, the first closed first: what goes when memory is full.
        closed: VecDeque<RunKey>,
        warned: bool,
    },
    File {
        /// Where the progress is noted.
        lock: Arc<Lock>,
        written: Written,
        warned: bool,
    },
}

/// The last state of one run in a group: a run that starts and closes within the group costs one row, written once.
#[derive(Default)]
struct RunChange {
    visibility: Option<Box<VisibilityRow>>,
    overlay: Option<Bytes>,
    wake: Option<Wake>,
}

impl Database {
    /// A database in memory, which forgets the runs closed longest ago from that size on.
    pub(super) fn memory(connection: Connection, size_bytes_max: u64) -> Self {
        let kind = Kind::Memory { size_bytes_max, closed: VecDeque::new(), warned: false };
        Self { connection, group: Vec::new(), kind, hook: CommitHook::default() }
    }

    pub(super) fn file(connection: Connection, hook: CommitHook, lock: Arc<Lock>, written: Written) -> Self {
        Self { connection, group: Vec::new(), kind: Kind::File { lock, written, warned: false }, hook }
    }

    /// Begins a transaction that writes. [`is_busy`] tells when another program has the lock: then nothing has
    /// happened, and it can be tried again.
    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.hook.reached(CommitStep::Begin);
        self.run("BEGIN IMMEDIATE")
    }

    /// Writes the group and ends the transaction that was begun. The group is empty then.
    pub(super) fn write_group(&mut self) -> rusqlite::Result<()> {
        let mut items = std::mem::take(&mut self.group);
        let done = write_items(&self.connection, items.drain(..), &mut self.kind).and_then(|last_history| {
            if last_history.is_none() && matches!(self.kind, Kind::File { .. }) {
                self.run(opening::COUNT_COMMIT)?;
            }
            self.hook.reached(CommitStep::BeforeCommit);
            self.run("COMMIT")?;
            Ok(last_history)
        });
        // Its allocation is used again.
        self.group = items;
        if done.is_err()
            && let Err(error) = self.run("ROLLBACK")
        {
            // The error of the write is the one to report: some failures have ended the transaction themselves.
            tracing::debug!(%error, "no transaction to roll back");
        }
        let last_history = done?;
        self.hook.reached(CommitStep::Committed);
        self.kind.note(|written| match last_history {
            Some(row) => written.history = row,
            None => written.without_history += 1,
        });
        self.drop_oldest()
    }

    /// Lets go of some runs that were closed before a moment; returns whether that was all. While another program has the
    /// lock, nothing goes.
    pub(super) fn forget_closed(&mut self, namespace: NamespaceKey, before_ns: i64) -> rusqlite::Result<bool> {
        let mut find = self.connection.prepare_cached(rows::READ_CLOSED_BEFORE)?;
        let found =
            find.query_map(params![namespace.0, before_ns, DROPS_PER_STEP as i64], |row| Ok(RunKey(row.get(0)?)))?;
        let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
        let is_all = found.len() < DROPS_PER_STEP;
        drop(find);
        if found.is_empty() {
            return Ok(true);
        }
        match delete_runs(&self.connection, found, &mut self.kind) {
            Ok(()) => Ok(is_all),
            Err(error) if is_busy(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Drops the runs closed longest ago while there is too much.
    fn drop_oldest(&mut self) -> rusqlite::Result<()> {
        loop {
            let Kind::Memory { size_bytes_max, closed, warned } = &mut self.kind else { return Ok(()) };
            if closed.is_empty() || size_bytes(&self.connection)? <= *size_bytes_max {
                return Ok(());
            }
            if !*warned {
                *warned = true;
                tracing::warn!(
                    limit_bytes = *size_bytes_max,
                    "memory for runs is full: from now on the runs closed longest ago are forgotten"
                );
            }
            let oldest: Vec<_> = closed.drain(..DROPS_PER_STEP.min(closed.len())).collect();
            delete_runs(&self.connection, oldest, &mut self.kind)?;
        }
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

impl Kind {
    /// Notes beside a file what it has now. Without that note, a log that another program has taken in counts as missing.
    fn note(&mut self, change: impl FnOnce(&mut Written)) {
        let Self::File { lock, written, warned } = self else { return };
        change(written);
        if let Err(error) = lock.wrote(*written)
            && !std::mem::replace(warned, true)
        {
            tracing::warn!(%error, "cannot note beside the database what was written last");
        }
    }
}

/// Writes the items; returns the row of the last history batch, if there was one.
fn write_items(
    connection: &Connection,
    items: impl Iterator<Item = Item>,
    kind: &mut Kind,
) -> rusqlite::Result<Option<i64>> {
    let mut last_history = None;
    let mut changes = BTreeMap::<RunKey, RunChange>::new();
    let mut insert = connection.prepare_cached(rows::INSERT_HISTORY)?;
    for item in items {
        let write = match item {
            Item::Run(write) => write,
            Item::Record(record) => {
                write_record(connection, &record)?;
                continue;
            }
            Item::Meta(name, value) => {
                opening::set_meta(connection, name, value)?;
                continue;
            }
        };
        if let Some(batch) = &write.history {
            let HistoryBatch { first_event_id, next_event_id, transition, events } = batch;
            insert.execute(params![write.run.0, first_event_id, next_event_id, transition, &events[..]])?;
            last_history = Some(connection.last_insert_rowid());
        }
        match &write.outbox {
            Some(Record { kind, namespace, name, data }) if data.is_empty() => {
                let mut delete = connection.prepare_cached(rows::DELETE_RECORD)?;
                delete.execute(params![*kind as i64, namespace.0, &**name])?;
            }
            Some(outbox) => write_record(connection, outbox)?,
            None => {}
        }
        if write.visibility.is_some() || write.overlay.is_some() || write.wake.is_some() {
            let change = changes.entry(write.run).or_default();
            change.visibility = write.visibility.or(change.visibility.take());
            change.overlay = write.overlay.or(change.overlay.take());
            change.wake = write.wake.or(change.wake);
        }
    }
    let mut upsert_run = connection.prepare_cached(rows::UPSERT_RUN)?;
    let mut update_wake = connection.prepare_cached(rows::UPDATE_WAKE)?;
    let mut upsert_overlay = connection.prepare_cached(rows::UPSERT_OVERLAY)?;
    let mut delete_overlay = connection.prepare_cached(rows::DELETE_OVERLAY)?;
    for (run, change) in changes {
        match (change.visibility, change.wake, &mut *kind) {
            (Some(row), wake, kind) => {
                rows::bind_run(&mut upsert_run, run, &row, wake)?;
                if let Kind::Memory { closed, .. } = kind
                    && row.close_time_ns.is_some()
                {
                    closed.push_back(run);
                }
            }
            // Nobody opens a database in memory again.
            (None, Some(wake), Kind::File { .. }) => drop(update_wake.execute([run.0, rows::wake_time(wake)])?),
            (None, ..) => {}
        }
        match change.overlay {
            Some(data) if data.is_empty() => drop(delete_overlay.execute([run.0])?),
            Some(data) => drop(upsert_overlay.execute(params![run.0, &data[..]])?),
            None => {}
        }
    }
    Ok(last_history)
}

/// Writes a record: a new one, or in place of the one with its name.
fn write_record(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let Record { kind, namespace, name, data } = record;
    let mut upsert = connection.prepare_cached(rows::UPSERT_RECORD)?;
    upsert.execute(params![*kind as i64, namespace.0, &**name, &data[..]])?;
    Ok(())
}

/// Deletes everything of some runs, in one transaction.
fn delete_runs(
    connection: &Connection,
    runs: impl IntoIterator<Item = RunKey>,
    kind: &mut Kind,
) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for run in runs {
        for delete in [rows::DELETE_HISTORY, rows::DELETE_OVERLAY, rows::DELETE_RUN] {
            transaction.prepare_cached(delete)?.execute([run.0])?;
        }
    }
    if matches!(kind, Kind::File { .. }) {
        // Rows at the end may have gone. Noted before the commit: what is noted is there at any time.
        let last_history = opening::read_last_history(&transaction)?;
        kind.note(|written| written.history = written.history.min(last_history));
    }
    transaction.commit()
}

/// Bytes of the pages in use.
fn size_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    Ok((pages * number("PRAGMA page_size")?).unsigned_abs())
}
