//! Errors of the store.

use std::sync::Arc;
use std::time::Duration;

/// The reason why the store cannot carry out a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// An earlier write failed, so memory and storage may differ. Until the store is opened again, nothing is
    /// acknowledged.
    #[error("the store has failed: {reason}")]
    Failed { reason: Arc<str> },
    /// Too many writes wait; the caller may retry later.
    #[error("the store is behind: {queued_bytes} bytes wait to be written")]
    Busy { queued_bytes: usize },
    /// Another program has an exclusive lock on the database; the caller may retry.
    #[error("{reason}")]
    Locked { reason: Arc<str> },
    /// A list or count read too many rows.
    #[error(
        "the list or count took longer than {} s: narrow its filter, by StartTime or WorkflowId say", limit.as_secs()
    )]
    TooSlow { limit: Duration },
    /// The file was opened for reads only.
    #[error("{path} is only read here: {advice}")]
    ReadOnly { path: Arc<str>, advice: Arc<str> },
    /// Too many lists and counts wait; the caller may retry later.
    #[error("{waiting} lists and counts wait already")]
    Crowded { waiting: usize },
}
