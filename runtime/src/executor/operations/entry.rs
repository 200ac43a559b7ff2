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
    /// The line of code that waits, or that issued the command.
    pub(in crate::executor) site: CallSite,
    pub(in crate::executor) waker: Option<Waker>,
    pub(in crate::executor) outcome: Option<Outcome>,
    /// The outcome after that of a start.
    pub(in crate::executor) next_outcome: Option<Outcome>,
    /// Whether a future has polled the operation: an undelivered cancellation is taken at an operation's first poll.
    pub(in crate::executor) polled: bool,
    /// Whether the future was dropped, so that the outcome will not be taken.
    pub(in crate::executor) detached: bool,
    /// Whether the operation is kept until its outcome is taken, although no further event names it.
    pub(in crate::executor) stays: bool,
}

pub(in crate::executor) enum Kind {
    /// An operation with events in history.
    Durable(Durable),
    /// An operation inside the run: a condition, a join, a wait for a cell.
    Local,
    /// The operation of `cancelled()`, which resolves when its scope is cancelled.
    Cancellation,
}

impl Operation {
    pub(in crate::executor) fn new(scope: ScopeId, kind: Kind, site: CallSite) -> Self {
        Self {
            scope,
            kind,
            site,
            waker: None,
            outcome: None,
            next_outcome: None,
            polled: false,
            detached: false,
            stays: false,
        }
    }

    /// Whether a cancellation of the operation's scope would reach waiting workflow code.
    pub(in crate::executor) fn is_pending(&self) -> bool {
        self.is_unsettled() && !self.detached
    }

    /// Whether no further event names the operation.
    pub(in crate::executor) fn is_over(&self) -> bool {
        match &self.kind {
            Kind::Durable(machine) => machine.is_over(),
            Kind::Local | Kind::Cancellation => true,
        }
    }

    /// Whether no outcome ends it yet: that of a start does not.
    pub(in crate::executor) fn is_unsettled(&self) -> bool {
        match &self.outcome {
            None => true,
            Some(Outcome::Started { .. }) => self.next_outcome.is_none(),
            Some(_) => false,
        }
    }

    /// Sets the outcome, unless the operation has one.
    pub(in crate::executor) fn resolve(&mut self, outcome: Outcome) {
        if matches!(self.outcome, Some(Outcome::Started { .. })) {
            // The start was not taken yet, and wakes the future already.
            self.next_outcome.get_or_insert(outcome);
        } else if self.outcome.is_none() {
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
