//! Handlers that still run when their workflow ends.

/// The policy for a signal or update handler that still runs when the workflow ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnfinishedPolicy {
    /// Logs a warning, because the handler's caller may lose work. A workflow should wait for
    /// [`all_handlers_finished`](crate::workflow::all_handlers_finished) before it returns.
    #[default]
    Warn,
    /// Logs no warning.
    Abandon,
}
