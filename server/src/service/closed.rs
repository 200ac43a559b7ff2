//! Closed runs: what remains of them in memory for a while, and how they are found again later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use prost::Message as _;
use tonic::Status;

use super::core::OpenRun;
use crate::api::enums::EventType;
use crate::api::history::HistoryEvent;
use crate::api::history::history_event::Attributes;
use crate::api::update::Outcome;
use crate::engine::describe::{StartSummary, config};
use crate::engine::error::Refusal;
use crate::engine::event::EventId;
use crate::engine::history::{DamagedEvent, decode_all};
use crate::engine::overlay::Overlay;
use crate::engine::update::{UpdateProgress, cut_off_by_close};
use crate::model::{HistoryBatch, RunKey, VisibilityRow};
use crate::store::{CommitSeq, ReadLimit, Store, StoreError, StoredRun};

/// A run that has closed.
#[derive(Debug)]
pub(crate) struct ClosedRun {
    pub(crate) key: RunKey,
    pub(crate) row: VisibilityRow,
    /// Covers everything the run has written, unless that is long since durable.
    pub(crate) seq: Option<CommitSeq>,
    pub(crate) attached_request_ids: BTreeSet<String>,
    /// The whole history, while it is in memory.
    batches: Option<Vec<HistoryBatch>>,
    store: Arc<dyn Store>,
    told: OnceLock<Told>,
}

/// What the history of a closed run tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) start: StartSummary,
    /// WorkflowTaskStarted of the last completed workflow task; 0 without one.
    pub(crate) previous_started_event_id: EventId,
    pub(crate) signal_request_ids: BTreeSet<String>,
    accepted: BTreeSet<String>,
    completed: BTreeMap<String, Outcome>,
}

impl Told {
    /// How far an update of the run came, if the run knew it.
    pub(crate) fn update_progress(&self, id: &str) -> Option<UpdateProgress> {
        if let Some(outcome) = self.completed.get(id) {
            return Some(UpdateProgress::Completed(Box::new(outcome.clone())));
        }
        self.accepted.contains(id).then(|| UpdateProgress::Completed(Box::new(cut_off_by_close())))
    }
}

impl ClosedRun {
    pub(super) fn from_open(open: OpenRun, store: Arc<dyn Store>) -> Self {
        Self {
            key: open.key,
            seq: open.seq,
            row: open.run.visibility_row(open.namespace.key),
            attached_request_ids: open.run.attached_request_ids.clone(),
            batches: Some(open.run.history.into_batches()),
            store,
            told: OnceLock::new(),
        }
    }

    pub(super) fn from_store(stored: StoredRun, store: Arc<dyn Store>) -> Result<Self, Refusal> {
        let damaged = |error| Refusal::damaged(&stored.visibility.run_id, &error);
        let overlay = stored.overlay.map(Overlay::decode).transpose().map_err(damaged)?.unwrap_or_default();
        Ok(Self {
            key: stored.run,
            seq: None,
            row: stored.visibility,
            attached_request_ids: overlay.attached_request_ids.into_iter().collect(),
            batches: None,
            store,
            told: OnceLock::new(),
        })
    }

    /// Roughly what it takes in memory.
    pub(super) fn size(&self) -> usize {
        500 + self.batches.iter().flatten().map(|batch| batch.events.len() + 64).sum::<usize>()
    }

    /// Batches from the one that holds `event_id`.
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

    pub(super) fn batches_in_memory(&self) -> Option<&[HistoryBatch]> {
        self.batches.as_deref()
    }

    /// Batches from the store, newest first.
    pub(super) fn read_back(&self, before: EventId, limit: ReadLimit) -> Result<Vec<HistoryBatch>, StoreError> {
        self.store.read_history_back(self.key, before, limit)
    }

    /// One past the last event.
    pub(crate) fn next_event_id(&self) -> EventId {
        self.row.history_length + 1
    }

    /// What the history tells; read once.
    pub(crate) fn told(&self) -> Result<&Told, Status> {
        if let Some(told) = self.told.get() {
            return Ok(told);
        }
        let mut told = Told::default();
        let mut next = 1;
        while next < self.next_event_id() {
            let batches = self.batches_from(next, ReadLimit { batches_max: 256, bytes_max: 4 * 1024 * 1024 })?;
            let last = batches.last().ok_or_else(|| self.damaged(&DamagedEvent::missing(next)))?;
            next = last.next_event_id;
            for event in decode_all(&batches).map_err(|error| self.damaged(&error))? {
                told.apply(event);
            }
        }
        Ok(self.told.get_or_init(|| told))
    }
}

impl Told {
    fn apply(&mut self, event: HistoryEvent) {
        let kind = event.event_type();
        let user_metadata = event.user_metadata;
        match event.attributes {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                self.start = StartSummary {
                    config: config(&started),
                    first_run_id: started.first_execution_run_id.clone(),
                    priority: started.priority.clone(),
                    user_metadata: user_metadata.map(|metadata| *metadata),
                    cancel_requested: false,
                    execution_expiration: started.workflow_execution_expiration_time,
                };
            }
            Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) => {
                self.previous_started_event_id = completed.started_event_id;
            }
            Some(Attributes::WorkflowExecutionSignaledEventAttributes(signaled)) if !signaled.request_id.is_empty() => {
                self.signal_request_ids.insert(signaled.request_id);
            }
            Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => {
                self.accepted.insert(accepted.protocol_instance_id);
            }
            Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(completed)) => {
                let id = completed.meta.map(|meta| meta.update_id).unwrap_or_default();
                self.completed.insert(id, completed.outcome.unwrap_or_default());
            }
            _ if kind == EventType::WorkflowExecutionCancelRequested => self.start.cancel_requested = true,
            _ => {}
        }
    }
}
