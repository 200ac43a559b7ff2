//! Why an engine does not start.

use std::io;

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The storage cannot be opened. The text says what is wrong and what to do about it.
    #[error("{0}")]
    Store(String),
    /// Another process has the file open, or another engine of this one. The text says which, and what to do.
    #[error("{message}")]
    InUse { pid: Option<u32>, message: String },
    /// A name that cannot be a namespace.
    #[error("cannot use namespace: {0}")]
    Namespace(String),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}
