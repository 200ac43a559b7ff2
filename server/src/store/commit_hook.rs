//! A place for crash tests to stand: between the steps of a commit.

use std::fmt;
use std::sync::Arc;

/// How far the writing of a group has come when the hook is called, on the thread that writes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStep {
    /// A group is about to be written: tried again while another program has the lock, this comes again.
    Begin,
    /// Its rows are in a transaction that is still open.
    BeforeCommit,
    /// It is durable, and nobody has been told.
    Committed,
    /// The pages of the log are about to be moved into the database file.
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
