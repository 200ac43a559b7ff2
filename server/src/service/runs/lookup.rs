//! Lookup of runs, in memory or in the store.

use std::sync::{Arc, MutexGuard};

use tonic::Status;

use crate::engine::error::Refusal;
use crate::namespaces::Namespace;
use crate::service::core::Core;
use crate::service::runs::closed::ClosedRun;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::{Current, Slot, SlotKey, SlotState, lock};

impl Core {
    /// Looks up a run (the current one without a run id) and calls `act` with it under its lock.
    pub(crate) async fn with_run<R, A>(
        self: &Arc<Self>,
        namespace: &Namespace,
        workflow_id: &str,
        run_id: &str,
        mut act: A,
    ) -> Result<R, Status>
    where
        A: FnOnce(Located<'_>) -> Result<R, Status> + Send,
    {
        let key = SlotKey { namespace: namespace.key, workflow_id: workflow_id.into() };
        loop {
            let other_run = match self.with_run_in_memory(&key, run_id, act) {
                Lookup::Done(result) => return result,
                Lookup::Missed { act: back, other_run } => {
                    act = back;
                    other_run
                }
            };
            if other_run {
                // The requested run may have just been replaced.
                self.store.caught_up().await?;
            }
            match self.find_stored(namespace, &key, run_id, other_run)? {
                Stored::Closed(closed) => return act(Located::Closed(&closed)),
                Stored::Loaded => {}
                Stored::Unknown if run_id.is_empty() => {
                    return Err(Refusal::NotFound(format!("workflow not found for ID: {workflow_id}")).into());
                }
                Stored::Unknown => return Err(Refusal::unknown_run().into()),
            }
        }
    }

    /// Calls `act` with a run (the current one without a run id) if it is open, without waiting for the store.
    pub(super) fn with_open<R>(
        self: &Arc<Self>,
        namespace: &Namespace,
        workflow_id: &str,
        run_id: &str,
        act: impl FnOnce(&Arc<Slot>, &mut OpenRun) -> Result<R, Status> + Send,
    ) -> Result<Found<R>, Status> {
        let key = SlotKey { namespace: namespace.key, workflow_id: workflow_id.into() };
        let mut act = |located: Located<'_>| match located {
            Located::Open(slot, open) => act(slot, open).map(Found::Open),
            Located::Closed(closed) => Ok(Found::Closed(Arc::clone(closed))),
        };
        loop {
            let other_run = match self.with_run_in_memory(&key, run_id, act) {
                Lookup::Done(result) => return result,
                Lookup::Missed { act: back, other_run } => {
                    act = back;
                    other_run
                }
            };
            match self.find_stored(namespace, &key, run_id, other_run)? {
                Stored::Closed(closed) => return Ok(Found::Closed(closed)),
                Stored::Loaded => {}
                Stored::Unknown => return Ok(Found::Unknown),
            }
        }
    }

    /// Looks in the store for a run that is not in memory, and loads it if it is open. `other_run`: another run of the
    /// workflow id is in memory.
    fn find_stored(
        self: &Arc<Self>,
        namespace: &Namespace,
        key: &SlotKey,
        run_id: &str,
        other_run: bool,
    ) -> Result<Stored, Status> {
        let asked = (!run_id.is_empty()).then_some(run_id);
        match self.store.find_run(key.namespace, &key.workflow_id, asked)? {
            Some(stored) if stored.visibility.close_time_ns.is_some() => {
                let closed = ClosedRun::from_store(stored, namespace.names(), Arc::clone(&self.store))?;
                Ok(Stored::Closed(Arc::new(closed)))
            }
            Some(_) if !other_run => {
                self.load(key)?;
                Ok(Stored::Loaded)
            }
            _ => Ok(Stored::Unknown),
        }
    }

    /// As [`Core::with_run`], for runs in memory.
    pub(in crate::service) fn with_run_in_memory<R, A>(
        self: &Arc<Self>,
        key: &SlotKey,
        run_id: &str,
        act: A,
    ) -> Lookup<R, A>
    where
        A: FnOnce(Located<'_>) -> Result<R, Status>,
    {
        while let Some(slot) = self.runs.slots.find(key) {
            let Some(mut state) = slot.lock() else { continue };
            match &mut state.current {
                Some(Current::Open(open)) if run_id.is_empty() || *open.run.info.run_id == *run_id => {
                    let result = act(Located::Open(&slot, open));
                    self.settle(&slot, &mut state);
                    drop(state);
                    self.after_change();
                    return Lookup::Done(result);
                }
                Some(Current::Closed(closed)) if run_id.is_empty() || *closed.row.run_id == *run_id => {
                    let closed = Arc::clone(closed);
                    drop(state);
                    return Lookup::Done(act(Located::Closed(&closed)));
                }
                current => return Lookup::Missed { act, other_run: current.is_some() },
            }
        }
        Lookup::Missed { act, other_run: false }
    }

    /// Whether the store may have a run of this workflow id that is not in memory.
    pub(in crate::service) fn may_be_stored(&self, key: &SlotKey) -> bool {
        lock(&self.runs.closed).may_be_stored(self.runs.slots.hash(key))
    }

    /// Removes a slot that has no open run and is not counted among the closed runs in memory.
    pub(in crate::service) fn tidy(&self, slot: &Arc<Slot>, mut state: MutexGuard<'_, SlotState>) {
        state.current = None;
        state.retired = true;
        drop(state);
        self.runs.slots.remove(&slot.key);
    }
}

/// The result of a lookup in memory.
pub(in crate::service) enum Lookup<R, A> {
    Done(Result<R, Status>),
    /// The run is not in memory; another run of the same workflow id may be.
    Missed {
        act: A,
        other_run: bool,
    },
}

/// The result of a lookup in the store.
enum Stored {
    Closed(Arc<ClosedRun>),
    /// The run was open and is in memory now.
    Loaded,
    Unknown,
}

/// The result of a lookup of a run that may be open.
pub(super) enum Found<R> {
    Open(R),
    Closed(Arc<ClosedRun>),
    Unknown,
}

/// A run that was found.
pub(crate) enum Located<'a> {
    Open(&'a Arc<Slot>, &'a mut OpenRun),
    Closed(&'a Arc<ClosedRun>),
}
