//! The runs in memory, one lock per workflow id, and what follows a transition.
//!
//! Every call that changes a run is one synchronous section under its workflow id's lock: transition, commit queue,
//! tasks, timers, news for waiting callers. A caller whose future is dropped before has changed nothing, after it
//! everything.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::oneshot;
use tonic::Status;

use super::closed::ClosedRun;
use super::closed_runs::ClosedRuns;
use super::direct::DirectQuery;
use super::idle::IdleRuns;
use crate::api::query::WorkflowQueryResult;
use crate::clock::timers::{Due, Ticket, Timers, Waiting};
use crate::clock::{Clock, Holder};
use crate::engine::error::Refusal;
use crate::engine::overlay::Overlay;
use crate::engine::time::Time;
use crate::engine::update::UpdateNotice;
use crate::engine::{
    effects::{Close, Effects, Notice, Offer},
    run::Run,
};
use crate::matching::{Matching, QueueKey, QueueKind, QueuedTask};
use crate::model::{NamespaceKey, RunKey};
use crate::namespaces::{Namespace, Namespaces};
use crate::store::{CommitSeq, Store, Wake, Write};

const SHARDS: usize = 64;

/// A task in a queue.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    Workflow { slot: Arc<Slot>, run_id: Arc<str>, stamp: i64 },
    Activity { slot: Arc<Slot>, run_id: Arc<str>, scheduled_event_id: i64, attempt: i32 },
    Query(Arc<DirectQuery>),
}

impl QueuedTask for Task {
    fn leave_sticky_queue(self, queue: &QueueKey) {
        match self {
            Self::Workflow { slot, run_id, .. } => {
                let clear = |open: &mut OpenRun, _| {
                    if open.run.sticks_to(&queue.name) {
                        open.run.clear_sticky();
                    }
                    Ok(((), Close::KeepSpeculative))
                };
                let unstuck = slot.change(&run_id, clear, |_, ()| ());
                // A run that has closed sticks to nothing.
                drop(unstuck);
            }
            // Its caller asks the workers of the normal queue.
            Self::Query(query) => query.release(),
            Self::Activity { .. } => {}
        }
    }

    fn is_stale(&self) -> bool {
        match self {
            Self::Query(query) => !query.is_wanted(),
            Self::Workflow { slot, run_id, stamp } => slot.no_longer_has(run_id, |run| {
                run.state.workflow_task.as_ref().is_some_and(|task| task.stamp == *stamp && task.started.is_none())
            }),
            Self::Activity { slot, run_id, scheduled_event_id, attempt } => slot.no_longer_has(run_id, |run| {
                let activity = run.state.activities.get(scheduled_event_id);
                activity.is_some_and(|it| it.attempt == *attempt && it.started.is_none() && !it.backing_off)
            }),
        }
    }
}

/// Everything one engine shares.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Arc<Clock>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) matching: Arc<Matching<Task>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) namespaces: Arc<Namespaces>,
    /// What the store was opened with: who had a task then is gone with the process before.
    pub(super) workers_are_gone: bool,
    pub(super) idle: Mutex<IdleRuns>,
    /// Nobody has the engine any more.
    pub(super) is_stopping: AtomicBool,
    /// Open runs that are in the store alone and have a deadline.
    pub(super) dormant: Mutex<HashMap<RunKey, Ticket>>,
    shards: Vec<Mutex<HashMap<SlotKey, Arc<Slot>>>>,
    pub(super) hasher: RandomState,
    pub(super) closed: Mutex<ClosedRuns>,
    /// Queries with tasks of their own, by number.
    pub(super) direct_queries: Mutex<HashMap<u64, Arc<DirectQuery>>>,
    pub(super) next_query: AtomicU64,
}

/// Which workflow id of which namespace.
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
    pub(super) state: Mutex<SlotState>,
}

/// What a slot guards.
#[derive(Debug, Default)]
pub(crate) struct SlotState {
    pub(crate) current: Option<Current>,
    /// The slot has left the map; whoever locks it looks it up again.
    retired: bool,
}

