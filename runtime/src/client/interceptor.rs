//! Headers, and the hook that fills them.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::data::{EncodeError, Payload, decode, encode};
use crate::raw;

/// Values that travel beside the inputs of a call: trace context, tenant, locale. Payload codecs leave them alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers(BTreeMap<String, raw::Payload>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces one.
    pub fn insert<T: Serialize + 'static>(&mut self, name: impl Into<String>, value: &T) -> Result<(), EncodeError> {
        let name = name.into();
        let value = encode(value).map_err(|error| error.of(format!("header `{name}`")))?;
        self.0.insert(name, value);
        Ok(())
    }

    /// Adds or replaces one, as it is on the wire.
    pub fn insert_raw(&mut self, name: impl Into<String>, value: raw::Payload) {
        self.0.insert(name.into(), value);
    }

    /// The value of one: `None` if there is none, an error if it is of another type.
    pub fn get<T: Payload>(&self, name: &str) -> Option<Result<T, String>> {
        self.0.get(name).map(decode)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &raw::Payload)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn from_map(headers: BTreeMap<String, raw::Payload>) -> Self {
        Self(headers)
    }

    pub(crate) fn from_wire(header: Option<raw::Header>) -> Self {
        Self(header.map(|header| header.fields.into_iter().collect()).unwrap_or_default())
    }

    /// `None` when empty, as the protocol has it.
    pub(crate) fn into_wire(self) -> Option<raw::Header> {
        (!self.0.is_empty()).then(|| raw::Header { fields: HashMap::from_iter(self.0) })
    }
}

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
/// use everloop::{ClientInterceptor, Headers, OutgoingCall};
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
