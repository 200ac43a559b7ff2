//! The trait of a store.

use std::fmt::Debug;

use super::commit::{CommitSeq, Write};
use super::durable::Durable;
use super::error::StoreError;
use super::sqlite::scans::Scan;
use super::stored::{DormantRun, ReadLimit, Record, RecordKind, StoredRun};
use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::visibility::{Filter, PageKey};

/// Storage of runs and records.
pub(crate) trait Store: Debug + Send + Sync + 'static {
    /// Makes the key of a new run.
    fn new_run(&self) -> RunKey;

    /// Whether a new request may begin: asked once at the edge, never inside a transition.
    ///
    /// # Errors
    ///
    /// `Failed` after a failed write, `Busy` while too much waits to be written.
    fn admit(&self) -> Result<(), StoreError>;

    /// Queues the writes as one atomic unit, behind all earlier ones. Returns at once, and cannot fail: what goes
    /// wrong later is told by [`Store::durable`] and [`Store::admit`].
    ///
    /// Writes to one run must be queued in the order of its transitions: call it under the run's lock.
    fn commit(&self, writes: Vec<Write>) -> CommitSeq;

    /// Waits until that commit is as durable as this store makes it. A store in memory answers at once.
    ///
    /// # Errors
    ///
    /// `Failed`, when the commit may be lost.
    fn durable(&self, seq: CommitSeq) -> Durable;

    /// Whether [`Store::durable`] would answer at once that it is.
    fn is_durable(&self, seq: CommitSeq) -> bool;

    /// Waits for everything that was queued so far: a read that follows sees it.
    ///
    /// # Errors
    ///
    /// `Failed`.
    fn caught_up(&self) -> Durable;

    /// Whether the store still takes writes.
    ///
    /// # Errors
    ///
    /// `Failed` after a failed write.
    fn check(&self) -> Result<(), StoreError>;

    /// Resolves when the store fails, and never otherwise.
    fn failed(&self) -> Durable;

    /// Whether a later process finds here what was written.
    fn outlives_process(&self) -> bool;

    /// Whether nothing can be written: the process that has the file open does that.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Every open run, as it was when the store was opened.
    fn open_runs(&self) -> Result<Vec<DormantRun>, StoreError>;

    /// Lets go, step by step, of runs of a namespace that were closed before a moment (nanoseconds since 1970).
    fn forget_closed(&self, namespace: NamespaceKey, before_ns: i64);

    /// Notes, before it returns, that processes elsewhere reach the engine at this address: what their workers have is
    /// not lost when this process dies.
    fn listens_on(&self, address: &str) -> Result<(), StoreError>;

    /// Nobody listens at that address any more.
    fn stops_listening_on(&self, address: &str);

    /// Batches of a run in order, from the one that holds `from_event_id`. Empty for a run the store does not know, and
    /// past its end.
    fn read_history(&self, run: RunKey, from_event_id: i64, limit: ReadLimit) -> Result<Vec<HistoryBatch>, StoreError>;

    /// Batches of a run, newest first, from the one that holds `before_event_id - 1`.
    fn read_history_back(
        &self,
        run: RunKey,
        before_event_id: i64,
        limit: ReadLimit,
    ) -> Result<Vec<HistoryBatch>, StoreError>;

    /// Calls `visit` with the workflow id of every run, in no order; with one that has several runs, as often.
    fn workflow_ids(&self, visit: &mut dyn FnMut(NamespaceKey, &str)) -> Result<(), StoreError>;

    /// The run of that workflow id with that run id or, without one, the current run.
    fn find_run(
        &self,
        namespace: NamespaceKey,
        workflow_id: &str,
        run_id: Option<&str>,
    ) -> Result<Option<StoredRun>, StoreError>;

    /// A page of matching runs: open ones first, then the last closed, then the last started. The key, when there is
    /// one, continues after the page.
    fn list(
        &self,
        namespace: NamespaceKey,
        filter: &Filter,
        after: Option<PageKey>,
        page_size: usize,
    ) -> Scan<(Vec<VisibilityRow>, Option<PageKey>)>;

    /// How many runs match, by status; statuses without runs are left out. The sum is the count of all.
    fn count(&self, namespace: NamespaceKey, filter: &Filter) -> Scan<Vec<(RunStatus, i64)>>;

    /// Queues a record: a new one, or what replaces the one of the same kind, namespace and name.
    fn save_record(&self, record: Record) -> CommitSeq;

    /// Every record of a kind, by namespace and name.
    fn load_records(&self, kind: RecordKind) -> Result<Vec<Record>, StoreError>;
}
