//! Tokens that callers return to the server unread. A version and a kind come first, so that a token of another kind or
//! version is distinguished from a damaged one.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::engine::error::Refusal;

const VERSION: u8 = 1;

/// A kind of token.
pub(crate) trait WireToken: Message + Default {
    const KIND: u8;
}

/// Identifies the workflow task of a worker.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WorkflowTaskToken {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) workflow_id: String,
    #[prost(string, tag = "3")]
    pub(crate) run_id: String,
    #[prost(int64, tag = "4")]
    pub(crate) stamp: i64,
    #[prost(int32, tag = "5")]
    pub(crate) attempt: i32,
    #[prost(int64, tag = "6")]
    pub(crate) started_time_ns: i64,
}

impl WireToken for WorkflowTaskToken {
    const KIND: u8 = 1;
}

/// Identifies the activity attempt of a worker.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ActivityTaskToken {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) workflow_id: String,
    #[prost(string, tag = "3")]
    pub(crate) run_id: String,
    #[prost(int64, tag = "4")]
    pub(crate) scheduled_event_id: i64,
    #[prost(int32, tag = "5")]
    pub(crate) attempt: i32,
}

impl WireToken for ActivityTaskToken {
    const KIND: u8 = 2;
}

/// Identifies the query task of a worker.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueryTaskToken {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(uint64, tag = "2")]
    pub(crate) query: u64,
}

impl WireToken for QueryTaskToken {
    const KIND: u8 = 3;
}

/// The position of a reader in a history.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HistoryToken {
    #[prost(string, tag = "1")]
    pub(crate) run_id: String,
    /// Forward: the next event to read. Backward: the number after it.
    #[prost(int64, tag = "2")]
    pub(crate) event_id: i64,
    /// The event before which the reader stops; 0 for the end of the history.
    #[prost(int64, tag = "3")]
    pub(crate) end_event_id: i64,
    #[prost(bool, tag = "4")]
    pub(crate) reverse: bool,
}

impl WireToken for HistoryToken {
    const KIND: u8 = 4;
}

pub(crate) fn encode<T: WireToken>(token: &T) -> Bytes {
    let mut bytes = BytesMut::with_capacity(2 + token.encoded_len());
    bytes.put_u8(VERSION);
    bytes.put_u8(T::KIND);
    token.encode_raw(&mut bytes);
    bytes.freeze()
}

/// Decodes a token; `what` names the token in the error.
pub(crate) fn decode<T: WireToken>(what: &str, bytes: &[u8]) -> Result<T, Refusal> {
    let bad = || Refusal::invalid(format!("Invalid {what}."));
    if bytes.is_empty() {
        return Err(Refusal::invalid(format!("{what} not set on request.")));
    }
    match bytes.split_at_checked(2) {
        Some(([VERSION, kind], rest)) if *kind == T::KIND => T::decode(rest).map_err(|_| bad()),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_of_another_kind_is_refused() {
        let token = encode(&QueryTaskToken { namespace: "n".to_owned(), query: 7 });
        assert_eq!(decode::<QueryTaskToken>("TaskToken", &token).unwrap().query, 7);
        assert!(matches!(decode::<ActivityTaskToken>("TaskToken", &token), Err(Refusal::InvalidArgument(_))));
        assert!(matches!(decode::<QueryTaskToken>("TaskToken", b""), Err(Refusal::InvalidArgument(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_decoded_or_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode::<WorkflowTaskToken>("TaskToken", &bytes);
            let _ = decode::<HistoryToken>("NextPageToken", &bytes);
        }
    }
}