#[derive(Debug)]
pub(crate) enum Current {
    Open(Box<OpenRun>),
    Closed(Arc<ClosedRun>),
}

/// An open run and those who wait for it.
#[derive(Debug)]
pub(crate) struct OpenRun {
    pub(crate) run: Run,
    pub(crate) key: RunKey,
    pub(crate) namespace: Arc<Namespace>,
    /// Covers everything the run has written.
    pub(crate) seq: Option<CommitSeq>,
    /// What the store knows of the run's next deadline.
    stored_wake: Wake,
    /// Whether the store has an overlay of the run.
    has_overlay: bool,
    /// What the run was counted as among those in memory.
    pub(super) counted_bytes: usize,
    /// Whether the run is on the list of those that rest.
    pub(super) is_listed_idle: bool,
    /// The log says that the history gets long.
    is_known_as_long: bool,
    pub(super) armed: Option<Ticket>,
    in_progress: usize,
    updates_waiting: bool,
    event_waiters: Vec<oneshot::Sender<()>>,
    close_waiters: Vec<CloseWaiter>,
    update_waiters: Vec<UpdateWaiter>,
    query_waiters: HashMap<u64, oneshot::Sender<QueryNotice>>,
}

#[derive(Debug)]
struct CloseWaiter {
    sender: oneshot::Sender<()>,
    /// Lets time jump while it waits.
    time: Option<Weak<Waiting>>,
}

#[derive(Debug)]
struct UpdateWaiter {
    id: Arc<str>,
    /// Acceptance is not enough.
    for_completion: bool,
    sender: oneshot::Sender<UpdateNotice>,
    /// Lets time jump while it waits.
    time: Option<Weak<Waiting>>,
}

/// News of a query that rode on a workflow task.
#[derive(Debug)]
pub(crate) enum QueryNotice {
    Answered(Box<WorkflowQueryResult>),
    /// Ask it by itself.
    Released,
}

impl OpenRun {
    pub(crate) fn new(run: Run, key: RunKey, namespace: Arc<Namespace>) -> Self {
        Self {
            run,
            key,
            namespace,
            seq: None,
            stored_wake: Wake::AtOnce,
            has_overlay: false,
            counted_bytes: 0,
            is_listed_idle: false,
            is_known_as_long: false,
            armed: None,
            in_progress: 0,
            updates_waiting: false,
            event_waiters: Vec::new(),
            close_waiters: Vec::new(),
            update_waiters: Vec::new(),
            query_waiters: HashMap::new(),
        }
    }

    /// A run as the store has it.
    pub(super) fn recovered(run: Run, key: RunKey, namespace: Arc<Namespace>, wake: Wake, has_overlay: bool) -> Self {
        Self { stored_wake: wake, has_overlay, ..Self::new(run, key, namespace) }
    }

    /// Whether somebody would miss the run in memory.
    pub(super) fn is_waited_for(&mut self) -> bool {
        self.event_waiters.retain(|waiter| !waiter.is_closed());
        self.close_waiters.retain(|waiter| !waiter.sender.is_closed());
        self.update_waiters.retain(|waiter| !waiter.sender.is_closed());
        self.query_waiters.retain(|_, waiter| !waiter.is_closed());
        !(self.event_waiters.is_empty()
            && self.close_waiters.is_empty()
            && self.update_waiters.is_empty()
            && self.query_waiters.is_empty())
            // The worker has the update, or is about to.
            || self.run.state.workflow_task.is_some()
    }

    /// Resolves when there are new events, or when the run closes.
    pub(crate) fn wait_for_events(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.event_waiters.retain(|waiter| !waiter.is_closed());
        self.event_waiters.push(sender);
        receiver
    }

    /// When the run has to be in memory, if nobody asks for it before.
    pub(super) fn wake(&self) -> Wake {
        match self.run.next_deadline() {
            _ if !self.run.rests() => Wake::AtOnce,
            Some(at) => Wake::At(at.nanos()),
            None => Wake::WhenAsked,
        }
    }

