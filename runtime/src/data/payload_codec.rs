//! The hook for transformations of payloads between conversion and the wire.

use std::future::Future;
use std::pin::Pin;

use super::serialization_context::SerializationContext;
use crate::raw;

/// Transforms outgoing payloads and restores incoming ones, for encryption or compression.
///
/// A codec processes every payload that leaves or enters this process: inputs, results, memo, signal and query arguments, heartbeat
/// and failure details; headers if [`HeaderCodec`] says so. It runs outside the workflow, so it may be slow, random or call other
/// services; the payloads of a message are transformed concurrently. `decode` must undo `encode`, also for payloads written by
/// earlier versions, and return payloads unchanged that `encode` did not create.
///
/// `context` names the workflow that the payload belongs to. Anything else that `decode` needs, such as the id of a key, belongs in
/// the payload's metadata.
///
/// ```
/// use everloop::data::{PayloadCodec, PayloadCodecError, SerializationContext};
/// use everloop::raw;
///
/// /// Marks each payload; a real one would compress or encrypt it.
/// struct Mark;
///
/// impl PayloadCodec for Mark {
///     async fn encode(
///         &self,
///         mut payload: raw::Payload,
///         context: &SerializationContext,
///     ) -> Result<raw::Payload, PayloadCodecError> {
///         let mark = context.workflow_id.clone().unwrap_or_default();
///         payload.metadata.insert("mark".into(), mark.into());
///         Ok(payload)
///     }
///
///     async fn decode(
///         &self,
///         mut payload: raw::Payload,
///         _context: &SerializationContext,
///     ) -> Result<raw::Payload, PayloadCodecError> {
///         payload.metadata.remove("mark");
///         Ok(payload)
///     }
/// }
/// ```
pub trait PayloadCodec: Send + Sync + 'static {
    /// Encodes an outgoing payload.
    fn encode(
        &self,
        payload: raw::Payload,
        context: &SerializationContext,
    ) -> impl Future<Output = Result<raw::Payload, PayloadCodecError>> + Send;

    /// Decodes an incoming payload.
    fn decode(
        &self,
        payload: raw::Payload,
        context: &SerializationContext,
    ) -> impl Future<Output = Result<raw::Payload, PayloadCodecError>> + Send;
}

/// Whether headers pass through the payload codecs of a client.
///
/// All clients and workers of one namespace must agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderCodec {
    /// Headers are sent unchanged, so that gateways and workers in other languages can read them.
    #[default]
    Never,
    /// Headers are encoded and decoded like all other payloads.
    Always,
}

/// The error of a payload codec, such as a missing key.
#[derive(Clone, thiserror::Error)]
#[error("payload codec: {0}")]
pub struct PayloadCodecError(pub String);

debug_as_display!(PayloadCodecError);

/// The future of a codec's output.
pub(super) type Transformed<'a> = Pin<Box<dyn Future<Output = Result<raw::Payload, PayloadCodecError>> + Send + 'a>>;

/// [`PayloadCodec`] behind a pointer.
pub(crate) trait DynPayloadCodec: Send + Sync {
    fn encode_boxed<'a>(&'a self, payload: raw::Payload, context: &'a SerializationContext) -> Transformed<'a>;
    fn decode_boxed<'a>(&'a self, payload: raw::Payload, context: &'a SerializationContext) -> Transformed<'a>;
}

impl<C: PayloadCodec> DynPayloadCodec for C {
    fn encode_boxed<'a>(&'a self, payload: raw::Payload, context: &'a SerializationContext) -> Transformed<'a> {
        Box::pin(self.encode(payload, context))
    }
    fn decode_boxed<'a>(&'a self, payload: raw::Payload, context: &'a SerializationContext) -> Transformed<'a> {
        Box::pin(self.decode(payload, context))
    }
}
