//! Groups of writes become rows.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rusqlite::{Connection, params};

use super::rows;
use crate::store::{HistoryBatch, NamespaceRow, RunKey, Write};
use crate::visibility::VisibilityRow;

/// How many runs are dropped between two looks at the size.
const DROPS_PER_LOOK: usize = 64;

/// The connection, and what the writer remembers between groups.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    /// The group being written, empty between groups; here so that its allocation is used again.
    pub(super) group: Vec<Write>,
    /// Closed runs, the first closed first: what goes when memory is full.
    closed: VecDeque<RunKey>,
    size_bytes_max: u64,
    warned: bool,
}

/// The last state of one run in a group: a run that starts and closes within the group costs one row, written once.
#[derive(Default)]
struct RunChange {
    visibility: Option<Box<VisibilityRow>>,
    overlay: Option<Bytes>,
}

impl Database {
    pub(super) fn new(connection: Connection, size_bytes_max: u64) -> Self {
        Self { connection, group: Vec::new(), closed: VecDeque::new(), size_bytes_max, warned: false }
    }

    /// Writes the group in one transaction and empties it.
    pub(super) fn write_group(&mut self) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        let mut changes = BTreeMap::<RunKey, RunChange>::new();
        {
            let mut insert = transaction.prepare_cached(rows::INSERT_HISTORY)?;
            for write in self.group.drain(..) {
                if let Some(batch) = &write.history {
                    let HistoryBatch { first_event_id, next_event_id, events } = batch;
                    insert.execute(params![write.run.0, first_event_id, next_event_id, &events[..]])?;
                }
                if write.visibility.is_some() || write.overlay.is_some() {
                    let change = changes.entry(write.run).or_default();
                    change.visibility = write.visibility.or(change.visibility.take());
                    change.overlay = write.overlay.or(change.overlay.take());
                }
            }
            let mut upsert_run = transaction.prepare_cached(rows::UPSERT_RUN)?;
            let mut upsert_overlay = transaction.prepare_cached(rows::UPSERT_OVERLAY)?;
            let mut delete_overlay = transaction.prepare_cached(rows::DELETE_OVERLAY)?;
            for (run, change) in changes {
                if let Some(row) = change.visibility {
                    rows::bind_run(&mut upsert_run, run, &row)?;
                    if row.close_time_ns.is_some() {
                        self.closed.push_back(run);
                    }
                }
                match change.overlay {
                    Some(data) if data.is_empty() => delete_overlay.execute([run.0])?,
                    Some(data) => upsert_overlay.execute(params![run.0, &data[..]])?,
                    None => continue,
                };
            }
        }
        transaction.commit()?;
        self.drop_oldest()
    }

    pub(super) fn save_namespace(&self, row: &NamespaceRow) -> rusqlite::Result<()> {
        let mut upsert = self.connection.prepare_cached(rows::UPSERT_NAMESPACE)?;
        upsert.execute(params![row.namespace.0, &*row.name, &row.description[..]])?;
        Ok(())
    }

    /// Drops the runs closed longest ago while there is too much.
    fn drop_oldest(&mut self) -> rusqlite::Result<()> {
        while !self.closed.is_empty() && self.size_bytes()? > self.size_bytes_max {
            if !self.warned {
                self.warned = true;
                tracing::warn!(
                    limit_bytes = self.size_bytes_max,
                    "memory for runs is full: from now on the runs closed longest ago are forgotten"
                );
            }
            let transaction = self.connection.unchecked_transaction()?;
            let oldest = DROPS_PER_LOOK.min(self.closed.len());
            for run in self.closed.drain(..oldest) {
                for delete in [rows::DELETE_HISTORY, rows::DELETE_OVERLAY, rows::DELETE_RUN] {
                    transaction.prepare_cached(delete)?.execute([run.0])?;
                }
            }
            transaction.commit()?;
        }
        Ok(())
    }

    /// Bytes of the pages in use.
    fn size_bytes(&self) -> rusqlite::Result<u64> {
        let number = |sql| self.connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
        let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
        Ok((pages * number("PRAGMA page_size")?).unsigned_abs())
    }
}
