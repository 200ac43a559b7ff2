//! Reads from a database, over any connection.

use std::borrow::Cow;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::{migration, rows};
use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::store::stored::{DormantRun, ReadLimit, Record, RecordKind, StoredRun};
use crate::visibility::{Filter, PageKey, sql};

pub(super) fn open_runs(connection: &Connection) -> rusqlite::Result<Vec<DormantRun>> {
    let mut runs = Vec::new();
    let mut read = connection.prepare_cached(rows::READ_OPEN)?;
    for namespace in records(connection, RecordKind::Namespace)? {
        for run in read.query_map([namespace.namespace.0], rows::read_dormant)? {
            runs.push(run?);
        }
    }
    Ok(runs)
}

/// All records of a kind, also of a file in an older format: a view does not migrate, while another process may.
pub(super) fn records(connection: &Connection, kind: RecordKind) -> rusqlite::Result<Vec<Record>> {
    // One transaction, so that the format holds until the rows are read.
    let transaction = connection.unchecked_transaction()?;
    let sql = match migration::format(&transaction)? {
        1 => rows::READ_RECORDS_OF_FORMAT_1,
        _ => rows::READ_RECORDS,
    };
    let mut read = transaction.prepare_cached(sql)?;
    read.query_map([kind as i64], |row| rows::read_record(kind, row))?.collect()
}

/// The form of the table of runs, as the beginning of a statement that reads it.
#[derive(Clone, Copy)]
pub(super) struct RunTable(&'static str);

impl RunTable {
    /// The form that this program writes.
    pub(super) const CURRENT: Self = Self("");
    /// Before format 3, runs had no search attributes.
    const BEFORE_3: Self = Self("WITH run AS (SELECT *, NULL AS search_attributes FROM main.run) ");

    /// Reads runs, also of a file in an older format.
    pub(super) fn of_any_format<T>(
        connection: &Connection,
        read: impl FnOnce(&Connection, Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // One transaction, so that the format holds until the rows are read.
        let transaction = connection.unchecked_transaction()?;
        let table = if migration::format(&transaction)? < 3 { Self::BEFORE_3 } else { Self::CURRENT };
        read(&transaction, table)
    }

    fn read(self, select: &str) -> Cow<'_, str> {
        if self.0.is_empty() { select.into() } else { format!("{}{select}", self.0).into() }
    }
}

/// The run with a workflow id and a run id; without a run id, the run that was created last.
pub(super) fn run(
    connection: &Connection,
    table: RunTable,
    namespace: NamespaceKey,
    workflow_id: &str,
    run_id: Option<&str>,
) -> rusqlite::Result<Option<StoredRun>> {
    let found = match run_id {
        Some(run_id) => connection
            .prepare_cached(&table.read(&rows::FIND_RUN))?
            .query_row(params![namespace.0, workflow_id, run_id], rows::read_stored),
        None => connection
            .prepare_cached(&table.read(&rows::FIND_CURRENT_RUN))?
            .query_row(params![namespace.0, workflow_id], rows::read_stored),
    };
    let Some(found) = found.optional()? else { return Ok(None) };
    let mut read_overlay = connection.prepare_cached(rows::READ_OVERLAY)?;
    let overlay = read_overlay.query_row([found.run.0], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    Ok(Some(StoredRun { overlay: overlay.map(Into::into), ..found }))
}

pub(super) fn batches(
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

/// Calls `visit` with the workflow id of every run.
pub(super) fn workflow_ids(connection: &Connection, visit: &mut dyn FnMut(NamespaceKey, &str)) -> rusqlite::Result<()> {
    let mut read = connection.prepare_cached(rows::READ_WORKFLOW_IDS)?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        visit(NamespaceKey(row.get(0)?), row.get_ref(1)?.as_str()?);
    }
    Ok(())
}

/// A page of matching runs, and where the next one begins.
pub(super) fn list(
    namespace: NamespaceKey,
    filter: &Filter,
    after: Option<PageKey>,
    page_size: usize,
) -> impl FnOnce(&Connection, RunTable) -> rusqlite::Result<(Vec<VisibilityRow>, Option<PageKey>)> + Send + use<> {
    let mut sql = format!("SELECT {} FROM run WHERE namespace = ?", rows::RUN_COLUMNS);
    let mut values = vec![Value::Integer(namespace.0)];
    sql::push_condition(filter, &mut sql, &mut values);
    if let Some(key) = after {
        sql.push_str(" AND close_time <= ? AND (-close_time, -start_time, key) > (-?, -?, ?)");
        let close_time = rows::close_time_order(&key);
        values.extend([close_time, close_time, key.start_time_ns, key.run.0].map(Value::Integer));
    }
    sql.push_str(" ORDER BY close_time DESC, start_time DESC, key LIMIT ?");
    // One more row than the page shows whether another page follows.
    values.push(Value::Integer(page_size.saturating_add(1).try_into().unwrap_or(i64::MAX)));
    move |connection, table| {
        let mut list = connection.prepare_cached(&table.read(&sql))?;
        let rows = list.query_map(params_from_iter(values), rows::read_run)?;
        let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let has_more = found.len() > page_size;
        found.truncate(page_size);
        let next = found.last().filter(|_| has_more).map(|(run, row)| PageKey {
            close_time_ns: row.close_time_ns,
            start_time_ns: row.start_time_ns,
            run: *run,
        });
        Ok((found.into_iter().map(|(_, row)| row).collect(), next))
    }
}

/// The number of matching runs by status.
pub(super) fn count(
    namespace: NamespaceKey,
    filter: &Filter,
) -> impl FnOnce(&Connection, RunTable) -> rusqlite::Result<Vec<(RunStatus, i64)>> + Send + use<> {
    let mut sql = "SELECT status, count(*) FROM run WHERE namespace = ?".to_owned();
    let mut values = vec![Value::Integer(namespace.0)];
    sql::push_condition(filter, &mut sql, &mut values);
    sql.push_str(" GROUP BY status ORDER BY status");
    move |connection, table| {
        let mut count = connection.prepare_cached(&table.read(&sql))?;
        let counts = count.query_map(params_from_iter(values), |row| Ok((rows::read_status(row, 0)?, row.get(1)?)))?;
        counts.collect()
    }
}
