//! A list of payloads with typed access.

use serde::Serialize;

use super::convert::{EncodeError, Payload, decode, encode};
use crate::raw;

/// Values in their wire form: details of a failure or a heartbeat, the inputs of an untyped call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Payloads(Vec<raw::Payload>);

impl Payloads {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// One value.
    pub fn of<T: Serialize + 'static>(value: &T) -> Result<Self, EncodeError> {
        Ok(Self(vec![encode(value)?]))
    }

    /// Appends one value.
    pub fn push<T: Serialize + 'static>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.0.push(encode(value)?);
        Ok(())
    }

    /// The value at `index`, counted from 0; `None` if there are fewer values, an error if it has another type.
    pub fn get<T: Payload>(&self, index: usize) -> Option<Result<T, String>> {
        self.0.get(index).map(decode)
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The payloads themselves.
    pub fn as_raw(&self) -> &[raw::Payload] {
        &self.0
    }

    /// The payloads themselves, by value.
    pub fn into_raw(self) -> Vec<raw::Payload> {
        self.0
    }

    pub(crate) fn from_wire(payloads: Option<raw::Payloads>) -> Self {
        Self(payloads.map(|payloads| payloads.payloads).unwrap_or_default())
    }

    /// The wire form; `None` if there are no values.
    pub(crate) fn into_wire(self) -> Option<raw::Payloads> {
        (!self.0.is_empty()).then_some(raw::Payloads { payloads: self.0 })
    }
}

impl From<Vec<raw::Payload>> for Payloads {
    fn from(payloads: Vec<raw::Payload>) -> Self {
        Self(payloads)
    }
}
