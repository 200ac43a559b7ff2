//! Carries out the effects of a transition: its commit, tasks, timers, and notices for waiting callers.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::clock::ClockHolder;
use crate::clock::timers::Due;
use crate::engine::effects::{Close, Effects, Offer, Successor};
use crate::engine::error::Refusal;
use crate::engine::run::Run;
use crate::engine::time::Time;
use crate::matching::{QueueKey, QueueKind};
use crate::service::core::Core;
use crate::service::runs::open::{CloseWaiter, OpenRun, end_wait};
use crate::service::runs::slot::{Changed, Slot};
use crate::service::runs::task::Task;
use crate::store::{Record, Wake, Write};

impl Core {
    /// Changes an open run: one transition with all its effects. The caller holds the run's lock.
    ///
    /// `transition` returns its result and how the transition is closed. A failed transition has changed nothing. A
    /// transition that would make the history too long fails as well, after the run has been terminated instead.
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

    /// Ends the transition of one or several runs and carries out its effects: all writes are one commit, which a crash
    /// cannot divide. Runs are written in the given order, each before the run that follows it, which
    /// [`Core::settle`] makes the current one. The caller holds the locks of all runs.
    ///
    /// Returns for each run the refusal, if it was terminated because its history would have been too long.
    pub(in crate::service) fn commit<const RUNS: usize>(
        self: &Arc<Self>,
        now: Time,
        changes: [Changed<'_>; RUNS],
    ) -> [Option<Refusal>; RUNS] {
        let mut all = Vec::new();
        let changes = changes.map(|Changed { slot, open, close }| {
            let mut effects = self.end_transition(open, close, now, &mut all);
            let successor = effects.successor.take().map(|successor| {
                let mut next = self.begin_successor(*successor, open);
                let effects = self.end_transition(&mut next, Close::Write, now, &mut all);
                (next, effects)
            });
            (slot, open, effects, successor)
        });
        let seq = (!all.is_empty()).then(|| self.store.commit(all));
        changes.map(|(slot, open, mut effects, successor)| {
            open.seq = seq.or(open.seq);
            // The successor first: while it has no task in its queue, only the closed run keeps the clock from jumping.
            open.successor = successor.map(|(mut next, effects)| {
                next.seq = seq;
                self.follow(slot, &mut next, effects);
                next
            });
            let refusal = effects.refusal.take();
            self.follow(slot, open, effects);
            refusal
        })
    }

    /// Ends the transition of one run, and adds its writes to those of the commit.
    fn end_transition(&self, open: &mut OpenRun, close: Close, now: Time, all: &mut Vec<Write>) -> Effects {
        let effects = open.run.close_transaction(now, close);
        if open.run.history.next_event_id() <= self.compares_up_to
            && let Some(difference) = open.run.difference_to_stored()
        {
            panic!("run {} is not what is written of it: {difference}", open.run.info.run_id);
        }
        let overlay = self.changed_overlay(open, &effects);
        let wake = self.changed_wake(open);
        let outbox = self.outbox(open, &effects.intents);
        if !effects.batches.is_empty() || effects.visible || overlay.is_some() || wake.is_some() {
            all.extend(writes(open, &effects, overlay, wake, outbox));
        }
        effects
    }

    /// Begins the run that follows a closed one. The caller ends its transition.
    fn begin_successor(&self, successor: Successor, closed: &OpenRun) -> Box<OpenRun> {
        let request_id = Uuid::new_v4().to_string().into();
        let run = Run::follow(successor, request_id, self.run_interval_min);
        let run = run.expect("the engine has checked all durations");
        Box::new(OpenRun::new(run, self.store.new_run(), Arc::clone(&closed.namespace)))
    }

    /// Does what follows a change: messages to other runs, and evictions. The caller holds no run's lock.
    pub(in crate::service) fn after_change(self: &Arc<Self>) {
        self.carry_out_intents();
        self.evict_idle_runs();
    }

    /// Carries out the effects of a written transition outside of the store.
    fn follow(self: &Arc<Self>, slot: &Arc<Slot>, open: &mut OpenRun, effects: Effects) {
        let closed = !open.run.is_open();
        let wrote = !effects.batches.is_empty();
        for offer in effects.offers {
            self.offer(slot, open, offer);
        }
        for notice in effects.notices {
            open.notify(notice);
        }
        self.queue_intents(open, effects.intents);
        if wrote && open.run.is_long() && !std::mem::replace(&mut open.has_warned_of_length, true) {
            let info = &open.run.info;
            tracing::warn!(
                namespace = &*info.namespace.name,
                workflow_id = &*info.workflow_id,
                run_id = &*info.run_id,
                events = open.run.history.next_event_id() - 1,
                bytes = open.run.history.size_bytes(),
                "the history of a run gets long: it is terminated at 51,200 events or 50 MiB; continue as new before"
            );
        }
        if wrote {
            for waiter in open.event_waiters.drain(..) {
                // The waiting caller may have gone.
                let _ = waiter.send(());
            }
        }
        if closed {
            for CloseWaiter { sender, time } in open.close_waiters.drain(..) {
                end_wait(time);
                // The waiting caller may have gone.
                let _ = sender.send(());
            }
        }
        self.count_open(slot, open);
        let next = if closed { None } else { open.run.next_deadline() };
        let counts = self.changed_holders(open, closed);
        // Done last, when tasks are in their queues and waiting callers are notified: from here on the clock may jump.
        open.armed = self.timers.settle(open.armed, next, || Arc::clone(slot) as Arc<dyn Due>, counts);
    }

    /// Returns the overlay if it differs from the stored one.
    fn changed_overlay(&self, open: &mut OpenRun, effects: &Effects) -> Option<Bytes> {
        // The overlay of an open run in a memory store is not needed.
        let is_asked = effects.overlay_changed && (self.store.outlives_process() || !open.run.is_open());
        if !is_asked {
            return None;
        }
        let overlay = open.run.overlay().to_bytes();
        let had = std::mem::replace(&mut open.has_overlay, !overlay.is_empty());
        (had || open.has_overlay).then_some(overlay)
    }

    /// Returns the time at which the run must be loaded after a restart, if it differs from the stored one.
    fn changed_wake(&self, open: &mut OpenRun) -> Option<Wake> {
        if !self.store.outlives_process() || !open.run.is_open() {
            return None;
        }
        let wake = open.wake();
        (std::mem::replace(&mut open.stored_wake, wake) != wake).then_some(wake)
    }

    /// The changes of the counts of holders of the clock.
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

/// The writes of a transition: one per batch, the first with everything else.
fn writes(
    open: &OpenRun,
    effects: &Effects,
    overlay: Option<Bytes>,
    wake: Option<Wake>,
    outbox: Option<Record>,
) -> impl Iterator<Item = Write> {
    let visibility = effects.visible.then(|| Box::new(open.run.visibility_row(open.namespace.key)));
    let mut batches = effects.batches.iter().cloned();
    let of_batch = |history| Write { history, ..Write::nothing(open.key) };
    let first = Write { visibility, overlay, wake, outbox, ..of_batch(batches.next()) };
    std::iter::once(first).chain(batches.map(move |batch| of_batch(Some(batch))))
}
