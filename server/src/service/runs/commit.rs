//! What follows from a transition: its commit, tasks, timers, and news for those who wait.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::ClockHolder;
use crate::clock::timers::Due;
use crate::engine::effects::{Close, Effects, Offer};
use crate::engine::error::Refusal;
use crate::engine::time::Time;
use crate::matching::{QueueKey, QueueKind};
use crate::service::core::Core;
use crate::service::runs::open::{CloseWaiter, OpenRun, end_wait};
use crate::service::runs::slot::{Changed, Slot};
use crate::service::runs::task::Task;
use crate::store::{Wake, Write};

impl Core {
    /// Changes an open run: one transition, with all that follows from it. The run's lock is held.
    ///
    /// `transition` returns its result and how it ends. One that fails has changed nothing. One that would make the history too
    /// long fails too, after the run has been terminated instead.
    pub(in crate::service) fn change<R>(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        open: &mut OpenRun,
        transition: impl FnOnce(&mut OpenRun, Time) -> Result<(R, Close), Refusal>,
    ) -> Result<R, Refusal> {
        let now = self.clock.now();
        let (result, close) = transition(open, now)?;
        let [refusal] = self.commit(now, [Changed { slot, open, close }]);
        refusal.map_or(Ok(result), Err)
    }

    /// Ends the transition of one or several runs and does what follows from it: what they write is one commit, which a crash
    /// cannot divide. Runs are written in the given order. The locks of all are held.
    ///
    /// Returns for each run why it was terminated instead, if its history would have been too long.
    pub(in crate::service) fn commit<const RUNS: usize>(
        self: &Arc<Self>,
        now: Time,
        changes: [Changed<'_>; RUNS],
    ) -> [Option<Refusal>; RUNS] {
        let mut all = Vec::new();
        let changes = changes.map(|Changed { slot, open, close }| {
            let effects = open.run.close_transaction(now, close);
            if open.run.history.next_event_id() <= self.compares_up_to
                && let Some(difference) = open.run.difference_to_stored()
            {
                panic!("run {} is not what is written of it: {difference}", open.run.info.run_id);
            }
            let overlay = self.changed_overlay(open, &effects);
            let wake = self.changed_wake(open);
            if !effects.batches.is_empty() || effects.visible || overlay.is_some() || wake.is_some() {
                all.extend(writes(open, &effects, overlay, wake));
            }
            (slot, open, effects)
        });
        let seq = (!all.is_empty()).then(|| self.store.commit(all));
        changes.map(|(slot, open, mut effects)| {
            open.seq = seq.or(open.seq);
            let refusal = effects.refusal.take();
            self.follow(slot, open, effects);
            refusal
        })
    }

    /// Does what a written transition wants done outside of the store.
    fn follow(self: &Arc<Self>, slot: &Arc<Slot>, open: &mut OpenRun, effects: Effects) {
        let closed = !open.run.is_open();
        let wrote = !effects.batches.is_empty();
        for offer in effects.offers {
            self.offer(slot, open, offer);
        }
        for notice in effects.notices {
            open.tell(notice);
        }
        if wrote && open.run.is_long() && !std::mem::replace(&mut open.is_known_as_long, true) {
            let info = &open.run.info;
            tracing::warn!(
                namespace = &*info.namespace,
                workflow_id = &*info.workflow_id,
                run_id = &*info.run_id,
                events = open.run.history.next_event_id() - 1,
                bytes = open.run.history.size_bytes(),
                "the history of a run gets long: it is terminated at 51,200 events or 50 MiB; continue as new before"
            );
        }
        if wrote {
            for waiter in open.event_waiters.drain(..) {
                // Whoever waited may have gone.
                let _ = waiter.send(());
            }
        }
        if closed {
            for CloseWaiter { sender, time } in open.close_waiters.drain(..) {
                end_wait(time);
                // A waiter may have gone.
                let _ = sender.send(());
            }
        }
        self.count_open(slot, open);
        let next = if closed { None } else { open.run.next_deadline() };
        let counts = self.changed_holders(open, closed);
        // Last, when tasks are in their queues and waiting callers know: from here on the clock may jump.
        open.armed = self.timers.settle(open.armed, next, || Arc::clone(slot) as Arc<dyn Due>, counts);
    }

    /// What the store has to know beside the history, if that is not what it knows.
    fn changed_overlay(&self, open: &mut OpenRun, effects: &Effects) -> Option<Bytes> {
        // Of an open run, memory tells as long as the process lives.
        let is_asked = effects.overlay_changed && (self.store.outlives_process() || !open.run.is_open());
        if !is_asked {
            return None;
        }
        let overlay = open.run.overlay().to_bytes();
        let had = std::mem::replace(&mut open.has_overlay, !overlay.is_empty());
        (had || open.has_overlay).then_some(overlay)
    }

    /// When the run has to be in memory after a restart, if that is not what the store knows.
    fn changed_wake(&self, open: &mut OpenRun) -> Option<Wake> {
        if !self.store.outlives_process() || !open.run.is_open() {
            return None;
        }
        let wake = open.wake();
        (std::mem::replace(&mut open.stored_wake, wake) != wake).then_some(wake)
    }

    /// What has begun and ended to hold a skipping clock.
    fn changed_holders(&self, open: &mut OpenRun, closed: bool) -> [(ClockHolder, i64); 2] {
        if !self.clock.is_skipping() {
            return [(ClockHolder::Task, 0), (ClockHolder::Update, 0)];
        }
        let in_progress = if closed { 0 } else { open.run.tasks_in_progress() };
        let before = std::mem::replace(&mut open.in_progress, in_progress);
        let waiting = !closed && open.run.state.updates.wait_to_be_sent();
        let waited = std::mem::replace(&mut open.updates_waiting, waiting);
        [
            (ClockHolder::Task, in_progress as i64 - before as i64),
            (ClockHolder::Update, i64::from(waiting) - i64::from(waited)),
        ]
    }

    fn offer(&self, slot: &Arc<Slot>, open: &OpenRun, offer: Offer) {
        let namespace = slot.key.namespace;
        let slot = Arc::clone(slot);
        let run_id = Arc::clone(&open.run.info.run_id);
        match offer {
            Offer::WorkflowTask { stamp, sticky, queue } => {
                let mut task = Task::Workflow { slot, run_id, stamp };
                if let Some(name) = sticky {
                    let key = QueueKey { namespace, kind: QueueKind::Sticky, name };
                    match self.matching.offer_sticky(&key, task) {
                        Ok(()) => return,
                        Err(back) => task = back,
                    }
                }
                self.matching.offer(&QueueKey { namespace, kind: QueueKind::Workflow, name: queue }, task);
            }
            Offer::ActivityTask { scheduled_event_id, attempt, queue } => {
                let key = QueueKey { namespace, kind: QueueKind::Activity, name: queue };
                self.matching.offer(&key, Task::Activity { slot, run_id, scheduled_event_id, attempt });
            }
        }
    }
}

/// What a transition writes: one write per batch, the first with everything else.
fn writes(
    open: &OpenRun,
    effects: &Effects,
    overlay: Option<Bytes>,
    wake: Option<Wake>,
) -> impl Iterator<Item = Write> {
    let visibility = effects.visible.then(|| Box::new(open.run.visibility_row(open.namespace.key)));
    let mut batches = effects.batches.iter().cloned();
    let of_batch = |history| Write { run: open.key, history, visibility: None, overlay: None, wake: None };
    let first = Write { visibility, overlay, wake, ..of_batch(batches.next()) };
    std::iter::once(first).chain(batches.map(move |batch| of_batch(Some(batch))))
}
