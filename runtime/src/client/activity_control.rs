//! Pausing, unpausing and resetting the activities of a workflow.

use everloop_proto::temporal::api::workflowservice::v1::{
    PauseActivityRequest, ResetActivityRequest, UnpauseActivityRequest, pause_activity_request, reset_activity_request,
    unpause_activity_request,
};
use uuid::Uuid;

use super::error::{HandleError, RpcCode, RpcError};
use super::handle::WorkflowHandle;

/// For operators: the ids of a workflow's activities are in its
/// [description](crate::client::WorkflowDescription::pending_activities).
impl<W> WorkflowHandle<W> {
    /// Pauses an activity that has not ended: until it is unpaused, no attempt of it begins, and none of its time limits count.
    ///
    /// An attempt that runs goes on, and learns of the pause from its next heartbeat
    /// ([`ActivityCancelReason::Paused`](crate::activity::ActivityCancelReason::Paused)). If it returns a result, the activity
    /// completes all the same.
    ///
    /// # Errors
    /// [`HandleError::ActivityEnded`] if no activity of this id is pending; an error of the server if it is paused already.
    pub async fn pause_activity(&self, activity_id: &str, reason: impl Into<String>) -> Result<(), HandleError> {
        let client = self.client();
        let request = PauseActivityRequest {
            namespace: client.namespace().to_owned(),
            execution: Some(self.execution()),
            identity: client.identity().to_owned(),
            reason: reason.into(),
            request_id: Uuid::new_v4().to_string(),
            activity: Some(pause_activity_request::Activity::Id(activity_id.to_owned())),
        };
        let paused = client.connection().call(request).await;
        paused.map(drop).map_err(|error| self.no_activity(error))
    }

    /// Ends the pause of an activity. If no attempt of it runs, the next one begins at once. Does nothing if it is not paused.
    ///
    /// # Errors
    /// [`HandleError::ActivityEnded`] if no activity of this id is pending.
    pub async fn unpause_activity(&self, activity_id: &str) -> Result<(), HandleError> {
        let client = self.client();
        let request = UnpauseActivityRequest {
            namespace: client.namespace().to_owned(),
            execution: Some(self.execution()),
            identity: client.identity().to_owned(),
            activity: Some(unpause_activity_request::Activity::Id(activity_id.to_owned())),
            ..Default::default()
        };
        let unpaused = client.connection().call(request).await;
        unpaused.map(drop).map_err(|error| self.no_activity(error))
    }

    /// Makes the attempts of an activity count from 1 again, and ends its pause. If no attempt of it runs, the first one begins at
    /// once.
    ///
    /// A first attempt that runs goes on, and learns of the reset from its next heartbeat
    /// ([`ActivityCancelReason::Reset`](crate::activity::ActivityCancelReason::Reset)). A later attempt is over for the server
    /// ([`ActivityCancelReason::AttemptOver`](crate::activity::ActivityCancelReason::AttemptOver)): the next one begins when a time
    /// limit of that attempt has passed.
    ///
    /// # Errors
    /// [`HandleError::ActivityEnded`] if no activity of this id is pending.
    pub async fn reset_activity(&self, activity_id: &str) -> Result<(), HandleError> {
        let client = self.client();
        let request = ResetActivityRequest {
            namespace: client.namespace().to_owned(),
            execution: Some(self.execution()),
            identity: client.identity().to_owned(),
            activity: Some(reset_activity_request::Activity::Id(activity_id.to_owned())),
            ..Default::default()
        };
        let reset = client.connection().call(request).await;
        reset.map(drop).map_err(|error| self.no_activity(error))
    }

    fn no_activity(&self, error: RpcError) -> HandleError {
        match error.code {
            RpcCode::NotFound if error.message.to_lowercase().contains("activity") => {
                HandleError::ActivityEnded { message: error.message }
            }
            _ => HandleError::from_rpc(&self.workflow_id, error),
        }
    }
}
