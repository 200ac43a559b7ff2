//! Payloads that are kept longer than their request.
//!
//! A decoded payload shares the buffer of its request. Keeping it for the life of a run would keep the whole buffer, so
//! kept payloads are copied.

use bytes::Bytes;

use crate::api::common::{Payload, Payloads};
use crate::api::sdk::UserMetadata;

/// Copies a payload out of its request's buffer.
pub(super) fn own(payload: &Payload) -> Payload {
    let metadata = payload.metadata.iter().map(|(key, value)| (key.clone(), Bytes::copy_from_slice(value))).collect();
    Payload {
        metadata,
        data: Bytes::copy_from_slice(&payload.data),
        external_payloads: payload.external_payloads.clone(),
    }
}

pub(super) fn own_all(payloads: &Payloads) -> Payloads {
    Payloads { payloads: payloads.payloads.iter().map(own).collect() }
}

pub(super) fn own_metadata(metadata: &UserMetadata) -> UserMetadata {
    UserMetadata { summary: metadata.summary.as_ref().map(own), details: metadata.details.as_ref().map(own) }
}

/// Encodes a text as the default converter of the SDKs does.
pub(crate) fn text_payload(text: &str) -> Payloads {
    let mut payload = Payload { data: format!("\"{text}\"").into_bytes().into(), ..Default::default() };
    payload.metadata.insert("encoding".to_owned(), b"json/plain".to_vec().into());
    Payloads { payloads: vec![payload] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owned_payload_does_not_keep_the_request_buffer() {
        let buffer = Bytes::from(vec![7; 10_000]);
        let payload = Payload { data: buffer.slice(..10), ..Payload::default() };
        let owned = own(&payload);
        assert_eq!(owned, payload);
        drop(payload);
        assert!(buffer.is_unique(), "nothing else holds the buffer");
    }
}
