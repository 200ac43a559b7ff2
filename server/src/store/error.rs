//! Why the store cannot do what it was asked for.

use std::sync::Arc;
use std::time::Duration;

/// Why the store cannot do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// An earlier write failed, so memory and storage may differ. Nothing is acknowledged any more until the store is
    /// opened again.
    #[error("the store has failed: {reason}")]
    Failed { reason: Arc<str> },
    /// Writes wait faster than they are written; the caller may try again later.
    #[error("the store is behind: {queued_bytes} bytes wait to be written")]
    Busy { queued_bytes: usize },
    /// Another program has the database for itself; the caller may try again.
    #[error("{reason}")]
    Locked { reason: Arc<str> },
    /// A list or count looked at too much.
    #[error(
        "the list or count took longer than {} s: narrow its filter, by StartTime or WorkflowId say", limit.as_secs()
    )]
    TooSlow { limit: Duration },
    /// The file was opened to be looked at.
    #[error("{path} is only read here: {advice}")]
    ReadOnly { path: Arc<str>, advice: Arc<str> },
    /// Lists and counts come faster than they are done; the caller may try again later.
    #[error("{waiting} lists and counts wait already")]
    Crowded { waiting: usize },
}
