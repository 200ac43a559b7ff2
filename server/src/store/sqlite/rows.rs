//! Statements, and rows to values and back.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Row, Statement, params};

use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::store::stored::{DormantRun, Record, RecordKind, StoredRun, Wake};
use crate::visibility::PageKey;

/// `run.close_time` while a run is open.
const OPEN: i64 = i64::MAX;

/// `run.wake_time` of a run that waits for requests alone.
const WHEN_ASKED: i64 = i64::MAX;
/// `run.wake_time` of a run that has something to do.
const AT_ONCE: i64 = 0;

pub(super) const INSERT_HISTORY: &str =
    "INSERT INTO history (run, first_event, next_event, transition, events) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const UPSERT_RUN: &str = "
    INSERT INTO run (
        key, namespace, workflow_id, run_id, workflow_type, task_queue, status, start_time, execution_time, close_time,
        history_length, history_size_bytes, state_transition_count, memo, create_request_id, wake_time,
        search_attributes
    ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, coalesce(?16, 0), ?17)
    ON CONFLICT (key) DO UPDATE SET
        task_queue = ?6, status = ?7, execution_time = ?9, close_time = ?10, history_length = ?11,
        history_size_bytes = ?12, state_transition_count = ?13, memo = ?14, wake_time = coalesce(?16, wake_time),
        search_attributes = ?17";

pub(super) const UPDATE_WAKE: &str = "UPDATE run SET wake_time = ?2 WHERE key = ?1";

pub(super) const UPSERT_OVERLAY: &str =
    "INSERT INTO overlay (run, data) VALUES (?1, ?2) ON CONFLICT (run) DO UPDATE SET data = ?2";

pub(super) const UPSERT_RECORD: &str = "
    INSERT INTO record (kind, namespace, name, data) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (kind, namespace, name) DO UPDATE SET data = ?4";

pub(super) const DELETE_RECORD: &str = "DELETE FROM record WHERE kind = ?1 AND namespace = ?2 AND name = ?3";

pub(super) const DELETE_HISTORY: &str = "DELETE FROM history WHERE run = ?1";
pub(super) const DELETE_OVERLAY: &str = "DELETE FROM overlay WHERE run = ?1";
pub(super) const DELETE_RUN: &str = "DELETE FROM run WHERE key = ?1";

/// From the batch that holds event `?2`.
pub(super) const READ_HISTORY: &str = "
    SELECT first_event, next_event, transition, events FROM history
    WHERE run = ?1 AND first_event >= coalesce(
        (SELECT max(first_event) FROM history WHERE run = ?1 AND first_event <= ?2 AND next_event > ?2), ?2)
    ORDER BY first_event LIMIT ?3";

pub(super) const READ_HISTORY_BACK: &str = "
    SELECT first_event, next_event, transition, events FROM history
    WHERE run = ?1 AND first_event < ?2
    ORDER BY first_event DESC LIMIT ?3";

/// The batch that was written last, of whatever run.
pub(super) const READ_LAST_HISTORY: &str = "
    SELECT first_event, next_event, transition, events FROM history ORDER BY rowid DESC LIMIT 1";

pub(super) const READ_LAST_HISTORY_ROW: &str = "SELECT coalesce(max(rowid), 0) FROM history";

/// Open runs, the first started first.
pub(super) const READ_OPEN: &str = "
    SELECT key, namespace, workflow_id, wake_time FROM run
    WHERE namespace = ?1 AND close_time = 9223372036854775807 ORDER BY key";

pub(super) const READ_WORKFLOW_IDS: &str = "SELECT namespace, workflow_id FROM run";

pub(super) const READ_LAST_RUN: &str = "SELECT coalesce(max(key), 0) FROM run";

/// Runs of a namespace that were closed before a moment, some of them.
pub(super) const READ_CLOSED_BEFORE: &str =
    "SELECT key FROM run WHERE namespace = ?1 AND close_time < ?2 ORDER BY close_time LIMIT ?3";

/// The columns that [`read_run`] expects, in its order.
pub(super) const RUN_COLUMNS: &str = "
    key, namespace, workflow_id, run_id, workflow_type, task_queue, status, start_time, execution_time, close_time,
    history_length, history_size_bytes, state_transition_count, memo, create_request_id, wake_time,
    search_attributes";

pub(super) static FIND_RUN: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {RUN_COLUMNS} FROM run WHERE namespace = ?1 AND workflow_id = ?2 AND run_id = ?3")
});

/// The run of a workflow id that was made last.
pub(super) static FIND_CURRENT_RUN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {RUN_COLUMNS} FROM run WHERE namespace = ?1 AND workflow_id = ?2
         ORDER BY key DESC LIMIT 1"
    )
});

