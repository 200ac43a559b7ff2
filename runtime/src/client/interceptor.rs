//! The hook that observes the calls of a client and adds headers to them.

use crate::data::Headers;

/// A call of a client, before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutgoingCall<'a> {
    /// Starts a workflow, perhaps with a signal.
    Start {
        /// The workflow's type.
        workflow_type: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
    /// Sends a signal.
    Signal {
        /// The signal's name.
        name: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
    /// Sends a query.
    Query {
        /// The query's name.
        name: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
    /// Sends an update.
    Update {
        /// The update's name.
        name: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
}

/// Observes the calls of a client before they are sent, and adds headers to them.
///
/// ```
/// use everloop::client::{ClientInterceptor, OutgoingCall};
/// use everloop::data::Headers;
///
/// struct Tenant(String);
///
/// impl ClientInterceptor for Tenant {
///     fn outgoing(&self, _call: &OutgoingCall<'_>, headers: &mut Headers) {
///         headers.insert("tenant", &self.0).expect("text can be serialized");
///     }
/// }
/// ```
pub trait ClientInterceptor: Send + Sync + 'static {
    /// Called once for each call, on the caller's task.
    fn outgoing(&self, call: &OutgoingCall<'_>, headers: &mut Headers);
}
