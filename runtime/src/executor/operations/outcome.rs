//! The outcome of an operation.

use crate::data::Failure;
use crate::raw;

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// A timer fired, a coroutine ended, or the scope was cancelled for whose cancellation the operation waited.
    Ready,
    /// The operation or its scope was cancelled.
    Cancelled,
    /// The child workflow started. Another outcome follows.
    Started { run_id: String },
    /// The activity or child workflow returned a result or a failure.
    Returned(Result<Option<raw::Payload>, Box<Failure>>),
}
