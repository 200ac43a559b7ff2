//! Values that cross the wire: conversion by type, failures, and the hook for encryption and compression.
//!
//! The default conversion is the one every Temporal SDK shares, in this order: `()` is `binary/null`, [`bytes::Bytes`] is
//! `binary/plain`, everything else is JSON through serde (`json/plain`). What JSON would not give back is refused.

mod arguments;
mod convert;
mod duration;
mod failure;
mod json;
mod payload_codec;
mod payloads;
mod walk;

pub use arguments::{Arguments, DecodeError};
pub use convert::{Codec, EncodeError, Payload, codec};
pub use duration::OptionError;
pub use failure::{Failure, FailureKind, RetryState, TimeoutType};
pub use payload_codec::{PayloadCodec, PayloadCodecError};
pub use payloads::Payloads;

pub(crate) use convert::{decode, encode};
pub(crate) use duration::{check_limit, delay_from_wire, duration_to_wire, limit_from_wire};
pub(crate) use payload_codec::DynPayloadCodec;
pub(crate) use walk::{Walk, decode_message, encode_message};
