//! The hook that sees the calls of a client and fills their headers.

use crate::data::Headers;

/// A call that a client is about to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutgoingCall<'a> {
    /// A workflow is started, perhaps with a signal.
    Start {
        /// The workflow's type.
        workflow_type: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
    /// A signal is sent.
    Signal {
        /// The signal's name.
        name: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
    /// A query is asked.
    Query {
        /// The query's name.
        name: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
    /// An update is sent.
    Update {
        /// The update's name.
        name: &'a str,
        /// The workflow's id.
        workflow_id: &'a str,
    },
}

/// Sees the calls of a client before they leave, and adds headers to them.
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
