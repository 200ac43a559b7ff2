//! A store that dies between two commits, or whose disk is slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::store::{
    CommitSeq, DormantRun, Durable, ReadLimit, Record, RecordKind, Scan, Store, StoreError, StoredRun, Write,
};
use crate::visibility::{Filter, PageKey};

#[derive(Debug)]
pub(super) struct TestStore {
    pub(super) inner: Arc<dyn Store>,
    /// This many commits reach the store; the process dies before the next one.
    pub(super) commits_left: AtomicUsize,
    pub(super) died: Notify,
    /// Writes stay queued and do not reach the disk.
    pub(super) is_stuck: AtomicBool,
}

impl TestStore {
    pub(super) fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            commits_left: AtomicUsize::new(usize::MAX),
            died: Notify::new(),
            is_stuck: AtomicBool::new(false),
        }
    }
}

impl Store for TestStore {
    fn commit(&self, writes: Vec<Write>) -> CommitSeq {
        let left = self.commits_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            return self.inner.commit(writes);
        }
        self.died.notify_one();
        CommitSeq(u64::MAX)
    }

    fn is_durable(&self, seq: CommitSeq) -> bool {
        !self.is_stuck.load(Ordering::SeqCst) && self.inner.is_durable(seq)
    }

    fn new_run(&self) -> RunKey {
        self.inner.new_run()
    }

    fn admit(&self) -> Result<(), StoreError> {
        self.inner.admit()
    }

    fn durable(&self, seq: CommitSeq) -> Durable {
        self.inner.durable(seq)
    }

    fn caught_up(&self) -> Durable {
        self.inner.caught_up()
    }

    fn check(&self) -> Result<(), StoreError> {
        self.inner.check()
    }

    fn failed(&self) -> Durable {
        self.inner.failed()
    }

    fn outlives_process(&self) -> bool {
        self.inner.outlives_process()
    }

    fn open_runs(&self) -> Result<Vec<DormantRun>, StoreError> {
        self.inner.open_runs()
    }

    fn forget_closed(&self, namespace: NamespaceKey, before_ns: i64) {
        self.inner.forget_closed(namespace, before_ns);
    }

    fn listens_on(&self, address: &str) -> Result<(), StoreError> {
        self.inner.listens_on(address)
    }

    fn stops_listening_on(&self, address: &str) {
        self.inner.stops_listening_on(address);
    }

    fn read_history(&self, run: RunKey, from_event_id: i64, limit: ReadLimit) -> Result<Vec<HistoryBatch>, StoreError> {
        self.inner.read_history(run, from_event_id, limit)
    }

    fn read_history_back(
        &self,
        run: RunKey,
        before_event_id: i64,
        limit: ReadLimit,
    ) -> Result<Vec<HistoryBatch>, StoreError> {
        self.inner.read_history_back(run, before_event_id, limit)
    }

    fn workflow_ids(&self, visit: &mut dyn FnMut(NamespaceKey, &str)) -> Result<(), StoreError> {
        self.inner.workflow_ids(visit)
    }

    fn find_run(
        &self,
        namespace: NamespaceKey,
        workflow_id: &str,
        run_id: Option<&str>,
    ) -> Result<Option<StoredRun>, StoreError> {
        self.inner.find_run(namespace, workflow_id, run_id)
    }

    fn list(
        &self,
        namespace: NamespaceKey,
        filter: &Filter,
        after: Option<PageKey>,
        page_size: usize,
    ) -> Scan<(Vec<VisibilityRow>, Option<PageKey>)> {
        self.inner.list(namespace, filter, after, page_size)
    }

    fn count(&self, namespace: NamespaceKey, filter: &Filter) -> Scan<Vec<(RunStatus, i64)>> {
        self.inner.count(namespace, filter)
    }

    fn save_record(&self, record: Record) -> CommitSeq {
        self.inner.save_record(record)
    }

    fn load_records(&self, kind: RecordKind) -> Result<Vec<Record>, StoreError> {
        self.inner.load_records(kind)
    }
}
