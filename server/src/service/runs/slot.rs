//! The lock of one workflow id, and the run that it guards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use uuid::Uuid;

use crate::clock::timers::Due;
use crate::engine::effects::Close;
use crate::engine::error::Refusal;
use crate::engine::run::Run;
use crate::engine::time::Time;
use crate::model::NamespaceKey;
use crate::service::core::Core;
use crate::service::runs::closed::ClosedRun;
use crate::service::runs::open::OpenRun;
use crate::store::CommitSeq;

/// A workflow id and its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SlotKey {
    pub(crate) namespace: NamespaceKey,
    pub(crate) workflow_id: Arc<str>,
}

/// The current run of one workflow id.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: SlotKey,
    core: Weak<Core>,
    pub(in crate::service) state: Mutex<SlotState>,
}

/// The state that a slot guards.
#[derive(Debug, Default)]
pub(crate) struct SlotState {
    pub(crate) current: Option<Current>,
    /// Whether the slot was removed from the map; callers that lock it must look it up again.
    pub(super) retired: bool,
}

#[derive(Debug)]
pub(crate) enum Current {
    Open(Box<OpenRun>),
    Closed(Arc<ClosedRun>),
}

impl Slot {
    pub(super) fn new(key: SlotKey, core: &Arc<Core>) -> Self {
        Self { key, core: Arc::downgrade(core), state: Mutex::default() }
    }

    /// Locks the slot; returns `None` if the slot was removed from the map.
    pub(in crate::service) fn lock(&self) -> Option<MutexGuard<'_, SlotState>> {
        let state = lock(&self.state);
        (!state.retired).then_some(state)
    }

    /// Whether the run is not open any more, or `has` is false for it. A run whose lock another thread holds counts as
    /// having it.
    pub(super) fn no_longer_has(&self, run_id: &str, has: impl FnOnce(&Run) -> bool) -> bool {
        let Ok(state) = self.state.try_lock() else { return false };
        match &state.current {
            Some(Current::Open(open)) if *open.run.info.run_id == *run_id => !has(&open.run),
            _ => true,
        }
    }

    /// Changes the run with that id, if it is still open: one transition with all its effects.
    ///
    /// `transition` returns its result and how the transition is closed; `read` builds the answer from the changed run.
    pub(in crate::service) fn change<R, A>(
        self: &Arc<Self>,
        run_id: &str,
        transition: impl FnOnce(&mut OpenRun, Time) -> Result<(R, Close), Refusal>,
        read: impl FnOnce(&mut OpenRun, R) -> A,
    ) -> Result<(A, Option<CommitSeq>), Refusal> {
        let core = self.core.upgrade().ok_or_else(|| Refusal::Unavailable("the engine has stopped".to_owned()))?;
        let mut state = self.lock().ok_or_else(Refusal::closed)?;
        let Some(Current::Open(open)) = &mut state.current else { return Err(Refusal::closed()) };
        if *open.run.info.run_id != *run_id {
            return Err(Refusal::closed());
        }
        let answer = core.change(self, open, transition).map(|result| (read(open, result), open.seq));
        core.settle(self, &mut state);
        drop(state);
        core.after_change();
        answer
    }
}

/// The part of one run in a transition.
pub(in crate::service) struct Changed<'a> {
    pub(in crate::service) slot: &'a Arc<Slot>,
    pub(in crate::service) open: &'a mut OpenRun,
    pub(in crate::service) close: Close,
}

impl Due for Slot {
    fn fire(self: Arc<Self>, now: Time) {
        let Some(core) = self.core.upgrade() else { return };
        let Some(mut state) = self.lock() else { return };
        let Some(Current::Open(open)) = &mut state.current else { return };
        // The deadline has fired; the next one gets a new key.
        if open.armed.is_some_and(|ticket| ticket.at() <= now) {
            open.armed = None;
        }
        open.run.handle_timeout(now, &mut || Uuid::now_v7().to_string().into());
        // No caller waits, so the refusal is not reported.
        let _refused = core.commit(now, [Changed { slot: &self, open, close: Close::KeepSpeculative }]);
        core.settle(&self, &mut state);
        drop(state);
        core.after_change();
    }
}

pub(in crate::service) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