pub(super) const READ_OVERLAY: &str = "SELECT data FROM overlay WHERE run = ?1";

pub(super) const READ_RECORDS: &str =
    "SELECT namespace, name, data FROM record WHERE kind = ?1 ORDER BY namespace, name";

/// The same in a file of format 1, which has namespaces alone; 1 is their kind.
pub(super) const READ_RECORDS_OF_FORMAT_1: &str =
    "SELECT key, name, description FROM namespace WHERE ?1 = 1 ORDER BY key, name";

pub(super) fn bind_run(
    upsert: &mut Statement<'_>,
    run: RunKey,
    row: &VisibilityRow,
    wake: Option<Wake>,
) -> rusqlite::Result<()> {
    upsert.execute(params![
        run.0,
        row.namespace.0,
        &*row.workflow_id,
        &*row.run_id,
        &*row.workflow_type,
        &*row.task_queue,
        row.status.number(),
        row.start_time_ns,
        row.execution_time_ns,
        row.close_time_ns.unwrap_or(OPEN),
        row.history_length,
        row.history_size_bytes,
        row.state_transition_count,
        row.memo.as_deref(),
        &*row.create_request_id,
        wake.map(wake_time),
        row.search_attributes.as_deref(),
    ])?;
    Ok(())
}

pub(super) fn read_run(row: &Row<'_>) -> rusqlite::Result<(RunKey, VisibilityRow)> {
    let text = |index| row.get_ref(index)?.as_str().map(Arc::<str>::from).map_err(rusqlite::Error::from);
    let close_time: i64 = row.get(9)?;
    let visibility = VisibilityRow {
        namespace: NamespaceKey(row.get(1)?),
        workflow_id: text(2)?,
        run_id: text(3)?,
        workflow_type: text(4)?,
        task_queue: text(5)?,
        status: read_status(row, 6)?,
        start_time_ns: row.get(7)?,
        execution_time_ns: row.get(8)?,
        close_time_ns: (close_time != OPEN).then_some(close_time),
        history_length: row.get(10)?,
        history_size_bytes: row.get(11)?,
        state_transition_count: row.get(12)?,
        memo: row.get::<_, Option<Vec<u8>>>(13)?.map(Bytes::from),
        create_request_id: text(14)?,
        search_attributes: row.get_ref(16)?.as_str_or_null()?.map(Arc::from),
    };
    Ok((RunKey(row.get(0)?), visibility))
}

pub(super) fn read_stored(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    let (run, visibility) = read_run(row)?;
    Ok(StoredRun { run, visibility, overlay: None, wake: read_wake(row, 15)? })
}

pub(super) fn read_status(row: &Row<'_>, index: usize) -> rusqlite::Result<RunStatus> {
    let number = row.get(index)?;
    RunStatus::from_number(number).ok_or_else(|| {
        let unknown = format!("no run has status {number}");
        rusqlite::Error::FromSqlConversionFailure(index, Type::Integer, unknown.into())
    })
}

pub(super) fn read_batch(row: &Row<'_>) -> rusqlite::Result<HistoryBatch> {
    Ok(HistoryBatch {
        first_event_id: row.get(0)?,
        next_event_id: row.get(1)?,
        transition: row.get(2)?,
        events: row.get::<_, Vec<u8>>(3)?.into(),
    })
}

pub(super) fn read_dormant(row: &Row<'_>) -> rusqlite::Result<DormantRun> {
    Ok(DormantRun {
        run: RunKey(row.get(0)?),
        namespace: NamespaceKey(row.get(1)?),
        workflow_id: row.get_ref(2)?.as_str()?.into(),
        wake: read_wake(row, 3)?,
    })
}

fn read_wake(row: &Row<'_>, index: usize) -> rusqlite::Result<Wake> {
    Ok(match row.get(index)? {
        AT_ONCE => Wake::AtOnce,
        WHEN_ASKED => Wake::WhenAsked,
        moment => Wake::At(moment),
    })
}

/// How a wake is stored.
pub(super) fn wake_time(wake: Wake) -> i64 {
    match wake {
        Wake::AtOnce => AT_ONCE,
        Wake::At(moment) => moment,
        Wake::WhenAsked => WHEN_ASKED,
    }
}

pub(super) fn read_record(kind: RecordKind, row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        kind,
        namespace: NamespaceKey(row.get(0)?),
        name: row.get_ref(1)?.as_str()?.into(),
        data: row.get::<_, Vec<u8>>(2)?.into(),
    })
}

/// Where `close_time` sorts.
pub(super) fn close_time_order(key: &PageKey) -> i64 {
    key.close_time_ns.unwrap_or(OPEN)
}
