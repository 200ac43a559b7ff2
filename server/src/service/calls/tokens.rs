//! Tokens: what callers hand back to us unread. A version and a kind go first, so that a token of another kind or age
//! is told from a damaged one.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::engine::error::Refusal;

const VERSION: u8 = 1;

/// A kind of token.
pub(crate) trait Token: Message + Default {
    const KIND: u8;
}

/// The workflow task a worker has.
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

impl Token for WorkflowTaskToken {
    const KIND: u8 = 1;
}

/// The attempt of an activity that a worker has.
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

impl Token for ActivityTaskToken {
    const KIND: u8 = 2;
}

/// The query a worker has.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueryTaskToken {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(uint64, tag = "2")]
    pub(crate) query: u64,
}

impl Token for QueryTaskToken {
    const KIND: u8 = 3;
}

/// Where a reader of a history has got to.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HistoryToken {
    #[prost(string, tag = "1")]
    pub(crate) run_id: String,
    /// Forward: the next event to read. Backward: one past it.
    #[prost(int64, tag = "2")]
    pub(crate) event_id: i64,
    /// The page goes on to here at most; 0 for as far as there is.
    #[prost(int64, tag = "3")]
    pub(crate) end_event_id: i64,
    #[prost(bool, tag = "4")]
    pub(crate) reverse: bool,
}

impl Token for HistoryToken {
    const KIND: u8 = 4;
}

pub(crate) fn encode<T: Token>(token: &T) -> Bytes {
    let mut bytes = BytesMut::with_capacity(2 + token.encoded_len());
    bytes.put_u8(VERSION);
    bytes.put_u8(T::KIND);
    token.encode_raw(&mut bytes);
    bytes.freeze()
}

/// Reads a token; `what` names it in the refusal.
pub(crate) fn decode<T: Token>(what: &str, bytes: &[u8]) -> Result<T, Refusal> {
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
        fn any_bytes_are_a_token_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode::<WorkflowTaskToken>("TaskToken", &bytes);
            let _ = decode::<HistoryToken>("NextPageToken", &bytes);
        }
    }
}
