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
    /// Creates the key of a new run.
    fn new_run(&self) -> RunKey;

    /// Checks whether a new request may begin. Called once for a request, never inside a transition.
    ///
    /// # Errors
    ///
    /// `Failed` after a failed write, `Busy` while too many writes wait.
    fn admit(&self) -> Result<(), StoreError>;

    /// Queues the writes as one atomic unit, after all earlier ones. Returns at once, and cannot fail: later errors are
    /// reported by [`Store::durable`] and [`Store::admit`].
    ///
    /// Writes of one run must be queued in the order of its transitions, so the caller must hold the run's lock.
    fn commit(&self, writes: Vec<Write>) -> CommitSeq;

    /// Waits until a commit is durable. A store in memory does not wait.
    ///
    /// # Errors
    ///
    /// `Failed`, if the commit may be lost.
    fn durable(&self, seq: CommitSeq) -> Durable;

    /// Whether a commit is durable.
    fn is_durable(&self, seq: CommitSeq) -> bool;

    /// Waits for all writes that were queued before, so that a later read returns them.
    ///
    /// # Errors
    ///
    /// `Failed`.
    fn caught_up(&self) -> Durable;

    /// Checks that the store accepts writes.
    ///
    /// # Errors
    ///
    /// `Failed` after a failed write.
    fn check(&self) -> Result<(), StoreError>;

    /// Resolves when the store fails.
    fn failed(&self) -> Durable;

    /// Whether a later process can read the written data.
    fn outlives_process(&self) -> bool;

    /// Whether the store only reads a file that another process may write.
    fn is_read_only(&self) -> bool {
        false
    }

    /// The runs that were open when the store was opened.
    fn open_runs(&self) -> Result<Vec<DormantRun>, StoreError>;

    /// Removes, in steps, runs of a namespace that were closed before a time (nanoseconds since 1970).
    fn forget_closed(&self, namespace: NamespaceKey, before_ns: i64);

    /// Records, before it returns, that other processes can reach the engine at this address, so that the tasks of their
    /// workers are not treated as lost when this process dies.
    fn listens_on(&self, address: &str) -> Result<(), StoreError>;

    /// Records that the engine does not listen at this address any more.
    fn stops_listening_on(&self, address: &str);

    /// Batches of a run in order, from the one with `from_event_id`. Empty for an unknown run, and after its end.
    fn read_history(&self, run: RunKey, from_event_id: i64, limit: ReadLimit) -> Result<Vec<HistoryBatch>, StoreError>;

    /// Batches of a run, newest first, from the one with `before_event_id - 1`.
    fn read_history_back(
        &self,
        run: RunKey,
        before_event_id: i64,
        limit: ReadLimit,
    ) -> Result<Vec<HistoryBatch>, StoreError>;

    /// Calls `visit` with the workflow id of every run, in any order; an id with several runs is visited once for each.
    fn workflow_ids(&self, visit: &mut dyn FnMut(NamespaceKey, &str)) -> Result<(), StoreError>;

    /// The run with a workflow id and a run id; without a run id, the current run.
    fn find_run(
        &self,
        namespace: NamespaceKey,
        workflow_id: &str,
        run_id: Option<&str>,
    ) -> Result<Option<StoredRun>, StoreError>;

    /// A page of matching runs: open ones first, then the last closed, then the last started. The returned key continues
    /// after the page, if there are more runs.
    fn list(
        &self,
        namespace: NamespaceKey,
        filter: &Filter,
        after: Option<PageKey>,
        page_size: usize,
    ) -> Scan<(Vec<VisibilityRow>, Option<PageKey>)>;

    /// The number of matching runs by status, without statuses that have no runs.
    fn count(&self, namespace: NamespaceKey, filter: &Filter) -> Scan<Vec<(RunStatus, i64)>>;

    /// Queues a record, which replaces one of the same kind, namespace and name.
    fn save_record(&self, record: Record) -> CommitSeq;

    /// Every record of a kind, by namespace and name.
    fn load_records(&self, kind: RecordKind) -> Result<Vec<Record>, StoreError>;
}
