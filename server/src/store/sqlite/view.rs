//! Reads of a database, also while another process has it open.
//!
//! SQLite allows concurrent reads in WAL mode. A view writes nothing, neither to the database nor beside it: it does not
//! take the lock, and does not move the log into the database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::explain::{explain, is_busy};
use super::lock::{Holder, last_holder};
use super::open_error::{OpenError, sqlite_error};
use super::opening::{self, BUSY_WAIT, FileOptions};
use super::place::database_path;
use super::readers::Readers;
use super::reads::RunTable;
use super::scans::{Scan, Scans, Ticket};
use super::{migration, reads, rows, schema, version};
use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::store::commit::{CommitSeq, Write};
use crate::store::commit_hook::CommitHook;
use crate::store::durable::{Durable, Progress};
use crate::store::error::StoreError;
use crate::store::interface::Store;
use crate::store::stored::{DormantRun, ReadLimit, Record, RecordKind, StoredRun};
use crate::visibility::{Filter, PageKey};

/// The runs and records of a file at the time of each read.
pub(crate) struct FileView {
    readers: Arc<Readers>,
    scans: Scans,
    /// A progress that never fails, for calls that wait for a failure.
    progress: Arc<Progress>,
    path: PathBuf,
    advice: Arc<str>,
}

/// Facts about a viewed file.
#[derive(Debug)]
pub(crate) struct Viewed {
    /// The kind of clock of the file.
    pub(crate) clock: String,
    /// The batch that was written last.
    pub(crate) last_batch: Option<HistoryBatch>,
}

/// The number of a commit that is never made.
const NEVER: CommitSeq = CommitSeq(u64::MAX);

impl FileView {
    /// Opens a file to read it.
    ///
    /// # Errors
    ///
    /// Returns the reason why the file cannot be viewed, with the remedy.
    pub(crate) fn open(path: &Path) -> Result<(Self, Viewed), OpenError> {
        let path = database_path(path)?;
        version::check().map_err(|reason| OpenError::Sqlite { path: path.clone(), reason })?;
        match std::fs::metadata(&path) {
            Ok(file) if file.is_dir() => return Err(OpenError::folder(&path)),
            Ok(file) if file.is_file() => {}
            Ok(_) | Err(_) => return Err(OpenError::NoFile { path }),
        }
        let options = FileOptions {
            path: path.clone(),
            clock: "",
            vfs: None,
            pages_max: None,
            busy_wait: BUSY_WAIT,
            hook: CommitHook::default(),
        };
        let readers = Readers::new(options);
        let viewed = readers.read(|connection| check(connection, &path));
        let viewed = viewed.map_err(|error| sqlite_error(&path, &error))??;
        let advice = advice(&path, last_holder(&path).as_ref()).into();
        let view = Self { readers: Arc::new(readers), scans: Scans::default(), progress: Arc::default(), path, advice };
        Ok((view, viewed))
    }

    fn refusal(&self) -> StoreError {
        StoreError::ReadOnly { path: self.path.display().to_string().into(), advice: Arc::clone(&self.advice) }
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.readers.read(|connection| read(connection)).map_err(|error| failed(&self.path, &error))
    }

    fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Scan<T> {
        let (readers, path) = (Arc::clone(&self.readers), self.path.clone());
        self.scans.start(move |ticket: &Ticket| {
            let result = readers.read(|connection| ticket.watch(connection, read));
            result.map_err(|error| ticket.explain(&error).unwrap_or_else(|| failed(&path, &error)))
        })
    }
}

/// Checks that the file belongs to an engine and has a format that this program reads. Older formats are not migrated.
fn check(connection: &Connection, path: &Path) -> rusqlite::Result<Result<Viewed, OpenError>> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let path = || path.to_owned();
    let application_id = number("application_id")?;
    if application_id != schema::APPLICATION_ID {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let is_empty = application_id == 0 && tables == 0;
        let reason = || "it is empty: no program has written to it yet".to_owned();
        return Ok(Err(match is_empty {
            true => OpenError::Failed { path: path(), reason: reason() },
            false => OpenError::Foreign { path: path() },
        }));
    }
    let (found, known) = (number("user_version")?, migration::VERSION);
    if found > known {
        return Ok(Err(OpenError::Newer { path: path(), found, known }));
    }
    let clock = opening::meta(connection, "clock")?.unwrap_or_default();
    let last_batch = connection.query_row(rows::READ_LAST_HISTORY, [], rows::read_batch).optional()?;
    Ok(Ok(Viewed { clock, last_batch }))
}

