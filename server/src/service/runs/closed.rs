//! Closed runs, in memory or read from the store.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use prost::Message as _;
use tonic::Status;

use crate::engine::closed::ClosedState;
use crate::engine::error::Refusal;
use crate::engine::event::{EventId, HistoryEvent};
use crate::engine::fold::{Fold, RunIds, Unrecoverable};
use crate::engine::history::{DamagedEvent, decode, decode_all};
use crate::engine::overlay::Overlay;
use crate::engine::update::state::{UpdateProgress, UpdateState};
use crate::engine::update::{cut_off_by_close, outcome_of};
use crate::model::{HistoryBatch, NamespaceNames, RunKey, VisibilityRow};
use crate::service::runs::open::OpenRun;
use crate::store::{CommitSeq, ReadLimit, Store, StoreError, StoredRun};

/// A run that has closed.
#[derive(Debug)]
pub(crate) struct ClosedRun {
    pub(crate) key: RunKey,
    pub(crate) row: VisibilityRow,
    /// The commit of the run's last write; `None` if that has long been durable.
    pub(crate) seq: Option<CommitSeq>,
    pub(crate) attached_request_ids: BTreeSet<String>,
    /// The whole history, while it is in memory.
    batches: Option<Vec<HistoryBatch>>,
    store: Arc<dyn Store>,
    namespace: NamespaceNames,
    state: OnceLock<ClosedState>,
}

impl ClosedRun {
    pub(in crate::service) fn from_open(open: OpenRun, store: Arc<dyn Store>) -> Self {
        let namespace = open.namespace.names();
        Self {
            key: open.key,
            seq: open.seq,
            row: open.run.visibility_row(open.namespace.key),
            attached_request_ids: open.run.state.attached_request_ids.clone(),
            batches: Some(open.run.history.into_batches()),
            store,
            namespace,
            state: OnceLock::new(),
        }
    }

    pub(in crate::service) fn from_store(
        stored: StoredRun,
        namespace: NamespaceNames,
        store: Arc<dyn Store>,
    ) -> Result<Self, Refusal> {
        let damaged = |error| Refusal::damaged(&stored.visibility.run_id, &error);
        let overlay = stored.overlay.map(Overlay::decode).transpose().map_err(damaged)?.unwrap_or_default();
        Ok(Self {
            key: stored.run,
            seq: None,
            row: stored.visibility,
            attached_request_ids: overlay.attached_request_ids.into_iter().collect(),
            batches: None,
            store,
            namespace,
            state: OnceLock::new(),
        })
    }

    /// The approximate size in memory.
    pub(in crate::service) fn size(&self) -> usize {
        500 + self.batches.iter().flatten().map(|batch| batch.events.len() + 64).sum::<usize>()
    }

    /// The batches from the one that contains `event_id`.
    pub(crate) fn batches_from(&self, event_id: EventId, limit: ReadLimit) -> Result<Vec<HistoryBatch>, StoreError> {
        let Some(batches) = &self.batches else { return self.store.read_history(self.key, event_id, limit) };
        let start = batches.partition_point(|batch| batch.next_event_id <= event_id);
        let mut bytes = 0;
        let fits = |batch: &&HistoryBatch| {
            let first = bytes == 0;
            bytes += batch.events.len();
            first || bytes <= limit.bytes_max
        };
        Ok(batches[start..].iter().take(limit.batches_max).take_while(fits).cloned().collect())
    }

    /// The last batch, which ends with the closing event.
    pub(crate) fn last_batch(&self) -> Result<HistoryBatch, Status> {
        let last = match &self.batches {
            Some(batches) => batches.last().cloned(),
            None => {
                let limit = ReadLimit { batches_max: 1, bytes_max: 0 };
                self.store.read_history_back(self.key, self.next_event_id(), limit)?.pop()
            }
        };
        let last = last.filter(|batch| batch.next_event_id == self.next_event_id());
        last.ok_or_else(|| self.damaged(&DamagedEvent::missing(self.next_event_id() - 1)).into())
    }

    fn damaged(&self, problem: &DamagedEvent) -> Refusal {
        Refusal::damaged(&self.row.run_id, problem)
    }

    pub(in crate::service) fn batches_in_memory(&self) -> Option<&[HistoryBatch]> {
        self.batches.as_deref()
    }

    /// Batches from the store, newest first.
    pub(in crate::service) fn read_back(
        &self,
        before: EventId,
        limit: ReadLimit,
    ) -> Result<Vec<HistoryBatch>, StoreError> {
        self.store.read_history_back(self.key, before, limit)
    }

    /// The number after that of the last event.
    pub(crate) fn next_event_id(&self) -> EventId {
        self.row.history_length + 1
    }

    /// Returns the state that the history holds; it is read once.
    ///
    /// # Errors
    ///
    /// Returns `DATA_LOSS` for a damaged history, or an error of the store.
    pub(crate) fn state(&self) -> Result<&ClosedState, Status> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let mut fold = Fold::new(RunIds::of(&self.row, self.namespace.clone()));
        let damaged = |error: Unrecoverable| Refusal::Damaged(error.to_string());
        let mut next = 1;
        while next < self.next_event_id() {
            let batches = self.batches_from(next, ReadLimit { batches_max: 256, bytes_max: 4 * 1024 * 1024 })?;
            let last = batches.last().ok_or_else(|| self.damaged(&DamagedEvent::missing(next)))?;
            next = last.next_event_id;
            for event in &decode_all(&batches).map_err(|error| self.damaged(&error))? {
                fold.apply(event).map_err(damaged)?;
            }
        }
        let state = fold.into_closed().map_err(damaged)?;
        Ok(self.state.get_or_init(|| state))
    }

    /// Reads one event.
    ///
    /// # Errors
    ///
    /// Returns `DATA_LOSS` if the event is missing or damaged, or an error of the store.
    pub(crate) fn event(&self, event_id: EventId) -> Result<HistoryEvent, Status> {
        let batches = self.batches_from(event_id, ReadLimit { batches_max: 1, bytes_max: 0 })?;
        let mut events = Vec::with_capacity(1);
        if let Some(batch) = batches.first() {
            decode(batch, event_id, event_id + 1, &mut events).map_err(|error| self.damaged(&error))?;
        }
        Ok(events.pop().ok_or_else(|| self.damaged(&DamagedEvent::missing(event_id)))?)
    }

    /// Returns the progress of an update of this run, if a worker accepted it.
    ///
    /// # Errors
    ///
    /// As [`ClosedRun::state`].
    pub(crate) fn update_progress(&self, id: &str) -> Result<Option<UpdateProgress>, Status> {
        let event_id = match self.state()?.update(id) {
            Some(UpdateState::Completed(event_id)) => event_id,
            Some(UpdateState::Accepted) => return Ok(Some(UpdateProgress::Completed(Box::new(cut_off_by_close())))),
            Some(UpdateState::Admitted) | None => return Ok(None),
        };
        let outcome = outcome_of(self.event(event_id)?).map_err(|error| self.damaged(&error))?;
        Ok(Some(UpdateProgress::Completed(Box::new(outcome))))
    }
}
