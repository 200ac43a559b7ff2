//! What the engine needs of storage, behind one narrow trait.
//!
//! Truth about open runs is in the engine's memory; the store holds everything that must outlive it: history batches,
//! the visibility row of each run, and an opaque *overlay* for state that history does not tell (attempts, request
//! ids, buffered events). One transition of a run is one [`Write`]; the writes of one [`Store::commit`] become visible
//! together or not at all.
//!
//! *Invariants.* Writes are applied in the order of their `commit` calls. What is durable is seen by every read. The
//! store never interprets history or overlays.

mod commit_hook;
mod durable;
mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use self::commit_hook::CommitHook;
pub use self::commit_hook::CommitStep;
pub(crate) use self::durable::Durable;
pub(crate) use self::sqlite::{BUSY_WAIT, FileOptions, FileView, OpenError, Opened, Scan, SqliteStore};
pub use self::sqlite::{BackupError, PathError, backup, database_path};
use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::visibility::{Filter, PageKey};

/// The place of one commit in the order of all commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommitSeq(pub(crate) u64);

/// Everything one transition of one run writes.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) run: RunKey,
    /// A transition with several batches is several writes of one commit.
    pub(crate) history: Option<HistoryBatch>,
    /// The whole row, when something visible changed. The first write of a run carries it.
    pub(crate) visibility: Option<Box<VisibilityRow>>,
    /// State that history does not tell, in the engine's own encoding. It replaces the one before and stays when the
    /// run closes (what a closed run needs, request ids say, goes here too); empty bytes remove it.
    pub(crate) overlay: Option<Bytes>,
    /// When the run has to be in memory again after a restart, if that changed. A new run has to be at once.
    pub(crate) wake: Option<Wake>,
}

/// When an open run has to be in memory, unless somebody asks for it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Something is to be done about it.
    AtOnce,
    /// At this moment, in nanoseconds since 1970.
    At(i64),
    /// It waits for requests alone.
    WhenAsked,
}

/// An open run that is not in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DormantRun {
    pub(crate) run: RunKey,
    pub(crate) namespace: NamespaceKey,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) wake: Wake,
}

/// A run as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRun {
    pub(crate) run: RunKey,
    pub(crate) visibility: VisibilityRow,
    pub(crate) overlay: Option<Bytes>,
    pub(crate) wake: Wake,
}

/// A namespace as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceRow {
    pub(crate) namespace: NamespaceKey,
    pub(crate) name: Arc<str>,
    /// An encoded `DescribeNamespaceResponse`; `namespaces` knows what it means.
    pub(crate) description: Bytes,
}

/// How much history one read hands out at most; at least one batch comes whenever there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimit {
    pub(crate) batches_max: usize,
    pub(crate) bytes_max: usize,
}

/// Why the store cannot do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// An earlier write failed, so memory and storage may differ. Nothing is acknowledged any more until the store is
    /// opened again.
    #[error("the store has failed: {reason}")]
    Failed { reason: Arc<str> },
    /// Writes wait faster than they are written; the caller may try again later.
    #[error("the store is behind: {queued_bytes} bytes wait to be written")]
    Busy { queued_bytes: usize },
    /// Another program has the database for itself; the caller may try again.
    #[error("{reason}")]
    Locked { reason: Arc<str> },
    /// A list or count looked at too much.
    #[error(
        "the list or count took longer than {} s: narrow its filter, by StartTime or WorkflowId say", limit.as_secs()
    )]
    TooSlow { limit: Duration },
    /// The file was opened to be looked at.
    #[error("{path} is only read here: {advice}")]
    ReadOnly { path: Arc<str>, advice: Arc<str> },
    /// Lists and counts come faster than they are done; the caller may try again later.
    #[error("{waiting} lists and counts wait already")]
    Crowded { waiting: usize },
}

/// Storage of runs and namespaces.
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

    /// Queues a namespace: a new one, or what replaces the one with the same key.
    fn save_namespace(&self, row: NamespaceRow) -> CommitSeq;

    /// Every namespace, by key.
    fn load_namespaces(&self) -> Result<Vec<NamespaceRow>, StoreError>;
}
