//! Activities that are completed from elsewhere.

use everloop_proto::temporal::api::workflowservice::v1::{
    RecordActivityTaskHeartbeatRequest, RespondActivityTaskCanceledRequest, RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
};
use serde::Serialize;

use super::client::Client;
use super::error::{HandleError, RpcCode, RpcError};
use crate::activity::{ActivityCancelReason, TaskToken};
use crate::data::Payloads;
use crate::errors::ActivityError;

impl Client {
    /// Reaches an activity that is completed from elsewhere.
    pub fn activity_handle(&self, token: TaskToken) -> AsyncActivityHandle {
        AsyncActivityHandle::new(self.clone(), token)
    }
}

/// Reaches one attempt of an activity that said [`complete_elsewhere`](crate::ActivityContext::complete_elsewhere).
///
/// Each call fails with [`HandleError::ActivityEnded`] when the attempt is over: it was completed, it took too long, or its
/// workflow has ended.
#[derive(Clone)]
pub struct AsyncActivityHandle {
    client: Client,
    token: TaskToken,
}

impl AsyncActivityHandle {
    pub(super) fn new(client: Client, token: TaskToken) -> Self {
        Self { client, token }
    }

    /// Completes the activity.
    pub async fn complete<T: Serialize + 'static>(&self, result: &T) -> Result<(), HandleError> {
        let mut request = RespondActivityTaskCompletedRequest {
            task_token: self.token.0.clone(),
            result: Payloads::of(result)?.into_wire(),
            identity: self.client.identity().to_owned(),
            namespace: self.client.namespace().to_owned(),
            ..Default::default()
        };
        self.client.encode(&mut request).await?;
        self.client.connection().call(request).await.map(drop).map_err(over)
    }

    /// Fails the attempt; whether there is another one is up to the error and the retry policy.
    pub async fn fail(&self, error: ActivityError) -> Result<(), HandleError> {
        let mut request = RespondActivityTaskFailedRequest {
            task_token: self.token.0.clone(),
            failure: Some(error.into_failure().into_wire()),
            identity: self.client.identity().to_owned(),
            namespace: self.client.namespace().to_owned(),
            ..Default::default()
        };
        self.client.encode(&mut request).await?;
        self.client.connection().call(request).await.map(drop).map_err(over)
    }

    /// Reports that the activity stopped because of its cancellation.
    pub async fn cancelled(&self, details: Payloads) -> Result<(), HandleError> {
        let mut request = RespondActivityTaskCanceledRequest {
            task_token: self.token.0.clone(),
            details: details.into_wire(),
            identity: self.client.identity().to_owned(),
            namespace: self.client.namespace().to_owned(),
            ..Default::default()
        };
        self.client.encode(&mut request).await?;
        self.client.connection().call(request).await.map(drop).map_err(over)
    }

    /// Reports that the activity is alive. Returns the reason why it should stop, if it should.
    pub async fn heartbeat(&self, details: Payloads) -> Result<Option<ActivityCancelReason>, HandleError> {
        let mut request = RecordActivityTaskHeartbeatRequest {
            task_token: self.token.0.clone(),
            details: details.into_wire(),
            identity: self.client.identity().to_owned(),
            namespace: self.client.namespace().to_owned(),
            ..Default::default()
        };
        self.client.encode(&mut request).await?;
        let reply = self.client.connection().call(request).await.map_err(over)?;
        Ok(ActivityCancelReason::from_heartbeat(&reply))
    }
}

fn over(error: RpcError) -> HandleError {
    match error.code {
        RpcCode::NotFound => HandleError::ActivityEnded { message: error.message },
        _ => HandleError::Rpc(error),
    }
}
