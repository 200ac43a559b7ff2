//! An open run in memory, and the callers that wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use crate::api::query::WorkflowQueryResult;
use crate::clock::timers::{DeadlineKey, JumpPermit};
use crate::engine::effects::Notice;
use crate::engine::run::Run;
use crate::engine::update::state::UpdateNotice;
use crate::model::RunKey;
use crate::namespaces::Namespace;
use crate::store::{CommitSeq, Wake};

/// An open run and the callers that wait for it.
#[derive(Debug)]
pub(crate) struct OpenRun {
    pub(crate) run: Run,
    pub(crate) key: RunKey,
    pub(crate) namespace: Arc<Namespace>,
    /// The commit of the run's last write.
    pub(crate) seq: Option<CommitSeq>,
    /// The stored time of the run's next deadline.
    pub(super) stored_wake: Wake,
    /// Whether the store has an overlay of the run.
    pub(super) has_overlay: bool,
    /// The size with which the run was counted among those in memory.
    pub(in crate::service) counted_bytes: usize,
    /// Whether the run is on the list of idle runs.
    pub(in crate::service) is_listed_idle: bool,
    /// Whether a warning about the long history was logged.
    pub(super) has_warned_of_length: bool,
    pub(in crate::service) armed: Option<DeadlineKey>,
    /// The run that follows this closed one, until it is the current run of the workflow id.
    pub(super) successor: Option<Box<OpenRun>>,
    pub(super) in_progress: usize,
    pub(super) updates_waiting: bool,
    pub(super) event_waiters: Vec<oneshot::Sender<()>>,
    pub(super) close_waiters: Vec<CloseWaiter>,
    update_waiters: Vec<UpdateWaiter>,
    query_waiters: HashMap<u64, oneshot::Sender<QueryNotice>>,
}

#[derive(Debug)]
pub(super) struct CloseWaiter {
    pub(super) sender: oneshot::Sender<()>,
    /// Allows jumps while the caller waits.
    pub(super) time: Option<Weak<JumpPermit>>,
}

#[derive(Debug)]
struct UpdateWaiter {
    id: Arc<str>,
    /// Whether the caller waits for completion, not just for acceptance.
    for_completion: bool,
    sender: oneshot::Sender<UpdateNotice>,
    /// Allows jumps while the caller waits.
    time: Option<Weak<JumpPermit>>,
}

/// A notice about a query that was attached to a workflow task.
#[derive(Debug)]
pub(crate) enum QueryNotice {
    Answered(Box<WorkflowQueryResult>),
    /// The query should be sent as a direct query.
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
            has_warned_of_length: false,
            armed: None,
            successor: None,
            in_progress: 0,
            updates_waiting: false,
            event_waiters: Vec::new(),
            close_waiters: Vec::new(),
            update_waiters: Vec::new(),
            query_waiters: HashMap::new(),
        }
    }

    /// Creates a run recovered from the store.
    pub(in crate::service) fn recovered(
        run: Run,
        key: RunKey,
        namespace: Arc<Namespace>,
        wake: Wake,
        has_overlay: bool,
    ) -> Self {
        Self { stored_wake: wake, has_overlay, ..Self::new(run, key, namespace) }
    }

    /// Whether a caller waits for the run, so that it must stay in memory.
    pub(in crate::service) fn is_waited_for(&mut self) -> bool {
        self.event_waiters.retain(|waiter| !waiter.is_closed());
        self.close_waiters.retain(|waiter| !waiter.sender.is_closed());
        self.update_waiters.retain(|waiter| !waiter.sender.is_closed());
        self.query_waiters.retain(|_, waiter| !waiter.is_closed());
        !(self.event_waiters.is_empty()
            && self.close_waiters.is_empty()
            && self.update_waiters.is_empty()
            && self.query_waiters.is_empty())
            // A worker has the update, or will soon.
            || self.run.state.workflow_task.is_some()
    }

    /// Resolves when there are new events, or when the run closes.
    pub(crate) fn wait_for_events(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.event_waiters.retain(|waiter| !waiter.is_closed());
        self.event_waiters.push(sender);
        receiver
    }

    /// The time at which the run must be loaded, if no request loads it before.
    pub(in crate::service) fn wake(&self) -> Wake {
        match self.run.next_deadline() {
            _ if !self.run.is_idle() => Wake::AtOnce,
            Some(at) => Wake::At(at.nanos()),
            None => Wake::WhenAsked,
        }
    }

    /// Resolves when the run closes, and ends the caller's permit for jumps.
    pub(crate) fn wait_for_close(&mut self, time: Option<Weak<JumpPermit>>) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.close_waiters.retain(|waiter| !waiter.sender.is_closed());
        self.close_waiters.push(CloseWaiter { sender, time });
        receiver
    }

    /// Resolves when there is news of an update, and ends the caller's permit for jumps.
    pub(crate) fn wait_for_update(
        &mut self,
        id: &str,
        for_completion: bool,
        time: Option<Weak<JumpPermit>>,
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

    /// Drops an attached query whose caller has gone.
    pub(crate) fn forget_query(&mut self, id: u64) {
        self.run.queries.forget(id);
        self.query_waiters.remove(&id);
    }

    pub(super) fn notify(&mut self, notice: Notice) {
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
            Notice::QueryAnswered { id, result } => self.notify_query(id, QueryNotice::Answered(result)),
            Notice::QueryReleased { id } => self.notify_query(id, QueryNotice::Released),
        }
    }

    fn notify_query(&mut self, id: u64, notice: QueryNotice) {
        if let Some(sender) = self.query_waiters.remove(&id) {
            drop(sender.send(notice));
        }
    }
}

/// Ends the permit for jumps of a caller whose condition is met.
pub(super) fn end_wait(time: Option<Weak<JumpPermit>>) {
    if let Some(time) = time.and_then(|time| time.upgrade()) {
        time.end();
    }
}
