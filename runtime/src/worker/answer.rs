//! Sends all responses of a worker to the server.
//!
//! A response's payloads are encoded, and the response is sent until the server has received it. A response that cannot be
//! sent is replaced, in part or as a whole, by a failure with the reason: otherwise its task would time out and be retried
//! forever. Remaining errors are logged.

use std::fmt;
use std::future::Future;

use everloop_proto::temporal::api::workflowservice::v1 as wire;

use super::link::{Owner, ServerLink};
use super::send_error::SendError;
use super::unsent::{encode_parts, replace_large_parts, too_large};
use crate::client::Rpc;
use crate::data::Walk;

/// The response to a polled task.
pub(super) trait Answer: Rpc + Walk {
    /// Encodes the payloads.
    fn encode_payloads(
        &mut self,
        link: &ServerLink,
        owner: Owner<'_>,
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        async move { Ok(link.encode(owner, self).await?) }
    }

    /// Replaces large parts that can fail separately. Returns whether there were any.
    fn replace_large_parts(&mut self, _why: &SendError) -> bool {
        false
    }

    /// Explains why the response as a whole is too large.
    fn too_large(&self, error: SendError) -> SendError {
        error
    }
}

impl Answer for wire::RespondWorkflowTaskCompletedRequest {
    async fn encode_payloads(&mut self, link: &ServerLink, owner: Owner<'_>) -> Result<(), SendError> {
        encode_parts(self, link, owner).await
    }

    fn replace_large_parts(&mut self, why: &SendError) -> bool {
        replace_large_parts(self, why)
    }

    fn too_large(&self, error: SendError) -> SendError {
        too_large(self, &error)
    }
}

impl Answer for wire::RespondWorkflowTaskFailedRequest {}
impl Answer for wire::RespondQueryTaskCompletedRequest {}
impl Answer for wire::RespondActivityTaskCompletedRequest {}
impl Answer for wire::RespondActivityTaskCanceledRequest {}
impl Answer for wire::RespondActivityTaskFailedRequest {}
impl Answer for wire::RecordActivityTaskHeartbeatRequest {}

impl ServerLink {
    /// Encodes a response and sends it until the server has it.
    pub(super) async fn send<A: Answer>(&self, owner: Owner<'_>, mut answer: A) -> Result<A::Reply, SendError> {
        answer.encode_payloads(self, owner).await?;
        let mut reply = self.connection.call_with(&answer).await.map_err(SendError::from);
        if let Err(error) = &reply
            && error.is_about_size()
            && answer.replace_large_parts(error)
        {
            reply = self.connection.call_with(&answer).await.map_err(SendError::from);
        }
        reply.map_err(|error| if error.is_about_size() { answer.too_large(error) } else { error })
    }

    /// As [`send`](Self::send). If the response cannot be sent, sends the one that `instead` creates from the reason.
    pub(super) async fn send_or<A: Answer, I: Answer>(
        &self,
        owner: Owner<'_>,
        answer: A,
        instead: impl FnOnce(&SendError) -> I + Send,
    ) -> Result<(), SendError> {
        match self.send(owner, answer).await {
            Err(error) if error.is_unsendable() => self.send(owner, instead(&error)).await.map(drop),
            sent => sent.map(drop),
        }
    }
}

impl SendError {
    /// Logs that the server has received no response to a polled task. Returns whether the server still waits for one.
    pub(super) fn report(&self, polled: impl fmt::Display, workflow_id: &str, run_id: &str) -> bool {
        if self.is_unwanted() {
            tracing::debug!(workflow_id, run_id, error = %self, "the server no longer waits for the answer to {polled}");
            return false;
        }
        tracing::warn!(
            workflow_id, run_id, error = %self,
            "the server has no answer to {polled}; once its timeout has passed, the server offers it again"
        );
        true
    }
}
