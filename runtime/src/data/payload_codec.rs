//! The hook for transformations of payloads between conversion and the wire.

use std::future::Future;
use std::pin::Pin;

use crate::raw;

/// Transforms outgoing payloads and restores incoming ones, for encryption or compression.
///
/// A codec processes every payload that leaves or enters this process: inputs, results, signal and query arguments, heartbeat and
/// failure details. It runs outside the workflow, so it may be slow, random or call other services; `decode` must undo
/// `encode`, also for payloads written by earlier versions, and return payloads unchanged that `encode` did not create.
///
/// ```
/// use everloop::data::{PayloadCodec, PayloadCodecError};
/// use everloop::raw;
///
/// /// Marks each payload; a real one would encrypt it.
/// struct Mark;
///
/// impl PayloadCodec for Mark {
///     async fn encode(&self, payloads: Vec<raw::Payload>) -> Result<Vec<raw::Payload>, PayloadCodecError> {
///         Ok(payloads
///             .into_iter()
///             .map(|mut payload| {
///                 payload.metadata.insert("marked".into(), b"yes".to_vec().into());
///                 payload
///             })
///             .collect())
///     }
///     async fn decode(&self, payloads: Vec<raw::Payload>) -> Result<Vec<raw::Payload>, PayloadCodecError> {
///         Ok(payloads
///             .into_iter()
///             .map(|mut payload| {
///                 payload.metadata.remove("marked");
///                 payload
///             })
///             .collect())
///     }
/// }
/// ```
pub trait PayloadCodec: Send + Sync + 'static {
    /// Encodes outgoing payloads. Returns the same number of payloads, in the same order.
    fn encode(
        &self,
        payloads: Vec<raw::Payload>,
    ) -> impl Future<Output = Result<Vec<raw::Payload>, PayloadCodecError>> + Send;

    /// Decodes incoming payloads. Returns the same number of payloads, in the same order.
    fn decode(
        &self,
        payloads: Vec<raw::Payload>,
    ) -> impl Future<Output = Result<Vec<raw::Payload>, PayloadCodecError>> + Send;
}

/// The error of a payload codec, such as a missing key.
#[derive(Clone, thiserror::Error)]
#[error("payload codec: {0}")]
pub struct PayloadCodecError(pub String);

debug_as_display!(PayloadCodecError);

/// The future of a codec's output.
pub(super) type Transformed<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<raw::Payload>, PayloadCodecError>> + Send + 'a>>;

/// [`PayloadCodec`] behind a pointer.
pub(crate) trait DynPayloadCodec: Send + Sync {
    fn encode_boxed(&self, payloads: Vec<raw::Payload>) -> Transformed<'_>;
    fn decode_boxed(&self, payloads: Vec<raw::Payload>) -> Transformed<'_>;
}

impl<C: PayloadCodec> DynPayloadCodec for C {
    fn encode_boxed(&self, payloads: Vec<raw::Payload>) -> Transformed<'_> {
        Box::pin(self.encode(payloads))
    }
    fn decode_boxed(&self, payloads: Vec<raw::Payload>) -> Transformed<'_> {
        Box::pin(self.decode(payloads))
    }
}
