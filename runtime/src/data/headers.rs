//! Values that are sent beside the inputs of a call.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::convert::{EncodeError, Payload, decode, encode};
use crate::raw;

/// Values that are sent beside the inputs of a call: trace context, tenant, locale. Payload codecs do not change them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers(BTreeMap<String, raw::Payload>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a value.
    pub fn insert<T: Serialize + 'static>(&mut self, name: impl Into<String>, value: &T) -> Result<(), EncodeError> {
        let name = name.into();
        let value = encode(value).map_err(|error| error.of(format!("header `{name}`")))?;
        self.0.insert(name, value);
        Ok(())
    }

    /// Adds or replaces a value in its wire form.
    pub fn insert_raw(&mut self, name: impl Into<String>, value: raw::Payload) {
        self.0.insert(name.into(), value);
    }

    /// The value of a header: `None` if it is not set, an error if it has another type.
    pub fn get<T: Payload>(&self, name: &str) -> Option<Result<T, String>> {
        self.0.get(name).map(decode)
    }

    /// All headers, in the order of their names.
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

    /// The wire form; `None` if there are no headers.
    pub(crate) fn into_wire(self) -> Option<raw::Header> {
        (!self.0.is_empty()).then(|| raw::Header { fields: HashMap::from_iter(self.0) })
    }
}
