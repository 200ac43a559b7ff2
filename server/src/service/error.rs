//! Reasons why an engine does not start.

use std::io;

/// The reason why an engine does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The storage cannot be opened. The text describes the fault and its remedy.
    #[error("{0}")]
    Store(String),
    /// Another process, or another engine of this process, has the file open. The text names it and the remedy.
    #[error("{message}")]
    InUse { pid: Option<u32>, message: String },
    /// The name is not a valid namespace name.
    #[error("cannot use namespace: {0}")]
    Namespace(String),
    /// The system cannot start a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}
