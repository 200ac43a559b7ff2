//! Values that cross the wire: payloads, failures, headers, and the codec that encrypts or compresses them.
//!
//! The default conversion is the one that every Temporal SDK shares, in this order: `()` is `binary/null`, [`bytes::Bytes`] is
//! `binary/plain`, everything else is JSON through serde (`json/plain`). A value that would not decode to itself is rejected
//! when it is encoded.

mod activity_options;
mod arguments;
mod child_options;
mod convert;
mod duration;
#[cfg(feature = "encryption")]
mod encryption;
mod failure;
mod headers;
mod json;
mod payload_codec;
mod payloads;
mod serialization_context;
mod unfinished;
mod walk;

pub use activity_options::{ActivityCancellationType, ActivityOptions, RetryPolicy};
pub use arguments::DecodeError;
pub use child_options::{ChildCancellationType, ParentClosePolicy};
pub use convert::{EncodeError, Payload};
pub use duration::OptionError;
#[cfg(feature = "encryption")]
pub use encryption::{AesGcmCodec, EncryptionKey, KeyError};
pub use failure::{ErrorCategory, Failure, FailureKind, RetryState, TimeoutType};
pub use headers::Headers;
pub use payload_codec::{HeaderCodec, PayloadCodec, PayloadCodecError};
pub use payloads::Payloads;
pub use serialization_context::SerializationContext;
pub use unfinished::UnfinishedPolicy;

// Expansions use these names, through `__private`.
#[doc(hidden)]
pub use arguments::Arguments;
#[doc(hidden)]
pub use convert::{Codec, codec, context_codec};

pub(crate) use activity_options::{DEFAULT_INITIAL_INTERVAL, DEFAULT_START_TO_CLOSE_TIMEOUT, WorkerActivityOptions};
pub(crate) use convert::{decode, encode};
pub(crate) use duration::{check_limit, delay_from_wire, duration_to_wire, limit_from_wire};
pub(crate) use failure::causes::{Link, link, unlink};
pub(crate) use failure::short_type_name;
pub(crate) use walk::{PayloadCodecs, Walk};
