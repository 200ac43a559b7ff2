//! Conversion between values and payloads.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json;
use crate::raw;

/// A value that can be an input or a result.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross the wire",
    label = "inputs and results are serialized",
    note = "a type of yours: `#[derive(Serialize, Deserialize)]` on it and on each type in it; it cannot borrow",
    note = "a type of another crate: turn on that crate's `serde` feature, or send a type of yours and convert"
)]
pub trait Payload: Serialize + DeserializeOwned + 'static {}

// Without this attribute, rustc would report serde's two traits, each with an error of its own.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Payload for T {}

/// A value could not be serialized, or could not be read back from what it is serialized to.
///
/// JSON has no NaN and no infinity; `Some(None)` and `Some(())` decode as `None`; and serde_json does not decode values that
/// are nested more than 127 deep. Such values are rejected when they are encoded, because they would decode to other values
/// or not at all.
#[derive(Clone)]
#[non_exhaustive]
pub struct EncodeError {
    /// The role of the value, as in "argument 1 `purchase`"; empty if the value has no name.
    pub place: String,
    /// The type of the value.
    pub type_name: &'static str,
    /// The path of the field and its problem, as in `items[3].price: NaN cannot be written as JSON; use Option<f64> or a
    /// string`.
    pub cause: String,
}

impl EncodeError {
    /// Sets the role of the value.
    pub(crate) fn of(self, place: impl Into<String>) -> Self {
        Self { place: place.into(), ..self }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, type_name, cause } = self;
        if !place.is_empty() {
            write!(f, "{place}: ")?;
        }
        write!(f, "`{type_name}` cannot be serialized: {cause}")
    }
}

impl std::error::Error for EncodeError {}

debug_as_display!(EncodeError);

/// Proof that `T` is a [`Payload`], as a value. An expansion creates one for each argument and result, on the user's own
/// type token, and other generated code has no bounds: a missing derive is one error instead of one for each use.
pub struct Codec<T> {
    /// The argument's name, for messages.
    pub name: &'static str,
    /// Value to payload.
    pub encode: fn(&T) -> Result<raw::Payload, EncodeError>,
    /// Payload to value; the error describes the mismatch.
    pub decode: fn(&raw::Payload) -> Result<T, String>,
}

impl<T> Codec<T> {
    /// Decodes the result of an operation. One without a payload is that of code that returns `()`.
    pub(crate) fn decode_result(&self, result: Option<raw::Payload>) -> Result<T, String> {
        let result = result.map_or_else(|| encode(&()).map_err(|error| error.to_string()), Ok)?;
        (self.decode)(&result)
    }
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Codec<T> {}

/// A [`Payload`] whose type is named like a context. It has its own message, because a context is no input.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no input: it cannot cross the wire",
    label = "not sent, so not a parameter",
    note = "an activity borrows its context: `ctx: &ActivityContext`",
    note = "a workflow has no context: remove the parameter, and call `workflow::now()`, `workflow::info()`, `workflow::is_cancelled()` and the like"
)]
pub trait ContextPayload: Payload {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> ContextPayload for T {}

/// [`codec`] for a type that is named like a context.
pub const fn context_codec<T: ContextPayload>(name: &'static str) -> Codec<T> {
    codec(name)
}

/// The codec of `T`; `name` is the argument's, for messages.
pub const fn codec<T: Payload>(name: &'static str) -> Codec<T> {
    Codec { name, encode: encode::<T>, decode: decode::<T> }
}

pub(crate) fn encode<T: Serialize + 'static>(value: &T) -> Result<raw::Payload, EncodeError> {
    let any = value as &dyn Any;
    if any.is::<()>() {
        return Ok(payload("binary/null", Bytes::new()));
    }
    if let Some(bytes) = any.downcast_ref::<Bytes>() {
        return Ok(payload("binary/plain", bytes.clone()));
    }
    match json::to_vec(value) {
        Ok(json) => Ok(payload("json/plain", json.into())),
        Err(cause) => Err(EncodeError { place: String::new(), type_name: std::any::type_name::<T>(), cause }),
    }
}

pub(crate) fn decode<T: DeserializeOwned + 'static>(payload: &raw::Payload) -> Result<T, String> {
    let encoding = payload.metadata.get("encoding").map(|name| String::from_utf8_lossy(name));
    let expected = std::any::type_name::<T>();
    match encoding.as_deref() {
        Some("json/plain" | "json/protobuf") => {
            serde_json::from_slice(&payload.data).map_err(|error| format!("{error} (expected `{expected}`)"))
        }
        // `()`, `Option` and `Value` decode from JSON's `null`; the errors of other types say what they expect.
        Some("binary/null") => {
            serde_json::from_slice(b"null").map_err(|_| format!("no value was sent (expected `{expected}`)"))
        }
        Some("binary/plain") => {
            let mut bytes = Some(payload.data.clone());
            // Only `Bytes` decodes from raw bytes; `Any` detects it without a specialized impl.
            let mut value: Option<T> = None;
            if let Some(slot) = (&mut value as &mut dyn Any).downcast_mut::<Option<Bytes>>() {
                *slot = bytes.take();
            }
            value.ok_or_else(|| format!("raw bytes were sent (expected `{expected}`; `bytes::Bytes` takes them)"))
        }
        Some(other) => Err(format!(
            "the encoding `{other}` is not known (expected `{expected}`); is the payload codec missing here that its sender had?"
        )),
        None => Err(format!("the payload names no encoding (expected `{expected}`)")),
    }
}

fn payload(encoding: &'static str, data: Bytes) -> raw::Payload {
    let metadata = HashMap::from([("encoding".to_owned(), Bytes::from_static(encoding.as_bytes()))]);
    raw::Payload { metadata, data, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        assert_eq!(decode::<Vec<u8>>(&encode(&vec![1u8, 2]).unwrap()), Ok(vec![1, 2]));
        assert_eq!(decode::<()>(&encode(&()).unwrap()), Ok(()));
        assert_eq!(decode::<Option<u32>>(&encode(&()).unwrap()), Ok(None));
        let bytes = Bytes::from_static(b"\x00\xff");
        let payload = encode(&bytes).unwrap();
        assert_eq!(payload.metadata["encoding"], "binary/plain");
        assert_eq!(decode::<Bytes>(&payload), Ok(bytes));
    }

    #[test]
    fn mismatched_values_are_named() {
        let error = decode::<u32>(&encode(&"five").unwrap()).unwrap_err();
        assert!(error.contains("expected u32") && error.contains("`u32`"), "{error}");
        assert!(decode::<u32>(&encode(&()).unwrap()).unwrap_err().contains("no value was sent"));
        assert!(decode::<u32>(&encode(&Bytes::new()).unwrap()).unwrap_err().contains("raw bytes"));
        assert!(decode::<u32>(&raw::Payload::default()).unwrap_err().contains("no encoding"));
        let map = HashMap::from([((1, 2), 3)]);
        assert!(encode(&map).unwrap_err().to_string().contains("key must be a string"));
    }
}
