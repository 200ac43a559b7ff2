//! The connection of a worker to its server.

use crate::client::{Client, Connection};
use crate::data::{PayloadCodecError, Walk};

/// The connection of a worker, with the values that every request has.
#[derive(Clone)]
pub(super) struct ServerLink {
    pub(super) client: Client,
    pub(super) connection: Connection,
    pub(super) namespace: String,
    pub(super) identity: String,
}

impl ServerLink {
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
