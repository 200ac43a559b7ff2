//! The connection of a worker to its server.

use crate::activity::ActivityInfo;
use crate::client::{Client, Connection};
use crate::data::{PayloadCodecError, SerializationContext, Walk};

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

    pub(super) async fn encode(&self, owner: Owner<'_>, message: &mut impl Walk) -> Result<(), PayloadCodecError> {
        self.client.codecs().encode(|| owner.context(&self.namespace), message).await
    }

    pub(super) async fn decode(&self, owner: Owner<'_>, message: &mut impl Walk) -> Result<(), PayloadCodecError> {
        self.client.codecs().decode(|| owner.context(&self.namespace), message).await
    }
}

/// The owner of payloads for which their message names none.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    /// The workflow with this id.
    Workflow(&'a str),
    Activity(&'a ActivityInfo),
}

impl Owner<'_> {
    fn context(self, namespace: &str) -> SerializationContext {
        match self {
            Self::Workflow(workflow_id) => SerializationContext::of_workflow(namespace, workflow_id),
            Self::Activity(info) => SerializationContext {
                activity_type: Some(info.activity_type.clone()),
                activity_id: Some(info.activity_id.clone()),
                ..SerializationContext::of_workflow(namespace, &info.workflow_id)
            },
        }
    }
}
