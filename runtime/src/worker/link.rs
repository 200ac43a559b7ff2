//! The way to the server, as the worker sees it.

use crate::client::{Client, Connection, RpcError};
use crate::data::{PayloadCodecError, Walk};

/// What every call of a worker needs.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) connection: Connection,
    pub(super) namespace: String,
    pub(super) identity: String,
}

impl Link {
    pub(super) fn of(client: &Client) -> Self {
        Self {
            client: client.clone(),
            connection: client.connection().patient(),
            namespace: client.namespace().to_owned(),
            identity: client.identity().to_owned(),
        }
    }

    pub(super) async fn encode(&self, message: &mut impl Walk) -> Result<(), PayloadCodecError> {
        self.client.encode(message).await
    }

    pub(super) async fn decode(&self, message: &mut impl Walk) -> Result<(), PayloadCodecError> {
        self.client.decode(message).await
    }
}

/// Why something that was polled was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// A response that is too large; the text says how large it is.
    #[error("{0}")]
    TooLarge(String),
    /// A worker's interceptor panicked, so what it would have added is missing.
    #[error("an interceptor of the worker panicked: {0}")]
    Interceptor(String),
}
