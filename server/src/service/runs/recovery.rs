//! Loading runs from the store: when a request names them, or when their deadline comes.
//!
//! At the start, only one row per open run is read. A separate thread loads runs with pending work while the engine
//! already serves; a run that waits for a timer is loaded when the timer is due; any run is loaded when a request names
//! it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use prost::Message as _;
use tonic::Status;

use crate::clock::timers::{Due, Hold};
use crate::engine::effects::Close;
use crate::engine::fold::RunIds;
use crate::engine::overlay::Overlay;
use crate::engine::recover::Stored;
use crate::engine::run::Run;
use crate::engine::time::Time;
use crate::model::{HistoryBatch, RunKey, VisibilityRow};
use crate::namespaces::Namespace;
use crate::service::core::Core;
use crate::service::runs::closed::ClosedRun;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::{Changed, Current, Slot, SlotKey, SlotState, lock};
use crate::store::{ReadLimit, StoreError, StoredRun, Wake};

/// The limit of one read of a history during recovery.
const READ: ReadLimit = ReadLimit { batches_max: 4096, bytes_max: 16 << 20 };

/// An open run that is only in the store.
struct Dormant {
    core: Weak<Core>,
    key: SlotKey,
    run: RunKey,
}

impl Due for Dormant {
    fn fire(self: Arc<Self>, _now: Time) {
        let Some(core) = self.core.upgrade() else { return };
        lock(&core.runs.dormant).remove(&self.run);
        // The loaded run sets its own deadline, which is due at once.
        core.wake(&self.key);
    }
}

/// Loads runs one after the other, while the engine already serves. `hold` keeps a time-skipping clock from jumping
/// meanwhile.
pub(in crate::service) fn load_all(core: &Weak<Core>, runs: Vec<SlotKey>, hold: Hold) {
    for key in runs {
        match core.upgrade() {
            Some(core) if !core.is_stopping.load(Ordering::Relaxed) => core.wake(&key),
            _ => return,
        }
    }
    drop(hold);
}

impl Core {
    /// Registers the open runs of an opened store; returns their number and the runs with pending work.
    pub(in crate::service) fn take_over(self: &Arc<Self>) -> Result<(usize, Vec<SlotKey>), StoreError> {
        let runs = self.store.open_runs()?;
        let count = runs.len();
        let mut busy = Vec::new();
        for run in runs {
            let key = SlotKey { namespace: run.namespace, workflow_id: run.workflow_id };
            match run.wake {
                Wake::AtOnce => busy.push(key),
                Wake::At(moment) => self.keep_dormant(key, run.run, Time::from_nanos(moment)),
                Wake::WhenAsked => {}
            }
        }
        self.resume_outboxes()?;
        Ok((count, busy))
    }

    /// Keeps an open run only in the store until its next deadline.
    pub(in crate::service) fn keep_dormant(self: &Arc<Self>, key: SlotKey, run: RunKey, at: Time) {
        let mut dormant = lock(&self.runs.dormant);
        let ticket = self.timers.arm(at, Arc::new(Dormant { core: Arc::downgrade(self), key, run }));
        dormant.insert(run, ticket);
    }

    /// Loads a due run; logs failures. A request that names the run gets the error too.
    fn wake(self: &Arc<Self>, key: &SlotKey) {
        if let Err(status) = self.load(key) {
            tracing::error!(workflow_id = &*key.workflow_id, "cannot recover a run: {}", status.message());
        }
    }

    /// Loads the current run of a workflow id, if it is open and not in memory.
    pub(in crate::service) fn load(self: &Arc<Self>, key: &SlotKey) -> Result<(), Status> {
        loop {
            let slot = self.runs.slots.get_or_make(key, self);
            let Some(mut state) = slot.lock() else { continue };
            if state.current.is_some() {
                return Ok(());
            }
            let loaded = self.load_into(&slot, &mut state);
            if matches!(state.current, Some(Current::Open(_))) {
                drop(state);
            } else {
                self.tidy(&slot, state);
            }
            // Evictions could take the loaded run from memory again.
            self.carry_out_intents();
            return loaded;
        }
    }

    /// Loads the current run of a workflow id into its empty slot. The caller holds the slot's lock.
    pub(in crate::service) fn load_into(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        state: &mut SlotState,
    ) -> Result<(), Status> {
        let SlotKey { namespace, workflow_id } = &slot.key;
        let Some(stored) = self.store.find_run(*namespace, workflow_id, None)? else { return Ok(()) };
        if stored.visibility.close_time_ns.is_some() {
            let namespace = self.namespace_of(&stored)?;
            let closed = ClosedRun::from_store(stored, namespace.names(), Arc::clone(&self.store))?;
            state.current = Some(Current::Closed(Arc::new(closed)));
            return Ok(());
        }
        let mut open = Box::new(self.recover(stored)?);
        if self.store.is_read_only() {
            // The run is only read; another process carries out its pending work.
            state.current = Some(Current::Open(open));
            return Ok(());
        }
        let dormant = lock(&self.runs.dormant).remove(&open.key);
        let now = self.clock.now();
        open.run.resume(self.workers_are_gone, now);
        self.commit(now, [Changed { slot, open: &mut open, close: Close::Write }]);
        // Only now, so that a time-skipping clock cannot jump past the deadline that the run has just set.
        if let Some(ticket) = dormant {
            self.timers.disarm(ticket);
        }
        state.current = Some(Current::Open(open));
        Ok(())
    }

    fn recover(&self, stored: StoredRun) -> Result<OpenRun, Status> {
        let namespace = self.namespace_of(&stored)?;
        let row = stored.visibility;
        let damaged = |problem: String| unrecoverable(&row, &problem);
        let has_overlay = stored.overlay.is_some();
        let overlay = stored.overlay.map(Overlay::decode).transpose().map_err(|error| damaged(error.to_string()))?;
        let parts = Stored {
            ids: RunIds::of(&row, namespace.names()),
            batches: self.whole_history(stored.run)?,
            overlay: overlay.unwrap_or_default(),
        };
        let run = Run::recover(parts).map_err(|error| damaged(error.to_string()))?;
        Ok(OpenRun::recovered(run, stored.run, namespace, stored.wake, has_overlay))
    }

    fn namespace_of(&self, stored: &StoredRun) -> Result<Arc<Namespace>, Status> {
        let row = &stored.visibility;
        self.namespaces.with_key(row.namespace).ok_or_else(|| unrecoverable(row, "its namespace is not there"))
    }

    fn whole_history(&self, run: RunKey) -> Result<Vec<HistoryBatch>, StoreError> {
        let mut batches = Vec::new();
        let mut next = 1;
        loop {
            let page = self.store.read_history(run, next, READ)?;
            let Some(last) = page.last() else { return Ok(batches) };
            next = last.next_event_id;
            batches.extend(page);
        }
    }
}

fn unrecoverable(row: &VisibilityRow, problem: &str) -> Status {
    Status::data_loss(format!("run {} cannot be recovered: {problem}", row.run_id))
}
