//! A hook between the steps of a commit, for crash tests.

use std::fmt;
use std::sync::Arc;

/// The step of the writer at which the hook is called, on the writing thread.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStep {
    /// Before a group is written. Repeated for each attempt while another program has the lock.
    Begin,
    /// The group's rows are in a transaction that is still open.
    BeforeCommit,
    /// The group is durable, and callers have not been notified.
    Committed,
    /// Before pages of the log are moved into the database file.
    Checkpoint,
}

/// A function that is called at each step, if a test sets one.
#[derive(Clone, Default)]
pub(crate) struct CommitHook(Option<Arc<dyn Fn(CommitStep) + Send + Sync>>);

impl CommitHook {
    pub(crate) fn new(hook: impl Fn(CommitStep) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(crate) fn reached(&self, step: CommitStep) {
        if let Some(hook) = &self.0 {
            hook(step);
        }
    }
}

impl fmt::Debug for CommitHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommitHook").field(&self.0.is_some()).finish()
    }
}
