//! Handlers that still run when their workflow ends.

/// The policy for a signal or update handler that still runs when the workflow ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnfinishedPolicy {
    /// Warn: its caller may lose work. Wait for [`all_handlers_finished`](crate::workflow::all_handlers_finished) before returning.
    #[default]
    Warn,
    /// Do not warn.
    Abandon,
}