/// Advice for changing the content of the file. A killed process cannot be distinguished from one that has the file open.
fn advice(path: &Path, holder: Option<&Holder>) -> String {
    let serve = format!("`everloop server start-dev --db-filename {}`", path.display());
    match holder {
        Some(Holder { pid, address: Some(address), .. }) => format!(
            "process {pid} has it open and listens on {address}: use that address instead of the file; if the process was \
             killed, {serve} serves the file"
        ),
        Some(Holder { pid, address: None, .. }) => format!(
            "process {pid} has it open and does not listen: let it call `client.serve(\"127.0.0.1:7233\")`, and use that \
             address instead of the file; if the process was killed, {serve} serves the file"
        ),
        None => {
            format!("start the program that it belongs to, or {serve}, and use the address of that instead of the file")
        }
    }
}

fn failed(path: &Path, error: &rusqlite::Error) -> StoreError {
    let reason = explain(path, error).into();
    if is_busy(error) { StoreError::Locked { reason } } else { StoreError::Failed { reason } }
}

impl Store for FileView {
    fn new_run(&self) -> RunKey {
        // Requests that create runs are rejected before. No key in the file is as large.
        RunKey(i64::MAX)
    }

    fn admit(&self) -> Result<(), StoreError> {
        Err(self.refusal())
    }

    fn commit(&self, _writes: Vec<Write>) -> CommitSeq {
        NEVER
    }

    fn durable(&self, seq: CommitSeq) -> Durable {
        Durable::known(if seq == NEVER { Err(self.refusal()) } else { Ok(()) })
    }

    fn is_durable(&self, seq: CommitSeq) -> bool {
        seq != NEVER
    }

    fn caught_up(&self) -> Durable {
        Durable::known(Ok(()))
    }

    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn failed(&self) -> Durable {
        self.progress.wait(NEVER)
    }

    fn outlives_process(&self) -> bool {
        true
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn open_runs(&self) -> Result<Vec<DormantRun>, StoreError> {
        self.read(reads::open_runs)
    }

    fn forget_closed(&self, _namespace: NamespaceKey, _before_ns: i64) {
        // The process that has the file open removes old runs.
    }

    fn listens_on(&self, _address: &str) -> Result<(), StoreError> {
        // A reader need not record its address.
        Ok(())
    }

    fn stops_listening_on(&self, _address: &str) {}

    fn read_history(&self, run: RunKey, from_event_id: i64, limit: ReadLimit) -> Result<Vec<HistoryBatch>, StoreError> {
        self.read(|connection| reads::batches(connection, rows::READ_HISTORY, run, from_event_id, limit))
    }

    fn read_history_back(
        &self,
        run: RunKey,
        before_event_id: i64,
        limit: ReadLimit,
    ) -> Result<Vec<HistoryBatch>, StoreError> {
        self.read(|connection| reads::batches(connection, rows::READ_HISTORY_BACK, run, before_event_id, limit))
    }

    fn find_run(
        &self,
        namespace: NamespaceKey,
        workflow_id: &str,
        run_id: Option<&str>,
    ) -> Result<Option<StoredRun>, StoreError> {
        self.read(|connection| {
            RunTable::of_any_format(connection, |connection, table| {
                reads::run(connection, table, namespace, workflow_id, run_id)
            })
        })
    }

    fn workflow_ids(&self, visit: &mut dyn FnMut(NamespaceKey, &str)) -> Result<(), StoreError> {
        self.read(|connection| reads::workflow_ids(connection, visit))
    }

    fn list(
        &self,
        namespace: NamespaceKey,
        filter: &Filter,
        after: Option<PageKey>,
        page_size: usize,
    ) -> Scan<(Vec<VisibilityRow>, Option<PageKey>)> {
        let list = reads::list(namespace, filter, after, page_size);
        self.scan(|connection| RunTable::of_any_format(connection, list))
    }

    fn count(&self, namespace: NamespaceKey, filter: &Filter) -> Scan<Vec<(RunStatus, i64)>> {
        let count = reads::count(namespace, filter);
        self.scan(|connection| RunTable::of_any_format(connection, count))
    }

    fn save_record(&self, _record: Record) -> CommitSeq {
        NEVER
    }

    fn load_records(&self, kind: RecordKind) -> Result<Vec<Record>, StoreError> {
        self.read(|connection| reads::records(connection, kind))
    }
}

impl Drop for FileView {
    fn drop(&mut self) {
        self.scans.stop();
    }
}

impl fmt::Debug for FileView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileView").field("path", &self.path).finish_non_exhaustive()
    }
}
