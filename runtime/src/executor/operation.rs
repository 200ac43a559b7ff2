//! What workflow code waits for: one entry for each timer, activity, condition or join.

use std::task::Waker;

use super::activity::Activity;
use super::command::CallSite;
use super::scope::ScopeId;
use super::timer::Timer;
use crate::data::Failure;
use crate::raw;

/// Creation order of the operations of a run. Scopes cancel in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OperationId(pub(super) u64);

/// What an operation ended with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// A timer fired, a coroutine ended, a scope was cancelled for someone who waited for just that.
    Ready,
    /// Its scope was cancelled, or it was itself.
    Cancelled,
    /// An activity's result.
    Activity(Result<Option<raw::Payload>, Box<Failure>>),
}

/// What dropping the future of a pending operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDrop {
    /// Cancels it durably, by its type.
    Cancel,
    /// Leaves it alone.
    Detach,
}

/// One operation, from its first poll or `start` until its outcome is taken.
pub(super) struct Operation {
    pub(super) scope: ScopeId,
    pub(super) kind: Kind,
    /// The line that waits, or that issued its command.
    pub(super) site: CallSite,
    pub(super) waker: Option<Waker>,
    pub(super) outcome: Option<Outcome>,
    /// Whether a future has polled it yet: an undelivered cancellation meets operations at their first poll.
    pub(super) polled: bool,
    /// Nobody will take its outcome.
    pub(super) detached: bool,
}

pub(super) enum Kind {
    Timer(Timer),
    Activity(Activity),
    /// Nothing outside the run knows it: conditions, joins, waits for a cell.
    Local,
    /// `cancelled()`: for it, a cancellation is success.
    Cancellation,
}

impl Operation {
    pub(super) fn new(scope: ScopeId, kind: Kind, site: CallSite) -> Self {
        Self { scope, kind, site, waker: None, outcome: None, polled: false, detached: false }
    }

    /// Whether cancelling its scope would reach someone who waits.
    pub(super) fn is_pending(&self) -> bool {
        self.outcome.is_none() && !self.detached
    }

    /// The first outcome counts; later ones find it settled.
    pub(super) fn resolve(&mut self, outcome: Outcome) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }
}