    /// Resolves when the run closes. From then on time does not jump for the caller any more.
    pub(crate) fn wait_for_close(&mut self, time: Option<Weak<Waiting>>) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.close_waiters.retain(|waiter| !waiter.sender.is_closed());
        self.close_waiters.push(CloseWaiter { sender, time });
        receiver
    }

    /// Resolves when there is news of an update. From then on time does not jump for the caller any more.
    pub(crate) fn wait_for_update(
        &mut self,
        id: &str,
        for_completion: bool,
        time: Option<Weak<Waiting>>,
    ) -> oneshot::Receiver<UpdateNotice> {
        let (sender, receiver) = oneshot::channel();
        self.update_waiters.retain(|waiter| !waiter.sender.is_closed());
        self.update_waiters.push(UpdateWaiter { id: id.into(), for_completion, sender, time });
        receiver
    }

    pub(crate) fn wait_for_query(&mut self, id: u64) -> oneshot::Receiver<QueryNotice> {
        let (sender, receiver) = oneshot::channel();
        self.query_waiters.insert(id, sender);
        receiver
    }

    /// The caller of a riding query has gone.
    pub(crate) fn forget_query(&mut self, id: u64) {
        self.run.queries.forget(id);
        self.query_waiters.remove(&id);
    }

    fn tell(&mut self, notice: Notice) {
        match notice {
            Notice::Update { id, notice } => {
                let accepted_only = matches!(notice, UpdateNotice::Accepted);
                for waiter in std::mem::take(&mut self.update_waiters) {
                    if waiter.id == id && !(accepted_only && waiter.for_completion) {
                        end_wait(waiter.time);
                        drop(waiter.sender.send(notice.clone()));
                    } else {
                        self.update_waiters.push(waiter);
                    }
                }
            }
            Notice::QueryAnswered { id, result } => self.tell_query(id, QueryNotice::Answered(result)),
            Notice::QueryReleased { id } => self.tell_query(id, QueryNotice::Released),
        }
    }

    fn tell_query(&mut self, id: u64, notice: QueryNotice) {
        if let Some(sender) = self.query_waiters.remove(&id) {
            drop(sender.send(notice));
        }
    }
}

impl Core {
    pub(crate) fn new(
        clock: Clock,
        store: Arc<dyn Store>,
        namespaces: Arc<Namespaces>,
        workers_are_gone: bool,
    ) -> Arc<Self> {
        let clock = Arc::new(clock);
        let remembers_stored = !store.outlives_process();
        // Workers may still have queries of a process before this one; their numbers lie behind.
        let next_query = AtomicU64::new(u64::try_from(clock.now().nanos()).unwrap_or(0));
        let timers = Arc::new(Timers::new(Arc::clone(&clock)));
        Arc::new(Self {
            matching: Arc::new(Matching::new(Arc::clone(&timers))),
            timers,
            clock,
            store,
            namespaces,
            workers_are_gone,
            is_stopping: AtomicBool::new(false),
            idle: Mutex::default(),
            dormant: Mutex::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            closed: Mutex::new(ClosedRuns::new(remembers_stored)),
            direct_queries: Mutex::default(),
            next_query,
        })
    }

    /// The slot of a workflow id that has a run in memory.
    pub(super) fn find_slot(&self, key: &SlotKey) -> Option<Arc<Slot>> {
        lock(self.shard(key)).get(key).cloned()
    }

    /// The slot of a workflow id, made when there is none.
    pub(super) fn slot(self: &Arc<Self>, key: &SlotKey) -> Arc<Slot> {
        let mut shard = lock(self.shard(key));
        let made = || Arc::new(Slot { key: key.clone(), core: Arc::downgrade(self), state: Mutex::default() });
        Arc::clone(shard.entry(key.clone()).or_insert_with(made))
    }

