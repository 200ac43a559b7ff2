//! Operations that workflow code waits for: one entry for each timer, activity, condition or join.

use std::task::Waker;

use super::outcome::Outcome;
use super::table::Durable;
use crate::executor::call_site::CallSite;
use crate::executor::scope::ScopeId;

/// Creation order of the operations of a run. Scopes cancel in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OperationId(pub(in crate::executor) u64);

/// One operation, from its first poll or `start` until its outcome is taken.
pub(in crate::executor) struct Operation {
    pub(in crate::executor) scope: ScopeId,
    pub(in crate::executor) kind: Kind,
    /// The line that waits, or that issued its command.
    pub(in crate::executor) site: CallSite,
    pub(in crate::executor) waker: Option<Waker>,
    pub(in crate::executor) outcome: Option<Outcome>,
    /// Whether a future has polled it yet: an undelivered cancellation meets operations at their first poll.
    pub(in crate::executor) polled: bool,
    /// Its future is gone, so its outcome will not be taken.
    pub(in crate::executor) detached: bool,
    /// Whether it stays until its outcome is taken, though no further event names it.
    pub(in crate::executor) stays: bool,
}

pub(in crate::executor) enum Kind {
    /// History has its events.
    Durable(Durable),
    /// Nothing outside the run knows it: conditions, joins, waits for a cell.
    Local,
    /// `cancelled()`: for it, a cancellation is success.
    Cancellation,
}

impl Operation {
    pub(in crate::executor) fn new(scope: ScopeId, kind: Kind, site: CallSite) -> Self {
        Self { scope, kind, site, waker: None, outcome: None, polled: false, detached: false, stays: false }
    }

    /// Whether cancelling its scope would reach workflow code that waits.
    pub(in crate::executor) fn is_pending(&self) -> bool {
        self.outcome.is_none() && !self.detached
    }

    /// Whether no further event names it.
    pub(in crate::executor) fn is_over(&self) -> bool {
        match &self.kind {
            Kind::Durable(machine) => machine.is_over(),
            Kind::Local | Kind::Cancellation => true,
        }
    }

    /// The first outcome counts; later ones find it settled.
    pub(in crate::executor) fn resolve(&mut self, outcome: Outcome) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }

    /// One line of a stack trace.
    pub(in crate::executor) fn describe(&self) -> String {
        match &self.kind {
            Kind::Durable(machine) => machine.describe(self.site),
            Kind::Local => "a condition, a join or a field".to_owned(),
            Kind::Cancellation => "a cancellation".to_owned(),
        }
    }
}