    /// For tests: how many workflow ids have something in memory.
    #[cfg(test)]
    pub(super) fn count_slots(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard(&self, key: &SlotKey) -> &Mutex<HashMap<SlotKey, Arc<Slot>>> {
        let hash = self.hasher.hash_one(&key.workflow_id);
        &self.shards[(hash % SHARDS as u64) as usize]
    }

    /// Looks up a run, the current one without a run id, and does something with it under its lock.
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
                Look::Done(result) => return result,
                Look::Missed { act: back, other_run } => {
                    act = back;
                    other_run
                }
            };
            if other_run {
                // The one that is asked for may have been replaced a moment ago.
                self.store.caught_up().await?;
            }
            let asked = (!run_id.is_empty()).then_some(run_id);
            match self.store.find_run(namespace.key, workflow_id, asked)? {
                Some(stored) if stored.visibility.close_time_ns.is_some() => {
                    let closed =
                        Arc::new(ClosedRun::from_store(stored, Arc::clone(&namespace.name), Arc::clone(&self.store))?);
                    return act(Located::Closed(&closed));
                }
                Some(_) if !other_run => self.load(&key)?,
                None if run_id.is_empty() => {
                    return Err(Refusal::NotFound(format!("workflow not found for ID: {workflow_id}")).into());
                }
                _ => return Err(Refusal::unknown_run().into()),
            }
        }
    }

    /// As [`Core::with_run`], for runs in memory.
    pub(super) fn with_run_in_memory<R, A>(self: &Arc<Self>, key: &SlotKey, run_id: &str, act: A) -> Look<R, A>
    where
        A: FnOnce(Located<'_>) -> Result<R, Status>,
    {
        while let Some(slot) = self.find_slot(key) {
            let Some(mut state) = slot.lock() else { continue };
            match &mut state.current {
                Some(Current::Open(open)) if run_id.is_empty() || *open.run.info.run_id == *run_id => {
                    let result = act(Located::Open(&slot, open));
                    self.settle(&slot, &mut state);
                    drop(state);
                    self.let_idle_runs_go();
                    return Look::Done(result);
                }
                Some(Current::Closed(closed)) if run_id.is_empty() || *closed.row.run_id == *run_id => {
                    let closed = Arc::clone(closed);
                    drop(state);
                    return Look::Done(act(Located::Closed(&closed)));
                }
                current => return Look::Missed { act, other_run: current.is_some() },
            }
        }
        Look::Missed { act, other_run: false }
    }

    /// Whether there may be a run of that workflow id in the store, though not in memory.
    pub(super) fn may_be_stored(&self, key: &SlotKey) -> bool {
        lock(&self.closed).may_be_stored(self.hasher.hash_one(key))
    }

    /// Changes an open run: one transition, with all that follows from it. The run's lock is held.
    ///
    /// `transition` returns what it came to and how it ends. One that fails has changed nothing.
    pub(super) fn change<R, E>(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        open: &mut OpenRun,
        transition: impl FnOnce(&mut OpenRun, Time) -> Result<(R, Close), E>,
    ) -> Result<R, E> {
        let now = self.clock.now();
        let (result, close) = transition(open, now)?;
        self.commit(now, [Changed { slot, open, close }]);
        Ok(result)
    }

    /// Ends the transition of one or several runs and does what follows from it: what they write is one commit, which a crash
    /// cannot divide. Runs are written in the given order. The locks of all are held.
    pub(super) fn commit<const RUNS: usize>(self: &Arc<Self>, now: Time, changes: [Changed<'_>; RUNS]) {
        let mut all = Vec::new();
        let changes = changes.map(|Changed { slot, open, close }| {
            let effects = open.run.close_transaction(now, close);
            let overlay = self.changed_overlay(open, &effects);
            let wake = self.changed_wake(open);
            if !effects.batches.is_empty() || effects.visible || overlay.is_some() || wake.is_some() {
                all.extend(writes(open, &effects, overlay, wake));
            }
            (slot, open, effects)
        });
        let seq = (!all.is_empty()).then(|| self.store.commit(all));
        for (slot, open, effects) in changes {
            open.seq = seq.or(open.seq);
            self.follow(slot, open, effects);
        }
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
        let overlay = Overlay::of(&open.run).to_bytes();
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
    fn changed_holders(&self, open: &mut OpenRun, closed: bool) -> [(Holder, i64); 2] {
        if !self.clock.is_skipping() {
            return [(Holder::Task, 0), (Holder::Update, 0)];
        }
        let in_progress = if closed { 0 } else { open.run.tasks_in_progress() };
        let before = std::mem::replace(&mut open.in_progress, in_progress);
        let waiting = !closed && open.run.state.updates.wait_to_be_sent();
        let waited = std::mem::replace(&mut open.updates_waiting, waiting);
        [(Holder::Task, in_progress as i64 - before as i64), (Holder::Update, i64::from(waiting) - i64::from(waited))]
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

    /// Lets go of a slot that has no open run and is not counted among the closed ones in memory.
    pub(super) fn tidy(&self, slot: &Arc<Slot>, mut state: MutexGuard<'_, SlotState>) {
        state.current = None;
        state.retired = true;
        drop(state);
        lock(self.shard(&slot.key)).remove(&slot.key);
    }

    /// Waits until what a reply tells is as durable as it gets.
    pub(crate) async fn durable(&self, seq: Option<CommitSeq>) -> Result<(), Status> {
        if let Some(seq) = seq {
            self.store.durable(seq).await?;
        }
        Ok(())
    }
}

/// One run's part in a transition, which ends with it.
pub(super) struct Changed<'a> {
    pub(super) slot: &'a Arc<Slot>,
    pub(super) open: &'a mut OpenRun,
    pub(super) close: Close,
}

/// What looking for a run in memory came to.
pub(super) enum Look<R, A> {
    Done(Result<R, Status>),
    /// It is not there; another run of the same workflow id may be.
    Missed {
        act: A,
        other_run: bool,
    },
}

/// A run that was looked up.
pub(crate) enum Located<'a> {
    Open(&'a Arc<Slot>, &'a mut OpenRun),
    Closed(&'a Arc<ClosedRun>),
}

impl Slot {
    /// Locks the slot; `None` when it is not the workflow id's slot any more.
    pub(super) fn lock(&self) -> Option<MutexGuard<'_, SlotState>> {
        let state = lock(&self.state);
        (!state.retired).then_some(state)
    }

    /// Whether the run with that id is not open any more, or has not what `has` looks for. A run that another thread is at
    /// work on counts as having it.
    fn no_longer_has(&self, run_id: &str, has: impl FnOnce(&Run) -> bool) -> bool {
        let Ok(state) = self.state.try_lock() else { return false };
        match &state.current {
            Some(Current::Open(open)) if *open.run.info.run_id == *run_id => !has(&open.run),
            _ => true,
        }
    }

    /// Changes the run with that id, if it is still open: one transition, with all that follows from it.
    ///
    /// `transition` returns what it came to and how it ends; `read` makes the answer, from the run as it is then.
    pub(super) fn change<R, A>(
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
        let result = core.change(self, open, transition)?;
        let answer = read(open, result);
        let seq = open.seq;
        core.settle(self, &mut state);
        drop(state);
        core.let_idle_runs_go();
        Ok((answer, seq))
    }
}

impl Due for Slot {
    fn fire(self: Arc<Self>, now: Time) {
        let Some(core) = self.core.upgrade() else { return };
        let Some(mut state) = self.lock() else { return };
        let Some(Current::Open(open)) = &mut state.current else { return };
        // The ticket is spent; what comes next gets a new one.
        if open.armed.is_some_and(|ticket| ticket.at() <= now) {
            open.armed = None;
        }
        open.run.handle_timeout(now);
        core.commit(now, [Changed { slot: &self, open, close: Close::KeepSpeculative }]);
        core.settle(&self, &mut state);
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

/// What a caller waited for is there: time does not jump for it any more.
fn end_wait(time: Option<Weak<Waiting>>) {
    if let Some(time) = time.and_then(|time| time.upgrade()) {
        time.end();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
